//! What can go wrong on a [`Wire`](super::Wire), and how often.

use crate::random::Random;
use crate::time::Millis;

/// Faults, each with its chance in a thousand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    /// Each frame takes between 0 and this.
    pub delay_ms_max: u64,
    /// After each arrival or deadline the connection is cut.
    pub cut_per_mille: u64,
    /// A side that learns of a cut does so between 0 and this after it.
    pub notice_ms_max: u64,
    /// A dial fails.
    pub refuse_per_mille: u64,
}

impl Faults {
    /// Everything arrives at once.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            delay_ms_max: 0,
            cut_per_mille: 0,
            notice_ms_max: 0,
            refuse_per_mille: 0,
        }
    }

    /// A bad network.
    #[must_use]
    pub const fn many() -> Self {
        Self {
            delay_ms_max: 50,
            cut_per_mille: 20,
            notice_ms_max: 60_000,
            refuse_per_mille: 200,
        }
    }

    pub(super) fn cuts(self, random: &mut Random) -> bool {
        random.up_to(999) < self.cut_per_mille
    }

    pub(super) fn refuses(self, random: &mut Random) -> bool {
        random.up_to(999) < self.refuse_per_mille
    }

    /// At once as often as late.
    pub(super) fn notice(self, random: &mut Random, now: Millis) -> Millis {
        if random.up_to(1) == 0 {
            now
        } else {
            now.plus_ms(random.up_to(self.notice_ms_max))
        }
    }
}
