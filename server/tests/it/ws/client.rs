//! A client that keeps the rules. Every message that it receives must be one of the protocol, with no field more or
//! less than the protocol's types have.

use std::collections::VecDeque;
use std::io::Read as _;

use futures::{SinkExt as _, StreamExt as _};
use kalam_link_core::codec::is_gzip;
use kalam_link_core::message::ClientMessage;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::msgpack;
use super::raw::{GUARD, assert_known};
use crate::harness::TestNode;

/// How a message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    Text,
    Binary,
    Gzip,
}

/// A message and how it came.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub message: Value,
    pub carrier: Carrier,
    /// Before and after inflating.
    pub frame_bytes: usize,
    pub message_bytes: usize,
}

/// How a socket ended: with a code, or without a close frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending(pub Option<u16>);

pub struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    serialization: Serialization,
    /// Received and not asked for yet.
    waiting: VecDeque<Value>,
    queries: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serialization {
    Json,
    Msgpack,
}

/// What a subscription had to say before its changes.
#[derive(Debug)]
pub struct Load {
    pub ack: Value,
    pub rows: Vec<Value>,
    /// `batch_control` of each batch.
    pub batches: Vec<Value>,
    /// Deletes of a resume.
    pub changes: Vec<Value>,
}

impl Load {
    /// A column of the rows.
    pub fn column(&self, name: &str) -> Vec<Value> {
        column(&self.rows, name)
    }

    /// The seq up to which everything was sent.
    pub fn last_seq(&self) -> u64 {
        let control = self.batches.last().unwrap_or(&self.ack["batch_control"]);
        control["last_seq_id"]
            .as_u64()
            .unwrap_or_else(|| panic!("no last_seq_id: {control}"))
    }
}

pub fn column(rows: &[Value], name: &str) -> Vec<Value> {
    rows.iter().map(|row| row[name].clone()).collect()
}

/// Every feature of this version.
pub fn all_features() -> Value {
    json!({"serialization": "json", "compression": "none", "features": ["resync", "auth_expiring", "pong", "seq"]})
}

impl Client {
    /// An upgrade without a word about who it is, or with a token.
    pub async fn connect(url: &str, query: &str, bearer: Option<&str>) -> Self {
        let url = format!("{}/v1/ws{query}", url.replace("http://", "ws://"));
        let mut request = url.into_client_request().unwrap();
        if let Some(token) = bearer {
            let value = format!("Bearer {token}").parse().unwrap();
            request.headers_mut().insert("authorization", value);
        }
        let (socket, _) = connect_async(request).await.unwrap();
        Self {
            socket,
            serialization: Serialization::Json,
            waiting: VecDeque::new(),
            queries: 0,
        }
    }

    /// A client of this generation, in JSON.
    pub async fn open(node: &TestNode, user: &str) -> Self {
        Self::open_with(node, user, all_features()).await
    }

    /// With a protocol of its own; `null` leaves it out.
    pub async fn open_with(node: &TestNode, user: &str, protocol: Value) -> Self {
        let token = node.token(user).await;
        Self::open_by_token(node, &token, protocol).await
    }

    pub async fn open_by_token(node: &TestNode, token: &str, protocol: Value) -> Self {
        let mut client = Self::connect(&node.url(), "", None).await;
        client.authenticate(token, protocol).await;
        client
    }

    /// Authenticates; must succeed.
    pub async fn authenticate(&mut self, token: &str, protocol: Value) {
        let msgpack = protocol["serialization"] == "msgpack";
        let mut message = json!({"type": "authenticate", "method": "jwt", "token": token});
        if !protocol.is_null() {
            message["protocol"] = protocol;
        }
        self.send(message).await;
        let answer = self
            .next_where(|message| {
                is_type(message, "auth_success") || is_type(message, "auth_error")
            })
            .await;
        assert_eq!(answer["type"], "auth_success", "{answer}");
        if msgpack {
            self.speak(Serialization::Msgpack);
        }
    }

    /// Writes and reads in this form from here on.
    pub fn speak(&mut self, serialization: Serialization) {
        self.serialization = serialization;
    }

