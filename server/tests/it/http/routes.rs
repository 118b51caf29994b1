//! Every route answers as the contract says, and what is no route says so.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use super::keys;
use crate::harness::{Answer, ROOT_PASSWORD, TestNode};

/// Method and path of everything that the server answers.
const ROUTES: &[(&str, &str)] = &[
    ("GET", "/livez"),
    ("GET", "/readyz"),
    ("GET", "/health"),
    ("GET", "/metrics"),
    ("GET", "/v1/openapi.json"),
    ("GET", "/v1/api/healthcheck"),
    ("POST", "/v1/api/auth/login"),
    ("POST", "/v1/api/auth/refresh"),
    ("POST", "/v1/api/auth/logout"),
    ("GET", "/v1/api/auth/me"),
    ("GET", "/v1/api/auth/status"),
    ("POST", "/v1/api/auth/setup"),
    ("POST", "/v1/api/sql"),
    ("GET", "/v1/ws"),
];

fn request(node: &TestNode, method: &str, path: &str) -> reqwest::RequestBuilder {
    node.client().request(
        Method::from_bytes(method.as_bytes()).unwrap(),
        node.url() + path,
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_routes_describe_the_server() {
    let node = TestNode::start().await;
    for path in ["/livez", "/readyz"] {
        let answer = Answer::of(node.get(path)).await;
        assert_eq!(
            (answer.status, answer.json()),
            (200, json!({"status": "ok"})),
            "{path}"
        );
    }
    for path in ["/health", "/v1/api/healthcheck"] {
        let answer = Answer::of(node.get(path)).await;
        let body = answer.json();
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(
            keys(&body),
            ["api_version", "build_date", "status", "version"],
            "{path}"
        );
        assert_eq!(body["status"], "healthy");
        assert_eq!(body["api_version"], "v1");
        assert_eq!(body["version"], env!("CARGO_PKG_VERSION"));
        chrono::NaiveDate::parse_from_str(body["build_date"].as_str().unwrap(), "%Y-%m-%d")
            .unwrap();
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openapi_lists_every_route_and_each_of_them_answers() {
    let node = TestNode::start().await;
    let answer = Answer::of(node.get("/v1/openapi.json")).await;
    let description = answer.json();
    assert_eq!(answer.status, 200);
    assert!(description["openapi"].as_str().unwrap().starts_with("3."));
    assert_eq!(description["info"]["version"], env!("CARGO_PKG_VERSION"));

    let mut described = BTreeSet::new();
    for (path, methods) in description["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            described.insert((method.to_uppercase(), path.clone()));
        }
    }
    let expected = ROUTES
        .iter()
        .map(|(method, path)| ((*method).to_owned(), (*path).to_owned()));
    assert_eq!(described, expected.collect());
    for (method, path) in ROUTES {
        let answer = Answer::of(request(&node, method, path)).await;
        assert!(
            ![404, 405, 500].contains(&answer.status),
            "{method} {path}: {}",
            answer.status
        );
    }
    let text = description.to_string();
    for (_, reference) in text
        .match_indices("#/components/schemas/")
        .map(|(at, found)| (at, &text[at + found.len()..]))
    {
        let name = reference.split('"').next().unwrap();
        assert!(
            description["components"]["schemas"].get(name).is_some(),
            "{name} is referred to and missing"
        );
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_route_gets_a_typed_404() {
    let node = TestNode::start().await;
    for (method, path) in [
        ("GET", "/nowhere"),
        ("POST", "/v1/api/sqls"),
        ("GET", "/v1/api/sql/"),
        ("DELETE", "/"),
    ] {
        let answer = Answer::of(request(&node, method, path)).await;
        let message = format!("not found: no route `{method} {path}`");
        let error = json!({"code": "NOT_FOUND", "message": message, "details": null});
        assert_eq!(answer.status, 404);
        assert_eq!(
            answer.json(),
            json!({"status": "error", "results": [], "took": 0.0, "error": error})
        );
        assert!(answer.header("x-request-id").is_some());
    }
    let answer = Answer::of(node.post("/v1/api/auth/nothing")).await;
    let message = "not found: no route `POST /v1/api/auth/nothing`";
    assert_eq!(
        (answer.status, answer.json()),
        (404, json!({"error": "not_found", "message": message}))
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_method_is_named_with_those_that_are_allowed() {
    let node = TestNode::start().await;
    for (method, path, allowed) in [
        ("GET", "/v1/api/sql", "POST"),
        ("PUT", "/v1/api/sql", "POST"),
        ("POST", "/health", "GET,HEAD"),
    ] {
        let answer = Answer::of(request(&node, method, path)).await;
        assert_eq!(
            answer.refusal(),
            (405, "INVALID_INPUT".to_owned()),
            "{method} {path}"
        );
        assert!(
            answer
                .text()
                .contains(&format!("`{path}` does not answer {method}")),
            "{}",
            answer.text()
        );
        assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
    }
    let answer = Answer::of(node.get("/v1/api/auth/login")).await;
    assert_eq!(
        (answer.status, keys(&answer.json())),
        (405, vec!["error", "message"])
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_set_up_from_the_first_start_on() {
    let node = TestNode::start().await;
    let status = Answer::of(node.get("/v1/api/auth/status")).await;
    let body = status.json();
    assert_eq!(
        (status.status, keys(&body), &body["needs_setup"]),
        (200, vec!["message", "needs_setup"], &Value::Bool(false))
    );
    let body = json!({"username": "root", "password": "another-password"});
    let setup = Answer::of(node.post("/v1/api/auth/setup").json(&body)).await;
    assert_eq!(
        (setup.status, keys(&setup.json())),
        (409, vec!["error", "message"])
    );
    assert_eq!(setup.json()["error"], "already_configured");
    node.sql_ok("root", "SELECT 1").await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_are_open_on_a_loopback_listener() {
    let node = TestNode::start().await;
    node.sql_ok("root", "SELECT 1").await;
    let answer = Answer::of(node.get("/metrics")).await;
    assert_eq!(answer.status, 200);
    assert!(
        answer
            .header("content-type")
            .unwrap()
            .starts_with("text/plain")
    );
    for line in [
        "# TYPE kalamdb_http_requests_total counter",
        "kalamdb_http_requests_total{route=\"/v1/api/sql\",status=\"2xx\"} 1",
        "kalamdb_statements_total{code=\"OK\"} 1",
        "kalamdb_logins_total{result=\"granted\"} 1",
        "kalamdb_accepting_writes 1",
        "kalamdb_sql_running 0",
    ] {
        assert!(
            answer.text().lines().any(|found| found == line),
            "no `{line}` in:\n{}",
            answer.text()
        );
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_of_a_network_listener_need_a_token() {
    let settings = [
        ("KALAMDB_SERVER_HOST", "0.0.0.0"),
        ("KALAMDB_METRICS_TOKEN", "metrics-token-of-tests"),
    ];
    let node = TestNode::start_with(&settings).await;
    node.create_user("alice", "user").await;
    node.create_user("ops", "dba").await;
    let (root, ops, alice) = (
        node.token("root").await,
        node.token("ops").await,
        node.token("alice").await,
    );
    let check = async |request: reqwest::RequestBuilder, expected: (u16, &str)| {
        let answer = Answer::of(request).await;
        assert_eq!(answer.status, expected.0, "{}", answer.text());
        if expected.0 == 200 {
            assert!(answer.text().contains(expected.1));
        } else {
            assert_eq!(answer.code(), expected.1);
            assert!(!answer.text().contains("kalamdb_"));
        }
    };
    let metrics = || node.get("/metrics");
    check(metrics(), (401, "MISSING_AUTHORIZATION")).await;
    check(
        metrics().basic_auth("root", Some(ROOT_PASSWORD)),
        (401, "MISSING_AUTHORIZATION"),
    )
    .await;
    check(
        metrics().bearer_auth("metrics-token-of-testz"),
        (401, "INVALID_CREDENTIALS"),
    )
    .await;
    check(metrics().bearer_auth(alice), (403, "PERMISSION_DENIED")).await;
    for token in ["metrics-token-of-tests", &root, &ops] {
        check(
            metrics().bearer_auth(token),
            (200, "kalamdb_uptime_seconds"),
        )
        .await;
    }
    node.stop().await;
}
