//! A WebSocket client that can break every rule: it sends frames as they are given and says what comes back. What the
//! server may send is checked, what is sent is not.

use std::time::Duration;

use kalam_link_core::codec::{self, decode_server};
use kalam_link_core::message::{QueryResult, Serialization, ServerMessage};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::msgpack;

pub const CONTINUATION: u8 = 0;
pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// Longer than any server takes on any machine: a test that hangs fails.
pub const GUARD: Duration = Duration::from_secs(60);

/// Any 16 bytes in base64.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// A frame as a client sends it.
#[derive(Clone, Debug)]
pub struct Frame {
    fin: bool,
    reserved: u8,
    opcode: u8,
    masked: bool,
    payload: Vec<u8>,
    declared: Option<u64>,
}

impl Frame {
    pub fn new(opcode: u8, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            fin: true,
            reserved: 0,
            opcode,
            masked: true,
            payload: payload.into(),
            declared: None,
        }
    }

    pub fn close(code: u16, reason: impl AsRef<[u8]>) -> Self {
        let mut payload = code.to_be_bytes().to_vec();
        payload.extend_from_slice(reason.as_ref());
        Self::new(CLOSE, payload)
    }

    /// Not the last of its message.
    pub fn more(mut self) -> Self {
        self.fin = false;
        self
    }

    /// With these three bits before the opcode.
    pub fn reserved(mut self, bits: u8) -> Self {
        self.reserved = bits;
        self
    }

    pub fn unmasked(mut self) -> Self {
        self.masked = false;
        self
    }

    /// Says that this many bytes follow, whatever does.
    pub fn declared(mut self, bytes: u64) -> Self {
        self.declared = Some(bytes);
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
        let mut bytes = vec![u8::from(self.fin) << 7 | self.reserved << 4 | self.opcode];
        let mask_bit = u8::from(self.masked) << 7;
        let length = self.declared.unwrap_or(self.payload.len() as u64);
        match length {
            0..=125 => bytes.push(mask_bit | u8::try_from(length).unwrap()),
            126..=0xffff => {
                bytes.push(mask_bit | 126);
                bytes.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
            }
            _ => {
                bytes.push(mask_bit | 127);
                bytes.extend_from_slice(&length.to_be_bytes());
            }
        }
        if self.masked {
            bytes.extend_from_slice(&MASK);
            let masked = self.payload.iter().zip(MASK.iter().cycle());
            bytes.extend(masked.map(|(byte, mask)| byte ^ mask));
        } else {
            bytes.extend_from_slice(&self.payload);
        }
        bytes
    }
}

/// A message in frames of at most `size` bytes of payload.
pub fn fragments(opcode: u8, payload: &[u8], size: usize) -> Vec<Frame> {
    let mut frames: Vec<Frame> = payload
        .chunks(size)
        .map(|chunk| Frame::new(CONTINUATION, chunk).more())
        .collect();
    frames[0].opcode = opcode;
    frames.last_mut().unwrap().fin = true;
    frames
}

/// What came from the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    /// A close frame with its code, if it has one.
    Close(Option<u16>),
    /// The connection is gone.
    End,
}

impl Received {
    /// The message in a data frame that is not compressed.
    pub fn message(&self) -> Option<Value> {
        match self {
            Self::Text(text) => Some(serde_json::from_str(text).unwrap()),
            Self::Binary(bytes) => Some(msgpack::read(bytes)),
            _ => None,
        }
    }
}

/// An upgrade that was refused.
#[derive(Debug)]
pub struct Refused {
    pub status: u16,
    pub head: String,
}

pub struct RawSocket {
    stream: TcpStream,
    received: Vec<u8>,
    /// The fragments of a message that came so far.
    begun: Option<(u8, Vec<u8>)>,
    /// The head of the answer to the upgrade.
    pub head: String,
}

