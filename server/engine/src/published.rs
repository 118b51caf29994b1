//! What readers see of the committed state without asking the database: the catalog and the accounts in use.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use kalam_model::{Change, SeqId, TableNumber, UserId, UserRecord};
use parking_lot::Mutex;
use quick_cache::sync::Cache;

use crate::catalog::Catalog;
use crate::error::Error;

/// Accounts in memory. The others are read when they are asked for.
const USERS_CACHED: usize = 16_384;

/// What a commit means to others than readers of rows: to be published after it.
#[derive(Debug, Default)]
pub struct Effects {
    pub(crate) durable: bool,
    pub(crate) catalog: Option<Arc<Catalog>>,
    pub(crate) users: BTreeSet<UserId>,
    /// STREAM tables that got rows, with the newest sequence number.
    pub(crate) streams: BTreeMap<TableNumber, SeqId>,
    /// What happened to the rows of watched tables, in commit order.
    pub(crate) changes: Vec<Change>,
}

impl Effects {
    /// Whether the commit must reach the disk before it is acknowledged (I12). What expires by itself need not.
    #[must_use]
    pub fn needs_sync(&self) -> bool {
        self.durable
    }
}

pub(crate) struct Published {
    catalog: ArcSwap<Catalog>,
    pub(crate) users: UserCache,
    /// The newest row of each STREAM table that got rows since the start. Lets the retention job leave idle tables alone.
    streams: Mutex<BTreeMap<TableNumber, SeqId>>,
    /// What earlier runs left in a STREAM table is not newer.
    started_at: SeqId,
}

impl Published {
    pub(crate) fn new(catalog: Arc<Catalog>, started_at: SeqId) -> Self {
        Self {
            catalog: ArcSwap::new(catalog),
            users: UserCache::new(),
            streams: Mutex::default(),
            started_at,
        }
    }

    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        self.catalog.load_full()
    }

    /// The table has no row after this.
    pub(crate) fn newest_in_stream(&self, table: TableNumber) -> SeqId {
        self.streams
            .lock()
            .get(&table)
            .copied()
            .unwrap_or(self.started_at)
    }

    /// After the commit, before its commands are answered: whoever got an answer sees what it did.
    pub(crate) fn publish(&self, effects: Effects) {
        if let Some(catalog) = effects.catalog {
            self.streams
                .lock()
                .retain(|table, _| catalog.table_by_number(*table).is_some());
            self.catalog.store(catalog);
        }
        for user in &effects.users {
            self.users.forget(user);
        }
        if !effects.streams.is_empty() {
            self.streams.lock().extend(effects.streams);
        }
    }
}

/// Accounts by name, absent ones included.
pub(crate) struct UserCache {
    users: Cache<UserId, Option<Arc<UserRecord>>>,
    /// Counts the changes, so that a reader never puts back what it read before one.
    changes: Mutex<u64>,
}

impl UserCache {
    fn new() -> Self {
        Self {
            users: Cache::new(USERS_CACHED),
            changes: Mutex::new(0),
        }
    }

    pub(crate) fn get_or_load(
        &self,
        id: &UserId,
        load: impl FnOnce() -> Result<Option<UserRecord>, Error>,
    ) -> Result<Option<Arc<UserRecord>>, Error> {
        if let Some(known) = self.users.get(id) {
            return Ok(known);
        }
        let seen = *self.changes.lock();
        let loaded = load()?.map(Arc::new);
        let changes = self.changes.lock();
        if *changes == seen {
            self.users.insert(id.clone(), loaded.clone());
        }
        Ok(loaded)
    }

    fn forget(&self, id: &UserId) {
        let mut changes = self.changes.lock();
        *changes += 1;
        self.users.remove(id);
    }
}
