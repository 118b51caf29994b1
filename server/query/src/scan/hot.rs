//! Rows of USER and SHARED tables: by range of sequence numbers, by key, or by range of keys.

use kalam_model::{RowKey, SeqId};
use kalam_store::hot::{self, Direction, KeyRange};
use kalam_store::{Error, Slice, Snapshot};

use crate::pushdown::SeqRange;

/// A row by its key costs as much as some ten in a scan: of a range with more keys than this all rows are read, which
/// costs at most ten times as much if the table has no others.
const KEY_RANGE_ROWS_MAX: usize = 1_024;

/// Live rows in the order of their sequence numbers.
pub(super) enum Rows {
    Range(hot::Scan),
    Keys {
        snapshot: Snapshot,
        slice: Slice,
        seqs: std::vec::IntoIter<SeqId>,
        row: Vec<u8>,
    },
    None,
}

impl Rows {
    pub fn of_range(
        snapshot: &Snapshot,
        slice: &Slice,
        range: SeqRange,
        direction: Direction,
    ) -> Self {
        if range.is_empty() {
            return Self::None;
        }
        Self::Range(hot::Scan::new(
            snapshot,
            slice,
            range.first..=range.last,
            direction,
        ))
    }

    pub fn of_keys(
        snapshot: &Snapshot,
        slice: &Slice,
        keys: &[RowKey],
        range: SeqRange,
        direction: Direction,
    ) -> Result<Self, Error> {
        let mut seqs = Vec::with_capacity(keys.len());
        for key in keys {
            seqs.extend(hot::live_seq(snapshot, slice, key)?);
        }
        Ok(Self::of_seqs(snapshot, slice, seqs, range, direction))
    }

    /// By the key index if the rows are few enough for that, else all of them.
    pub fn of_key_range(
        snapshot: &Snapshot,
        slice: &Slice,
        keys: &KeyRange,
        range: SeqRange,
        direction: Direction,
    ) -> Result<Self, Error> {
        let seqs = hot::seqs_of_keys(snapshot, slice, keys, KEY_RANGE_ROWS_MAX)?;
        Ok(match seqs {
            Some(seqs) => Self::of_seqs(snapshot, slice, seqs, range, direction),
            None => Self::of_range(snapshot, slice, range, direction),
        })
    }

    fn of_seqs(
        snapshot: &Snapshot,
        slice: &Slice,
        mut seqs: Vec<SeqId>,
        range: SeqRange,
        direction: Direction,
    ) -> Self {
        seqs.retain(|seq| (range.first..=range.last).contains(seq));
        seqs.sort_unstable();
        seqs.dedup();
        if direction == Direction::Reverse {
            seqs.reverse();
        }
        Self::Keys {
            snapshot: snapshot.clone(),
            slice: slice.clone(),
            seqs: seqs.into_iter(),
            row: Vec::new(),
        }
    }

    pub fn next(&mut self) -> Result<Option<(SeqId, &[u8])>, Error> {
        match self {
            Self::None => Ok(None),
            Self::Range(scan) => scan.next(),
            Self::Keys {
                snapshot,
                slice,
                seqs,
                row,
            } => {
                for seq in seqs {
                    if let Some(found) = hot::get(snapshot, slice, seq)? {
                        *row = found;
                        return Ok(Some((seq, row)));
                    }
                }
                Ok(None)
            }
        }
    }
}
