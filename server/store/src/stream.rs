//! Rows of STREAM tables, in time buckets that are dropped as a whole when all their rows have expired.
//!
//! A bucket's width depends on the table's TTL when the row was written and is part of the key, so that a changed TTL
//! needs no rewriting: rows of different widths are merged by sequence number when read.

use std::ops::ControlFlow;

use kalam_link_core::SeqId;
use kalam_link_core::ids::{SEQ_COUNTER_BITS, SEQ_EPOCH_MS};
use kalam_model::{Slot, TableNumber, Timestamp};

use crate::batch::Batch;
use crate::db::{Family, Reader};
use crate::error::Error;
use crate::hot::{Direction, Slots};
use crate::key::{self, Bucket, Slice};
use crate::snapshot::{Cursor, Snapshot};

/// Buckets in one TTL. Each costs a reader of a sparse slice one seek, and the disk 1/32 of the TTL more.
const BUCKETS_PER_TTL: u64 = 32;

/// No bucket is shorter than 2^10 ms: so its number fits into 32 bits until the year 2160.
const EXPONENT_MIN: u8 = 10;

/// Rows below this sequence number have expired.
#[must_use]
pub fn visible_floor(ttl_seconds: u32, now: Timestamp) -> SeqId {
    SeqId::at_time(now.unix_ms().saturating_sub(u64::from(ttl_seconds) * 1_000))
}

/// Adds a row to a table with this TTL.
pub fn append(batch: &mut Batch, slice: &Slice, ttl_seconds: u32, seq: SeqId, row: Vec<u8>) {
    let bucket = bucket_at(exponent_of(ttl_seconds), seq);
    batch.put(Family::Stream, key::stream_key(slice, bucket, seq), row);
}

