//! The upgrade: which pages of browsers may ask for it, and what is no upgrade.

use crate::harness::TestNode;
use crate::ws::raw::{RawSocket, Refused};

async fn upgrade(node: &TestNode, origin: &str) -> Result<RawSocket, Refused> {
    RawSocket::open(&node.url(), "/v1/ws", &[("Origin", origin)]).await
}

async fn assert_allowed(node: &TestNode, origin: &str) {
    let socket = upgrade(node, origin).await;
    assert!(socket.is_ok(), "{origin}: {:?}", socket.err());
}

async fn assert_refused(node: &TestNode, origin: &str) {
    match upgrade(node, origin).await {
        Err(refused) => assert_eq!(refused.status, 403, "{origin}: {}", refused.head),
        Ok(_) => panic!("{origin} may upgrade"),
    }
}

const STRANGERS: [&str; 8] = [
    "https://evil.example.com",
    "http://localhost.evil.org",
    "http://127.0.0.1.evil.org",
    "http://evil.org:80",
    "null",
    "*",
    "file://",
    "ftp://localhost",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_this_machine_may_upgrade_on_a_loopback_address() {
    let node = TestNode::start().await;
    for origin in [
        node.url().as_str(),
        "http://localhost:5173",
        "http://127.0.0.1:1",
        "https://localhost",
        "http://[::1]:3000",
    ] {
        assert_allowed(&node, origin).await;
    }
    for origin in STRANGERS {
        assert_refused(&node, origin).await;
    }
    let programs = RawSocket::open(&node.url(), "/v1/ws", &[]).await;
    assert!(programs.is_ok(), "who is no browser has no origin");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn named_pages_and_its_own_may_upgrade_on_other_addresses() {
    let settings = [
        ("KALAMDB_SERVER_HOST", "0.0.0.0"),
        (
            "KALAMDB_SECURITY_ALLOWED_ORIGINS",
            "https://app.example.com",
        ),
    ];
    let node = TestNode::start_with(&settings).await;
    assert_allowed(&node, "https://app.example.com").await;
    assert_allowed(&node, &node.url()).await;
    for origin in [
        "http://localhost:5173",
        "http://127.0.0.1:1",
        "http://app.example.com",
    ]
    .into_iter()
    .chain(STRANGERS)
    {
        assert_refused(&node, origin).await;
    }
    node.stop().await;
}

/// A stranger's page learns nothing, not even with a good token.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_origin_is_looked_at_before_the_token() {
    let node = TestNode::start().await;
    let bearer = format!("Bearer {}", node.token("root").await);
    let mut heads = Vec::new();
    for token in [bearer.as_str(), "Bearer abc"] {
        let headers = [
            ("Origin", "https://evil.example.com"),
            ("Authorization", token),
        ];
        let refused = RawSocket::open(&node.url(), "/v1/ws", &headers)
            .await
            .err()
            .unwrap();
        assert_eq!(refused.status, 403);
        heads.push(refused.status);
    }
    assert_eq!(heads[0], heads[1]);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_upgrade_is_refused() {
    let node = TestNode::start().await;
    let answer = node.get("/v1/ws").send().await.unwrap();
    assert!(answer.status().is_client_error(), "{}", answer.status());
    let answer = node.post("/v1/ws").send().await.unwrap();
    assert_eq!(answer.status(), 405);
    let upgrade = "GET /v1/ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
    for rest in [
        "Sec-WebSocket-Version: 13\r\n",
        "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    ] {
        let request = format!("{upgrade}{rest}\r\n");
        let socket = RawSocket::request(&node.url(), request.as_bytes()).await;
        assert!(
            socket.head.starts_with("HTTP/1.1 4"),
            "{rest}: {}",
            socket.head
        );
    }
    node.sql_ok("root", "SELECT 1").await;
    node.stop().await;
}
