//! Syntax trees made ready for planning: `_seq` kept out of wildcards, and result columns named by their text.
//!
//! Tables show `_seq` only to statements that name it. In these, every wildcard that would take it in from a table gets
//! an EXCLUDE; one over several tables becomes one wildcard per table. A subquery that selects `_seq` by name offers it
//! like any other column.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, ExcludeSelectItem, Expr, Ident, JoinConstraint, JoinOperator, ObjectName, Query, Select,
    SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TableAlias, TableFactor, TableWithJoins,
    Visit as _, VisitMut, Visitor, VisitorMut, WildcardAdditionalOptions,
};

use crate::error::Error;
use crate::pushdown::SEQ_COLUMN;
use crate::table::SeqColumn;
use crate::visible::folded;

/// Longer texts make no useful name for a column.
const NAME_CHARS_MAX: usize = 120;

/// Makes `query` ready. `is_table` tells whether a name means a table that has `_seq`.
pub(crate) fn prepare(
    mut query: Query,
    is_table: impl Fn(&ObjectName) -> bool,
) -> Result<(Query, SeqColumn), Error> {
    name_subqueries(&mut query);
    let seq = if mentions_seq(&query) {
        SeqColumn::Offered
    } else {
        SeqColumn::Hidden
    };
    if seq == SeqColumn::Offered {
        let mut rewriter = Wildcards {
            ctes: cte_names(&query),
            is_table,
            error: None,
        };
        let _ = VisitMut::visit(&mut query, &mut rewriter);
        if let Some(error) = rewriter.error {
            return Err(error);
        }
    }
    name_columns(&mut query.body);
    Ok((query, seq))
}

/// Names the subqueries after FROM that have none. DataFusion 55 takes equal projections that follow directly upon each
/// other for one, so that `SELECT i + 1 AS i FROM (SELECT i + 1 AS i FROM …)` would add 1 only once; a name keeps them
/// apart.
fn name_subqueries(query: &mut Query) {
    struct Names(usize);
    impl VisitorMut for Names {
        type Break = ();
        fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
            if let TableFactor::Derived {
                alias: alias @ None,
                ..
            } = factor
            {
                self.0 += 1;
                *alias = Some(TableAlias {
                    explicit: true,
                    name: Ident::new(format!("_subquery_{}", self.0)),
                    columns: Vec::new(),
                    at: None,
                });
            }
            ControlFlow::Continue(())
        }
    }
    let _ = VisitMut::visit(query, &mut Names(0));
}

fn mentions_seq(query: &Query) -> bool {
    struct Mentions;
    impl Visitor for Mentions {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            let last = match expr {
                Expr::Identifier(ident) => Some(ident),
                Expr::CompoundIdentifier(parts) => parts.last(),
                _ => None,
            };
            if last.is_some_and(is_seq) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        }
    }
    query.visit(&mut Mentions).is_break()
}

fn is_seq(ident: &Ident) -> bool {
    folded(ident) == SEQ_COLUMN
}

fn cte_names(query: &Query) -> BTreeSet<String> {
    struct Names(BTreeSet<String>);
    impl Visitor for Names {
        type Break = ();
        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
                self.0.insert(folded(&cte.alias.name));
            }
            ControlFlow::Continue(())
        }
    }
    let mut names = Names(BTreeSet::new());
    let _ = query.visit(&mut names);
    names.0
}

/// Gives each result column without a name its text as name.
fn name_columns(body: &mut SetExpr) {
    let select = match body {
        SetExpr::Select(select) => select,
        SetExpr::SetOperation { left, .. } => return name_columns(left),
        SetExpr::Query(query) => return name_columns(&mut query.body),
        _ => return,
    };
    let mut uses = BTreeMap::new();
    for item in &mut select.projection {
        let SelectItem::UnnamedExpr(expr) = item else {
            continue;
        };
        let (mut name, is_column) = match expr {
            Expr::Identifier(column) => (folded(column), true),
            Expr::CompoundIdentifier(_) => (expr.to_string(), true),
            _ => (expr.to_string(), false),
        };
        if name.chars().count() > NAME_CHARS_MAX || mentions_unnest(expr) {
            continue;
        }
        // The planner refuses equal names: further ones get a number.
        let uses = uses.entry(name.clone()).or_insert(0);
        *uses += 1;
        if *uses > 1 {
            name = format!("{name}:{}", *uses - 1);
        } else if is_column {
            continue;
        }
        *item = SelectItem::ExprWithAlias {
            expr: expr.clone(),
            alias: Ident::with_quote('"', name),
        };
    }
}

