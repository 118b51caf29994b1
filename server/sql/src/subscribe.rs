//! The SQL of a subscription: one table, its columns, a filter, an order and a limit. Every other clause is refused by
//! name, with INVALID_SQL.

use std::fmt::Write as _;

use kalam_link_core::message::SubscribeOptions;
use kalam_link_core::statements::{line_and_column, split};
use sqlparser::ast::{
    self, Distinct, Expr, GroupByExpr, LimitClause, OrderByKind, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, TableFactor, Visit, Visitor,
};
use sqlparser::keywords::ALL_KEYWORDS;

use crate::dialect::KalamDialect;
use crate::error::Error;
use crate::expr::compile::shorten;
use crate::expr::literal;
use crate::input::{Input, fold};
use crate::options::subscribe_options;
use crate::params::highest_parameter;
use crate::parse::{CODE_BYTES_MAX, canonical, moved, refuse_inline_user};
use crate::query::{check_column, check_expr, check_query};
use crate::statement::TableRef;
use crate::tokens::Tokens;
use crate::{dml, query};

pub(crate) mod bind;

/// What a subscription asks for, before it is known what its names mean.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscription {
    pub table: TableRef,
    pub alias: Option<String>,
    pub columns: Vec<SelectedName>,
    pub filter: Option<Expr>,
    pub order_by: Vec<OrderName>,
    pub limit: Option<Limit>,
    /// What OPTIONS says.
    pub options: SubscribeOptions,
    /// Highest `$n`; 0 without parameters.
    pub parameters: usize,
}

/// A column as written, folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnName {
    /// Nothing, a table or alias, or namespace and table.
    pub qualifier: Vec<String>,
    pub name: String,
}

/// An item after SELECT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SelectedName {
    /// `*`, or `t.*`.
    All {
        qualifier: Vec<String>,
    },
    Column(ColumnName),
}

/// A term of ORDER BY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderName {
    pub column: ColumnName,
    pub descending: bool,
    pub nulls_first: Option<bool>,
}

/// How many rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    Rows(u64),
    /// Position from 0.
    Parameter(usize),
}

/// Reads the SQL that a client subscribes with: `SELECT …`, or `SUBSCRIBE TO …` as over HTTP.
pub fn parse_subscription(text: &str) -> Result<Subscription, Error> {
    let mut pieces = split(text);
    let piece = pieces.next().ok_or(Error::Empty)?;
    if pieces.next().is_some() {
        return Err(Error::invalid("a subscription is one statement"));
    }
    if piece.code_bytes > CODE_BYTES_MAX {
        return Err(Error::TooLong {
            max: CODE_BYTES_MAX,
        });
    }
    parse_piece(piece.text)
        .map_err(|error| in_subscription(moved(error, line_and_column(text, piece.start))))
}

fn parse_piece(text: &str) -> Result<Subscription, Error> {
    let dialect = KalamDialect::default();
    let tokens = Tokens::read(&dialect, text)?;
    refuse_inline_user(&tokens.list)?;
    let mut input = Input::new(&dialect, tokens.list);
    let subscription = match input.word(0).as_deref() {
        Some("SELECT") => select(&mut input)?,
        Some("SUBSCRIBE") => subscribe_to(&mut input)?,
        _ => return Err(input.expected("SELECT or SUBSCRIBE TO")),
    };
    input.expect_end()?;
    Ok(subscription)
}

/// Stands at SUBSCRIBE.
pub(crate) fn subscribe(input: &mut Input<'_>) -> Result<Subscription, Error> {
    subscribe_to(input).map_err(in_subscription)
}

/// Whatever is wrong with the text of a subscription is INVALID_SQL.
pub(crate) fn in_subscription(error: Error) -> Error {
    use kalam_link_core::ErrorCode;
    match error {
        Error::NotSimple(shown) => {
            Error::invalid(format!("{shown} cannot be evaluated in a subscription"))
        }
        other
            if matches!(
                other.code(),
                ErrorCode::Unsupported | ErrorCode::InvalidInput | ErrorCode::SqlExecutionError
            ) =>
        {
            Error::Invalid {
                message: other.to_string(),
                hint: other.hint(),
            }
        }
        other => other,
    }
}

fn refused(clause: impl std::fmt::Display) -> Error {
    Error::invalid(format!("{clause} is not possible in a subscription"))
}

fn refuse(present: bool, clause: &str) -> Result<(), Error> {
    if present {
        Err(refused(clause))
    } else {
        Ok(())
    }
}

fn subscribe_to(input: &mut Input<'_>) -> Result<Subscription, Error> {
    input.expect("SUBSCRIBE TO")?;
    let mut subscription = if input.is("SELECT") {
        input.options_follow();
        select(input)?
    } else {
        whole_rows(input)?
    };
    if input.eat("OPTIONS") {
        subscription.options = subscribe_options(input)?;
    }
    Ok(subscription)
}

