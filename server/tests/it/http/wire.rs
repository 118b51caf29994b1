//! Bytes on a connection that no HTTP client would send.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::harness::TestNode;

/// Sends `bytes`, keeps the connection open for more, and returns what comes back until `enough` or its end.
async fn exchange(node: &TestNode, bytes: Vec<u8>, enough: fn(&str) -> bool) -> String {
    let address = node.url().replace("http://", "");
    let exchange = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(&bytes).unwrap();
        let mut answer = Vec::new();
        let mut chunk = [0; 1_024];
        loop {
            let text = String::from_utf8_lossy(&answer).into_owned();
            if enough(&text) {
                return text;
            }
            match stream.read(&mut chunk) {
                Ok(read) if read > 0 => answer.extend_from_slice(&chunk[..read]),
                Ok(_) | Err(_) => return text,
            }
        }
    });
    exchange.await.unwrap()
}

fn has_head(answer: &str) -> bool {
    answer.contains("\r\n\r\n")
}

fn never(_: &str) -> bool {
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_over_a_limit_are_refused() {
    let node = TestNode::start().await;
    let long = format!(
        "GET /livez HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n",
        "a".repeat(40_000)
    );
    let many = format!(
        "GET /livez HTTP/1.1\r\nHost: x\r\n{}\r\n",
        "a: b\r\n".repeat(1_000)
    );
    for request in [long, many] {
        let answer = exchange(&node, request.into_bytes(), has_head).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_http_is_refused() {
    let node = TestNode::start().await;
    for request in [
        "GARBAGE\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "\u{0}\u{1}\u{2}\r\n\r\n",
    ] {
        let answer = exchange(&node, request.into(), has_head).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{request:?}: {answer}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_does_not_wait_for_the_next_request() {
    let node = TestNode::start().await;
    let pipelined = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /readyz HTTP/1.1\r\nHo";
    let answer = exchange(&node, pipelined.into(), has_head).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_that_do_not_arrive_are_not_waited_for() {
    let node = TestNode::start_with(&[("KALAMDB_SERVER_HEADER_TIMEOUT_MS", "1")]).await;
    for begun in ["", "GET /livez HTTP/1.1\r\nHost:"] {
        // The exchange ends because the server closes the connection.
        let answer = exchange(&node, begun.into(), never).await;
        assert!(!answer.contains(" 200 "), "{answer}");
    }
    node.stop().await;
}
