//! The OpenAPI description: the routes describe themselves, the bodies are mirrored here.
//!
//! The types of the bodies are link-core's, which knows nothing of OpenAPI; a test compares the field names.

use std::sync::{Arc, OnceLock};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value as Json;
use utoipa::ToSchema;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, OpenApi, OpenApiBuilder};

use super::error::json;

/// The description, made once the router is complete.
pub(crate) type Description = Arc<OnceLock<OpenApi>>;

/// What is not said by a route.
pub(crate) fn base() -> OpenApi {
    let info = InfoBuilder::new()
        .title("KalamDB")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "SQL over HTTP. Cells, error codes and limits: docs/reference.",
        ))
        .build();
    let cookie = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new("kalamdb_refresh")));
    let components = ComponentsBuilder::new()
        .security_scheme(
            "bearer",
            SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)),
        )
        .security_scheme(
            "basic",
            SecurityScheme::Http(Http::new(HttpAuthScheme::Basic)),
        )
        .security_scheme("cookie", cookie)
        .build();
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        .build()
}

/// This description.
#[utoipa::path(get, path = "/v1/openapi.json", tag = "health", responses(
    (status = 200, description = "OpenAPI 3.1", content_type = "application/json"),
))]
pub(crate) async fn show(State(description): State<Description>) -> Response {
    json(StatusCode::OK, &description.get())
}

/// Statements and what they need.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct SqlRequest {
    /// One statement or several, separated by `;`.
    sql: String,
    /// Values of `$1`, `$2`, …: cells as results have them.
    params: Option<Vec<Json>>,
    /// Namespace of names without one.
    namespace_id: Option<String>,
    /// A repeated write with the same id returns the first answer.
    request_id: Option<String>,
}

/// The envelope of every answer.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct SqlResponse {
    /// `success` or `error`.
    status: String,
    /// One per statement, in order; those before the failed one if there is an error.
    results: Vec<QueryResult>,
    /// Milliseconds.
    took: f64,
    error: Option<ServerError>,
}

/// What one statement gave.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct QueryResult {
    schema: Option<Vec<Field>>,
    /// Positional, in the order of `schema`.
    rows: Option<Vec<Vec<Json>>>,
    /// Rows in `rows`, or rows that a write touched.
    row_count: u64,
    message: Option<String>,
    /// Whose rows the statement worked on.
    as_user: String,
    /// Always false: a result that would be cut is an error.
    truncated: bool,
}

/// A column of a result.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct Field {
    name: String,
    /// `BigInt`, `Text`, `{"Decimal":{"precision":10,"scale":2}}`, …
    data_type: Json,
    index: u32,
    /// `pk`, `nn`, …
    flags: Option<Vec<String>>,
}

/// Why a request failed.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct ServerError {
    /// Stable; the HTTP status follows from it.
    code: String,
    message: String,
    details: Option<String>,
    hint: Option<String>,
}

/// User name and password.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct LoginRequest {
    /// `username` is taken too.
    user: String,
    password: String,
}

/// An account as its owner sees it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct UserInfo {
    id: String,
    username: String,
    /// `user`, `service`, `dba` or `system`.
    role: String,
    email: Option<String>,
    /// RFC 3339.
    created_at: String,
    /// RFC 3339.
    updated_at: String,
}

/// Tokens.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct LoginResponse {
    user: UserInfo,
    admin_ui_access: bool,
    /// RFC 3339.
    expires_at: String,
    access_token: String,
    refresh_token: String,
    /// RFC 3339.
    refresh_expires_at: String,
}

/// The account of a token.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct MeResponse {
    user: UserInfo,
    admin_ui_access: bool,
}

/// Why an auth request failed.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct AuthError {
    /// `unauthorized`, `account_locked`, `forbidden`, `already_configured`, …
    error: String,
    message: String,
}

/// A sentence.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct Message {
    message: String,
}

/// Whether the server waits for a first password.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct AuthStatus {
    needs_setup: bool,
    message: String,
}

/// Version and state.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct HealthResponse {
    status: String,
    version: String,
    api_version: String,
    build_date: String,
}

#[cfg(test)]
mod tests;
