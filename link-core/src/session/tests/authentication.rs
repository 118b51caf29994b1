//! Credentials: when they are asked for, where they go, and what becomes of a session whose are refused.

use super::*;
use crate::message::{Compression, Serialization};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const REFUSED: &str = "invalid token";

fn auth_error() -> serde_json::Value {
    json!({"type": "auth_error", "message": REFUSED})
}

fn expiring() -> serde_json::Value {
    json!({"type": "auth_expiring", "expires_at": "2026-01-01T00:00:00Z"})
}

fn asked(bench: &mut Bench) -> Vec<CredentialsReason> {
    bench
        .take()
        .into_iter()
        .filter_map(|output| match output {
            Output::NeedCredentials(reason) => Some(reason),
            _ => None,
        })
        .collect()
}

#[test]
fn the_first_message_names_everything_that_the_session_understands() {
    let mut bench = Bench::new();
    bench.connect();
    assert_eq!(
        bench.sent(),
        [
            json!({"type": "authenticate", "method": "jwt", "token": "token", "protocol":
            {"serialization": "json", "compression": "none", "features": ["resync", "auth_expiring", "pong", "seq"]}})
        ]
    );
}

#[test]
fn a_token_goes_with_the_upgrade_where_that_is_wanted() {
    let options = SessionOptions {
        authenticate_by: AuthenticateBy::Upgrade,
        serialization: Serialization::Msgpack,
        compression: Compression::Gzip,
        ..SessionOptions::new("ws://server/v1/ws")
    };
    let mut bench = Bench::with(options);
    bench.input(Input::Connect);
    bench.input(credentials("secret"));
    match &bench.take()[..] {
        [
            Output::NeedCredentials(CredentialsReason::Connect),
            Output::Dial(dial),
        ] => {
            assert_eq!(dial.bearer.as_deref(), Some("secret"));
            assert_eq!(
                dial.url,
                "ws://server/v1/ws?serialization=msgpack&compression=gzip&features=resync,auth_expiring,pong,seq"
            );
            assert!(!format!("{dial:?}").contains("secret"));
        }
        other => panic!("{other:?}"),
    }
    let connection = bench.connection();
    bench.input(Input::Opened { connection });
    assert_eq!(bench.take(), []);
    bench.receive(&auth_success());
    assert_eq!(bench.session.state(), LinkState::Ready);
}

#[test]
fn c6_refused_credentials_are_asked_for_once_more() {
    let mut bench = Bench::new();
    bench.input(Input::Connect);
    bench.input(credentials("stale"));
    let connection = bench.connection();
    bench.input(Input::Opened { connection });
    bench.take();
    bench.receive(&auth_error());
    assert_eq!(asked(&mut bench), [CredentialsReason::Refused]);
    bench.input(credentials("stale too"));
    let connection = bench.connection();
    bench.input(Input::Opened { connection });
    bench.take();
    bench.receive(&auth_error());
    assert_eq!(bench.session.state(), LinkState::Closed);
    let message = REFUSED.to_owned();
    assert_eq!(
        bench.events().last(),
        Some(&SessionEvent::Failed(SessionError::CredentialsRefused {
            message
        }))
    );
}

#[test]
fn c6_a_failed_dial_between_two_refusals_does_not_start_the_count_anew() {
    let mut bench = Bench::new();
    bench.input(Input::Connect);
    bench.input(credentials("stale"));
    let connection = bench.connection();
    bench.input(Input::Opened { connection });
    bench.receive(&auth_error());
    bench.input(credentials("stale too"));
    let connection = bench.connection();
    bench.input(Input::Failed {
        connection,
        status: None,
        message: "no route".into(),
    });
    bench.take();
    bench.wait();
    assert_eq!(asked(&mut bench), [CredentialsReason::Refused]);
    bench.input(credentials("stale again"));
    let connection = bench.connection();
    bench.input(Input::Failed {
        connection,
        status: Some(401),
        message: "Unauthorized".into(),
    });
    assert_eq!(bench.session.state(), LinkState::Closed);
}

#[test]
fn credentials_that_came_too_late_are_not_refused_credentials() {
    let mut bench = Bench::new();
    bench.input(Input::Connect);
    bench.input(credentials("token"));
    let connection = bench.connection();
    bench.input(Input::Opened { connection });
    bench.receive(&json!({"type": "auth_error", "message": "Authentication timeout"}));
    assert_eq!(bench.session.state(), LinkState::Backoff);
}

