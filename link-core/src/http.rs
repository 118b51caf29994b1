//! The JSON bodies of `/v1/api/sql` and `/v1/api/auth/*`.

mod request;

pub use request::{
    HttpRequest, Method, ReplyError, health_reply, login_reply, logout_reply, me_reply, sql_reply,
};

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::error::ServerError;
use crate::ids::{Role, UserId};
use crate::value::Field;

/// Body of `POST /v1/api/sql`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SqlRequest<P = Vec<Json>> {
    pub sql: String,
    /// Values of `$1`, `$2`, …: cells as results have them.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub params: Option<P>,
    /// Namespace of names without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_id: Option<String>,
    /// A repeated write with the same id returns the first answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// Whether a request worked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Success,
    Error,
}

/// Body of every answer of `POST /v1/api/sql`. `Rows` is how the rows of a result are held: cells for a client, raw
/// JSON for the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SqlResponse<Rows = Vec<Vec<Json>>> {
    pub status: Status,
    /// One per statement, in order; those before the failed one if there is an error.
    pub results: Vec<QueryResult<Rows>>,
    /// Milliseconds, three decimals.
    pub took: f64,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub error: Option<ServerError>,
}

/// What one statement gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueryResult<Rows = Vec<Vec<Json>>> {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schema: Vec<Field>,
    /// Positional, in the order of `schema`.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub rows: Option<Rows>,
    /// Rows in `rows`, or rows that a write touched.
    pub row_count: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Whose rows the statement worked on.
    pub as_user: UserId,
    /// Always false: a result that would be cut is an error (I13).
    #[serde(default)]
    pub truncated: bool,
}

fn none<T>() -> Option<T> {
    None
}

/// Body of `POST /v1/api/auth/login`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginRequest {
    #[serde(alias = "username")]
    pub user: String,
    pub password: String,
}

/// An account as its owner sees it. Times are RFC 3339.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserInfo {
    pub id: UserId,
    pub username: String,
    pub role: Role,
    pub email: Option<String>,
    pub created_at: String,
    pub updated_at: String,
}

/// Answer of login and refresh. Times are RFC 3339.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginResponse {
    pub user: UserInfo,
    pub admin_ui_access: bool,
    pub expires_at: String,
    pub access_token: String,
    pub refresh_token: String,
    pub refresh_expires_at: String,
}

/// Answer of `GET /v1/api/auth/me`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeResponse {
    pub user: UserInfo,
    pub admin_ui_access: bool,
}

/// Body of a failed request to `/v1/api/auth/*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthError {
    /// `unauthorized`, `account_locked`, `forbidden`, `weak_password`, `already_configured`, …
    pub error: String,
    pub message: String,
}

/// Answer of `GET /health` and `GET /v1/api/healthcheck`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthResponse {
    pub status: String,
    pub version: String,
    pub api_version: String,
    pub build_date: String,
}

/// Address of the socket of the server whose HTTP API is at `base`: `http://host:8080` → `ws://host:8080/v1/ws`. A
/// `ws` address is taken as it is.
#[must_use]
pub fn websocket_url(base: &str) -> String {
    let base = base.trim_end_matches('/');
    let (scheme, rest) = match base.split_once("://") {
        Some(("https", rest)) => ("wss", rest),
        Some(("http", rest)) => ("ws", rest),
        Some(_) => return base.to_owned(),
        None => ("ws", base),
    };
    format!("{scheme}://{rest}/v1/ws")
}
