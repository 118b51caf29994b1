//! Limits of a socket, and peers that go silent.

use serde_json::{Value, json};

use super::{BOARD, board, ids, post, prepared_with};
use crate::harness::TestNode;
use crate::ws::client::Client;
use crate::ws::raw::{CONTINUATION, Frame, PING, PONG, RawSocket, Received, TEXT};
use crate::ws::wait_for_metric;

const ALL: &str = "SELECT * FROM app.board";

async fn check_subscriptions_max(node: &TestNode, max: usize) {
    let mut client = Client::open(node, "root").await;
    for n in 0..max {
        client.subscribe(&n.to_string(), ALL).await;
    }
    client.request("one more", ALL, json!({})).await;
    assert_eq!(
        client.code_of("one more").await,
        "SUBSCRIPTION_LIMIT_EXCEEDED"
    );
    client
        .subscribe("0", "SELECT * FROM app.board WHERE id > 0")
        .await;
    client.unsubscribe("1").await;
    client.subscribe("one more", ALL).await;
    client.request("1", ALL, json!({})).await;
    assert_eq!(client.code_of("1").await, "SUBSCRIPTION_LIMIT_EXCEEDED");
    // The limit is the socket's, and the others go on.
    let mut other = Client::open(node, "root").await;
    other.subscribe("1", ALL).await;
    post(node, [1]).await;
    for n in 2..max {
        let change = client.next_typed(&n.to_string(), "change").await;
        assert_eq!(change["rows"][0]["id"], "1");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_has_a_hundred_subscriptions() {
    let node = board().await;
    check_subscriptions_max(&node, 100).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_number_of_subscriptions_is_a_setting() {
    let settings = [("KALAMDB_WEBSOCKET_SUBSCRIPTIONS_MAX", "3")];
    let node = prepared_with(&settings, &[BOARD]).await;
    check_subscriptions_max(&node, 3).await;
    node.stop().await;
}

/// Only what a load holds is refused: a refused subscription leaves room for another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_subscriptions_do_not_count() {
    let settings = [("KALAMDB_WEBSOCKET_SUBSCRIPTIONS_MAX", "2")];
    let node = prepared_with(&settings, &[BOARD]).await;
    let mut client = Client::open(&node, "root").await;
    for n in 0..10 {
        let id = n.to_string();
        client
            .request(&id, "SELECT * FROM app.absent", json!({}))
            .await;
        assert_eq!(client.code_of(&id).await, "NOT_FOUND");
        client.subscribe("s", ALL).await;
    }
    client.subscribe("another", ALL).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_too_many_messages_is_told() {
    let settings = [
        ("KALAMDB_SERVER_HOST", "0.0.0.0"),
        ("KALAMDB_WEBSOCKET_MESSAGES_PER_SECOND", "5"),
    ];
    let node = prepared_with(&settings, &[BOARD]).await;
    let mut client = Client::open(&node, "root").await;
    for _ in 0..100 {
        client.send(json!({"type": "ping"})).await;
    }
    let error = loop {
        let message = client.next().await;
        if message["type"] != "pong" {
            break message;
        }
    };
    assert_eq!(error["type"], "error", "{error}");
    assert_eq!(error["code"], "RATE_LIMIT_EXCEEDED", "{error}");
    assert_eq!(error["subscription_id"], "rate_limit", "{error}");
    let mut other = Client::open(&node, "root").await;
    other.subscribe("s", ALL).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_not_counted_on_a_loopback_address() {
    let settings = [("KALAMDB_WEBSOCKET_MESSAGES_PER_SECOND", "5")];
    let node = prepared_with(&settings, &[BOARD]).await;
    let mut client = Client::open(&node, "root").await;
    for _ in 0..100 {
        client.send(json!({"type": "ping"})).await;
    }
    for _ in 0..100 {
        assert_eq!(client.next().await["type"], "pong");
    }
    node.stop().await;
}

/// A text frame of 1 MB is a statement like others; what its SQL may be is the statement's limit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_subscription_is_answered() {
    let node = board().await;
    post(&node, [1]).await;
    let mut client = Client::open(&node, "root").await;
    let sql = format!("{ALL} WHERE body <> '{}'", "x".repeat(900_000));
    client.request("s", &sql, json!({})).await;
    let first = client.next_of("s").await;
    if first["type"] == "subscription_ack" {
        let batch = client.next_typed("s", "initial_data_batch").await;
        assert_eq!(batch["rows"][0]["id"], ids([1])[0]);
    } else {
        assert_eq!(first["type"], "error", "{first}");
    }
    client.assert_quiet().await;
    node.stop().await;
}

/// A socket is a connection until it ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_take_up_connections() {
    // One of them is the test's own, for HTTP.
    let settings = [
        ("KALAMDB_SERVER_CONNECTIONS_MAX", "3"),
        // Its HTTP client may hold a second one until that is idle for long.
        ("KALAMDB_WEBSOCKET_PING_AFTER_MS", "600000"),
    ];
    let node = TestNode::start_with(&settings).await;
    let (first, mut second) = (authenticated(&node).await, authenticated(&node).await);
    for (name, wanted) in [("kalamdb_connections", 3.0), ("kalamdb_sockets", 2.0)] {
        wait_for_metric(&node, name, |value| value == wanted).await;
    }
    let url = node.url();
    let third = tokio::spawn(async move { RawSocket::open(&url, "/v1/ws", &[]).await });
    second.send_frame(&Frame::new(PING, "")).await;
    assert_eq!(second.next().await, Received::Pong(Vec::new()));
    assert!(!third.is_finished(), "it waits for a place");
    drop(first);
    let third = third.await.unwrap();
    assert!(third.is_ok(), "{:?}", third.err());
    drop((second, third));
    for (name, wanted) in [("kalamdb_connections", 1.0), ("kalamdb_sockets", 0.0)] {
        wait_for_metric(&node, name, |value| value == wanted).await;
    }
    node.stop().await;
}

async fn authenticated(node: &TestNode) -> RawSocket {
    let mut socket = RawSocket::open(&node.url(), "/v1/ws", &[]).await.unwrap();
    let protocol = json!({"features": ["pong"]});
    socket
        .authenticate(&node.token("root").await, &protocol)
        .await;
    socket
}

fn quick_pings() -> [(&'static str, &'static str); 2] {
    [
        ("KALAMDB_WEBSOCKET_PING_AFTER_MS", "50"),
        ("KALAMDB_WEBSOCKET_PING_TIMEOUT_MS", "200"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_does_not_answer_is_closed() {
    let node = TestNode::start_with(&quick_pings()).await;
    let mut socket = authenticated(&node).await;
    let all = socket.rest().await;
    assert!(matches!(all[0], Received::Ping(_)), "{all:?}");
    let said: Vec<Value> = all.iter().filter_map(Received::message).collect();
    assert!(
        said.iter().all(|message| message["type"] == "error"),
        "{said:?}"
    );
    node.stop().await;
}

/// A pong, a ping, a part of a message: each shows that the peer is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_frame_counts_as_life() {
    let settings = [
        ("KALAMDB_WEBSOCKET_PING_AFTER_MS", "20"),
        // So long that a slow machine does not look like a dead peer.
        ("KALAMDB_WEBSOCKET_PING_TIMEOUT_MS", "20000"),
    ];
    let node = TestNode::start_with(&settings).await;
    let mut socket = authenticated(&node).await;
    let part = Frame::new(CONTINUATION, " ").more();
    let begun = Frame::new(TEXT, r#"{"type":"#).more();
    let signs = [
        vec![Frame::new(PONG, ""); 5],
        vec![Frame::new(PING, ""); 5],
        vec![begun],
        vec![part; 5],
    ];
    for sign in signs.concat() {
        loop {
            match socket.next().await {
                Received::Ping(_) => break,
                Received::Pong(_) => {}
                received => panic!("{received:?} before {sign:?}"),
            }
        }
        socket.send_frame(&sign).await;
    }
    socket
        .send_frame(&Frame::new(CONTINUATION, r#""ping"}"#))
        .await;
    let last = loop {
        match socket.next().await {
            Received::Ping(_) => {}
            received => break received,
        }
    };
    assert_eq!(last.message().unwrap()["type"], "pong");
    node.stop().await;
}

/// A client of the ordinary kind, whose library answers pings.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_client_that_answers_pings_hears_changes() {
    let settings = [
        ("KALAMDB_WEBSOCKET_PING_AFTER_MS", "10"),
        ("KALAMDB_WEBSOCKET_PING_TIMEOUT_MS", "5000"),
    ];
    let node = prepared_with(&settings, &[BOARD]).await;
    let mut client = Client::open(&node, "root").await;
    client.subscribe("s", ALL).await;
    let reading = client.changes("s", 30);
    let writing = async {
        for id in 1..=30 {
            post(&node, [id]).await;
        }
    };
    let (changes, ()) = tokio::join!(reading, writing);
    assert_eq!(changes.len(), 30);
    node.stop().await;
}
