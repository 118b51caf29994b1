//! Messages as gzip.

use std::cell::RefCell;

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

/// Below this, what is saved is not worth the time.
const BYTES_MIN: usize = 512;

/// Deflate, no name, no time, unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// Checksum and length.
const TRAILER_BYTES: usize = 8;

thread_local! {
    // Its tables take a few hundred kilobytes: one for each thread that compresses, not one for each message.
    static COMPRESS: RefCell<Compress> = RefCell::new(Compress::new(Compression::fast(), false));
}

/// The compressed message, if it is worth it.
pub(super) fn gzip(message: &[u8]) -> Option<Vec<u8>> {
    if message.len() < BYTES_MIN {
        return None;
    }
    // What does not fit is not smaller.
    let mut out = Vec::with_capacity(message.len() - TRAILER_BYTES - 1);
    out.extend_from_slice(&HEADER);
    let status = COMPRESS.with_borrow_mut(|compress| {
        compress.reset();
        compress.compress_vec(message, &mut out, FlushCompress::Finish)
    });
    if !matches!(status, Ok(Status::StreamEnd)) || out.len() + TRAILER_BYTES >= message.len() {
        return None;
    }
    let mut crc = Crc::new();
    crc.update(message);
    out.extend_from_slice(&crc.sum().to_le_bytes());
    // By RFC 1952 the length modulo 2^32.
    out.extend_from_slice(&(message.len() as u32).to_le_bytes());
    out.shrink_to_fit();
    Some(out)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use kalam_link_core::codec::is_gzip;
    use proptest::prelude::*;

    use super::*;

    fn inflated(bytes: &[u8]) -> Vec<u8> {
        let mut message = Vec::new();
        flate2::read::GzDecoder::new(bytes)
            .read_to_end(&mut message)
            .unwrap();
        message
    }

    #[test]
    fn only_what_gains_is_compressed() {
        assert_eq!(gzip(&[b'x'; BYTES_MIN - 1]), None);
        let small = gzip(&[b'x'; BYTES_MIN]).unwrap();
        assert!(is_gzip(&small) && small.len() < 64);
        let mut state = 1_u32;
        let noise: Vec<u8> = (0..4_096)
            .map(|_| {
                // Xorshift.
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                state.to_le_bytes()[0]
            })
            .collect();
        assert_eq!(gzip(&noise), None);
    }

    proptest! {
        #[test]
        fn what_is_compressed_inflates_to_itself(
            words in prop::collection::vec("[a-e]{1,8}|.{1,4}", 0..2_000)
        ) {
            let message = words.concat().into_bytes();
            if let Some(compressed) = gzip(&message) {
                prop_assert!(compressed.len() < message.len());
                prop_assert_eq!(inflated(&compressed), message);
            }
        }
    }
}
