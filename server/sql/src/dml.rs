//! INSERT, UPDATE and DELETE: from sqlparser's tree, with every field accounted for.

use std::collections::BTreeSet;

use kalam_model::check_identifier;
use sqlparser::ast::{
    self, ConflictTarget, Expr, ObjectName, ObjectNamePart, OnConflictAction, OnInsert, SetExpr,
};
use sqlparser::ast::{TableFactor, TableObject, TableWithJoins};

use crate::error::Error;
use crate::input::{Input, fold};
use crate::query::{check_column, check_expr, check_query, check_returning};
use crate::statement::{
    Assignment, Cell, ConflictAction, Delete, Insert, InsertSource, OnConflict, Statement,
    TableRef, Update,
};

/// Stands at INSERT.
pub(crate) fn insert(input: &mut Input<'_>) -> Result<Statement, Error> {
    let token = input.parser.next_token();
    let result = input.parser.parse_insert(token);
    match input.lift(result)? {
        ast::Statement::Insert(insert) => convert_insert(insert),
        _ => Err(Error::unsupported("INSERT into a directory")),
    }
}

fn refuse(present: bool, clause: &str) -> Result<(), Error> {
    if present {
        Err(Error::unsupported(clause))
    } else {
        Ok(())
    }
}

fn convert_insert(insert: ast::Insert) -> Result<Statement, Error> {
    check_insert(&insert)?;
    let ast::Insert {
        table,
        columns,
        source,
        on,
        returning,
        ..
    } = insert;
    let TableObject::TableName(table) = table else {
        return Err(Error::unsupported(
            "INSERT into something that is not a table",
        ));
    };
    let columns = columns
        .iter()
        .map(column_name)
        .collect::<Result<Vec<_>, _>>()?;
    check_distinct(&columns)?;
    let Some(source) = source else {
        return Err(Error::unsupported("DEFAULT VALUES"));
    };
    Ok(Statement::Insert(Box::new(Insert {
        table: table_ref(&table)?,
        source: convert_source(source, columns.len())?,
        columns,
        conflict: on.map(convert_conflict).transpose()?,
        returning: convert_returning(returning)?,
    })))
}

/// Refuses what INSERT does not have here.
fn check_insert(insert: &ast::Insert) -> Result<(), Error> {
    let ast::Insert {
        insert_token: _,
        optimizer_hints,
        or,
        ignore,
        into,
        table: _,
        table_alias,
        columns: _,
        overwrite,
        source: _,
        assignments,
        partitioned,
        after_columns,
        has_table_keyword,
        on: _,
        returning: _,
        output,
        replace_into,
        priority,
        insert_alias,
        settings,
        format_clause,
        multi_table_insert_type,
        multi_table_into_clauses,
        multi_table_when_clauses,
        multi_table_else_clause,
    } = insert;
    refuse(!optimizer_hints.is_empty(), "an optimizer hint")?;
    if or.is_some() || *replace_into {
        return Err(Error::UnsupportedClause {
            clause: "INSERT OR …".to_owned(),
            hint: Some(UPSERT_HINT),
        });
    }
    refuse(*ignore, "INSERT IGNORE")?;
    refuse(*overwrite, "INSERT OVERWRITE")?;
    if !*into {
        return Err(Error::invalid("INSERT needs INTO"));
    }
    refuse(*has_table_keyword, "TABLE after INSERT INTO")?;
    refuse(
        table_alias.is_some() || insert_alias.is_some(),
        "an alias in INSERT",
    )?;
    refuse(!assignments.is_empty(), "INSERT … SET")?;
    refuse(
        partitioned.is_some() || !after_columns.is_empty(),
        "PARTITION",
    )?;
    refuse(output.is_some(), "OUTPUT")?;
    refuse(priority.is_some(), "a priority of INSERT")?;
    refuse(settings.is_some(), "SETTINGS")?;
    refuse(format_clause.is_some(), "FORMAT")?;
    refuse(
        multi_table_insert_type.is_some()
            || !multi_table_into_clauses.is_empty()
            || !multi_table_when_clauses.is_empty()
            || multi_table_else_clause.is_some(),
        "INSERT into several tables",
    )
}

const UPSERT_HINT: &str = "write INSERT … ON CONFLICT (key) DO UPDATE SET … or DO NOTHING";

