use serde_json::json;

use super::*;
use crate::codec::{Frame, decode_server};
use crate::message::{Credentials, ResyncReason, Row, Serialization};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

mod authentication;
mod connection;
mod model;
mod queries;
mod random;
mod resume;
mod rows;
mod table;

/// A session without a driver: the test plays the server, frame by frame.
struct Bench {
    session: Session,
    now: Millis,
    outputs: Vec<Output>,
}

impl Bench {
    fn new() -> Self {
        Self::with(SessionOptions::new("ws://server/v1/ws"))
    }

    fn with(options: SessionOptions) -> Self {
        Self {
            session: Session::new(options, 7),
            now: Millis(1_000),
            outputs: Vec::new(),
        }
    }

    /// Connected, without subscriptions, and long enough for the connection to count as a good one.
    fn ready() -> Self {
        let mut bench = Self::new();
        bench.connect();
        bench.now = bench.now.plus_ms(6_000);
        bench.outputs.clear();
        bench
    }

    fn connect(&mut self) {
        if self.session.state() == LinkState::Backoff {
            self.input(Input::Timer);
            self.wait();
        } else {
            self.input(Input::Connect);
        }
        self.input(credentials("token"));
        let connection = self.connection();
        self.input(Input::Opened { connection });
        self.receive(&auth_success());
        assert_eq!(self.session.state(), LinkState::Ready);
    }

    /// Loses the connection and finds another.
    fn reconnect(&mut self) {
        let connection = self.connection();
        self.input(Input::Closed {
            connection,
            code: None,
            reason: "cut".into(),
        });
        self.connect();
    }

    fn connection(&self) -> ConnectionId {
        self.session.memory.connection
    }

    fn input(&mut self, input: Input) {
        self.session.handle_input(input, self.now);
        loop {
            match self.session.poll_output(self.now) {
                Output::Wait(_) => return,
                output => self.outputs.push(output),
            }
        }
    }

    /// Lets the time pass until the session wants to be called, and calls it.
    fn wait(&mut self) {
        if let Output::Wait(Some(deadline)) = self.session.poll_output(self.now) {
            self.now = deadline;
            self.input(Input::Timer);
        }
    }

    fn receive(&mut self, message: &serde_json::Value) {
        let connection = self.connection();
        let frame = Frame::Text(message.to_string());
        decode_server(&frame, Serialization::Json).expect("a server message");
        self.input(Input::Frame { connection, frame });
    }

