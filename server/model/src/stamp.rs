//! Time and ids, fixed before a command is ordered so that applying it reads no clock (I2).

use serde::{Deserialize, Serialize};

/// Microseconds since 1970, UTC.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The clock of this machine. The only place in the server that reads it for data.
    #[must_use]
    pub fn now() -> Self {
        let since = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Self(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    /// Milliseconds since 1970; 0 for earlier times.
    #[must_use]
    pub fn unix_ms(self) -> u64 {
        u64::try_from(self.0 / 1_000).unwrap_or(0)
    }

    /// That many milliseconds later.
    #[must_use]
    pub fn plus_ms(self, milliseconds: u64) -> Self {
        Self(self.0.saturating_add(Self::from_unix_ms(milliseconds).0))
    }

    /// That many milliseconds earlier.
    #[must_use]
    pub fn minus_ms(self, milliseconds: u64) -> Self {
        Self(self.0.saturating_sub(Self::from_unix_ms(milliseconds).0))
    }

    #[must_use]
    pub const fn from_unix_ms(milliseconds: u64) -> Self {
        Self((milliseconds as i64).saturating_mul(1_000))
    }
}

/// Milliseconds from the Unix epoch to 2024-01-01T00:00:00Z, where snowflake ids begin.
pub const SNOWFLAKE_EPOCH_MS: u64 = 1_704_067_200_000;

/// Generator of `SNOWFLAKE_ID()`: 41 bits of milliseconds since 2024, 10 bits of node, 12 bits of counter.
#[derive(Debug)]
pub struct Snowflakes {
    node: u16,
    /// `milliseconds << 12 | counter` of the last id; only rises, so that ids stay unique when the clock goes back.
    last: std::sync::atomic::AtomicU64,
}

impl Snowflakes {
    /// `node` must be below 1,024.
    #[must_use]
    pub fn new(node: u16) -> Self {
        assert!(node < 1_024, "a node number has 10 bits");
        Self {
            node,
            last: std::sync::atomic::AtomicU64::new(0),
        }
    }

    /// The number of this server.
    #[must_use]
    pub const fn node(&self) -> u16 {
        self.node
    }

    /// The next id. More than 4,096 ids in a millisecond borrow from the next one.
    pub fn next(&self, now: Timestamp) -> i64 {
        use std::sync::atomic::Ordering::Relaxed;
        let floor = now.unix_ms().saturating_sub(SNOWFLAKE_EPOCH_MS) << 12;
        let step = |last: u64| (last + 1).max(floor);
        let last = self
            .last
            .fetch_update(Relaxed, Relaxed, |last| Some(step(last)))
            .unwrap_or_else(|last| last);
        let ticket = step(last);
        let id = (ticket >> 12) << 22 | u64::from(self.node) << 12 | (ticket & 0xfff);
        i64::try_from(id & (i64::MAX as u64)).expect("the sign bit was cleared")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snowflakes_rise_even_if_the_clock_goes_back() {
        let ids = Snowflakes::new(5);
        let now = Timestamp::from_unix_ms(SNOWFLAKE_EPOCH_MS + 1_000);
        let first = ids.next(now);
        assert_eq!(first, 1_000 << 22 | 5 << 12);
        let mut previous = first;
        for _ in 0..10_000 {
            let next = ids.next(Timestamp::from_unix_ms(SNOWFLAKE_EPOCH_MS));
            assert!(next > previous);
            previous = next;
        }
    }
}
