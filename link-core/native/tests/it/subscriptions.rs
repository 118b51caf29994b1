//! Live queries as streams of events: loads, changes, reconnects, and how they end.

use kalam_link::{SeqId, SubscribeOptions, json};

use crate::server::{Server, ack, batch, delete, insert, row, window_ack};
use crate::{Copy, client, told, told_times, values};

const SQL: &str = "SELECT * FROM t";

#[tokio::test]
async fn a_load_is_asked_for_batch_by_batch_and_followed_by_changes() {
    let mut server = Server::start().await;
    let client = client(&server);
    let options = SubscribeOptions {
        batch_size: Some(2),
        ..SubscribeOptions::default()
    };
    let sql = "SELECT * FROM t WHERE room = $1";
    let mut subscription = client
        .subscribe(sql, &[json!("lobby")], options)
        .await
        .unwrap();
    let mut peer = server.ready().await;
    let (id, request) = peer.subscribe().await;
    assert_eq!(
        request,
        json!({"id": id, "sql": sql, "params": ["lobby"], "options": {"batch_size": 2}})
    );
    peer.send(&ack(&id)).await;
    let first = [row(1, "a", 1), row(2, "b", 2)];
    peer.send(&batch(&id, &first, Some(2), true)).await;
    assert_eq!(
        peer.receive().await,
        json!({"type": "next_batch", "subscription_id": id, "last_seq_id": 2})
    );
    peer.send(&batch(&id, &[row(3, "c", 3)], Some(9), false))
        .await;
    peer.send(&insert(&id, 1, "A", 10)).await;
    peer.send(&delete(&id, 2, 11)).await;
    let mut copy = Copy::default();
    copy.read_until(&mut subscription, "change 11").await;
    assert_eq!(copy.values(), values(&[("1", "A"), ("3", "c")]));
}

#[tokio::test]
async fn all_subscriptions_share_one_socket() {
    let mut server = Server::start().await;
    let client = client(&server);
    let options = SubscribeOptions::default();
    let mut one = client
        .subscribe("SELECT * FROM a", &[], options)
        .await
        .unwrap();
    let mut two = client
        .subscribe("SELECT * FROM b", &[], options)
        .await
        .unwrap();
    let mut peer = server.ready().await;
    let (first, _) = peer.subscribe().await;
    let (second, request) = peer.subscribe().await;
    assert_ne!(first, second);
    assert_eq!(request["sql"], "SELECT * FROM b");
    peer.send(&ack(&second)).await;
    peer.send(&batch(&second, &[], Some(1), false)).await;
    peer.send(&ack(&first)).await;
    assert_eq!(told_times(&mut two, 3).await, ["fresh", "batch 0", "live"]);
    assert_eq!(told(&mut one).await, "fresh");
    // One that nobody reads ends; the other goes on.
    one.close();
    assert_eq!(
        peer.receive().await,
        json!({"type": "unsubscribe", "subscription_id": first})
    );
    peer.send(&insert(&first, 1, "late", 2)).await;
    peer.send(&insert(&second, 1, "b", 3)).await;
    assert_eq!(told(&mut two).await, "change 3");
}

#[tokio::test]
async fn i6_after_a_reconnect_each_change_comes_once() {
    let mut server = Server::start().await;
    let client = client(&server);
    let options = SubscribeOptions {
        last_rows: Some(10),
        ..SubscribeOptions::default()
    };
    let mut subscription = client.subscribe(SQL, &[], options).await.unwrap();
    let mut peer = server.ready().await;
    let (id, request) = peer.subscribe().await;
    assert_eq!(request["options"], json!({"last_rows": 10}));
    peer.send(&ack(&id)).await;
    peer.send(&batch(
        &id,
        &[row(1, "a", 1), row(2, "b", 2)],
        Some(5),
        false,
    ))
    .await;
    peer.send(&insert(&id, 3, "c", 7)).await;
    let mut copy = Copy::default();
    copy.read_until(&mut subscription, "change 7").await;
    drop(peer);

    let mut peer = server.ready().await;
    let (id, request) = peer.subscribe().await;
    assert_eq!(request["options"], json!({"from": 7}));
    peer.send(&ack(&id)).await;
    peer.send(&delete(&id, 1, 8)).await;
    peer.send(&batch(&id, &[row(2, "B", 9)], Some(9), false))
        .await;
    // A duplicate, then something new.
    peer.send(&insert(&id, 2, "wrong", 9)).await;
    peer.send(&insert(&id, 4, "d", 10)).await;
    let words = told_times(&mut subscription, 2).await;
    assert_eq!(words, ["offline", "resumed"]);
    copy.read_until(&mut subscription, "change 10").await;
    assert_eq!(copy.values(), values(&[("2", "B"), ("3", "c"), ("4", "d")]));
}

