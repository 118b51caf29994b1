//! Where tokens come from, when they are renewed, and what is said if there are none.

use std::sync::{Arc, Mutex};

use kalam_link::{
    Auth, AuthenticateBy, Client, CredentialsReason, DisconnectReason, Error, ProviderError,
    SessionError, SubscribeOptions, json,
};
use tokio::join;

use crate::server::Server;
use crate::{AT_ONCE, builder};

fn signing_in(server: &Server) -> Client {
    let auth = Auth::basic("alice", "secret");
    Client::builder(&server.url)
        .auth(auth)
        .backoff(AT_ONCE)
        .build()
        .unwrap()
}

/// Takes the login and answers it.
async fn log_in(server: &mut Server, access: &str) {
    let request = server.request().await;
    assert_eq!(request.path, "/v1/api/auth/login");
    assert_eq!(request.body, json!({"user": "alice", "password": "secret"}));
    request.sign_in(access, &format!("{access}-refresh"));
}

/// Takes the use of a refresh token and answers it.
async fn refresh(server: &mut Server, used: &str, access: &str) {
    let request = server.request().await;
    assert_eq!(request.path, "/v1/api/auth/refresh");
    assert_eq!(request.authorization, format!("Bearer {used}-refresh"));
    request.sign_in(access, &format!("{access}-refresh"));
}

async fn answer_sql(server: &mut Server, token: &str) {
    let request = server.request().await;
    assert_eq!(request.authorization, format!("Bearer {token}"));
    request.succeed(&json!([]));
}

async fn refuse_sql(server: &mut Server, token: &str) {
    let request = server.request().await;
    assert_eq!(request.authorization, format!("Bearer {token}"));
    request.fail(401, "TOKEN_EXPIRED");
}

#[tokio::test]
async fn requests_at_the_same_time_sign_in_once() {
    let mut server = Server::start().await;
    let client = signing_in(&server);
    let (one, two, ()) = join!(
        client.query("SELECT 1", &[]),
        client.query("SELECT 2", &[]),
        async {
            log_in(&mut server, "first").await;
            answer_sql(&mut server, "first").await;
            answer_sql(&mut server, "first").await;
        }
    );
    one.unwrap();
    two.unwrap();
}

#[tokio::test]
async fn a_token_that_has_ended_is_renewed_and_the_statement_sent_again() {
    let mut server = Server::start().await;
    let client = signing_in(&server);
    let (answer, ()) = join!(client.query("SELECT 1", &[]), async {
        log_in(&mut server, "first").await;
        refuse_sql(&mut server, "first").await;
        refresh(&mut server, "first", "second").await;
        answer_sql(&mut server, "second").await;
    });
    answer.unwrap();
    // Once: the next refusal is the answer.
    let (answer, ()) = join!(client.query("SELECT 1", &[]), async {
        refuse_sql(&mut server, "second").await;
        refresh(&mut server, "second", "third").await;
        refuse_sql(&mut server, "third").await;
    });
    assert_eq!(answer.unwrap_err().code(), Some("TOKEN_EXPIRED"));
    assert!(server.is_idle());
}

#[tokio::test]
async fn a_refresh_token_that_has_ended_leaves_the_password() {
    let mut server = Server::start().await;
    let client = signing_in(&server);
    let (answer, ()) = join!(client.query("SELECT 1", &[]), async {
        log_in(&mut server, "first").await;
        refuse_sql(&mut server, "first").await;
        let request = server.request().await;
        assert_eq!(request.path, "/v1/api/auth/refresh");
        request.refuse_sign_in(401, "unauthorized");
        log_in(&mut server, "second").await;
        answer_sql(&mut server, "second").await;
    });
    answer.unwrap();
}

