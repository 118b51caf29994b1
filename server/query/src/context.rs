//! DataFusion's session, threads and memory, and what is fixed for one statement.
//!
//! Queries run on threads of their own, so that a heavy one does not hold up the server; nothing of this exists before
//! the first query. Nothing is ever written to disk: a query that does not fit into memory fails.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use datafusion::execution::SessionStateBuilder;
use datafusion::execution::SessionStateDefaults;
use datafusion::execution::context::SessionState;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{GreedyMemoryPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::prelude::SessionConfig;
use kalam_model::{Namespace, Timestamp};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::error::Error;
use crate::executor::Limits;
use crate::scan::BATCH_ROWS;
use crate::{functions, planning};

/// What is fixed for one statement before it is planned.
#[derive(Clone, Debug)]
pub(crate) struct StatementContext {
    /// Of names without one.
    pub namespace: Namespace,
    /// `$1`, `$2`, …
    pub params: Vec<serde_json::Value>,
    /// What NOW() gives.
    pub now: Timestamp,
    /// When the statement fails with STATEMENT_TIMEOUT.
    pub deadline: Instant,
}

/// Threads that run queries, beside those that plan them. A few more than cores, since an operator may be busy for a
/// while before it gives way.
const QUERY_THREADS: usize = 4;

/// Statements that are planned at the same time.
const PLANNING_THREADS_MAX: usize = 8;

/// Plans are trees and are walked by recursion. Only what is used of a stack takes memory.
const STACK_BYTES: usize = 32 << 20;

/// Partitions of one query. More would help one query at the cost of all others.
const PARTITIONS: usize = 2;

/// Consumers of memory that the log names when memory runs out.
const CONSUMERS_NAMED: NonZeroUsize = NonZeroUsize::new(3).expect("3 is not 0");

/// DataFusion, started.
pub(crate) struct QueryEngine {
    /// Every statement works on a copy.
    state: SessionState,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

impl QueryEngine {
    pub fn start(limits: &Limits) -> Result<Self, Error> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(QUERY_THREADS)
            .max_blocking_threads(PLANNING_THREADS_MAX)
            .thread_stack_size(STACK_BYTES)
            .thread_name("query")
            .enable_time()
            .build()
            .map_err(Error::internal)?;
        Ok(Self {
            state: session(limits)?,
            runtime: Some(runtime),
        })
    }

    pub fn handle(&self) -> Handle {
        self.runtime
            .as_ref()
            .expect("the runtime is there until the engine is dropped")
            .handle()
            .clone()
    }

    /// The session of one statement.
    pub fn session(&self, context: &StatementContext) -> SessionState {
        let mut state = self.state.clone();
        let now = chrono::DateTime::from_timestamp_micros(context.now.0).unwrap_or_default();
        let config = Arc::clone(state.config_options());
        let props = state.execution_props_mut();
        *props = ExecutionProps::new().with_query_execution_start_time(now);
        props.config_options = Some(config);
        state
    }
}

impl Drop for QueryEngine {
    fn drop(&mut self) {
        // A runtime must not be waited for inside another one.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn session(limits: &Limits) -> Result<SessionState, Error> {
    let mut config = SessionConfig::new()
        .with_target_partitions(PARTITIONS)
        .with_batch_size(BATCH_ROWS)
        .with_information_schema(false)
        .with_create_default_catalog_and_schema(false)
        .with_collect_statistics(false);
    config.options_mut().sql_parser.map_string_types_to_utf8view = false;
    config.options_mut().sql_parser.support_varchar_with_length = true;
    let pool_bytes = usize::try_from(limits.query_memory_bytes).unwrap_or(usize::MAX);
    let pool = TrackConsumersPool::new(GreedyMemoryPool::new(pool_bytes), CONSUMERS_NAMED);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(pool))
        .with_disk_manager_builder(
            DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled),
        )
        .build_arc()
        .map_err(Error::internal)?;
    Ok(SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_scalar_functions(functions::all())
        .with_higher_order_functions(SessionStateDefaults::default_higher_order_functions())
        .with_aggregate_functions(functions::aggregates())
        .with_window_functions(SessionStateDefaults::default_window_functions())
        .with_table_function_list(SessionStateDefaults::default_table_functions())
        .with_expr_planners(SessionStateDefaults::default_expr_planners())
        .with_type_planner(Arc::new(planning::Types))
        .with_analyzer_rule(Arc::new(planning::CheckedArithmetic))
        .with_physical_optimizer_rule(Arc::new(planning::Yielding))
        .build())
}