/// `unnest` of a struct gives several columns, which cannot share a name.
fn mentions_unnest(expr: &Expr) -> bool {
    struct Unnest;
    impl Visitor for Unnest {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Function(function)
                    if function.name.to_string().eq_ignore_ascii_case("unnest") =>
                {
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    expr.visit(&mut Unnest).is_break()
}

struct Wildcards<F> {
    ctes: BTreeSet<String>,
    is_table: F,
    error: Option<Error>,
}

impl<F: Fn(&ObjectName) -> bool> VisitorMut for Wildcards<F> {
    type Break = ();

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        match self.rewrite(select) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.error = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}

/// Something after FROM.
struct Source {
    qualifier: Option<ObjectName>,
    has_seq: bool,
    /// Columns of USING that an earlier source shows already.
    merged: Vec<Ident>,
}

impl<F: Fn(&ObjectName) -> bool> Wildcards<F> {
    fn rewrite(&mut self, select: &mut Select) -> Result<(), Error> {
        let is_wildcard = |item: &SelectItem| {
            matches!(
                item,
                SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)
            )
        };
        if !select.projection.iter().any(is_wildcard) {
            return Ok(());
        }
        let mut sources = Vec::new();
        for table in &mut select.from {
            self.collect(table, &mut sources)?;
        }
        if !sources.iter().any(|source| source.has_seq) {
            return Ok(());
        }
        let items = std::mem::take(&mut select.projection);
        for item in items {
            match item {
                SelectItem::Wildcard(options) if sources.len() == 1 => {
                    select
                        .projection
                        .push(SelectItem::Wildcard(excluding(options, &[seq_ident()])?));
                }
                SelectItem::Wildcard(options) => {
                    expand(&options, &sources, &mut select.projection)?
                }
                SelectItem::QualifiedWildcard(kind, options) => {
                    let options = if qualifies_seq(&kind, &sources) {
                        excluding(options, &[seq_ident()])?
                    } else {
                        options
                    };
                    select
                        .projection
                        .push(SelectItem::QualifiedWildcard(kind, options));
                }
                other => select.projection.push(other),
            }
        }
        Ok(())
    }

    fn collect(
        &mut self,
        table: &mut TableWithJoins,
        sources: &mut Vec<Source>,
    ) -> Result<(), Error> {
        self.collect_factor(&mut table.relation, Vec::new(), sources)?;
        for join in &mut table.joins {
            let constraint = match &join.join_operator {
                JoinOperator::LeftSemi(_)
                | JoinOperator::LeftAnti(_)
                | JoinOperator::Semi(_)
                | JoinOperator::Anti(_) => {
                    continue;
                }
                JoinOperator::Join(constraint)
                | JoinOperator::Inner(constraint)
                | JoinOperator::Left(constraint)
                | JoinOperator::LeftOuter(constraint)
                | JoinOperator::Right(constraint)
                | JoinOperator::RightOuter(constraint)
                | JoinOperator::FullOuter(constraint) => Some(constraint),
                JoinOperator::CrossJoin(_) => None,
                _ => {
                    return Err(Error::unsupported(
                        "this kind of JOIN in a statement that names _seq",
                    ));
                }
            };
            let merged = match constraint {
                Some(JoinConstraint::Using(columns)) => columns
                    .iter()
                    .filter_map(|name| name.0.last()?.as_ident().cloned())
                    .collect(),
                Some(JoinConstraint::Natural) => {
                    return Err(Error::unsupported(
                        "NATURAL JOIN with a wildcard in a statement that names _seq",
                    ));
                }
                _ => Vec::new(),
            };
            self.collect_factor(&mut join.relation, merged, sources)?;
        }
        Ok(())
    }

    fn collect_factor(
        &mut self,
        factor: &mut TableFactor,
        merged: Vec<Ident>,
        sources: &mut Vec<Source>,
    ) -> Result<(), Error> {
        let named = |alias: &TableAlias| ObjectName::from(vec![alias.name.clone()]);
        let source = match factor {
            TableFactor::Table {
                name,
                alias,
                args: None,
                ..
            } => {
                let is_cte = name.0.len() == 1
                    && name.0[0]
                        .as_ident()
                        .is_some_and(|ident| self.ctes.contains(&folded(ident)));
                let has_seq = !is_cte && (self.is_table)(name);
                Source {
                    qualifier: Some(alias.as_ref().map_or_else(|| name.clone(), named)),
                    has_seq,
                    merged,
                }
            }
            TableFactor::Derived { alias, .. } => Source {
                qualifier: alias.as_ref().map(named),
                has_seq: false,
                merged,
            },
            TableFactor::NestedJoin {
                table_with_joins,
                alias: None,
            } => return self.collect(table_with_joins, sources),
            TableFactor::UNNEST { alias, .. }
            | TableFactor::Function { alias, .. }
            | TableFactor::Table { alias, .. } => Source {
                qualifier: alias.as_ref().map(named),
                has_seq: false,
                merged,
            },
            _ => Source {
                qualifier: None,
                has_seq: false,
                merged,
            },
        };
        sources.push(source);
        Ok(())
    }
}

fn seq_ident() -> Ident {
    Ident::new(SEQ_COLUMN)
}

/// One wildcard for each source.
fn expand(
    options: &WildcardAdditionalOptions,
    sources: &[Source],
    projection: &mut Vec<SelectItem>,
) -> Result<(), Error> {
    let plain = options.opt_exclude.is_none()
        && options.opt_except.is_none()
        && options.opt_replace.is_none()
        && options.opt_rename.is_none()
        && options.opt_ilike.is_none();
    for source in sources {
        let (Some(qualifier), true) = (&source.qualifier, plain) else {
            return Err(Error::unsupported(
                "this wildcard in a statement that names _seq",
            ));
        };
        let mut excluded = source.merged.clone();
        if source.has_seq {
            excluded.push(seq_ident());
        }
        let kind = SelectItemQualifiedWildcardKind::ObjectName(qualifier.clone());
        let options = excluding(WildcardAdditionalOptions::default(), &excluded)?;
        projection.push(SelectItem::QualifiedWildcard(kind, options));
    }
    Ok(())
}

fn excluding(
    mut options: WildcardAdditionalOptions,
    columns: &[Ident],
) -> Result<WildcardAdditionalOptions, Error> {
    if columns.is_empty() {
        return Ok(options);
    }
    let mut names = match options.opt_exclude.take() {
        None => Vec::new(),
        Some(ExcludeSelectItem::Single(name)) => vec![name],
        Some(ExcludeSelectItem::Multiple(names)) => names,
    };
    for column in columns {
        let name = ObjectName::from(vec![column.clone()]);
        if !names
            .iter()
            .any(|there| there.to_string() == name.to_string())
        {
            names.push(name);
        }
    }
    options.opt_exclude = Some(ExcludeSelectItem::Multiple(names));
    Ok(options)
}

fn qualifies_seq(kind: &SelectItemQualifiedWildcardKind, sources: &[Source]) -> bool {
    let SelectItemQualifiedWildcardKind::ObjectName(wanted) = kind else {
        return false;
    };
    let wanted = parts(wanted);
    sources.iter().any(|source| {
        source.has_seq
            && source
                .qualifier
                .as_ref()
                .is_some_and(|qualifier| parts(qualifier).ends_with(&wanted))
    })
}

fn parts(name: &ObjectName) -> Vec<String> {
    name.0
        .iter()
        .filter_map(|part| part.as_ident().map(folded))
        .collect()
}

/// Parameters that a query uses: the largest position.
pub(crate) fn parameters(query: &Query) -> Result<usize, Error> {
    struct Parameters(Result<usize, Error>);
    impl Visitor for Parameters {
        type Break = ();
        fn pre_visit_value(&mut self, value: &ast::ValueWithSpan) -> ControlFlow<()> {
            let ast::Value::Placeholder(name) = &value.value else {
                return ControlFlow::Continue(());
            };
            match (
                name.strip_prefix('$')
                    .and_then(|digits| digits.parse::<usize>().ok()),
                &mut self.0,
            ) {
                (Some(position), Ok(largest)) if position > 0 => *largest = position.max(*largest),
                _ => {
                    self.0 = Err(Error::Plan {
                        message: format!("`{name}` is not a parameter: write $1, $2, …"),
                    });
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        }
    }
    let mut parameters = Parameters(Ok(0));
    let _ = query.visit(&mut parameters);
    parameters.0
}
