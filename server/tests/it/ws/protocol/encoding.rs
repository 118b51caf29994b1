//! Forms of messages: JSON, MessagePack, gzip.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::{board, post, root};
use crate::ws::client::{Carrier, Client, Ending, Serialization};

/// Below this, compression does not pay.
const GZIP_BYTES_MIN: usize = 512;

fn protocol(serialization: &str, compression: &str) -> Value {
    json!({"serialization": serialization, "compression": compression, "features": ["pong", "seq", "resync"]})
}

/// Everything that the server says is the same in all forms.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_forms_say_the_same() {
    let node = board().await;
    post(&node, 1..=300).await;
    let mut said = Vec::new();
    for (serialization, compression) in [
        ("json", "none"),
        ("msgpack", "none"),
        ("json", "gzip"),
        ("msgpack", "gzip"),
    ] {
        let protocol = protocol(serialization, compression);
        let mut client = Client::open_with(&node, "root", protocol).await;
        let mut load = client
            .subscribe_with("s", "SELECT * FROM app.board", json!({"batch_size": 100}))
            .await;
        load.ack["server_time_ms"] = json!(0);
        client.request("x", "SELECT", json!({})).await;
        let error = client.error_of("x").await;
        let mut answer = client
            .query("SELECT * FROM app.board ORDER BY id LIMIT 50")
            .await;
        answer["took"] = json!(0);
        said.push(json!([load.ack, load.rows, load.batches, error, answer]));
    }
    for other in &said[1..] {
        assert_eq!(*other, said[0]);
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_are_the_same_in_all_forms() {
    let node = board().await;
    let mut clients = Vec::new();
    for (serialization, compression) in [
        ("json", "none"),
        ("msgpack", "none"),
        ("json", "gzip"),
        ("msgpack", "gzip"),
    ] {
        let protocol = protocol(serialization, compression);
        let mut client = Client::open_with(&node, "root", protocol).await;
        client
            .subscribe("s", "SELECT * FROM app.board WHERE n < 100")
            .await;
        clients.push(client);
    }
    root(
        &node,
        "INSERT INTO app.board VALUES (1, repeat('long ', 500), 1), (2, NULL, 2), (3, 'ü👍', 3)",
    )
    .await;
    root(&node, "UPDATE app.board SET body = 'x' WHERE id > 0").await;
    root(&node, "UPDATE app.board SET n = 100 WHERE id = 1").await;
    root(&node, "DELETE FROM app.board WHERE id > 0").await;
    let mut said = Vec::new();
    for client in &mut clients {
        said.push(client.changes("s", 3 + 3 + 1 + 2).await);
    }
    for other in &said[1..] {
        assert_eq!(*other, said[0]);
    }
    node.stop().await;
}

/// Compressed are frames that gain by it, and no others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_frames_are_compressed_if_that_was_asked_for() {
    let node = board().await;
    root(
        &node,
        "INSERT INTO app.board VALUES (1, repeat('long ', 1000), 1)",
    )
    .await;
    for (serialization, plain) in [("json", Carrier::Text), ("msgpack", Carrier::Binary)] {
        for compression in ["none", "gzip"] {
            let protocol = protocol(serialization, compression);
            let mut client = Client::open_with(&node, "root", protocol).await;
            client
                .request("large", "SELECT * FROM app.board", json!({}))
                .await;
            client
                .request("small", "SELECT id FROM app.board", json!({}))
                .await;
            let mut compressed = 0;
            for _ in 0..4 {
                let delivery = client.receive().await.unwrap();
                if delivery.carrier == Carrier::Gzip {
                    assert_eq!(compression, "gzip");
                    assert!(delivery.message_bytes >= GZIP_BYTES_MIN, "{delivery:?}");
                    assert!(
                        delivery.frame_bytes < delivery.message_bytes,
                        "{delivery:?}"
                    );
                    compressed += 1;
                } else {
                    assert_eq!(delivery.carrier, plain);
                    assert!(
                        compression == "none" || delivery.message_bytes < 5_000,
                        "{delivery:?}"
                    );
                }
            }
            assert_eq!(compressed > 0, compression == "gzip");
        }
    }
    node.stop().await;
}

