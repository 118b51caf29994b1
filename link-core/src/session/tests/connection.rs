//! Losing a connection, finding another, and what comes from sockets and for subscriptions that are over.

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn c3_nothing_from_a_socket_that_was_given_up_is_taken() {
    let mut bench = Bench::ready();
    bench.input(Input::Subscribe(subscribe()));
    let old = bench.connection();
    bench.reconnect();
    bench.take();
    for input in [
        Input::Frame {
            connection: old,
            frame: Frame::Text(ack("s").to_string()),
        },
        Input::Closed {
            connection: old,
            code: None,
            reason: "late".into(),
        },
        Input::Opened { connection: old },
        Input::Failed {
            connection: old,
            status: Some(401),
            message: "late".into(),
        },
    ] {
        bench.input(input);
    }
    assert_eq!(bench.take(), []);
    assert_eq!(bench.session.state(), LinkState::Ready);
}

#[test]
fn c3_late_frames_of_a_subscription_are_not_taken_for_its_successor() {
    let mut bench = Bench::ready();
    bench.input(Input::Subscribe(subscribe()));
    bench.input(Input::Unsubscribe {
        id: SubscriptionId::new("s"),
    });
    bench.input(Input::Subscribe(subscribe()));
    let sent = bench.sent();
    assert_eq!(
        sent[1],
        json!({"type": "unsubscribe", "subscription_id": "s"})
    );
    assert_eq!(sent[2]["subscription"]["id"], "s~1");
    bench.receive(&ack("s"));
    bench.receive(&batch("s", &[1], false, Some(1)));
    bench.receive(&error("s", "NOT_FOUND"));
    assert_eq!(bench.take(), []);
    bench.receive(&ack("s~1"));
    assert_eq!(bench.told(), ["fresh"]);
}

#[test]
fn c3_nothing_comes_after_unsubscribe() {
    let mut bench = Bench::ready();
    bench.input(Input::Subscribe(subscribe()));
    bench.receive(&ack("s"));
    bench.input(Input::Unsubscribe {
        id: SubscriptionId::new("s"),
    });
    bench.take();
    bench.receive(&batch("s", &[1], true, Some(1)));
    bench.receive(&insert("s", 2, 2));
    assert_eq!(bench.take(), []);
    bench.reconnect();
    assert!(
        bench
            .sent()
            .iter()
            .all(|sent| sent["type"] == "authenticate")
    );
}

#[test]
fn an_id_in_use_is_replaced() {
    let mut bench = Bench::ready();
    bench.input(Input::Subscribe(subscribe()));
    bench.input(Input::Subscribe(subscribe()));
    let kinds: Vec<_> = bench
        .sent()
        .iter()
        .map(|sent| sent["type"].clone())
        .collect();
    assert_eq!(kinds, ["subscribe", "unsubscribe", "subscribe"]);
}

#[test]
fn an_error_ends_the_subscription_that_it_names() {
    let mut bench = Bench::ready();
    bench.input(Input::Subscribe(subscribe()));
    bench.take();
    bench.receive(&error("other", "NOT_FOUND"));
    assert_eq!(bench.take(), []);
    bench.receive(&error("s", "SUBSCRIPTION_FAILED"));
    match &bench.events()[..] {
        [
            SessionEvent::Subscription {
                event: SubscriptionEvent::Ended(error),
                ..
            },
        ] => {
            assert!(error.is_retryable());
        }
        other => panic!("{other:?}"),
    }
    bench.reconnect();
    assert!(
        bench
            .sent()
            .iter()
            .all(|sent| sent["type"] == "authenticate")
    );
}

#[test]
fn an_error_under_a_reserved_id_ends_no_subscription_of_that_name() {
    let mut bench = Bench::ready();
    bench.input(Input::Subscribe(Subscribe::new("protocol", "SELECT 1")));
    bench.take();
    bench.receive(&error("protocol", "PROTOCOL"));
    assert!(matches!(
        bench.events()[..],
        [SessionEvent::ServerRefused { .. }]
    ));
}