#[tokio::test]
async fn a_wrong_password_is_said_to_be_one() {
    let mut server = Server::start().await;
    let client = signing_in(&server);
    let (answer, ()) = join!(client.query("SELECT 1", &[]), async {
        let request = server.request().await;
        request.refuse_sign_in(401, "unauthorized");
    });
    let error = answer.unwrap_err();
    assert_eq!(error.code(), Some("unauthorized"));
    assert!(matches!(error, Error::SignIn { status: 401, .. }));
    // Over the socket too, whatever uses it.
    let (answer, ()) = join!(client.query_over_socket("SELECT 1", &[]), async {
        let request = server.request().await;
        request.refuse_sign_in(401, "unauthorized");
    });
    assert!(matches!(answer, Err(Error::SignIn { .. })), "{answer:?}");
    assert!(matches!(
        &*client.link().borrow(),
        kalam_link::Link::Failed { .. }
    ));
}

#[tokio::test]
async fn a_login_that_is_locked_for_a_while_is_tried_again() {
    let mut server = Server::start().await;
    let client = signing_in(&server);
    let (answer, ()) = join!(client.query_over_socket("SELECT 1", &[]), async {
        let request = server.request().await;
        request.refuse_sign_in(429, "account_locked");
        log_in(&mut server, "first").await;
        let mut peer = server.socket().await;
        assert_eq!(peer.authenticate().await, "first");
        answer_over_socket(&mut peer).await;
    });
    answer.unwrap();
}

async fn answer_over_socket(peer: &mut crate::server::Peer) {
    let query = peer.receive().await;
    assert_eq!(query["type"], "query");
    let mut answer = crate::server::success(&json!([]));
    answer["type"] = json!("query_result");
    answer["id"] = query["id"].clone();
    peer.send(&answer).await;
}

