//! `/v1/api/auth/*`. Tokens go out in the body and as cookies; the cookies are taken by these routes only, so that no
//! other page makes a browser run statements.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use chrono::{DateTime, SecondsFormat, Utc};
use kalam_link_core::ErrorCode;
use kalam_link_core::http::{LoginRequest, LoginResponse, MeResponse, UserInfo};
use kalam_model::{Timestamp, UserRecord};
use serde_json::json as object;

use super::body::BodyLimits;
use super::error::{Failure, json};
use super::{Reach, openapi};
use crate::auth::extract::{Authorization, authorization, cookie};
use crate::auth::jwt::Issued;
use crate::auth::{Auth, Session};
use crate::metrics::Metrics;

const ACCESS_COOKIE: &str = "kalamdb_access";
const REFRESH_COOKIE: &str = "kalamdb_refresh";

/// State of the routes.
#[derive(Clone)]
pub(crate) struct AuthState {
    pub auth: Arc<Auth>,
    pub metrics: Arc<Metrics>,
    pub bodies: BodyLimits,
    pub reach: Reach,
}

/// Trades user name and password for tokens.
#[utoipa::path(post, path = "/v1/api/auth/login", tag = "auth", request_body = openapi::LoginRequest, responses(
    (status = 200, body = openapi::LoginResponse),
    (status = 400, body = openapi::AuthError),
    (status = 401, body = openapi::AuthError),
    (status = 429, body = openapi::AuthError, description = "account_locked: wait for the time in Retry-After"),
))]
pub(crate) async fn login(State(state): State<AuthState>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let session = match state
        .bodies
        .json::<LoginRequest>(&parts.headers, body)
        .await
    {
        Ok(LoginRequest { user, password }) => state.auth.login(&user, &password).await,
        Err(failure) => Err(failure),
    };
    state.metrics.login(session.is_ok());
    answer_session(&state, session)
}

/// Trades a refresh token for new tokens. A refresh token that was used before ends its session.
#[utoipa::path(post, path = "/v1/api/auth/refresh", tag = "auth", security(("bearer" = []), ("cookie" = [])), responses(
    (status = 200, body = openapi::LoginResponse),
    (status = 401, body = openapi::AuthError),
))]
pub(crate) async fn refresh(State(state): State<AuthState>, headers: HeaderMap) -> Response {
    let session = match token(&headers, &[REFRESH_COOKIE]) {
        Ok(token) => state.auth.refresh(token).await,
        Err(failure) => Err(failure),
    };
    answer_session(&state, session)
}

/// Ends the session of an access or refresh token.
#[utoipa::path(post, path = "/v1/api/auth/logout", tag = "auth", security(("bearer" = []), ("cookie" = [])), responses(
    (status = 200, body = openapi::Message),
    (status = 401, body = openapi::AuthError),
))]
pub(crate) async fn logout(State(state): State<AuthState>, headers: HeaderMap) -> Response {
    let ended = match token(&headers, &[REFRESH_COOKIE, ACCESS_COOKIE]) {
        Ok(token) => state.auth.logout(token).await,
        Err(failure) => Err(failure),
    };
    match ended {
        Ok(()) => {
            let mut response = json(StatusCode::OK, &object!({"message": "Logged out"}));
            for name in [ACCESS_COOKIE, REFRESH_COOKIE] {
                set_cookie(&mut response, name, "", 0, state.reach);
            }
            response
        }
        Err(failure) => failure.answer_auth(),
    }
}

/// The account of an access token.
#[utoipa::path(get, path = "/v1/api/auth/me", tag = "auth", security(("bearer" = []), ("cookie" = [])), responses(
    (status = 200, body = openapi::MeResponse),
    (status = 401, body = openapi::AuthError),
))]
pub(crate) async fn me(State(state): State<AuthState>, headers: HeaderMap) -> Response {
    match token(&headers, &[ACCESS_COOKIE]).and_then(|token| state.auth.user_of_token(token)) {
        Ok(user) => {
            let body = MeResponse {
                user: user_info(&user),
                admin_ui_access: user.role.is_admin(),
            };
            json(StatusCode::OK, &body)
        }
        Err(failure) => failure.answer_auth(),
    }
}

/// Whether the server waits for a first password: never, `root` has one from the first start on.
#[utoipa::path(get, path = "/v1/api/auth/status", tag = "auth", responses((status = 200, body = openapi::AuthStatus)))]
pub(crate) async fn status() -> Response {
    json(
        StatusCode::OK,
        &object!({"needs_setup": false, "message": "the server is set up: log in"}),
    )
}

/// For clients that ask a new server for its first password.
#[utoipa::path(post, path = "/v1/api/auth/setup", tag = "auth", responses((status = 409, body = openapi::AuthError)))]
pub(crate) async fn setup() -> Response {
    Failure::new(
        ErrorCode::AlreadyExists,
        "the server is already configured: log in as root",
    )
    .with_word("already_configured")
    .answer_auth()
}

/// The token of a request: the Bearer one, else the first of these cookies that is there.
fn token<'a>(headers: &'a HeaderMap, cookies: &[&str]) -> Result<&'a str, Failure> {
    match authorization(headers) {
        Some(Authorization::Bearer(token)) => Ok(token),
        Some(_) => Err(Failure::new(
            ErrorCode::InvalidCredentials,
            "send the token as `Authorization: Bearer <token>`",
        )),
        None => cookies
            .iter()
            .find_map(|name| cookie(headers, name))
            .ok_or_else(|| {
                Failure::new(
                    ErrorCode::MissingAuthorization,
                    "missing token: send it as Bearer or as a cookie",
                )
            }),
    }
}

fn answer_session(state: &AuthState, session: Result<Session, Failure>) -> Response {
    let Session {
        user,
        access,
        refresh,
    } = match session {
        Ok(session) => session,
        Err(failure) => return failure.answer_auth(),
    };
    let body = LoginResponse {
        user: user_info(&user),
        admin_ui_access: user.role.is_admin(),
        expires_at: rfc3339(access.expires_at),
        access_token: access.token.clone(),
        refresh_token: refresh.token.clone(),
        refresh_expires_at: rfc3339(refresh.expires_at),
    };
    let mut response = json(StatusCode::OK, &body);
    for (name, issued) in [(ACCESS_COOKIE, &access), (REFRESH_COOKIE, &refresh)] {
        set_cookie(
            &mut response,
            name,
            &issued.token,
            seconds_left(issued),
            state.reach,
        );
    }
    response
}

fn user_info(user: &UserRecord) -> UserInfo {
    UserInfo {
        id: user.id.clone(),
        username: user.id.to_string(),
        role: user.role,
        email: user.email.clone(),
        created_at: rfc3339(user.created_at),
        updated_at: rfc3339(user.updated_at),
    }
}

fn rfc3339(time: Timestamp) -> String {
    DateTime::<Utc>::from_timestamp_micros(time.0)
        .unwrap_or_default()
        .to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

fn seconds_left(issued: &Issued) -> u64 {
    issued
        .expires_at
        .unix_ms()
        .saturating_sub(Timestamp::now().unix_ms())
        / 1_000
}

fn set_cookie(response: &mut Response, name: &str, value: &str, max_age_s: u64, reach: Reach) {
    let secure = match reach {
        Reach::Loopback => "",
        Reach::Network => "; Secure",
    };
    let cookie = format!(
        "{name}={value}; Path=/v1/api/auth; Max-Age={max_age_s}; HttpOnly; SameSite=Strict{secure}"
    );
    let cookie = HeaderValue::try_from(cookie).expect("a token is base64 and dots");
    response.headers_mut().append(SET_COOKIE, cookie);
}
