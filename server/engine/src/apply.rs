//! Applies commands: `(state, command) -> (batch, answer)`. Deterministic (I2): reads no clock, draws nothing, walks no
//! unordered collection, and touches only keys of the command's own group.
//!
//! Each command runs in a savepoint of the batch, so a rejected one leaves no trace (I3) and each sees those before it.
//! What is in memory changes last, after everything that can fail.

mod ddl;
mod meta;
mod reconcile;
mod user;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kalam_model::{Applied, Command, GroupId, Rejection, SeqId, TableDef, TableNumber};
use kalam_store::meta::{self as store_meta, TableFloors};
use kalam_store::{Batch, Layouts, Store, hot, requests, stream};

pub(crate) use reconcile::reconcile;

use crate::catalog::Catalog;
use crate::error::Error;
use crate::published::Effects;

/// Why a command came to nothing: everything that it put into the batch is taken back.
enum Refusal {
    Rejected(Rejection),
    Failed(Error),
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl From<kalam_store::Error> for Refusal {
    fn from(error: kalam_store::Error) -> Self {
        Self::Failed(Error::Store(error))
    }
}

/// The groups of this node, with those parts of their state that are kept in memory. All of it can be read from the
/// database again.
pub struct Applier {
    /// What will be published with the next commit.
    catalog: Arc<Catalog>,
    catalog_changed: bool,
    /// The data group's copies of the schemas.
    schemas: BTreeMap<TableNumber, Arc<Layouts>>,
    /// Of the data group (I1).
    last_seq: SeqId,
    last_seq_stored: SeqId,
    /// Whether the batch holds something that must outlive a power cut.
    durable: bool,
    effects: Effects,
    /// Tables whose changes are collected in the effects.
    watched: Arc<BTreeSet<TableNumber>>,
}

impl Applier {
    /// From what is stored.
    pub fn load(store: &Store) -> Result<Self, Error> {
        let snapshot = store.snapshot();
        let mut versions = BTreeMap::<TableNumber, Vec<TableDef>>::new();
        for def in store_meta::SCHEMAS.under(&snapshot, &GroupId::LOCAL)? {
            versions.entry(def.number).or_default().push(def);
        }
        let last_seq = store_meta::LAST_SEQ
            .get(&snapshot, &GroupId::LOCAL)?
            .unwrap_or_default();
        Ok(Self {
            catalog: Arc::new(Catalog::load(&snapshot)?),
            catalog_changed: false,
            schemas: versions
                .into_iter()
                .map(|(number, defs)| (number, Arc::new(Layouts::new(defs))))
                .collect(),
            last_seq,
            last_seq_stored: last_seq,
            durable: false,
            effects: Effects::default(),
            watched: Arc::default(),
        })
    }

    /// Collects the changes of these tables in the effects, from the next command on.
    pub fn watch(&mut self, tables: Arc<BTreeSet<TableNumber>>) {
        self.watched = tables;
    }

