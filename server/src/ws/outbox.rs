//! Frames on their way out. Several leave with one call; what has left is forgotten.

use std::collections::VecDeque;
use std::io::IoSlice;

use super::frames::{HEADER_BYTES_MAX, Kind, header};

/// Pieces that leave with one call, two for each frame.
pub(super) const SLICES_MAX: usize = 64;

/// What was not sent yet.
#[derive(Default)]
pub(super) struct Outbox {
    frames: VecDeque<Outgoing>,
    /// Bytes of the first frame that have left.
    sent: usize,
    /// Bytes that have not.
    bytes: usize,
}

struct Outgoing {
    header: [u8; HEADER_BYTES_MAX],
    header_bytes: u8,
    payload: Vec<u8>,
}

impl Outgoing {
    fn header(&self) -> &[u8] {
        &self.header[..usize::from(self.header_bytes)]
    }

    fn len(&self) -> usize {
        self.header().len() + self.payload.len()
    }
}

impl Outbox {
    pub(super) fn push(&mut self, kind: Kind, payload: Vec<u8>) {
        let (header, header_bytes) = header(kind, payload.len());
        let frame = Outgoing {
            header,
            header_bytes: u8::try_from(header_bytes).expect("a header is short"),
            payload,
        };
        self.bytes += frame.len();
        self.frames.push_back(frame);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What comes next, for one call.
    pub(super) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; SLICES_MAX]) -> usize {
        let mut count = 0;
        let mut skip = self.sent;
        let pieces = self
            .frames
            .iter()
            .take(SLICES_MAX / 2)
            .flat_map(|frame| [frame.header(), frame.payload.as_slice()]);
        for piece in pieces {
            let rest = &piece[skip.min(piece.len())..];
            skip -= piece.len() - rest.len();
            if !rest.is_empty() {
                slices[count] = IoSlice::new(rest);
                count += 1;
            }
        }
        count
    }

    /// So many bytes have left.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.bytes -= bytes;
        self.sent += bytes;
        while let Some(first) = self.frames.front()
            && self.sent >= first.len()
        {
            self.sent -= first.len();
            self.frames.pop_front();
        }
        if self.frames.is_empty() {
            self.frames = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests;