/// `t [WHERE …]`
fn whole_rows(input: &mut Input<'_>) -> Result<Subscription, Error> {
    let table = input.table("SELECT or the name of a table")?;
    let mut filter = None;
    if input.eat("WHERE") {
        filter = Some(input.expr()?);
    }
    let filter = checked_filter(filter)?;
    Ok(Subscription {
        table,
        alias: None,
        columns: vec![SelectedName::All {
            qualifier: Vec::new(),
        }],
        parameters: filter.as_ref().map_or(0, highest_parameter),
        filter,
        order_by: Vec::new(),
        limit: None,
        options: SubscribeOptions::default(),
    })
}

fn checked_filter(mut filter: Option<Expr>) -> Result<Option<Expr>, Error> {
    struct Subqueries;
    impl Visitor for Subqueries {
        type Break = ();
        fn pre_visit_query(&mut self, _: &ast::Query) -> std::ops::ControlFlow<()> {
            std::ops::ControlFlow::Break(())
        }
    }
    if let Some(filter) = &mut filter {
        check_expr(filter)?;
        refuse(filter.visit(&mut Subqueries).is_break(), "a subquery")?;
    }
    Ok(filter)
}

/// Stands at SELECT.
fn select(input: &mut Input<'_>) -> Result<Subscription, Error> {
    let mut query = input.query()?;
    check_query(&mut query)?;
    // The other clauses of a query are refused everywhere.
    let ast::Query {
        with,
        body,
        order_by,
        limit_clause,
        ..
    } = *query;
    refuse(with.is_some(), "WITH")?;
    let select = match *body {
        SetExpr::Select(select) => *select,
        SetExpr::SetOperation { op, .. } => return Err(refused(op)),
        SetExpr::Query(_) => return Err(refused("a query in parentheses")),
        _ => return Err(refused("VALUES")),
    };
    check_select(&select)?;
    let (table, alias) = table(select.from)?;
    let columns = select
        .projection
        .into_iter()
        .map(selected)
        .collect::<Result<_, _>>()?;
    let filter = checked_filter(select.selection)?;
    let limit = limit_clause.map(limit).transpose()?.flatten();
    let in_limit = match limit {
        Some(Limit::Parameter(index)) => index + 1,
        _ => 0,
    };
    Ok(Subscription {
        table,
        alias,
        columns,
        parameters: filter.as_ref().map_or(0, highest_parameter).max(in_limit),
        filter,
        order_by: order_by.map_or_else(|| Ok(Vec::new()), order)?,
        limit,
        options: SubscribeOptions::default(),
    })
}

/// Refuses the clauses that a query may have, but not a subscription.
fn check_select(select: &ast::Select) -> Result<(), Error> {
    match &select.distinct {
        Some(Distinct::On(_)) => return Err(refused("DISTINCT ON")),
        Some(Distinct::Distinct) => return Err(refused("DISTINCT")),
        Some(Distinct::All) | None => {}
    }
    let groups = match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(list, _) => !list.is_empty(),
    };
    refuse(groups, "GROUP BY")?;
    refuse(select.having.is_some(), "HAVING")?;
    refuse(!select.named_window.is_empty(), "WINDOW")?;
    refuse(select.qualify.is_some(), "QUALIFY")
}

fn table(from: Vec<ast::TableWithJoins>) -> Result<(TableRef, Option<String>), Error> {
    let mut from = from.into_iter();
    let table = from
        .next()
        .ok_or_else(|| Error::invalid("a subscription needs FROM and the name of a table"))?;
    refuse(from.next().is_some(), "more than one table")?;
    match &table.relation {
        TableFactor::Table { .. } => {}
        TableFactor::Derived { .. } => return Err(refused("a subquery")),
        TableFactor::NestedJoin { .. } => return Err(refused("JOIN")),
        _ => return Err(refused("a table function")),
    }
    dml::target(table, "a subscription")
}

fn selected(item: SelectItem) -> Result<SelectedName, Error> {
    let (qualifier, options) = match item {
        SelectItem::UnnamedExpr(expr) => return column(&expr).map(SelectedName::Column),
        SelectItem::ExprWithAlias { expr, alias } => {
            let column = column(&expr)?;
            if column.name != fold(&alias) {
                return Err(refused(format!("the alias {alias} of a column")));
            }
            return Ok(SelectedName::Column(column));
        }
        SelectItem::Wildcard(options) => (Vec::new(), options),
        SelectItem::QualifiedWildcard(
            SelectItemQualifiedWildcardKind::ObjectName(name),
            options,
        ) => (query::folded_parts(&name)?, options),
        other => return Err(refused(format!("`{other}`"))),
    };
    refuse(options.opt_exclude.is_some(), "* EXCLUDE")?;
    refuse(options.opt_replace.is_some(), "* REPLACE")?;
    Ok(SelectedName::All { qualifier })
}

