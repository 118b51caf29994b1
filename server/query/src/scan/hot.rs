//! Rows of USER and SHARED tables: by range of sequence numbers or by key.

use kalam_model::{RowKey, SeqId};
use kalam_store::hot::{self, Direction};
use kalam_store::{Error, Slice, Snapshot};

use crate::pushdown::SeqRange;

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
            let live = hot::live_seq(snapshot, slice, key)?;
            seqs.extend(live.filter(|seq| (range.first..=range.last).contains(seq)));
        }
        seqs.sort_unstable();
        seqs.dedup();
        if direction == Direction::Reverse {
            seqs.reverse();
        }
        Ok(Self::Keys {
            snapshot: snapshot.clone(),
            slice: slice.clone(),
            seqs: seqs.into_iter(),
            row: Vec::new(),
        })
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
