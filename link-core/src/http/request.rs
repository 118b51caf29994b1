//! Requests to `/v1/api/*` as a client makes them, and their answers as it reads them. Sending is the driver's.

use base64::Engine as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{
    AuthError, HealthResponse, LoginRequest, LoginResponse, MeResponse, SqlRequest, SqlResponse,
    Status,
};
use crate::error::ServerError;
use crate::message::Credentials;

// Enough of an answer that is not ours, a proxy's page for example, to recognise it.
const SHOWN_CHARS_MAX: usize = 200;

/// A request to send.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    pub method: Method,
    pub url: String,
    /// Value of the header `Authorization`.
    pub authorization: Option<String>,
    /// JSON.
    pub body: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
}

impl Method {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

impl std::fmt::Debug for HttpRequest {
    /// Without secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ReplyError {
    /// Of `/v1/api/sql`. Statements before the failed one have their results.
    #[error("{error}")]
    Sql {
        error: ServerError,
        response: Box<SqlResponse>,
    },
    /// Of any request that was not let in, and of `/v1/api/auth/*`.
    #[error("{}", error.message)]
    Auth { status: u16, error: AuthError },
    /// Not an answer of KalamDB.
    #[error("unexpected answer with status {status}: {shown}")]
    Unexpected { status: u16, shown: String },
}

impl HttpRequest {
    /// `base` is the address of the server: `http://host:8080`.
    #[must_use]
    pub fn sql(base: &str, request: &SqlRequest, credentials: Option<&Credentials>) -> Self {
        Self {
            authorization: credentials.map(authorization),
            ..Self::post(base, "/v1/api/sql", Some(request))
        }
    }

    #[must_use]
    pub fn login(base: &str, user: &str, password: &str) -> Self {
        let body = LoginRequest {
            user: user.to_owned(),
            password: password.to_owned(),
        };
        Self::post(base, "/v1/api/auth/login", Some(&body))
    }

    /// New tokens for a refresh token, which cannot be used again after that.
    #[must_use]
    pub fn refresh(base: &str, refresh_token: &str) -> Self {
        Self {
            authorization: Some(format!("Bearer {refresh_token}")),
            ..Self::post(base, "/v1/api/auth/refresh", None::<&()>)
        }
    }

    #[must_use]
    pub fn logout(base: &str, token: &str) -> Self {
        Self {
            authorization: Some(format!("Bearer {token}")),
            ..Self::post(base, "/v1/api/auth/logout", None::<&()>)
        }
    }

    #[must_use]
    pub fn me(base: &str, token: &str) -> Self {
        Self {
            method: Method::Get,
            authorization: Some(format!("Bearer {token}")),
            ..Self::post(base, "/v1/api/auth/me", None::<&()>)
        }
    }

    #[must_use]
    pub fn health(base: &str) -> Self {
        Self {
            method: Method::Get,
            ..Self::post(base, "/v1/api/healthcheck", None::<&()>)
        }
    }

    fn post(base: &str, path: &str, body: Option<&impl Serialize>) -> Self {
        Self {
            method: Method::Post,
            url: format!("{}{path}", base.trim_end_matches('/')),
            authorization: None,
            body: body
                .map(|body| serde_json::to_string(body).expect("plain data is written to memory")),
        }
    }
}

fn authorization(credentials: &Credentials) -> String {
    match credentials {
        Credentials::Jwt { token } => format!("Bearer {token}"),
        Credentials::Basic { username, password } => {
            let pair = format!("{username}:{password}");
            let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
            format!("Basic {encoded}")
        }
    }
}

/// Reads the answer to [`HttpRequest::sql`].
pub fn sql_reply(status: u16, body: &[u8]) -> Result<SqlResponse, ReplyError> {
    let Ok(response) = serde_json::from_slice::<SqlResponse>(body) else {
        return Err(refusal(status, body));
    };
    match (response.status, response.error.clone()) {
        (Status::Success, _) => Ok(response),
        (Status::Error, Some(error)) => Err(ReplyError::Sql {
            error,
            response: Box::new(response),
        }),
        (Status::Error, None) => Err(refusal(status, body)),
    }
}

/// Reads the answer to [`HttpRequest::login`] and [`HttpRequest::refresh`].
pub fn login_reply(status: u16, body: &[u8]) -> Result<LoginResponse, ReplyError> {
    auth_reply(status, body)
}

/// Reads the answer to [`HttpRequest::me`].
pub fn me_reply(status: u16, body: &[u8]) -> Result<MeResponse, ReplyError> {
    auth_reply(status, body)
}

/// Reads the answer to [`HttpRequest::health`].
pub fn health_reply(status: u16, body: &[u8]) -> Result<HealthResponse, ReplyError> {
    auth_reply(status, body)
}

/// Reads the answer to [`HttpRequest::logout`].
pub fn logout_reply(status: u16, body: &[u8]) -> Result<(), ReplyError> {
    auth_reply(status, body).map(|_: serde::de::IgnoredAny| ())
}

fn auth_reply<T: DeserializeOwned>(status: u16, body: &[u8]) -> Result<T, ReplyError> {
    if !(200..300).contains(&status) {
        return Err(refusal(status, body));
    }
    serde_json::from_slice(body).map_err(|_| refusal(status, body))
}

fn refusal(status: u16, body: &[u8]) -> ReplyError {
    match serde_json::from_slice(body) {
        Ok(error) => ReplyError::Auth { status, error },
        Err(_) => ReplyError::Unexpected {
            status,
            shown: String::from_utf8_lossy(body)
                .chars()
                .take(SHOWN_CHARS_MAX)
                .collect(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const BASE: &str = "http://localhost:8080/";

    #[test]
    fn requests_name_the_documented_paths() {
        let sql = SqlRequest {
            sql: "SELECT 1".into(),
            ..SqlRequest::default()
        };
        let basic = Credentials::Basic {
            username: "alice".into(),
            password: "secret".into(),
        };
        let request = HttpRequest::sql(BASE, &sql, Some(&basic));
        assert_eq!(request.url, "http://localhost:8080/v1/api/sql");
        assert_eq!(request.body.as_deref(), Some(r#"{"sql":"SELECT 1"}"#));
        assert_eq!(
            request.authorization.as_deref(),
            Some("Basic YWxpY2U6c2VjcmV0")
        );
        assert!(!format!("{request:?}").contains("YWxp"));
        let me = HttpRequest::me(BASE, "t");
        assert_eq!(
            (me.method.as_str(), me.body, me.authorization.as_deref()),
            ("GET", None, Some("Bearer t"))
        );
    }

    #[test]
    fn a_failed_statement_keeps_the_results_before_it() {
        let body = br#"{"status":"error","results":[{"row_count":1,"as_user":"a"}],"took":1.0,
            "error":{"code":"TABLE_NOT_FOUND","message":"table not found: `x`","details":null}}"#;
        match sql_reply(404, body) {
            Err(ReplyError::Sql { error, response }) => {
                assert_eq!(error.code, ErrorCode::TableNotFound);
                assert_eq!(response.results.len(), 1);
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_answer_that_is_not_ours_is_shown() {
        assert_eq!(
            sql_reply(502, b"<html>Bad Gateway</html>"),
            Err(ReplyError::Unexpected {
                status: 502,
                shown: "<html>Bad Gateway</html>".into()
            })
        );
        let refused = br#"{"error":"unauthorized","message":"wrong password"}"#;
        match login_reply(401, refused) {
            Err(ReplyError::Auth { status: 401, error }) => assert_eq!(error.error, "unauthorized"),
            other => panic!("{other:?}"),
        }
    }
}