#[tokio::test]
async fn a_token_that_cannot_be_renewed_is_refused_for_good() {
    let mut server = Server::start().await;
    let client = builder(&server).build().unwrap();
    let (answer, ()) = join!(
        client.query("SELECT 1", &[]),
        refuse_sql(&mut server, "token")
    );
    assert_eq!(answer.unwrap_err().code(), Some("TOKEN_EXPIRED"));
    let connect = builder(&server).connect();
    let (connected, ()) = join!(connect, async {
        for _ in 0..2 {
            let mut peer = server.socket().await;
            assert_eq!(peer.token().await, "token");
            peer.refuse().await;
        }
    });
    match connected.unwrap_err() {
        Error::Session(SessionError::CredentialsRefused { message }) => {
            assert_eq!(message, "invalid token");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_socket_needs_credentials() {
    let server = Server::start().await;
    let client = Client::builder(&server.url).build().unwrap();
    let answer = client.query_over_socket("SELECT 1", &[]).await;
    assert!(matches!(answer, Err(Error::NoCredentials)), "{answer:?}");
    let connected = Client::connect(&server.url, Auth::none()).await;
    assert!(matches!(connected, Err(Error::NoCredentials)));
}

/// A provider that counts: `1`, `2`, …; and why it was asked.
fn counting() -> (Auth, Arc<Mutex<Vec<CredentialsReason>>>) {
    let reasons = Arc::new(Mutex::new(Vec::new()));
    let asked = Arc::clone(&reasons);
    let auth = Auth::provider(move |reason| {
        let mut asked = asked.lock().unwrap();
        asked.push(reason);
        let token = asked.len().to_string();
        async move { Ok(token) }
    });
    (auth, reasons)
}

#[tokio::test]
async fn a_provider_is_asked_before_each_connection_and_after_each_refusal() {
    let mut server = Server::start().await;
    let (auth, reasons) = counting();
    let (client, mut peer) = join!(builder(&server).auth(auth).connect(), async {
        let mut peer = server.socket().await;
        assert_eq!(peer.token().await, "1");
        peer.refuse().await;
        let mut peer = server.socket().await;
        assert_eq!(peer.authenticate().await, "2");
        peer
    });
    let client = client.unwrap();
    // About to end: renewed on the same socket.
    let expiring = json!({"type": "auth_expiring", "expires_at": "2026-01-31T10:00:00Z"});
    peer.send(&expiring).await;
    assert_eq!(peer.authenticate().await, "3");
    drop(peer);
    let mut peer = server.socket().await;
    assert_eq!(peer.authenticate().await, "4");
    // HTTP takes what is there.
    let (answer, ()) = join!(client.query("SELECT 1", &[]), answer_sql(&mut server, "4"));
    answer.unwrap();
    assert_eq!(
        *reasons.lock().unwrap(),
        [
            CredentialsReason::Connect,
            CredentialsReason::Refused,
            CredentialsReason::Expiring,
            CredentialsReason::Connect
        ]
    );
}

#[tokio::test]
async fn a_provider_says_whether_to_ask_it_again() {
    let mut server = Server::start().await;
    let answers = Mutex::new(vec![
        Err(ProviderError::Permanent("gone".into())),
        Ok("token".to_owned()),
        Err(ProviderError::Temporary("busy".into())),
    ]);
    let auth = Auth::provider(move |_| {
        let answer = answers.lock().unwrap().pop().unwrap();
        async move { answer }
    });
    let client = builder(&server).auth(auth).build().unwrap();
    let (answer, mut peer) = join!(client.query_over_socket("SELECT 1", &[]), async {
        let mut peer = server.ready().await;
        answer_over_socket(&mut peer).await;
        peer
    });
    answer.unwrap();
    let mut subscription = client
        .subscribe("SELECT * FROM t", &[], SubscribeOptions::default())
        .await
        .unwrap();
    peer.subscribe().await;
    drop(peer);
    assert_eq!(crate::told(&mut subscription).await, "offline");
    let words = crate::told_times(&mut subscription, 2).await;
    assert_eq!(
        words,
        ["error: the provider of credentials failed: gone", "end"]
    );
}

#[tokio::test]
async fn a_token_that_ends_under_a_subscription_is_replaced() {
    let mut server = Server::start().await;
    let client = signing_in(&server);
    let subscribed = client.subscribe("SELECT * FROM t", &[], SubscribeOptions::default());
    let mut subscription = subscribed.await.unwrap();
    log_in(&mut server, "first").await;
    let mut peer = server.socket().await;
    assert_eq!(peer.authenticate().await, "first");
    peer.serve(&[], 1).await;
    crate::told_times(&mut subscription, 3).await;
    peer.close(4401).await;
    refresh(&mut server, "first", "second").await;
    let mut peer = server.socket().await;
    assert_eq!(peer.authenticate().await, "second");
    let (_, request) = peer.subscribe().await;
    assert_eq!(request["options"]["from"], 1);
    assert_eq!(crate::told(&mut subscription).await, "offline");
}

#[tokio::test]
async fn a_token_goes_with_the_upgrade_where_that_is_wanted() {
    let mut server = Server::start().await;
    server.refuse_upgrade(401);
    let (auth, reasons) = counting();
    let connect = builder(&server)
        .auth(auth)
        .authenticate_by(AuthenticateBy::Upgrade)
        .connect();
    let (client, _peer) = join!(connect, async {
        let mut peer = server.socket().await;
        assert_eq!(peer.authorization, "Bearer 2");
        assert_eq!(
            peer.query,
            "serialization=json&compression=none&features=resync,auth_expiring,pong,seq"
        );
        peer.accept().await;
        peer
    });
    client.unwrap();
    let expected = [CredentialsReason::Connect, CredentialsReason::Refused];
    assert_eq!(*reasons.lock().unwrap(), expected);
}

#[tokio::test]
async fn an_upgrade_that_is_refused_for_another_reason_names_it() {
    let server = Server::start().await;
    server.refuse_upgrade(503);
    match builder(&server).connect().await.unwrap_err() {
        Error::Disconnected(DisconnectReason::Unreachable { status, .. }) => {
            assert_eq!(status, Some(503));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn secrets_are_not_shown() {
    for auth in [
        Auth::basic("alice", "secret"),
        Auth::jwt("secret"),
        Auth::provider(|_| async { Ok("secret".to_owned()) }),
    ] {
        let shown = format!(
            "{:?} {:?}",
            auth,
            Client::builder("http://x").auth(auth.clone())
        );
        assert!(!shown.contains("secret"), "{shown}");
    }
}