/// `columns` is 0 if the statement names none.
fn convert_source(mut source: Box<ast::Query>, columns: usize) -> Result<InsertSource, Error> {
    check_query(&mut source)?;
    let is_plain =
        source.with.is_none() && source.order_by.is_none() && source.limit_clause.is_none();
    if !is_plain || !matches!(*source.body, SetExpr::Values(_)) {
        return Ok(InsertSource::Query(source));
    }
    let SetExpr::Values(values) = *source.body else {
        return Err(Error::unsupported("this source of INSERT"));
    };
    let width = match (columns, values.rows.first()) {
        (0, Some(row)) => row.content.len(),
        (columns, _) => columns,
    };
    let mut rows = Vec::with_capacity(values.rows.len());
    for (index, row) in values.rows.into_iter().enumerate() {
        let given = row.content.len();
        if given != width {
            return Err(Error::invalid(format!(
                "row {} of VALUES has {given} value(s), expected {width}",
                index + 1
            )));
        }
        rows.push(row.content.into_iter().map(cell).collect());
    }
    Ok(InsertSource::Values(rows))
}

/// `DEFAULT` as a whole cell reads like a column of that name, which a cell cannot contain.
fn cell(expr: Expr) -> Cell {
    match expr {
        Expr::Identifier(name)
            if name.quote_style.is_none() && name.value.eq_ignore_ascii_case("default") =>
        {
            Cell::Default
        }
        expr => Cell::Expr(expr),
    }
}

fn convert_conflict(on: OnInsert) -> Result<OnConflict, Error> {
    let OnInsert::OnConflict(ast::OnConflict {
        conflict_target,
        action,
    }) = on
    else {
        return Err(Error::UnsupportedClause {
            clause: "ON DUPLICATE KEY UPDATE".to_owned(),
            hint: Some(UPSERT_HINT),
        });
    };
    let target = match conflict_target {
        None => Vec::new(),
        Some(ConflictTarget::Columns(columns)) => columns
            .iter()
            .map(|column| simple_column(std::slice::from_ref(column)))
            .collect::<Result<_, _>>()?,
        Some(ConflictTarget::OnConstraint(_)) => {
            return Err(Error::unsupported("ON CONFLICT ON CONSTRAINT"));
        }
    };
    check_distinct(&target)?;
    let action = match action {
        OnConflictAction::DoNothing => ConflictAction::Nothing,
        OnConflictAction::DoUpdate(ast::DoUpdate {
            assignments,
            mut selection,
        }) => {
            if target.is_empty() {
                return Err(Error::invalid(
                    "ON CONFLICT DO UPDATE needs the key columns: ON CONFLICT (key)",
                ));
            }
            selection.as_mut().map_or(Ok(()), check_expr)?;
            ConflictAction::Update {
                assignments: convert_assignments(assignments)?,
                filter: selection,
            }
        }
    };
    Ok(OnConflict { target, action })
}

fn convert_assignments(assignments: Vec<ast::Assignment>) -> Result<Vec<Assignment>, Error> {
    let mut converted = Vec::with_capacity(assignments.len());
    for ast::Assignment { target, mut value } in assignments {
        let ast::AssignmentTarget::ColumnName(column) = target else {
            return Err(Error::unsupported("SET (a, b) = …"));
        };
        check_expr(&mut value)?;
        converted.push(Assignment {
            column: column_name(&column)?,
            value: cell(value),
        });
    }
    let mut columns = BTreeSet::new();
    for assignment in &converted {
        if !columns.insert(&assignment.column) {
            return Err(Error::invalid(format!(
                "column '{}' is set twice",
                assignment.column
            )));
        }
    }
    Ok(converted)
}

fn convert_returning(
    returning: Option<Vec<ast::SelectItem>>,
) -> Result<Vec<ast::SelectItem>, Error> {
    let items = returning.unwrap_or_default();
    check_returning(&items)?;
    Ok(items)
}

/// Stands at UPDATE.
pub(crate) fn update(input: &mut Input<'_>) -> Result<Statement, Error> {
    let token = input.parser.next_token();
    let result = input.parser.parse_update(token);
    let ast::Statement::Update(ast::Update {
        update_token: _,
        optimizer_hints,
        table,
        assignments,
        from,
        mut selection,
        returning,
        output,
        or,
        order_by,
        limit,
    }) = input.lift(result)?
    else {
        return Err(Error::unsupported("this form of UPDATE"));
    };
    refuse(!optimizer_hints.is_empty(), "an optimizer hint")?;
    refuse(from.is_some(), "UPDATE … FROM")?;
    refuse(output.is_some(), "OUTPUT")?;
    refuse(or.is_some(), "UPDATE OR …")?;
    refuse(!order_by.is_empty(), "ORDER BY in UPDATE")?;
    refuse(limit.is_some(), "LIMIT in UPDATE")?;
    selection.as_mut().map_or(Ok(()), check_expr)?;
    let (table, alias) = target(table, "UPDATE")?;
    Ok(Statement::Update(Box::new(Update {
        table,
        alias,
        assignments: convert_assignments(assignments)?,
        filter: selection,
        returning: convert_returning(returning)?,
    })))
}

