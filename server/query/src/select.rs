//! Plans queries with DataFusion for one caller and runs them as streams of batches.
//!
//! A query is planned on a thread of its own with a large stack and runs as a task that ends when its stream is dropped.
//! It is gated twice: the syntax tree by the parser's allow-list, the plan by [`SQLOptions`].

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::Result as PlanResult;
use datafusion::execution::context::{SQLOptions, SessionState, TaskContext};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::sql::sqlparser::ast;
use futures::{Stream, StreamExt as _};
use kalam_engine::Engine;
use kalam_link_core::{Field, Value};
use kalam_model::Caller;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Sleep;

use crate::context::{QueryEngine, StatementContext};
use crate::error::Error;
use crate::executor::{Limits, ServerFacts};
use crate::names::World;
use crate::scan::BATCH_ROWS;
use crate::{encode, params, planning, value, wildcard};

/// Batches that wait for a slow reader.
const BATCHES_QUEUED: usize = 2;

/// Batches of a running query. Dropping it cancels the query.
pub(crate) type BatchStream = Pin<Box<dyn Stream<Item = Result<RecordBatch, Error>> + Send>>;

/// A query that runs.
pub(crate) struct Selection {
    /// Columns as the wire names them.
    pub fields: Vec<Field>,
    pub schema: SchemaRef,
    /// Fails at the deadline. Who gathers it limits its size; who passes it on need not.
    pub stream: BatchStream,
}

/// How EXPLAIN runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExplainMode {
    Plan,
    Verbose,
    Analyze,
}

/// Plans and runs queries. DataFusion is started by the first one.
#[derive(Clone)]
pub(crate) struct Planner {
    shared: Arc<Shared>,
}

struct Shared {
    engine: Arc<Engine>,
    limits: Limits,
    facts: ServerFacts,
    started: Mutex<Option<Arc<QueryEngine>>>,
}

impl Planner {
    pub fn new(engine: Arc<Engine>, limits: Limits, facts: ServerFacts) -> Self {
        Self {
            shared: Arc::new(Shared {
                engine,
                limits,
                facts,
                started: Mutex::new(None),
            }),
        }
    }

    pub async fn select(
        &self,
        caller: &Caller,
        query: &ast::Query,
        context: &StatementContext,
    ) -> Result<Selection, Error> {
        self.run(caller, query, context, None).await
    }

    pub async fn explain(
        &self,
        caller: &Caller,
        query: &ast::Query,
        mode: ExplainMode,
        context: &StatementContext,
    ) -> Result<Selection, Error> {
        self.run(caller, query, context, Some(mode)).await
    }

    /// The whole result as values, one for each field.
    pub async fn rows(
        &self,
        caller: &Caller,
        query: &ast::Query,
        context: &StatementContext,
    ) -> Result<(Vec<Field>, Vec<Vec<Value>>), Error> {
        let Selection {
            fields, mut stream, ..
        } = self.select(caller, query, context).await?;
        let bytes_max = self.shared.limits.query_memory_bytes;
        let mut rows = Vec::new();
        let mut bytes = 0_u64;
        while let Some(batch) = stream.next().await {
            let more = value::rows_of(&fields, &batch?)?;
            let cells = more.iter().flatten();
            bytes += cells
                .map(|cell| (size_of::<Value>() + cell.heap_bytes()) as u64)
                .sum::<u64>();
            if bytes > bytes_max {
                return Err(Error::QueryMemory { bytes_max });
            }
            rows.extend(more);
        }
        Ok((fields, rows))
    }

    /// The columns of a query, which is planned but not run.
    pub async fn fields(
        &self,
        caller: &Caller,
        query: &ast::Query,
        context: &StatementContext,
    ) -> Result<Vec<Field>, Error> {
        Ok(self.plan(caller, query, context, None).await?.fields)
    }

    async fn run(
        &self,
        caller: &Caller,
        query: &ast::Query,
        context: &StatementContext,
        explain: Option<ExplainMode>,
    ) -> Result<Selection, Error> {
        let Planned {
            fields,
            schema,
            plan,
            task,
            state,
            handle,
        } = self.plan(caller, query, context, explain).await?;
        let (sender, receiver) = mpsc::channel(BATCHES_QUEUED);
        let running = handle.spawn(run_to_end(plan, task, state, sender));
        let deadline = tokio::time::sleep_until(context.deadline.into());
        let stream = Running {
            batches: receiver,
            running: AbortOnDrop(running),
            deadline: Box::pin(deadline),
            limit_ms: self.shared.limits.statement_timeout_ms,
            ended: false,
        };
        Ok(Selection {
            fields,
            schema,
            stream: Box::pin(stream),
        })
    }

    async fn plan(
        &self,
        caller: &Caller,
        query: &ast::Query,
        context: &StatementContext,
        explain: Option<ExplainMode>,
    ) -> Result<Planned, Error> {
        let engine = self.shared.query_engine()?;
        let handle = engine.handle();
        let work = Work {
            shared: Arc::clone(&self.shared),
            engine,
            handle: handle.clone(),
            caller: caller.clone(),
            query: query.clone(),
            context: context.clone(),
            explain,
        };
        let mut planning = AbortOnDrop(handle.spawn_blocking(move || work.plan()));
        match tokio::time::timeout_at(context.deadline.into(), &mut planning.0).await {
            Ok(Ok(planned)) => planned,
            Ok(Err(panicked)) => Err(Error::internal(panicked)),
            Err(_) => Err(self.shared.timeout()),
        }
    }
}

impl Shared {
    fn query_engine(&self) -> Result<Arc<QueryEngine>, Error> {
        let mut started = self.started.lock();
        if let Some(engine) = &*started {
            return Ok(Arc::clone(engine));
        }
        let engine = Arc::new(QueryEngine::start(&self.limits)?);
        *started = Some(Arc::clone(&engine));
        Ok(engine)
    }

