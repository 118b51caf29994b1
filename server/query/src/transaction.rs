//! BEGIN … COMMIT inside one request: one command, so all of its writes happen or none (I3).
//!
//! The statements are evaluated one after the other against one snapshot and what the earlier ones wrote. A query that
//! the planner would have to run over rows that the transaction has written is refused.

use kalam_link_core::http::SqlRequest;
use kalam_model::Caller;
use kalam_sql::statement::{Cell, InsertSource, Statement};

use crate::cache::Prepared;
use crate::ddl;
use crate::dml::work::{Extent, Work};
use crate::dml::{self, Draft, Step};
use crate::error::Error;
use crate::executor::Call;
use crate::point::PointRead;
use crate::result::Answer;
use crate::visible;

/// Most statements between BEGIN and COMMIT.
const STATEMENTS_MAX: usize = 1_000;

/// How a transaction ends.
enum End {
    Commit,
    Rollback,
}

/// Runs the transaction that begins at `begin`; gives the index after its end. Of a transaction that fails no result is
/// answered: nothing of it happened.
pub(crate) async fn run(
    call: &mut Call<'_>,
    script: &[Prepared],
    begin: usize,
    request: &SqlRequest,
    results: &mut Vec<Answer>,
) -> Result<usize, Error> {
    let (end, kind) = find_end(script, begin)?;
    let inside = &script[begin + 1..end];
    let mut callers: Vec<Option<Caller>> = Vec::with_capacity(inside.len());
    for (offset, prepared) in inside.iter().enumerate() {
        let at = |error| numbered(error, begin + 1 + offset);
        callers.push(call.acting(&prepared.parsed.statement).await.map_err(at)?.0);
    }
    let text = &request.sql[script[begin].parsed.range.start..script[end].parsed.range.end];
    let key = call.request_key(request, Some(begin), text)?;
    let mut namespace = call.namespace.clone();
    let mut steps = Vec::with_capacity(inside.len());
    for (offset, (prepared, acting)) in inside.iter().zip(&callers).enumerate() {
        let statement = match &prepared.parsed.statement {
            Statement::ExecuteAs { statement, .. } => statement.as_ref(),
            plain => plain,
        };
        let mut step = Call {
            caller: acting.as_ref().unwrap_or(call.caller),
            ..call.clone()
        };
        step.namespace = namespace.clone();
        if let Statement::UseNamespace { name } = statement {
            let switched = ddl::namespaces::switch(&step, name)
                .map_err(|error| numbered(error, begin + 1 + offset));
            namespace = switched?.0;
        }
        check_kind(statement).map_err(|error| numbered(error, begin + 1 + offset))?;
        steps.push(Step {
            call: step,
            prepared,
            statement,
        });
    }
    let first = results.len();
    let ran = match kind {
        End::Commit => dml::run(&steps, Extent::Transaction, key.as_ref()).await,
        End::Rollback => dml::rehearse(&steps).await,
    };
    let answers = ran.map_err(|error| shifted(error, begin + 1))?;
    results.truncate(first);
    results.push(call.message("Transaction started"));
    results.extend(answers);
    results.push(call.message(match kind {
        End::Commit => "Transaction committed",
        End::Rollback => "Transaction rolled back",
    }));
    call.namespace = namespace;
    Ok(end + 1)
}

/// Where the transaction ends.
fn find_end(script: &[Prepared], begin: usize) -> Result<(usize, End), Error> {
    for (index, prepared) in script.iter().enumerate().skip(begin + 1) {
        match prepared.parsed.statement {
            Statement::Commit => return Ok((index, End::Commit)),
            Statement::Rollback => return Ok((index, End::Rollback)),
            Statement::Begin => return Err(numbered(Error::NestedTransaction, index)),
            _ if index - begin > STATEMENTS_MAX => {
                return Err(Error::unsupported(format!(
                    "a transaction of more than {STATEMENTS_MAX} statements"
                )));
            }
            _ => {}
        }
    }
    Err(Error::UnfinishedTransaction)
}