#[test]
fn a_token_is_renewed_on_the_same_socket_and_subscriptions_go_on() {
    let mut bench = Bench::ready();
    bench.input(Input::Subscribe(subscribe()));
    bench.receive(&ack("s"));
    bench.receive(&batch("s", &[1], false, Some(5)));
    bench.take();
    bench.receive(&expiring());
    // Said twice, asked once.
    bench.receive(&expiring());
    assert_eq!(asked(&mut bench), [CredentialsReason::Expiring]);
    bench.input(credentials("fresh"));
    assert_eq!(bench.sent()[0]["token"], "fresh");
    bench.receive(&auth_success());
    assert_eq!(bench.take(), []);
    bench.receive(&insert("s", 2, 6));
    assert_eq!(bench.told(), ["change 6"]);
}

#[test]
fn tokens_that_are_about_to_end_again_and_again_are_not_renewed_without_a_pause() {
    let mut bench = Bench::ready();
    bench.receive(&expiring());
    bench.input(credentials("short"));
    bench.receive(&auth_success());
    bench.take();
    bench.receive(&expiring());
    assert_eq!(asked(&mut bench), []);
    bench.wait();
    assert_eq!(asked(&mut bench), [CredentialsReason::Expiring]);
}

#[test]
fn a_short_lived_token_is_renewed_after_half_of_its_life() {
    // {"iat":1000,"exp":1004}
    const FOUR_SECONDS: &str = "e30.eyJpYXQiOjEwMDAsImV4cCI6MTAwNH0.s";
    let mut bench = Bench::ready();
    bench.receive(&expiring());
    bench.input(credentials(FOUR_SECONDS));
    bench.receive(&auth_success());
    let renewed = bench.now;
    bench.receive(&expiring());
    bench.take();
    bench.wait();
    assert_eq!(bench.now.since_ms(renewed), 2_000);
    assert_eq!(asked(&mut bench), [CredentialsReason::Expiring]);
}

#[test]
fn a_renewal_that_failed_for_a_while_is_tried_again() {
    let mut bench = Bench::ready();
    bench.receive(&expiring());
    bench.input(Input::CredentialsFailed {
        failure: CredentialsFailure::Temporary,
        message: "no network".into(),
    });
    bench.take();
    bench.wait();
    assert_eq!(asked(&mut bench), [CredentialsReason::Expiring]);
}

#[test]
fn an_ended_token_is_followed_by_a_fresh_one_at_once() {
    let mut bench = Bench::ready();
    let connection = bench.connection();
    bench.input(Input::Closed {
        connection,
        code: Some(CLOSE_EXPIRED),
        reason: "token expired".into(),
    });
    assert_eq!(asked(&mut bench), [CredentialsReason::Expiring]);
    assert_eq!(bench.session.state(), LinkState::Asking);
}

#[test]
fn connections_that_all_end_with_an_ended_token_are_tried_with_a_pause() {
    let mut bench = Bench::new();
    bench.connect();
    let connection = bench.connection();
    bench.input(Input::Closed {
        connection,
        code: Some(CLOSE_EXPIRED),
        reason: "token expired".into(),
    });
    assert_eq!(bench.session.state(), LinkState::Backoff);
    bench.take();
    bench.wait();
    assert_eq!(asked(&mut bench), [CredentialsReason::Expiring]);
}

#[test]
fn answers_that_nobody_asked_for_change_nothing() {
    let mut bench = Bench::ready();
    bench.input(credentials("unasked"));
    assert_eq!(bench.take(), []);
    bench.input(Input::Disconnect);
    bench.take();
    bench.input(credentials("late"));
    assert_eq!(bench.take(), []);
}

#[test]
fn messages_follow_the_serialization_that_was_granted() {
    let options = SessionOptions {
        serialization: Serialization::Msgpack,
        ..SessionOptions::new("ws://server/v1/ws")
    };
    let mut bench = Bench::with(options);
    bench.input(Input::Subscribe(subscribe()));
    bench.input(Input::Connect);
    bench.input(credentials("token"));
    let connection = bench.connection();
    bench.input(Input::Opened { connection });
    let mut success = auth_success();
    success["protocol"]["serialization"] = json!("msgpack");
    bench.receive(&success);
    let sent = bench.take();
    assert!(matches!(
        sent.last(),
        Some(Output::Send {
            frame: Frame::Binary(_),
            ..
        })
    ));
    let frame = Frame::encode(&error("s", "NOT_FOUND"), Serialization::Msgpack);
    bench.input(Input::Frame { connection, frame });
    assert_eq!(bench.told(), ["ended: NOT_FOUND: no"]);
}
