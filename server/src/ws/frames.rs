//! Frames of RFC 6455 as a server reads and writes them, without I/O.
//!
//! Headers and close codes are tungstenite's. The buffers are not: its connections keep those of the largest message
//! that they ever sent or received, and a server has thousands of them that are silent.

use std::io::Cursor;

use kalam_link_core::codec::Frame;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

/// Longest header of a frame without a mask, as a server sends it.
pub(super) const HEADER_BYTES_MAX: usize = 10;

/// Longest payload of a control frame.
const CONTROL_BYTES_MAX: usize = 125;

/// Room that is offered for one read.
const READ_BYTES: usize = 8 * 1024;

/// Close codes that a server sends of its own accord.
pub(super) mod close {
    pub(in crate::ws) const GOING_AWAY: u16 = 1_001;
    pub(in crate::ws) const PROTOCOL: u16 = 1_002;
    pub(in crate::ws) const NOT_UTF8: u16 = 1_007;
    pub(in crate::ws) const TOO_LARGE: u16 = 1_009;
    pub(in crate::ws) const INTERNAL: u16 = 1_011;
}

/// What a client sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    Message(Frame),
    Ping(Vec<u8>),
    Pong,
    Close(Option<u16>),
}

/// Why nothing more can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Violation {
    TooLarge,
    NotUtf8,
    Protocol(&'static str),
}

impl Violation {
    pub(super) fn close_code(self) -> u16 {
        match self {
            Self::TooLarge => close::TOO_LARGE,
            Self::NotUtf8 => close::NOT_UTF8,
            Self::Protocol(_) => close::PROTOCOL,
        }
    }

    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::TooLarge => "the message is too large",
            Self::NotUtf8 => "the text is not UTF-8",
            Self::Protocol(reason) => reason,
        }
    }
}

/// Makes messages of bytes. Holds no memory between messages.
#[derive(Default)]
pub(super) struct Reader {
    /// What was read; the first `taken` bytes are done with.
    input: Vec<u8>,
    taken: usize,
    frame: Option<Begun>,
    message: Option<Message>,
}

/// A frame whose header was taken.
struct Begun {
    opcode: OpCode,
    is_final: bool,
    mask: [u8; 4],
    /// Bytes of the payload that were taken, and those that were not.
    taken: usize,
    remaining: usize,
}

/// A message of which some frames, or a part of one, were taken.
struct Message {
    is_text: bool,
    bytes: Vec<u8>,
}

impl Reader {
    /// Where bytes that were read go to: at the end, in the room that is there.
    pub(super) fn room(&mut self) -> &mut Vec<u8> {
        self.input.reserve(READ_BYTES);
        &mut self.input
    }

    /// Takes bytes that were read elsewhere.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// What comes next. After `None`, more has to be read; after a violation, nothing can be.
    pub(super) fn next(&mut self, bytes_max: usize) -> Result<Option<Incoming>, Violation> {
        loop {
            let mut frame = match self.frame.take() {
                Some(frame) => frame,
                None => match self.begin(bytes_max)? {
                    Some(frame) => frame,
                    None => return Ok(self.wait()),
                },
            };
            if let OpCode::Control(control) = frame.opcode {
                let Some(payload) = self.control_payload(&frame) else {
                    self.frame = Some(frame);
                    return Ok(self.wait());
                };
                return incoming(control, payload).map(Some);
            }
            self.take_data(&mut frame);
            if frame.remaining > 0 {
                self.frame = Some(frame);
                return Ok(self.wait());
            }
            if frame.is_final {
                let message = self.message.take().expect("a data frame has its message");
                return message.complete().map(Some);
            }
        }
    }

    /// Takes the header of a frame. The length is looked at before anything of the frame is kept.
    fn begin(&mut self, bytes_max: usize) -> Result<Option<Begun>, Violation> {
        let mut cursor = Cursor::new(&self.input[self.taken..]);
        let Some((header, length)) = FrameHeader::parse(&mut cursor)
            .map_err(|_| Violation::Protocol("the opcode is reserved"))?
        else {
            return Ok(None);
        };
        self.taken += usize::try_from(cursor.position()).expect("a header is short");
        let remaining = usize::try_from(length).unwrap_or(usize::MAX);
        self.check(&header, remaining, bytes_max)?;
        Ok(Some(Begun {
            opcode: header.opcode,
            is_final: header.is_final,
            mask: header
                .mask
                .ok_or(Violation::Protocol("a frame has no mask"))?,
            taken: 0,
            remaining,
        }))
    }

