//! Going on from a seq: each key that changed since, once, in its latest state.

use serde_json::{Value, json};

use super::{board, ids, post, root, selected, seq};
use crate::harness::TestNode;
use crate::ws::client::{Client, Load};
use crate::ws::view::View;

const ALL: &str = "SELECT * FROM app.board";

/// Ids 1 to 5, and the seq at which a client saw them.
async fn seen() -> (TestNode, u64) {
    let node = board().await;
    post(&node, 1..=5).await;
    let mut client = Client::open(&node, "root").await;
    let load = client.subscribe("s", ALL).await;
    (node, load.last_seq())
}

async fn resumed(node: &TestNode, sql: &str, options: Value) -> Load {
    let mut client = Client::open(node, "root").await;
    let load = client.subscribe_with("s", sql, options).await;
    client.assert_quiet().await;
    load
}

/// Keys of the deletes in a resume.
fn deleted(load: &Load) -> Vec<Value> {
    load.changes
        .iter()
        .map(|change| {
            assert_eq!(change["change_type"], "delete", "{change}");
            change["old_values"][0]["id"].clone()
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i6_nothing_comes_when_nothing_changed() {
    let (node, from) = seen().await;
    let load = resumed(&node, ALL, json!({"from": from})).await;
    assert_eq!((load.rows.len(), load.changes.len()), (0, 0));
    assert!(load.last_seq() >= from);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i6_each_changed_key_comes_once_in_its_latest_state() {
    let (node, from) = seen().await;
    for n in 10..15 {
        root(&node, &format!("UPDATE app.board SET n = {n} WHERE id = 2")).await;
    }
    post(&node, [6, 7]).await;
    root(&node, "UPDATE app.board SET n = 20 WHERE id = 6").await;
    root(&node, "DELETE FROM app.board WHERE id IN (1, 7)").await;
    root(&node, "DELETE FROM app.board WHERE id = 3").await;
    post(&node, [3]).await;
    for options in [
        json!({"from": from}),
        json!({"from": from, "batch_size": 1}),
        json!({"from": from, "last_rows": 1}),
        json!({"from": from, "last_rows": 0}),
    ] {
        let load = resumed(&node, ALL, options.clone()).await;
        assert_eq!(load.column("id"), ids([2, 6, 3]), "{options}: in seq order");
        assert_eq!(
            load.column("n"),
            [json!(14), json!(20), json!(3)],
            "{options}"
        );
        let seqs: Vec<u64> = load.rows.iter().map(seq).collect();
        assert!(seqs.iter().all(|seq| *seq > from), "{options}");
        let mut gone = deleted(&load);
        // Whether a key that came and went within the gap is told is not said.
        gone.retain(|id| id != "7");
        assert_eq!(gone, ids([1]), "{options}");
        for change in &load.changes {
            let row = &change["old_values"][0];
            assert!(seq(row) > from, "of the delete itself: {change}");
            assert_eq!(change["seq"], seq(row), "{change}");
        }
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i6_a_row_that_left_the_filter_comes_as_a_delete() {
    let (node, _) = seen().await;
    let filtered = "SELECT * FROM app.board WHERE n < 4";
    let mut client = Client::open(&node, "root").await;
    let load = client.subscribe("s", filtered).await;
    assert_eq!(load.column("id"), ids([1, 2, 3]));
    let from = load.last_seq();
    drop(client);
    root(&node, "UPDATE app.board SET n = 100 WHERE id = 1").await;
    root(&node, "UPDATE app.board SET n = 0 WHERE id = 5").await;
    root(&node, "UPDATE app.board SET body = 'same' WHERE id = 2").await;
    let load = resumed(&node, filtered, json!({"from": from})).await;
    assert_eq!(load.column("id"), ids([5, 2]));
    assert_eq!(deleted(&load), ids([1]));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i6_going_on_from_any_seq_gives_the_same_rows() {
    let node = board().await;
    let mut client = Client::open(&node, "root").await;
    let load = client.subscribe("s", ALL).await;
    let mut points = vec![load.last_seq()];
    let mut views = vec![View::new("s", &load)];
    post(&node, 1..=4).await;
    root(&node, "UPDATE app.board SET n = 9 WHERE id = 2").await;
    root(&node, "DELETE FROM app.board WHERE id = 1").await;
    post(&node, [1]).await;
    root(&node, "DELETE FROM app.board WHERE id = 4").await;
    for change in client.changes("s", 8).await {
        let mut next = View::new("s", &load);
        // All changes up to this one.
        points.push(change["seq"].as_u64().unwrap());
        next.copy(views.last().unwrap());
        next.change(&change);
        views.push(next);
    }
    let expected = selected(&node, "SELECT id, n FROM app.board ORDER BY id").await;
    for (from, mut view) in points.into_iter().zip(views) {
        let load = resumed(&node, ALL, json!({"from": from, "batch_size": 2})).await;
        view.load(&load);
        assert_eq!(json!(view.cells(&["id", "n"])), expected, "from {from}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_has_two_names() {
    let (node, from) = seen().await;
    post(&node, [6]).await;
    for name in ["from", "from_seq_id"] {
        let load = resumed(&node, ALL, json!({name: from})).await;
        assert_eq!(load.column("id"), ids([6]), "{name}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_zero_is_everything() {
    let (node, _) = seen().await;
    root(&node, "DELETE FROM app.board WHERE id = 2").await;
    let mut client = Client::open(&node, "root").await;
    client.request("s", ALL, json!({"from": 0})).await;
    let first = client.next_of("s").await;
    let load = if first["type"] == "resync" {
        client.load("s").await
    } else {
        client.unsubscribe("s").await;
        client.ping().await;
        client.received_of("s");
        resumed(&node, ALL, json!({"from": 0})).await
    };
    assert_eq!(load.column("id"), ids([1, 3, 4, 5]));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_follow_a_resume() {
    let (node, from) = seen().await;
    post(&node, [6]).await;
    let mut client = Client::open(&node, "root").await;
    client.subscribe_with("s", ALL, json!({"from": from})).await;
    post(&node, [7]).await;
    root(&node, "DELETE FROM app.board WHERE id = 6").await;
    let changes = client.changes("s", 2).await;
    assert_eq!(changes[0]["rows"][0]["id"], "7");
    assert_eq!(changes[1]["old_values"][0]["id"], "6");
    client.assert_quiet().await;
    node.stop().await;
}

/// A restart keeps every seq.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i6_a_resume_outlives_a_restart() {
    let (node, from) = seen().await;
    root(&node, "DELETE FROM app.board WHERE id = 2").await;
    let node = node.restart().await;
    post(&node, [6]).await;
    let load = resumed(&node, ALL, json!({"from": from})).await;
    assert_eq!(load.column("id"), ids([6]));
    assert_eq!(deleted(&load), ids([2]));
    node.stop().await;
}

/// A window is loaded anew: what was in it may have left it for reasons outside of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_is_not_gone_on_with() {
    let (node, from) = seen().await;
    post(&node, [6]).await;
    let mut client = Client::open(&node, "root").await;
    let window = "SELECT * FROM app.board ORDER BY n DESC LIMIT 2";
    client.request("s", window, json!({"from": from})).await;
    let resync = client.next_typed("s", "resync").await;
    assert_eq!(resync["reason"], "window_reloaded");
    assert_eq!(client.load("s").await.column("id"), ids([6, 5]));
    client.assert_quiet().await;
    node.stop().await;
}
