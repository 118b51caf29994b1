//! Runs the statements of a request, whichever door it came through: within the rate of its user, timed, counted, and
//! answered in one envelope.

use std::sync::Arc;

use kalam_link_core::http::{SqlRequest, SqlResponse, Status};
use kalam_link_core::statements;
use kalam_model::Caller;
use kalam_query::{Executor, Outcome, RequestMeta};
use serde_json::value::RawValue;

use crate::auth::rate::RateLimit;
use crate::http::Failure;
use crate::metrics::{Metrics, RunningSql};

/// The envelope, with the rows as the executor wrote them.
pub(crate) type Answer = SqlResponse<Box<RawValue>>;

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Statements {
    pub executor: Executor,
    pub rate: Option<Arc<RateLimit>>,
    pub metrics: Arc<Metrics>,
}

impl Statements {
    /// Counts the statements of the request against the limit of their user.
    pub(crate) fn check_rate(&self, caller: &Caller, request: &SqlRequest) -> Result<(), Failure> {
        let Some(rate) = &self.rate else {
            return Ok(());
        };
        let count = statements::split(&request.sql).count();
        rate.check(&caller.user, u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// Runs a request that is within its limit. Dropping the future cancels it.
    pub(crate) async fn run(
        &self,
        caller: &Caller,
        request: &SqlRequest,
        meta: &RequestMeta,
        mut running: RunningSql,
    ) -> Answer {
        let Outcome { results, error } = self.executor.execute(caller, request, meta).await;
        running.end();
        self.metrics.statements_done(results.len());
        if let Some(error) = &error {
            self.metrics.statement_failed(error.code);
        }
        SqlResponse {
            status: if error.is_some() {
                Status::Error
            } else {
                Status::Success
            },
            results,
            took: milliseconds(&running),
            error,
        }
    }

    /// The answer to a request of which no statement ran.
    pub(crate) fn refused(&self, failure: &Failure, mut running: RunningSql) -> Answer {
        self.metrics.statement_failed(failure.error.code);
        running.end();
        SqlResponse {
            status: Status::Error,
            results: Vec::new(),
            took: milliseconds(&running),
            error: Some(failure.error.clone()),
        }
    }
}

/// Bytes of the rows of an answer.
pub(crate) fn rows_bytes(answer: &Answer) -> usize {
    answer
        .results
        .iter()
        .filter_map(|result| result.rows.as_ref())
        .map(|rows| rows.get().len())
        .sum()
}

/// With three decimals.
pub(crate) fn milliseconds(running: &RunningSql) -> f64 {
    running.took().as_micros() as f64 / 1_000.0
}