    fn check(
        &mut self,
        header: &FrameHeader,
        length: usize,
        bytes_max: usize,
    ) -> Result<(), Violation> {
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(Violation::Protocol("a reserved bit is set"));
        }
        let begin = |is_text| Message {
            is_text,
            bytes: Vec::new(),
        };
        match (header.opcode, self.message.is_some()) {
            (OpCode::Control(_), _) if length > CONTROL_BYTES_MAX => {
                return Err(Violation::Protocol("a control frame is too long"));
            }
            (OpCode::Control(_), _) if !header.is_final => {
                return Err(Violation::Protocol("a control frame is fragmented"));
            }
            (OpCode::Control(_), _) => return Ok(()),
            (OpCode::Data(Data::Continue), true) => {}
            (OpCode::Data(Data::Continue), false) => {
                return Err(Violation::Protocol("nothing to continue"));
            }
            (OpCode::Data(_), true) => {
                return Err(Violation::Protocol("a message within another"));
            }
            (OpCode::Data(Data::Text), false) => self.message = Some(begin(true)),
            (OpCode::Data(_), false) => self.message = Some(begin(false)),
        }
        let before = self
            .message
            .as_ref()
            .map_or(0, |message| message.bytes.len());
        if before.saturating_add(length) > bytes_max {
            return Err(Violation::TooLarge);
        }
        Ok(())
    }

    /// The payload of a control frame, once it is all there.
    fn control_payload(&mut self, frame: &Begun) -> Option<Vec<u8>> {
        let mut payload = self
            .input
            .get(self.taken..self.taken + frame.remaining)?
            .to_vec();
        self.taken += payload.len();
        unmask(&mut payload, frame.mask, 0);
        Some(payload)
    }

    /// Adds what is there of a frame to its message.
    fn take_data(&mut self, frame: &mut Begun) {
        let there = &self.input[self.taken..];
        let there = &there[..there.len().min(frame.remaining)];
        let message = self.message.as_mut().expect("a data frame has its message");
        let start = message.bytes.len();
        message.bytes.extend_from_slice(there);
        unmask(&mut message.bytes[start..], frame.mask, frame.taken);
        self.taken += there.len();
        frame.taken += there.len();
        frame.remaining -= there.len();
    }

    /// Gives back what is not needed while nothing comes.
    fn wait(&mut self) -> Option<Incoming> {
        self.input = self.input[self.taken..].to_vec();
        self.taken = 0;
        None
    }
}

impl Message {
    fn complete(self) -> Result<Incoming, Violation> {
        Ok(Incoming::Message(if self.is_text {
            Frame::Text(String::from_utf8(self.bytes).map_err(|_| Violation::NotUtf8)?)
        } else {
            Frame::Binary(self.bytes)
        }))
    }
}

fn incoming(control: Control, payload: Vec<u8>) -> Result<Incoming, Violation> {
    match control {
        Control::Ping => Ok(Incoming::Ping(payload)),
        Control::Close => close_code(&payload).map(Incoming::Close),
        // The header's parser lets no reserved opcode pass.
        Control::Pong | Control::Reserved(_) => Ok(Incoming::Pong),
    }
}

fn close_code(payload: &[u8]) -> Result<Option<u16>, Violation> {
    let (code, reason) = match payload {
        [] => return Ok(None),
        [_] => return Err(Violation::Protocol("half a close code")),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
    };
    if !CloseCode::from(code).is_allowed() {
        return Err(Violation::Protocol("not a close code"));
    }
    std::str::from_utf8(reason).map_err(|_| Violation::NotUtf8)?;
    Ok(Some(code))
}

/// `offset` bytes of the payload came before these.
fn unmask(bytes: &mut [u8], mut mask: [u8; 4], offset: usize) {
    mask.rotate_left(offset % 4);
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (chunks, rest) = bytes.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.into_iter().cycle()) {
        *byte ^= mask;
    }
}

/// What a server sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Binary,
    Ping,
    Pong,
    Close,
}

/// The header of a frame that is a message of its own, and its length.
pub(super) fn header(kind: Kind, payload_bytes: usize) -> ([u8; HEADER_BYTES_MAX], usize) {
    let header = FrameHeader {
        opcode: match kind {
            Kind::Text => OpCode::Data(Data::Text),
            Kind::Binary => OpCode::Data(Data::Binary),
            Kind::Ping => OpCode::Control(Control::Ping),
            Kind::Pong => OpCode::Control(Control::Pong),
            Kind::Close => OpCode::Control(Control::Close),
        },
        ..FrameHeader::default()
    };
    let mut bytes = [0; HEADER_BYTES_MAX];
    let mut room = bytes.as_mut_slice();
    header
        .format(payload_bytes as u64, &mut room)
        .expect("there is room for the longest header");
    let left = room.len();
    (bytes, HEADER_BYTES_MAX - left)
}

/// The payload of a close frame. The reason is cut to what fits.
pub(super) fn close_payload(code: u16, reason: &str) -> Vec<u8> {
    let reason = &reason[..reason.floor_char_boundary(CONTROL_BYTES_MAX - 2)];
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(reason.as_bytes());
    payload
}

#[cfg(test)]
mod tests;
