//! Recorded talks with clients of earlier generations (`fixtures/*.jsonl`), played against the server: what it says must
//! be what they know, field by field.
//!
//! Each line is one step: `connect`, `send`, `receive`, `sql` (by root, over HTTP) or `disconnect`. In what is received
//! `<number>`, `<digits>` and `<text>` stand for values that vary; with a name after a colon the value is remembered,
//! must be the same where it stands again, and fills in what is sent. `as` says how the message comes, if not in the
//! negotiated form.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

use super::client::{Carrier, Client, Delivery, Serialization};
use crate::harness::{TestNode, USER_PASSWORD};
use crate::package_folder;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_authenticates_by_password_in_band_works_unchanged() {
    Player::start().await.play("password-json.jsonl").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_upgrades_with_a_token_works_unchanged() {
    Player::start().await.play("token-msgpack-gzip.jsonl").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_turns_compression_off_works_unchanged() {
    Player::start().await.play("token-json.jsonl").await;
}

struct Player {
    node: TestNode,
    client: Option<Client>,
    form: Serialization,
    remembered: BTreeMap<String, u64>,
}

impl Player {
    async fn start() -> Self {
        let node = TestNode::start().await;
        node.create_user("alice", "user").await;
        node.sql_ok("root", "CREATE NAMESPACE app").await;
        Self {
            node,
            client: None,
            form: Serialization::Json,
            remembered: BTreeMap::new(),
        }
    }

    async fn play(mut self, fixture: &str) {
        let path = package_folder().join("tests/it/ws/fixtures");
        let text = std::fs::read_to_string(path.join(fixture)).unwrap();
        for (number, line) in (1..).zip(text.lines()) {
            let step: Value = serde_json::from_str(line).unwrap();
            self.step(&step, &format!("{fixture}:{number}")).await;
        }
        self.node.stop().await;
    }

    async fn step(&mut self, step: &Value, place: &str) {
        if let Some(connect) = step.get("connect") {
            self.connect(connect).await;
        } else if let Some(message) = step.get("send") {
            self.send(message).await;
        } else if let Some(expected) = step.get("receive") {
            let delivery = self.receive().await;
            self.check_carrier(&delivery, step.get("as"), place);
            let received = &delivery.message;
            assert!(
                matches(expected, received, &mut self.remembered),
                "{place}: expected {expected}\nreceived {received}"
            );
        } else if let Some(sql) = step.get("sql") {
            self.node.sql_ok("root", sql.as_str().unwrap()).await;
        } else {
            assert_eq!(step["disconnect"], true, "{place}: {step}");
            self.client = None;
        }
    }

    async fn connect(&mut self, connect: &Value) {
        let query = connect["query"].as_str().unwrap_or_default();
        let token = match connect["bearer"].as_str() {
            Some(user) => Some(self.node.token(user).await),
            None => None,
        };
        self.client = Some(Client::connect(&self.node.url(), query, token.as_deref()).await);
        self.form = if query.contains("msgpack") {
            Serialization::Msgpack
        } else {
            Serialization::Json
        };
    }

    fn client(&mut self) -> &mut Client {
        self.client.as_mut().unwrap()
    }

    async fn send(&mut self, message: &Value) {
        let filled = self.filled(message);
        if filled["type"] == "authenticate" {
            self.client()
                .send_frame(Message::text(filled.to_string()))
                .await;
        } else {
            let form = self.form;
            self.client().speak(form);
            self.client().send_unchecked(filled).await;
        }
    }

    async fn receive(&mut self) -> Delivery {
        let form = self.form;
        self.client().speak(form);
        let received = self.client().receive().await;
        received.unwrap_or_else(|ending| panic!("{ending:?}"))
    }

    fn check_carrier(&self, delivery: &Delivery, wanted: Option<&Value>, place: &str) {
        let carrier = match (wanted.and_then(Value::as_str), self.form) {
            (Some("text"), _) | (None, Serialization::Json) => Carrier::Text,
            (Some("gzip"), _) => Carrier::Gzip,
            (None, Serialization::Msgpack) => Carrier::Binary,
            (other, _) => panic!("{place}: {other:?}"),
        };
        assert_eq!(delivery.carrier, carrier, "{place}: {}", delivery.message);
    }

    /// A message to send, with what was remembered in it.
    fn filled(&self, message: &Value) -> Value {
        match message {
            Value::String(text) if text == "<password>" => USER_PASSWORD.into(),
            Value::String(text) => match text.strip_prefix("<number:") {
                Some(name) => self.remembered[name.trim_end_matches('>')].into(),
                None => text.as_str().into(),
            },
            Value::Array(items) => items.iter().map(|item| self.filled(item)).collect(),
            Value::Object(fields) => fields
                .iter()
                .map(|(name, value)| (name.clone(), self.filled(value)))
                .collect(),
            other => other.clone(),
        }
    }
}

/// Whether a message has exactly these fields, in these types, with these values.
fn matches(expected: &Value, received: &Value, remembered: &mut BTreeMap<String, u64>) -> bool {
    match (expected, received) {
        (Value::String(text), _) if text.starts_with('<') && text.ends_with('>') => {
            let (kind, name) = match text[1..text.len() - 1].split_once(':') {
                Some((kind, name)) => (kind, Some(name)),
                None => (&text[1..text.len() - 1], None),
            };
            let number = match kind {
                "text" => return received.as_str().is_some_and(|text| !text.is_empty()),
                "number" => received.as_u64(),
                "digits" => received.as_str().and_then(|digits| digits.parse().ok()),
                kind => panic!("unknown placeholder {kind}"),
            };
            let Some(number) = number else {
                return false;
            };
            match name {
                Some(name) => *remembered.entry(name.to_owned()).or_insert(number) == number,
                None => true,
            }
        }
        (Value::Array(expected), Value::Array(received)) => {
            expected.len() == received.len()
                && expected
                    .iter()
                    .zip(received)
                    .all(|(expected, received)| matches(expected, received, remembered))
        }
        (Value::Object(expected), Value::Object(received)) => {
            expected.len() == received.len()
                && expected.iter().all(|(name, expected)| {
                    received
                        .get(name)
                        .is_some_and(|received| matches(expected, received, remembered))
                })
        }
        (expected, received) => expected == received,
    }
}
