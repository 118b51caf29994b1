//! Errors as answers: the envelope of `/v1/api/sql`, and the smaller form of `/v1/api/auth/*`.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use kalam_link_core::http::{AuthError, SqlResponse, Status};
use kalam_link_core::{ErrorCode, ServerError};
use serde::Serialize;
use serde_json::value::RawValue;

/// Why a request is refused before, or without, any statement.
#[derive(Debug)]
pub(crate) struct Failure {
    pub error: ServerError,
    /// `error` in answers of `/v1/api/auth/*`; follows from the code unless it is given.
    pub word: Option<&'static str>,
    pub retry_after_s: Option<u64>,
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        Self {
            error,
            word: None,
            retry_after_s: None,
        }
    }
}

impl Failure {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::from(ServerError::new(code, message))
    }

    pub(crate) fn with_word(mut self, word: &'static str) -> Self {
        self.word = Some(word);
        self
    }

    pub(crate) fn with_retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// In the form that the routes at `path` have.
    pub(crate) fn answer_at(self, path: &str) -> Response {
        if path.starts_with("/v1/api/auth/") {
            self.answer_auth()
        } else {
            self.answer_sql(0.0)
        }
    }

    /// As `/v1/api/sql` answers.
    pub(crate) fn answer_sql(self, took_ms: f64) -> Response {
        let (status, retry_after_s) = (self.status(), self.retry_after_s);
        let envelope: SqlResponse<Box<RawValue>> = SqlResponse {
            status: Status::Error,
            results: Vec::new(),
            took: took_ms,
            error: Some(self.error),
        };
        with_headers(json(status, &envelope), retry_after_s)
    }

    /// As `/v1/api/auth/*` answer.
    pub(crate) fn answer_auth(self) -> Response {
        let body = AuthError {
            error: self.word().to_owned(),
            message: self.error.message.clone(),
        };
        with_headers(json(self.status(), &body), self.retry_after_s)
    }

    fn status(&self) -> StatusCode {
        status_of(self.error.code)
    }

    fn word(&self) -> &'static str {
        if let Some(word) = self.word {
            return word;
        }
        match self.error.code {
            ErrorCode::MissingAuthorization
            | ErrorCode::InvalidCredentials
            | ErrorCode::TokenExpired
            | ErrorCode::InvalidSignature => "unauthorized",
            ErrorCode::PermissionDenied => "forbidden",
            ErrorCode::RateLimitExceeded => "rate_limited",
            ErrorCode::InvalidInput => "invalid_input",
            ErrorCode::BodyTooLarge => "body_too_large",
            ErrorCode::NotFound => "not_found",
            ErrorCode::ShuttingDown => "shutting_down",
            ErrorCode::StorageUnavailable | ErrorCode::DiskFull => "storage_unavailable",
            _ => "internal_error",
        }
    }
}

/// HTTP status of an answer with this code.
pub(crate) fn status_of(code: ErrorCode) -> StatusCode {
    StatusCode::from_u16(code.http_status()).expect("every code has a status from 400 to 503")
}

fn with_headers(mut response: Response, retry_after_s: Option<u64>) -> Response {
    if let Some(seconds) = retry_after_s {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if response.status() == StatusCode::UNAUTHORIZED {
        response
            .headers_mut()
            .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// A JSON answer that no cache keeps.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    json_with_capacity(status, body, 256)
}

/// [`json`], for a body of about `bytes`.
pub(crate) fn json_with_capacity(
    status: StatusCode,
    body: &impl Serialize,
    bytes: usize,
) -> Response {
    let mut text = Vec::with_capacity(bytes);
    serde_json::to_writer(&mut text, body)
        .expect("the types of answers have string keys and memory does not fail");
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, text).into_response()
}
