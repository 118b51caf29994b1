//! Snapshot: one consistent, pinned state of the database (I4).

use std::ops::Range;
use std::sync::Arc;

use rocksdb::{DBRawIteratorWithThreadMode, ReadOptions, SnapshotWithThreadMode};

use crate::db::{Database, Family, Inner, Reader, Visit};
use crate::error::Error;

/// The state of the database at one moment. Cheap to clone; files and memory stay pinned until the last clone is gone.
#[derive(Clone)]
pub struct Snapshot {
    pinned: Arc<Pinned>,
}

struct Pinned {
    /// Borrows from `inner`; declared first, so that it is dropped first.
    snapshot: SnapshotWithThreadMode<'static, Database>,
    inner: Arc<Inner>,
}

impl Snapshot {
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        let database = std::ptr::from_ref(&inner.database);
        // SAFETY: the database lives inside the `Arc`, so it neither moves nor ends before `inner` is dropped, and
        // `Pinned` drops the snapshot before `inner`. The reference is not handed out.
        let snapshot = SnapshotWithThreadMode::new(unsafe { &*database });
        Self {
            pinned: Arc::new(Pinned { snapshot, inner }),
        }
    }

    /// A cursor over the keys of a range. It stands nowhere until it is sent somewhere.
    pub(crate) fn cursor(&self, family: Family, range: Range<&[u8]>) -> Cursor {
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(range.start);
        options.set_iterate_upper_bound(range.end);
        let family = self.pinned.inner.family(family);
        let iterator = self.pinned.snapshot.raw_iterator_cf_opt(family, options);
        // SAFETY: the iterator borrows the snapshot and the database. Both are owned by `pinned`, which the cursor
        // holds and drops after the iterator.
        let iterator = unsafe {
            std::mem::transmute::<
                DBRawIteratorWithThreadMode<'_, Database>,
                DBRawIteratorWithThreadMode<'static, Database>,
            >(iterator)
        };
        Cursor {
            iterator,
            _snapshot: self.clone(),
        }
    }
}

impl Reader for Snapshot {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.pinned
            .snapshot
            .get_cf(self.pinned.inner.family(family), key)
            .map_err(Error::Read)
    }

    fn scan(
        &self,
        family: Family,
        range: Range<&[u8]>,
        visit: &mut Visit<'_>,
    ) -> Result<(), Error> {
        let start = range.start.to_vec();
        let mut cursor = self.cursor(family, range);
        cursor.seek(&start);
        while let Some((key, value)) = cursor.item()? {
            if visit(key, value)?.is_break() {
                break;
            }
            cursor.next();
        }
        Ok(())
    }
}

/// A key and its value, where they lie.
pub(crate) type Item<'a> = (&'a [u8], &'a [u8]);

/// A position in a range of keys of a snapshot.
pub(crate) struct Cursor {
    /// Borrows from `_snapshot`; declared first, so that it is dropped first.
    iterator: DBRawIteratorWithThreadMode<'static, Database>,
    _snapshot: Snapshot,
}

impl Cursor {
    /// To the first key that is not below `key`.
    pub(crate) fn seek(&mut self, key: &[u8]) {
        self.iterator.seek(key);
    }

    /// To the last key that is not above `key`.
    pub(crate) fn seek_back(&mut self, key: &[u8]) {
        self.iterator.seek_for_prev(key);
    }

    pub(crate) fn next(&mut self) {
        self.iterator.next();
    }

    pub(crate) fn previous(&mut self) {
        self.iterator.prev();
    }

    /// Where the cursor stands; `None` outside of the range.
    pub(crate) fn item(&self) -> Result<Option<Item<'_>>, Error> {
        match self.iterator.item() {
            Some(item) => Ok(Some(item)),
            None => self.iterator.status().map(|()| None).map_err(Error::Read),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn snapshots_and_scans_go_to_other_threads() {
        fn check<T: Send + Sync + 'static>() {}
        check::<super::Snapshot>();
        check::<crate::Store>();
        check::<crate::HotScan>();
        check::<crate::StreamScan>();
    }
}