impl RawSocket {
    /// Upgrades a connection to `url`. `path` begins with `/v1/ws`.
    pub async fn open(url: &str, path: &str, headers: &[(&str, &str)]) -> Result<Self, Refused> {
        let address = url.trim_start_matches("http://");
        let mut request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n"
        );
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        let mut socket = Self::request(url, request.as_bytes()).await;
        let status: u16 = socket.head.split(' ').nth(1).unwrap().parse().unwrap();
        if status != 101 {
            let head = std::mem::take(&mut socket.head);
            return Err(Refused { status, head });
        }
        let accepted = format!(
            "sec-websocket-accept: {}",
            derive_accept_key(KEY.as_bytes())
        );
        assert!(
            socket
                .head
                .to_lowercase()
                .contains(&accepted.to_lowercase()),
            "{}",
            socket.head
        );
        Ok(socket)
    }

    /// Sends the head of a request and reads that of the answer.
    pub async fn request(url: &str, request: &[u8]) -> Self {
        let address = url.trim_start_matches("http://");
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut socket = Self {
            stream,
            received: Vec::new(),
            begun: None,
            head: String::new(),
        };
        socket.send(request).await;
        loop {
            if let Some(at) = position(&socket.received, b"\r\n\r\n") {
                let rest = socket.received.split_off(at + 4);
                let head = std::mem::replace(&mut socket.received, rest);
                socket.head = String::from_utf8(head).unwrap();
                return socket;
            }
            let more = socket.fill().await;
            assert!(more, "no answer to the upgrade");
        }
    }

    /// Authenticates in band, with `protocol` as it is given.
    pub async fn authenticate(&mut self, token: &str, protocol: &Value) {
        let message =
            json!({"type": "authenticate", "method": "jwt", "token": token, "protocol": protocol});
        self.send_frame(&Frame::new(TEXT, message.to_string()))
            .await;
        let answer = loop {
            match self.next().await {
                Received::Ping(_) => {}
                answer => break answer,
            }
        };
        let message = answer.message().unwrap_or_else(|| panic!("{answer:?}"));
        assert_eq!(message["type"], "auth_success", "{message}");
    }

    /// A server that has had enough does not take everything: what it says about it is read, not the failed write.
    pub async fn send(&mut self, bytes: &[u8]) {
        let _ = tokio::time::timeout(GUARD, self.stream.write_all(bytes))
            .await
            .expect("the server takes what it is sent");
    }

    pub async fn send_frame(&mut self, frame: &Frame) {
        self.send(&frame.bytes()).await;
    }

    pub async fn send_message(&mut self, message: &Value) {
        self.send_frame(&Frame::new(TEXT, message.to_string()))
            .await;
    }

    /// In pieces that leave one by one.
    pub async fn send_in_chops(&mut self, bytes: &[u8], size: usize) {
        for chop in bytes.chunks(size) {
            self.send(chop).await;
            tokio::task::yield_now().await;
        }
    }

    /// The next message or control frame.
    pub async fn next(&mut self) -> Received {
        loop {
            while let Some((fin, opcode, payload)) = self.take_frame() {
                if let Some(received) = self.accept(fin, opcode, payload) {
                    return received;
                }
            }
            if !self.fill().await {
                return Received::End;
            }
        }
    }

    /// Everything until the connection is gone.
    pub async fn rest(&mut self) -> Vec<Received> {
        let mut all = Vec::new();
        loop {
            match self.next().await {
                Received::End => return all,
                received => all.push(received),
            }
        }
    }

    fn accept(&mut self, fin: bool, opcode: u8, payload: Vec<u8>) -> Option<Received> {
        match opcode {
            CLOSE | PING | PONG => {
                assert!(fin && payload.len() <= 125, "a control frame is small");
                Some(control(opcode, payload))
            }
            TEXT | BINARY => {
                assert!(self.begun.is_none(), "a message inside another");
                if fin {
                    return Some(data(opcode, payload));
                }
                self.begun = Some((opcode, payload));
                None
            }
            CONTINUATION => {
                let (_, begun) = self.begun.as_mut().expect("something to continue");
                begun.extend_from_slice(&payload);
                if !fin {
                    return None;
                }
                self.begun.take().map(|(opcode, all)| data(opcode, all))
            }
            opcode => panic!("the server sent opcode {opcode}"),
        }
    }

    /// A frame that has come as a whole.
    fn take_frame(&mut self) -> Option<(bool, u8, Vec<u8>)> {
        let [first, second, ..] = *self.received.as_slice() else {
            return None;
        };
        assert_eq!(first & 0x70, 0, "reserved bits from the server");
        assert_eq!(second & 0x80, 0, "a mask from the server");
        let (length, header) = match second & 0x7f {
            126 => (u64::from(u16::from_be_bytes(self.header_bytes()?)), 4),
            127 => (u64::from_be_bytes(self.header_bytes()?), 10),
            length => (u64::from(length), 2),
        };
        let end = header + usize::try_from(length).unwrap();
        if self.received.len() < end {
            return None;
        }
        let rest = self.received.split_off(end);
        let frame = std::mem::replace(&mut self.received, rest);
        Some((first & 0x80 != 0, first & 0x0f, frame[header..].to_vec()))
    }

    fn header_bytes<const N: usize>(&self) -> Option<[u8; N]> {
        self.received.get(2..2 + N)?.try_into().ok()
    }

    /// Whether there was more to read.
    async fn fill(&mut self) -> bool {
        let read = tokio::time::timeout(GUARD, self.stream.read_buf(&mut self.received))
            .await
            .expect("the server says something or closes the connection");
        matches!(read, Ok(read) if read > 0)
    }
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

fn control(opcode: u8, payload: Vec<u8>) -> Received {
    match (opcode, payload.as_slice()) {
        (PING, _) => Received::Ping(payload),
        (PONG, _) => Received::Pong(payload),
        (_, []) => Received::Close(None),
        (_, [high, low, reason @ ..]) => {
            assert!(std::str::from_utf8(reason).is_ok(), "{reason:?}");
            Received::Close(Some(u16::from_be_bytes([*high, *low])))
        }
        (_, [_]) => panic!("half a close code"),
    }
}

fn data(opcode: u8, payload: Vec<u8>) -> Received {
    if opcode == TEXT {
        Received::Text(String::from_utf8(payload).unwrap())
    } else {
        Received::Binary(payload)
    }
}

/// Whether a message is one that this version of the server may send, and nothing more than that.
pub fn assert_known(message: &Value) {
    let frame = codec::Frame::Text(message.to_string());
    let typed = decode_server(&frame, Serialization::Json)
        .unwrap_or_else(|error| panic!("{error}: {message}"));
    let written = match &typed {
        ServerMessage::QueryResult(reply) => {
            let result: QueryResult = serde_json::from_str(reply.text.as_str()).unwrap();
            let mut written = serde_json::to_value(result).unwrap();
            written["type"] = "query_result".into();
            written
        }
        typed => serde_json::to_value(typed).unwrap(),
    };
    assert_eq!(&written, message, "{typed:?}");
}
