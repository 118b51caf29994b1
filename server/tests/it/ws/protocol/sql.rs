//! What can be subscribed to, and what is refused with a code that says why.

use serde_json::json;

use super::{BOARD, NOTES, TYPING, board, ids, keys, post, prepared, root};
use crate::ws::client::Client;

/// Statements that no subscription can keep exactly.
const NOT_LIVE: &[&str] = &[
    "SELECT * FROM app.board b JOIN app.notes n ON b.id = n.id",
    "SELECT * FROM app.board, app.notes",
    "SELECT count(*) FROM app.board",
    "SELECT n, count(*) FROM app.board GROUP BY n",
    "SELECT n FROM app.board GROUP BY n HAVING count(*) > 1",
    "SELECT DISTINCT n FROM app.board",
    "SELECT * FROM (SELECT * FROM app.board) AS b",
    "SELECT * FROM app.board WHERE id IN (SELECT id FROM app.notes)",
    "SELECT * FROM app.board WHERE EXISTS (SELECT 1 FROM app.notes)",
    "SELECT (SELECT max(n) FROM app.board) FROM app.board",
    "WITH b AS (SELECT * FROM app.board) SELECT * FROM b",
    "SELECT * FROM app.board UNION ALL SELECT * FROM app.board",
    "SELECT *, row_number() OVER (ORDER BY id) FROM app.board",
    "SELECT * FROM app.board ORDER BY n LIMIT 3 OFFSET 2",
    "SELECT * FROM app.board FETCH FIRST 3 ROWS ONLY",
    "SELECT * FROM app.board FOR UPDATE",
    "SELECT * FROM app.board TABLESAMPLE BERNOULLI (10)",
    "SELECT 1",
    "SELECT * FROM generate_series(1, 3)",
    "VALUES (1)",
    "INSERT INTO app.board (id) VALUES (1)",
    "UPDATE app.board SET n = 1",
    "DELETE FROM app.board WHERE id = 1",
    "CREATE TABLE app.other (id BIGINT PRIMARY KEY)",
    "DROP TABLE app.board",
    "SHOW TABLES",
    "EXPLAIN SELECT * FROM app.board",
    "BEGIN; SELECT * FROM app.board; COMMIT",
    "SELECT * FROM app.board; SELECT * FROM app.board",
    "EXECUTE AS USER 'alice' (SELECT * FROM app.board)",
];

