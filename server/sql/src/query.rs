//! What a query may contain: everything that is written must mean something to the planner, and nothing may reach
//! beyond the tables that a caller sees. What is not on the list is refused by name.

mod expr;

use std::ops::ControlFlow;

use kalam_model::check_identifier;
use sqlparser::ast::{
    Cte, Expr, Fetch, Function, FunctionArg, FunctionArgExpr, GroupByExpr, Ident, Join,
    JoinConstraint, JoinOperator, LimitClause, ObjectName, ObjectNamePart, OrderBy, OrderByExpr,
    OrderByKind, Query, Select, SelectFlavor, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    TableAlias, TableFactor, TableWithJoins, Value, ValueWithSpan, Visit, VisitMut, Visitor,
    VisitorMut, WildcardAdditionalOptions,
};

use crate::error::Error;
use crate::input::fold;
pub(crate) use expr::check_column;

/// Tables, views and table functions that one statement may read, each counted as often as WITH repeats it: a chain of
/// CTEs that each name the one before twice would double the plan with every step.
pub const RELATIONS_MAX: usize = 256;

/// Functions that may stand in FROM.
const TABLE_FUNCTIONS: [&str; 3] = ["generate_series", "range", "unnest"];

/// Checks a whole query.
pub(crate) fn check_query(query: &mut Query) -> Result<(), Error> {
    let _ = VisitMut::visit(query, &mut Unnests);
    finish(Visit::visit(query, &mut Check::default()))
}

/// Checks an expression outside of a query.
pub(crate) fn check_expr(expr: &mut Expr) -> Result<(), Error> {
    let _ = VisitMut::visit(expr, &mut Unnests);
    finish(Visit::visit(expr, &mut Check::default()))
}

/// Checks the list after RETURNING.
pub(crate) fn check_returning(items: &[SelectItem]) -> Result<(), Error> {
    items.iter().try_for_each(check_select_item)?;
    items
        .iter()
        .try_for_each(|item| finish(item.visit(&mut Check::default())))
}

/// Checks that an expression does not depend on a row, a parameter or a query, so that it can be a default.
pub(crate) fn check_constant(expr: &mut Expr) -> Result<(), Error> {
    check_expr(expr)?;
    finish(Visit::visit(expr, &mut Constant))
}