/// A client that negotiated MessagePack may still send text.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_is_json_whatever_was_negotiated() {
    let node = board().await;
    let mut client = Client::open_with(&node, "root", protocol("msgpack", "none")).await;
    client.send_frame(Message::text(r#"{"type":"ping"}"#)).await;
    let delivery = client.receive().await.unwrap();
    assert_eq!(
        (&delivery.message["type"], delivery.carrier),
        (&json!("pong"), Carrier::Binary)
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_message_ends_the_socket() {
    let node = board().await;
    for (serialization, frame) in [
        ("json", Message::text("")),
        ("json", Message::text("{")),
        ("json", Message::text("SELECT 1")),
        ("json", Message::text(r#"{"type":"ping"}}"#)),
        ("json", Message::text("[".repeat(100_000))),
        ("json", Message::text(r#"{"type":"ping","x":"\ud800"}"#)),
        ("json", Message::text("\u{feff}{\"type\":\"ping\"}")),
        ("msgpack", Message::binary(vec![])),
        ("msgpack", Message::binary(vec![0xc1])),
        ("msgpack", Message::binary(vec![0x81, 0xa4])),
        (
            "msgpack",
            Message::binary(vec![0xdf, 0xff, 0xff, 0xff, 0xff]),
        ),
        ("msgpack", Message::binary(vec![0x91; 100_000])),
    ] {
        let mut client = Client::open_with(&node, "root", protocol(serialization, "none")).await;
        client.send_frame(frame.clone()).await;
        let (messages, ending) = client.end().await;
        assert_eq!(ending, Ending(Some(1002)), "{frame:?}");
        for message in messages {
            assert_eq!(message["type"], "error", "{frame:?}: {message}");
            assert_eq!(message["code"], "PROTOCOL", "{frame:?}: {message}");
            assert_eq!(
                message["subscription_id"], "protocol",
                "{frame:?}: {message}"
            );
        }
    }
    node.stop().await;
}

/// JSON and MessagePack that are well formed and no message: refused by name; whether the socket goes on is the
/// server's choice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_another_message_is_refused_by_name() {
    let node = board().await;
    for message in [
        json!(null),
        json!(1),
        json!("ping"),
        json!([]),
        json!({}),
        json!({"type": null}),
        json!({"type": "no_such_type"}),
        json!({"type": "PING"}),
        json!({"type": "auth_success"}),
        json!({"type": "subscribe"}),
        json!({"type": "subscribe", "subscription": null}),
        json!({"type": "subscribe", "subscription": {"id": 1, "sql": "SELECT 1"}}),
        json!({"type": "subscribe", "subscription": {"id": "s"}}),
        json!({"type": "subscribe", "subscription": {"id": "s", "sql": "x", "options": {"last_rows": -1}}}),
        json!({"type": "subscribe", "subscription": {"id": "s", "sql": "x", "options": {"batch_size": "1"}}}),
        json!({"type": "next_batch"}),
        json!({"type": "unsubscribe", "subscription_id": null}),
        json!({"type": "query", "id": "q"}),
        json!({"type": "authenticate"}),
        json!({"type": "authenticate", "method": "oauth"}),
    ] {
        for form in [Serialization::Json, Serialization::Msgpack] {
            let name = if form == Serialization::Json {
                "json"
            } else {
                "msgpack"
            };
            let mut client = Client::open_with(&node, "root", protocol(name, "none")).await;
            client.send_unchecked(message.clone()).await;
            client.send(json!({"type": "ping"})).await;
            let first = match client.receive().await {
                Ok(delivery) => delivery.message,
                Err(ending) => {
                    assert_eq!(ending, Ending(Some(1002)), "{message}");
                    continue;
                }
            };
            assert_eq!(first["type"], "error", "{message}: {first}");
            assert_eq!(first["code"], "PROTOCOL", "{message}: {first}");
        }
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_fields_are_skipped() {
    let node = board().await;
    for name in ["json", "msgpack"] {
        let mut client = Client::open_with(&node, "root", protocol(name, "none")).await;
        client
            .send_unchecked(json!({"type": "ping", "new": {"deep": [1, {"x": null}]}}))
            .await;
        assert_eq!(client.next().await["type"], "pong");
        let subscription =
            json!({"id": "s", "sql": "SELECT * FROM app.board", "options": {"new": 1}, "new": "x"});
        client
            .send_unchecked(json!({"type": "subscribe", "subscription": subscription, "new": []}))
            .await;
        client.load("s").await;
    }
    node.stop().await;
}