/// The bytes of a row, whether expired or not.
pub fn get(reader: &impl Reader, slice: &Slice, seq: SeqId) -> Result<Option<Vec<u8>>, Error> {
    for exponent in exponents(reader, slice.slot(), slice.table())? {
        let key = key::stream_key(slice, bucket_at(exponent, seq), seq);
        if let Some(row) = reader.get(Family::Stream, &key)? {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

/// Removes a row; says whether it was there. What is told about it is [`hot::bury`](crate::hot::bury)'s.
pub fn remove(batch: &mut Batch, slice: &Slice, seq: SeqId) -> Result<bool, Error> {
    for exponent in exponents(batch, slice.slot(), slice.table())? {
        let key = key::stream_key(slice, bucket_at(exponent, seq), seq);
        if batch.get(Family::Stream, &key)?.is_some() {
            batch.delete(Family::Stream, key);
            return Ok(true);
        }
    }
    Ok(false)
}

/// Removes the buckets that hold only sequence numbers below `below`.
pub fn expire(batch: &mut Batch, table: TableNumber, below: SeqId) -> Result<(), Error> {
    let mut slots = Slots::new(Family::Stream, table);
    while let Some(slot) = slots.next(batch)? {
        for exponent in exponents(batch, slot, table)? {
            let from = key::bucket_prefix(
                slot,
                table,
                Bucket {
                    exponent,
                    number: 0,
                },
            );
            let to = key::bucket_prefix(slot, table, bucket_at(exponent, below));
            if batch.first(Family::Stream, &from..&to)?.is_some() {
                batch.delete_range(Family::Stream, from..to);
            }
        }
    }
    Ok(())
}

/// Milliseconds since 1970 at which the bucket that `seq` has with this TTL ends: from then on a cut removes it.
#[must_use]
pub fn bucket_end_ms(ttl_seconds: u32, seq: SeqId) -> u64 {
    let bucket = bucket_at(exponent_of(ttl_seconds), seq);
    ((u64::from(bucket.number) + 1) << bucket.exponent) + SEQ_EPOCH_MS
}

/// The smallest width of which [`BUCKETS_PER_TTL`] cover the TTL, as a power of two of milliseconds.
fn exponent_of(ttl_seconds: u32) -> u8 {
    let width_ms = (u64::from(ttl_seconds) * 1_000)
        .div_ceil(BUCKETS_PER_TTL)
        .next_power_of_two();
    (width_ms.trailing_zeros() as u8).max(EXPONENT_MIN)
}

fn bucket_at(exponent: u8, seq: SeqId) -> Bucket {
    let number = (seq.0 >> SEQ_COUNTER_BITS)
        .checked_shr(u32::from(exponent))
        .unwrap_or(0);
    Bucket {
        exponent,
        number: u32::try_from(number).unwrap_or(u32::MAX),
    }
}

/// The widths that a table has in a slot: one, unless its TTL was changed.
fn exponents(reader: &impl Reader, slot: Slot, table: TableNumber) -> Result<Vec<u8>, Error> {
    let end = key::prefix_end(&key::table_prefix(slot, table));
    let mut from = key::table_prefix(slot, table);
    let mut found = Vec::new();
    loop {
        let mut next = None;
        reader.scan(Family::Stream, &from..&end, &mut |key, _| {
            next = Some(key::bucket_of(key)?.exponent);
            Ok(ControlFlow::Break(()))
        })?;
        let Some(exponent) = next else {
            return Ok(found);
        };
        found.push(exponent);
        let last = Bucket {
            exponent,
            number: u32::MAX,
        };
        from = key::prefix_end(&key::bucket_prefix(slot, table, last));
    }
}

/// The rows of a slice from a sequence number on, in order, read as far as asked for.
pub struct Scan {
    lanes: Vec<Lane>,
    direction: Direction,
    /// The lane that gave the last row and must step on.
    last: Option<usize>,
}

impl Scan {
    /// `floor` is usually [`visible_floor`].
    pub fn new(
        snapshot: &Snapshot,
        slice: &Slice,
        floor: SeqId,
        direction: Direction,
    ) -> Result<Self, Error> {
        let mut lanes = Vec::new();
        for exponent in exponents(snapshot, slice.slot(), slice.table())? {
            let mut lane = Lane::new(snapshot, slice, exponent, floor);
            lane.start(direction)?;
            lanes.push(lane);
        }
        Ok(Self {
            lanes,
            direction,
            last: None,
        })
    }

    /// The next row with its bytes.
    #[allow(clippy::should_implement_trait)] // lends the row
    pub fn next(&mut self) -> Result<Option<(SeqId, &[u8])>, Error> {
        if let Some(last) = self.last.take() {
            self.lanes[last].step(self.direction)?;
        }
        let waiting = self
            .lanes
            .iter()
            .enumerate()
            .filter_map(|(i, lane)| Some((lane.seq?, i)));
        let first = match self.direction {
            Direction::Forward => waiting.min(),
            Direction::Reverse => waiting.max(),
        };
        let Some((seq, index)) = first else {
            return Ok(None);
        };
        self.last = Some(index);
        Ok(self.lanes[index].cursor.item()?.map(|(_, row)| (seq, row)))
    }
}

/// The rows of a slice in buckets of one width.
struct Lane {
    cursor: Cursor,
    slice: Slice,
    floor: SeqId,
    exponent: u8,
    /// Of the row where the cursor stands; `None` at the end.
    seq: Option<SeqId>,
}

impl Lane {
    fn new(snapshot: &Snapshot, slice: &Slice, exponent: u8, floor: SeqId) -> Self {
        let (slot, table) = (slice.slot(), slice.table());
        let from = key::bucket_prefix(slot, table, bucket_at(exponent, floor));
        let last = Bucket {
            exponent,
            number: u32::MAX,
        };
        let to = key::prefix_end(&key::bucket_prefix(slot, table, last));
        let cursor = snapshot.cursor(Family::Stream, &from..&to);
        Self {
            cursor,
            slice: slice.clone(),
            floor,
            exponent,
            seq: None,
        }
    }

    fn start(&mut self, direction: Direction) -> Result<(), Error> {
        match direction {
            Direction::Forward => self.seek(bucket_at(self.exponent, self.floor).number),
            Direction::Reverse => self.seek_back(u32::MAX),
        }
    }

    fn step(&mut self, direction: Direction) -> Result<(), Error> {
        let Some((key, _)) = self.cursor.item()? else {
            self.seq = None;
            return Ok(());
        };
        let number = key::bucket_of(key)?.number;
        match direction {
            Direction::Forward => {
                self.cursor.next();
                self.settle(number)
            }
            Direction::Reverse => {
                self.cursor.previous();
                self.settle_back(number)
            }
        }
    }

    fn key(&self, number: u32, seq: SeqId) -> Vec<u8> {
        key::stream_key(
            &self.slice,
            Bucket {
                exponent: self.exponent,
                number,
            },
            seq,
        )
    }

    fn seek(&mut self, number: u32) -> Result<(), Error> {
        self.cursor.seek(&self.key(number, self.floor));
        self.settle(number)
    }

    fn seek_back(&mut self, number: u32) -> Result<(), Error> {
        self.cursor.seek_back(&self.key(number, SeqId(u64::MAX)));
        self.settle_back(number)
    }

    /// Goes on to the next row of the slice, if the cursor, coming from bucket `number`, does not stand on one.
    fn settle(&mut self, mut number: u32) -> Result<(), Error> {
        loop {
            let Some(found) = self.look()? else {
                return Ok(());
            };
            let target = if found > number {
                Some(found)
            } else {
                number.checked_add(1)
            };
            let Some(target) = target else {
                self.seq = None;
                return Ok(());
            };
            number = target;
            self.cursor.seek(&self.key(number, self.floor));
        }
    }

    fn settle_back(&mut self, mut number: u32) -> Result<(), Error> {
        loop {
            let Some(found) = self.look()? else {
                return Ok(());
            };
            let target = if found < number {
                Some(found)
            } else {
                number.checked_sub(1)
            };
            let Some(target) = target else {
                self.seq = None;
                return Ok(());
            };
            number = target;
            self.cursor.seek_back(&self.key(number, SeqId(u64::MAX)));
        }
    }

    /// Where the cursor stands: on a row of the slice or at the end (`None`, and `seq` is set), or in which bucket.
    fn look(&mut self) -> Result<Option<u32>, Error> {
        self.seq = None;
        let Some((key, _)) = self.cursor.item()? else {
            return Ok(None);
        };
        let number = key::bucket_of(key)?.number;
        let scope = key.get(key::BUCKET_BYTES..key::slice_bytes(key)?);
        if scope != Some(self.slice.scope_bytes()) {
            return Ok(Some(number));
        }
        let seq = key::seq_of(key)?;
        if seq < self.floor {
            // Only in reverse order, in the oldest bucket: nothing visible is left.
            return Ok(None);
        }
        self.seq = Some(seq);
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
