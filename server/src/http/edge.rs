//! What every request passes: its id, the metrics, the log line, the stop of the server and the net under panics.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::CONNECTION;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use futures::FutureExt as _;
use kalam_link_core::ErrorCode;

use super::error::Failure;
use crate::metrics::Metrics;
use crate::shutdown::Lifecycle;

/// `X-Request-ID`.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest request id that is taken over from a client.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// Paths that answer while the server stops.
const WHILE_STOPPING: [&str; 3] = ["/livez", "/readyz", "/metrics"];

/// Finds a request in the log: the client's own, or made here.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

/// Whether a client's id of a request can stand in a log.
pub(crate) fn is_sound_id(id: &[u8]) -> bool {
    (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
}

/// State of [`pass`].
pub(crate) struct Edge {
    metrics: Arc<Metrics>,
    lifecycle: Lifecycle,
    /// Different in each process, so that ids of different runs do not meet in a log.
    run: u64,
    next: AtomicU64,
}

impl Edge {
    pub(crate) fn new(metrics: Arc<Metrics>, lifecycle: Lifecycle) -> Self {
        let run = getrandom::u64().unwrap_or_else(|_| u64::from(std::process::id()));
        Self {
            metrics,
            lifecycle,
            run,
            next: AtomicU64::new(0),
        }
    }

    fn request_id(&self, headers: &HeaderMap) -> RequestId {
        let given = headers.get(REQUEST_ID);
        if let Some(value) = given.filter(|value| is_sound_id(value.as_bytes())) {
            return RequestId(value.clone());
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let made = format!("{:016x}-{number:x}", self.run);
        RequestId(HeaderValue::from_str(&made).expect("hexadecimal digits can stand in a header"))
    }
}

/// Takes a request through.
pub(crate) async fn pass(
    State(edge): State<Arc<Edge>>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let id = edge.request_id(request.headers());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let path = request.uri().path().to_owned();
    request.extensions_mut().insert(id.clone());
    let mut response = answer(&edge, &path, &id, request, next).await;
    if edge.lifecycle.is_stopping() {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response.headers_mut().insert(REQUEST_ID, id.0.clone());
    let status = response.status();
    let took = started.elapsed();
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    edge.metrics.request(route, status.as_u16(), took);
    tracing::debug!(
        request_id = id.as_str(),
        route,
        status = status.as_u16(),
        took_us = took.as_micros(),
        "request"
    );
    response
}

async fn answer(edge: &Edge, path: &str, id: &RequestId, request: Request, next: Next) -> Response {
    if edge.lifecycle.is_stopping() && !WHILE_STOPPING.contains(&path) {
        return Failure::new(ErrorCode::ShuttingDown, "the server is stopping").answer_at(path);
    }
    // A panic leaves nothing behind that a later request shares: state that is shared is changed by commands only.
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => {
            edge.metrics.panicked();
            tracing::error!(request_id = id.as_str(), "a request panicked");
            Failure::new(
                ErrorCode::InternalError,
                "internal error: the request id finds it in the log",
            )
            .answer_at(path)
        }
    }
}
