//! A client that goes away takes its statement with it.

use serde_json::json;

use super::{metric, wait_for_metric};
use crate::harness::TestNode;

const RUNNING: &str = "kalamdb_sql_running";
const CANCELLED: &str = "kalamdb_sql_cancelled_total";
/// Every scan holds one until it ends.
const SNAPSHOTS: &str = "kalamdb_store_snapshots";

/// A table whose square has a hundred million rows.
async fn prepared() -> TestNode {
    // An hour: if cancelling does not work, the test does not end.
    let node = TestNode::start_with(&[("KALAMDB_LIMITS_STATEMENT_TIMEOUT_MS", "3600000")]).await;
    node.sql_ok("root", "CREATE NAMESPACE app").await;
    node.sql_ok(
        "root",
        "CREATE TABLE app.t (id BIGINT PRIMARY KEY) WITH (TYPE='SHARED')",
    )
    .await;
    let values: Vec<String> = (0..10_000).map(|id| format!("({id})")).collect();
    node.sql_ok(
        "root",
        &format!("INSERT INTO app.t VALUES {}", values.join(", ")),
    )
    .await;
    node
}

async fn wait_until_gone(node: &TestNode) {
    wait_for_metric(node, RUNNING, |running| running == 0.0).await;
    wait_for_metric(node, SNAPSHOTS, |snapshots| snapshots == 0.0).await;
    assert_eq!(metric(node, CANCELLED).await.to_bits(), 1.0_f64.to_bits());
    node.sql_ok("root", "SELECT count(*) FROM app.t").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_cancels_its_statement() {
    let node = prepared().await;
    let sql = "SELECT count(*) FROM app.t a, app.t b WHERE length(concat(repeat('x', 1000), a.id, b.id)) < 0";
    let request = node.sql_request("root", &json!({"sql": sql})).await;
    let asking = tokio::spawn(request.send());
    wait_for_metric(&node, RUNNING, |running| running == 1.0).await;
    wait_for_metric(&node, SNAPSHOTS, |snapshots| snapshots > 0.0).await;
    asking.abort();
    wait_until_gone(&node).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_stops_reading_a_stream_cancels_it() {
    for accept in [
        "application/x-ndjson",
        "application/vnd.apache.arrow.stream",
    ] {
        let node = prepared().await;
        let sql = "SELECT a.id, b.id, repeat('x', 1000) FROM app.t a, app.t b";
        let request = node
            .sql_request("root", &json!({"sql": sql}))
            .await
            .header("accept", accept);
        let mut response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "{accept}");
        assert!(response.chunk().await.unwrap().is_some());
        drop(response);
        wait_until_gone(&node).await;
        node.stop().await;
    }
}
