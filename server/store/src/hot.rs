//! Live rows by sequence number, the index of their keys, and what is kept of deleted ones.

use std::ops::{Bound, ControlFlow, RangeBounds};

use kalam_link_core::SeqId;
use kalam_model::{RowKey, SLOTS, Slot, TableNumber};

use crate::batch::Batch;
use crate::db::{Family, Reader};
use crate::error::Error;
use crate::key::{self, Slice};
use crate::snapshot::{Cursor, Snapshot};

/// First byte of the values of `keys` and `tombstones`.
const VERSION: u8 = 1;

/// The order of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Forward,
    Reverse,
}

/// What is kept of a deleted row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// Position of the delete.
    pub seq: SeqId,
    /// Position of the version that was deleted.
    pub old_seq: SeqId,
    pub key: RowKey,
}

/// What a table occupies in hot storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableStatistics {
    pub rows: u64,
    /// Keys and rows before compression.
    pub bytes: u64,
    /// Slices that have rows.
    pub scopes: u64,
}

/// Where the row of a key is, if there is one.
pub fn live_seq(reader: &impl Reader, slice: &Slice, key: &RowKey) -> Result<Option<SeqId>, Error> {
    reader
        .get(Family::Keys, &slice.index_key(key))?
        .map(|value| decode_seq(&value))
        .transpose()
}

/// Keys between two bounds, by their encoding or the beginning of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyRange {
    from: Vec<u8>,
    /// Not included; none if there is no upper bound.
    to: Option<Vec<u8>>,
}

impl KeyRange {
    /// Keys that begin with this, or come after those that do.
    pub fn at_least(&mut self, beginning: &RowKey) {
        self.raise(beginning.0.clone());
    }

    /// Keys that come after those that begin with this.
    pub fn above(&mut self, beginning: &RowKey) {
        match key::after_prefix(&beginning.0) {
            Some(from) => self.raise(from),
            None => self.to = Some(Vec::new()),
        }
    }

    /// Keys that come before those that begin with this.
    pub fn below(&mut self, beginning: &RowKey) {
        self.lower(beginning.0.clone());
    }

    /// Keys that begin with this, or come before those that do.
    pub fn at_most(&mut self, beginning: &RowKey) {
        if let Some(to) = key::after_prefix(&beginning.0) {
            self.lower(to);
        }
    }

    /// Whether it leaves nothing out.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.from.is_empty() && self.to.is_none()
    }

    fn raise(&mut self, from: Vec<u8>) {
        if from > self.from {
            self.from = from;
        }
    }

    fn lower(&mut self, to: Vec<u8>) {
        if self.to.as_ref().is_none_or(|old| to < *old) {
            self.to = Some(to);
        }
    }
}

