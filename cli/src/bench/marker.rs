//! The time at which a row was sent and whom it is for, inside of the row: who receives it knows how long it was under
//! way and whether it came to the right place, without decoding JSON.

use std::sync::LazyLock;
use std::time::Instant;

/// What people write, after the marker.
pub const TEXT: &str =
    "See you at noon then, and bring the notes of yesterday's meeting with you \u{1f44d}";

const TIME: &[u8; 2] = b"@T";
const TIME_DIGITS: usize = 16;
const TARGET_DIGITS: usize = 8;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// What a marker says.
#[derive(Clone, Copy, Debug)]
pub struct Marker {
    pub sent_ns: u64,
    /// Number of the subscription or conversation that the row is for.
    pub target: u64,
}

/// Nanoseconds since the first call.
pub fn now_ns() -> u64 {
    START.elapsed().as_nanos() as u64
}

impl Marker {
    /// The text of a row. Always of the same length.
    pub fn text(self) -> String {
        let Self { sent_ns, target } = self;
        format!("@T{sent_ns:0TIME_DIGITS$}@K{target:0TARGET_DIGITS$};{TEXT}")
    }

    /// The marker in a message, if it has one.
    pub fn find(message: &[u8]) -> Option<Self> {
        let time = time_at(message)?;
        // Two bytes between the numbers say which is which.
        let target = time + TIME_DIGITS + 2;
        Some(Self {
            sent_ns: number(message.get(time..time + TIME_DIGITS)?)?,
            target: number(message.get(target..target + TARGET_DIGITS)?)?,
        })
    }
}

/// Puts another time into a message that has a marker.
pub fn stamp(message: &mut [u8], sent_ns: u64) {
    if let Some(time) = time_at(message) {
        let digits = format!("{sent_ns:0TIME_DIGITS$}");
        message[time..time + TIME_DIGITS].copy_from_slice(digits.as_bytes());
    }
}

/// Occurrences of `needle` in `hay`.
pub fn count(hay: &[u8], needle: &[u8]) -> usize {
    let mut rest = hay;
    let mut count = 0;
    while let Some(at) = find(rest, needle) {
        count += 1;
        rest = &rest[at + needle.len()..];
    }
    count
}

/// Where `needle` begins in `hay`.
pub fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    // SAFETY: both pointers are to as many bytes as is said.
    let found = unsafe {
        libc::memmem(
            hay.as_ptr().cast(),
            hay.len(),
            needle.as_ptr().cast(),
            needle.len(),
        )
    };
    (!found.is_null()).then(|| found as usize - hay.as_ptr() as usize)
}

/// Where the digits of the time begin.
fn time_at(message: &[u8]) -> Option<usize> {
    find(message, TIME).map(|at| at + TIME.len())
}

/// Decimal digits up to the first byte that is none.
pub fn leading_number(bytes: &[u8]) -> Option<u64> {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit());
    number(&bytes[..digits.count()])
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}
