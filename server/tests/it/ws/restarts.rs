//! Subscribers that come back to a server which was killed or stopped meanwhile.

use serde_json::{Value, json};

use super::client::{Client, Load};
use crate::harness::ServerProcess;

const ALL: &str = "SELECT * FROM app.board";
const ALL_FEATURES: &str =
    "?serialization=json&compression=none&features=resync,auth_expiring,pong,seq";

async fn started(durability: &str) -> ServerProcess {
    let server = ServerProcess::start(&[("KALAMDB_DURABILITY", durability)]).await;
    server.sql_ok("CREATE NAMESPACE app").await;
    server
        .sql_ok(
            "CREATE TABLE app.board (id BIGINT PRIMARY KEY, body TEXT) WITH (TYPE='SHARED', ACCESS_LEVEL='PUBLIC')",
        )
        .await;
    server
        .sql_ok("INSERT INTO app.board VALUES (1, 'a'), (2, 'b'), (3, 'c')")
        .await;
    server
}

async fn connected(server: &ServerProcess) -> Client {
    let mut client = Client::connect(server.url(), ALL_FEATURES, Some(server.token())).await;
    let success = client.next().await;
    assert_eq!(success["type"], "auth_success", "{success}");
    client
}

async fn loaded(server: &ServerProcess) -> Load {
    connected(server).await.subscribe("s", ALL).await
}

/// Two changes that a subscriber misses: one key is gone, one came.
async fn change(server: &ServerProcess) {
    server.sql_ok("DELETE FROM app.board WHERE id = 1").await;
    server.sql_ok("INSERT INTO app.board VALUES (4, 'd')").await;
}

/// The subscriber goes on from `from`, and gets what it missed.
async fn assert_resumes(server: &ServerProcess, from: u64) {
    let mut client = connected(server).await;
    let load = client.subscribe_with("s", ALL, json!({"from": from})).await;
    assert_eq!(load.column("id"), [json!("4")]);
    let deleted: Vec<&Value> = load
        .changes
        .iter()
        .map(|change| &change["old_values"][0]["id"])
        .collect();
    assert_eq!(deleted, [&json!("1")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i6_who_comes_back_after_a_kill_with_relaxed_loads_anew() {
    let mut server = started("relaxed:60000ms").await;
    let from = loaded(&server).await.last_seq();
    change(&server).await;
    server.kill();
    let server = server.start_again().await;
    server.sql_ok("INSERT INTO app.board VALUES (5, 'e')").await;

    let mut client = connected(&server).await;
    client.request("s", ALL, json!({"from": from})).await;
    let resync = client.next_typed("s", "resync").await;
    assert_eq!(resync["reason"], "below_resume_floor", "{resync}");
    let load = client.load("s").await;
    let expected: Vec<Value> = ["2", "3", "4", "5"].map(Value::from).to_vec();
    assert_eq!(load.column("id"), expected);

    // What was seen since then can be gone on from.
    let mut again = connected(&server).await;
    let rest = again
        .subscribe_with("s", ALL, json!({"from": load.last_seq()}))
        .await;
    assert_eq!((rest.rows.len(), rest.changes.len()), (0, 0));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i6_who_comes_back_after_a_stop_with_relaxed_goes_on() {
    let server = started("relaxed:60000ms").await;
    let from = loaded(&server).await.last_seq();
    change(&server).await;
    let server = server.stop_and_start_again().await;
    assert_resumes(&server, from).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i6_who_comes_back_after_a_kill_with_sync_goes_on() {
    let mut server = started("sync").await;
    let from = loaded(&server).await.last_seq();
    change(&server).await;
    server.kill();
    let server = server.start_again().await;
    assert_resumes(&server, from).await;
    server.stop().await;
}
