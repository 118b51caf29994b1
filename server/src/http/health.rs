//! Whether the server lives, is ready, and which version it is.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use kalam_engine::Engine;
use kalam_link_core::http::HealthResponse;
use serde_json::json as object;

use super::error::json;
use super::openapi;
use crate::shutdown::Lifecycle;

/// State of the health routes.
#[derive(Clone)]
pub(crate) struct HealthState {
    pub engine: Arc<Engine>,
    pub lifecycle: Lifecycle,
}

/// The process answers.
#[utoipa::path(get, path = "/livez", tag = "health", responses((status = 200, description = "alive")))]
pub(crate) async fn livez() -> Response {
    json(StatusCode::OK, &object!({"status": "ok"}))
}

/// The server takes reads and writes.
#[utoipa::path(get, path = "/readyz", tag = "health", responses(
    (status = 200, description = "ready"),
    (status = 503, description = "stopping, or the storage does not accept writes"),
))]
pub(crate) async fn readyz(State(state): State<HealthState>) -> Response {
    let status = if state.lifecycle.is_stopping() {
        "stopping"
    } else if state.engine.is_accepting_writes() {
        "ok"
    } else {
        "storage_unavailable"
    };
    let code = if status == "ok" {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    json(code, &object!({"status": status}))
}

/// Version and state, for people and old clients.
#[utoipa::path(get, path = "/health", tag = "health", responses((status = 200, body = openapi::HealthResponse)))]
pub(crate) async fn health() -> Response {
    describe()
}

/// The same as `/health`.
#[utoipa::path(get, path = "/v1/api/healthcheck", tag = "health", responses(
    (status = 200, body = openapi::HealthResponse),
))]
pub(crate) async fn healthcheck() -> Response {
    describe()
}

fn describe() -> Response {
    let body = HealthResponse {
        status: "healthy".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        api_version: "v1".to_owned(),
        build_date: env!("KALAMDB_BUILD_DATE").to_owned(),
    };
    json(StatusCode::OK, &body)
}
