//! `POST /v1/api/sql`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use kalam_link_core::http::{SqlRequest, SqlResponse, Status};
use kalam_link_core::{ServerError, statements};
use kalam_model::Caller;
use kalam_query::{Executor, Outcome, RequestMeta};

use super::body::BodyLimits;
use super::edge::RequestId;
use super::error::{Failure, json_with_capacity, status_of};
use super::openapi;
use super::serve::Peer;
use super::stream::{self, Format};
use crate::auth::Auth;
use crate::auth::extract::authorization;
use crate::auth::rate::RateLimit;
use crate::metrics::{Metrics, RunningSql};

/// State of the route.
#[derive(Clone)]
pub(crate) struct SqlState {
    pub executor: Executor,
    pub auth: Arc<Auth>,
    pub rate: Option<Arc<RateLimit>>,
    pub metrics: Arc<Metrics>,
    pub bodies: BodyLimits,
}

/// Runs the statements of a request, in order, until one fails.
///
/// With `Accept: application/vnd.apache.arrow.stream` or `application/x-ndjson` a single SELECT is answered as a
/// stream; if it fails on the way, the answer ends without its proper end.
#[utoipa::path(post, path = "/v1/api/sql", tag = "sql",
    security(("bearer" = []), ("basic" = [])),
    params(("X-Request-ID" = Option<String>, Header, description = "echoed; made by the server if absent")),
    request_body = openapi::SqlRequest,
    responses(
        (status = 200, content(
            (openapi::SqlResponse = "application/json"),
            (String = "application/x-ndjson"),
            (String = "application/vnd.apache.arrow.stream"),
        )),
        (status = "4XX", body = openapi::SqlResponse),
        (status = "5XX", body = openapi::SqlResponse),
    ),
)]
pub(crate) async fn run(
    State(state): State<SqlState>,
    Extension(id): Extension<RequestId>,
    peer: Option<Extension<Peer>>,
    request: Request,
) -> Response {
    let mut running = RunningSql::begin(&state.metrics);
    let format = stream::wanted(request.headers());
    let (caller, sql) = match admit(&state, request).await {
        Ok(admitted) => admitted,
        Err(failure) => {
            state.metrics.statement_failed(failure.error.code);
            running.end();
            return failure.answer_sql(milliseconds(running.took()));
        }
    };
    let meta = RequestMeta {
        x_request_id: Some(id.as_str().to_owned()),
        client_ip: peer.map(|Extension(Peer(address))| SocketAddr::ip(&address).to_string()),
    };
    if let Some(format) = format {
        return run_streaming(&state, &caller, &sql, &meta, format, running).await;
    }
    let outcome = state.executor.execute(&caller, &sql, &meta).await;
    running.end();
    state.metrics.statements_done(outcome.results.len());
    if let Some(error) = &outcome.error {
        state.metrics.statement_failed(error.code);
    }
    answer(outcome, running.took())
}

/// Who asks, and what.
async fn admit(state: &SqlState, request: Request) -> Result<(Caller, SqlRequest), Failure> {
    let (parts, body) = request.into_parts();
    let caller = state.auth.caller(authorization(&parts.headers)).await?;
    let sql: SqlRequest = state.bodies.json(&parts.headers, body).await?;
    if let Some(rate) = &state.rate {
        let statements = statements::split(&sql.sql).count();
        rate.check(&caller.user, u32::try_from(statements).unwrap_or(u32::MAX))?;
    }
    Ok((caller, sql))
}

async fn run_streaming(
    state: &SqlState,
    caller: &Caller,
    sql: &SqlRequest,
    meta: &RequestMeta,
    format: Format,
    mut running: RunningSql,
) -> Response {
    let begun = match state.executor.stream(caller, sql, meta).await {
        Ok(rows) => stream::begin(rows, format).await,
        Err(error) => Err(error),
    };
    match begun {
        Ok(begun) => begun.answer(Arc::clone(&state.metrics), running),
        Err(error) => {
            state.metrics.statement_failed(error.code);
            running.end();
            Failure::from(ServerError {
                details: None,
                ..error
            })
            .answer_sql(milliseconds(running.took()))
        }
    }
}

fn answer(outcome: Outcome, took: Duration) -> Response {
    let code = outcome
        .error
        .as_ref()
        .map_or(StatusCode::OK, |error| status_of(error.code));
    let rows: usize = outcome
        .results
        .iter()
        .filter_map(|result| result.rows.as_ref())
        .map(|rows| rows.get().len())
        .sum();
    let envelope = SqlResponse {
        status: if outcome.error.is_some() {
            Status::Error
        } else {
            Status::Success
        },
        results: outcome.results,
        took: milliseconds(took),
        error: outcome.error,
    };
    json_with_capacity(code, &envelope, rows + 512)
}

/// With three decimals.
fn milliseconds(took: Duration) -> f64 {
    took.as_micros() as f64 / 1_000.0
}
