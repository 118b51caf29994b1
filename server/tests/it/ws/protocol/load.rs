//! What comes before the changes: acknowledgement and batches.

use serde_json::{Value, json};

use super::{BOARD, NOTES, TYPING, board, ids, keys, post, prepared, root, seq};
use crate::harness::TestNode;
use crate::ws::client::{Client, Load, all_features, column};
use crate::ws::view::View;

const ALL: &str = "SELECT * FROM app.board";

fn statuses(load: &Load) -> Vec<&str> {
    load.batches
        .iter()
        .map(|control| control["status"].as_str().unwrap())
        .collect()
}

fn numbers(load: &Load) -> Vec<u64> {
    load.batches
        .iter()
        .map(|control| control["batch_num"].as_u64().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_table_is_ready_after_one_empty_batch() {
    let node = board().await;
    let mut client = Client::open(&node, "root").await;
    client.request("s", ALL, json!({})).await;
    let ack = client.next_typed("s", "subscription_ack").await;
    let names = [
        "batch_control",
        "key",
        "schema",
        "server_time_ms",
        "subscription_id",
        "total_rows",
        "type",
    ];
    assert_eq!(keys(&ack), names);
    assert!(
        ack["total_rows"].is_u64() && ack["server_time_ms"].is_u64(),
        "{ack}"
    );
    assert_eq!(
        keys(&ack["batch_control"]),
        ["batch_num", "has_more", "last_seq_id", "status"]
    );
    let schema = ack["schema"].as_array().unwrap();
    let columns: Vec<(&Value, &Value)> = schema
        .iter()
        .map(|field| (&field["name"], &field["data_type"]))
        .collect();
    let (big, text, int) = (json!("BigInt"), json!("Text"), json!("Int"));
    assert_eq!(
        columns,
        [
            (&json!("id"), &big),
            (&json!("body"), &text),
            (&json!("n"), &int)
        ]
    );
    assert_eq!(ack["key"], json!([{"name": "id", "data_type": "BigInt"}]));
    let batch = client.next_typed("s", "initial_data_batch").await;
    assert_eq!(
        keys(&batch),
        ["batch_control", "rows", "subscription_id", "type"]
    );
    assert_eq!(batch["rows"], json!([]));
    let control = &batch["batch_control"];
    assert_eq!(
        keys(control),
        ["batch_num", "has_more", "last_seq_id", "status"]
    );
    assert_eq!(
        (
            &control["batch_num"],
            &control["has_more"],
            &control["status"]
        ),
        (&json!(0), &json!(false), &json!("ready"))
    );
    client.assert_quiet().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_is_that_of_a_select() {
    let node = board().await;
    let mut client = Client::open(&node, "root").await;
    for sql in [
        ALL,
        "SELECT n, body FROM app.board",
        "SELECT id FROM app.board WHERE n > 1",
    ] {
        let load = client.subscribe("s", sql).await;
        let select = node.sql_ok("root", sql).await;
        assert_eq!(load.ack["schema"], select["results"][0]["schema"], "{sql}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_come_in_batches_of_a_thousand() {
    let node = board().await;
    post(&node, 1..=2_500).await;
    let mut client = Client::open(&node, "root").await;
    let load = client.subscribe("s", ALL).await;
    assert_eq!(load.column("id"), ids(1..=2_500));
    assert_eq!(statuses(&load), ["loading", "loading_batch", "ready"]);
    assert_eq!(numbers(&load), [0, 1, 2]);
    let upto: Vec<u64> = load
        .batches
        .iter()
        .map(|control| control["last_seq_id"].as_u64().unwrap())
        .collect();
    let seqs: Vec<u64> = load.rows.iter().map(seq).collect();
    assert!(seqs.is_sorted_by(|one, next| one < next), "in seq order");
    assert_eq!(upto[..2], [seqs[999], seqs[1_999]]);
    assert!(upto[2] >= seqs[2_499]);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_not_sent_before_it_is_asked_for() {
    let node = board().await;
    post(&node, 1..=5).await;
    let mut client = Client::open(&node, "root").await;
    client.request("s", ALL, json!({"batch_size": 2})).await;
    client.next_typed("s", "subscription_ack").await;
    for expected in [ids([1, 2]), ids([3, 4]), ids([5])] {
        let batch = client.next_typed("s", "initial_data_batch").await;
        let rows = batch["rows"].as_array().unwrap();
        assert_eq!(column(rows, "id"), expected);
        client.assert_quiet().await;
        client.next_batch("s").await;
    }
    client.assert_quiet().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_the_rows_fill_exactly_is_the_last() {
    let node = board().await;
    post(&node, 1..=4).await;
    let mut client = Client::open(&node, "root").await;
    let load = client
        .subscribe_with("s", ALL, json!({"batch_size": 2}))
        .await;
    assert_eq!(load.column("id"), ids(1..=4));
    assert_eq!(load.batches.last().unwrap()["status"], "ready");
    assert!(load.batches.len() <= 3, "{:?}", load.batches);
    client.assert_quiet().await;
    node.stop().await;
}

/// A row of everything that a cell can be is the same as over HTTP.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cells_are_those_of_a_select() {
    let node = prepared(&[
        "CREATE TABLE app.all_types (id BIGINT PRIMARY KEY, b BOOLEAN, si SMALLINT, i INT, f FLOAT, d DOUBLE, dec DECIMAL(10,2), \
         t TEXT, ts TIMESTAMP, dt DATETIME, da DATE, ti TIME, j JSON, by BYTES, u UUID, e EMBEDDING(3)) WITH (TYPE='SHARED')",
        "INSERT INTO app.all_types VALUES (1, true, -7, 2147483647, 1.5, 0.1, 12.30, 'naïve \"text\" 👍', \
         '2026-01-02T03:04:05.678901', '2026-01-02T03:04:05Z', '2026-01-02', '03:04:05', '{\"a\":[1,null]}', X'00ff', \
         '01890a5d-ac96-774b-bcce-b302099a8057', '[0.5, -1, 2]')",
        "INSERT INTO app.all_types (id) VALUES (2)",
    ])
    .await;
    let select = node
        .sql_ok("root", "SELECT * FROM app.all_types ORDER BY id")
        .await;
    let result = &select["results"][0];
    let columns: Vec<&str> = result["schema"]
        .as_array()
        .unwrap()
        .iter()
        .map(|field| field["name"].as_str().unwrap())
        .collect();
    let plain = json!({"serialization": "json", "features": ["pong"]});
    let msgpack = json!({"serialization": "msgpack", "features": ["pong"]});
    for protocol in [plain, msgpack] {
        let mut client = Client::open_with(&node, "root", protocol.clone()).await;
        let load = client.subscribe("s", "SELECT * FROM app.all_types").await;
        assert_eq!(load.rows.len(), 2);
        for (row, cells) in load.rows.iter().zip(result["rows"].as_array().unwrap()) {
            let same: Vec<Value> = columns.iter().map(|name| row[*name].clone()).collect();
            assert_eq!(&json!(same), cells, "{protocol}");
            let mut expected = columns.clone();
            expected.push("_seq");
            expected.sort_unstable();
            assert_eq!(keys(row), expected, "nulls are there");
        }
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_has_its_key_and_seq_whatever_is_selected() {
    let node = board().await;
    post(&node, [1]).await;
    let mut client = Client::open(&node, "root").await;
    let load = client.subscribe("s", "SELECT body FROM app.board").await;
    assert_eq!(keys(&load.rows[0]), ["_seq", "body", "id"]);
    let names: Vec<&Value> = load.ack["schema"]
        .as_array()
        .unwrap()
        .iter()
        .map(|field| &field["name"])
        .collect();
    assert_eq!(names, ["body"]);
    let load = client
        .subscribe("s", "SELECT _seq, id FROM app.board")
        .await;
    assert_eq!(keys(&load.rows[0]), ["_seq", "id"]);
    assert!(load.rows[0]["_seq"].is_string());
    let load = client
        .subscribe("s", "SELECT body FROM app.board ORDER BY n DESC")
        .await;
    assert_eq!(
        keys(&load.rows[0]),
        ["_seq", "body", "id", "n"],
        "and what it is ordered by"
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_come_in_the_order_that_is_asked_for() {
    let node = board().await;
    post(&node, 1..=7).await;
    root(&node, "UPDATE app.board SET n = NULL WHERE id = 3").await;
    root(&node, "UPDATE app.board SET n = 5 WHERE id = 1").await;
    let mut client = Client::open(&node, "root").await;
    for sql in [
        "SELECT * FROM app.board ORDER BY n, id DESC",
        "SELECT * FROM app.board ORDER BY n DESC, id",
        "SELECT * FROM app.board ORDER BY n DESC NULLS LAST, body DESC",
        "SELECT * FROM app.board WHERE id > 1 ORDER BY n ASC NULLS FIRST",
    ] {
        let load = client
            .subscribe_with("s", sql, json!({"batch_size": 3}))
            .await;
        let select = node.sql_ok("root", sql).await;
        let rows = select["results"][0]["rows"].as_array().unwrap();
        let expected: Vec<Value> = rows.iter().map(|row| row[0].clone()).collect();
        assert_eq!(load.column("id"), expected, "{sql}");
        assert!(load.ack["order_by"].is_array(), "{}", load.ack);
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_newest_rows_come_if_that_is_asked_for() {
    let node = board().await;
    post(&node, 1..=5).await;
    root(&node, "UPDATE app.board SET body = 'new' WHERE id = 1").await;
    let mut client = Client::open(&node, "root").await;
    for (options, expected) in [
        (json!({"last_rows": 2}), ids([5, 1])),
        (json!({"last_rows": 1}), ids([1])),
        (json!({"last_rows": 100}), ids([2, 3, 4, 5, 1])),
        (json!({"last_rows": 3, "batch_size": 1}), ids([4, 5, 1])),
    ] {
        let load = client.subscribe_with("s", ALL, options.clone()).await;
        assert_eq!(load.column("id"), expected, "{options}");
    }
    let load = client
        .subscribe_with(
            "s",
            "SELECT * FROM app.board WHERE id < 4",
            json!({"last_rows": 2}),
        )
        .await;
    assert_eq!(load.column("id"), ids([3, 1]), "of those that match");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_rows_come_if_that_is_asked_for() {
    let node = board().await;
    post(&node, 1..=5).await;
    let mut client = Client::open(&node, "root").await;
    client.request("s", ALL, json!({"last_rows": 0})).await;
    let ack = client.next_typed("s", "subscription_ack").await;
    assert_eq!(ack["batch_control"]["status"], "ready", "{ack}");
    assert_eq!(ack["batch_control"]["has_more"], false, "{ack}");
    client.assert_quiet().await;
    post(&node, [6]).await;
    let change = client.next_typed("s", "change").await;
    assert_eq!(change["rows"][0]["id"], "6");
    node.stop().await;
}

/// Which rows come without options depends on what the client asked for when it authenticated.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn absent_options_mean_what_the_generation_of_the_client_means() {
    let node = board().await;
    post(&node, 1..=3).await;
    let negotiated = json!({"serialization": "json", "compression": "none"});
    for (protocol, rows) in [(Value::Null, 3), (negotiated, 0), (all_features(), 3)] {
        let mut client = Client::open_with(&node, "root", protocol.clone()).await;
        for null in [false, true] {
            let mut subscription = json!({"id": "s", "sql": ALL});
            if null {
                subscription["options"] = Value::Null;
            }
            client
                .send(json!({"type": "subscribe", "subscription": subscription}))
                .await;
            let load = client.load("s").await;
            assert_eq!(load.rows.len(), rows, "{protocol}, null: {null}");
        }
        let load = client.subscribe("s", ALL).await;
        assert_eq!(load.rows.len(), 3, "{protocol}: empty options are options");
    }
    let token = node.token("root").await;
    for (query, rows) in [
        ("?serialization=json&compression=none", 0),
        ("?serialization=json&features=pong", 3),
    ] {
        let mut client = Client::connect(&node.url(), query, Some(&token)).await;
        assert_eq!(client.next().await["type"], "auth_success");
        client.request("s", ALL, Value::Null).await;
        assert_eq!(client.load("s").await.rows.len(), rows, "{query}");
    }
    node.stop().await;
}

/// I6: rows are those of one moment, and everything after it follows, once and in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i6_changes_during_the_load_come_after_the_last_batch() {
    let node = board().await;
    post(&node, 1..=4).await;
    let mut client = Client::open(&node, "root").await;
    client.request("s", ALL, json!({"batch_size": 1})).await;
    client.next_typed("s", "subscription_ack").await;
    let first = client.next_typed("s", "initial_data_batch").await;
    assert_eq!(first["rows"][0]["id"], "1");
    post(&node, [5]).await;
    root(&node, "UPDATE app.board SET body = 'changed' WHERE id = 1").await;
    root(&node, "UPDATE app.board SET body = 'changed' WHERE id = 3").await;
    root(&node, "DELETE FROM app.board WHERE id = 4").await;
    client.assert_quiet().await;
    let mut snapshot = 0;
    for id in 2..=4 {
        client.next_batch("s").await;
        let batch = client.next_typed("s", "initial_data_batch").await;
        let row = &batch["rows"][0];
        assert_eq!(row["id"], id.to_string());
        assert_eq!(row["body"], format!("row {id}"), "as it was");
        snapshot = batch["batch_control"]["last_seq_id"].as_u64().unwrap();
        if batch["batch_control"]["has_more"] == false {
            assert_eq!(id, 4);
        } else if id == 4 {
            client.next_batch("s").await;
            let empty = client.next_typed("s", "initial_data_batch").await;
            assert_eq!(empty["rows"], json!([]));
            snapshot = empty["batch_control"]["last_seq_id"].as_u64().unwrap();
        }
    }
    let changes = client.changes("s", 4).await;
    let kinds: Vec<&Value> = changes
        .iter()
        .map(|change| &change["change_type"])
        .collect();
    assert_eq!(kinds, ["insert", "update", "update", "delete"]);
    let seqs: Vec<u64> = changes
        .iter()
        .map(|change| change["seq"].as_u64().unwrap())
        .collect();
    assert!(seqs.is_sorted_by(|one, next| one < next), "{seqs:?}");
    assert!(seqs[0] > snapshot, "{snapshot} {seqs:?}");
    client.assert_quiet().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i6_rows_and_changes_meet_without_gap_while_others_write() {
    let node = board().await;
    let writing = async {
        for id in 1..=300 {
            post(&node, [id]).await;
        }
    };
    let reading = async {
        let mut client = Client::open(&node, "root").await;
        let mut seen = Vec::new();
        for round in 0..10 {
            let id = format!("s{round}");
            let load = client
                .subscribe_with(&id, ALL, json!({"batch_size": 7}))
                .await;
            let mut rows = load.column("id");
            let changes = client.changes(&id, 300 - rows.len()).await;
            rows.extend(changes.iter().map(|change| change["rows"][0]["id"].clone()));
            seen.push(rows);
            client.unsubscribe(&id).await;
        }
        seen
    };
    let ((), seen) = tokio::join!(writing, reading);
    for rows in seen {
        assert_eq!(rows, ids(1..=300));
    }
    node.stop().await;
}

/// A client that does not go on with its load does not hold the past: it gets the latest state instead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i7_a_load_that_is_not_gone_on_with_becomes_a_resume() {
    use std::time::{Duration, Instant};
    const TIMEOUT: Duration = Duration::from_millis(100);
    let settings = [("KALAMDB_WEBSOCKET_LOAD_TIMEOUT_MS", "100")];
    let node = super::prepared_with(&settings, &[BOARD]).await;
    post(&node, 1..=5).await;
    let mut client = Client::open(&node, "root").await;
    client.request("s", ALL, json!({"batch_size": 1})).await;
    let ack = client.next_typed("s", "subscription_ack").await;
    let first = client.next_typed("s", "initial_data_batch").await;
    let begun = Instant::now();
    while begun.elapsed() < 5 * TIMEOUT {
        client.assert_quiet().await;
    }
    root(&node, "UPDATE app.board SET body = 'new' WHERE id = 1").await;
    root(&node, "UPDATE app.board SET body = 'new' WHERE id = 4").await;
    root(&node, "DELETE FROM app.board WHERE id = 3").await;
    post(&node, [6]).await;
    let rows = first["rows"].as_array().unwrap().clone();
    let begun = Load {
        ack,
        rows,
        batches: Vec::new(),
        changes: Vec::new(),
    };
    let mut view = View::new("s", &begun);
    client.next_batch("s").await;
    loop {
        let message = client.next_of("s").await;
        if message["type"] == "change" {
            view.change(&message);
            continue;
        }
        assert_eq!(message["type"], "initial_data_batch", "{message}");
        let rows = message["rows"].as_array().unwrap().clone();
        let more = Load {
            ack: Value::Null,
            rows,
            batches: Vec::new(),
            changes: Vec::new(),
        };
        view.load(&more);
        if message["batch_control"]["has_more"] == false {
            break;
        }
        client.next_batch("s").await;
    }
    let expected = super::selected(&node, "SELECT id, body FROM app.board").await;
    view.follow(&mut client, &["id", "body"], &expected).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_say_how_long_their_rows_live() {
    let node = prepared(&[TYPING, NOTES]).await;
    root(&node, "INSERT INTO app.typing VALUES ('before')").await;
    let mut client = Client::open(&node, "root").await;
    let load = client.subscribe("s", "SELECT * FROM app.typing").await;
    assert_eq!(load.ack["ttl_ms"], 3_600_000);
    assert_eq!(load.column("what"), [json!("before")]);
    root(&node, "INSERT INTO app.typing VALUES ('after')").await;
    let change = client.next_typed("s", "change").await;
    assert_eq!(change["change_type"], "insert");
    assert_eq!(change["rows"][0]["what"], "after");
    root(&node, "DELETE FROM app.typing WHERE what = 'before'").await;
    let change = client.next_typed("s", "change").await;
    assert_eq!(change["change_type"], "delete");
    assert_eq!(change["old_seq"], seq(&load.rows[0]), "says which row ends");
    let load = client.subscribe("n", "SELECT * FROM app.notes").await;
    assert_eq!(load.ack.get("ttl_ms"), None);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameters_stand_for_values() {
    let node = board().await;
    post(&node, 1..=5).await;
    let mut client = Client::open(&node, "root").await;
    let subscription = json!({
        "id": "s", "sql": "SELECT * FROM app.board WHERE n > $1 AND body <> $2", "params": [2, "row 4"], "options": {}
    });
    client
        .send(json!({"type": "subscribe", "subscription": subscription}))
        .await;
    assert_eq!(client.load("s").await.column("id"), ids([3, 5]));
    post(&node, [6]).await;
    assert_eq!(client.next_typed("s", "change").await["rows"][0]["id"], "6");
    for params in [json!([]), json!([1]), json!([1, "x", 2]), json!(["x", "y"])] {
        let subscription = json!({
            "id": "p", "sql": "SELECT * FROM app.board WHERE n > $1 AND body <> $2", "params": params, "options": {}
        });
        client
            .send(json!({"type": "subscribe", "subscription": subscription}))
            .await;
        assert_eq!(client.code_of("p").await, "INVALID_SQL", "{params}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_in_use_is_replaced() {
    let node = board().await;
    post(&node, 1..=3).await;
    let mut client = Client::open(&node, "root").await;
    client.subscribe("s", ALL).await;
    let load = client
        .subscribe("s", "SELECT * FROM app.board WHERE id > 2")
        .await;
    assert_eq!(load.column("id"), ids([3]));
    root(&node, "UPDATE app.board SET n = 0 WHERE id = 1").await;
    root(&node, "UPDATE app.board SET n = 0 WHERE id = 3").await;
    let change = client.next_typed("s", "change").await;
    assert_eq!(change["rows"][0]["id"], "3", "the new one speaks, alone");
    client.assert_quiet().await;
    // In the middle of a load, too.
    client.request("s", ALL, json!({"batch_size": 1})).await;
    client.next_typed("s", "subscription_ack").await;
    client.next_typed("s", "initial_data_batch").await;
    let load = client
        .subscribe("s", "SELECT * FROM app.board WHERE id = 2")
        .await;
    assert_eq!(load.column("id"), ids([2]));
    client.next_batch("s").await;
    client.assert_quiet().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_unsubscribes_hears_no_more() {
    let node = board().await;
    post(&node, 1..=3).await;
    let mut client = Client::open(&node, "root").await;
    client.subscribe("gone", ALL).await;
    client.subscribe("here", ALL).await;
    client.unsubscribe("gone").await;
    client.ping().await;
    post(&node, [4]).await;
    let change = client.next().await;
    assert_eq!(change["subscription_id"], "here");
    client.assert_quiet().await;
    let load = client.subscribe("gone", ALL).await;
    assert_eq!(load.column("id"), ids(1..=4), "the id is free again");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_for_unknown_subscriptions_are_ignored() {
    let node = board().await;
    post(&node, 1..=3).await;
    let mut client = Client::open(&node, "root").await;
    for id in ["unknown", "", "x".repeat(5_000).as_str()] {
        client.next_batch(id).await;
        client.unsubscribe(id).await;
        client.assert_quiet().await;
    }
    client.subscribe("s", ALL).await;
    client.next_batch("s").await;
    client.assert_quiet().await;
    client.unsubscribe("s").await;
    client.unsubscribe("s").await;
    client.next_batch("s").await;
    client.assert_quiet().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_subscriptions_load_side_by_side() {
    let node: TestNode = board().await;
    post(&node, 1..=6).await;
    let mut client = Client::open(&node, "root").await;
    for id in ["a", "b", "c"] {
        client.request(id, ALL, json!({"batch_size": 2})).await;
    }
    for id in ["c", "a", "b"] {
        let load = client.load(id).await;
        assert_eq!(load.column("id"), ids(1..=6), "{id}");
    }
    client.assert_quiet().await;
    node.stop().await;
}
