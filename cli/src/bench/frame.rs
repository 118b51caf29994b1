//! WebSocket frames, as little of them as a client on loopback needs: no fragments, no extensions.

use crate::bench::Failure;

pub const TEXT: u8 = 1;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// A request for `/v1/ws` with this `Authorization`, in the protocol of this generation.
pub fn upgrade(authorization: &str) -> String {
    format!(
        "GET /v1/ws?serialization=json&compression=none&features=resync,pong,seq HTTP/1.1\r\n\
         Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: {authorization}\r\n\r\n"
    )
}

/// Bytes of the head of the answer to an upgrade, once they are all there.
pub fn upgraded(received: &[u8]) -> Result<Option<usize>, Failure> {
    const END: &[u8; 4] = b"\r\n\r\n";
    let Some(end) = received.windows(END.len()).position(|four| four == END) else {
        return Ok(None);
    };
    if received.starts_with(b"HTTP/1.1 101") {
        Ok(Some(end + END.len()))
    } else {
        Err(format!("no upgrade: {}", String::from_utf8_lossy(received)).into())
    }
}

/// Who sends a frame: a client masks what it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}

/// Appends a frame. The mask is zero, which the protocol allows and which leaves the payload as it is.
pub fn append(out: &mut Vec<u8>, side: Side, opcode: u8, payload: &[u8]) {
    const FINAL: u8 = 0x80;
    let mask_bit = match side {
        Side::Client => 0x80,
        Side::Server => 0,
    };
    out.push(FINAL | opcode);
    match payload.len() {
        length @ 0..=125 => out.push(mask_bit | length as u8),
        length @ 126..=0xffff => {
            out.push(mask_bit | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(mask_bit | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    if side == Side::Client {
        out.extend_from_slice(&[0; 4]);
    }
    out.extend_from_slice(payload);
}

/// A frame at the beginning of received bytes.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    pub opcode: u8,
    pub payload: &'a [u8],
    /// Bytes of all of it.
    pub bytes: usize,
}

/// The first frame, once it is all there. A client's frame must have a mask of zeros.
pub fn first(received: &[u8]) -> Result<Option<Received<'_>>, Failure> {
    let [first, second, rest @ ..] = received else {
        return Ok(None);
    };
    if first & 0xf0 != 0x80 {
        return Err(format!("a fragment or an extension in a frame: {first:#x}").into());
    }
    let extended = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let Some(extension) = rest.get(..extended) else {
        return Ok(None);
    };
    let length = match extended {
        0 => usize::from(second & 0x7f),
        _ => extension
            .iter()
            .fold(0, |length, byte| length << 8 | usize::from(*byte)),
    };
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    let begin = 2 + extended + mask;
    let Some(payload) = received.get(begin..begin + length) else {
        return Ok(None);
    };
    Ok(Some(Received {
        opcode: first & 0x0f,
        payload,
        bytes: begin + length,
    }))
}
