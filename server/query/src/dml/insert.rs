//! INSERT: rows from VALUES or a query, defaults, and what happens when a key exists.

use std::collections::BTreeSet;
use std::sync::Arc;

use kalam_engine::Table;
use kalam_link_core::Value;
use kalam_model::Row;
use kalam_sql::ast;
use kalam_sql::statement::{self, Cell, InsertSource};
use kalam_sql::{RowValues, coerce};

use crate::dml::plan::{Conflict, Insert, Source};
use crate::dml::work::{Found, SliceId, Work, key_of};
use crate::dml::{Draft, Planned, assigned};
use crate::error::Error;
use crate::executor::Call;

/// Expressions that one query of the planner evaluates for VALUES.
const PLANNED_CELLS_MAX: usize = 256;

pub(crate) async fn evaluate(
    call: &Call<'_>,
    statement: &statement::Insert,
    table: &Arc<Table>,
    plan: &Insert,
    work: &mut Work,
    id: SliceId,
) -> Result<Draft, Error> {
    let rows = match &statement.source {
        InsertSource::Values(cells) => from_values(call, table, plan, cells).await?,
        InsertSource::Query(query) => from_query(call, table, plan, query).await?,
    };
    let mut draft = Draft::new("Inserted", &plan.returning);
    match &plan.conflict {
        None => {
            for (index, row) in rows.into_iter().enumerate() {
                insert(call, plan, work, id, &mut draft, row)
                    .map_err(|error| of_row(error, index))?;
            }
        }
        Some(conflict) => upsert(call, table, plan, conflict, work, id, rows, &mut draft)?,
    }
    Ok(draft)
}

fn of_row(error: Error, index: usize) -> Error {
    match error {
        Error::PrimaryKey { table, row: None } => Error::PrimaryKey {
            table,
            row: Some(index as u64 + 1),
        },
        other => other,
    }
}

fn insert(
    call: &Call<'_>,
    plan: &Insert,
    work: &mut Work,
    id: SliceId,
    draft: &mut Draft,
    row: Row,
) -> Result<(), Error> {
    if plan.returning.is_empty() {
        work.insert(&call.inner.engine, id, row)?;
        draft.row_count += 1;
        return Ok(());
    }
    let mark = draft.append(&plan.returning, call, &row, None)?;
    let ticket = work.insert(&call.inner.engine, id, row)?;
    draft.count(mark, ticket);
    Ok(())
}

/// ON CONFLICT, row by row in the order of the statement.
#[expect(
    clippy::too_many_arguments,
    reason = "one statement's parts, used in one place"
)]
fn upsert(
    call: &Call<'_>,
    table: &Table,
    plan: &Insert,
    conflict: &Conflict,
    work: &mut Work,
    id: SliceId,
    rows: Vec<Row>,
    draft: &mut Draft,
) -> Result<(), Error> {
    let mut touched = BTreeSet::new();
    for (index, row) in rows.into_iter().enumerate() {
        let key = key_of(table, &row)?;
        let again = touched.contains(&key);
        match (work.find(&call.inner.engine, id, &key)?, conflict) {
            (None, _) => {
                touched.insert(key.clone());
                let mark = draft.append(&plan.returning, call, &row, None)?;
                let ticket = work.put(id, key, None, Some(row))?;
                draft.count(mark, ticket);
            }
            (Some(_), Conflict::Nothing) => {}
            (Some(_), Conflict::Update { .. }) if again => {
                return Err(Error::ConflictTwice { row: index + 1 });
            }
            (Some(found), Conflict::Update { .. }) => {
                let base = found.seq;
                if let Some(new) = merged(call, table, plan, conflict, found, &row)? {
                    touched.insert(key.clone());
                    let mark = draft.append(&plan.returning, call, &new, None)?;
                    let ticket = work.put(id, key, base, Some(new))?;
                    draft.count(mark, ticket);
                }
            }
        }
    }
    Ok(())
}

/// The row that DO UPDATE makes; `None` if its WHERE does not hold.
fn merged(
    call: &Call<'_>,
    table: &Table,
    plan: &Insert,
    conflict: &Conflict,
    found: Found,
    excluded: &Row,
) -> Result<Option<Row>, Error> {
    let Conflict::Update {
        assignments,
        filter,
    } = conflict
    else {
        return Ok(None);
    };
    let context = call.eval();
    let seq = found.seq.unwrap_or_default();
    let values = RowValues::new(&found.row.0, seq).with_excluded(&excluded.0);
    if let Some(filter) = filter
        && !filter.is_true(&values, &context)?
    {
        return Ok(None);
    }
    assigned(
        call,
        table,
        assignments,
        &plan.defaults,
        &values,
        Planned::None,
    )
    .map(Some)
}

async fn from_values(
    call: &Call<'_>,
    table: &Arc<Table>,
    plan: &Insert,
    cells: &[Vec<Cell>],
) -> Result<Vec<Row>, Error> {
    let mut rows = Vec::with_capacity(plan.rows.len());
    let mut left = Vec::new();
    for (index, sources) in plan.rows.iter().enumerate() {
        rows.push(row_of_values(call, table, plan, sources, index, &mut left)?);
    }
    if !left.is_empty() {
        Box::pin(plan_cells(call, table, plan, cells, &left, &mut rows)).await?;
    }
    check_nulls(table, &rows)?;
    Ok(rows)
}

