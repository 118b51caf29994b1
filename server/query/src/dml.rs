//! INSERT, UPDATE and DELETE: from a statement, or the statements of a transaction, to one conditional command (I10).
//!
//! A try evaluates all statements into a [`Work`], takes the locks of the keys on which the result depends, checks that
//! their versions are still those that were read, and has the engine order the command. What another writer changed
//! meanwhile costs another try, which then runs under the locks, so that honest writers of a hot key meet no conflict.

pub(crate) mod change;
pub(crate) mod insert;
pub(crate) mod plan;
pub(crate) mod returning;
pub(crate) mod work;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kalam_engine::{KeyGuard, Table};
use kalam_link_core::{SeqId, UserId, Value};
use kalam_model::{Applied, Rejection, Row, RowKey, Scope, Slot, WriteCommand, slot_of};
use kalam_sql::statement::{Statement, TableRef};
use kalam_sql::{Expr, RowValues, coerce};
use kalam_store::{Slice, hot};

use crate::cache::Prepared;
use crate::dml::plan::{Form, Plan, Source};
use crate::dml::returning::{KnownSeq, Output};
use crate::dml::work::{Extent, Guard, Sealed, Ticket, Work};
use crate::error::Error;
use crate::executor::Call;
use crate::requests::{RequestKey, WriteAnswer};
use crate::resolve;
use crate::result::{self, Answer};
use crate::transaction;

/// Tries of a write whose rows others change at the same time. Under locks the second try succeeds unless the set of
/// rows changes too.
const TRIES_MAX: u32 = 32;

/// Tries without a pause; later ones wait for a schema change or another statement to get through.
const HASTY_TRIES: u32 = 4;

const PAUSE: Duration = Duration::from_millis(2);

/// One statement of a unit of work, with its caller.
pub(crate) struct Step<'a> {
    pub call: Call<'a>,
    pub prepared: &'a Prepared,
    pub statement: &'a Statement,
}

/// The answer of a step, before the numbers of its rows are known.
pub(crate) struct Draft {
    verb: &'static str,
    schema: Vec<kalam_link_core::Field>,
    pub row_count: u64,
    rows: Vec<u8>,
    holes: Vec<Ticket>,
    message: Option<String>,
}

/// How many holes a row has that was appended last.
#[derive(Clone, Copy)]
pub(crate) struct Mark(usize);

impl Draft {
    pub fn new(verb: &'static str, returning: &Output) -> Self {
        Self {
            verb,
            schema: returning.fields.clone(),
            row_count: 0,
            rows: Vec::new(),
            holes: Vec::new(),
            message: None,
        }
    }

    /// A finished answer, of a step that only reads.
    pub fn of_answer(answer: Answer) -> Self {
        let rows = answer.rows.map_or_else(Vec::new, |rows| {
            let text = rows.get();
            text.as_bytes()[1..text.len() - 1].to_vec()
        });
        Self {
            verb: "",
            schema: answer.schema,
            row_count: answer.row_count,
            rows,
            holes: Vec::new(),
            message: answer.message,
        }
    }

    /// Encodes a row for RETURNING. Comes before the write of the row, so that an error leaves nothing written.
    pub fn append(
        &mut self,
        returning: &Output,
        call: &Call<'_>,
        row: &Row,
        seq: Option<SeqId>,
    ) -> Result<Mark, Error> {
        if returning.is_empty() {
            return Ok(Mark(0));
        }
        if self.row_count == 0 {
            self.schema = returning.fields_for(row, &call.eval());
        }
        let seq = seq.map_or(KnownSeq::Later, KnownSeq::Known);
        let holes = returning.append(row, seq, &call.eval(), &mut self.rows)?;
        result::check_size(self.row_count + 1, self.rows.len(), &call.inner.limits)?;
        Ok(Mark(holes))
    }

    /// Counts the row that was appended last.
    pub fn count(&mut self, mark: Mark, ticket: Ticket) {
        self.row_count += 1;
        self.holes.extend(std::iter::repeat_n(ticket, mark.0));
    }

