//! Live queries as rows.

use futures::StreamExt as _;
use kalam_link::{Live, LiveSnapshot, LiveStatus, json};

use crate::client;
use crate::server::{Server, ack, batch, delete, insert, row, text};

const SQL: &str = "SELECT * FROM t ORDER BY value";

fn ordered_ack(id: &str) -> kalam_link::Json {
    let mut ack = ack(id);
    ack["order_by"] = json!([
        {"column": "value", "data_type": "Text", "descending": false, "nulls_first": false}
    ]);
    ack
}

fn shown(snapshot: &LiveSnapshot) -> Vec<String> {
    snapshot
        .rows
        .iter()
        .map(|row| text(&row.get("value").unwrap()))
        .collect()
}

/// Snapshots until one has these rows: how many changes one holds depends on how fast they are read.
async fn wait_for(live: &mut Live, expected: &[&str]) -> LiveSnapshot {
    loop {
        let snapshot = live.next().await.expect("it goes on").unwrap();
        if shown(&snapshot) == expected {
            return snapshot;
        }
    }
}

#[tokio::test]
async fn rows_are_shown_in_order_once_they_are_complete_and_after_each_change() {
    let mut server = Server::start().await;
    let client = client(&server);
    let mut live = client.live(SQL, &[]).await.unwrap();
    let mut peer = server.ready().await;
    let (id, request) = peer.subscribe().await;
    assert_eq!(request["sql"], SQL);
    peer.send(&ordered_ack(&id)).await;
    peer.send(&batch(&id, &[row(1, "b", 1)], None, true)).await;
    assert_eq!(peer.receive().await["type"], "next_batch");
    peer.send(&batch(&id, &[row(2, "c", 2)], Some(5), false))
        .await;
    let first = live.next().await.unwrap().unwrap();
    assert_eq!(
        (shown(&first), first.status),
        (vec!["b".into(), "c".into()], LiveStatus::Live)
    );
    assert_eq!(live.schema().len(), 2);
    peer.send(&insert(&id, 3, "a", 6)).await;
    wait_for(&mut live, &["a", "b", "c"]).await;
    peer.send(&delete(&id, 1, 7)).await;
    wait_for(&mut live, &["a", "c"]).await;
    assert_eq!(live.rows().len(), 2);
    live.close();
    assert_eq!(peer.receive().await["type"], "unsubscribe");
}

#[tokio::test]
async fn rows_stay_while_the_connection_is_sought() {
    let mut server = Server::start().await;
    let client = client(&server);
    let mut live = client.live(SQL, &[]).await.unwrap();
    let mut peer = server.ready().await;
    let (id, _) = peer.subscribe().await;
    peer.send(&ordered_ack(&id)).await;
    peer.send(&batch(
        &id,
        &[row(1, "a", 1), row(2, "b", 2)],
        Some(5),
        false,
    ))
    .await;
    wait_for(&mut live, &["a", "b"]).await;
    drop(peer);
    let offline = live.next().await.unwrap().unwrap();
    assert_eq!(shown(&offline), ["a", "b"]);
    assert_ne!(offline.status, LiveStatus::Live);
    let mut peer = server.ready().await;
    let (id, request) = peer.subscribe().await;
    assert_eq!(request["options"]["from"], 5);
    peer.send(&ordered_ack(&id)).await;
    peer.send(&delete(&id, 1, 6)).await;
    peer.send(&batch(&id, &[row(3, "c", 7)], Some(7), false))
        .await;
    let mut snapshot = wait_for(&mut live, &["b", "c"]).await;
    while snapshot.status != LiveStatus::Live {
        snapshot = live.next().await.unwrap().unwrap();
    }
    assert_eq!(shown(&snapshot), ["b", "c"]);
}

#[tokio::test]
async fn the_last_rows_can_be_read_after_the_end() {
    let mut server = Server::start().await;
    let client = client(&server);
    let mut live = client.live(SQL, &[]).await.unwrap();
    let mut peer = server.ready().await;
    let id = peer.serve(&[row(1, "a", 1)], 1).await;
    wait_for(&mut live, &["a"]).await;
    peer.send(
        &json!({"type": "error", "subscription_id": id, "code": "SUBSCRIPTION_KILLED",
        "message": "killed"}),
    )
    .await;
    let error = live.next().await.unwrap().unwrap_err();
    assert_eq!(error.code(), Some("SUBSCRIPTION_KILLED"));
    assert!(live.next().await.is_none());
    assert_eq!((live.rows().len(), live.status()), (1, LiveStatus::Failed));
}

#[tokio::test]
async fn nothing_is_shown_of_a_load_that_never_ends() {
    let mut server = Server::start().await;
    let client = client(&server);
    let mut live = client.live(SQL, &[]).await.unwrap();
    let mut peer = server.ready().await;
    let (id, _) = peer.subscribe().await;
    peer.send(&ack(&id)).await;
    peer.send(&batch(&id, &[row(1, "a", 1)], Some(1), true))
        .await;
    assert_eq!(peer.receive().await["type"], "next_batch");
    // The end of the client is the first item.
    let ((), code) = tokio::join!(client.close(), peer.gone());
    assert_eq!(code, Some(1000));
    assert!(matches!(
        live.next().await,
        Some(Err(kalam_link::Error::Closed))
    ));
}
