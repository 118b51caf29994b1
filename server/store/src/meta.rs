//! Typed records of the system: catalog, users, settings, counters, and what each group keeps about itself.
//!
//! A [`Space`] is one kind of record. A record is a version byte and MessagePack with named fields, so that fields with
//! a default can be added without a new version.

use std::marker::PhantomData;
use std::ops::ControlFlow;

use kalam_link_core::{SeqId, UserId};
use kalam_model::{
    AuditRecord, GroupId, Namespace, NamespaceDef, RefreshFamily, TableDef, TableId, TableNumber,
    Timestamp, UserRecord, ViewDef,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::db::{Family, Reader};
use crate::error::Error;
use crate::key;

/// First byte of every record.
const VERSION: u8 = 1;

const FORMAT: Space<Whole, u32> = Space::new(1, "format version");

/// Namespaces by name.
pub const NAMESPACES: Space<Namespace, NamespaceDef> = Space::new(2, "namespace");
/// Tables by name, as they are now.
pub const TABLES: Space<TableId, TableDef> = Space::new(3, "table");
/// Every version of every table that was not dropped, in order of table and version.
pub const TABLE_HISTORY: Space<(TableNumber, u32), TableDef> = Space::new(4, "table version");
/// Views by name.
pub const VIEWS: Space<TableId, ViewDef> = Space::new(5, "view");
/// Accounts by name, also deleted ones.
pub const USERS: Space<UserId, UserRecord> = Space::new(6, "user");
/// Refresh token families by id.
pub const REFRESH_FAMILIES: Space<str, RefreshFamily> = Space::new(7, "refresh family");
/// The audit log in order of time. Written by [`append_audit`].
pub const AUDIT: Space<(Timestamp, u64), AuditRecord> = Space::new(8, "audit record");
/// Settings by name.
pub const SETTINGS: Space<str, (String, String)> = Space::new(9, "setting");
/// Counters by name: the next number to give out.
pub const COUNTERS: Space<str, u64> = Space::new(10, "counter");
/// A group's own copies of schemas, every version.
pub const SCHEMAS: Space<(GroupId, TableNumber, u32), TableDef> = Space::new(11, "schema copy");
/// The last sequence number that a group gave out (I1).
pub const LAST_SEQ: Space<GroupId, SeqId> = Space::new(12, "last sequence number");
/// The index of the last log entry that a group applied (I3).
pub const APPLIED: Space<GroupId, u64> = Space::new(13, "applied index");

/// Below this a group cannot tell what has changed since: whoever resumes there loads anew (I6).
pub const RESUME_FLOOR: Space<GroupId, SeqId> = Space::new(14, "resume floor");
/// The same for one table.
pub const TABLE_FLOORS: Space<TableNumber, TableFloors> =
    Space::new(15, "resume floors of a table");
/// Whether the last run that did not sync each commit has ended in order.
pub const RELAXED_RUN: Space<Whole, bool> = Space::new(16, "mark of a relaxed run");

/// Name in [`COUNTERS`] of the next table number.
pub const TABLE_COUNTER: &str = "table";
/// Name in [`COUNTERS`] of the next number of an audit record.
pub const AUDIT_COUNTER: &str = "audit";

/// Below which sequence numbers a reader of a table cannot go on from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableFloors {
    /// Tombstones below it were removed.
    pub tombstones: SeqId,
    /// The table got its current schema here.
    pub schema: SeqId,
}

/// All records of one kind.
pub struct Space<K: ?Sized, V> {
    tag: u8,
    /// Names the record in errors.
    what: &'static str,
    types: PhantomData<fn(&K) -> V>,
}

impl<K: MetaKey + ?Sized, V: Serialize + DeserializeOwned> Space<K, V> {
    const fn new(tag: u8, what: &'static str) -> Self {
        Self {
            tag,
            what,
            types: PhantomData,
        }
    }