    fn take(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    /// The messages sent since the last look.
    fn sent(&mut self) -> Vec<serde_json::Value> {
        self.take()
            .into_iter()
            .filter_map(|output| match output {
                Output::Send { frame, .. } => {
                    Some(serde_json::from_slice(frame.as_bytes()).expect("JSON is sent"))
                }
                _ => None,
            })
            .collect()
    }

    /// The events since the last look.
    fn events(&mut self) -> Vec<SessionEvent> {
        self.take()
            .into_iter()
            .filter_map(|output| match output {
                Output::Event(event) => Some(event),
                _ => None,
            })
            .collect()
    }

    /// What the subscription `s` was told since the last look, in short.
    fn told(&mut self) -> Vec<String> {
        self.events()
            .into_iter()
            .filter_map(|event| match event {
                SessionEvent::Subscription { id, event } if id.as_str() == "s" => Some(event),
                _ => None,
            })
            .map(|event| match event {
                SubscriptionEvent::Acknowledged { load, .. } => format!("{load:?}").to_lowercase(),
                SubscriptionEvent::Batch { rows, .. } => format!("batch {}", rows.len()),
                SubscriptionEvent::Live => "live".into(),
                SubscriptionEvent::Change(change) => match change.seq {
                    Some(seq) => format!("change {seq}"),
                    None => "change".into(),
                },
                SubscriptionEvent::Resync { .. } => "resync".into(),
                SubscriptionEvent::Offline => "offline".into(),
                SubscriptionEvent::RowsChanged => "rows".into(),
                SubscriptionEvent::Ended(error) => format!("ended: {error}"),
            })
            .collect()
    }

    fn ids(&self) -> Vec<String> {
        let rows = self.session.rows(&SubscriptionId::new("s"));
        rows.expect("the session keeps rows")
            .rows()
            .map(|(_, row)| cell(row, "id"))
            .collect()
    }

    fn status(&self) -> crate::live_rows::LiveStatus {
        let rows = self.session.rows(&SubscriptionId::new("s"));
        rows.expect("the session keeps rows").status()
    }
}

fn credentials(token: &str) -> Input {
    Input::Credentials(Credentials::Jwt {
        token: token.into(),
    })
}

fn subscribe() -> Subscribe {
    Subscribe::new("s", "SELECT * FROM chat.messages")
}

fn auth_success() -> serde_json::Value {
    json!({"type": "auth_success", "user_id": "alice", "user": "alice", "role": "user", "protocol":
        {"serialization": "json", "compression": "none", "features": ["resync", "auth_expiring", "pong", "seq"]}})
}

fn ack(wire: &str) -> serde_json::Value {
    json!({"type": "subscription_ack", "subscription_id": wire, "total_rows": 0,
        "batch_control": {"batch_num": 0, "has_more": true, "status": "loading", "last_seq_id": null},
        "schema": [{"name": "id", "data_type": "BigInt", "index": 0, "flags": ["pk", "nn"]}],
        "key": [{"name": "id", "data_type": "BigInt"}]})
}

/// A batch with rows of these ids, whose `_seq` is the id.
fn batch(wire: &str, ids: &[u64], has_more: bool, last: Option<u64>) -> serde_json::Value {
    let rows: Vec<_> = ids
        .iter()
        .map(|id| json!({"id": id.to_string(), "_seq": id.to_string()}))
        .collect();
    let status = if has_more { "loading" } else { "ready" };
    json!({"type": "initial_data_batch", "subscription_id": wire, "rows": rows, "batch_control":
        {"batch_num": 0, "has_more": has_more, "status": status, "last_seq_id": last}})
}

fn insert(wire: &str, id: u64, seq: u64) -> serde_json::Value {
    json!({"type": "change", "subscription_id": wire, "change_type": "insert",
        "rows": [{"id": id.to_string(), "_seq": seq.to_string()}], "seq": seq})
}

fn delete(wire: &str, id: u64, seq: u64) -> serde_json::Value {
    json!({"type": "change", "subscription_id": wire, "change_type": "delete",
        "old_values": [{"id": id.to_string(), "_seq": seq.to_string()}], "seq": seq})
}

fn resync(wire: &str) -> serde_json::Value {
    json!({"type": "resync", "subscription_id": wire, "reason": "schema_changed"})
}

fn error(wire: &str, code: &str) -> serde_json::Value {
    json!({"type": "error", "subscription_id": wire, "code": code, "message": "no"})
}

/// The invariants of the page for people who write clients, each with a test.
#[test]
fn every_invariant_of_the_page_has_a_test_of_its_number() {
    let page = include_str!("../../../docs/api/websocket.md");
    let tests = [
        include_str!("tests/authentication.rs"),
        include_str!("tests/connection.rs"),
        include_str!("tests/queries.rs"),
        include_str!("tests/random.rs"),
        include_str!("tests/resume.rs"),
        include_str!("tests/rows.rs"),
    ]
    .concat();
    let stated: Vec<&str> = page
        .lines()
        .filter_map(|line| Some(line.strip_prefix("- **C")?.split_once("**")?.0))
        .collect();
    assert!(!stated.is_empty());
    for number in stated {
        assert!(tests.contains(&format!("fn c{number}_")), "C{number}");
    }
}

#[test]
fn the_page_names_every_reason_of_a_resync() {
    let page = include_str!("../../../docs/api/websocket.md");
    for reason in [
        ResyncReason::SchemaChanged,
        ResyncReason::BelowResumeFloor,
        ResyncReason::AheadOfServer,
        ResyncReason::LoadInterrupted,
        ResyncReason::WindowReloaded,
    ] {
        let word = serde_json::to_value(reason).unwrap();
        let row = format!("| `{}` |", word.as_str().unwrap());
        assert!(page.contains(&row), "{row}");
    }
}

/// A cell that is text.
fn cell(row: &Row, column: &str) -> String {
    row.get(column).unwrap().as_str().unwrap().to_owned()
}