fn column(expr: &Expr) -> Result<ColumnName, Error> {
    let parts = match expr {
        Expr::Identifier(name) => std::slice::from_ref(name),
        Expr::CompoundIdentifier(parts) => parts.as_slice(),
        other => return Err(refused(format!("the expression {}", shorten(other)))),
    };
    check_column(parts)?;
    let mut qualifier: Vec<String> = parts.iter().map(fold).collect();
    let name = qualifier.pop().unwrap_or_default();
    Ok(ColumnName { qualifier, name })
}

fn order(order_by: ast::OrderBy) -> Result<Vec<OrderName>, Error> {
    let OrderByKind::Expressions(terms) = order_by.kind else {
        return Err(refused("ORDER BY ALL"));
    };
    terms
        .into_iter()
        .map(|term| {
            let column = match &term.expr {
                Expr::Identifier(_) | Expr::CompoundIdentifier(_) => column(&term.expr)?,
                other => return Err(refused(format!("ORDER BY {}", shorten(other)))),
            };
            Ok(OrderName {
                column,
                descending: term.options.asc == Some(false),
                nulls_first: term.options.nulls_first,
            })
        })
        .collect()
}

fn limit(clause: LimitClause) -> Result<Option<Limit>, Error> {
    let LimitClause::LimitOffset { limit, offset, .. } = clause else {
        return Err(refused("OFFSET"));
    };
    refuse(offset.is_some(), "OFFSET")?;
    let Some(limit) = limit else { return Ok(None) };
    if let Expr::Value(value) = &limit {
        match &value.value {
            ast::Value::Placeholder(text) => {
                return Ok(Some(Limit::Parameter(literal::placeholder(text)?)));
            }
            ast::Value::Number(digits, _) => {
                if let Ok(rows) = digits.parse() {
                    return Ok(Some(Limit::Rows(rows)));
                }
            }
            _ => {}
        }
    }
    Err(Error::invalid(format!(
        "LIMIT of a subscription is a whole number or a parameter, not {}",
        shorten(&limit)
    )))
}

impl Subscription {
    /// The SELECT that means the same, without OPTIONS; names without namespace lie in `namespace`.
    #[must_use]
    pub fn to_select(&self, namespace: &str) -> String {
        let columns: Vec<String> = self
            .columns
            .iter()
            .map(|item| match item {
                SelectedName::All { qualifier } => dotted(qualifier, None),
                SelectedName::Column(column) => column.to_string(),
            })
            .collect();
        let namespace = self.table.namespace.as_deref().unwrap_or(namespace);
        let mut text = format!(
            "SELECT {} FROM {}.{}",
            columns.join(", "),
            quoted(namespace),
            quoted(&self.table.name)
        );
        if let Some(alias) = &self.alias {
            text += &format!(" AS {}", quoted(alias));
        }
        if let Some(filter) = &self.filter {
            text += &format!(" WHERE {}", canonical(filter));
        }
        for (index, term) in self.order_by.iter().enumerate() {
            text.push_str(if index == 0 { " ORDER BY " } else { ", " });
            let _ = write!(text, "{}", term.column);
            text.push_str(if term.descending { " DESC" } else { "" });
            text.push_str(match term.nulls_first {
                None => "",
                Some(true) => " NULLS FIRST",
                Some(false) => " NULLS LAST",
            });
        }
        match self.limit {
            None => {}
            Some(Limit::Rows(rows)) => text += &format!(" LIMIT {rows}"),
            Some(Limit::Parameter(index)) => text += &format!(" LIMIT ${}", index + 1),
        }
        text
    }
}

impl std::fmt::Display for ColumnName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&dotted(&self.qualifier, Some(&self.name)))
    }
}

/// `a.b.name`, or `a.b.*`.
fn dotted(qualifier: &[String], name: Option<&str>) -> String {
    let mut text = String::new();
    for part in qualifier {
        text += &quoted(part);
        text.push('.');
    }
    text + &name.map_or_else(|| "*".to_owned(), quoted)
}

/// The identifier as it must be written to be read as `name`.
fn quoted(name: &str) -> String {
    let plain = name.bytes().enumerate().all(|(index, byte)| {
        byte.is_ascii_lowercase() || byte == b'_' || (index > 0 && byte.is_ascii_digit())
    });
    let keyword = ALL_KEYWORDS.contains(&name.to_ascii_uppercase().as_str());
    if plain && !keyword && !name.is_empty() {
        name.to_owned()
    } else {
        ast::Ident::with_quote('"', name).to_string()
    }
}

#[cfg(test)]
mod tests;
