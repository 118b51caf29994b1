//! The first rows of an ordered result, kept up to date: what a subscription with LIMIT shows.
//!
//! More rows are kept than are shown, so that one that leaves is usually replaced from memory; when too few are left, the
//! window is read from storage again and the difference is sent.

use std::collections::{BTreeMap, BTreeSet};

use kalam_link_core::message::ChangeReason;
use kalam_model::{ChangeKind, Row, RowKey, SeqId, Timestamp};
use kalam_sql::LiveQuery;

use super::feed::{Effect, Feed, Routed};
use super::load::{Load, LoadError};

/// Rows of the largest window.
const WINDOW_ROWS_MAX: u64 = 10_000;

/// Rows that are kept beyond those that are shown, at least.
const SPARE_ROWS_MIN: usize = 32;

/// Refuses a query whose window is larger than those that are kept.
pub fn check_limit(query: &LiveQuery) -> Result<(), kalam_sql::Error> {
    if query.limit.is_some_and(|limit| limit > WINDOW_ROWS_MAX) {
        return Err(kalam_sql::Error::Invalid {
            message: format!("LIMIT of a subscription is at most {WINDOW_ROWS_MAX}"),
            hint: None,
        });
    }
    Ok(())
}

/// A row and its position.
pub(crate) type Placed = (SeqId, Row);

/// The window of one subscription.
#[derive(Debug)]
pub(crate) struct Window {
    limit: usize,
    /// The first rows in the order of the query, without gaps.
    kept: Vec<Placed>,
    /// Whether those are all rows that there are.
    complete: bool,
}

/// What the receiver is told, in this order.
#[derive(Debug, PartialEq)]
pub(crate) enum Shift {
    Delete {
        row: Placed,
        reason: Option<ChangeReason>,
    },
    Update {
        old: Placed,
        new: Placed,
    },
    Insert {
        row: Placed,
        reason: Option<ChangeReason>,
    },
}

impl Window {
    pub(crate) fn load(load: &Load, feed: &Feed, now: Timestamp) -> Result<Self, LoadError> {
        let limit = usize::try_from(feed.query.limit.unwrap_or(WINDOW_ROWS_MAX))
            .expect("larger windows are refused");
        let capacity = capacity(limit);
        let mut kept = Vec::new();
        let mut complete = true;
        let sort = |rows: &mut Vec<Placed>| {
            rows.sort_by(|(a_seq, a), (b_seq, b)| {
                feed.query.compare((&a.0, *a_seq), (&b.0, *b_seq))
            });
        };
        load.visit(feed, now, |seq, row| {
            kept.push((seq, row));
            if kept.len() > 2 * capacity {
                sort(&mut kept);
                kept.truncate(capacity);
                complete = false;
            }
            Ok(())
        })?;
        sort(&mut kept);
        if kept.len() > capacity {
            kept.truncate(capacity);
            complete = false;
        }
        Ok(Self {
            limit,
            kept,
            complete,
        })
    }

    /// The rows that the receiver has.
    pub(crate) fn visible(&self) -> &[Placed] {
        &self.kept[..self.kept.len().min(self.limit)]
    }

    /// Whether rows are missing that storage has.
    pub(crate) fn needs_refill(&self) -> bool {
        !self.complete && self.kept.len() < self.limit
    }

    /// When the first row of a STREAM table expires; then the window is to be read again.
    pub(crate) fn expires_ms(&self, feed: &Feed) -> Option<u64> {
        let ttl_ms = u64::from(feed.ttl_seconds()?) * 1_000;
        let oldest = self.kept.iter().map(|(seq, _)| *seq).min()?;
        Some(oldest.unix_ms() + ttl_ms)
    }

