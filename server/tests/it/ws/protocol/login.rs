//! Who is at the other end: in band or with the upgrade.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{BOARD, board, keys, prepared_with};
use crate::harness::{ROOT_PASSWORD, TestNode, USER_PASSWORD};
use crate::ws::client::{Carrier, Client, Ending, all_features, is_type};
use crate::ws::raw::{Frame, PING, RawSocket, Received, TEXT};

const NO_PROTOCOL: Value = Value::Null;

async fn basic(node: &TestNode, user: &str, password: &str) -> (Client, Value) {
    let mut client = Client::connect(&node.url(), "", None).await;
    let message =
        json!({"type": "authenticate", "method": "basic", "username": user, "password": password});
    client.send(message).await;
    let answer = client.receive().await.unwrap().message;
    (client, answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_authenticates_in_band() {
    let node = TestNode::start().await;
    node.create_user("alice", "user").await;
    for (user, password, role) in [
        ("root", ROOT_PASSWORD, "system"),
        ("alice", USER_PASSWORD, "user"),
    ] {
        let (mut client, answer) = basic(&node, user, password).await;
        let plain = json!({"serialization": "json", "compression": "none"});
        let expected = json!({"type": "auth_success", "user_id": user, "user": user, "role": role, "protocol": plain});
        assert_eq!(answer, expected);
        let answer = client.query("SELECT CURRENT_USER()").await;
        assert_eq!(answer["results"][0]["rows"], json!([[user]]));
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_authenticates_in_band_and_the_protocol_is_confirmed() {
    let node = TestNode::start().await;
    let token = node.token("root").await;
    for protocol in [
        json!({"serialization": "json", "compression": "none"}),
        json!({"serialization": "msgpack", "compression": "none"}),
        json!({"serialization": "json", "compression": "gzip"}),
        json!({"serialization": "msgpack", "compression": "gzip", "features": ["pong"]}),
        all_features(),
    ] {
        let mut client = Client::connect(&node.url(), "", None).await;
        let message =
            json!({"type": "authenticate", "method": "jwt", "token": token, "protocol": protocol});
        client.send(message).await;
        let answer = client.receive().await.unwrap();
        assert_eq!(answer.carrier, Carrier::Text);
        assert_eq!(answer.message["type"], "auth_success");
        assert_eq!(answer.message["protocol"], protocol);
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_newer_client_asks_for_is_left_out() {
    let node = TestNode::start().await;
    let protocol =
        json!({"serialization": "json", "features": ["pong", "time_travel"], "colour": "red"});
    let mut client = Client::connect(&node.url(), "", None).await;
    let token = node.token("root").await;
    let message = json!({"type": "authenticate", "method": "jwt", "token": token, "protocol": protocol, "new": 1});
    client.send_unchecked(message).await;
    let answer = client.next().await;
    assert_eq!(answer["type"], "auth_success", "{answer}");
    assert_eq!(answer["protocol"]["features"], json!(["pong"]));
    client.assert_quiet().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_on_the_upgrade_is_answered_unasked() {
    let node = board().await;
    let token = node.token("root").await;
    for (query, protocol) in [
        ("", json!({"serialization": "json", "compression": "none"})),
        (
            "?serialization=json&compression=none",
            json!({"serialization": "json", "compression": "none"}),
        ),
        (
            "?serialization=msgpack&compression=gzip",
            json!({"serialization": "msgpack", "compression": "gzip"}),
        ),
        (
            "?serialization=msgpack&compression=none",
            json!({"serialization": "msgpack", "compression": "none"}),
        ),
        (
            "?compress=false",
            json!({"serialization": "json", "compression": "none"}),
        ),
        (
            "?compression=gzip&features=pong,seq",
            json!({"serialization": "json", "compression": "gzip", "features": ["pong", "seq"]}),
        ),
    ] {
        let mut client = Client::connect(&node.url(), query, Some(&token)).await;
        let answer = client.receive().await.unwrap();
        assert_eq!(answer.carrier, Carrier::Text, "{query}");
        assert_eq!(answer.message["type"], "auth_success", "{query}");
        assert_eq!(answer.message["user"], "root", "{query}");
        assert_eq!(answer.message["protocol"], protocol, "{query}");
    }
    node.stop().await;
}

/// One cause, as bytes: it does not say whether the account exists.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_credentials_end_the_socket() {
    let node = TestNode::start().await;
    node.create_user("alice", "user").await;
    let mut said = Vec::new();
    for (user, password) in [
        ("alice", "wrong-password"),
        ("nobody", "wrong-password"),
        ("", ""),
        ("root", USER_PASSWORD),
    ] {
        let (mut client, answer) = basic(&node, user, password).await;
        assert_eq!(keys(&answer), ["message", "type"], "{user}");
        assert_eq!(answer["type"], "auth_error", "{user}");
        said.push(answer.to_string());
        let (messages, ending) = client.end().await;
        assert_eq!(messages, Vec::<Value>::new());
        assert!(ending.0.is_some(), "with a close frame");
    }
    said.dedup();
    assert_eq!(said.len(), 1, "{said:?}");
    let (_, refresh) = refresh_token(&node).await;
    for token in ["", "abc", "a.b.c", refresh.as_str()] {
        let mut client = Client::connect(&node.url(), "", None).await;
        client
            .send(json!({"type": "authenticate", "method": "jwt", "token": token}))
            .await;
        let (messages, ending) = client.end().await;
        assert_eq!(messages.len(), 1, "{messages:?}");
        assert_eq!(messages[0]["type"], "auth_error");
        assert!(ending.0.is_some());
    }
    node.stop().await;
}

async fn refresh_token(node: &TestNode) -> (String, String) {
    let answer: Value = node
        .post("/v1/api/auth/login")
        .json(&json!({"user": "root", "password": ROOT_PASSWORD}))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let text = |name: &str| answer[name].as_str().unwrap().to_owned();
    (text("access_token"), text("refresh_token"))
}

/// Either before the upgrade, as HTTP has it, or after it, as the protocol has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_token_on_the_upgrade_is_refused() {
    let node = TestNode::start().await;
    for value in ["Bearer abc", "Bearer ", "Bearer", "Digest x"] {
        let headers = [("Authorization", value)];
        match RawSocket::open(&node.url(), "/v1/ws", &headers).await {
            Err(refused) => assert_eq!(refused.status, 401, "{value}: {}", refused.head),
            Ok(mut socket) => {
                let all = socket.rest().await;
                let message = all[0].message().unwrap();
                assert_eq!(message["type"], "auth_error", "{value}: {message}");
            }
        }
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_nothing_is_not_waited_for() {
    let node = TestNode::start_with(&[("KALAMDB_WEBSOCKET_AUTH_TIMEOUT_MS", "50")]).await;
    let mut client = Client::connect(&node.url(), "", None).await;
    let (messages, ending) = client.end().await;
    let expected = json!({"type": "auth_error", "message": "Authentication timeout"});
    assert_eq!(messages, [expected]);
    assert!(ending.0.is_some(), "with a close frame");
    node.stop().await;
}

/// Frames that say nothing do not buy time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pings_are_no_authentication() {
    let node = TestNode::start_with(&[("KALAMDB_WEBSOCKET_AUTH_TIMEOUT_MS", "200")]).await;
    let mut socket = RawSocket::open(&node.url(), "/v1/ws", &[]).await.unwrap();
    let error = loop {
        socket.send_frame(&Frame::new(PING, "x")).await;
        match socket.next().await {
            Received::Pong(_) => {}
            received => break received,
        }
    };
    assert_eq!(error.message().unwrap()["type"], "auth_error");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_known_is_waited_for() {
    const TIMEOUT: Duration = Duration::from_millis(100);
    let node = TestNode::start_with(&[("KALAMDB_WEBSOCKET_AUTH_TIMEOUT_MS", "100")]).await;
    let token = node.token("root").await;
    let mut client = Client::connect(&node.url(), "?features=pong", Some(&token)).await;
    assert_eq!(client.next().await["type"], "auth_success");
    let begun = Instant::now();
    while begun.elapsed() < 3 * TIMEOUT {
        client.assert_quiet().await;
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_done_for_strangers() {
    let node = board().await;
    for message in [
        json!({"type": "subscribe", "subscription": {"id": "s", "sql": "SELECT * FROM app.board"}}),
        json!({"type": "query", "id": "q", "sql": "SELECT 1"}),
        json!({"type": "next_batch", "subscription_id": "s"}),
        json!({"type": "unsubscribe", "subscription_id": "s"}),
        json!({"type": "ping"}),
    ] {
        let mut client = Client::connect(&node.url(), "", None).await;
        client.send(message.clone()).await;
        let answer = client.next().await;
        assert_eq!(
            keys(&answer),
            ["code", "message", "subscription_id", "type"],
            "{message}"
        );
        assert_eq!(answer["type"], "error", "{message}: {answer}");
        assert_eq!(answer["code"], "AUTH_REQUIRED", "{message}: {answer}");
        assert!(answer["subscription_id"].is_string(), "{message}: {answer}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_have_sixteen_kilobytes() {
    let node = TestNode::start().await;
    let token = node.token("root").await;
    let message = |bytes: usize| {
        let mut text = json!({"type": "authenticate", "method": "jwt", "token": token}).to_string();
        text.push_str(&" ".repeat(bytes - text.len()));
        Frame::new(TEXT, text)
    };
    let mut socket = RawSocket::open(&node.url(), "/v1/ws", &[]).await.unwrap();
    socket.send_frame(&message(16_384)).await;
    let answer = socket.next().await.message().unwrap();
    assert_eq!(answer["type"], "auth_success", "as large as allowed");
    // Who is known may send more.
    let mut text = r#"{"type":"ping"}"#.to_owned();
    text.push_str(&" ".repeat(500_000));
    socket.send_frame(&Frame::new(TEXT, text)).await;
    socket
        .send_message(&json!({"type": "query", "id": "1", "sql": "SELECT 1"}))
        .await;
    assert_eq!(
        socket.next().await.message().unwrap()["type"],
        "query_result"
    );

    let mut socket = RawSocket::open(&node.url(), "/v1/ws", &[]).await.unwrap();
    socket.send_frame(&message(16_385)).await;
    let all = socket.rest().await;
    let last = all.last().unwrap();
    assert_eq!(*last, Received::Close(Some(1009)), "{all:?}");
    let codes: Vec<Value> = all
        .iter()
        .filter_map(Received::message)
        .map(|message| message["code"].clone())
        .collect();
    assert_eq!(codes, ["MESSAGE_TOO_LARGE"]);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_stays_with_its_account() {
    let node = board().await;
    node.create_user("alice", "user").await;
    let mut client = Client::open(&node, "alice").await;
    client.subscribe("s", "SELECT * FROM app.board").await;
    let again = node.token("alice").await;
    client.authenticate(&again, all_features()).await;
    client.assert_quiet().await;
    let other = node.token("root").await;
    client
        .send(json!({"type": "authenticate", "method": "jwt", "token": other}))
        .await;
    let (messages, Ending(code)) = client.end().await;
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert!(is_type(&messages[0], "auth_error"), "{messages:?}");
    assert!(code.is_some());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_sockets_of_one_account_live_beside_each_other() {
    let node = prepared_with(&[], &[BOARD]).await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut client = Client::open_with(&node, "root", NO_PROTOCOL).await;
        client
            .subscribe("the same id", "SELECT * FROM app.board")
            .await;
        clients.push(client);
    }
    super::post(&node, [1]).await;
    for client in &mut clients {
        let change = client.next_typed("the same id", "change").await;
        assert_eq!(change["rows"][0]["id"], "1");
    }
    node.stop().await;
}