/// Where the rows of the keys of a range are, in key order; `None` if they are more than `limit`.
pub fn seqs_of_keys(
    reader: &impl Reader,
    slice: &Slice,
    range: &KeyRange,
    limit: usize,
) -> Result<Option<Vec<SeqId>>, Error> {
    let from = key::joined(slice.prefix(), &range.from);
    let to = match &range.to {
        Some(to) => key::joined(slice.prefix(), to),
        None => key::prefix_end(slice.prefix()),
    };
    let mut seqs = Vec::new();
    if from >= to {
        return Ok(Some(seqs));
    }
    reader.scan(Family::Keys, &from..&to, &mut |_, value| {
        seqs.push(decode_seq(value)?);
        Ok(if seqs.len() > limit {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    })?;
    Ok((seqs.len() <= limit).then_some(seqs))
}

/// The bytes of a live row.
pub fn get(reader: &impl Reader, slice: &Slice, seq: SeqId) -> Result<Option<Vec<u8>>, Error> {
    reader.get(Family::Rows, &slice.seq_key(seq))
}

/// Adds a row. The caller has checked that its key is free.
pub fn insert(batch: &mut Batch, slice: &Slice, seq: SeqId, key: &RowKey, row: Vec<u8>) {
    batch.put(Family::Rows, slice.seq_key(seq), row);
    batch.put(Family::Keys, slice.index_key(key), encode_seq(seq));
}

/// Puts a new version in the place of a hot one of the same key.
pub fn replace(
    batch: &mut Batch,
    slice: &Slice,
    old_seq: SeqId,
    seq: SeqId,
    key: &RowKey,
    row: Vec<u8>,
) {
    batch.delete(Family::Rows, slice.seq_key(old_seq));
    insert(batch, slice, seq, key, row);
}

/// Removes a hot row and leaves a tombstone.
pub fn remove(batch: &mut Batch, slice: &Slice, old_seq: SeqId, delete_seq: SeqId, key: &RowKey) {
    batch.delete(Family::Rows, slice.seq_key(old_seq));
    batch.delete(Family::Keys, slice.index_key(key));
    bury(batch, slice, old_seq, delete_seq, key);
}

/// Leaves a tombstone. The key of a row without one is empty.
pub fn bury(batch: &mut Batch, slice: &Slice, old_seq: SeqId, delete_seq: SeqId, key: &RowKey) {
    let mut value = encode_seq(old_seq);
    value.extend_from_slice(&key.0);
    batch.put(Family::Tombstones, slice.seq_key(delete_seq), value);
}

/// The first tombstones of a slice with sequence numbers in a range, in order, at most `limit`.
pub fn tombstones(
    reader: &impl Reader,
    slice: &Slice,
    seqs: impl RangeBounds<SeqId>,
    limit: usize,
) -> Result<Vec<Tombstone>, Error> {
    let (from, to) = seq_bounds(slice, seqs);
    let mut found = Vec::new();
    reader.scan(Family::Tombstones, &from..&to, &mut |key, value| {
        if found.len() == limit {
            return Ok(ControlFlow::Break(()));
        }
        found.push(decode_tombstone(key, value)?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// Keys that one call of [`purge_tombstones`] removes at most: bounds the time of one command.
pub const PURGE_KEYS_MAX: usize = 100_000;

/// Removes a table's tombstones below a sequence number, at most [`PURGE_KEYS_MAX`]; says how many.
pub fn purge_tombstones(
    batch: &mut Batch,
    table: TableNumber,
    below: SeqId,
) -> Result<usize, Error> {
    let mut old = Vec::new();
    let mut slots = Slots::new(Family::Tombstones, table);
    while let Some(slot) = slots.next(batch)? {
        let end = key::prefix_end(&key::table_prefix(slot, table));
        let mut from = key::table_prefix(slot, table);
        while old.len() < PURGE_KEYS_MAX {
            match purge_slice(batch, &from..&end, below, &mut old)? {
                Some(next) => from = next,
                None => break,
            }
        }
    }
    let removed = old.len();
    for key in old {
        batch.delete(Family::Tombstones, key);
    }
    Ok(removed)
}

/// Collects the old tombstones of the first slice of a range; gives where the next slice begins.
fn purge_slice(
    batch: &Batch,
    range: std::ops::Range<&Vec<u8>>,
    below: SeqId,
    old: &mut Vec<Vec<u8>>,
) -> Result<Option<Vec<u8>>, Error> {
    let mut slice_end = None;
    batch.scan(Family::Tombstones, range.start..range.end, &mut |key, _| {
        let prefix = &key[..key::slice_bytes(key)?];
        let end = slice_end.get_or_insert_with(|| key::prefix_end(prefix));
        if key >= end.as_slice() || key::seq_of(key)? >= below || old.len() == PURGE_KEYS_MAX {
            return Ok(ControlFlow::Break(()));
        }
        old.push(key.to_vec());
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(slice_end)
}

/// Removes every row, key, tombstone and stream row of a table, in the slots that have some.
pub fn drop_table(batch: &mut Batch, table: TableNumber) -> Result<(), Error> {
    for family in [
        Family::Rows,
        Family::Keys,
        Family::Tombstones,
        Family::Stream,
    ] {
        let mut slots = Slots::new(family, table);
        while let Some(slot) = slots.next(batch)? {
            batch.delete_range(family, key::prefix_range(&key::table_prefix(slot, table)));
        }
    }
    Ok(())
}

/// Counts a table's rows, of one family, by reading them all.
pub fn table_statistics(
    reader: &impl Reader,
    family: Family,
    table: TableNumber,
) -> Result<TableStatistics, Error> {
    let mut statistics = TableStatistics::default();
    let mut slots = Slots::new(family, table);
    let mut scopes = std::collections::BTreeSet::new();
    let skipped = if family == Family::Stream {
        key::BUCKET_BYTES
    } else {
        key::TABLE_BYTES
    };
    while let Some(slot) = slots.next(reader)? {
        let range = key::prefix_range(&key::table_prefix(slot, table));
        reader.scan(family, &range.start..&range.end, &mut |key, row| {
            statistics.rows += 1;
            statistics.bytes += (key.len() + row.len()) as u64;
            let scope = &key[skipped.min(key.len())..key::slice_bytes(key)?.max(skipped)];
            if !scopes.contains(scope) {
                scopes.insert(scope.to_vec());
            }
            Ok(ControlFlow::Continue(()))
        })?;
        statistics.scopes += scopes.len() as u64;
        scopes.clear();
    }
    Ok(statistics)
}

/// Called with each row of a table.
pub type VisitRow<'a> = dyn FnMut(&[u8]) -> Result<ControlFlow<()>, Error> + 'a;

/// Shows every row of a table, whatever its scope, until `visit` breaks. For checks before ALTER.
pub fn visit_table(
    reader: &impl Reader,
    family: Family,
    table: TableNumber,
    visit: &mut VisitRow<'_>,
) -> Result<(), Error> {
    let mut slots = Slots::new(family, table);
    let mut ended = false;
    while let Some(slot) = slots.next(reader)? {
        let range = key::prefix_range(&key::table_prefix(slot, table));
        reader.scan(family, &range.start..&range.end, &mut |_, row| {
            let flow = visit(row)?;
            ended = flow.is_break();
            Ok(flow)
        })?;
        if ended {
            break;
        }
    }
    Ok(())
}

/// Finds the slots in which a table has keys, skipping the others.
pub(crate) struct Slots {
    family: Family,
    table: TableNumber,
    next: u16,
}

impl Slots {
    pub(crate) const fn new(family: Family, table: TableNumber) -> Self {
        Self {
            family,
            table,
            next: 0,
        }
    }

    pub(crate) fn next(&mut self, reader: &impl Reader) -> Result<Option<Slot>, Error> {
        while self.next < SLOTS {
            let from = key::table_prefix(Slot(self.next), self.table);
            let mut found = None;
            reader.scan(self.family, &from..&SLOTS.to_be_bytes(), &mut |key, _| {
                found = Some(key::slot_and_table(key)?);
                Ok(ControlFlow::Break(()))
            })?;
            let Some((slot, table)) = found else {
                self.next = SLOTS;
                break;
            };
            if table == self.table {
                self.next = slot.0 + 1;
                return Ok(Some(slot));
            }
            // The key found is another table's: either before ours in a later slot, or after ours.
            self.next = if table < self.table {
                slot.0
            } else {
                slot.0 + 1
            };
        }
        Ok(None)
    }
}

/// The live rows of a slice in sequence order, read as far as asked for.
pub struct Scan {
    cursor: Cursor,
    direction: Direction,
    position: Position,
}

/// Where a scan stands.
enum Position {
    /// Before its first row, which is found from this key.
    Start(Vec<u8>),
    Row,
    End,
}

impl Scan {
    #[must_use]
    pub fn new(
        snapshot: &Snapshot,
        slice: &Slice,
        seqs: impl RangeBounds<SeqId>,
        direction: Direction,
    ) -> Self {
        let (from, to) = seq_bounds(slice, seqs);
        let cursor = snapshot.cursor(Family::Rows, &from..&to);
        let start = match direction {
            Direction::Forward => from,
            Direction::Reverse => to,
        };
        Self {
            cursor,
            direction,
            position: Position::Start(start),
        }
    }

    /// The next row with its bytes.
    #[allow(clippy::should_implement_trait)] // lends the row
    pub fn next(&mut self) -> Result<Option<(SeqId, &[u8])>, Error> {
        match (&self.position, self.direction) {
            (Position::Start(key), Direction::Forward) => self.cursor.seek(key),
            (Position::Start(key), Direction::Reverse) => self.cursor.seek_back(key),
            (Position::Row, Direction::Forward) => self.cursor.next(),
            (Position::Row, Direction::Reverse) => self.cursor.previous(),
            (Position::End, _) => return Ok(None),
        }
        match self.cursor.item()? {
            Some((key, row)) => {
                self.position = Position::Row;
                Ok(Some((key::seq_of(key)?, row)))
            }
            None => {
                self.position = Position::End;
                Ok(None)
            }
        }
    }
}

/// First key, and the key after the last one.
fn seq_bounds(slice: &Slice, seqs: impl RangeBounds<SeqId>) -> (Vec<u8>, Vec<u8>) {
    let end = || key::prefix_end(slice.prefix());
    let after = |seq: SeqId| {
        seq.0
            .checked_add(1)
            .map_or_else(end, |seq| slice.seq_key(SeqId(seq)))
    };
    let from = match seqs.start_bound() {
        Bound::Included(seq) => slice.seq_key(*seq),
        Bound::Excluded(seq) => after(*seq),
        Bound::Unbounded => slice.prefix().to_vec(),
    };
    let to = match seqs.end_bound() {
        Bound::Included(seq) => after(*seq),
        Bound::Excluded(seq) => slice.seq_key(*seq),
        Bound::Unbounded => end(),
    };
    (from, to)
}

fn encode_seq(seq: SeqId) -> Vec<u8> {
    let mut value = Vec::with_capacity(1 + key::SEQ_BYTES);
    value.push(VERSION);
    value.extend_from_slice(&seq.0.to_be_bytes());
    value
}

fn decode_seq(value: &[u8]) -> Result<SeqId, Error> {
    match split_seq(value)? {
        (seq, []) => Ok(seq),
        _ => Err(Error::corrupt("key entry", "has bytes left over")),
    }
}

fn decode_tombstone(key: &[u8], value: &[u8]) -> Result<Tombstone, Error> {
    let (old_seq, row_key) = split_seq(value)?;
    Ok(Tombstone {
        seq: key::seq_of(key)?,
        old_seq,
        key: RowKey(row_key.to_vec()),
    })
}

fn split_seq(value: &[u8]) -> Result<(SeqId, &[u8]), Error> {
    let (VERSION, rest) = value
        .split_first()
        .ok_or(EMPTY)
        .map(|(version, rest)| (*version, rest))?
    else {
        return Err(Error::corrupt("key entry", "has an unknown version"));
    };
    let (seq, rest) = rest
        .split_first_chunk::<{ key::SEQ_BYTES }>()
        .ok_or(EMPTY)?;
    Ok((SeqId(u64::from_be_bytes(*seq)), rest))
}

const EMPTY: Error = Error::corrupt("key entry", "is too short");

#[cfg(test)]
mod tests;
