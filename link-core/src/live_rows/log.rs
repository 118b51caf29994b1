//! The last changes of the rows, for readers that keep a copy.

use std::collections::VecDeque;

use super::RowChange;

// A reader that is further behind reads all rows, which is then not much more work.
const CHANGES_KEPT_MAX: usize = 4_096;

/// Changes by version: the last one made the rows what they are at `version`.
#[derive(Clone, Debug)]
pub(super) struct Log {
    version: u64,
    /// At most `kept_max`; the first led from `version - changes.len()` to the version after it.
    changes: VecDeque<RowChange>,
    kept_max: usize,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            version: 0,
            changes: VecDeque::new(),
            kept_max: CHANGES_KEPT_MAX,
        }
    }
}

impl Log {
    /// Of rows that nobody sees yet.
    pub(super) fn unread() -> Self {
        Self {
            kept_max: 0,
            ..Self::default()
        }
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn push(&mut self, change: RowChange) {
        self.version += 1;
        if self.changes.len() >= self.kept_max {
            self.changes.pop_front();
        }
        if self.kept_max > 0 {
            self.changes.push_back(change);
        }
    }

    /// Everything is different: readers must begin anew.
    pub(super) fn reset(&mut self) {
        self.version += 1;
        self.changes.clear();
    }

    pub(super) fn since(&self, version: u64) -> Option<impl Iterator<Item = &RowChange>> {
        let behind = usize::try_from(self.version.checked_sub(version)?).ok()?;
        let skipped = self.changes.len().checked_sub(behind)?;
        Some(self.changes.iter().skip(skipped))
    }
}
