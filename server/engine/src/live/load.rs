//! Rows of a feed at one snapshot, step by step in seq order: all of them, or those that changed since a seq (I6).
//!
//! A load in seq order can go on from any row that was sent: everything after it is found by its seq. So a load that is
//! interrupted, or whose snapshot was given back, goes on as a resume.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Bound;

use kalam_model::{GroupId, Row, SeqId, Timestamp};
use kalam_store::{Direction, HotScan, Snapshot, StreamScan, hot, key, meta, row_codec, stream};

use super::feed::Feed;
use super::window::Window;
use crate::error::Error;

/// Rows that one step reads at most, whether they match or not: bounds how long others wait for a thread.
const SCAN_ROWS_MAX: usize = 100_000;

/// Deletes of one step.
const GONE_MAX: usize = 1_000;

/// Bytes of rows after which a step ends.
const STEP_BYTES: usize = 512 << 10;

/// Rows that are put in order in memory for one subscription.
pub(crate) const ORDERED_ROWS_MAX: usize = 100_000;

/// Why rows could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error(transparent)]
    Engine(#[from] Error),
    #[error(transparent)]
    Query(#[from] kalam_sql::Error),
    #[error("more than {ORDERED_ROWS_MAX} rows to put in order: add a LIMIT or leave ORDER BY out")]
    TooManyToOrder,
}

impl From<kalam_store::Error> for LoadError {
    fn from(error: kalam_store::Error) -> Self {
        Self::Engine(Error::Store(error))
    }
}

/// What is read next.
pub(crate) struct Load {
    pub(crate) snapshot: Snapshot,
    /// Seq of the newest change that the snapshot has.
    pub(crate) snapshot_seq: SeqId,
    /// Rows up to here were sent.
    pub(crate) rows_after: SeqId,
    /// The receiver has no row that a delete up to here could mean.
    pub(crate) deletes_after: SeqId,
    /// Rows in the order of ORDER BY that are left to send; else they come in seq order.
    pub(crate) ordered: Option<VecDeque<(SeqId, Row)>>,
    /// The window whose first rows are sent; kept from then on.
    pub(crate) window: Option<Window>,
}

/// A row that the receiver must forget.
#[derive(Debug)]
pub(crate) struct Gone {
    /// Of the delete, or of the version that does not match any more.
    pub(crate) seq: SeqId,
    /// Of the version that was deleted, as far as it is known.
    pub(crate) old_seq: Option<SeqId>,
    /// Values of the primary key.
    pub(crate) key: Vec<kalam_link_core::Value>,
}

/// One piece of a load: first what is gone, then rows, all of them after the steps before.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) gone: Vec<Gone>,
    pub(crate) rows: Vec<(SeqId, Row)>,
    /// Everything up to here is sent with this step; `None` in rows that are not in seq order.
    pub(crate) last: Option<SeqId>,
    pub(crate) more: bool,
}

/// How deletes may stand among rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interleaving {
    /// A step ends before a delete that follows one of its rows: each message is after the one before.
    Strict,
    /// Deletes of a step come before its rows: for clients that take a step as one.
    Grouped,
}

/// Rows of a slice in seq order, hot or from a stream.
enum Rows {
    Hot(HotScan),
    Stream(StreamScan),
}

impl Rows {
    fn open(
        feed: &Feed,
        snapshot: &Snapshot,
        after: SeqId,
        direction: Direction,
        now: Timestamp,
    ) -> Result<Self, kalam_store::Error> {
        let Some(ttl_seconds) = feed.ttl_seconds() else {
            let range = (Bound::Excluded(after), Bound::Unbounded);
            return Ok(Self::Hot(HotScan::new(
                snapshot,
                &feed.slice,
                range,
                direction,
            )));
        };
        let floor = stream::visible_floor(ttl_seconds, now).max(SeqId(after.0 + 1));
        StreamScan::new(snapshot, &feed.slice, floor, direction).map(Self::Stream)
    }

    fn next(&mut self) -> Result<Option<(SeqId, &[u8])>, kalam_store::Error> {
        match self {
            Self::Hot(scan) => scan.next(),
            Self::Stream(scan) => scan.next(),
        }
    }
}

/// Seq of the newest change that a snapshot has.
pub(crate) fn seq_of(snapshot: &Snapshot) -> Result<SeqId, kalam_store::Error> {
    Ok(meta::LAST_SEQ
        .get(snapshot, &GroupId::LOCAL)?
        .unwrap_or_default())
}

