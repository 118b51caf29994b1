//! What every request passes: its id, CORS, and the net under panics.

use axum::Router;
use axum::routing::get;
use reqwest::Method;
use serde_json::json;

use super::metric;
use crate::harness::{Answer, TestNode};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_request_id_of_the_client_comes_back() {
    let node = TestNode::start().await;
    let sql = node.sql_request("root", &json!({"sql": "SELECT 1"})).await;
    for request in [
        sql,
        node.get("/health"),
        node.get("/nowhere"),
        node.get("/v1/api/sql"),
        node.post("/v1/api/sql"),
    ] {
        let answer = Answer::of(request.header("X-Request-ID", "my-id/1")).await;
        assert_eq!(answer.header("x-request-id"), Some("my-id/1"));
    }
    let mut made = Vec::new();
    for request in [
        node.get("/health"),
        node.get("/health"),
        node.get("/health").header("X-Request-ID", ""),
        node.get("/health").header("X-Request-ID", "two words"),
        node.get("/health").header("X-Request-ID", "x".repeat(129)),
    ] {
        made.push(
            Answer::of(request)
                .await
                .header("x-request-id")
                .unwrap()
                .to_owned(),
        );
    }
    assert!(
        made.iter()
            .all(|id| !id.is_empty() && !id.contains(' ') && id.len() < 129),
        "{made:?}"
    );
    let different: std::collections::BTreeSet<_> = made.iter().collect();
    assert_eq!(different.len(), made.len(), "{made:?}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_is_answered_and_leaves_the_server_up() {
    let routes = Router::new()
        .route(
            "/test/panic",
            get(async || -> &'static str { panic!("of the test") }),
        )
        .route(
            "/v1/api/auth/panic",
            get(async || -> &'static str { panic!("of the test") }),
        );
    let node = TestNode::start_with_routes(&[], routes).await;
    let answer = Answer::of(node.get("/test/panic").header("X-Request-ID", "find-me")).await;
    assert_eq!(answer.refusal(), (500, "INTERNAL_ERROR".to_owned()));
    assert_eq!(answer.header("x-request-id"), Some("find-me"));
    assert!(
        !answer.text().contains("of the test"),
        "what went wrong is for the log only"
    );
    let answer = Answer::of(node.get("/v1/api/auth/panic")).await;
    assert_eq!(
        (answer.status, &answer.json()["error"]),
        (500, &json!("internal_error"))
    );
    assert!((metric(&node, "kalamdb_panics_total").await - 2.0).abs() < f64::EPSILON);
    node.sql_ok("root", "SELECT 1").await;
    assert_eq!(Answer::of(node.get("/readyz")).await.status, 200);
    node.stop().await;
}

async fn preflight(node: &TestNode, origin: &str) -> Answer {
    let request = node
        .client()
        .request(Method::OPTIONS, node.url() + "/v1/api/sql");
    let request = request
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization,content-type,x-request-id",
        );
    Answer::of(request).await
}

fn assert_allowed(answer: &Answer, origin: &str) {
    assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
    assert_eq!(
        answer.header("access-control-allow-credentials"),
        Some("true")
    );
    assert!(
        answer
            .header("vary")
            .is_some_and(|vary| vary.to_lowercase().contains("origin"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_allowed_origins_may_call_and_others_not() {
    let settings = [
        ("KALAMDB_SERVER_HOST", "0.0.0.0"),
        (
            "KALAMDB_SECURITY_ALLOWED_ORIGINS",
            "https://app.example.com",
        ),
    ];
    let node = TestNode::start_with(&settings).await;
    let answer = preflight(&node, "https://app.example.com").await;
    assert_eq!(answer.status, 200);
    assert_allowed(&answer, "https://app.example.com");
    assert!(
        answer
            .header("access-control-allow-methods")
            .unwrap()
            .contains("POST")
    );
    let headers = answer.header("access-control-allow-headers").unwrap();
    for header in ["authorization", "content-type", "x-request-id"] {
        assert!(headers.contains(header), "{headers}");
    }
    let simple = Answer::of(
        node.get("/health")
            .header("origin", "https://app.example.com"),
    )
    .await;
    assert_allowed(&simple, "https://app.example.com");
    let exposed = simple.header("access-control-expose-headers").unwrap();
    assert!(
        exposed.contains("x-request-id") && exposed.contains("retry-after"),
        "{exposed}"
    );

    for origin in ["https://evil.example.com", "http://localhost:5173", "null"] {
        for answer in [
            preflight(&node, origin).await,
            Answer::of(node.get("/health").header("origin", origin)).await,
        ] {
            assert_eq!(
                answer.header("access-control-allow-origin"),
                None,
                "{origin}"
            );
        }
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_this_machine_may_call_a_loopback_listener() {
    let node = TestNode::start().await;
    for origin in [
        "http://localhost:5173",
        "http://127.0.0.1:8080",
        "http://[::1]:3000",
    ] {
        assert_allowed(&preflight(&node, origin).await, origin);
    }
    assert_eq!(
        preflight(&node, "https://app.example.com")
            .await
            .header("access-control-allow-origin"),
        None
    );
    node.stop().await;
}
