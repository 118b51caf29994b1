//! `/metrics`: open while the server listens on a loopback address, otherwise for the configured token or an admin.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use kalam_engine::Engine;
use kalam_link_core::ErrorCode;
use subtle::ConstantTimeEq as _;

use super::Reach;
use super::error::Failure;
use crate::auth::Auth;
use crate::auth::extract::{Authorization, authorization};
use crate::metrics::Metrics;

/// State of the route.
#[derive(Clone)]
pub(crate) struct MetricsState {
    pub engine: Arc<Engine>,
    pub auth: Arc<Auth>,
    pub metrics: Arc<Metrics>,
    pub token: Option<Arc<str>>,
    pub reach: Reach,
}

/// Metrics in the text format of Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "health", security((), ("bearer" = [])), responses(
    (status = 200, description = "Prometheus text", content_type = "text/plain"),
    (status = 401, body = super::openapi::SqlResponse),
    (status = 403, body = super::openapi::SqlResponse),
))]
pub(crate) async fn show(State(state): State<MetricsState>, headers: HeaderMap) -> Response {
    if let Err(failure) = check(&state, &headers) {
        return failure.answer_sql(0.0);
    }
    let text = state.metrics.render(&state.engine);
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        text,
    )
        .into_response()
}

fn check(state: &MetricsState, headers: &HeaderMap) -> Result<(), Failure> {
    if state.reach == Reach::Loopback {
        return Ok(());
    }
    let Some(Authorization::Bearer(given)) = authorization(headers) else {
        return Err(Failure::new(
            ErrorCode::MissingAuthorization,
            "metrics need a Bearer token",
        ));
    };
    let is_token = state
        .token
        .as_ref()
        .is_some_and(|token| bool::from(token.as_bytes().ct_eq(given.as_bytes())));
    if is_token || state.auth.caller_of_token(given)?.role.is_admin() {
        Ok(())
    } else {
        Err(Failure::new(
            ErrorCode::PermissionDenied,
            "permission denied: metrics are for admins",
        ))
    }
}