    /// The catalog with every change so far, also of the batch that is not committed yet.
    #[must_use]
    pub fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.catalog)
    }

    /// The newest sequence number of the data group.
    #[must_use]
    pub fn last_seq(&self) -> SeqId {
        self.last_seq
    }

    /// Applies one command on top of those that are in the batch already. An error says that reading failed; nothing of
    /// the command is in the batch then.
    pub fn apply(&mut self, batch: &mut Batch, command: Command) -> Result<Applied, Error> {
        batch.savepoint();
        let changes_before = self.effects.changes.len();
        let result = match command {
            Command::Write(write) => self.write(batch, write),
            Command::PutSchema { table } => self.put_schema(batch, table),
            Command::DropTable { table } => self.forget_table(batch, table),
            Command::PurgeTombstones { table, below } => self.purge_tombstones(batch, table, below),
            Command::ExpireStream { table, below } => self.expire_stream(batch, table, below),
            Command::PurgeRequests { before } => requests::purge(batch, before)
                .map(|_| Applied::Done)
                .map_err(Refusal::from),
            Command::Meta(command) => self.apply_meta(batch, command),
        };
        match result {
            Ok(applied) => Ok(applied),
            Err(refusal) => {
                batch.rollback_to_savepoint();
                self.effects.changes.truncate(changes_before);
                match refusal {
                    Refusal::Rejected(rejection) => Ok(Applied::Rejected(rejection)),
                    Refusal::Failed(error) => Err(error),
                }
            }
        }
    }

    /// Completes the batch of one or many commands; then it is committed, or everything in memory is loaded again.
    pub fn finish(&mut self, batch: &mut Batch) -> Effects {
        if self.last_seq != self.last_seq_stored {
            store_meta::LAST_SEQ.put(batch, &GroupId::LOCAL, &self.last_seq);
            self.last_seq_stored = self.last_seq;
        }
        let mut effects = std::mem::take(&mut self.effects);
        effects.durable = std::mem::take(&mut self.durable);
        if std::mem::take(&mut self.catalog_changed) {
            Arc::make_mut(&mut self.catalog).next_version();
            effects.catalog = Some(Arc::clone(&self.catalog));
        }
        effects
    }

    /// The schema by which the data group checks the table's writes.
    fn put_schema(&mut self, batch: &mut Batch, table: TableDef) -> Result<Applied, Refusal> {
        let number = table.number;
        let layouts = match self.schemas.get(&number) {
            Some(known) if known.current().schema_version >= table.schema_version => {
                return Ok(Applied::Done);
            }
            Some(known) => known.with(table.clone()),
            None => Layouts::new(vec![table.clone()]),
        };
        store_meta::SCHEMAS.put(
            batch,
            &(GroupId::LOCAL, number, table.schema_version),
            &table,
        );
        self.schemas.insert(number, Arc::new(layouts));
        // A position of its own, so that whoever has read until before it is told of the new schema (I6).
        self.last_seq = SeqId(self.last_seq.0 + 1);
        let floors = store_meta::TABLE_FLOORS.get(batch, &number)?;
        let floors = TableFloors {
            schema: self.last_seq,
            ..floors.unwrap_or_default()
        };
        store_meta::TABLE_FLOORS.put(batch, &number, &floors);
        self.durable = true;
        Ok(Applied::Done)
    }

    fn forget_table(&mut self, batch: &mut Batch, table: TableNumber) -> Result<Applied, Refusal> {
        if !self.schemas.contains_key(&table) {
            return Ok(Applied::Done);
        }
        hot::drop_table(batch, table)?;
        store_meta::SCHEMAS.delete_under(batch, &(GroupId::LOCAL, table))?;
        store_meta::TABLE_FLOORS.delete(batch, &table);
        self.schemas.remove(&table);
        self.durable = true;
        Ok(Applied::Done)
    }

    /// Who resumes below a removed tombstone would miss the delete, and so loads anew (I6).
    fn purge_tombstones(
        &mut self,
        batch: &mut Batch,
        table: TableNumber,
        below: SeqId,
    ) -> Result<Applied, Refusal> {
        if self.schemas.contains_key(&table) && hot::purge_tombstones(batch, table, below)? > 0 {
            let floors = store_meta::TABLE_FLOORS.get(batch, &table)?;
            let floors = TableFloors {
                tombstones: below,
                ..floors.unwrap_or_default()
            };
            store_meta::TABLE_FLOORS.put(batch, &table, &floors);
        }
        Ok(Applied::Done)
    }

    /// Not durable: what comes back after a power cut is expired again.
    fn expire_stream(
        &mut self,
        batch: &mut Batch,
        table: TableNumber,
        below: SeqId,
    ) -> Result<Applied, Refusal> {
        if self.schemas.contains_key(&table) {
            stream::expire(batch, table, below)?;
            // Whoever missed the delete of such a row sees it expire.
            hot::purge_tombstones(batch, table, below)?;
        }
        Ok(Applied::Done)
    }

    /// The catalog that will be published, for changing it.
    fn change_catalog(&mut self) -> &mut Catalog {
        self.catalog_changed = true;
        Arc::make_mut(&mut self.catalog)
    }
}