/// Checks that a query has no parameters, so that it can be stored.
pub(crate) fn check_stored(query: &Query) -> Result<(), Error> {
    struct Stored;
    impl Visitor for Stored {
        type Break = Error;
        fn pre_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<Error> {
            match value.value {
                Value::Placeholder(_) => {
                    ControlFlow::Break(Error::invalid("a view has no parameters"))
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    finish(query.visit(&mut Stored))
}

fn finish(flow: ControlFlow<Error>) -> Result<(), Error> {
    match flow {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

fn flow(result: Result<(), Error>) -> ControlFlow<Error> {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    }
}

/// Refuses a clause that is there.
fn refuse(present: bool, clause: &str) -> Result<(), Error> {
    if present {
        Err(Error::unsupported(clause))
    } else {
        Ok(())
    }
}

/// sqlparser knows `FROM unnest(…)` for what it is in its own dialects only.
struct Unnests;

impl VisitorMut for Unnests {
    type Break = std::convert::Infallible;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Self::Break> {
        if let TableFactor::Table {
            name,
            alias,
            args: Some(args),
            with_ordinality,
            ..
        } = factor
            && single_part(name).is_some_and(|name| fold(name) == "unnest")
        {
            let arrays = args.args.iter().map(|argument| match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(array)) => Some(array.clone()),
                _ => None,
            });
            if let Some(array_exprs) = arrays.collect() {
                *factor = TableFactor::UNNEST {
                    alias: alias.take(),
                    array_exprs,
                    with_offset: false,
                    with_offset_alias: None,
                    with_ordinality: *with_ordinality,
                };
            }
        }
        ControlFlow::Continue(())
    }
}

struct Constant;

impl Visitor for Constant {
    type Break = Error;

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<Error> {
        ControlFlow::Break(Error::invalid("a default contains no query"))
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Error> {
        flow(match expr {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => Err(Error::invalid(format!(
                "a default must be constant, but `{expr}` is a column"
            ))),
            Expr::Function(Function {
                over: None,
                filter: None,
                ..
            }) => Ok(()),
            Expr::Function(function) => Err(Error::invalid(format!(
                "a default cannot use `{}` over rows",
                function.name
            ))),
            _ => Ok(()),
        })
    }

    fn pre_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<Error> {
        match value.value {
            Value::Placeholder(_) => {
                ControlFlow::Break(Error::invalid("a default has no parameters"))
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

/// One query that is being visited.
#[derive(Default)]
struct Frame {
    /// Names of WITH whose queries are still to come; queries directly below are visited in this order.
    pending: std::collections::VecDeque<String>,
    /// Relations behind each name of WITH.
    ctes: Vec<(String, usize)>,
    relations: usize,
}

#[derive(Default)]
struct Check {
    frames: Vec<Frame>,
}

impl Visitor for Check {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Error> {
        let ctes = query.with.iter().flat_map(|with| &with.cte_tables);
        let pending = ctes.map(|cte| fold(&cte.alias.name)).collect();
        self.frames.push(Frame {
            pending,
            ..Frame::default()
        });
        flow(check_query_clauses(query))
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<Error> {
        let Some(done) = self.frames.pop() else {
            return ControlFlow::Continue(());
        };
        let Some(parent) = self.frames.last_mut() else {
            return ControlFlow::Continue(());
        };
        match parent.pending.pop_front() {
            Some(name) => parent.ctes.push((name, done.relations)),
            None => parent.relations = parent.relations.saturating_add(done.relations),
        }
        flow(check_relations(parent.relations))
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Error> {
        flow(check_select(select))
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Error> {
        if let Err(error) = check_table_factor(factor) {
            return ControlFlow::Break(error);
        }
        let relations = match factor {
            TableFactor::Table { name, .. } => self.relations_behind(name),
            TableFactor::Function { .. } | TableFactor::UNNEST { .. } => 1,
            _ => 0,
        };
        let Some(frame) = self.frames.last_mut() else {
            return ControlFlow::Continue(());
        };
        frame.relations = frame.relations.saturating_add(relations);
        flow(check_relations(frame.relations))
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Error> {
        flow(expr::check_node(expr))
    }

    fn pre_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<Error> {
        flow(expr::check_value(&value.value))
    }

    fn pre_visit_statement(&mut self, _: &sqlparser::ast::Statement) -> ControlFlow<Error> {
        ControlFlow::Break(Error::unsupported(
            "a statement that changes rows inside a query",
        ))
    }
}

impl Check {
    fn relations_behind(&self, name: &ObjectName) -> usize {
        let [ObjectNamePart::Identifier(name)] = name.0.as_slice() else {
            return 1;
        };
        let name = fold(name);
        let known = self
            .frames
            .iter()
            .rev()
            .flat_map(|frame| frame.ctes.iter().rev());
        known
            .filter(|(cte, _)| *cte == name)
            .map(|(_, relations)| (*relations).max(1))
            .next()
            .unwrap_or(1)
    }
}

fn check_relations(relations: usize) -> Result<(), Error> {
    if relations > RELATIONS_MAX {
        return Err(Error::TooMany {
            what: "tables in one query, counting each use of a WITH",
            max: RELATIONS_MAX,
        });
    }
    Ok(())
}

fn check_query_clauses(query: &Query) -> Result<(), Error> {
    let Query {
        with,
        body,
        order_by,
        limit_clause,
        fetch,
        locks,
        for_clause,
        settings,
        format_clause,
        pipe_operators,
    } = query;
    if let Some(with) = with {
        with.cte_tables.iter().try_for_each(check_cte)?;
    }
    check_body(body)?;
    order_by.as_ref().map_or(Ok(()), check_order_by)?;
    match limit_clause {
        None => {}
        Some(LimitClause::LimitOffset {
            limit: _,
            offset: _,
            limit_by,
        }) => refuse(!limit_by.is_empty(), "LIMIT … BY")?,
        Some(LimitClause::OffsetCommaLimit { .. }) => {
            return Err(Error::UnsupportedClause {
                clause: "LIMIT offset, count".to_owned(),
                hint: Some("write LIMIT count OFFSET offset"),
            });
        }
    }
    if let Some(Fetch { .. }) = fetch {
        return Err(Error::UnsupportedClause {
            clause: "FETCH".to_owned(),
            hint: Some("write LIMIT"),
        });
    }
    if let Some(lock) = locks.first() {
        return Err(Error::unsupported(lock.to_string()));
    }
    refuse(for_clause.is_some(), "FOR XML or FOR JSON")?;
    refuse(settings.is_some(), "SETTINGS")?;
    refuse(format_clause.is_some(), "FORMAT")?;
    refuse(!pipe_operators.is_empty(), "|>")
}

fn check_cte(cte: &Cte) -> Result<(), Error> {
    let Cte {
        alias,
        query: _,
        from,
        materialized,
        closing_paren_token: _,
    } = cte;
    check_alias(alias)?;
    refuse(from.is_some(), "FROM after WITH")?;
    refuse(materialized.is_some(), "MATERIALIZED")
}

/// The set operations form a chain whose length was bounded by its tokens.
fn check_body(body: &SetExpr) -> Result<(), Error> {
    match body {
        SetExpr::Select(_) | SetExpr::Query(_) => Ok(()),
        SetExpr::SetOperation {
            left,
            op: _,
            set_quantifier: _,
            right,
        } => {
            check_body(left)?;
            check_body(right)
        }
        SetExpr::Values(values) => {
            refuse(values.explicit_row, "VALUES ROW (…)")?;
            refuse(values.value_keyword, "VALUE (…)")
        }
        SetExpr::Insert(_) => Err(Error::unsupported("INSERT inside a query")),
        SetExpr::Update(_) => Err(Error::unsupported("UPDATE inside a query")),
        SetExpr::Delete(_) => Err(Error::unsupported("DELETE inside a query")),
        SetExpr::Merge(_) => Err(Error::unsupported("MERGE inside a query")),
        SetExpr::Table(table) => Err(Error::UnsupportedClause {
            clause: table.to_string(),
            hint: Some("write SELECT * FROM"),
        }),
    }
}

fn check_order_by(order_by: &OrderBy) -> Result<(), Error> {
    let OrderBy { kind, interpolate } = order_by;
    refuse(interpolate.is_some(), "INTERPOLATE")?;
    match kind {
        OrderByKind::All(_) => Ok(()),
        OrderByKind::Expressions(list) => check_order_list(list),
    }
}

fn check_order_list(list: &[OrderByExpr]) -> Result<(), Error> {
    list.iter().try_for_each(
        |OrderByExpr {
             expr: _,
             options: _,
             with_fill,
         }| refuse(with_fill.is_some(), "WITH FILL"),
    )
}

fn check_select(select: &Select) -> Result<(), Error> {
    let Select {
        select_token: _,
        optimizer_hints,
        distinct: _,
        select_modifiers,
        top,
        top_before_distinct: _,
        projection,
        exclude,
        into,
        from,
        lateral_views,
        prewhere,
        selection: _,
        connect_by,
        group_by,
        cluster_by,
        distribute_by,
        sort_by,
        having: _,
        named_window: _,
        qualify: _,
        window_before_qualify: _,
        value_table_mode,
        flavor,
    } = select;
    refuse(!optimizer_hints.is_empty(), "an optimizer hint")?;
    refuse(select_modifiers.is_some(), "a modifier after SELECT")?;
    if top.is_some() {
        return Err(Error::UnsupportedClause {
            clause: "TOP".to_owned(),
            hint: Some("write LIMIT"),
        });
    }
    refuse(exclude.is_some(), "EXCLUDE after the list of columns")?;
    refuse(into.is_some(), "SELECT INTO")?;
    refuse(!lateral_views.is_empty(), "LATERAL VIEW")?;
    refuse(prewhere.is_some(), "PREWHERE")?;
    refuse(!connect_by.is_empty(), "CONNECT BY")?;
    refuse(!cluster_by.is_empty(), "CLUSTER BY")?;
    refuse(!distribute_by.is_empty(), "DISTRIBUTE BY")?;
    refuse(!sort_by.is_empty(), "SORT BY")?;
    refuse(value_table_mode.is_some(), "SELECT AS")?;
    refuse(*flavor != SelectFlavor::Standard, "FROM before SELECT")?;
    let (GroupByExpr::All(modifiers) | GroupByExpr::Expressions(_, modifiers)) = group_by;
    if let Some(modifier) = modifiers.first() {
        return Err(Error::unsupported(format!("GROUP BY … {modifier}")));
    }
    projection.iter().try_for_each(check_select_item)?;
    from.iter().try_for_each(check_joins)
}

fn check_select_item(item: &SelectItem) -> Result<(), Error> {
    match item {
        SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. } => Ok(()),
        SelectItem::ExprWithAliases { .. } => {
            Err(Error::unsupported("several aliases of one expression"))
        }
        SelectItem::Wildcard(options) => check_wildcard(options),
        SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(_), options) => {
            check_wildcard(options)
        }
        SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::Expr(_), _) => {
            Err(Error::unsupported("`.*` after an expression"))
        }
    }
}

fn check_wildcard(options: &WildcardAdditionalOptions) -> Result<(), Error> {
    let WildcardAdditionalOptions {
        wildcard_token: _,
        opt_ilike,
        opt_exclude: _,
        opt_except,
        opt_replace: _,
        opt_rename,
        opt_alias,
    } = options;
    refuse(opt_ilike.is_some(), "* ILIKE")?;
    refuse(opt_except.is_some(), "* EXCEPT")?;
    refuse(opt_rename.is_some(), "* RENAME")?;
    refuse(opt_alias.is_some(), "an alias of *")
}

fn check_joins(from: &TableWithJoins) -> Result<(), Error> {
    from.joins.iter().try_for_each(
        |Join {
             relation: _,
             global,
             join_operator,
         }| {
            refuse(*global, "GLOBAL JOIN")?;
            match join_operator {
                JoinOperator::Join(_)
                | JoinOperator::Inner(_)
                | JoinOperator::Left(_)
                | JoinOperator::LeftOuter(_)
                | JoinOperator::Right(_)
                | JoinOperator::RightOuter(_)
                | JoinOperator::FullOuter(_)
                | JoinOperator::CrossJoin(JoinConstraint::None)
                | JoinOperator::LeftSemi(_)
                | JoinOperator::RightSemi(_)
                | JoinOperator::LeftAnti(_)
                | JoinOperator::RightAnti(_) => Ok(()),
                JoinOperator::CrossJoin(_) => {
                    Err(Error::unsupported("CROSS JOIN with a condition"))
                }
                JoinOperator::Semi(_) => Err(Error::unsupported("SEMI JOIN without LEFT or RIGHT")),
                JoinOperator::Anti(_) => Err(Error::unsupported("ANTI JOIN without LEFT or RIGHT")),
                JoinOperator::CrossApply => Err(Error::unsupported("CROSS APPLY")),
                JoinOperator::OuterApply => Err(Error::unsupported("OUTER APPLY")),
                JoinOperator::AsOf { .. } => Err(Error::unsupported("ASOF JOIN")),
                JoinOperator::StraightJoin(_) => Err(Error::unsupported("STRAIGHT_JOIN")),
                JoinOperator::ArrayJoin
                | JoinOperator::LeftArrayJoin
                | JoinOperator::InnerArrayJoin => Err(Error::unsupported("ARRAY JOIN")),
            }
        },
    )
}

fn check_table_factor(factor: &TableFactor) -> Result<(), Error> {
    match factor {
        TableFactor::Table { .. } => check_named_table(factor),
        TableFactor::Derived {
            lateral: _,
            subquery: _,
            alias,
            sample,
        } => {
            refuse(sample.is_some(), "TABLESAMPLE")?;
            check_optional_alias(alias.as_ref())
        }
        TableFactor::Function {
            lateral: _,
            name,
            args: _,
            with_ordinality,
            alias,
        } => {
            refuse(*with_ordinality, "WITH ORDINALITY")?;
            check_table_function(name)?;
            check_optional_alias(alias.as_ref())
        }
        TableFactor::UNNEST {
            alias,
            array_exprs: _,
            with_offset,
            with_offset_alias,
            with_ordinality,
        } => {
            refuse(*with_offset || with_offset_alias.is_some(), "WITH OFFSET")?;
            refuse(*with_ordinality, "WITH ORDINALITY")?;
            check_optional_alias(alias.as_ref())
        }
        TableFactor::NestedJoin {
            table_with_joins,
            alias,
        } => {
            refuse(alias.is_some(), "an alias of a join in parentheses")?;
            check_joins(table_with_joins)
        }
        TableFactor::TableFunction { .. } => Err(Error::unsupported("TABLE (…)")),
        TableFactor::JsonTable { .. } => Err(Error::unsupported("JSON_TABLE")),
        TableFactor::OpenJsonTable { .. } => Err(Error::unsupported("OPENJSON")),
        TableFactor::Pivot { .. } => Err(Error::unsupported("PIVOT")),
        TableFactor::Unpivot { .. } => Err(Error::unsupported("UNPIVOT")),
        TableFactor::MatchRecognize { .. } => Err(Error::unsupported("MATCH_RECOGNIZE")),
        TableFactor::XmlTable { .. } => Err(Error::unsupported("XMLTABLE")),
        TableFactor::SemanticView { .. } => Err(Error::unsupported("SEMANTIC_VIEW")),
    }
}

fn check_named_table(factor: &TableFactor) -> Result<(), Error> {
    let TableFactor::Table {
        name,
        alias,
        args,
        with_hints,
        version,
        with_ordinality,
        partitions,
        json_path,
        sample,
        index_hints,
    } = factor
    else {
        return Ok(());
    };
    refuse(!with_hints.is_empty(), "WITH (…) after a table")?;
    refuse(version.is_some(), "a version of a table")?;
    refuse(*with_ordinality, "WITH ORDINALITY")?;
    refuse(!partitions.is_empty(), "PARTITION")?;
    refuse(json_path.is_some(), "a path into a table")?;
    refuse(sample.is_some(), "TABLESAMPLE")?;
    refuse(!index_hints.is_empty(), "an index hint")?;
    if let Some(args) = args {
        refuse(args.settings.is_some(), "SETTINGS")?;
        check_table_function(name)?;
    } else {
        check_table_name(name)?;
    }
    check_optional_alias(alias.as_ref())
}

fn check_table_function(name: &ObjectName) -> Result<(), Error> {
    let folded = single_part(name).map(fold);
    if folded
        .as_deref()
        .is_some_and(|name| TABLE_FUNCTIONS.contains(&name))
    {
        return Ok(());
    }
    Err(Error::UnsupportedClause {
        clause: format!("the table function `{name}`"),
        hint: Some("table functions are generate_series, range and unnest"),
    })
}

/// The parts of a name, folded.
pub(crate) fn folded_parts(name: &ObjectName) -> Result<Vec<String>, Error> {
    let parts = name.0.iter().map(|part| match part {
        ObjectNamePart::Identifier(ident) => Ok(fold(ident)),
        ObjectNamePart::Function(_) => Err(Error::unsupported("a function instead of a name")),
    });
    parts.collect()
}

fn single_part(name: &ObjectName) -> Option<&Ident> {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(ident)] => Some(ident),
        _ => None,
    }
}

/// `[namespace.]name`: files and catalogs cannot be named.
fn check_table_name(name: &ObjectName) -> Result<(), Error> {
    if name.0.len() > 2 {
        return Err(Error::invalid(format!(
            "`{name}` has too many parts: a table is named namespace.name"
        )));
    }
    name.0.iter().try_for_each(|part| match part {
        ObjectNamePart::Identifier(ident) if ident.quote_style == Some('\'') => {
            Err(Error::unsupported("a string instead of a table name"))
        }
        ObjectNamePart::Identifier(ident) => Ok(check_identifier(&ident.value)?),
        ObjectNamePart::Function(_) => {
            Err(Error::unsupported("a function instead of a table name"))
        }
    })
}

fn check_optional_alias(alias: Option<&TableAlias>) -> Result<(), Error> {
    alias.map_or(Ok(()), check_alias)
}

fn check_alias(alias: &TableAlias) -> Result<(), Error> {
    let TableAlias {
        explicit: _,
        name: _,
        columns,
        at,
    } = alias;
    refuse(at.is_some(), "AT after an alias")?;
    refuse(
        columns.iter().any(|column| column.data_type.is_some()),
        "types in an alias",
    )
}