impl Load {
    /// Every row.
    pub(crate) fn all(snapshot: Snapshot) -> Result<Self, LoadError> {
        let snapshot_seq = seq_of(&snapshot)?;
        Ok(Self {
            snapshot,
            snapshot_seq,
            rows_after: SeqId::ZERO,
            deletes_after: snapshot_seq,
            ordered: None,
            window: None,
        })
    }

    /// What changed since.
    pub(crate) fn since(
        snapshot: Snapshot,
        rows_after: SeqId,
        deletes_after: SeqId,
    ) -> Result<Self, LoadError> {
        Ok(Self {
            snapshot_seq: seq_of(&snapshot)?,
            snapshot,
            rows_after,
            deletes_after,
            ordered: None,
            window: None,
        })
    }

    /// Only the newest rows of the result.
    pub(crate) fn keep_last(
        &mut self,
        feed: &Feed,
        count: u64,
        now: Timestamp,
    ) -> Result<(), LoadError> {
        let mut rows = Rows::open(
            feed,
            &self.snapshot,
            self.rows_after,
            Direction::Reverse,
            now,
        )?;
        let mut left = count;
        let mut first = None;
        while left > 0
            && let Some((seq, bytes)) = rows.next()?
        {
            let row = row_codec::decode(&feed.table.layouts, bytes)?;
            if feed.matches(&row, seq)? {
                left -= 1;
                first = Some(seq);
            }
        }
        if left == 0 {
            self.rows_after = first.map_or(self.snapshot_seq, |first| SeqId(first.0 - 1));
        }
        Ok(())
    }

    /// Puts the rows in the order of the query.
    pub(crate) fn order(&mut self, feed: &Feed, now: Timestamp) -> Result<(), LoadError> {
        let mut found = Vec::new();
        self.visit(feed, now, |seq, row| {
            found.push((seq, row));
            if found.len() > ORDERED_ROWS_MAX {
                return Err(LoadError::TooManyToOrder);
            }
            Ok(())
        })?;
        found.sort_by(|(a_seq, a), (b_seq, b)| feed.query.compare((&a.0, *a_seq), (&b.0, *b_seq)));
        self.ordered = Some(found.into());
        Ok(())
    }

    /// Keeps a window of the rows and sends what stands in it.
    pub(crate) fn window(&mut self, feed: &Feed, now: Timestamp) -> Result<(), LoadError> {
        let window = Window::load(self, feed, now)?;
        self.ordered = Some(window.visible().to_vec().into());
        self.window = Some(window);
        Ok(())
    }

    /// Shows each row of the result, in seq order.
    pub(crate) fn visit(
        &self,
        feed: &Feed,
        now: Timestamp,
        mut visit: impl FnMut(SeqId, Row) -> Result<(), LoadError>,
    ) -> Result<(), LoadError> {
        let mut rows = Rows::open(
            feed,
            &self.snapshot,
            self.rows_after,
            Direction::Forward,
            now,
        )?;
        while let Some((seq, bytes)) = rows.next()? {
            let row = row_codec::decode(&feed.table.layouts, bytes)?;
            if feed.matches(&row, seq)? {
                visit(seq, row)?;
            }
        }
        Ok(())
    }

    /// The next piece, of about `rows_max` rows.
    pub(crate) fn step(
        &mut self,
        feed: &Feed,
        rows_max: usize,
        interleaving: Interleaving,
        now: Timestamp,
    ) -> Result<Step, LoadError> {
        if let Some(ordered) = &mut self.ordered {
            return Ok(ordered_step(ordered, rows_max, self.snapshot_seq));
        }
        let mut step = Merge {
            feed,
            interleaving,
            rows_max,
            bytes: 0,
            step: Step {
                gone: Vec::new(),
                rows: Vec::new(),
                last: None,
                more: false,
            },
        };
        let ended = step.fill(self, now)?;
        let mut step = step.step;
        step.more = !ended;
        let last = if ended {
            self.snapshot_seq.max(self.rows_after)
        } else {
            step.last.unwrap_or(self.rows_after)
        };
        step.last = Some(last);
        self.rows_after = last;
        self.deletes_after = self.deletes_after.max(last);
        Ok(step)
    }
}

fn ordered_step(
    ordered: &mut VecDeque<(SeqId, Row)>,
    rows_max: usize,
    snapshot_seq: SeqId,
) -> Step {
    let mut bytes = 0;
    let mut rows = Vec::new();
    while rows.len() < rows_max
        && bytes < STEP_BYTES
        && let Some((seq, row)) = ordered.pop_front()
    {
        bytes += row.memory_bytes();
        rows.push((seq, row));
    }
    let more = !ordered.is_empty();
    Step {
        gone: Vec::new(),
        rows,
        last: (!more).then_some(snapshot_seq),
        more,
    }
}