    fn into_answer(self, as_user: &UserId, sealed: &Sealed) -> Result<WriteAnswer, Error> {
        let message = match (self.verb, self.message) {
            ("", message) => message,
            (verb, _) => Some(format!("{verb} {} row(s)", self.row_count)),
        };
        Ok(WriteAnswer {
            message,
            row_count: self.row_count,
            as_user: as_user.clone(),
            schema: self.schema,
            rows: String::from_utf8(self.rows).map_err(Error::internal)?,
            holes: self
                .holes
                .into_iter()
                .map(|ticket| sealed.offset(ticket))
                .collect(),
        })
    }
}

/// Runs one statement that writes.
pub(crate) async fn run_one(
    call: &Call<'_>,
    prepared: &Prepared,
    statement: &Statement,
    key: Option<&RequestKey>,
) -> Result<Answer, Error> {
    let steps = [Step {
        call: call.clone(),
        prepared,
        statement,
    }];
    let mut answers = run(&steps, Extent::OneStatement, key).await?;
    answers
        .pop()
        .ok_or_else(|| Error::internal("a write without answer"))
}

/// Runs the steps as one unit: all of their writes happen or none.
pub(crate) async fn run(
    steps: &[Step<'_>],
    extent: Extent,
    key: Option<&RequestKey>,
) -> Result<Vec<Answer>, Error> {
    let Some(first) = steps.first() else {
        return Ok(Vec::new());
    };
    let (call, engine) = (&first.call, &first.call.inner.engine);
    let slot = match key {
        Some(key) => {
            let slot = first_slot(steps)?;
            if let Some((first_seq, answers)) = key.stored(&engine.snapshot(), slot)? {
                return Ok(finish(answers, first_seq));
            }
            slot
        }
        None => Slot(0),
    };
    let mut locks = Locks::default();
    for attempt in 0..TRIES_MAX {
        if attempt >= HASTY_TRIES {
            call.within(tokio::time::sleep(PAUSE)).await?;
        }
        let mut work = Work::new(extent, call.inner.limits.command_bytes_max);
        let drafts = match evaluate(steps, &mut work).await {
            Ok(drafts) => drafts,
            // The first try of the same request may have been written meanwhile.
            Err(error) => match key.map(|key| key.stored(&engine.snapshot(), slot)) {
                Some(Ok(Some((first_seq, answers)))) => return Ok(finish(answers, first_seq)),
                _ => return Err(error),
            },
        };
        call.check_time()?;
        let guards = work.guards();
        if !guards.is_empty() && !locks.cover(&guards) {
            locks.extend(call, &guards).await?;
            if !still_live(call, &guards)? {
                continue;
            }
        }
        let conditional = !guards.is_empty();
        let sealed = work.seal();
        let answers = drafts
            .into_iter()
            .zip(steps)
            .map(|(draft, step)| draft.into_answer(&step.call.caller.user, &sealed))
            .collect::<Result<Vec<_>, _>>()?;
        if sealed.writes.is_empty() && key.is_none() {
            return Ok(finish(answers, SeqId::ZERO));
        }
        match propose(call, sealed, &answers, key.map(|key| (key, slot))).await? {
            Applied::Written(outcome) => return Ok(finish(answers, outcome.first_seq)),
            Applied::Replayed { outcome, answer } => {
                return Ok(finish(WriteAnswer::decode_all(&answer)?, outcome.first_seq));
            }
            Applied::Rejected(rejection) => again(rejection, call, key, conditional)?,
            Applied::Table(_) | Applied::Done => {
                return Err(Error::internal("a write was answered as DDL"));
            }
        }
    }
    Err(Error::Conflict)
}

/// Runs the steps and writes nothing: ROLLBACK.
pub(crate) async fn rehearse(steps: &[Step<'_>]) -> Result<Vec<Answer>, Error> {
    let Some(first) = steps.first() else {
        return Ok(Vec::new());
    };
    let mut work = Work::new(
        Extent::Transaction,
        first.call.inner.limits.command_bytes_max,
    );
    let drafts = evaluate(steps, &mut work).await?;
    let sealed = work.seal().discarded();
    let answers = drafts
        .into_iter()
        .zip(steps)
        .map(|(draft, step)| draft.into_answer(&step.call.caller.user, &sealed))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(finish(answers, SeqId::ZERO))
}

fn finish(answers: Vec<WriteAnswer>, first_seq: SeqId) -> Vec<Answer> {
    answers
        .into_iter()
        .map(|answer| answer.finish(first_seq))
        .collect()
}

/// Has the engine order the writes. The gates keep ALTER from judging rows while these are on their way.
async fn propose(
    call: &Call<'_>,
    sealed: Sealed,
    answers: &[WriteAnswer],
    key: Option<(&RequestKey, Slot)>,
) -> Result<Applied, Error> {
    let engine = &call.inner.engine;
    let mut tables: BTreeMap<_, &Arc<Table>> = BTreeMap::new();
    for table in sealed.tables() {
        tables.insert(table.def.number, table);
    }
    let mut gates = Vec::with_capacity(tables.len());
    for table in tables.values() {
        gates.push(call.within(engine.table_gate_read(table)).await?);
    }
    let request = key.map(|(key, slot)| key.record(slot, answers));
    let command = WriteCommand {
        time: call.now,
        writes: sealed.writes,
        request,
    };
    // No deadline here: what the engine has taken is answered as it ends.
    let applied = engine.write(command).await?;
    drop(gates);
    Ok(applied)
}

/// `Ok` if another try may succeed.
fn again(
    rejection: Rejection,
    call: &Call<'_>,
    key: Option<&RequestKey>,
    conditional: bool,
) -> Result<(), Error> {
    match rejection {
        Rejection::Stale | Rejection::SchemaChanged { .. } | Rejection::NoSuchTable { .. } => {
            Ok(())
        }
        // A plain INSERT was faster than ON CONFLICT; the next try finds its row.
        Rejection::DuplicateKey { .. } if conditional => Ok(()),
        Rejection::DuplicateKey { table, mutation } => {
            let catalog = call.inner.engine.catalog();
            let name = catalog
                .table_by_number(table)
                .map_or_else(String::new, |table| table.def.id.to_string());
            Err(Error::PrimaryKey {
                table: name,
                row: Some(mutation + 1),
            })
        }
        Rejection::RequestMismatch => Err(key.map_or(Error::Conflict, RequestKey::reused)),
        other => {
            Err(kalam_engine::Error::UnexpectedAnswer(Box::new(Applied::Rejected(other))).into())
        }
    }
}

/// Runs every step into `work`.
async fn evaluate(steps: &[Step<'_>], work: &mut Work) -> Result<Vec<Draft>, Error> {
    let mut drafts = Vec::with_capacity(steps.len());
    for (index, step) in steps.iter().enumerate() {
        let draft = evaluate_step(step, work).await;
        drafts.push(draft.map_err(|error| transaction::of_step(error, work.extent(), index))?);
    }
    Ok(drafts)
}

async fn evaluate_step(step: &Step<'_>, work: &mut Work) -> Result<Draft, Error> {
    let call = &step.call;
    let Some(reference) = table_of(step.statement) else {
        return Box::pin(transaction::read(step, work)).await;
    };
    let (table, scope) = target(step, reference)?;
    transaction::require_unwritten_sources(step, work)?;
    let plan = step
        .prepared
        .plan(&table, || compile(step.statement, &table))?;
    let id = work.slice(&table, &scope);
    match (&plan.form, step.statement) {
        (Form::Insert(plan), Statement::Insert(statement)) => {
            insert::evaluate(call, statement, &table, plan, work, id).await
        }
        (Form::Update(plan), Statement::Update(statement)) => {
            change::update(call, statement, &table, plan, work, id).await
        }
        (Form::Delete(plan), Statement::Delete(statement)) => {
            change::delete(call, statement, &table, plan, work, id).await
        }
        _ => Err(Error::internal("a plan of another statement")),
    }
}

fn compile(statement: &Statement, table: &Arc<Table>) -> Result<Plan, Error> {
    match statement {
        Statement::Insert(insert) => plan::insert(insert, table),
        Statement::Update(update) => plan::update(update, table),
        Statement::Delete(delete) => plan::delete(delete, table),
        _ => Err(Error::internal("a statement that does not write")),
    }
}

/// The table that a statement writes.
pub(crate) fn table_of(statement: &Statement) -> Option<&TableRef> {
    match statement {
        Statement::Insert(insert) => Some(&insert.table),
        Statement::Update(update) => Some(&update.table),
        Statement::Delete(delete) => Some(&delete.table),
        _ => None,
    }
}

/// The table that a step writes and the slice of it that its caller owns.
fn target(step: &Step<'_>, reference: &TableRef) -> Result<(Arc<Table>, Scope), Error> {
    let call = &step.call;
    let catalog = call.inner.engine.catalog();
    let id = step.prepared.table_id(&call.namespace, reference);
    let Some(table) = id.and_then(|id| catalog.table(id)) else {
        return Err(resolve::no_table_to_write(
            &catalog,
            call.caller,
            &call.namespace,
            reference,
        ));
    };
    let scope = resolve::write_scope(&catalog, call.caller, table)?;
    Ok((Arc::clone(table), scope))
}

/// The slot of the first write: there the answer of a repeatable request is kept.
fn first_slot(steps: &[Step<'_>]) -> Result<Slot, Error> {
    for step in steps {
        if let Some(reference) = table_of(step.statement) {
            let (table, scope) = target(step, reference)?;
            return Ok(slot_of(table.def.number, &scope));
        }
    }
    Ok(Slot(0))
}

/// Locks of keys that one unit of work holds.
#[derive(Default)]
struct Locks {
    held: Option<KeyGuard>,
    keys: BTreeMap<Slice, Vec<RowKey>>,
}

impl Locks {
    fn cover(&self, guards: &[Guard]) -> bool {
        self.held.is_some()
            && guards.iter().all(|guard| {
                self.keys
                    .get(&guard.slice)
                    .is_some_and(|keys| keys.binary_search(&guard.key).is_ok())
            })
    }

    /// Takes these keys beside those that are held. Lets go of all first: a second call while a guard is held can
    /// deadlock.
    async fn extend(&mut self, call: &Call<'_>, guards: &[Guard]) -> Result<(), Error> {
        self.held = None;
        for guard in guards {
            self.keys
                .entry(guard.slice.clone())
                .or_default()
                .push(guard.key.clone());
        }
        for keys in self.keys.values_mut() {
            keys.sort_unstable();
            keys.dedup();
        }
        // A list rather than a chain of closures, which would keep the statement's future from being `Send`.
        let mut all = Vec::new();
        for (slice, keys) in &self.keys {
            for key in keys {
                all.push((slice, key));
            }
        }
        self.held = Some(call.within(call.inner.engine.lock_keys(all)).await?);
        Ok(())
    }
}

/// Whether every version that was read is still the live one.
fn still_live(call: &Call<'_>, guards: &[Guard]) -> Result<bool, Error> {
    let snapshot = call.inner.engine.snapshot();
    for guard in guards {
        if hot::live_seq(&snapshot, &guard.slice, &guard.key)? != guard.base {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Values that a scan computed for SET, in the order of the assignments.
#[derive(Clone, Copy)]
pub(crate) enum Planned<'a> {
    None,
    /// For the assignments that did not compile.
    Marked(&'a [Value]),
    /// For every assignment of an expression.
    All(&'a [Value]),
}

/// The row after SET.
pub(crate) fn assigned(
    call: &Call<'_>,
    table: &Table,
    assignments: &[(usize, Source)],
    defaults: &[Option<Expr>],
    values: &RowValues<'_>,
    planned: Planned<'_>,
) -> Result<Row, Error> {
    let context = call.eval();
    let (mut computed, all) = match planned {
        Planned::None => ([].iter(), false),
        Planned::Marked(values) => (values.iter(), false),
        Planned::All(values) => (values.iter(), true),
    };
    let mut row = values.current.to_vec();
    for (index, source) in assignments {
        let column = &table.def.columns[*index];
        let value = match source {
            Source::Default => match &defaults[*index] {
                Some(default) => default.assign(&RowValues::NONE, &context, column)?,
                None => Value::Null,
            },
            Source::Expr(expr) if !all => expr.assign(values, &context, column)?,
            Source::Expr(_) | Source::Planned => match computed.next() {
                Some(value) => coerce(value.clone(), column)?,
                None => return Err(Error::internal("a scan gave too few values")),
            },
        };
        if value.is_null() && !column.nullable {
            return Err(Error::NullColumn {
                column: column.name.clone(),
            });
        }
        row[*index] = value;
    }
    Ok(Row(row))
}
