//! The table of transitions in `docs/api/websocket.md`, cell by cell.

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const PAGE: &str = include_str!("../../../../docs/api/websocket.md");

const STATES: [LinkState; 7] = [
    LinkState::Offline,
    LinkState::Asking,
    LinkState::Opening,
    LinkState::Authenticating,
    LinkState::Ready,
    LinkState::Backoff,
    LinkState::Closed,
];

/// A session in `state`, with one subscription; as `input` needs it where there are several ways to be there.
fn bench_in(state: LinkState, input: &str) -> Bench {
    let mut bench = Bench::new();
    bench.input(Input::Subscribe(subscribe()));
    match state {
        LinkState::Offline => {}
        LinkState::Asking => bench.input(Input::Connect),
        LinkState::Opening => {
            bench.input(Input::Connect);
            bench.input(credentials("token"));
        }
        LinkState::Authenticating => {
            bench.input(Input::Connect);
            bench.input(credentials("token"));
            let connection = bench.connection();
            bench.input(Input::Opened { connection });
        }
        LinkState::Ready => {
            bench.connect();
            bench.now = bench.now.plus_ms(6_000);
            if input.starts_with("credentials") {
                bench.receive(
                    &json!({"type": "auth_expiring", "expires_at": "2026-01-01T00:00:00Z"}),
                );
            }
            if input == "deadline of an answer" {
                bench.input(Input::Network(NetworkHint::Online));
            }
        }
        LinkState::Backoff => {
            bench.input(Input::Connect);
            bench.input(failed_credentials(CredentialsFailure::Temporary));
        }
        LinkState::Closed => {
            bench.input(Input::Connect);
            bench.input(failed_credentials(CredentialsFailure::Permanent));
        }
    }
    assert_eq!(bench.session.state(), state);
    bench.take();
    bench
}

fn failed_credentials(failure: CredentialsFailure) -> Input {
    Input::CredentialsFailed {
        failure,
        message: "no".into(),
    }
}

fn feed(bench: &mut Bench, input: &str) {
    let connection = bench.connection();
    let text = |message: serde_json::Value| Input::Frame {
        connection,
        frame: Frame::Text(message.to_string()),
    };
    let closed = |code| Input::Closed {
        connection,
        code,
        reason: "closed".into(),
    };
    let failed = |status| Input::Failed {
        connection,
        status,
        message: "failed".into(),
    };
    let input = match input {
        "connect" => Input::Connect,
        "disconnect" => Input::Disconnect,
        "credentials" => credentials("token"),
        "credentials failed, temporary" => failed_credentials(CredentialsFailure::Temporary),
        "credentials failed, permanent" => failed_credentials(CredentialsFailure::Permanent),
        "socket opened" => Input::Opened { connection },
        "socket failed" => failed(None),
        "socket failed, 401" => failed(Some(401)),
        "socket closed" => closed(Some(1006)),
        "socket closed, 4401" => closed(Some(4401)),
        "auth_success" => text(auth_success()),
        "auth_error" => text(json!({"type": "auth_error", "message": "no"})),
        "auth_expiring" => {
            text(json!({"type": "auth_expiring", "expires_at": "2026-01-01T00:00:00Z"}))
        }
        "unreadable frame" => text(json!({"type": "change", "subscription_id": "s"})),
        "unknown kind" => text(json!({"type": "surprise"})),
        "from an older socket" => Input::Closed {
            connection: ConnectionId(connection.0.wrapping_sub(1)),
            code: None,
            reason: "late".into(),
        },
        "deadline" | "deadline of an answer" => {
            let Output::Wait(deadline) = bench.session.poll_output(bench.now) else {
                panic!("the session was drained");
            };
            bench.now = deadline.unwrap_or(bench.now.plus_ms(1_000_000));
            Input::Timer
        }
        "network online" => Input::Network(NetworkHint::Online),
        "network visible" => Input::Network(NetworkHint::Visible),
        "network offline" => Input::Network(NetworkHint::Offline),
        other => panic!("the page has an input that this test does not know: {other}"),
    };
    bench.input(input);
}

/// What was done, in the words of the page.
fn actions(outputs: &[Output]) -> String {
    let words: Vec<&str> = outputs
        .iter()
        .map(|output| match output {
            Output::Dial(_) => "dial",
            Output::Send { frame, .. } => {
                let message: serde_json::Value = serde_json::from_slice(frame.as_bytes()).unwrap();
                match message["type"].as_str().unwrap() {
                    "authenticate" => "authenticate",
                    "subscribe" => "subscribe",
                    "ping" => "ping",
                    other => panic!("{other}"),
                }
            }
            Output::Close { .. } => "close",
            Output::NeedCredentials(_) => "ask",
            Output::Event(SessionEvent::Connected { .. }) => "connected",
            Output::Event(SessionEvent::Disconnected { .. }) => "disconnected",
            Output::Event(SessionEvent::Failed(_)) => "failed",
            Output::Event(SessionEvent::Subscription {
                event: SubscriptionEvent::Offline,
                ..
            }) => "offline",
            other => panic!("{other:?}"),
        })
        .collect();
    words.join(", ")
}

#[test]
fn the_table_of_the_page_is_what_happens() {
    let (_, table) = PAGE.split_once("<!-- transitions -->").unwrap();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let names: Vec<String> = STATES.iter().map(|state| format!("{state:?}")).collect();
    assert_eq!(rows[0][1..], names);
    let mut wrong = Vec::new();
    for row in &rows[2..] {
        for (state, expected) in STATES.into_iter().zip(&row[1..]) {
            let mut bench = bench_in(state, row[0]);
            feed(&mut bench, row[0]);
            let done = actions(&bench.take());
            let found = match (bench.session.state(), done.as_str()) {
                (next, "") if next == state => "–".to_owned(),
                (next, "") => format!("{next:?}"),
                (next, done) => format!("{next:?}: {done}"),
            };
            if found != *expected {
                wrong.push(format!(
                    "{} in {state:?}: {found}, the page says {expected}",
                    row[0]
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    assert_eq!(rows.len(), 2 + 21, "rows of the table");
}

#[test]
fn c5_every_state_has_a_deadline_or_waits_for_the_application() {
    for state in STATES {
        let mut bench = bench_in(state, "");
        let has_deadline = matches!(bench.session.poll_output(bench.now), Output::Wait(Some(_)));
        let waits_for_application = matches!(
            state,
            LinkState::Offline | LinkState::Asking | LinkState::Closed
        );
        assert_ne!(has_deadline, waits_for_application, "{state:?}");
    }
}