/// Rows and tombstones of one step, merged by seq.
struct Merge<'a> {
    feed: &'a Feed,
    interleaving: Interleaving,
    rows_max: usize,
    bytes: usize,
    step: Step,
}

impl Merge<'_> {
    /// True if there is nothing after this step.
    fn fill(&mut self, load: &Load, now: Timestamp) -> Result<bool, LoadError> {
        let after = load.deletes_after.max(load.rows_after);
        let tombstones = hot::tombstones(
            &load.snapshot,
            &self.feed.slice,
            (Bound::Excluded(after), Bound::Unbounded),
            GONE_MAX,
        )?;
        // Those that did not fit come with the next step, and so do the rows behind them.
        let horizon = if tombstones.len() == GONE_MAX {
            tombstones.last().map(|tombstone| tombstone.seq)
        } else {
            None
        };
        let mut tombstones = self.last_of_each_key(tombstones).into_iter().peekable();
        let mut rows = Rows::open(
            self.feed,
            &load.snapshot,
            load.rows_after,
            Direction::Forward,
            now,
        )?;
        let mut scanned = 0;
        while let Some((seq, bytes)) = rows.next()? {
            while let Some(tombstone) = tombstones.next_if(|tombstone| tombstone.seq < seq) {
                if !self.bury(load, tombstone)? {
                    return Ok(false);
                }
            }
            if horizon.is_some_and(|horizon| seq > horizon) || scanned == SCAN_ROWS_MAX {
                return Ok(false);
            }
            scanned += 1;
            let row = row_codec::decode(&self.feed.table.layouts, bytes)?;
            if !self.row(load, seq, row)? {
                return Ok(false);
            }
        }
        for tombstone in tombstones {
            if !self.bury(load, tombstone)? {
                return Ok(false);
            }
        }
        Ok(horizon.is_none())
    }

    /// A key that was deleted more than once is told once. Rows of a stream are told apart by seq.
    fn last_of_each_key(&self, mut tombstones: Vec<hot::Tombstone>) -> Vec<hot::Tombstone> {
        if self.feed.ttl_seconds().is_none() {
            let mut seen = BTreeSet::new();
            tombstones.reverse();
            tombstones.retain(|tombstone| seen.insert(tombstone.key.clone()));
            tombstones.reverse();
        }
        tombstones
    }

    /// False if the row belongs to the next step.
    fn row(&mut self, load: &Load, seq: SeqId, row: Row) -> Result<bool, LoadError> {
        if !self.feed.matches(&row, seq)? {
            // Its older version may have matched. Rows of a stream have none.
            if seq > load.deletes_after && self.feed.ttl_seconds().is_none() {
                let key = key_of(self.feed, &row);
                return Ok(self.gone(seq, None, key));
            }
            self.step.last = Some(seq);
            return Ok(true);
        }
        if self.step.rows.len() >= self.rows_max || self.bytes >= STEP_BYTES {
            return Ok(false);
        }
        self.bytes += row.memory_bytes();
        self.step.rows.push((seq, row));
        self.step.last = Some(seq);
        Ok(true)
    }

    /// A tombstone whose key lives again says nothing: the row comes with its own seq.
    fn bury(&mut self, load: &Load, tombstone: hot::Tombstone) -> Result<bool, LoadError> {
        let types = self.feed.table.layouts.key_types();
        let is_stream = self.feed.ttl_seconds().is_some();
        if !is_stream && hot::live_seq(&load.snapshot, &self.feed.slice, &tombstone.key)?.is_some()
        {
            self.step.last = Some(tombstone.seq);
            return Ok(true);
        }
        let key = key::decode_key(&tombstone.key, &types)?;
        Ok(self.gone(tombstone.seq, Some(tombstone.old_seq), key))
    }

    /// False if the delete belongs to the next step.
    fn gone(
        &mut self,
        seq: SeqId,
        old_seq: Option<SeqId>,
        key: Vec<kalam_link_core::Value>,
    ) -> bool {
        let strict = self.interleaving == Interleaving::Strict;
        if self.step.gone.len() >= GONE_MAX || (strict && !self.step.rows.is_empty()) {
            return false;
        }
        self.step.gone.push(Gone { seq, old_seq, key });
        self.step.last = Some(seq);
        true
    }
}

/// The values of a row's primary key.
fn key_of(feed: &Feed, row: &Row) -> Vec<kalam_link_core::Value> {
    feed.table
        .def
        .key_indexes()
        .map(|index| row.0[index].clone())
        .collect()
}
