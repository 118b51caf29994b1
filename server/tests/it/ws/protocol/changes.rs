//! Changes: one message for each changed row, in the order of the commits.

use serde_json::{Value, json};

use super::{BOARD, board, ids, keys, post, prepared, root, seq};
use crate::harness::TestNode;
use crate::ws::client::{Client, Load, all_features};
use crate::ws::view::View;

const ALL: &str = "SELECT * FROM app.board";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn insert_update_and_delete_have_their_own_fields() {
    let node = board().await;
    let mut client = Client::open(&node, "root").await;
    client.subscribe("s", ALL).await;
    root(&node, "INSERT INTO app.board (id, n) VALUES (1, 5)").await;
    root(
        &node,
        "UPDATE app.board SET body = 'new', n = NULL WHERE id = 1",
    )
    .await;
    root(&node, "DELETE FROM app.board WHERE id = 1").await;
    let [insert, update, delete] = client.changes("s", 3).await.try_into().unwrap();
    assert_eq!(
        keys(&insert),
        ["change_type", "rows", "seq", "subscription_id", "type"]
    );
    assert_eq!(insert["change_type"], "insert");
    let text = |change: &Value| change["seq"].to_string();
    assert_eq!(
        insert["rows"],
        json!([{"id": "1", "body": null, "n": 5, "_seq": text(&insert)}])
    );
    let fields = [
        "change_type",
        "old_values",
        "rows",
        "seq",
        "subscription_id",
        "type",
    ];
    assert_eq!(keys(&update), fields);
    assert_eq!(update["change_type"], "update");
    assert_eq!(
        update["rows"],
        json!([{"id": "1", "body": "new", "n": null, "_seq": text(&update)}])
    );
    assert_eq!(update["old_values"], insert["rows"], "the whole old row");
    let fields = [
        "change_type",
        "old_seq",
        "old_values",
        "seq",
        "subscription_id",
        "type",
    ];
    assert_eq!(keys(&delete), fields);
    assert_eq!(delete["change_type"], "delete");
    let old = &delete["old_values"][0];
    assert_eq!(delete["old_values"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&old["id"], &old["_seq"]),
        (&json!("1"), &json!(text(&delete)))
    );
    assert_eq!(delete["old_seq"], update["seq"]);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i6_every_row_of_a_statement_comes_once_and_in_order() {
    let node = board().await;
    let mut client = Client::open(&node, "root").await;
    client.subscribe("s", ALL).await;
    post(&node, 1..=50).await;
    root(&node, "UPDATE app.board SET n = n + 1").await;
    root(&node, "DELETE FROM app.board WHERE id <= 10").await;
    root(&node, "INSERT INTO app.board (id, n) VALUES (50, 0), (51, 0) ON CONFLICT (id) DO UPDATE SET n = EXCLUDED.n").await;
    root(&node, "BEGIN; INSERT INTO app.board (id) VALUES (100); UPDATE app.board SET n = 1 WHERE id = 11; COMMIT").await;
    let changes = client.changes("s", 50 + 50 + 10 + 2 + 2).await;
    let kinds = |kind: &str| {
        changes
            .iter()
            .filter(|change| change["change_type"] == kind)
            .count()
    };
    assert_eq!(
        (kinds("insert"), kinds("update"), kinds("delete")),
        (52, 52, 10)
    );
    let seqs: Vec<u64> = changes
        .iter()
        .map(|change| change["seq"].as_u64().unwrap())
        .collect();
    assert!(seqs.is_sorted_by(|one, next| one < next), "{seqs:?}");
    for change in &changes {
        let row = change.get("rows").unwrap_or(&change["old_values"]);
        assert_eq!(change["seq"], seq(&row[0]), "{change}");
    }
    client.assert_quiet().await;
    root(&node, "DELETE FROM app.board WHERE id = 12345").await;
    root(
        &node,
        "INSERT INTO app.board (id) VALUES (51) ON CONFLICT (id) DO NOTHING",
    )
    .await;
    root(
        &node,
        "BEGIN; INSERT INTO app.board (id) VALUES (200); ROLLBACK",
    )
    .await;
    let failed = node
        .sql("root", "INSERT INTO app.board (id) VALUES (201), (51)")
        .await;
    assert_eq!(failed["status"], "error");
    client.assert_quiet().await;
    node.stop().await;
}

/// Without the feature there is nothing that old clients do not know.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_without_features_get_no_new_fields() {
    let node = board().await;
    for protocol in [
        Value::Null,
        json!({"serialization": "json"}),
        json!({"serialization": "msgpack", "features": ["pong", "resync"]}),
    ] {
        let mut client = Client::open_with(&node, "root", protocol.clone()).await;
        client
            .subscribe("s", "SELECT * FROM app.board WHERE n > 0")
            .await;
        post(&node, [1]).await;
        root(&node, "UPDATE app.board SET n = 7 WHERE id = 1").await;
        root(&node, "UPDATE app.board SET n = -7 WHERE id = 1").await;
        root(&node, "UPDATE app.board SET n = 8 WHERE id = 1").await;
        root(&node, "DELETE FROM app.board WHERE id = 1").await;
        let changes = client.changes("s", 5).await;
        let (always, delete) = (
            ["change_type", "rows", "subscription_id", "type"],
            ["change_type", "old_values", "subscription_id", "type"],
        );
        assert_eq!(keys(&changes[0]), always, "{protocol}");
        assert_eq!(
            keys(&changes[1]),
            [
                "change_type",
                "old_values",
                "rows",
                "subscription_id",
                "type"
            ],
            "{protocol}"
        );
        assert_eq!(keys(&changes[2]), delete, "{protocol}");
        assert_eq!(changes[3]["change_type"], "insert", "{protocol}");
        assert_eq!(keys(&changes[4]), delete, "{protocol}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_holds_what_was_selected() {
    let node = board().await;
    let mut client = Client::open(&node, "root").await;
    client.subscribe("s", "SELECT body FROM app.board").await;
    post(&node, [1]).await;
    root(&node, "UPDATE app.board SET body = 'new' WHERE id = 1").await;
    root(&node, "DELETE FROM app.board WHERE id = 1").await;
    let [insert, update, delete] = client.changes("s", 3).await.try_into().unwrap();
    let whole = ["_seq", "body", "id"];
    assert_eq!(keys(&insert["rows"][0]), whole);
    assert_eq!(keys(&update["rows"][0]), whole);
    assert_eq!(keys(&update["old_values"][0]), whole);
    let gone = keys(&delete["old_values"][0]);
    assert!(gone.contains(&"id") && gone.contains(&"_seq"), "{delete}");
    assert!(!gone.contains(&"n"), "{delete}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_several_columns_are_whole_in_every_change() {
    let node = prepared(&[
        "CREATE TABLE app.seats (room TEXT, number INT, who TEXT, PRIMARY KEY (room, number)) WITH (TYPE='SHARED')",
    ])
    .await;
    let mut client = Client::open(&node, "root").await;
    let load = client.subscribe("s", "SELECT who FROM app.seats").await;
    let names: Vec<&Value> = load.ack["key"]
        .as_array()
        .unwrap()
        .iter()
        .map(|field| &field["name"])
        .collect();
    assert_eq!(names, ["room", "number"]);
    root(
        &node,
        "INSERT INTO app.seats VALUES ('a', 1, 'x'), ('a', 2, 'y')",
    )
    .await;
    root(
        &node,
        "DELETE FROM app.seats WHERE room = 'a' AND number = 2",
    )
    .await;
    let changes = client.changes("s", 3).await;
    let old = &changes[2]["old_values"][0];
    assert_eq!((&old["room"], &old["number"]), (&json!("a"), &json!(2)));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_subscribers_get_the_same_changes() {
    let node = board().await;
    node.create_user("alice", "user").await;
    let mut clients = Vec::new();
    for n in 0..12 {
        let user = if n % 2 == 0 { "root" } else { "alice" };
        let protocol = if n % 3 == 0 {
            json!({"serialization": "msgpack", "compression": "gzip", "features": ["pong", "seq"]})
        } else {
            all_features()
        };
        let mut client = Client::open_with(&node, user, protocol).await;
        for id in ["all", "some"] {
            let filter = if id == "some" { " WHERE n % 2 = 0" } else { "" };
            client
                .request(id, &format!("{ALL}{filter}"), json!({}))
                .await;
            client.load(id).await;
        }
        clients.push(client);
    }
    for id in 1..=20 {
        post(&node, [id]).await;
    }
    for client in &mut clients {
        let rows = |changes: Vec<Value>| -> Vec<Value> {
            changes
                .iter()
                .map(|change| change["rows"][0]["id"].clone())
                .collect()
        };
        assert_eq!(rows(client.changes("all", 20).await), ids(1..=20));
        assert_eq!(
            rows(client.changes("some", 10).await),
            ids((2..=20).step_by(2))
        );
        client.assert_quiet().await;
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i6_concurrent_writers_are_seen_in_commit_order() {
    let node = board().await;
    let mut client = Client::open(&node, "root").await;
    client.subscribe("s", ALL).await;
    let writer = async |first: u32| {
        for id in first..first + 100 {
            post(&node, [id]).await;
            root(
                &node,
                &format!("UPDATE app.board SET n = 0 WHERE id = {id}"),
            )
            .await;
        }
    };
    let reading = client.changes("s", 800);
    let (changes, ..) = tokio::join!(
        reading,
        writer(0),
        writer(1_000),
        writer(2_000),
        writer(3_000)
    );
    let seqs: Vec<u64> = changes
        .iter()
        .map(|change| change["seq"].as_u64().unwrap())
        .collect();
    assert!(seqs.is_sorted_by(|one, next| one < next));
    client.assert_quiet().await;
    node.stop().await;
}

/// A slow reader loses nothing: what its queue cannot hold comes in its latest state (I7).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i7_who_does_not_read_gets_the_latest_state_and_delays_nobody() {
    let node = prepared(&[BOARD]).await;
    let mut slow = Client::open(&node, "root").await;
    let load = slow.subscribe("s", ALL).await;
    let mut view = View::new("s", &load);
    post(&node, 1..=200).await;
    // 40 MB of changes: more than sockets and queues hold.
    for round in 0..100 {
        root(
            &node,
            &format!("UPDATE app.board SET body = repeat('x', 2000), n = {round}"),
        )
        .await;
    }
    root(&node, "DELETE FROM app.board WHERE id > 100").await;
    let expected = super::selected(&node, "SELECT id, n FROM app.board").await;
    loop {
        let message = slow.next_of("s").await;
        match message["type"].as_str().unwrap() {
            "change" => view.change(&message),
            "initial_data_batch" => {
                let rows = message["rows"].as_array().unwrap().clone();
                view.load(&Load {
                    ack: Value::Null,
                    rows,
                    batches: Vec::new(),
                    changes: Vec::new(),
                });
                if message["batch_control"]["has_more"] == true {
                    slow.next_batch("s").await;
                }
            }
            _ => panic!("{message}"),
        }
        if view.len() == 100 && view.is(&["id", "n"], &expected) {
            break;
        }
    }
    view.follow(&mut slow, &["id", "n"], &expected).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_of_a_service_as_a_user_reach_that_user() {
    let node = prepared(&[super::NOTES]).await;
    for (name, role) in [("alice", "user"), ("bob", "user"), ("worker", "service")] {
        node.create_user(name, role).await;
    }
    let mut alice = Client::open(&node, "alice").await;
    let mut bob = Client::open(&node, "bob").await;
    for client in [&mut alice, &mut bob] {
        client.subscribe("s", "SELECT * FROM app.notes").await;
    }
    let insert =
        "EXECUTE AS USER 'alice' (INSERT INTO app.notes (id, body) VALUES (1, 'for alice'))";
    node.sql_ok("worker", insert).await;
    let change = alice.next_typed("s", "change").await;
    assert_eq!(change["rows"][0]["body"], "for alice");
    bob.assert_quiet().await;
    node.stop().await;
}

/// Through the socket that subscribes, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_hears_of_its_own_writes() {
    let node: TestNode = board().await;
    let mut client = Client::open(&node, "root").await;
    client.subscribe("s", ALL).await;
    let answer = client.query("INSERT INTO app.board (id) VALUES (1)").await;
    assert_eq!(answer["status"], "success", "{answer}");
    let change = client.next_typed("s", "change").await;
    assert_eq!(change["rows"][0]["id"], "1");
    node.stop().await;
}
