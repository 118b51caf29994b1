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

use std::collections::BTreeMap;
use std::sync::Arc;

use kalam_model::{Applied, Command, GroupId, Rejection, SeqId, TableDef, TableNumber};
use kalam_store::{Batch, Layouts, Store, hot, meta as store_meta, requests, stream};

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
        })
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
        let result = match command {
            Command::Write(write) => self.write(batch, write),
            Command::PutSchema { table } => self.put_schema(batch, table),
            Command::DropTable { table } => self.forget_table(batch, table),
            Command::PurgeTombstones { table, below } => hot::purge_tombstones(batch, table, below)
                .map(|_| Applied::Done)
                .map_err(Refusal::from),
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
        self.durable = true;
        Ok(Applied::Done)
    }

    fn forget_table(&mut self, batch: &mut Batch, table: TableNumber) -> Result<Applied, Refusal> {
        if !self.schemas.contains_key(&table) {
            return Ok(Applied::Done);
        }
        hot::drop_table(batch, table)?;
        store_meta::SCHEMAS.delete_under(batch, &(GroupId::LOCAL, table))?;
        self.schemas.remove(&table);
        self.durable = true;
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
        }
        Ok(Applied::Done)
    }

    /// The catalog that will be published, for changing it.
    fn change_catalog(&mut self) -> &mut Catalog {
        self.catalog_changed = true;
        Arc::make_mut(&mut self.catalog)
    }
}
