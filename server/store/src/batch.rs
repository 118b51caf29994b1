//! Batch: everything that one or more commands write, committed at once (I3).
//!
//! An ordered overlay over the database: reads through it see its own writes, so that each command sees those before it.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow, Range};
use std::sync::Arc;

use rocksdb::{ReadOptions, WriteBatch, WriteOptions};

use crate::db::{Family, Inner, Reader, Visit};
use crate::error::Error;

/// Whether a commit waits until it is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    Yes,
    No,
}

/// Pending writes over the newest state of the database. Only the store's one writer uses batches.
pub struct Batch {
    inner: Arc<Inner>,
    overlays: [Overlay; Family::ALL.len()],
    /// What takes the overlays back to the savepoint, in the order of the changes.
    undo: Option<Vec<Undo>>,
}

#[derive(Default)]
struct Overlay {
    /// `None` is a deleted key.
    entries: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// Deleted in the database; `entries` are newer.
    deleted: Vec<Range<Vec<u8>>>,
}

enum Undo {
    Entry {
        family: Family,
        key: Vec<u8>,
        previous: Option<Option<Vec<u8>>>,
    },
    Range {
        family: Family,
        removed: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    },
}

impl Batch {
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        Self {
            inner,
            overlays: Default::default(),
            undo: None,
        }
    }

    /// Where [`rollback_to_savepoint`](Self::rollback_to_savepoint) goes back to. Replaces an earlier savepoint.
    pub fn savepoint(&mut self) {
        self.undo.get_or_insert_default().clear();
    }

    /// Takes back every write since the savepoint, which stays; without one, every write.
    pub fn rollback_to_savepoint(&mut self) {
        let Some(undo) = &mut self.undo else {
            self.overlays = Default::default();
            return;
        };
        for step in undo.drain(..).rev() {
            match step {
                Undo::Entry {
                    family,
                    key,
                    previous,
                } => {
                    let entries = &mut self.overlays[family as usize].entries;
                    match previous {
                        Some(entry) => entries.insert(key, entry),
                        None => entries.remove(&key),
                    };
                }
                Undo::Range {
                    family,
                    mut removed,
                } => {
                    let overlay = &mut self.overlays[family as usize];
                    overlay.deleted.pop();
                    overlay.entries.append(&mut removed);
                }
            }
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.touched().next().is_none()
    }

    /// The families that have writes.
    pub fn touched(&self) -> impl Iterator<Item = Family> + '_ {
        Family::ALL.into_iter().filter(|family| {
            let overlay = &self.overlays[*family as usize];
            !overlay.entries.is_empty() || !overlay.deleted.is_empty()
        })
    }

    pub(crate) fn put(&mut self, family: Family, key: Vec<u8>, value: Vec<u8>) {
        self.set(family, key, Some(value));
    }

    pub(crate) fn delete(&mut self, family: Family, key: Vec<u8>) {
        self.set(family, key, None);
    }

    /// Deletes every key of a range.
    pub(crate) fn delete_range(&mut self, family: Family, range: Range<Vec<u8>>) {
        if range.start >= range.end {
            return;
        }
        let overlay = &mut self.overlays[family as usize];
        let mut removed = overlay.entries.split_off(&range.start);
        overlay.entries.append(&mut removed.split_off(&range.end));
        overlay.deleted.push(range);
        if let Some(undo) = &mut self.undo {
            undo.push(Undo::Range { family, removed });
        }
    }

    /// Writes everything at once. An empty batch writes nothing.
    pub fn commit(self, sync: Sync) -> Result<(), Error> {
        if self.is_empty() {
            return Ok(());
        }
        let mut writes = WriteBatch::default();
        for family in Family::ALL {
            let handle = self.inner.family(family);
            let overlay = &self.overlays[family as usize];
            for range in &overlay.deleted {
                writes.delete_range_cf(handle, &range.start, &range.end);
            }
            for (key, entry) in &overlay.entries {
                match entry {
                    Some(value) => writes.put_cf(handle, key, value),
                    None => writes.delete_cf(handle, key),
                }
            }
        }
        let mut options = WriteOptions::default();
        options.set_sync(sync == Sync::Yes);
        self.inner
            .database
            .write_opt(writes, &options)
            .map_err(Error::from_write)
    }

    fn set(&mut self, family: Family, key: Vec<u8>, entry: Option<Vec<u8>>) {
        let entries = &mut self.overlays[family as usize].entries;
        match &mut self.undo {
            Some(undo) => {
                let previous = entries.insert(key.clone(), entry);
                undo.push(Undo::Entry {
                    family,
                    key,
                    previous,
                });
            }
            None => {
                entries.insert(key, entry);
            }
        }
    }
}

impl Overlay {
    /// Whether the database's own value of the key no longer counts.
    fn hides(&self, key: &[u8]) -> bool {
        self.deleted
            .iter()
            .any(|range| range.start.as_slice() <= key && key < range.end.as_slice())
    }
}

impl Reader for Batch {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let overlay = &self.overlays[family as usize];
        if let Some(entry) = overlay.entries.get(key) {
            return Ok(entry.clone());
        }
        if overlay.hides(key) {
            return Ok(None);
        }
        self.inner
            .database
            .get_cf(self.inner.family(family), key)
            .map_err(Error::Read)
    }

    fn scan(
        &self,
        family: Family,
        range: Range<&[u8]>,
        visit: &mut Visit<'_>,
    ) -> Result<(), Error> {
        if range.start >= range.end {
            return Ok(());
        }
        let overlay = &self.overlays[family as usize];
        let bounds = (Bound::Included(range.start), Bound::Excluded(range.end));
        let mut pending = overlay.entries.range::<[u8], _>(bounds).peekable();
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(range.end);
        let mut stored = self
            .inner
            .database
            .raw_iterator_cf_opt(self.inner.family(family), options);
        stored.seek(range.start);
        while let Some((key, value)) = stored.item() {
            while let Some((own, entry)) = pending.next_if(|(own, _)| own.as_slice() < key) {
                if visit_entry(own, entry.as_deref(), visit)?.is_break() {
                    return Ok(());
                }
            }
            let flow = match pending.next_if(|(own, _)| own.as_slice() == key) {
                Some((own, entry)) => visit_entry(own, entry.as_deref(), visit)?,
                None if overlay.hides(key) => ControlFlow::Continue(()),
                None => visit(key, value)?,
            };
            if flow.is_break() {
                return Ok(());
            }
            stored.next();
        }
        stored.status().map_err(Error::Read)?;
        for (own, entry) in pending {
            if visit_entry(own, entry.as_deref(), visit)?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

fn visit_entry(
    key: &[u8],
    entry: Option<&[u8]>,
    visit: &mut Visit<'_>,
) -> Result<ControlFlow<()>, Error> {
    entry.map_or(Ok(ControlFlow::Continue(())), |value| visit(key, value))
}

#[cfg(test)]
mod tests;