#[tokio::test]
async fn a_window_takes_every_change_of_one_commit_and_is_loaded_again_after_a_reconnect() {
    let mut server = Server::start().await;
    let client = client(&server);
    let mut subscription = client
        .subscribe("SELECT * FROM t LIMIT 2", &[], SubscribeOptions::default())
        .await
        .unwrap();
    let mut peer = server.ready().await;
    let (id, _) = peer.subscribe().await;
    peer.send(&window_ack(&id)).await;
    peer.send(&batch(
        &id,
        &[row(1, "a", 1), row(2, "b", 2)],
        Some(5),
        false,
    ))
    .await;
    peer.send(&delete(&id, 1, 6)).await;
    peer.send(&insert(&id, 3, "c", 6)).await;
    let words = told_times(&mut subscription, 5).await;
    assert_eq!(words, ["fresh", "batch 2", "live", "change 6", "change 6"]);
    drop(peer);
    let mut peer = server.ready().await;
    let (id, request) = peer.subscribe().await;
    assert_eq!(request["options"], json!({}));
    peer.send(&window_ack(&id)).await;
    assert_eq!(told_times(&mut subscription, 2).await, ["offline", "fresh"]);
}

#[tokio::test]
async fn a_resync_is_followed_by_a_fresh_load() {
    let mut server = Server::start().await;
    let client = client(&server);
    let options = SubscribeOptions {
        from: Some(SeqId(3)),
        ..SubscribeOptions::default()
    };
    let mut subscription = client.subscribe(SQL, &[], options).await.unwrap();
    let mut peer = server.ready().await;
    let (id, request) = peer.subscribe().await;
    assert_eq!(request["options"], json!({"from": 3}));
    peer.send(&ack(&id)).await;
    peer.send(&batch(&id, &[row(1, "a", 4)], Some(4), false))
        .await;
    let resync = json!({"type": "resync", "subscription_id": id, "reason": "below_resume_floor"});
    peer.send(&resync).await;
    peer.send(&ack(&id)).await;
    peer.send(&batch(&id, &[row(2, "b", 5)], Some(5), false))
        .await;
    // The rows before the one that was asked for are the application's.
    let words = told_times(&mut subscription, 3).await;
    assert_eq!(words, ["resumed", "batch 1", "live"]);
    let words = told_times(&mut subscription, 4).await;
    assert_eq!(words, ["resync", "fresh", "batch 1", "live"]);
}

#[tokio::test]
async fn an_error_of_the_server_is_the_last_item() {
    let mut server = Server::start().await;
    let client = client(&server);
    let mut subscription = client
        .subscribe(SQL, &[], SubscribeOptions::default())
        .await
        .unwrap();
    let mut peer = server.ready().await;
    let (id, _) = peer.subscribe().await;
    peer.send(
        &json!({"type": "error", "subscription_id": id, "code": "NOT_FOUND",
        "message": "table not found: `t`"}),
    )
    .await;
    let words = told_times(&mut subscription, 3).await;
    assert_eq!(
        words,
        ["error: NOT_FOUND: table not found: `t`", "end", "end"]
    );
    drop(peer);
    // It is over: the next connection does not bring it back.
    let mut peer = server.ready().await;
    let (answer, ()) = tokio::join!(client.query_over_socket("SELECT 1", &[]), async {
        let next = peer.receive().await;
        assert_eq!(next["type"], "query");
        drop(peer);
    });
    answer.unwrap_err();
}

#[tokio::test]
async fn a_subscription_keeps_its_client_alive() {
    let mut server = Server::start().await;
    let mut subscription = client(&server)
        .subscribe(SQL, &[], SubscribeOptions::default())
        .await
        .unwrap();
    let mut peer = server.ready().await;
    peer.serve(&[], 1).await;
    assert_eq!(told_times(&mut subscription, 3).await.len(), 3);
    drop(subscription);
    // Whether the client still says so depends on how fast it is gone; that it goes does not.
    assert_eq!(peer.gone().await, Some(1000));
}
