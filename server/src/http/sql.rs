//! `POST /v1/api/sql`.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::HOST;
use axum::response::Response;
use kalam_link_core::ServerError;
use kalam_link_core::http::SqlRequest;
use kalam_model::Caller;
use kalam_query::RequestMeta;

use super::body::BodyLimits;
use super::edge::RequestId;
use super::error::{Failure, json_with_capacity, status_of};
use super::openapi;
use super::serve::Peer;
use super::stream::{self, Format};
use crate::auth::Auth;
use crate::auth::extract::authorization;
use crate::metrics::RunningSql;
use crate::statements::{Answer, Statements, milliseconds, rows_bytes};

/// State of the route.
#[derive(Clone)]
pub(crate) struct SqlState {
    pub statements: Statements,
    pub auth: Arc<Auth>,
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
    let statements = &state.statements;
    let mut running = RunningSql::begin(&statements.metrics);
    let format = stream::wanted(request.headers());
    let ws_origin = ws_origin(&request);
    let (caller, sql) = match admit(&state, request).await {
        Ok(admitted) => admitted,
        Err(failure) => {
            statements.metrics.statement_failed(failure.error.code);
            running.end();
            return failure.answer_sql(milliseconds(&running));
        }
    };
    let meta = RequestMeta {
        x_request_id: Some(id.as_str().to_owned()),
        client_ip: peer.map(|Extension(Peer(address))| SocketAddr::ip(&address).to_string()),
        ws_origin,
    };
    if let Some(format) = format {
        return run_streaming(statements, &caller, &sql, &meta, format, running).await;
    }
    answer(&statements.run(&caller, &sql, &meta, running).await)
}

/// Where the client would open a WebSocket: the host that it asked, and TLS if a proxy says that it took it off.
fn ws_origin(request: &Request) -> Option<String> {
    let headers = request.headers();
    let host = match headers.get(HOST) {
        Some(host) => host.to_str().ok()?,
        None => request.uri().authority()?.as_str(),
    };
    let is_secure = headers
        .get("x-forwarded-proto")
        .is_some_and(|scheme| scheme.as_bytes().eq_ignore_ascii_case(b"https"));
    let scheme = if is_secure { "wss" } else { "ws" };
    Some(format!("{scheme}://{host}"))
}

/// Who asks, and what.
async fn admit(state: &SqlState, request: Request) -> Result<(Caller, SqlRequest), Failure> {
    let (parts, body) = request.into_parts();
    let caller = state.auth.caller(authorization(&parts.headers)).await?;
    let sql: SqlRequest = state.bodies.json(&parts.headers, body).await?;
    state.statements.check_rate(&caller, &sql)?;
    Ok((caller, sql))
}

async fn run_streaming(
    statements: &Statements,
    caller: &Caller,
    sql: &SqlRequest,
    meta: &RequestMeta,
    format: Format,
    mut running: RunningSql,
) -> Response {
    let metrics = &statements.metrics;
    let begun = match statements.executor.stream(caller, sql, meta).await {
        Ok(rows) => stream::begin(rows, format).await,
        Err(error) => Err(error),
    };
    match begun {
        Ok(begun) => begun.answer(Arc::clone(metrics), running),
        Err(error) => {
            metrics.statement_failed(error.code);
            running.end();
            Failure::from(ServerError {
                details: None,
                ..error
            })
            .answer_sql(milliseconds(&running))
        }
    }
}

fn answer(answer: &Answer) -> Response {
    let status = answer
        .error
        .as_ref()
        .map_or(StatusCode::OK, |error| status_of(error.code));
    json_with_capacity(status, answer, rows_bytes(answer) + 512)
}
