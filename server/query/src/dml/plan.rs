//! Compiles statements about the rows of one table. What comes out names no user, scope or time (I8).

use std::collections::BTreeSet;
use std::sync::Arc;

use kalam_engine::Table;
use kalam_model::TableKind;
use kalam_sql::ast::{self, SelectItem};
use kalam_sql::statement::{self, Assignment, Cell, ConflictAction, InsertSource, OnConflict};
use kalam_sql::{ColumnScope, Expr};

use crate::dml::returning::Output;
use crate::error::Error;
use crate::point::{KeyFilter, PointSelect};
use crate::visible;

/// A compiled statement.
pub(crate) struct Plan {
    /// The version of the table that it is compiled for.
    pub table: Arc<Table>,
    pub form: Form,
}

/// Its parts.
pub(crate) enum Form {
    Insert(Insert),
    Update(Update),
    Delete(Delete),
    Select(PointSelect),
    /// A SELECT that the planner runs.
    Planned,
}

pub(crate) struct Insert {
    /// For each column of the table its position in the source; `None` if the statement does not name it.
    pub positions: Vec<Option<usize>>,
    /// For each position the column of the table.
    pub targets: Vec<usize>,
    /// For each column of the table its default.
    pub defaults: Vec<Option<Expr>>,
    /// VALUES; empty for INSERT … SELECT.
    pub rows: Vec<Vec<Source>>,
    pub conflict: Option<Conflict>,
    pub returning: Output,
}

/// Where a value of VALUES or SET comes from.
pub(crate) enum Source {
    Default,
    Expr(Expr),
    /// Only the planner can evaluate the expression.
    Planned,
}

pub(crate) enum Conflict {
    Nothing,
    Update {
        assignments: Vec<(usize, Source)>,
        filter: Option<Expr>,
    },
}

pub(crate) struct Update {
    pub assignments: Vec<(usize, Source)>,
    pub defaults: Vec<Option<Expr>>,
    /// Rows by key; else a scan finds them.
    pub key: Option<KeyFilter>,
    pub returning: Output,
}

pub(crate) struct Delete {
    pub key: Option<KeyFilter>,
    pub returning: Output,
}

pub(crate) fn insert(statement: &statement::Insert, table: &Arc<Table>) -> Result<Plan, Error> {
    let def = &table.def;
    let targets = targets(&statement.columns, table)?;
    let mut positions = vec![None; def.columns.len()];
    for (position, &column) in targets.iter().enumerate() {
        positions[column] = Some(position);
    }
    let rows = match &statement.source {
        InsertSource::Query(_) => Vec::new(),
        InsertSource::Values(rows) => {
            let compile_row = |(index, row): (usize, &Vec<Cell>)| {
                // Without a list of columns a row may stop early: the others take their defaults.
                let short =
                    statement.columns.is_empty() && row.len() < targets.len() && !row.is_empty();
                if row.len() != targets.len() && !short {
                    return Err(Error::ColumnCount {
                        row: index + 1,
                        found: row.len(),
                        expected: targets.len(),
                    });
                }
                row.iter()
                    .map(|cell| source(cell, &ColumnScope::None))
                    .collect()
            };
            rows.iter()
                .enumerate()
                .map(compile_row)
                .collect::<Result<Vec<_>, _>>()?
        }
    };
    let conflict = statement
        .conflict
        .as_ref()
        .map(|conflict| on_conflict(conflict, table))
        .transpose()?;
    let form = Form::Insert(Insert {
        positions,
        targets,
        defaults: defaults(table)?,
        rows,
        conflict,
        returning: returning(&statement.returning, table, None)?,
    });
    Ok(Plan {
        table: Arc::clone(table),
        form,
    })
}

/// The columns that INSERT names, or all.
fn targets(names: &[String], table: &Table) -> Result<Vec<usize>, Error> {
    if names.is_empty() {
        return Ok((0..table.def.columns.len()).collect());
    }
    let mut seen = BTreeSet::new();
    names
        .iter()
        .map(|name| {
            let index = column(name, table)?;
            if seen.insert(index) {
                Ok(index)
            } else {
                Err(Error::ColumnTwice {
                    column: name.clone(),
                })
            }
        })
        .collect()
}

/// Position of a column; the hint names one that was perhaps meant.
pub(crate) fn column(name: &str, table: &Table) -> Result<usize, Error> {
    table
        .def
        .column_index(name)
        .ok_or_else(|| Error::ColumnNotFound {
            column: name.to_owned(),
            table: table.def.id.to_string(),
            suggestion: visible::nearest(
                name,
                table.def.columns.iter().map(|column| column.name.clone()),
            ),
        })
}

fn source(cell: &Cell, scope: &ColumnScope<'_>) -> Result<Source, Error> {
    match cell {
        Cell::Default => Ok(Source::Default),
        Cell::Expr(expr) => match kalam_sql::compile(expr, scope) {
            Ok(compiled) => Ok(Source::Expr(compiled)),
            Err(kalam_sql::Error::NotSimple(_)) => Ok(Source::Planned),
            Err(error) => Err(error.into()),
        },
    }
}

