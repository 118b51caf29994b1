//! LIMIT: a window that the server keeps full.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{board, ids, post, root, selected};
use crate::generator::Numbers;
use crate::ws::client::Client;
use crate::ws::view::View;

const TOP: &str = "SELECT * FROM app.board ORDER BY n DESC LIMIT 3";

/// Type, id and reason of each change.
fn said(changes: &[Value]) -> Vec<Value> {
    changes
        .iter()
        .map(|change| {
            let row = change.get("rows").unwrap_or(&change["old_values"]);
            json!([change["change_type"], row[0]["id"], change.get("reason")])
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_acknowledgement_says_order_and_limit() {
    let node = board().await;
    post(&node, 1..=5).await;
    let mut client = Client::open(&node, "root").await;
    let load = client.subscribe("s", TOP).await;
    assert_eq!(load.column("id"), ids([5, 4, 3]));
    assert_eq!(load.ack["limit"], 3);
    let order =
        json!([{"column": "n", "data_type": "Int", "descending": true, "nulls_first": true}]);
    assert_eq!(load.ack["order_by"], order);
    let load = client
        .subscribe(
            "a",
            "SELECT * FROM app.board ORDER BY body, n DESC NULLS LAST",
        )
        .await;
    let order = json!([
        {"column": "body", "data_type": "Text", "descending": false, "nulls_first": false},
        {"column": "n", "data_type": "Int", "descending": true, "nulls_first": false},
    ]);
    assert_eq!(load.ack["order_by"], order);
    assert_eq!(load.ack.get("limit"), None);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_comes_in_pushes_one_out() {
    let node = board().await;
    post(&node, 1..=5).await;
    let mut client = Client::open(&node, "root").await;
    client.subscribe("s", TOP).await;
    root(&node, "INSERT INTO app.board VALUES (10, 'new', 10)").await;
    let mut changes = said(&client.changes("s", 2).await);
    changes.sort_by_key(Value::to_string);
    let expected = [
        json!(["delete", "3", "left_window"]),
        json!(["insert", "10", null]),
    ];
    assert_eq!(changes, expected);
    root(&node, "UPDATE app.board SET n = 20 WHERE id = 1").await;
    let mut changes = said(&client.changes("s", 2).await);
    changes.sort_by_key(Value::to_string);
    let expected = [
        json!(["delete", "4", "left_window"]),
        json!(["insert", "1", "entered_window"]),
    ];
    assert_eq!(changes, expected);
    root(&node, "INSERT INTO app.board VALUES (0, 'low', 0)").await;
    root(
        &node,
        "UPDATE app.board SET body = 'still out' WHERE id = 2",
    )
    .await;
    root(&node, "DELETE FROM app.board WHERE id = 2").await;
    client.assert_quiet().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_goes_makes_room_for_the_next() {
    let node = board().await;
    post(&node, 1..=5).await;
    let mut client = Client::open(&node, "root").await;
    client.subscribe("s", TOP).await;
    root(&node, "DELETE FROM app.board WHERE id = 5").await;
    let changes = said(&client.changes("s", 2).await);
    let expected = [
        json!(["delete", "5", null]),
        json!(["insert", "2", "entered_window"]),
    ];
    assert_eq!(changes, expected);
    root(&node, "UPDATE app.board SET n = -1 WHERE id = 4").await;
    let changes = said(&client.changes("s", 2).await);
    let expected = [
        json!(["delete", "4", "left_window"]),
        json!(["insert", "1", "entered_window"]),
    ];
    assert_eq!(changes, expected);
    // With fewer rows than the window holds, one that comes in while two go goes with them.
    root(&node, "DELETE FROM app.board WHERE id IN (4, 1)").await;
    root(&node, "INSERT INTO app.board VALUES (6, 'last', 6)").await;
    let mut shown = BTreeSet::from(["1".to_owned(), "2".to_owned(), "3".to_owned()]);
    while !shown.contains("6") {
        let change = &said(&client.changes("s", 1).await)[0];
        let id = change[1].as_str().unwrap().to_owned();
        let changed = if change[0] == "delete" {
            shown.remove(&id)
        } else {
            shown.insert(id)
        };
        assert!(changed, "{change}");
    }
    assert_eq!(shown.into_iter().collect::<Vec<_>>(), ["2", "3", "6"]);
    node.stop().await;
}

const WINDOWS: &[&str] = &[
    "ORDER BY n DESC LIMIT 3",
    "ORDER BY n LIMIT 1",
    "ORDER BY n NULLS FIRST, id DESC LIMIT 4",
    "ORDER BY body DESC, n LIMIT 5",
    "WHERE n > 3 ORDER BY n LIMIT 2",
    "WHERE id % 2 = 0 ORDER BY id DESC LIMIT 3",
    "ORDER BY id LIMIT 100",
    "ORDER BY id LIMIT 0",
];

/// I6, by random writes: the window is the one of a SELECT, with ties told apart by the key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i6_windows_are_those_of_a_select_after_any_changes() {
    let node = board().await;
    post(&node, 1..=5).await;
    let mut client = Client::open(&node, "root").await;
    let mut views = Vec::new();
    for (n, window) in WINDOWS.iter().enumerate() {
        let (id, sql) = (
            n.to_string(),
            format!("SELECT id, n FROM app.board {window}"),
        );
        let load = client.subscribe(&id, &sql).await;
        let (before, limit) = sql.split_once(" LIMIT ").unwrap();
        let separated = if before.contains("ORDER BY id") || before.contains("id DESC") {
            sql.clone()
        } else {
            format!("{before}, id LIMIT {limit}")
        };
        views.push((View::new(&id, &load), separated));
    }
    let mut numbers = Numbers::seeded(12);
    for _ in 0..150 {
        let (id, n) = (numbers.below(12), numbers.below(10));
        let sql = match numbers.below(6) {
            0 | 1 => format!("DELETE FROM app.board WHERE id = {id}"),
            2 => format!("UPDATE app.board SET n = NULL, body = 'x' WHERE id = {id}"),
            3 => format!("UPDATE app.board SET n = n + 1 WHERE id > {id}"),
            _ => format!(
                "INSERT INTO app.board VALUES ({id}, 'row {n}', {n}) ON CONFLICT (id) DO UPDATE SET n = EXCLUDED.n"
            ),
        };
        root(&node, &sql).await;
    }
    for (mut view, sql) in views {
        let expected = selected(&node, &sql).await;
        view.follow(&mut client, &["id", "n"], &expected).await;
    }
    client.assert_quiet().await;
    node.stop().await;
}