#[test]
fn c5_a_message_lost_to_the_rate_limit_is_not_waited_for() {
    let mut bench = Bench::ready();
    bench.input(Input::Subscribe(subscribe()));
    bench.receive(&error("rate_limit", "RATE_LIMIT_EXCEEDED"));
    assert_eq!(bench.session.state(), LinkState::Backoff);
}

#[test]
fn what_the_server_would_refuse_for_its_size_is_not_sent() {
    let mut bench = Bench::ready();
    let large = "x".repeat(MESSAGE_BYTES_MAX);
    bench.input(Input::Subscribe(Subscribe::new("s", large)));
    let ended = bench.told();
    assert!(
        ended[0].starts_with("ended: the subscription is longer"),
        "{ended:?}"
    );
    for id in ["", &"x".repeat(NAME_BYTES_MAX + 1)] {
        bench.input(Input::Subscribe(Subscribe::new(id, "SELECT 1")));
        assert!(matches!(
            bench.events()[..],
            [SessionEvent::Subscription {
                event: SubscriptionEvent::Ended(SubscriptionError::InvalidId),
                ..
            }]
        ));
    }
}

#[test]
fn subscriptions_are_bounded() {
    let mut bench = Bench::new();
    for number in 0..=SUBSCRIPTIONS_MAX {
        bench.input(Input::Subscribe(Subscribe::new(
            number.to_string(),
            "SELECT 1",
        )));
    }
    assert!(matches!(
        bench.events()[..],
        [SessionEvent::Subscription {
            event: SubscriptionEvent::Ended(SubscriptionError::TooMany),
            ..
        }]
    ));
}

#[test]
fn a_silent_server_is_asked_and_then_given_up() {
    let mut bench = Bench::new();
    bench.connect();
    bench.take();
    bench.wait();
    assert_eq!(bench.sent(), [json!({"type": "ping"})]);
    bench.receive(&json!({"type": "pong"}));
    bench.wait();
    assert_eq!(bench.sent(), [json!({"type": "ping"})]);
    bench.wait();
    match &bench.take()[..] {
        [
            Output::Close { code: 4408, .. },
            Output::Event(SessionEvent::Disconnected {
                reason: DisconnectReason::Silent,
                retry_at: Some(_),
            }),
        ] => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn addresses_are_tried_in_turn_until_the_attempts_are_used_up() {
    let mut options = SessionOptions::new("ws://one");
    options.urls.push("ws://two".into());
    options.backoff.attempts_max = Some(4);
    let mut bench = Bench::with(options);
    let mut dialled = Vec::new();
    bench.input(Input::Connect);
    while bench.session.state() != LinkState::Closed {
        bench.input(credentials("token"));
        for output in bench.take() {
            if let Output::Dial(dial) = output {
                dialled.push((dial.url, dial.attempt));
            }
        }
        let connection = bench.connection();
        bench.input(Input::Failed {
            connection,
            status: None,
            message: "refused".into(),
        });
        bench.wait();
    }
    let expected = [
        ("ws://one", 0),
        ("ws://two", 1),
        ("ws://one", 2),
        ("ws://two", 3),
    ];
    assert_eq!(
        dialled,
        expected.map(|(url, attempt)| (url.to_owned(), attempt))
    );
    assert!(matches!(
        bench.events().last(),
        Some(SessionEvent::Failed(SessionError::AttemptsExhausted {
            attempts: 4,
            ..
        }))
    ));
    bench.input(Input::Connect);
    assert_eq!(bench.session.state(), LinkState::Asking);
}

#[test]
fn without_an_address_the_session_fails() {
    let mut options = SessionOptions::new("");
    options.urls.clear();
    let mut bench = Bench::with(options);
    bench.input(Input::Connect);
    assert_eq!(
        bench.events(),
        [SessionEvent::Failed(SessionError::NoAddress)]
    );
}

#[test]
fn subscriptions_go_on_after_disconnect_and_connect() {
    let mut bench = Bench::ready();
    bench.input(Input::Subscribe(subscribe()));
    bench.receive(&ack("s"));
    bench.receive(&batch("s", &[1], false, Some(5)));
    bench.input(Input::Disconnect);
    assert_eq!(bench.told(), ["fresh", "batch 1", "live", "offline"]);
    bench.connect();
    assert_eq!(bench.sent()[1]["subscription"]["options"]["from"], 5);
}