    pub async fn send(&mut self, message: Value) {
        let sound = serde_json::from_value::<ClientMessage>(message.clone());
        assert!(sound.is_ok(), "{sound:?}: {message}");
        self.send_unchecked(message).await;
    }

    /// Sends what may be no message of the protocol. A socket that the server has closed says so when it is read.
    pub async fn send_unchecked(&mut self, message: Value) {
        let frame = match self.serialization {
            Serialization::Json => Message::text(message.to_string()),
            Serialization::Msgpack => Message::binary(msgpack::write(&message)),
        };
        self.send_frame(frame).await;
    }

    pub async fn send_frame(&mut self, frame: Message) {
        let _ = tokio::time::timeout(GUARD, self.socket.send(frame))
            .await
            .expect("the server takes what it is sent");
    }

    /// The next message in the order of the wire, or the end.
    pub async fn receive(&mut self) -> Result<Delivery, Ending> {
        loop {
            let next = tokio::time::timeout(GUARD, self.socket.next())
                .await
                .expect("the server says something");
            match next {
                Some(Ok(Message::Text(text))) => {
                    let message = serde_json::from_str(&text).unwrap();
                    return Ok(delivery(message, Carrier::Text, text.len(), text.len()));
                }
                Some(Ok(Message::Binary(bytes))) => return Ok(self.decode(&bytes)),
                Some(Ok(Message::Close(frame))) => {
                    self.wait_for_the_connection_to_end().await;
                    return Err(Ending(frame.map(|frame| frame.code.into())));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(Ending(None)),
            }
        }
    }

    /// Answers the close frame; who sent it first closes the connection.
    async fn wait_for_the_connection_to_end(&mut self) {
        let end = async { while let Some(Ok(_)) = self.socket.next().await {} };
        tokio::time::timeout(GUARD, end)
            .await
            .expect("the server closes the connection");
    }

    fn decode(&self, bytes: &[u8]) -> Delivery {
        if !is_gzip(bytes) {
            assert_eq!(self.serialization, Serialization::Msgpack, "a binary frame");
            return delivery(
                msgpack::read(bytes),
                Carrier::Binary,
                bytes.len(),
                bytes.len(),
            );
        }
        let mut inflated = Vec::new();
        flate2::read::GzDecoder::new(bytes)
            .read_to_end(&mut inflated)
            .unwrap();
        let message = match self.serialization {
            Serialization::Json => serde_json::from_slice(&inflated).unwrap(),
            Serialization::Msgpack => msgpack::read(&inflated),
        };
        delivery(message, Carrier::Gzip, bytes.len(), inflated.len())
    }

    /// The next message that was not looked at yet.
    pub async fn next(&mut self) -> Value {
        match self.waiting.pop_front() {
            Some(message) => message,
            None => self.next_from_wire().await,
        }
    }

    async fn next_from_wire(&mut self) -> Value {
        match self.receive().await {
            Ok(delivery) => delivery.message,
            Err(ending) => panic!("the socket ended with {ending:?}"),
        }
    }

    /// The first message that is wanted; the others wait.
    pub async fn next_where(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.waiting.iter().position(&wanted) {
            return self.waiting.remove(at).unwrap();
        }
        loop {
            let message = self.next_from_wire().await;
            if wanted(&message) {
                return message;
            }
            self.waiting.push_back(message);
        }
    }

    /// The next message of one subscription.
    pub async fn next_of(&mut self, id: &str) -> Value {
        self.next_where(|message| message["subscription_id"] == id)
            .await
    }

    /// The next message of one subscription and its type.
    pub async fn next_typed(&mut self, id: &str, wanted: &str) -> Value {
        let message = self.next_of(id).await;
        assert_eq!(message["type"], wanted, "{message}");
        message
    }

    /// An error about one subscription.
    pub async fn error_of(&mut self, id: &str) -> Value {
        let error = self.next_typed(id, "error").await;
        assert!(!error["message"].as_str().unwrap().is_empty(), "{error}");
        error
    }

    /// The code of an error about one subscription.
    pub async fn code_of(&mut self, id: &str) -> String {
        self.error_of(id).await["code"].as_str().unwrap().to_owned()
    }

    /// The next changes of one subscription.
    pub async fn changes(&mut self, id: &str, count: usize) -> Vec<Value> {
        let mut changes = Vec::new();
        for _ in 0..count {
            changes.push(self.next_typed(id, "change").await);
        }
        changes
    }

    /// Reads until the server has answered a ping: what was on its way is here. Needs `pong`.
    pub async fn ping(&mut self) {
        self.send(json!({"type": "ping"})).await;
        self.next_where(|message| is_type(message, "pong")).await;
    }

    /// What was received for one subscription and not looked at yet.
    pub fn received_of(&mut self, id: &str) -> Vec<Value> {
        let (of, others) = self
            .waiting
            .drain(..)
            .partition::<Vec<Value>, _>(|message| message["subscription_id"] == id);
        self.waiting = others.into();
        of
    }

    /// What was received and not looked at yet.
    pub fn received(&mut self) -> Vec<Value> {
        self.waiting.drain(..).collect()
    }

    /// Nothing is said but the answer to a ping.
    pub async fn assert_quiet(&mut self) {
        self.ping().await;
        assert_eq!(self.waiting, Vec::<Value>::new());
    }

    /// Reads to the end of the socket: what came, and how it ended.
    pub async fn end(&mut self) -> (Vec<Value>, Ending) {
        let mut messages: Vec<Value> = self.waiting.drain(..).collect();
        loop {
            match self.receive().await {
                Ok(delivery) => messages.push(delivery.message),
                Err(ending) => return (messages, ending),
            }
        }
    }

    pub async fn request(&mut self, id: &str, sql: &str, options: Value) {
        let mut subscription = json!({"id": id, "sql": sql});
        if !options.is_null() {
            subscription["options"] = options;
        }
        self.send(json!({"type": "subscribe", "subscription": subscription}))
            .await;
    }

    /// Subscribes to all rows and loads them.
    pub async fn subscribe(&mut self, id: &str, sql: &str) -> Load {
        self.subscribe_with(id, sql, json!({})).await
    }

    pub async fn subscribe_with(&mut self, id: &str, sql: &str, options: Value) -> Load {
        self.request(id, sql, options).await;
        self.load(id).await
    }

    /// Reads an acknowledgement and every batch, asking for them.
    pub async fn load(&mut self, id: &str) -> Load {
        let ack = self.next_typed(id, "subscription_ack").await;
        let mut load = Load {
            rows: Vec::new(),
            batches: Vec::new(),
            changes: Vec::new(),
            ack,
        };
        if load.ack["batch_control"]["status"] == "ready" {
            return load;
        }
        loop {
            let message = self.next_of(id).await;
            if is_type(&message, "change") {
                load.changes.push(message);
                continue;
            }
            assert_eq!(message["type"], "initial_data_batch", "{message}");
            load.rows
                .extend(message["rows"].as_array().unwrap().iter().cloned());
            let control = message["batch_control"].clone();
            let has_more = control["has_more"] == true;
            load.batches.push(control);
            if !has_more {
                return load;
            }
            self.next_batch(id).await;
        }
    }

    pub async fn next_batch(&mut self, id: &str) {
        self.send(json!({"type": "next_batch", "subscription_id": id}))
            .await;
    }

    pub async fn unsubscribe(&mut self, id: &str) {
        self.send(json!({"type": "unsubscribe", "subscription_id": id}))
            .await;
    }

    /// The answer of a statement over the socket.
    pub async fn query(&mut self, sql: &str) -> Value {
        self.query_with(sql, json!({})).await
    }

    /// With fields beside `sql`.
    pub async fn query_with(&mut self, sql: &str, mut fields: Value) -> Value {
        self.queries += 1;
        let id = format!("query-{}", self.queries);
        fields["type"] = json!("query");
        fields["id"] = json!(id);
        fields["sql"] = json!(sql);
        self.send(fields).await;
        self.next_where(|message| is_type(message, "query_result") && message["id"] == id.as_str())
            .await
    }
}

pub fn is_type(message: &Value, wanted: &str) -> bool {
    message["type"] == wanted
}

fn delivery(
    message: Value,
    carrier: Carrier,
    frame_bytes: usize,
    message_bytes: usize,
) -> Delivery {
    assert_known(&message);
    Delivery {
        message,
        carrier,
        frame_bytes,
        message_bytes,
    }
}
