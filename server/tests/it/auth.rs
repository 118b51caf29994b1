//! Who may come in: passwords, tokens, sessions and the cookies of browsers.

mod credentials;
mod lockout;
mod login;
mod sessions;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::harness::{Answer, ROOT_PASSWORD, TestNode, USER_PASSWORD};

/// Signs the tokens of servers whose tokens a test forges.
const JWT_SECRET: &str = "a-secret-of-the-tests-with-enough-bytes";

async fn log_in(node: &TestNode, user: &str) -> Answer {
    let password = if user == "root" {
        ROOT_PASSWORD
    } else {
        USER_PASSWORD
    };
    log_in_with(node, user, password).await
}

async fn log_in_with(node: &TestNode, user: &str, password: &str) -> Answer {
    Answer::of(
        node.post("/v1/api/auth/login")
            .json(&json!({"user": user, "password": password})),
    )
    .await
}

fn field(answer: &Answer, name: &str) -> String {
    let body = answer.json();
    body[name]
        .as_str()
        .unwrap_or_else(|| panic!("no {name}: {body}"))
        .to_owned()
}

/// Access and refresh token of a new session.
async fn session(node: &TestNode, user: &str) -> (String, String) {
    tokens(&log_in(node, user).await)
}

fn tokens(answer: &Answer) -> (String, String) {
    (
        field(answer, "access_token"),
        field(answer, "refresh_token"),
    )
}

async fn refresh(node: &TestNode, token: &str) -> Answer {
    Answer::of(node.post("/v1/api/auth/refresh").bearer_auth(token)).await
}

async fn me(node: &TestNode, token: &str) -> Answer {
    Answer::of(node.get("/v1/api/auth/me").bearer_auth(token)).await
}

async fn log_out(node: &TestNode, token: &str) -> Answer {
    Answer::of(node.post("/v1/api/auth/logout").bearer_auth(token)).await
}

async fn sql_with(node: &TestNode, token: &str) -> Answer {
    Answer::of(
        node.post("/v1/api/sql")
            .bearer_auth(token)
            .json(&json!({"sql": "SELECT CURRENT_USER()"})),
    )
    .await
}

/// A token is good for nothing any more.
async fn assert_void(node: &TestNode, token: &str) {
    for answer in [
        me(node, token).await,
        refresh(node, token).await,
        log_out(node, token).await,
    ] {
        assert_eq!(
            (answer.status, &answer.json()["error"]),
            (401, &json!("unauthorized")),
            "{}",
            answer.text()
        );
    }
    let answer = sql_with(node, token).await;
    assert_eq!(
        answer.refusal(),
        (401, "INVALID_CREDENTIALS".to_owned()),
        "{}",
        answer.text()
    );
}

/// What a token says.
fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

fn signed(claims: &Value, algorithm: Algorithm, secret: &str) -> String {
    jsonwebtoken::encode(
        &Header::new(algorithm),
        claims,
        &EncodingKey::from_secret(secret.as_bytes()),
    )
    .unwrap()
}