    pub fn get(&self, reader: &impl Reader, key: &K) -> Result<Option<V>, Error> {
        let record = reader.get(Family::Meta, &self.key(key))?;
        record.map(|bytes| decode(self.what, &bytes)).transpose()
    }

    pub fn put(&self, batch: &mut Batch, key: &K, value: &V) {
        batch.put(Family::Meta, self.key(key), encode(value));
    }

    pub fn delete(&self, batch: &mut Batch, key: &K) {
        batch.delete(Family::Meta, self.key(key));
    }

    /// Every record, in key order.
    pub fn all(&self, reader: &impl Reader) -> Result<Vec<V>, Error> {
        self.under(reader, &Whole)
    }

    /// The records whose keys begin with `first`, in key order.
    pub fn under(&self, reader: &impl Reader, first: &impl PrefixOf<K>) -> Result<Vec<V>, Error> {
        let mut found = Vec::new();
        self.visit(reader, first, |value| {
            found.push(value);
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }

    /// At most `limit` records whose keys follow `after`, or the first ones, in key order.
    pub fn page(
        &self,
        reader: &impl Reader,
        after: Option<&K>,
        limit: usize,
    ) -> Result<Vec<V>, Error> {
        let all = key::prefix_range(&self.key(&Whole));
        // The smallest bytes above a key are the key and a zero.
        let from = after.map_or(all.start, |after| key::joined(&self.key(after), &[0]));
        let mut found = Vec::new();
        reader.scan(Family::Meta, &from..&all.end, &mut |_, bytes| {
            if found.len() == limit {
                return Ok(ControlFlow::Break(()));
            }
            found.push(decode(self.what, bytes)?);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }

    /// Reads records whose keys begin with `first`, in key order, until the visitor breaks.
    pub fn visit(
        &self,
        reader: &impl Reader,
        first: &impl PrefixOf<K>,
        mut visit: impl FnMut(V) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let range = key::prefix_range(&self.key(first));
        reader.scan(Family::Meta, &range.start..&range.end, &mut |_, bytes| {
            Ok(visit(decode(self.what, bytes)?))
        })
    }

    /// Deletes the records whose keys begin with `first`.
    pub fn delete_under(&self, batch: &mut Batch, first: &impl PrefixOf<K>) -> Result<(), Error> {
        let mut keys = Vec::new();
        let range = key::prefix_range(&self.key(first));
        batch.scan(Family::Meta, &range.start..&range.end, &mut |key, _| {
            keys.push(key.to_vec());
            Ok(ControlFlow::Continue(()))
        })?;
        for key in keys {
            batch.delete(Family::Meta, key);
        }
        Ok(())
    }

    fn key(&self, key: &(impl MetaKey + ?Sized)) -> Vec<u8> {
        let mut bytes = vec![self.tag];
        key.push_to(&mut bytes);
        bytes
    }
}

/// Adds a line to the audit log.
pub fn append_audit(batch: &mut Batch, record: &AuditRecord) -> Result<(), Error> {
    let number = next_number(batch, AUDIT_COUNTER)?;
    AUDIT.put(batch, &(record.at, number), record);
    Ok(())
}

/// Takes the next number of a counter; the first is 1.
pub fn next_number(batch: &mut Batch, counter: &str) -> Result<u64, Error> {
    let number = COUNTERS.get(batch, counter)?.unwrap_or(1);
    COUNTERS.put(batch, counter, &(number + 1));
    Ok(number)
}

/// Removes audit records older than `before`.
pub fn purge_audit(batch: &mut Batch, before: Timestamp) -> Result<(), Error> {
    let range = AUDIT.key(&Whole)..AUDIT.key(&(before, 0_u64));
    let mut keys = Vec::new();
    batch.scan(Family::Meta, &range.start..&range.end, &mut |key, _| {
        keys.push(key.to_vec());
        Ok(ControlFlow::Continue(()))
    })?;
    for key in keys {
        batch.delete(Family::Meta, key);
    }
    Ok(())
}

/// Removes refresh families that ended before `before`.
pub fn purge_refresh_families(batch: &mut Batch, before: Timestamp) -> Result<(), Error> {
    let ended = REFRESH_FAMILIES
        .all(batch)?
        .into_iter()
        .filter(|family| family.expires_at < before);
    for family in ended {
        REFRESH_FAMILIES.delete(batch, &family.id);
    }
    Ok(())
}

pub(crate) fn format_version(reader: &impl Reader) -> Result<Option<u32>, Error> {
    FORMAT.get(reader, &Whole)
}

pub(crate) fn put_format_version(batch: &mut Batch, version: u32) {
    FORMAT.put(batch, &Whole, &version);
}

pub(crate) fn encode(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    rmp_serde::encode::write_named(&mut bytes, value)
        .expect("records are plain data, and writing to memory does not fail");
    bytes
}

pub(crate) fn decode<V: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<V, Error> {
    let Some((&VERSION, body)) = bytes.split_first() else {
        return Err(Error::corrupt(what, "unknown version"));
    };
    rmp_serde::from_slice(body).map_err(|_| Error::corrupt(what, "not the expected record"))
}

/// Key of a record, as bytes in the order of the keys.
pub trait MetaKey {
    fn push_to(&self, bytes: &mut Vec<u8>);
}

/// The beginning of a key.
pub trait PrefixOf<K: ?Sized>: MetaKey {}

/// The beginning of every key.
pub struct Whole;

impl MetaKey for Whole {
    fn push_to(&self, _: &mut Vec<u8>) {}
}

impl<K: ?Sized> PrefixOf<K> for Whole {}

impl MetaKey for str {
    fn push_to(&self, bytes: &mut Vec<u8>) {
        key::push_text(bytes, self.as_bytes());
    }
}

impl MetaKey for Namespace {
    fn push_to(&self, bytes: &mut Vec<u8>) {
        self.as_str().push_to(bytes);
    }
}

impl MetaKey for TableId {
    fn push_to(&self, bytes: &mut Vec<u8>) {
        self.namespace.push_to(bytes);
        self.name.push_to(bytes);
    }
}

impl PrefixOf<TableId> for Namespace {}

impl MetaKey for UserId {
    fn push_to(&self, bytes: &mut Vec<u8>) {
        self.as_str().push_to(bytes);
    }
}

impl MetaKey for u32 {
    fn push_to(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.to_be_bytes());
    }
}

impl MetaKey for u64 {
    fn push_to(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.to_be_bytes());
    }
}

impl MetaKey for TableNumber {
    fn push_to(&self, bytes: &mut Vec<u8>) {
        self.0.push_to(bytes);
    }
}

impl PrefixOf<(TableNumber, u32)> for TableNumber {}

impl MetaKey for Timestamp {
    fn push_to(&self, bytes: &mut Vec<u8>) {
        key::flip_64(self.0).push_to(bytes);
    }
}

impl MetaKey for GroupId {
    fn push_to(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Meta => bytes.push(0),
            Self::Data(number) => {
                bytes.push(1);
                bytes.extend_from_slice(&number.to_be_bytes());
            }
        }
    }
}

impl PrefixOf<(GroupId, TableNumber, u32)> for GroupId {}
impl PrefixOf<(GroupId, TableNumber, u32)> for (GroupId, TableNumber) {}

impl<A: MetaKey, B: MetaKey> MetaKey for (A, B) {
    fn push_to(&self, bytes: &mut Vec<u8>) {
        self.0.push_to(bytes);
        self.1.push_to(bytes);
    }
}

impl<A: MetaKey, B: MetaKey, C: MetaKey> MetaKey for (A, B, C) {
    fn push_to(&self, bytes: &mut Vec<u8>) {
        self.0.push_to(bytes);
        self.1.push_to(bytes);
        self.2.push_to(bytes);
    }
}

#[cfg(test)]
mod tests;
