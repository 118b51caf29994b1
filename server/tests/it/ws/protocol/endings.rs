//! What ends a subscription, begins it anew, or ends the socket.

use serde_json::{Value, json};

use super::{BOARD, NOTES, board, ids, keys, post, prepared, root};
use crate::harness::Answer;
use crate::ws::client::{Client, Ending, all_features};

const ALL: &str = "SELECT * FROM app.board";

/// Everything but `resync`.
fn without_resync() -> Value {
    json!({"serialization": "json", "features": ["pong", "seq", "auth_expiring"]})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_altered_table_begins_anew() {
    let node = board().await;
    post(&node, 1..=3).await;
    let mut client = Client::open(&node, "root").await;
    client.subscribe("s", ALL).await;
    root(
        &node,
        "ALTER TABLE app.board ADD COLUMN extra TEXT DEFAULT 'x'",
    )
    .await;
    let resync = client.next_typed("s", "resync").await;
    assert_eq!(
        resync,
        json!({"type": "resync", "subscription_id": "s", "reason": "schema_changed"})
    );
    let load = client.load("s").await;
    assert_eq!(load.column("extra"), [json!("x"), json!("x"), json!("x")]);
    let names: Vec<&Value> = load.ack["schema"]
        .as_array()
        .unwrap()
        .iter()
        .map(|field| &field["name"])
        .collect();
    assert_eq!(names, ["id", "body", "n", "extra"]);
    root(&node, "INSERT INTO app.board (id, extra) VALUES (4, 'y')").await;
    let change = client.next_typed("s", "change").await;
    assert_eq!(change["rows"][0]["extra"], "y");
    client.assert_quiet().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_altered_table_ends_the_subscriptions_of_old_clients() {
    let node = board().await;
    let mut client = Client::open_with(&node, "root", without_resync()).await;
    client.subscribe("s", ALL).await;
    root(&node, "ALTER TABLE app.board ADD COLUMN extra TEXT").await;
    assert_eq!(client.code_of("s").await, "SUBSCRIPTION_FAILED");
    root(&node, "INSERT INTO app.board (id) VALUES (1)").await;
    client.assert_quiet().await;
    let load = client.subscribe("s", ALL).await;
    assert_eq!(load.column("extra"), [Value::Null], "the id is free");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_altered_during_a_load_begins_anew() {
    let node = board().await;
    post(&node, 1..=3).await;
    let mut client = Client::open(&node, "root").await;
    client.request("s", ALL, json!({"batch_size": 1})).await;
    client.next_typed("s", "subscription_ack").await;
    client.next_typed("s", "initial_data_batch").await;
    root(
        &node,
        "ALTER TABLE app.board ADD COLUMN extra TEXT DEFAULT 'x'",
    )
    .await;
    client.next_batch("s").await;
    let resync = loop {
        let message = client.next_of("s").await;
        if message["type"] != "initial_data_batch" {
            break message;
        }
    };
    assert_eq!(resync["type"], "resync", "{resync}");
    assert_eq!(client.load("s").await.column("id"), ids([1, 2, 3]));
    node.stop().await;
}

/// A column that the subscription names is gone: there is nothing to begin anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_whose_column_is_gone_ends() {
    let node = board().await;
    let mut client = Client::open(&node, "root").await;
    client
        .subscribe("selected", "SELECT id, n FROM app.board")
        .await;
    client
        .subscribe("filtered", "SELECT id FROM app.board WHERE n > 1")
        .await;
    root(&node, "ALTER TABLE app.board DROP COLUMN n").await;
    for id in ["selected", "filtered"] {
        let message = loop {
            let message = client.next_of(id).await;
            if message["type"] != "resync" {
                break message;
            }
        };
        assert_eq!(message["type"], "error", "{message}");
        let code = message["code"].as_str().unwrap();
        assert!(
            ["INVALID_SQL", "SUBSCRIPTION_FAILED"].contains(&code),
            "{message}"
        );
    }
    client.assert_quiet().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_table_ends_its_subscriptions() {
    let node = prepared(&[BOARD, NOTES]).await;
    node.create_user("alice", "user").await;
    let mut client = Client::open(&node, "root").await;
    let mut alice = Client::open_with(&node, "alice", without_resync()).await;
    for client in [&mut client, &mut alice] {
        client.subscribe("board", ALL).await;
        client.subscribe("notes", "SELECT * FROM app.notes").await;
    }
    client
        .request("loading", ALL, json!({"batch_size": 1}))
        .await;
    client.load("loading").await;
    root(&node, "DROP TABLE app.board").await;
    for client in [&mut client, &mut alice] {
        let error = client.error_of("board").await;
        assert_eq!(keys(&error), ["code", "message", "subscription_id", "type"]);
        assert_eq!(error["code"], "NOT_FOUND");
    }
    assert_eq!(client.code_of("loading").await, "NOT_FOUND");
    root(&node, BOARD).await;
    post(&node, [1]).await;
    client.assert_quiet().await;
    root(&node, "DROP NAMESPACE app CASCADE").await;
    for client in [&mut client, &mut alice] {
        assert_eq!(client.code_of("notes").await, "NOT_FOUND");
        client.assert_quiet().await;
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_right_ends_the_subscription() {
    let node = board().await;
    node.create_user("alice", "user").await;
    let mut alice = Client::open(&node, "alice").await;
    alice.subscribe("s", ALL).await;
    root(&node, "ALTER TABLE app.board SET ACCESS LEVEL PRIVATE").await;
    assert_eq!(alice.code_of("s").await, "UNAUTHORIZED");
    post(&node, [1]).await;
    alice.assert_quiet().await;
    alice.request("s", ALL, json!({})).await;
    assert_eq!(
        alice.code_of("s").await,
        "NOT_FOUND",
        "as if it did not exist"
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_can_be_killed() {
    let node = board().await;
    node.create_user("alice", "user").await;
    let mut alice = Client::open(&node, "alice").await;
    alice.subscribe("killed", ALL).await;
    alice.subscribe("left", ALL).await;
    let live = "SELECT live_id, user_id, namespace_id, table_name, query FROM system.live WHERE subscription_id = 'killed'";
    let rows = super::selected(&node, live).await;
    assert_eq!(rows.as_array().unwrap().len(), 1, "{rows}");
    let row = &rows[0];
    assert_eq!(
        (&row[1], &row[2], &row[3]),
        (&json!("alice"), &json!("app"), &json!("board"))
    );
    let kill = format!("KILL LIVE QUERY '{}'", row[0].as_str().unwrap());
    let refused = node.sql("alice", "KILL LIVE QUERY 'no-such'").await;
    assert_eq!(refused["status"], "error");
    let answer = node.sql_ok("root", &kill).await;
    let message = answer["results"][0]["message"].as_str().unwrap();
    assert!(message.starts_with("Live query killed: "), "{message}");
    assert_eq!(alice.code_of("killed").await, "SUBSCRIPTION_KILLED");
    post(&node, [1]).await;
    let change = alice.next().await;
    assert_eq!(change["subscription_id"], "left");
    alice.assert_quiet().await;
    assert_eq!(
        node.sql("root", &kill).await["status"],
        "error",
        "it is gone"
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_subscriptions_are_listed_while_they_live() {
    let node = board().await;
    node.create_user("alice", "user").await;
    node.create_user("bob", "user").await;
    let count = "SELECT count(*) FROM system.live";
    assert_eq!(super::selected(&node, count).await, json!([["0"]]));
    let mut alice = Client::open(&node, "alice").await;
    alice.subscribe("one", ALL).await;
    alice.subscribe("two", ALL).await;
    assert_eq!(super::selected(&node, count).await, json!([["2"]]));
    let own = node.sql_ok("alice", count).await;
    assert_eq!(own["results"][0]["rows"], json!([["2"]]));
    let other = node.sql_ok("bob", count).await;
    assert_eq!(other["results"][0]["rows"], json!([["0"]]));
    alice.unsubscribe("one").await;
    alice.ping().await;
    assert_eq!(super::selected(&node, count).await, json!([["1"]]));
    drop(alice);
    while super::selected(&node, count).await != json!([["0"]]) {}
    node.stop().await;
}

/// Accounts that change end their sockets, with features or without.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_account_ends_its_sockets() {
    let node = board().await;
    for (name, change) in [
        (
            "changed_password",
            "ALTER USER 'changed_password' SET PASSWORD 'another-password-of-tests'",
        ),
        (
            "changed_role",
            "ALTER USER 'changed_role' SET ROLE 'service'",
        ),
        ("dropped", "DROP USER 'dropped'"),
    ] {
        node.create_user(name, "user").await;
        let mut plain = Client::open_with(&node, name, Value::Null).await;
        let mut featured = Client::open(&node, name).await;
        for client in [&mut plain, &mut featured] {
            client.subscribe("s", ALL).await;
        }
        root(&node, change).await;
        for client in [&mut plain, &mut featured] {
            let (messages, Ending(code)) = client.end().await;
            assert!(code.is_some(), "{name}: {messages:?}");
            let changes = messages
                .iter()
                .filter(|message| message["type"] == "change");
            assert_eq!(changes.count(), 0, "{name}");
        }
    }
    let mut client = Client::open(&node, "root").await;
    client.assert_quiet().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_token_ends_its_sockets() {
    let node = board().await;
    node.create_user("alice", "user").await;
    let login = async || -> String {
        let body = json!({"user": "alice", "password": crate::harness::USER_PASSWORD});
        let answer = Answer::of(node.post("/v1/api/auth/login").json(&body)).await;
        answer.json()["access_token"].as_str().unwrap().to_owned()
    };
    let (revoked, other) = (login().await, login().await);
    let mut ends = Client::open_by_token(&node, &revoked, all_features()).await;
    let mut stays = Client::open_by_token(&node, &other, all_features()).await;
    let answer = Answer::of(node.post("/v1/api/auth/logout").bearer_auth(&revoked)).await;
    assert_eq!(answer.status, 200);
    let (_, Ending(code)) = ends.end().await;
    assert!(code.is_some());
    stays.assert_quiet().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_says_so() {
    let node = board().await;
    let mut client = Client::open(&node, "root").await;
    client.subscribe("s", ALL).await;
    let mut stranger = Client::connect(&node.url(), "", None).await;
    let stopping = tokio::spawn(node.stop());
    let (_, Ending(code)) = client.end().await;
    assert!(matches!(code, Some(1001 | 1012)), "{code:?}");
    stranger.end().await;
    stopping.await.unwrap();
}
