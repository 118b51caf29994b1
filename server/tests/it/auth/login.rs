//! Login: what it answers, to whom, and its cookies.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{claims, field, log_in, log_in_with, me};
use crate::harness::{Answer, ROOT_PASSWORD, TestNode};

fn keys(object: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = object
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    keys
}

fn time(value: &Value) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(value.as_str().unwrap())
        .unwrap()
        .to_utc()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn login_answers_with_account_and_tokens() {
    let node = TestNode::start().await;
    let answer = log_in(&node, "root").await;
    let body = answer.json();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(
        keys(&body),
        [
            "access_token",
            "admin_ui_access",
            "expires_at",
            "refresh_expires_at",
            "refresh_token",
            "user"
        ]
    );
    let user = &body["user"];
    assert_eq!(
        keys(user),
        [
            "created_at",
            "email",
            "id",
            "role",
            "updated_at",
            "username"
        ]
    );
    assert_eq!(
        (&user["id"], &user["username"], &user["role"]),
        (&json!("root"), &json!("root"), &json!("system"))
    );
    assert_eq!(
        (&user["email"], &body["admin_ui_access"]),
        (&Value::Null, &json!(true))
    );
    assert!(time(&user["created_at"]) <= Utc::now() && time(&user["updated_at"]) <= Utc::now());
    for (token, expiry, seconds) in [
        ("access_token", "expires_at", 3_600),
        ("refresh_token", "refresh_expires_at", 604_800),
    ] {
        let said = claims(&field(&answer, token));
        assert_eq!(
            said["exp"].as_i64().unwrap(),
            time(&body[expiry]).timestamp(),
            "{token}"
        );
        assert_eq!(
            said["exp"].as_i64().unwrap() - said["iat"].as_i64().unwrap(),
            seconds,
            "{token}"
        );
        assert!(!said.to_string().contains(ROOT_PASSWORD));
    }
    let again = Answer::of(
        node.post("/v1/api/auth/login")
            .json(&json!({"username": "root", "password": ROOT_PASSWORD, "more": 1})),
    )
    .await;
    assert_eq!(again.status, 200, "`username` is another name of `user`");
    let account = me(&node, &field(&again, "access_token")).await;
    assert_eq!(
        (account.status, account.json()),
        (200, json!({"user": user, "admin_ui_access": true}))
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_role_may_log_in() {
    let node = TestNode::start().await;
    for (role, admin) in [
        ("user", false),
        ("service", false),
        ("dba", true),
        ("system", true),
    ] {
        let name = format!("a_{role}");
        node.create_user(&name, role).await;
        let body = log_in(&node, &name).await.json();
        assert_eq!(
            (&body["user"]["role"], &body["admin_ui_access"]),
            (&json!(role), &json!(admin))
        );
    }
    node.sql_ok("root", "ALTER USER 'a_user' SET EMAIL 'a@example.com'")
        .await;
    assert_eq!(
        log_in(&node, "a_user").await.json()["user"]["email"],
        "a@example.com"
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_login_does_not_say_why() {
    let node = TestNode::start().await;
    for name in ["alice", "gone"] {
        node.create_user(name, "user").await;
    }
    node.sql_ok("root", "DROP USER 'gone'").await;
    let wrong = log_in_with(&node, "alice", "wrong-password").await;
    assert_eq!(wrong.status, 401);
    assert_eq!(wrong.header("www-authenticate"), Some("Bearer"));
    assert!(wrong.headers.get("set-cookie").is_none());
    assert_eq!(keys(&wrong.json()), ["error", "message"]);
    assert_eq!(wrong.json()["error"], "unauthorized");
    for (name, password) in [
        ("nobody", "wrong-password"),
        ("gone", crate::harness::USER_PASSWORD),
        ("", "x"),
        ("a/b", "x"),
        ("alice", ""),
    ] {
        let answer = log_in_with(&node, name, password).await;
        assert_eq!(
            (answer.status, answer.text()),
            (401, wrong.text()),
            "{name}"
        );
    }
    node.stop().await;
}

/// Name, value and attributes of the cookies that an answer sets.
fn cookies(answer: &Answer) -> Vec<(String, String, Vec<String>)> {
    let headers = answer
        .headers
        .get_all("set-cookie")
        .iter()
        .map(|header| header.to_str().unwrap());
    let read = |header: &str| {
        let mut parts = header.split("; ").map(str::to_owned);
        let (name, value) = parts
            .next()
            .unwrap()
            .split_once('=')
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
            .unwrap();
        (name, value, parts.collect())
    };
    headers.map(read).collect()
}

fn check_cookies(answer: &Answer, secure: bool) {
    let cookies = cookies(answer);
    let names: Vec<&str> = cookies.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ["kalamdb_access", "kalamdb_refresh"]);
    for ((_, value, attributes), (token, seconds)) in cookies
        .iter()
        .zip([("access_token", 3_600_u64), ("refresh_token", 604_800)])
    {
        assert_eq!(*value, field(answer, token));
        let age = attributes
            .iter()
            .find_map(|attribute| attribute.strip_prefix("Max-Age="))
            .unwrap();
        assert!((1..=seconds).contains(&age.parse().unwrap()), "{age}");
        for attribute in ["Path=/v1/api/auth", "HttpOnly", "SameSite=Strict"] {
            assert!(
                attributes.iter().any(|found| found == attribute),
                "{attributes:?}"
            );
        }
        assert_eq!(
            attributes.iter().any(|found| found == "Secure"),
            secure,
            "{attributes:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cookies_stand_for_tokens_on_auth_routes_only() {
    let node = TestNode::start().await;
    let first = log_in(&node, "root").await;
    check_cookies(&first, false);
    let cookie = |answer: &Answer| {
        let pairs: Vec<String> = cookies(answer)
            .into_iter()
            .map(|(name, value, _)| format!("{name}={value}"))
            .collect();
        pairs.join("; ")
    };
    let with_cookies = async |request: reqwest::RequestBuilder, cookie: String| {
        Answer::of(request.header("cookie", cookie)).await
    };
    assert_eq!(
        with_cookies(node.get("/v1/api/auth/me"), cookie(&first))
            .await
            .json()["user"]["id"],
        "root"
    );
    let sql = node.post("/v1/api/sql").json(&json!({"sql": "SELECT 1"}));
    let answer = with_cookies(sql, cookie(&first)).await;
    assert_eq!(
        answer.refusal(),
        (401, "MISSING_AUTHORIZATION".to_owned()),
        "no page makes a browser run statements"
    );

    let second = with_cookies(node.post("/v1/api/auth/refresh"), cookie(&first)).await;
    check_cookies(&second, false);
    assert_ne!(cookie(&second), cookie(&first));
    let out = with_cookies(node.post("/v1/api/auth/logout"), cookie(&second)).await;
    assert_eq!((out.status, keys(&out.json())), (200, vec!["message"]));
    for (_, value, attributes) in cookies(&out) {
        assert!(
            value.is_empty() && attributes.iter().any(|attribute| attribute == "Max-Age=0"),
            "{attributes:?}"
        );
    }
    assert_eq!(cookies(&out).len(), 2);
    assert_eq!(
        with_cookies(node.get("/v1/api/auth/me"), cookie(&second))
            .await
            .status,
        401
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cookies_of_a_network_listener_are_secure() {
    let node = TestNode::start_with(&[("KALAMDB_SERVER_HOST", "0.0.0.0")]).await;
    check_cookies(&log_in(&node, "root").await, true);
    node.stop().await;
}