    /// Takes a change in and says what the receiver learns of it.
    pub(crate) fn apply(&mut self, feed: &Feed, routed: &Routed) -> Vec<Shift> {
        let before: BTreeSet<SeqId> = self.visible().iter().map(|(seq, _)| *seq).collect();
        let (old_seq, new) = match &routed.change.kind {
            ChangeKind::Insert { new } => (None, Some(new)),
            ChangeKind::Update { old_seq, new, .. } => (Some(*old_seq), Some(new)),
            ChangeKind::Delete { old_seq, .. } => (Some(*old_seq), None),
        };
        let (stays, reason) = match routed.effect {
            Effect::Insert { reason } => (true, reason),
            Effect::Update => (true, Some(ChangeReason::EnteredWindow)),
            Effect::Delete { reason } => (false, reason),
        };
        let removed = old_seq
            .and_then(|seq| self.kept.iter().position(|(kept, _)| *kept == seq))
            .map(|at| self.kept.remove(at));
        if let Some(new) = new.filter(|_| stays) {
            self.place(feed, (routed.seq(), new.clone()));
        }
        let left = if stays {
            Some(ChangeReason::LeftWindow)
        } else {
            reason
        };
        let shifts = self.shifts(&before, removed, routed.seq(), (reason, left));
        let capacity = capacity(self.limit);
        if self.kept.len() > capacity {
            self.kept.truncate(capacity);
            self.complete = false;
        }
        shifts
    }

    /// A row behind the last one that is kept may not follow it directly, and is left to storage.
    fn place(&mut self, feed: &Feed, row: Placed) {
        let at = self.kept.partition_point(|(seq, kept)| {
            feed.query
                .compare((&kept.0, *seq), (&row.1.0, row.0))
                .is_lt()
        });
        if at < self.kept.len() || self.complete {
            self.kept.insert(at, row);
        }
    }

    fn shifts(
        &self,
        before: &BTreeSet<SeqId>,
        removed: Option<Placed>,
        seq: SeqId,
        (came_by, left_by): (Option<ChangeReason>, Option<ChangeReason>),
    ) -> Vec<Shift> {
        let was_shown = removed.filter(|(seq, _)| before.contains(seq));
        let mut shifts = Vec::new();
        let came: Vec<&Placed> = self
            .visible()
            .iter()
            .filter(|(seq, _)| !before.contains(seq))
            .collect();
        // Pushed out by the row that came.
        let pushed = self.kept.iter().skip(self.limit);
        for row in pushed.filter(|(seq, _)| before.contains(seq)) {
            shifts.push(Shift::Delete {
                row: row.clone(),
                reason: Some(ChangeReason::LeftWindow),
            });
        }
        let own = came.iter().find(|row| row.0 == seq);
        match (was_shown, own) {
            (Some(old), Some(new)) => shifts.push(Shift::Update {
                old,
                new: (*new).clone(),
            }),
            (Some(row), None) => shifts.push(Shift::Delete {
                row,
                reason: left_by,
            }),
            (None, Some(new)) => shifts.push(Shift::Insert {
                row: (*new).clone(),
                reason: came_by,
            }),
            (None, None) => {}
        }
        for row in came.into_iter().filter(|row| row.0 != seq) {
            shifts.push(Shift::Insert {
                row: row.clone(),
                reason: Some(ChangeReason::EnteredWindow),
            });
        }
        shifts
    }

    /// From what the receiver has to what it should have.
    pub(crate) fn difference(feed: &Feed, old: &[Placed], new: &[Placed]) -> Vec<Shift> {
        let identity = |(seq, row): &Placed| -> (RowKey, SeqId) {
            match feed.table.layouts.key_of(row) {
                Some(key) if feed.ttl_seconds().is_none() => (key, SeqId::ZERO),
                _ => (RowKey::default(), *seq),
            }
        };
        let mut left: BTreeMap<_, &Placed> = old.iter().map(|row| (identity(row), row)).collect();
        let mut shifts = Vec::new();
        for row in new {
            match left.remove(&identity(row)) {
                Some(same) if same.0 == row.0 => {}
                Some(old) => shifts.push(Shift::Update {
                    old: old.clone(),
                    new: row.clone(),
                }),
                None => shifts.push(Shift::Insert {
                    row: row.clone(),
                    reason: Some(ChangeReason::EnteredWindow),
                }),
            }
        }
        let deletes = left.into_values().map(|row| Shift::Delete {
            row: row.clone(),
            reason: Some(ChangeReason::LeftWindow),
        });
        deletes.chain(shifts).collect()
    }
}

/// Rows that are kept for a window.
fn capacity(limit: usize) -> usize {
    limit + limit.max(SPARE_ROWS_MIN)
}
