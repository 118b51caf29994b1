//! Broken and full disks, as clients learn of them.

use std::path::Path;

use kalam_model::{Scope, Value as Cell};
use kalam_store::{Slice, Store, StoreOptions, Sync, hot, key, meta};
use serde_json::json;

use crate::harness::{Answer, TestNode};

async fn prepared(settings: &[(&str, &str)]) -> TestNode {
    let node = TestNode::start_with(settings).await;
    node.sql_ok("root", "CREATE NAMESPACE app").await;
    node.sql_ok(
        "root",
        "CREATE TABLE app.t (id BIGINT PRIMARY KEY, body TEXT) WITH (TYPE='SHARED')",
    )
    .await;
    node
}

/// Puts bytes that are no row in the place of row 2 of the only table.
fn damage(data: &Path) {
    let store = Store::open(&data.join("db"), &StoreOptions::default()).unwrap();
    let snapshot = store.snapshot();
    let tables = meta::TABLES.all(&snapshot).unwrap();
    let table = tables
        .iter()
        .find(|table| table.id.to_string() == "app.t")
        .unwrap();
    let slice = Slice::new(table.number, &Scope::Shared);
    let row_key = key::encode_key(&[&Cell::BigInt(2)]).unwrap();
    let seq = hot::live_seq(&snapshot, &slice, &row_key).unwrap().unwrap();
    let mut batch = store.batch();
    hot::insert(&mut batch, &slice, seq, &row_key, b"no row".to_vec());
    batch.commit(Sync::Yes).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i13_a_damaged_row_is_an_error_and_not_left_out() {
    let node = prepared(&[]).await;
    node.sql_ok(
        "root",
        "INSERT INTO app.t VALUES (1, 'whole'), (2, 'damaged'), (3, 'whole')",
    )
    .await;
    let node = node.restart_after(damage).await;
    for sql in [
        "SELECT * FROM app.t WHERE id = 2",
        "SELECT * FROM app.t",
        "SELECT body FROM app.t ORDER BY id LIMIT 2",
    ] {
        for accept in ["application/json", "application/x-ndjson"] {
            let request = node
                .sql_request("root", &json!({"sql": sql}))
                .await
                .header("accept", accept);
            let answer = Answer::of(request).await;
            assert_eq!(
                answer.refusal(),
                (500, "DATA_CORRUPT".to_owned()),
                "{sql}: {}",
                answer.text()
            );
            assert!(
                !answer.text().contains("no row"),
                "what is stored is not shown"
            );
        }
    }
    let whole = node
        .sql_ok("root", "SELECT body FROM app.t WHERE id IN (1, 3)")
        .await;
    assert_eq!(whole["results"][0]["row_count"], 2);
    node.stop().await;
}

/// Makes the write-ahead logs that the database is going to begin a device which has no room.
#[cfg(target_os = "linux")]
fn fill_disk(db: &Path) -> Vec<std::path::PathBuf> {
    let number = |name: &str| {
        name.strip_suffix(".log")
            .and_then(|digits| digits.parse::<u64>().ok())
    };
    let newest = std::fs::read_dir(db)
        .unwrap()
        .filter_map(|entry| number(entry.unwrap().file_name().to_str()?))
        .max();
    let ahead = newest.unwrap() + 1..newest.unwrap() + 1_000;
    let path = |number: u64| db.join(format!("{number:06}.log"));
    ahead
        .map(path)
        .inspect(|path| std::os::unix::fs::symlink("/dev/full", path).unwrap())
        .collect()
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i12_a_full_disk_refuses_writes_and_loses_nothing() {
    // Small, so that the log is changed soon.
    let node = prepared(&[("KALAMDB_STORAGE_WRITE_BUFFER_BYTES", "262144")]).await;
    let links = fill_disk(&node.data().join("db"));
    let insert = |id: u64| json!({"sql": "INSERT INTO app.t VALUES ($1, $2)", "params": [id, "x".repeat(20_000)]});
    let mut acknowledged = 0_u64;
    let refused = loop {
        let answer = node.answer("root", &insert(acknowledged)).await;
        if answer.status != 200 {
            break answer;
        }
        acknowledged += 1;
    };
    assert_eq!(
        refused.refusal(),
        (503, "DISK_FULL".to_owned()),
        "{}",
        refused.text()
    );
    let again = node.answer("root", &insert(acknowledged)).await;
    assert_eq!(
        again.refusal(),
        (503, "DISK_FULL".to_owned()),
        "{}",
        again.text()
    );
    let count = json!([[acknowledged.to_string()]]);
    let rows = node.sql_ok("root", "SELECT count(*) FROM app.t").await;
    assert_eq!(rows["results"][0]["rows"], count, "reads go on");
    let ready = Answer::of(node.get("/readyz")).await;
    assert_eq!(
        (ready.status, ready.json()),
        (503, json!({"status": "storage_unavailable"}))
    );
    assert_eq!(Answer::of(node.get("/livez")).await.status, 200);

    let node = node
        .restart_after(|_| {
            links
                .iter()
                .for_each(|link| std::fs::remove_file(link).unwrap_or_default())
        })
        .await;
    let rows = node.sql_ok("root", "SELECT count(*) FROM app.t").await;
    assert_eq!(
        rows["results"][0]["rows"], count,
        "what was acknowledged is there after there is room again"
    );
    assert_eq!(node.answer("root", &insert(acknowledged)).await.status, 200);
    node.stop().await;
}