/// The compiled default of each column.
pub(crate) fn defaults(table: &Table) -> Result<Vec<Option<Expr>>, Error> {
    let compile = |column| Ok(kalam_sql::compile_default(column)?);
    table.def.columns.iter().map(compile).collect()
}

fn on_conflict(conflict: &OnConflict, table: &Arc<Table>) -> Result<Conflict, Error> {
    let def = &table.def;
    if def.kind == TableKind::Stream {
        return Err(Error::unsupported("ON CONFLICT on a STREAM table"));
    }
    if !conflict.target.is_empty() {
        let named: BTreeSet<_> = conflict.target.iter().map(String::as_str).collect();
        let key: BTreeSet<_> = def
            .key_indexes()
            .map(|index| def.columns[index].name.as_str())
            .collect();
        if named != key || named.len() != conflict.target.len() {
            return Err(Error::ConflictTarget {
                table: def.id.to_string(),
            });
        }
    }
    match &conflict.action {
        ConflictAction::Nothing => Ok(Conflict::Nothing),
        ConflictAction::Update {
            assignments,
            filter,
        } => {
            let scope = ColumnScope::TableAndExcluded {
                table: def,
                alias: None,
            };
            let assignments = self::assignments(assignments, table, &scope)?;
            for ((_, source), assignment) in
                assignments.iter().zip(conflict_values(&conflict.action))
            {
                if matches!(source, Source::Planned) {
                    return Err(Error::unsupported(format!(
                        "`{assignment}` in ON CONFLICT DO UPDATE"
                    )));
                }
            }
            let filter = filter
                .as_ref()
                .map(|filter| simple(filter, &scope, "ON CONFLICT … WHERE"))
                .transpose()?;
            Ok(Conflict::Update {
                assignments,
                filter,
            })
        }
    }
}

fn conflict_values(action: &ConflictAction) -> Vec<String> {
    let shown = |assignment: &Assignment| match &assignment.value {
        Cell::Default => "DEFAULT".to_owned(),
        Cell::Expr(expr) => expr.to_string(),
    };
    match action {
        ConflictAction::Nothing => Vec::new(),
        ConflictAction::Update { assignments, .. } => assignments.iter().map(shown).collect(),
    }
}

fn simple(expr: &ast::Expr, scope: &ColumnScope<'_>, place: &str) -> Result<Expr, Error> {
    kalam_sql::compile(expr, scope).map_err(|error| match error {
        kalam_sql::Error::NotSimple(what) => Error::unsupported(format!("`{what}` in {place}")),
        other => other.into(),
    })
}

/// SET: each column once, none of the key.
fn assignments(
    assignments: &[Assignment],
    table: &Table,
    scope: &ColumnScope<'_>,
) -> Result<Vec<(usize, Source)>, Error> {
    let mut seen = BTreeSet::new();
    assignments
        .iter()
        .map(|assignment| {
            let index = column(&assignment.column, table)?;
            if table.def.is_key(table.def.columns[index].id) {
                return Err(Error::KeyColumn {
                    column: assignment.column.clone(),
                });
            }
            if !seen.insert(index) {
                return Err(Error::ColumnTwice {
                    column: assignment.column.clone(),
                });
            }
            Ok((index, source(&assignment.value, scope)?))
        })
        .collect()
}

fn returning(items: &[SelectItem], table: &Table, alias: Option<&str>) -> Result<Output, Error> {
    let output = Output::compile(items, table, alias).map_err(|error| match error {
        Error::Sql(kalam_sql::Error::NotSimple(what)) => {
            Error::unsupported(format!("`{what}` in RETURNING"))
        }
        other => other,
    })?;
    output.require_no_computed_seq()?;
    Ok(output)
}

pub(crate) fn update(statement: &statement::Update, table: &Arc<Table>) -> Result<Plan, Error> {
    if table.def.kind == TableKind::Stream {
        return Err(Error::unsupported("UPDATE of a STREAM table"));
    }
    let alias = statement.alias.as_deref();
    let scope = ColumnScope::Table {
        table: &table.def,
        alias,
    };
    let assignments = assignments(&statement.assignments, table, &scope)?;
    let planned = assignments
        .iter()
        .any(|(_, source)| matches!(source, Source::Planned));
    // A value that needs the planner comes from the scan that finds the row.
    let key = match &statement.filter {
        Some(filter) if !planned => KeyFilter::compile(filter, table, alias)?,
        _ => None,
    };
    let form = Form::Update(Update {
        assignments,
        defaults: defaults(table)?,
        key,
        returning: returning(&statement.returning, table, alias)?,
    });
    Ok(Plan {
        table: Arc::clone(table),
        form,
    })
}

pub(crate) fn delete(statement: &statement::Delete, table: &Arc<Table>) -> Result<Plan, Error> {
    let alias = statement.alias.as_deref();
    let key = match &statement.filter {
        Some(filter) if table.def.kind != TableKind::Stream => {
            KeyFilter::compile(filter, table, alias)?
        }
        _ => None,
    };
    let form = Form::Delete(Delete {
        key,
        returning: returning(&statement.returning, table, alias)?,
    });
    Ok(Plan {
        table: Arc::clone(table),
        form,
    })
}
