//! Rows of STREAM tables that have not expired.

use kalam_model::SeqId;
use kalam_store::hot::Direction;
use kalam_store::{Error, Slice, Snapshot, StreamScan};

use crate::pushdown::SeqRange;

/// Live rows in the order of their sequence numbers.
pub(super) struct Rows {
    scan: StreamScan,
    last: SeqId,
    direction: Direction,
}

impl Rows {
    pub fn new(
        snapshot: &Snapshot,
        slice: &Slice,
        floor: SeqId,
        range: SeqRange,
        direction: Direction,
    ) -> Result<Self, Error> {
        let scan = StreamScan::new(snapshot, slice, floor.max(range.first), direction)?;
        Ok(Self {
            scan,
            last: range.last,
            direction,
        })
    }

    pub fn next(&mut self) -> Result<Option<(SeqId, &[u8])>, Error> {
        match self.scan.next()? {
            // In reverse order rows above the range come first; the filter, which made the range, drops them.
            Some((seq, row)) if seq <= self.last || self.direction == Direction::Reverse => {
                Ok(Some((seq, row)))
            }
            _ => Ok(None),
        }
    }
}
