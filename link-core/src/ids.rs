//! Identifiers that cross the wire.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Milliseconds from the Unix epoch to 2025-01-01T00:00:00Z, where sequence numbers begin.
pub const SEQ_EPOCH_MS: u64 = 1_735_689_600_000;

/// Bits below the millisecond in a [`SeqId`]: 4,096 changes a millisecond before a group runs ahead of its clock.
pub const SEQ_COUNTER_BITS: u32 = 12;

/// Position of a change inside a group, strictly rising in commit order (I1). Stays below 2^53, so that JavaScript
/// numbers hold it exactly, until the year 2094.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct SeqId(pub u64);

impl SeqId {
    /// Before every change.
    pub const ZERO: Self = Self(0);

    /// The smallest sequence number of a change made at `unix_ms` (milliseconds since 1970).
    #[must_use]
    pub const fn at_time(unix_ms: u64) -> Self {
        Self(unix_ms.saturating_sub(SEQ_EPOCH_MS) << SEQ_COUNTER_BITS)
    }

    /// The number after `self` for a change made at `unix_ms`: rises even if the clock goes back.
    #[must_use]
    pub fn next(self, unix_ms: u64) -> Self {
        Self((self.0 + 1).max(Self::at_time(unix_ms).0))
    }

    /// Milliseconds since 1970 at which the change was ordered.
    #[must_use]
    pub const fn unix_ms(self) -> u64 {
        (self.0 >> SEQ_COUNTER_BITS) + SEQ_EPOCH_MS
    }
}

impl fmt::Display for SeqId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Name of an account, which is also its id: unique for ever, also after the account was dropped.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserId(Arc<str>);

impl UserId {
    /// Longest user name in bytes.
    pub const BYTES_MAX: usize = 128;

    /// Accepts any text of 1 to 128 bytes without control characters, white space at an end, or a slash.
    pub fn new(name: impl AsRef<str>) -> Option<Self> {
        let name = name.as_ref();
        let sound = !name.is_empty()
            && name.len() <= Self::BYTES_MAX
            && name.trim() == name
            && !name
                .chars()
                .any(|c| c.is_control() || c == '/' || c == '\\');
        sound.then(|| Self(Arc::from(name)))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Name that a client gives a subscription, unique on its socket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SubscriptionId(Arc<str>);

impl SubscriptionId {
    /// Longest id in bytes that the server takes.
    pub const BYTES_MAX: usize = 256;

    /// Takes any text: the server answers to what it refuses.
    pub fn new(text: impl AsRef<str>) -> Self {
        Self(Arc::from(text.as_ref()))
    }

    /// Neither empty nor too long.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        (1..=Self::BYTES_MAX).contains(&self.0.len())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SubscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an account may do, weakest first. The rights of each role are listed in the SQL reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    User,
    Service,
    Dba,
    System,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::User, Self::Service, Self::Dba, Self::System];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Service => "service",
            Self::Dba => "dba",
            Self::System => "system",
        }
    }

    /// Manages namespaces, storages, users, jobs and the cluster.
    #[must_use]
    pub const fn is_admin(self) -> bool {
        matches!(self, Self::Dba | Self::System)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownRole(text.to_owned()))
    }
}

/// The text names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown role `{0}`: one of user, service, dba, system")]
pub struct UnknownRole(pub String);

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn i1_seq_rises_when_the_clock_goes_back() {
        let first = SeqId::ZERO.next(SEQ_EPOCH_MS + 10);
        assert_eq!(first, SeqId(10 << 12));
        assert_eq!(first.next(SEQ_EPOCH_MS + 3), SeqId((10 << 12) + 1));
        assert_eq!(first.unix_ms(), SEQ_EPOCH_MS + 10);
    }

    #[test]
    fn user_names_are_bounded_and_printable() {
        assert!(UserId::new("alice@example.com").is_some());
        for bad in ["", " a", "a ", "a/b", "a\\b", "a\nb", &"x".repeat(129)] {
            assert!(UserId::new(bad).is_none(), "{bad:?}");
        }
    }
}
