//! A reader that is slower than the server: nothing is lost, and not more waits than was allowed.

use kalam_link::{Client, SubscribeOptions, Subscription, json};

use crate::server::{Peer, Server, ack, batch, insert, row, window_ack};
use crate::{Copy, builder, told_times, values};

async fn subscribed(server: &Server) -> (Client, Subscription) {
    let client = builder(server).buffer_rows(4).build().unwrap();
    let subscription = client
        .subscribe("SELECT * FROM t", &[], SubscribeOptions::default())
        .await
        .unwrap();
    (client, subscription)
}

/// Takes what the client says before a query that it is made to send: what it has not said by then, it does not say.
async fn said_until_query(client: &Client, peer: &mut Peer) -> Vec<String> {
    let mut said = Vec::new();
    let (answer, ()) = tokio::join!(client.query_over_socket("SELECT 1", &[]), async {
        loop {
            let message = peer.receive().await;
            if message["type"] == "query" {
                let id = &message["id"];
                peer.send(
                    &json!({"type": "query_result", "id": id, "status": "success",
                    "results": [], "took": 0.1}),
                )
                .await;
                return;
            }
            said.push(message["type"].as_str().unwrap().to_owned());
        }
    });
    answer.unwrap();
    said
}

#[tokio::test]
async fn a_load_goes_on_only_when_the_reader_has_caught_up() {
    let mut server = Server::start().await;
    let (client, mut subscription) = subscribed(&server).await;
    let mut peer = server.ready().await;
    let (id, _) = peer.subscribe().await;
    peer.send(&ack(&id)).await;
    let rows = [row(1, "a", 1), row(2, "b", 2)];
    peer.send(&batch(&id, &rows, Some(2), true)).await;
    // Asked for as the first one was taken, before anybody could be behind.
    assert_eq!(peer.receive().await["type"], "next_batch");
    peer.send(&batch(&id, &[row(3, "c", 3)], Some(3), true))
        .await;
    // The answer to the first query comes after the batch: by the second the client has taken the batch.
    said_until_query(&client, &mut peer).await;
    assert_eq!(said_until_query(&client, &mut peer).await, [""; 0]);
    let words = told_times(&mut subscription, 3).await;
    assert_eq!(words, ["fresh", "batch 2", "batch 1"]);
    assert_eq!(
        peer.receive().await,
        json!({"type": "next_batch", "subscription_id": id, "last_seq_id": 3})
    );
    peer.send(&batch(&id, &[], Some(4), false)).await;
    assert_eq!(told_times(&mut subscription, 2).await, ["batch 0", "live"]);
}

#[tokio::test]
async fn changes_that_nobody_reads_stop_and_are_caught_up_with() {
    let mut server = Server::start().await;
    let (_client, mut subscription) = subscribed(&server).await;
    let mut peer = server.ready().await;
    let id = peer.serve(&[], 10).await;
    let mut copy = Copy::default();
    copy.read_until(&mut subscription, "live").await;
    for seq in 11..=14 {
        peer.send(&insert(&id, seq, "a", seq)).await;
    }
    let message = peer.receive().await;
    assert_eq!(
        message,
        json!({"type": "unsubscribe", "subscription_id": id})
    );
    // Sent before the server knew.
    peer.send(&insert(&id, 15, "lost", 15)).await;
    copy.read_until(&mut subscription, "change 14").await;
    let (again, request) = peer.subscribe().await;
    assert_ne!(again, id);
    assert_eq!(request["options"], json!({"from": 14}));
    peer.send(&ack(&again)).await;
    peer.send(&batch(&again, &[row(15, "found", 16)], Some(16), false))
        .await;
    copy.read_until(&mut subscription, "resumed").await;
    copy.read_until(&mut subscription, "live").await;
    assert_eq!(
        copy.values(),
        values(&[
            ("11", "a"),
            ("12", "a"),
            ("13", "a"),
            ("14", "a"),
            ("15", "found")
        ])
    );
}

#[tokio::test]
async fn a_window_that_nobody_reads_is_loaded_again() {
    let mut server = Server::start().await;
    let (_client, mut subscription) = subscribed(&server).await;
    let mut peer = server.ready().await;
    let (id, _) = peer.subscribe().await;
    peer.send(&window_ack(&id)).await;
    peer.send(&batch(&id, &[], Some(10), false)).await;
    assert_eq!(
        told_times(&mut subscription, 3).await,
        ["fresh", "batch 0", "live"]
    );
    for seq in 11..=14 {
        peer.send(&insert(&id, seq, "a", seq)).await;
    }
    assert_eq!(peer.receive().await["type"], "unsubscribe");
    assert_eq!(told_times(&mut subscription, 4).await.len(), 4);
    let (again, request) = peer.subscribe().await;
    assert_eq!(request["options"], json!({}));
    peer.send(&window_ack(&again)).await;
    assert_eq!(told_times(&mut subscription, 1).await, ["fresh"]);
}
