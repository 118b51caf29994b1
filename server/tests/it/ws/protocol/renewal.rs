//! Tokens end while sockets live: a warning, a new token on the same socket, or the end.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::{BOARD, post, prepared_with};
use crate::harness::TestNode;
use crate::ws::client::{Client, Ending, all_features, is_type};

const JWT_SECRET: &str = "a-secret-of-the-tests-with-enough-bytes";
const EXPIRED: Ending = Ending(Some(4401));
const ALL: &str = "SELECT * FROM app.board";

async fn node() -> TestNode {
    prepared_with(&[("KALAMDB_JWT_SECRET", JWT_SECRET)], &[BOARD]).await
}

/// A token of the user's session with another end.
async fn token(node: &TestNode, user: &str, lifetime: Duration) -> String {
    let token = node.token(user).await;
    let payload = token.split('.').nth(1).unwrap();
    let mut claims: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    let end = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + lifetime;
    claims["exp"] = json!(end.as_secs());
    let key = EncodingKey::from_secret(JWT_SECRET.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap()
}

const SOON: Duration = Duration::from_secs(3);
const LATER: Duration = Duration::from_secs(3_600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_ends_within_a_minute_is_announced() {
    let node = node().await;
    let token = token(&node, "root", Duration::from_secs(50)).await;
    let mut client = Client::open_by_token(&node, &token, all_features()).await;
    let message = client.next().await;
    assert_eq!(message["type"], "auth_expiring", "{message}");
    let end = message["expires_at"].as_str().unwrap();
    let end = chrono::DateTime::parse_from_rfc3339(end).unwrap();
    let left = end.signed_duration_since(chrono::Utc::now()).num_seconds();
    assert!(left <= 50, "{left}");
    client.assert_quiet().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_ends_later_is_not_announced() {
    let node = node().await;
    let token = token(&node, "root", LATER).await;
    let mut client = Client::open_by_token(&node, &token, all_features()).await;
    client.assert_quiet().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_ends_with_its_token() {
    let node = node().await;
    let ending = token(&node, "root", SOON).await;
    let mut in_band = Client::open_by_token(&node, &ending, all_features()).await;
    let query = "?features=resync,auth_expiring";
    let mut on_upgrade = Client::connect(&node.url(), query, Some(&ending)).await;
    for client in [&mut in_band, &mut on_upgrade] {
        let (messages, ending) = client.end().await;
        assert_eq!(ending, EXPIRED, "{messages:?}");
        assert!(
            messages
                .iter()
                .any(|message| is_type(message, "auth_expiring"))
        );
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_token_keeps_the_socket_and_its_subscriptions() {
    let node = node().await;
    let ending = token(&node, "root", SOON).await;
    let until = Instant::now() + SOON + Duration::from_secs(2);
    let mut client = Client::open_by_token(&node, &ending, all_features()).await;
    client.subscribe("s", ALL).await;
    let later = token(&node, "root", LATER).await;
    client.authenticate(&later, all_features()).await;
    let mut id = 0;
    while Instant::now() < until {
        id += 1;
        post(&node, [id]).await;
        let change = client.next_typed("s", "change").await;
        assert_eq!(change["rows"][0]["id"], id.to_string());
    }
    client.ping().await;
    node.stop().await;
}

/// Who cannot hear the warning stays while the account is as it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_cannot_renew_outlive_their_token() {
    let node = node().await;
    let ending = token(&node, "root", SOON).await;
    let until = Instant::now() + SOON + Duration::from_secs(2);
    let mut old = Client::open_by_token(&node, &ending, Value::Null).await;
    let pong = json!({"serialization": "json", "features": ["pong"]});
    let mut newer = Client::open_by_token(&node, &ending, pong).await;
    for client in [&mut old, &mut newer] {
        client.subscribe("s", ALL).await;
    }
    let mut id = 0;
    while Instant::now() < until {
        id += 1;
        post(&node, [id]).await;
        for client in [&mut old, &mut newer] {
            client.next_typed("s", "change").await;
        }
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_with_a_bad_token_ends_the_socket() {
    let node = node().await;
    node.create_user("alice", "user").await;
    let bad = [
        "abc".to_owned(),
        String::new(),
        token(&node, "alice", LATER).await,
    ];
    for bad in bad {
        let mut client = Client::open(&node, "root").await;
        client.subscribe("s", ALL).await;
        client
            .send(json!({"type": "authenticate", "method": "jwt", "token": bad}))
            .await;
        let (messages, ending) = client.end().await;
        assert!(is_type(&messages[0], "auth_error"), "{messages:?}");
        assert!(ending.0.is_some());
    }
    node.stop().await;
}

/// A renewal does not change how the two talk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_keeps_the_protocol() {
    let node = node().await;
    let protocol = json!({"serialization": "msgpack", "compression": "none", "features": ["pong"]});
    let mut client = Client::open_with(&node, "root", protocol.clone()).await;
    let later = token(&node, "root", LATER).await;
    client
        .send(json!({"type": "authenticate", "method": "jwt", "token": later}))
        .await;
    let answer = client.receive().await.unwrap();
    assert_eq!(answer.message["type"], "auth_success");
    assert_eq!(answer.message["protocol"], protocol);
    client.assert_quiet().await;
    node.stop().await;
}
