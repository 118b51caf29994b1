//! Frames as RFC 6455 has them, by the cases of the Autobahn test suite. A server that does not echo answers a `ping`
//! message that fills the frames; cases are numbered as Autobahn's.

mod closing;
mod fragments;
mod framing;
mod limits;
mod utf8;

use std::fmt::Write as _;

use futures::StreamExt as _;
use serde_json::{Value, json};

use super::msgpack;
use super::raw::{BINARY, Frame, RawSocket, Received, TEXT, assert_known};
use crate::harness::TestNode;

/// Cases that run at the same time.
const PARALLEL: usize = 8;

/// The smallest `ping` message in each form.
const PING_JSON: &str = r#"{"type":"ping"}"#;

/// What messages are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    Msgpack,
}

impl Form {
    const BOTH: [Self; 2] = [Self::Json, Self::Msgpack];

    fn opcode(self) -> u8 {
        match self {
            Self::Json => TEXT,
            Self::Msgpack => BINARY,
        }
    }

    /// A `ping` message of `size` bytes. No message has 0 bytes.
    fn ping(self, size: usize) -> Vec<u8> {
        if size == 0 {
            return Vec::new();
        }
        let bytes = match self {
            Self::Json => {
                let mut text = PING_JSON.as_bytes().to_vec();
                text.resize(size, b' ');
                text
            }
            Self::Msgpack => {
                let padded = |padding: usize| {
                    msgpack::write(&json!({"type": "ping", "x": "x".repeat(padding)}))
                };
                let around = padded(0).len();
                // The length of the padding takes up to four bytes more itself.
                (0..=4)
                    .filter_map(|length| size.checked_sub(around + length))
                    .map(padded)
                    .find(|bytes| bytes.len() == size)
                    .unwrap()
            }
        };
        assert_eq!(bytes.len(), size);
        bytes
    }
}

/// How a case ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Nothing was wrong: the client closes in order.
    Fine,
    /// The server closes with one of these codes, when it was not closed before.
    Failed(&'static [u16]),
    /// The client has closed: the server answers with this code.
    Closed(Option<u16>),
}

const PROTOCOL_ERROR: End = End::Failed(&[1002]);
const NO_UTF8: End = End::Failed(&[1007]);

/// What is sent and what must come back.
#[derive(Clone, Debug)]
struct Case {
    number: String,
    form: Form,
    sent: Vec<Sent>,
    /// `ping` messages that are answered.
    answers: usize,
    /// Payloads of the pong frames, in order.
    pongs: Vec<Vec<u8>>,
    end: End,
}

#[derive(Clone, Debug)]
struct Sent {
    bytes: Vec<u8>,
    /// Bytes that leave at a time.
    chop: usize,
}

impl Case {
    fn new(number: impl Into<String>, form: Form) -> Self {
        Self {
            number: number.into(),
            form,
            sent: Vec::new(),
            answers: 0,
            pongs: Vec::new(),
            end: End::Fine,
        }
    }

    fn json(number: impl Into<String>) -> Self {
        Self::new(number, Form::Json)
    }

    /// Sends a frame of its own.
    fn frame(mut self, frame: &Frame) -> Self {
        let bytes = frame.bytes();
        let chop = bytes.len();
        self.sent.push(Sent { bytes, chop });
        self
    }