    fn timeout(&self) -> Error {
        Error::Timeout {
            limit_ms: self.limits.statement_timeout_ms,
        }
    }
}

/// A query that can be run.
struct Planned {
    fields: Vec<Field>,
    schema: SchemaRef,
    plan: Arc<dyn ExecutionPlan>,
    task: Arc<TaskContext>,
    state: SessionState,
    handle: Handle,
}

/// Everything that planning needs, on its way to another thread.
struct Work {
    shared: Arc<Shared>,
    /// Kept, so that the threads are there as long as their work.
    engine: Arc<QueryEngine>,
    handle: Handle,
    caller: Caller,
    query: ast::Query,
    context: StatementContext,
    explain: Option<ExplainMode>,
}

impl Work {
    fn plan(self) -> Result<Planned, Error> {
        let state = self.engine.session(&self.context);
        let shared = &self.shared;
        let world = World::new(
            &shared.engine,
            &shared.facts,
            &self.caller,
            self.context.now,
            &state,
        );
        let plan = self.logical(&world)?;
        SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false)
            .verify_plan(&plan)
            .map_err(|error| world.told(error))?;
        self.check_deadline()?;
        let (physical, task) = self
            .physical(&plan, &state)
            .map_err(|error| world.told(error))?;
        drop(world);
        let schema = described(&plan, &physical);
        Ok(Planned {
            fields: encode::fields_of(&schema),
            schema,
            plan: physical,
            task,
            state,
            handle: self.handle,
        })
    }

    fn physical(
        &self,
        plan: &LogicalPlan,
        state: &SessionState,
    ) -> PlanResult<(Arc<dyn ExecutionPlan>, Arc<TaskContext>)> {
        let physical = self.handle.block_on(state.create_physical_plan(plan))?;
        let Some(rows) = planning::narrower_batch(&physical, BATCH_ROWS)? else {
            return Ok((physical, state.task_ctx()));
        };
        let mut state = state.clone();
        *state.config_mut() = state.config().clone().with_batch_size(rows);
        let physical = self.handle.block_on(state.create_physical_plan(plan))?;
        Ok((physical, state.task_ctx()))
    }

    fn logical(&self, world: &World<'_>) -> Result<LogicalPlan, Error> {
        let used = wildcard::parameters(&self.query)?;
        if used > self.context.params.len() {
            return Err(kalam_sql::Error::MissingParameter {
                index: self.context.params.len() + 1,
            }
            .into());
        }
        let plan = if used == 0 {
            world.plan(&self.query, &self.context.namespace)?
        } else {
            params::plan(world, &self.query, &self.context)?
        };
        match self.explain {
            None => Ok(plan),
            Some(mode) => explained(plan, mode).map_err(|error| world.told(error)),
        }
    }

    fn check_deadline(&self) -> Result<(), Error> {
        if Instant::now() > self.context.deadline {
            Err(self.shared.timeout())
        } else {
            Ok(())
        }
    }
}

fn explained(plan: LogicalPlan, mode: ExplainMode) -> PlanResult<LogicalPlan> {
    LogicalPlanBuilder::from(plan)
        .explain(mode == ExplainMode::Verbose, mode == ExplainMode::Analyze)?
        .build()
}

/// The schema of the batches, with what only the logical plan knows about the columns.
fn described(logical: &LogicalPlan, physical: &Arc<dyn ExecutionPlan>) -> SchemaRef {
    let schema = physical.schema();
    let logical = logical.schema();
    let fields = schema.fields().iter().enumerate().map(|(index, field)| {
        let metadata = logical
            .fields()
            .get(index)
            .map_or_else(|| field.metadata().clone(), |f| f.metadata().clone());
        field.as_ref().clone().with_metadata(metadata)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Runs a plan until its end, its first error, or until nobody reads it.
async fn run_to_end(
    plan: Arc<dyn ExecutionPlan>,
    task: Arc<TaskContext>,
    state: SessionState,
    sender: mpsc::Sender<Result<RecordBatch, Error>>,
) {
    let mut stream = match execute_stream(plan, task) {
        Ok(stream) => stream,
        Err(error) => {
            // Nobody reads any more: nobody misses the error.
            let _ = sender
                .send(Err(planning::told_running(error, &state)))
                .await;
            return;
        }
    };
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(|error| planning::told_running(error, &state));
        let failed = batch.is_err();
        if sender.send(batch).await.is_err() || failed {
            return;
        }
    }
}

struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The reading end of a query.
struct Running {
    batches: mpsc::Receiver<Result<RecordBatch, Error>>,
    running: AbortOnDrop<()>,
    deadline: Pin<Box<Sleep>>,
    limit_ms: u64,
    ended: bool,
}

impl Running {
    /// The task has ended without an error of its own: it is done, or it panicked.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<RecordBatch, Error>>> {
        match Pin::new(&mut self.running.0).poll(context) {
            Poll::Ready(Ok(())) => Poll::Ready(None),
            Poll::Ready(Err(panicked)) => Poll::Ready(Some(Err(Error::internal(panicked)))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Stream for Running {
    type Item = Result<RecordBatch, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        // First: a query that always has another batch ready ends in time too.
        let next = if self.deadline.as_mut().poll(context).is_ready() {
            let limit_ms = self.limit_ms;
            Poll::Ready(Some(Err(Error::Timeout { limit_ms })))
        } else {
            match self.batches.poll_recv(context) {
                Poll::Ready(None) => self.poll_end(context),
                other => other,
            }
        };
        if let Poll::Ready(None | Some(Err(_))) = &next {
            self.ended = true;
            self.running.0.abort();
        }
        next
    }
}