fn numbered(error: Error, index: usize) -> Error {
    Error::Statement {
        statement: index + 1,
        source: Box::new(error),
    }
}

/// [`of_step`] counted from the first step; here is where that stands in the request.
fn shifted(error: Error, offset: usize) -> Error {
    match error {
        Error::Statement { statement, source } => Error::Statement {
            statement: statement + offset,
            source,
        },
        other => other,
    }
}

/// Inside a transaction an error says which statement it comes from.
pub(crate) fn of_step(error: Error, extent: Extent, index: usize) -> Error {
    match extent {
        Extent::OneStatement => error,
        Extent::Transaction => numbered(error, index),
    }
}

fn check_kind(statement: &Statement) -> Result<(), Error> {
    match statement {
        Statement::Select(_)
        | Statement::Explain { .. }
        | Statement::Insert(_)
        | Statement::Update(_)
        | Statement::Delete(_)
        | Statement::UseNamespace { .. } => Ok(()),
        Statement::Unsupported { what } => Err(Error::unsupported(what.clone())),
        _ => Err(Error::Unsupported {
            what: "this statement inside a transaction".to_owned(),
            hint: Some("BEGIN … COMMIT holds SELECT, INSERT, UPDATE and DELETE".to_owned()),
        }),
    }
}

/// A step that only reads.
pub(crate) async fn read(step: &Step<'_>, work: &mut Work) -> Result<Draft, Error> {
    let call = &step.call;
    let query = match step.statement {
        Statement::UseNamespace { name } => {
            return Ok(Draft::of_answer(ddl::namespaces::switch(call, name)?.1));
        }
        Statement::Select(query) | Statement::Explain { query, .. } => query,
        _ => {
            return Err(Error::internal(
                "a statement that cannot be part of a transaction",
            ));
        }
    };
    if let Statement::Select(_) = step.statement
        && let Some(read) = PointRead::open(call, step.prepared, query)?
        && work.has_written(&read.table)
    {
        let id = work.slice(&read.table, &read.scope);
        if let Some(answer) = read.answer(call, |key| work.find(&call.inner.engine, id, key))? {
            return Ok(Draft::of_answer(answer));
        }
    }
    require_unwritten(call, query, work)?;
    call.read(step.prepared, step.statement)
        .await
        .map(Draft::of_answer)
}

/// A statement that writes may read too: the source of INSERT, subqueries anywhere.
pub(crate) fn require_unwritten_sources(step: &Step<'_>, work: &Work) -> Result<(), Error> {
    let call = &step.call;
    let cell = |cell: &Cell| match cell {
        Cell::Expr(expr) => require_unwritten(call, expr, work),
        Cell::Default => Ok(()),
    };
    if work.is_empty() {
        return Ok(());
    }
    match step.statement {
        Statement::Insert(insert) => match &insert.source {
            InsertSource::Query(query) => require_unwritten(call, query.as_ref(), work),
            InsertSource::Values(rows) => rows.iter().flatten().try_for_each(cell),
        },
        Statement::Update(update) => {
            let mut values = update.assignments.iter().map(|one| &one.value);
            values.try_for_each(cell)?;
            require_unwritten(call, &update.filter, work)
        }
        Statement::Delete(delete) => require_unwritten(call, &delete.filter, work),
        _ => Ok(()),
    }
}

/// A query over rows that the transaction has written would not see them. Views are refused as well.
fn require_unwritten(
    call: &Call<'_>,
    query: &impl kalam_sql::ast::Visit,
    work: &Work,
) -> Result<(), Error> {
    if work.is_empty() {
        return Ok(());
    }
    let catalog = call.inner.engine.catalog();
    for name in visible::relations(query) {
        let Some(id) = visible::relation_id(&name, &call.namespace) else {
            continue;
        };
        let written = catalog
            .table(&id)
            .is_some_and(|table| work.has_written(table));
        if written || catalog.view(&id).is_some() {
            return Err(Error::unsupported(format!(
                "reading `{id}` by other than a key after writing in the same transaction"
            )));
        }
    }
    Ok(())
}
