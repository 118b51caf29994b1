//! The one socket: queries over it, how it is found, lost and found again, and how it ends.

use std::io::Write as _;
use std::time::Duration;

use axum::extract::ws::Message;
use flate2::Compression as Level;
use flate2::write::GzEncoder;
use kalam_link::core::codec::{Frame, decode_client};
use kalam_link::core::message::ClientMessage;
use kalam_link::{
    Auth, Client, Compression, DisconnectReason, Error, HeartbeatOptions, Json, Link, NetworkHint,
    QueryError, Role, Serialization, SqlRequest, SubscribeOptions, Transport, json,
};
use tokio::join;

use crate::server::{ClosedPort, Peer, Server, ack, batch, failure, row, success};
use crate::{AT_ONCE, builder, client, told, told_times};

fn result(id: &Json, mut response: Json) -> Json {
    response["type"] = json!("query_result");
    response["id"] = id.clone();
    response
}

/// Takes a query: its id on the wire.
async fn query(peer: &mut Peer, sql: &str) -> Json {
    let query = peer.receive().await;
    assert_eq!(
        (&query["type"], &query["sql"]),
        (&json!("query"), &json!(sql))
    );
    query["id"].clone()
}

#[tokio::test]
async fn answers_find_their_queries_in_any_order() {
    let mut server = Server::start().await;
    let client = client(&server);
    let params = [json!("x")];
    let (one, two, ()) = join!(
        client.query_over_socket("SELECT 1", &[]),
        client.query_over_socket("SELECT 2", &params),
        async {
            let mut peer = server.ready().await;
            let one = query(&mut peer, "SELECT 1").await;
            let two = peer.receive().await;
            assert_eq!(two["params"], json!(["x"]));
            peer.send(&result(&two["id"], success(&json!([])))).await;
            peer.send(&result(&one, failure("TABLE_NOT_FOUND"))).await;
        }
    );
    two.unwrap();
    let error = one.unwrap_err();
    assert_eq!(
        (error.code(), error.hint()),
        (Some("TABLE_NOT_FOUND"), Some("try another"))
    );
}

