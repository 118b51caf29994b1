//! WHERE: rows enter and leave.

use serde_json::{Value, json};

use super::{board, ids, post, prepared, root, selected};
use crate::generator::Numbers;
use crate::ws::client::{Client, all_features};
use crate::ws::view::View;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_enter_or_leave_come_as_inserts_and_deletes() {
    let node = board().await;
    post(&node, 1..=3).await;
    let mut client = Client::open(&node, "root").await;
    let load = client
        .subscribe("s", "SELECT * FROM app.board WHERE n >= 3")
        .await;
    assert_eq!(load.column("id"), ids([3]));
    for sql in [
        "UPDATE app.board SET n = 10 WHERE id = 1",
        "UPDATE app.board SET n = 11 WHERE id = 1",
        "UPDATE app.board SET n = 0 WHERE id = 1",
        "UPDATE app.board SET n = 1 WHERE id = 1",
        "DELETE FROM app.board WHERE id = 1",
        "INSERT INTO app.board (id, n) VALUES (4, 0)",
        "INSERT INTO app.board (id, n) VALUES (5, NULL)",
        "UPDATE app.board SET n = NULL WHERE id = 3",
        "UPDATE app.board SET n = 3 WHERE id = 3",
        "DELETE FROM app.board WHERE id = 3",
    ] {
        root(&node, sql).await;
    }
    let changes = client.changes("s", 6).await;
    let said: Vec<Value> = changes
        .iter()
        .map(|change| {
            let row = change.get("rows").unwrap_or(&change["old_values"]);
            json!([change["change_type"], row[0]["id"], change.get("reason")])
        })
        .collect();
    let expected = [
        json!(["insert", "1", "entered_filter"]),
        json!(["update", "1", null]),
        json!(["delete", "1", "left_filter"]),
        json!(["delete", "3", "left_filter"]),
        json!(["insert", "3", "entered_filter"]),
        json!(["delete", "3", null]),
    ];
    assert_eq!(said, expected);
    client.assert_quiet().await;
    node.stop().await;
}

/// A delete that is none for others holds the seq of the change that made it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_leaves_has_the_seq_of_its_leaving() {
    let node = board().await;
    post(&node, [1]).await;
    let mut client = Client::open(&node, "root").await;
    client.subscribe("all", "SELECT * FROM app.board").await;
    client
        .subscribe("some", "SELECT * FROM app.board WHERE n > 0")
        .await;
    root(&node, "UPDATE app.board SET n = 0 WHERE id = 1").await;
    let update = client.next_typed("all", "change").await;
    let delete = client.next_typed("some", "change").await;
    assert_eq!(delete["seq"], update["seq"]);
    assert_eq!(
        delete["old_seq"].to_string(),
        update["old_values"][0]["_seq"]
    );
    assert_eq!(delete["old_values"][0]["_seq"], update["rows"][0]["_seq"]);
    node.stop().await;
}

/// Filters that the server takes give what a SELECT with the same filter gives.
const FILTERS: &[&str] = &[
    "id = 3",
    "id IN (1, 5, 9)",
    "id NOT IN (1, 5, 9)",
    "n > 5",
    "n >= 5 AND n < 8",
    "n = 1 OR n = 2",
    "NOT (n > 5)",
    "n IS NULL",
    "n IS NOT NULL",
    "n <> 3",
    "n BETWEEN 2 AND 6",
    "n NOT BETWEEN 2 AND 6",
    "n % 3 = 0",
    "n + 1 > id",
    "-n < -5",
    "body = 'row 3'",
    "body LIKE 'row%'",
    "body NOT LIKE '%2'",
    "body > 'row 4'",
    "body IS NULL OR n > 7",
    "id > 2 AND (n < 4 OR body = 'x')",
    "true",
    "false",
    "NULL",
    "n = NULL",
    "1 = 1",
];

/// I6, by random writes: a subscription shows what its SELECT shows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i6_filtered_rows_are_those_of_a_select_after_any_changes() {
    let node = board().await;
    post(&node, 1..=5).await;
    let mut client = Client::open(&node, "root").await;
    let mut views = Vec::new();
    for (n, filter) in FILTERS.iter().enumerate() {
        let (id, sql) = (
            n.to_string(),
            format!("SELECT id, n FROM app.board WHERE {filter}"),
        );
        let load = client.subscribe(&id, &sql).await;
        views.push((View::new(&id, &load), sql));
    }
    let mut numbers = Numbers::seeded(11);
    for _ in 0..150 {
        let (id, n) = (numbers.below(10), numbers.below(10));
        let sql = match numbers.below(6) {
            0 => format!("DELETE FROM app.board WHERE id = {id}"),
            1 => format!("UPDATE app.board SET n = {n} WHERE id > {id}"),
            2 => format!("UPDATE app.board SET n = NULL, body = 'x' WHERE id = {id}"),
            3 => format!("UPDATE app.board SET body = NULL WHERE id = {id}"),
            _ => format!(
                "INSERT INTO app.board VALUES ({id}, 'row {n}', {n}) ON CONFLICT (id) DO UPDATE SET n = EXCLUDED.n, body = EXCLUDED.body"
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_current_user_in_a_filter_is_the_one_of_the_socket() {
    let node = prepared(&[
        "CREATE TABLE app.mail (id BIGINT PRIMARY KEY, to_user TEXT) WITH (TYPE='SHARED', ACCESS_LEVEL='PUBLIC')",
        "INSERT INTO app.mail VALUES (1, 'alice'), (2, 'bob'), (3, 'root')",
    ])
    .await;
    let sql = "SELECT * FROM app.mail WHERE to_user = CURRENT_USER()";
    let mut clients = Vec::new();
    for (user, id) in [("alice", 1), ("bob", 2), ("root", 3)] {
        if user != "root" {
            node.create_user(user, "user").await;
        }
        let mut client = Client::open_with(&node, user, all_features()).await;
        assert_eq!(
            client.subscribe("s", sql).await.column("id"),
            ids([id]),
            "{user}"
        );
        clients.push((client, user));
    }
    root(
        &node,
        "INSERT INTO app.mail VALUES (11, 'alice'), (12, 'bob'), (13, 'root')",
    )
    .await;
    for (client, user) in &mut clients {
        let change = client.next_typed("s", "change").await;
        assert_eq!(change["rows"][0]["to_user"], *user);
        client.assert_quiet().await;
    }
    node.stop().await;
}