/// A cell that is left to the planner: row and position in the source.
struct Left {
    row: usize,
    position: usize,
}

fn row_of_values(
    call: &Call<'_>,
    table: &Table,
    plan: &Insert,
    sources: &[Source],
    index: usize,
    left: &mut Vec<Left>,
) -> Result<Row, Error> {
    let context = call.eval();
    let named = |source: kalam_sql::Error| cell_error(source, index);
    let mut values = Vec::with_capacity(plan.positions.len());
    for (place, column) in table.def.columns.iter().enumerate() {
        let position = plan.positions[place].filter(|position| *position < sources.len());
        let expr = match position.map(|position| &sources[position]) {
            Some(Source::Expr(expr)) => Some(expr),
            Some(Source::Planned) => {
                left.extend(position.map(|position| Left {
                    row: index,
                    position,
                }));
                values.push(Value::Null);
                continue;
            }
            Some(Source::Default) | None => plan.defaults[place].as_ref(),
        };
        let value = match expr {
            None => Value::Null,
            Some(expr) => match expr.assign(&RowValues::NONE, &context, column) {
                Err(kalam_sql::Error::NotSimple(_)) => {
                    left.extend(position.map(|position| Left {
                        row: index,
                        position,
                    }));
                    Value::Null
                }
                other => other.map_err(named)?,
            },
        };
        values.push(value);
    }
    Ok(Row(values))
}

/// Has the planner evaluate what only it can, some cells at a time.
async fn plan_cells(
    call: &Call<'_>,
    table: &Table,
    plan: &Insert,
    cells: &[Vec<Cell>],
    left: &[Left],
    rows: &mut [Row],
) -> Result<(), Error> {
    for chunk in left.chunks(PLANNED_CELLS_MAX) {
        let mut query = *kalam_sql::parse_query("SELECT 1")?;
        let exprs = chunk
            .iter()
            .filter_map(|cell| match &cells[cell.row][cell.position] {
                Cell::Expr(expr) => Some(expr.clone()),
                Cell::Default => None,
            });
        set_projection(&mut query, exprs)?;
        let (_, mut planned) = call
            .inner
            .planner
            .rows(call.caller, &query, &call.context())
            .await?;
        let values = planned
            .pop()
            .ok_or_else(|| Error::internal("a query without FROM gave no row"))?;
        for (cell, value) in chunk.iter().zip(values) {
            let place = plan.targets[cell.position];
            rows[cell.row].0[place] = coerce(value, &table.def.columns[place])
                .map_err(|source| cell_error(source, cell.row))?;
        }
    }
    Ok(())
}

/// Gives every item a name of its own: the planner refuses equal names.
fn set_projection(
    query: &mut ast::Query,
    exprs: impl Iterator<Item = ast::Expr>,
) -> Result<(), Error> {
    let ast::SetExpr::Select(select) = query.body.as_mut() else {
        return Err(Error::internal("SELECT was parsed as something else"));
    };
    select.projection = exprs
        .enumerate()
        .map(|(index, expr)| ast::SelectItem::ExprWithAlias {
            expr,
            alias: ast::Ident::new(format!("c{index}")),
        })
        .collect();
    Ok(())
}

async fn from_query(
    call: &Call<'_>,
    table: &Arc<Table>,
    plan: &Insert,
    query: &ast::Query,
) -> Result<Vec<Row>, Error> {
    let (fields, found) =
        Box::pin(call.inner.planner.rows(call.caller, query, &call.context())).await?;
    if fields.len() != plan.targets.len() {
        return Err(Error::ColumnCount {
            row: 1,
            found: fields.len(),
            expected: plan.targets.len(),
        });
    }
    let context = call.eval();
    let mut rows = Vec::with_capacity(found.len());
    for (index, mut source) in found.into_iter().enumerate() {
        let mut values = Vec::with_capacity(plan.positions.len());
        for (place, column) in table.def.columns.iter().enumerate() {
            let value = match (plan.positions[place], &plan.defaults[place]) {
                (Some(position), _) => coerce(
                    std::mem::replace(&mut source[position], Value::Null),
                    column,
                ),
                (None, Some(default)) => default.assign(&RowValues::NONE, &context, column),
                (None, None) => Ok(Value::Null),
            };
            values.push(value.map_err(|source| cell_error(source, index))?);
        }
        rows.push(Row(values));
    }
    check_nulls(table, &rows)?;
    Ok(rows)
}

fn cell_error(source: kalam_sql::Error, index: usize) -> Error {
    match source {
        parameter @ (kalam_sql::Error::Parameter { .. }
        | kalam_sql::Error::MissingParameter { .. }) => parameter.into(),
        source => Error::Cell {
            row: index + 1,
            source: Box::new(source),
        },
    }
}

fn check_nulls(table: &Table, rows: &[Row]) -> Result<(), Error> {
    for (place, column) in table.def.columns.iter().enumerate() {
        if !column.nullable && rows.iter().any(|row| row.0[place].is_null()) {
            return Err(Error::NullColumn {
                column: column.name.clone(),
            });
        }
    }
    Ok(())
}