#[tokio::test]
async fn a_query_that_may_have_been_executed_ends_with_the_connection() {
    let mut server = Server::start().await;
    let client = client(&server);
    let (answer, ()) = join!(client.query_over_socket("DELETE FROM t", &[]), async {
        let mut peer = server.ready().await;
        query(&mut peer, "DELETE FROM t").await;
    });
    assert!(
        matches!(answer, Err(Error::Query(QueryError::Interrupted))),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_query_that_can_be_repeated_survives_the_connection() {
    let mut server = Server::start().await;
    let client = client(&server);
    let request = SqlRequest {
        sql: "DELETE FROM t".to_owned(),
        request_id: Some("once".to_owned()),
        ..SqlRequest::default()
    };
    let (answer, ()) = join!(client.request(request, Transport::Socket), async {
        let mut peer = server.ready().await;
        query(&mut peer, "DELETE FROM t").await;
        drop(peer);
        let mut peer = server.ready().await;
        let again = peer.receive().await;
        assert_eq!(again["request_id"], "once");
        peer.send(&result(&again["id"], success(&json!([])))).await;
    });
    answer.unwrap();
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_not_waited_for() {
    let server = Server::start().await;
    let client = builder(&server)
        .request_timeout(Duration::from_millis(20))
        .build()
        .unwrap();
    let answer = client.query_over_socket("SELECT 1", &[]).await;
    assert!(
        matches!(answer, Err(Error::Timeout { timeout_ms: 20 })),
        "{answer:?}"
    );
}

#[tokio::test]
async fn an_answer_that_nobody_waits_for_is_taken_for_no_other_query() {
    let mut server = Server::start().await;
    let client = client(&server);
    let asked = async {
        let mut peer = server.ready().await;
        let id = query(&mut peer, "SELECT 1").await;
        (peer, id)
    };
    // Dropped when it was asked.
    let (mut peer, late) = tokio::select! {
        answer = client.query_over_socket("SELECT 1", &[]) => panic!("{answer:?}"),
        asked = asked => asked,
    };
    let mut subscription = client
        .subscribe("SELECT * FROM t", &[], SubscribeOptions::default())
        .await
        .unwrap();
    let (id, _) = peer.subscribe().await;
    peer.send(&result(&late, success(&json!([])))).await;
    peer.send(&ack(&id)).await;
    assert_eq!(told(&mut subscription).await, "fresh");
}

#[tokio::test]
async fn messagepack_and_gzip_are_spoken_if_the_server_grants_them() {
    let mut server = Server::start().await;
    let client = builder(&server)
        .serialization(Serialization::Msgpack)
        .compression(Compression::Gzip)
        .build()
        .unwrap();
    let mut subscription = client
        .subscribe("SELECT * FROM t", &[], SubscribeOptions::default())
        .await
        .unwrap();
    let mut peer = server.socket().await;
    let hello = peer.receive().await;
    assert_eq!(hello["protocol"]["serialization"], "msgpack");
    assert_eq!(hello["protocol"]["compression"], "gzip");
    peer.accept_with("msgpack", "gzip").await;
    let Message::Binary(bytes) = peer.frame().await else {
        panic!("MessagePack was granted");
    };
    let frame = Frame::Binary(bytes.to_vec());
    let Ok(ClientMessage::Subscribe {
        subscription: request,
    }) = decode_client(&frame, Serialization::Msgpack)
    else {
        panic!("it subscribes");
    };
    let id = request.id.as_str();
    peer.send_frame(Message::binary(packed(ack(id)))).await;
    let mut gzip = GzEncoder::new(Vec::new(), Level::default());
    gzip.write_all(&packed(batch(id, &[row(1, "a", 1)], Some(1), false)))
        .unwrap();
    peer.send_frame(Message::binary(gzip.finish().unwrap()))
        .await;
    let words = told_times(&mut subscription, 3).await;
    assert_eq!(words, ["fresh", "batch 1", "live"]);
}

fn packed(message: Json) -> Vec<u8> {
    let frame = Frame::encode(&message, Serialization::Msgpack);
    frame.as_bytes().to_vec()
}

#[tokio::test]
async fn a_frame_that_cannot_be_inflated_is_a_lost_connection() {
    let mut server = Server::start().await;
    let client = client(&server);
    let mut subscription = client
        .subscribe("SELECT * FROM t", &[], SubscribeOptions::default())
        .await
        .unwrap();
    let mut peer = server.ready().await;
    peer.serve(&[], 5).await;
    peer.send_frame(Message::binary(vec![0x1f, 0x8b, 0xff]))
        .await;
    let mut peer = server.ready().await;
    let (_, request) = peer.subscribe().await;
    assert_eq!(request["options"]["from"], 5);
    let words = told_times(&mut subscription, 4).await;
    assert_eq!(words, ["fresh", "batch 0", "live", "offline"]);
}

#[tokio::test]
async fn the_next_server_is_dialled_if_one_cannot_be_reached() {
    let port = ClosedPort::new();
    let mut server = Server::start().await;
    let connect = Client::builder(&port.url)
        .url(&server.url)
        .auth(Auth::jwt("token"))
        .backoff(AT_ONCE)
        .connect();
    let (client, _peer) = join!(connect, server.ready());
    match &*client.unwrap().link().borrow() {
        Link::Ready { user, role } => {
            assert_eq!((user.as_str(), *role), ("alice", Role::User));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn connecting_fails_when_every_server_was_tried() {
    let ports = [ClosedPort::new(), ClosedPort::new()];
    let connected = Client::builder(&ports[0].url)
        .url(&ports[1].url)
        .auth(Auth::jwt("token"))
        .backoff(AT_ONCE)
        .connect()
        .await;
    match connected {
        Err(Error::Disconnected(DisconnectReason::Unreachable { status: None, .. })) => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_silent_server_is_asked_and_left() {
    let mut server = Server::start().await;
    let connect = builder(&server)
        .heartbeat(HeartbeatOptions {
            idle_ms: 10,
            answer_ms: 10,
        })
        .connect();
    let (client, mut peer) = join!(connect, server.ready());
    let _client = client.unwrap();
    assert_eq!(peer.receive().await, json!({"type": "ping"}));
    let _next = server.ready().await;
    assert_eq!(peer.gone().await, Some(4408));
}

#[tokio::test]
async fn a_hint_about_the_network_makes_the_client_ask() {
    let mut server = Server::start().await;
    let (client, mut peer) = join!(builder(&server).connect(), server.ready());
    let client = client.unwrap();
    client.network(NetworkHint::Offline);
    assert_eq!(peer.receive().await, json!({"type": "ping"}));
}

#[tokio::test]
async fn closing_says_goodbye_and_ends_everything() {
    let mut server = Server::start().await;
    let client = client(&server);
    let mut subscription = client
        .subscribe("SELECT * FROM t", &[], SubscribeOptions::default())
        .await
        .unwrap();
    let mut peer = server.ready().await;
    peer.serve(&[], 1).await;
    assert_eq!(told_times(&mut subscription, 3).await.len(), 3);
    let (code, ()) = join!(peer.gone(), client.close());
    assert_eq!(code, Some(1000));
    let words = told_times(&mut subscription, 3).await;
    assert_eq!(words, ["offline", "error: the client is closed", "end"]);
    assert!(matches!(&*client.link().borrow(), Link::Offline));
    let answer = client.query_over_socket("SELECT 1", &[]).await;
    assert!(matches!(answer, Err(Error::Closed)), "{answer:?}");
    // Twice does no harm.
    client.close().await;
}

#[tokio::test]
async fn closing_ends_queries_that_wait() {
    let server = Server::start().await;
    let port = ClosedPort::new();
    let client = Client::builder(&port.url)
        .auth(Auth::jwt("token"))
        .build()
        .unwrap();
    let (answer, ()) = join!(client.query_over_socket("SELECT 1", &[]), async {
        // The query is on its way before the client closes.
        let mut link = client.link();
        link.wait_for(|link| matches!(link, Link::Waiting { .. }))
            .await
            .unwrap();
        client.close().await;
    });
    assert!(
        matches!(answer, Err(Error::Query(QueryError::NotSent))),
        "{answer:?}"
    );
    drop(server);
}

#[tokio::test]
async fn a_client_that_nobody_holds_ends_its_connection() {
    let mut server = Server::start().await;
    let (client, peer) = join!(builder(&server).connect(), server.ready());
    let client = client.unwrap();
    let other = client.clone();
    drop(client);
    drop(other);
    assert_eq!(peer.gone().await, Some(1000));
}

#[tokio::test]
async fn a_cut_connection_is_found_again() {
    let mut server = Server::start().await;
    let (client, peer) = join!(builder(&server).connect(), server.ready());
    let client = client.unwrap();
    client.break_connection();
    let _peer = server.ready().await;
    assert_eq!(peer.gone().await, None);
}
