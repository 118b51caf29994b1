//! What a request may carry to prove who sends it, and everything that proves nothing.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::{JWT_SECRET, claims, me, refresh, session, signed, sql_with};
use crate::harness::{Answer, ROOT_PASSWORD, TestNode, USER_PASSWORD};

fn with(claims: &Value, name: &str, value: impl Into<Value>) -> Value {
    let mut claims = claims.clone();
    claims[name] = value.into();
    claims
}

/// `Authorization` headers that are refused, and the code.
fn refused_headers(
    access: &str,
    refresh: &str,
) -> Vec<(&'static str, Option<String>, &'static str)> {
    let said = claims(access);
    let forged = |claims: Value| {
        Some(format!(
            "Bearer {}",
            signed(&claims, Algorithm::HS256, JWT_SECRET)
        ))
    };
    let parts: Vec<&str> = access.split('.').collect();
    let system = URL_SAFE_NO_PAD.encode(with(&said, "role", "system").to_string());
    let unsigned = |header: &str, signature: &str| {
        Some(format!(
            "Bearer {}.{}.{signature}",
            URL_SAFE_NO_PAD.encode(header),
            parts[1]
        ))
    };
    vec![
        ("no header", None, "MISSING_AUTHORIZATION"),
        ("no token", Some("Bearer".to_owned()), "INVALID_CREDENTIALS"),
        ("no scheme", Some(access.to_owned()), "INVALID_CREDENTIALS"),
        (
            "another scheme",
            Some(format!("Digest {access}")),
            "INVALID_CREDENTIALS",
        ),
        (
            "no JWT",
            Some("Bearer abc".to_owned()),
            "INVALID_CREDENTIALS",
        ),
        (
            "two parts",
            Some(format!("Bearer {}.{}", parts[0], parts[1])),
            "INVALID_CREDENTIALS",
        ),
        (
            "parts of nothing",
            Some("Bearer ..".to_owned()),
            "INVALID_CREDENTIALS",
        ),
        (
            "expired",
            forged(with(&said, "exp", 1_700_000_000)),
            "TOKEN_EXPIRED",
        ),
        (
            "another secret",
            Some(format!(
                "Bearer {}",
                signed(
                    &said,
                    Algorithm::HS256,
                    "another-secret-of-at-least-32-bytes"
                )
            )),
            "INVALID_SIGNATURE",
        ),
        (
            "another payload",
            Some(format!("Bearer {}.{system}.{}", parts[0], parts[2])),
            "INVALID_SIGNATURE",
        ),
        (
            "another algorithm",
            Some(format!(
                "Bearer {}",
                signed(&said, Algorithm::HS512, JWT_SECRET)
            )),
            "INVALID_CREDENTIALS",
        ),
        (
            "no algorithm",
            unsigned(r#"{"alg":"none","typ":"JWT"}"#, ""),
            "INVALID_CREDENTIALS",
        ),
        (
            "no algorithm, a signature",
            unsigned(r#"{"alg":"none","typ":"JWT"}"#, parts[2]),
            "INVALID_CREDENTIALS",
        ),
        (
            "a refresh token",
            Some(format!("Bearer {refresh}")),
            "INVALID_CREDENTIALS",
        ),
        (
            "an unknown session",
            forged(with(&said, "jti", "0000.1")),
            "INVALID_CREDENTIALS",
        ),
        (
            "another version of the account",
            forged(with(&said, "ver", 99)),
            "INVALID_CREDENTIALS",
        ),
        (
            "nobody",
            forged(with(&said, "sub", "nobody")),
            "INVALID_CREDENTIALS",
        ),
        (
            "no end",
            forged(with(&said, "exp", Value::Null)),
            "INVALID_CREDENTIALS",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_without_valid_credentials_are_refused() {
    let node = TestNode::start_with(&[("KALAMDB_JWT_SECRET", JWT_SECRET)]).await;
    node.create_user("alice", "user").await;
    let (access, refresh) = session(&node, "alice").await;
    for (what, header, code) in refused_headers(&access, &refresh) {
        let with_header = |request: reqwest::RequestBuilder| match &header {
            Some(header) => request.header("authorization", header),
            None => request,
        };
        let answer =
            Answer::of(with_header(node.post("/v1/api/sql")).json(&json!({"sql": "SELECT 1"})))
                .await;
        assert_eq!(
            answer.refusal(),
            (401, code.to_owned()),
            "{what}: {}",
            answer.text()
        );
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{what}");
        assert_eq!(answer.json()["results"], json!([]));
        let answer = Answer::of(with_header(node.get("/v1/api/auth/me"))).await;
        assert_eq!(
            (answer.status, &answer.json()["error"]),
            (401, &json!("unauthorized")),
            "{what}"
        );
    }
    assert_eq!(sql_with(&node, &access).await.status, 200);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_are_looked_at_before_the_body() {
    let node = TestNode::start().await;
    let answer = Answer::of(node.post("/v1/api/sql").body("{")).await;
    assert_eq!(answer.refusal(), (401, "MISSING_AUTHORIZATION".to_owned()));
    node.stop().await;
}

/// The role in a token is for clients to look at: the account counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_follow_the_account_and_not_the_token() {
    let node = TestNode::start_with(&[("KALAMDB_JWT_SECRET", JWT_SECRET)]).await;
    node.create_user("alice", "user").await;
    let (access, _) = session(&node, "alice").await;
    let promoted = signed(
        &with(&claims(&access), "role", "system"),
        Algorithm::HS256,
        JWT_SECRET,
    );
    let body = json!({"sql": "CREATE NAMESPACE mine"});
    let answer = Answer::of(node.post("/v1/api/sql").bearer_auth(promoted).json(&body)).await;
    assert_eq!(answer.refusal(), (403, "PERMISSION_DENIED".to_owned()));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn basic_credentials_run_statements() {
    let node = TestNode::start().await;
    node.create_user("alice", "user").await;
    let sql = json!({"sql": "SELECT CURRENT_USER()"});
    let ask = async |user: &str, password: &str| {
        Answer::of(
            node.post("/v1/api/sql")
                .basic_auth(user, Some(password))
                .json(&sql),
        )
        .await
    };
    for (user, password) in [("root", ROOT_PASSWORD), ("alice", USER_PASSWORD)] {
        assert_eq!(
            ask(user, password).await.json()["results"][0]["rows"],
            json!([[user]])
        );
    }
    let wrong = ask("alice", ROOT_PASSWORD).await;
    assert_eq!(wrong.refusal(), (401, "INVALID_CREDENTIALS".to_owned()));
    for (user, password) in [
        ("nobody", USER_PASSWORD),
        ("", ""),
        ("alice", ""),
        ("Alice", USER_PASSWORD),
    ] {
        let answer = ask(user, password).await;
        assert_eq!(
            answer.refusal(),
            (401, "INVALID_CREDENTIALS".to_owned()),
            "{user}"
        );
        assert_eq!(
            answer.json()["error"],
            wrong.json()["error"],
            "the answer does not say what is wrong"
        );
    }
    for malformed in [
        "Basic".to_owned(),
        "Basic ???".to_owned(),
        format!("Basic {}", STANDARD.encode("root")),
    ] {
        let answer = Answer::of(
            node.post("/v1/api/sql")
                .header("authorization", &malformed)
                .json(&sql),
        )
        .await;
        assert_eq!(
            answer.refusal(),
            (401, "INVALID_CREDENTIALS".to_owned()),
            "{malformed}"
        );
    }
    for path in ["/v1/api/auth/refresh", "/v1/api/auth/logout"] {
        let answer = Answer::of(node.post(path).basic_auth("root", Some(ROOT_PASSWORD))).await;
        assert_eq!(
            (answer.status, &answer.json()["error"]),
            (401, &json!("unauthorized")),
            "{path} is about tokens"
        );
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_ends_when_it_says() {
    let node = TestNode::start_with(&[
        ("KALAMDB_JWT_ACCESS_SECONDS", "1"),
        ("KALAMDB_JWT_REFRESH_SECONDS", "3600"),
    ])
    .await;
    let (access, refresh_token) = session(&node, "root").await;
    let refused = loop {
        let answer = sql_with(&node, &access).await;
        if answer.status != 200 {
            break answer;
        }
    };
    assert_eq!(refused.refusal(), (401, "TOKEN_EXPIRED".to_owned()));
    assert_eq!(me(&node, &access).await.status, 401);
    assert_eq!(
        refresh(&node, &refresh_token).await.status,
        200,
        "the session goes on"
    );
    node.stop().await;
}