    fn frames<'a>(self, frames: impl IntoIterator<Item = &'a Frame>) -> Self {
        frames.into_iter().fold(self, Self::frame)
    }

    /// Sends a `ping` message in one frame, which is answered.
    fn ping(mut self, size: usize) -> Self {
        let frame = Frame::new(self.form.opcode(), self.form.ping(size));
        self.answers += 1;
        self.frame(&frame)
    }

    /// Everything leaves in one piece, whatever the frames are.
    fn at_once(mut self) -> Self {
        let bytes: Vec<u8> = self.sent.drain(..).flat_map(|sent| sent.bytes).collect();
        self.sent = vec![Sent {
            chop: bytes.len(),
            bytes,
        }];
        self
    }

    /// Everything leaves in pieces of `size` bytes.
    fn in_chops(mut self, size: usize) -> Self {
        self = self.at_once();
        self.sent[0].chop = size;
        self
    }

    fn answers(mut self, count: usize) -> Self {
        self.answers = count;
        self
    }

    fn pong(mut self, payload: impl Into<Vec<u8>>) -> Self {
        self.pongs.push(payload.into());
        self
    }

    fn ends(mut self, end: End) -> Self {
        self.end = end;
        self
    }

    /// The ways in which frames can leave: frame by frame, in one piece, byte by byte.
    fn in_each_way(self) -> Vec<Self> {
        let way = |case: Self, way: &str| Self {
            number: format!("{} {way}", self.number),
            ..case
        };
        vec![
            way(self.clone(), "in frames"),
            way(self.clone().at_once(), "at once"),
            way(self.clone().in_chops(1), "in bytes"),
        ]
    }

    async fn run(&self, url: &str, token: &str) {
        let mut socket = RawSocket::open(url, "/v1/ws", &[]).await.unwrap();
        let serialization = match self.form {
            Form::Json => "json",
            Form::Msgpack => "msgpack",
        };
        let protocol =
            json!({"serialization": serialization, "compression": "none", "features": ["pong"]});
        socket.authenticate(token, &protocol).await;
        for sent in &self.sent {
            socket.send_in_chops(&sent.bytes, sent.chop).await;
        }
        if self.end == End::Fine {
            socket.send_frame(&Frame::close(1000, "")).await;
        }
        let mut came = Came::default();
        for received in socket.rest().await {
            came.add(&received, &self.number);
        }
        self.check(&came);
    }

    fn check(&self, came: &Came) {
        let number = &self.number;
        assert_eq!(came.answers, self.answers, "{number}: answers: {came:?}");
        assert_eq!(came.pongs, self.pongs, "{number}: pongs");
        let failed = matches!(self.end, End::Failed(_));
        assert!(failed || came.errors.is_empty(), "{number}: {came:?}");
        match (self.end, came.closed.as_slice()) {
            (End::Fine, [Some(1000)]) => {}
            (End::Failed(codes), [Some(code)]) => {
                assert!(codes.contains(code), "{number}: closed with {code}");
            }
            (End::Closed(code), [closed]) => assert_eq!(*closed, code, "{number}"),
            (end, closed) => panic!("{number}: {closed:?} instead of {end:?}: {came:?}"),
        }
    }
}

/// What came back, by kind: frames that control the connection may overtake messages.
#[derive(Debug, Default)]
struct Came {
    answers: usize,
    pongs: Vec<Vec<u8>>,
    errors: Vec<Value>,
    /// Codes of close frames.
    closed: Vec<Option<u16>>,
}

impl Came {
    fn add(&mut self, received: &Received, number: &str) {
        if let Some(message) = received.message() {
            assert_known(&message);
            assert!(
                self.closed.is_empty(),
                "{number}: {message} after the close"
            );
            match message["type"].as_str() {
                Some("pong") => self.answers += 1,
                Some("error") => self.errors.push(message),
                _ => panic!("{number}: {message}"),
            }
            return;
        }
        match received {
            Received::Pong(payload) => self.pongs.push(payload.clone()),
            Received::Close(code) => self.closed.push(*code),
            received => panic!("{number}: {received:?}"),
        }
    }
}

/// Runs cases against a server of their own; says how many.
async fn run(cases: Vec<Case>) -> usize {
    let node = TestNode::start().await;
    let (url, token) = (node.url(), node.token("root").await);
    futures::stream::iter(&cases)
        .for_each_concurrent(PARALLEL, |case| case.run(&url, &token))
        .await;
    node.sql_ok("root", "SELECT 1").await;
    node.stop().await;
    cases.len()
}

/// `bytes` as people read them.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
