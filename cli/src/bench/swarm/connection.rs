//! One subscriber as a state machine: bytes come in, bytes to send are put by.

use std::io::{ErrorKind, Write as _};
use std::net::TcpStream;

use hdrhistogram::Histogram;
use kalam_link::core::message::BatchControl;

use super::Progress;
use crate::bench::Failure;
use crate::bench::frame::{self, Side};
use crate::bench::marker::{Marker, count, find, leading_number, now_ns};

/// Beginnings of messages, as the server writes them.
const CHANGE: &[u8] = br#"{"type":"change","subscription_id":""#;
const ACK: &[u8] = br#"{"type":"subscription_ack","#;
const BATCH: &[u8] = br#"{"type":"initial_data_batch","#;
const AUTHENTICATED: &[u8] = br#"{"type":"auth_success","#;
const CONTROL: &[u8] = br#""batch_control":"#;

/// The last of a batch's bytes, in which its `batch_control` stands.
const CONTROL_BYTES_MAX: usize = 256;

/// Capacity that an idle connection keeps.
const KEPT_BYTES: usize = 1_024;

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Connecting,
    Upgrading,
    Authenticating,
    Loading { left: usize },
    Live,
}

/// What all connections together received.
pub struct Tally {
    pub latency: Histogram<u64>,
    pub rows: u64,
    pub last_seq: u64,
    pub pings: u64,
    pub sample: Vec<u8>,
}

impl Tally {
    pub fn new() -> Result<Self, Failure> {
        Ok(Self {
            latency: Histogram::new(3)?,
            rows: 0,
            last_seq: u64::MAX,
            pings: 0,
            sample: Vec::new(),
        })
    }
}

/// One socket.
pub struct Connection {
    pub stream: TcpStream,
    pub phase: Phase,
    pub begun_ns: u64,
    pub changes: u32,
    /// The beginning of a frame whose rest has not come.
    held: Vec<u8>,
    /// What the socket has not taken yet.
    out: Vec<u8>,
}

impl Connection {
    pub fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            phase: Phase::Connecting,
            begun_ns: now_ns(),
            changes: 0,
            held: Vec::new(),
            out: Vec::new(),
        }
    }

    pub fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.out.extend_from_slice(bytes);
        self.flush()
    }

    /// Sends text messages.
    pub fn say(&mut self, messages: impl Iterator<Item = String>) -> Result<(), Failure> {
        for message in messages {
            frame::append(&mut self.out, Side::Client, frame::TEXT, message.as_bytes());
        }
        self.flush()
    }

    /// Sends as much as the socket takes. It becomes writable when it takes more.
    pub fn flush(&mut self) -> Result<(), Failure> {
        let mut sent = 0;
        while sent < self.out.len() {
            match (&self.stream).write(&self.out[sent..]) {
                Ok(bytes) => sent += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(format!("a socket cannot be written: {error}").into()),
            }
        }
        self.out.drain(..sent);
        if self.out.is_empty() && self.out.capacity() > KEPT_BYTES {
            self.out = Vec::new();
        }
        Ok(())
    }

    /// Takes in what came.
    pub fn receive(
        &mut self,
        bytes: &[u8],
        tally: &mut Tally,
        progress: &Progress,
    ) -> Result<(), Failure> {
        if self.held.is_empty() {
            let taken = self.frames(bytes, tally, progress)?;
            self.held.extend_from_slice(&bytes[taken..]);
            return Ok(());
        }
        let mut held = std::mem::take(&mut self.held);
        held.extend_from_slice(bytes);
        let taken = self.frames(&held, tally, progress)?;
        held.drain(..taken);
        if !held.is_empty() || held.capacity() <= KEPT_BYTES {
            self.held = held;
        }
        Ok(())
    }

    /// Handles what is complete and says how many bytes that was.
    fn frames(
        &mut self,
        bytes: &[u8],
        tally: &mut Tally,
        progress: &Progress,
    ) -> Result<usize, Failure> {
        let mut taken = 0;
        if self.phase == Phase::Upgrading {
            match frame::upgraded(bytes)? {
                Some(head) => taken = head,
                None => return Ok(0),
            }
            self.phase = Phase::Authenticating;
        }
        while let Some(received) = frame::first(&bytes[taken..])? {
            match received.opcode {
                frame::TEXT if received.payload.starts_with(CHANGE) => {
                    if tally.sample.is_empty() {
                        let whole = &bytes[taken..taken + received.bytes];
                        tally.sample.extend_from_slice(whole);
                    }
                    self.change(received.payload, tally, progress)?;
                }
                frame::TEXT => self.message(received.payload, tally)?,
                frame::PING => {
                    tally.pings += 1;
                    let mut pong = Vec::new();
                    frame::append(&mut pong, Side::Client, frame::PONG, received.payload);
                    self.send(&pong)?;
                }
                opcode => {
                    let text = String::from_utf8_lossy(received.payload);
                    return Err(format!("a frame of kind {opcode}: {text}").into());
                }
            }
            taken += received.bytes;
        }
        Ok(taken)
    }

    fn change(
        &mut self,
        message: &[u8],
        tally: &mut Tally,
        progress: &Progress,
    ) -> Result<(), Failure> {
        let now_ns = now_ns();
        self.changes += 1;
        if let Some(marker) = Marker::find(message) {
            let id = &message[CHANGE.len()..];
            if id.starts_with(b"k") && leading_number(&id[1..]) != Some(marker.target) {
                let text = String::from_utf8_lossy(message);
                return Err(format!("a change for another subscription: {text}").into());
            }
            tally
                .latency
                .record(now_ns.saturating_sub(marker.sent_ns) / 1_000)?;
        }
        progress.change(now_ns);
        Ok(())
    }

    /// A message on the way to being live.
    fn message(&mut self, message: &[u8], tally: &mut Tally) -> Result<(), Failure> {
        if message.starts_with(AUTHENTICATED) && self.phase == Phase::Authenticating {
            self.phase = Phase::Loading { left: 0 };
            return Ok(());
        }
        let about = if message.starts_with(ACK) {
            message
        } else if message.starts_with(BATCH) {
            tally.rows += count(message, br#""_seq":""#) as u64;
            &message[message.len().saturating_sub(CONTROL_BYTES_MAX)..]
        } else {
            return Err(format!("unexpected: {}", String::from_utf8_lossy(message)).into());
        };
        let control = batch_control(about)?;
        if control.has_more {
            return if message.starts_with(BATCH) {
                Err("the initial rows do not fit in one batch".into())
            } else {
                Ok(())
            };
        }
        if let Some(seq) = control.last_seq_id {
            tally.last_seq = tally.last_seq.min(seq.0);
        }
        match &mut self.phase {
            Phase::Loading { left: 1 } => self.phase = Phase::Live,
            Phase::Loading { left } if *left > 1 => *left -= 1,
            phase => return Err(format!("a subscription began while {phase:?}").into()),
        }
        Ok(())
    }
}

fn batch_control(message: &[u8]) -> Result<BatchControl, Failure> {
    let at = find(message, CONTROL).ok_or("a load without batch_control")?;
    let rest = &message[at + CONTROL.len()..];
    serde_json::Deserializer::from_slice(rest)
        .into_iter()
        .next()
        .ok_or("an empty batch_control")?
        .map_err(Into::into)
}