/// Text that is no statement.
const NO_SQL: &[&str] = &[
    "",
    " ",
    ";",
    "-- nothing",
    "SELECT",
    "SELECT * FROM",
    "SELECT * FROM app.board WHERE",
    "SELECT * FROM app.board WHERE n >",
    "SELECT no_such_column FROM app.board",
    "SELECT * FROM app.board WHERE no_such_column = 1",
    "SELECT * FROM app.board ORDER BY no_such_column",
    "SELECT * FROM app.board LIMIT -1",
    "SELECT * FROM app.board LIMIT 'x'",
    "SELECT * FROM app.board WHERE n = 'no number'",
    "SELECT * FROM app.board WHERE no_such_function(n)",
    "SELECT * FROM app.board WHERE n",
    "SELECT * FROM app.board WHERE id = $1",
    "'; DROP TABLE app.board; --",
    "\u{0}",
    "select * frm app.board",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_kept_live_is_refused_and_the_socket_goes_on() {
    let node = prepared(&[BOARD, NOTES]).await;
    let mut client = Client::open(&node, "root").await;
    for sql in NOT_LIVE.iter().chain(NO_SQL) {
        client.request("s", sql, json!({})).await;
        let error = client.error_of("s").await;
        assert_eq!(
            keys(&error),
            ["code", "message", "subscription_id", "type"],
            "{sql}"
        );
        let code = error["code"].as_str().unwrap();
        assert!(
            ["INVALID_SQL", "UNSUPPORTED"].contains(&code),
            "{sql}: {error}"
        );
        client.assert_quiet().await;
    }
    post(&node, [1]).await;
    let load = client.subscribe("s", "SELECT * FROM app.board").await;
    assert_eq!(load.column("id"), ids([1]), "nothing of it was done");
    node.stop().await;
}

/// Never ignored: what cannot be evaluated is named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_names_what_it_is_about() {
    let node = prepared(&[BOARD, NOTES]).await;
    let mut client = Client::open(&node, "root").await;
    for (sql, word) in [
        ("SELECT * FROM app.board GROUP BY n", "group by"),
        ("SELECT DISTINCT n FROM app.board", "distinct"),
        ("SELECT * FROM app.board LIMIT 3 OFFSET 2", "offset"),
        ("SELECT no_such_column FROM app.board", "no_such_column"),
        (
            "SELECT * FROM app.board b JOIN app.notes n ON b.id = n.id",
            "join",
        ),
    ] {
        client.request("s", sql, json!({})).await;
        let error = client.error_of("s").await;
        assert_eq!(error["code"], "INVALID_SQL", "{sql}: {error}");
        let message = error["message"].as_str().unwrap().to_lowercase();
        assert!(message.contains(word), "{sql}: {message}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_of_every_type_can_be_subscribed_to() {
    let node = prepared(&[BOARD, NOTES, TYPING]).await;
    node.create_user("alice", "user").await;
    root(&node, "INSERT INTO app.notes (id) VALUES (1)").await;
    node.sql_ok("alice", "INSERT INTO app.notes (id) VALUES (2)")
        .await;
    post(&node, [3]).await;
    for (user, note) in [("root", 1), ("alice", 2)] {
        let mut client = Client::open(&node, user).await;
        let load = client.subscribe("u", "SELECT * FROM app.notes").await;
        assert_eq!(load.column("id"), ids([note]), "{user}");
        let load = client.subscribe("s", "SELECT * FROM app.board").await;
        assert_eq!(load.column("id"), ids([3]), "{user}");
        client.subscribe("t", "SELECT * FROM app.typing").await;
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn system_tables_are_refused_and_hidden_from_users() {
    let node = prepared(&[BOARD]).await;
    node.create_user("alice", "user").await;
    node.create_user("keeper", "dba").await;
    let mut alice = Client::open(&node, "alice").await;
    for sql in [
        "SELECT * FROM system.users",
        "SELECT * FROM system.live",
        "SELECT * FROM system.no_such",
    ] {
        alice.request("s", sql, json!({})).await;
        assert_eq!(alice.code_of("s").await, "NOT_FOUND", "{sql}");
    }
    for user in ["root", "keeper"] {
        let mut client = Client::open(&node, user).await;
        client
            .request("s", "SELECT * FROM system.users", json!({}))
            .await;
        assert_eq!(client.code_of("s").await, "UNSUPPORTED");
    }
    node.stop().await;
}

/// Text that differs in what does not matter.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_found_however_they_are_written() {
    let node = board().await;
    post(&node, [1]).await;
    let mut client = Client::open(&node, "root").await;
    for sql in [
        "select * from app.board",
        "SELECT * FROM app.board;",
        " SELECT\n*\nFROM app . board -- all of it",
        "SELECT * FROM \"app\".\"board\"",
        "SELECT b.* FROM app.board AS b WHERE b.n = 1",
        "SELECT board.id FROM app.board",
        "/* all */ SELECT id, body FROM app.board WHERE app.board.n = 1",
    ] {
        let load = client.subscribe("s", sql).await;
        assert_eq!(load.column("id"), ids([1]), "{sql}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_of_subscriptions_are_neither_empty_nor_long() {
    let node = board().await;
    let mut client = Client::open(&node, "root").await;
    for id in ["", "x".repeat(257).as_str(), "x".repeat(100_000).as_str()] {
        client
            .request(id, "SELECT * FROM app.board", json!({}))
            .await;
        let error = client.next().await;
        assert_eq!(error["type"], "error", "{error}");
        assert_eq!(error["code"], "INVALID_SUBSCRIPTION_ID", "{error}");
        assert!(error["subscription_id"].is_string(), "{error}");
    }
    for id in ["x".repeat(256).as_str(), "ü/\\\"'\n", " ", "0"] {
        client.subscribe(id, "SELECT * FROM app.board").await;
    }
    client.assert_quiet().await;
    node.stop().await;
}

/// What exists and may not be seen is what does not exist.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_tables_are_not_found() {
    let node = prepared(&[
        BOARD,
        "CREATE TABLE app.secret (id BIGINT PRIMARY KEY) WITH (TYPE='SHARED')",
    ])
    .await;
    node.create_user("alice", "user").await;
    let mut alice = Client::open(&node, "alice").await;
    for sql in [
        "SELECT * FROM app.secret",
        "SELECT * FROM app.absent",
        "SELECT * FROM nowhere.absent",
        "SELECT * FROM absent",
    ] {
        alice.request("s", sql, json!({})).await;
        assert_eq!(alice.code_of("s").await, "NOT_FOUND", "{sql}");
    }
    let mut client = Client::open(&node, "root").await;
    client.subscribe("s", "SELECT * FROM app.secret").await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribe_to_is_another_form_of_the_same() {
    let node = board().await;
    post(&node, 1..=5).await;
    let mut client = Client::open(&node, "root").await;
    for (sql, expected) in [
        ("SUBSCRIBE TO app.board", ids(1..=5)),
        ("SUBSCRIBE TO app.board WHERE n > 3", ids([4, 5])),
        (
            "SUBSCRIBE TO SELECT id FROM app.board WHERE n < 3",
            ids([1, 2]),
        ),
        ("SUBSCRIBE TO app.board OPTIONS (last_rows=2)", ids([4, 5])),
        (
            "SUBSCRIBE TO app.board OPTIONS (last_rows=2, batch_size=1)",
            ids([4, 5]),
        ),
    ] {
        client.request("s", sql, serde_json::Value::Null).await;
        assert_eq!(client.load("s").await.column("id"), expected, "{sql}");
    }
    node.stop().await;
}