/// Stands at DELETE.
pub(crate) fn delete(input: &mut Input<'_>) -> Result<Statement, Error> {
    let token = input.parser.next_token();
    let result = input.parser.parse_delete(token);
    let ast::Statement::Delete(ast::Delete {
        delete_token: _,
        optimizer_hints,
        tables,
        from,
        using,
        mut selection,
        returning,
        output,
        order_by,
        limit,
    }) = input.lift(result)?
    else {
        return Err(Error::unsupported("this form of DELETE"));
    };
    refuse(!optimizer_hints.is_empty(), "an optimizer hint")?;
    refuse(!tables.is_empty(), "DELETE of several tables")?;
    refuse(using.is_some(), "DELETE … USING")?;
    refuse(output.is_some(), "OUTPUT")?;
    refuse(!order_by.is_empty(), "ORDER BY in DELETE")?;
    refuse(limit.is_some(), "LIMIT in DELETE")?;
    selection.as_mut().map_or(Ok(()), check_expr)?;
    let (ast::FromTable::WithFromKeyword(mut from) | ast::FromTable::WithoutKeyword(mut from)) =
        from;
    let table = match (from.pop(), from.is_empty()) {
        (Some(table), true) => table,
        _ => return Err(Error::unsupported("DELETE from several tables")),
    };
    let (table, alias) = target(table, "DELETE")?;
    Ok(Statement::Delete(Box::new(Delete {
        table,
        alias,
        filter: selection,
        returning: convert_returning(returning)?,
    })))
}

/// The one table that a statement is about, and its alias.
pub(crate) fn target(
    table: TableWithJoins,
    statement: &str,
) -> Result<(TableRef, Option<String>), Error> {
    refuse(!table.joins.is_empty(), &format!("JOIN in {statement}"))?;
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
    } = table.relation
    else {
        return Err(Error::invalid(format!(
            "{statement} needs the name of a table"
        )));
    };
    refuse(args.is_some(), &format!("a table function in {statement}"))?;
    refuse(
        !with_hints.is_empty() || !index_hints.is_empty(),
        "a table hint",
    )?;
    refuse(version.is_some(), "a version of a table")?;
    refuse(with_ordinality, "WITH ORDINALITY")?;
    refuse(!partitions.is_empty(), "PARTITION")?;
    refuse(json_path.is_some(), "a path into a table")?;
    refuse(sample.is_some(), "TABLESAMPLE")?;
    let alias = match alias {
        None => None,
        Some(alias) => {
            refuse(
                !alias.columns.is_empty() || alias.at.is_some(),
                &format!("column aliases in {statement}"),
            )?;
            Some(fold(&alias.name))
        }
    };
    Ok((table_ref(&name)?, alias))
}

fn identifiers(name: &ObjectName) -> Result<Vec<ast::Ident>, Error> {
    name.0
        .iter()
        .map(|part| match part {
            ObjectNamePart::Identifier(ident) if ident.quote_style != Some('\'') => {
                check_identifier(&ident.value)?;
                Ok(ident.clone())
            }
            _ => Err(Error::invalid("expected a name")),
        })
        .collect()
}

fn table_ref(name: &ObjectName) -> Result<TableRef, Error> {
    match identifiers(name)?.as_slice() {
        [table] => Ok(TableRef {
            namespace: None,
            name: fold(table),
        }),
        [namespace, table] => Ok(TableRef {
            namespace: Some(fold(namespace)),
            name: fold(table),
        }),
        _ => Err(Error::invalid(format!(
            "`{name}` has too many parts: a table is named namespace.name"
        ))),
    }
}

fn column_name(name: &ObjectName) -> Result<String, Error> {
    simple_column(&identifiers(name)?)
}

fn simple_column(parts: &[ast::Ident]) -> Result<String, Error> {
    check_column(parts)?;
    match parts {
        [column] => {
            check_identifier(&column.value)?;
            Ok(fold(column))
        }
        _ => Err(Error::invalid("a column is named here without its table")),
    }
}

fn check_distinct(columns: &[String]) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    match columns.iter().find(|column| !seen.insert(*column)) {
        Some(column) => Err(Error::invalid(format!("column '{column}' is named twice"))),
        None => Ok(()),
    }
}
