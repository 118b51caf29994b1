//! What one statement or transaction is about to write, before it is ordered.
//!
//! Later statements of a transaction read through it, so that they see the earlier ones. It becomes one command (I3),
//! whose updates and deletes name the versions that they replace (I10).

use std::collections::HashMap;
use std::sync::Arc;

use kalam_engine::{Engine, Table};
use kalam_link_core::SeqId;
use kalam_model::{Mutation, Row, RowKey, Scope, TableKind, TableWrite};
use kalam_store::{Slice, Snapshot, hot, row_codec};

use crate::error::Error;

/// Whether later statements must find what earlier ones wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    OneStatement,
    Transaction,
}

/// Pending writes.
pub(crate) struct Work {
    extent: Extent,
    snapshot: Option<Snapshot>,
    slices: Vec<SliceWork>,
    bytes: usize,
    bytes_max: usize,
}

struct SliceWork {
    table: Arc<Table>,
    scope: Scope,
    slice: Slice,
    /// In the order in which the rows were touched first.
    entries: Vec<Entry>,
    by_key: HashMap<RowKey, usize>,
}

/// One row: what was there and what will be.
struct Entry {
    /// Unknown for rows that nobody looks for.
    key: Option<RowKey>,
    /// The version that is replaced.
    base: Option<SeqId>,
    row: Option<Row>,
    /// The value depends on what was read, so the key is locked while the command is on its way.
    conditional: bool,
}

/// Names a pending row, for numbers that are given out later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    slice: usize,
    entry: usize,
}

/// Index of a slice in a [`Work`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SliceId(usize);

/// A live row.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// `None` if the row was written by this work.
    pub seq: Option<SeqId>,
    pub row: Row,
}

/// A key on whose version the work depends.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    pub slice: Slice,
    pub key: RowKey,
    pub base: Option<SeqId>,
}

/// The writes of a command, and where each pending row stands in it.
pub(crate) struct Sealed {
    pub writes: Vec<TableWrite>,
    tables: Vec<Arc<Table>>,
    offsets: Vec<Vec<Option<u64>>>,
}

impl Sealed {
    /// The place of a row's mutation; `None` if the row did not stay.
    pub fn offset(&self, ticket: Ticket) -> Option<u64> {
        self.offsets
            .get(ticket.slice)?
            .get(ticket.entry)
            .copied()
            .flatten()
    }

    /// The same when nothing will be written: no row has a number.
    pub fn discarded(self) -> Self {
        Self {
            writes: Vec::new(),
            tables: Vec::new(),
            offsets: Vec::new(),
        }
    }

    pub fn tables(&self) -> &[Arc<Table>] {
        &self.tables
    }
}

impl Work {
    pub fn new(extent: Extent, bytes_max: usize) -> Self {
        Self {
            extent,
            snapshot: None,
            slices: Vec::new(),
            bytes: 0,
            bytes_max,
        }
    }

    pub fn extent(&self) -> Extent {
        self.extent
    }

    /// The state that all reads by key of this work see.
    pub fn snapshot(&mut self, engine: &Engine) -> &Snapshot {
        self.snapshot.get_or_insert_with(|| engine.snapshot())
    }

    /// The slice in which rows of `table` will be written.
    pub fn slice(&mut self, table: &Arc<Table>, scope: &Scope) -> SliceId {
        let known =
            |work: &SliceWork| work.table.def.number == table.def.number && work.scope == *scope;
        if let Some(index) = self.slices.iter().position(known) {
            return SliceId(index);
        }
        self.slices.push(SliceWork {
            slice: Slice::new(table.def.number, scope),
            table: Arc::clone(table),
            scope: scope.clone(),
            entries: Vec::new(),
            by_key: HashMap::new(),
        });
        SliceId(self.slices.len() - 1)
    }

    /// Whether rows of the table were written.
    pub fn has_written(&self, table: &Table) -> bool {
        self.slices
            .iter()
            .any(|work| work.table.def.number == table.def.number && !work.entries.is_empty())
    }

    pub fn is_empty(&self) -> bool {
        self.slices.iter().all(|work| work.entries.is_empty())
    }

    /// A new row. Whether its key is free is found out by apply; in a transaction here too, since the row may be changed
    /// or removed again before apply sees it.
    pub fn insert(&mut self, engine: &Engine, id: SliceId, row: Row) -> Result<Ticket, Error> {
        let extent = self.extent;
        let work = &self.slices[id.0];
        if extent == Extent::OneStatement || work.table.def.kind == TableKind::Stream {
            return self.push(
                id,
                Entry {
                    key: None,
                    base: None,
                    row: Some(row),
                    conditional: false,
                },
            );
        }
        let key = key_of(&work.table, &row)?;
        if self.find(engine, id, &key)?.is_some() {
            return Err(Error::PrimaryKey {
                table: self.slices[id.0].table.def.id.to_string(),
                row: None,
            });
        }
        let Some(&entry) = self.slices[id.0].by_key.get(&key) else {
            return self.push(
                id,
                Entry {
                    key: Some(key),
                    base: None,
                    row: Some(row),
                    conditional: false,
                },
            );
        };
        self.grow(row.encoded_bytes())?;
        self.slices[id.0].entries[entry].row = Some(row);
        Ok(Ticket { slice: id.0, entry })
    }

    /// The live row with that key.
    pub fn find(
        &mut self,
        engine: &Engine,
        id: SliceId,
        key: &RowKey,
    ) -> Result<Option<Found>, Error> {
        self.snapshot(engine);
        let work = &self.slices[id.0];
        if let Some(entry) = work.by_key.get(key).map(|&entry| &work.entries[entry]) {
            return Ok(entry.row.clone().map(|row| Found { seq: None, row }));
        }
        let snapshot = self.snapshot.as_ref().expect("it was taken above");
        let found = read_row(snapshot, &work.table, &work.slice, key)?;
        Ok(found.map(|(seq, row)| Found {
            seq: Some(seq),
            row,
        }))
    }

    /// Puts `row` in the place of what [`find`](Self::find) gave for the key: nothing, a stored version or a pending
    /// row. `None` removes.
    pub fn put(
        &mut self,
        id: SliceId,
        key: RowKey,
        base: Option<SeqId>,
        row: Option<Row>,
    ) -> Result<Ticket, Error> {
        if let Some(&entry) = self.slices[id.0].by_key.get(&key) {
            self.grow(row.as_ref().map_or(0, Row::encoded_bytes))?;
            self.slices[id.0].entries[entry].row = row;
            return Ok(Ticket { slice: id.0, entry });
        }
        self.push(
            id,
            Entry {
                key: Some(key),
                base,
                row,
                conditional: true,
            },
        )
    }

    /// Removes a row of a STREAM table, which has no key.
    pub fn remove_seq(&mut self, id: SliceId, seq: SeqId) -> Result<Ticket, Error> {
        self.push(
            id,
            Entry {
                key: None,
                base: Some(seq),
                row: None,
                conditional: false,
            },
        )
    }

    fn push(&mut self, id: SliceId, entry: Entry) -> Result<Ticket, Error> {
        self.grow(entry.row.as_ref().map_or(SEQ_BYTES, Row::encoded_bytes))?;
        let work = &mut self.slices[id.0];
        let index = work.entries.len();
        if let Some(key) = &entry.key {
            work.by_key.insert(key.clone(), index);
        }
        work.entries.push(entry);
        Ok(Ticket {
            slice: id.0,
            entry: index,
        })
    }

    fn grow(&mut self, bytes: usize) -> Result<(), Error> {
        self.bytes += bytes;
        if self.bytes > self.bytes_max {
            return Err(Error::StatementTooLarge {
                bytes_max: self.bytes_max,
            });
        }
        Ok(())
    }

    /// The keys on whose versions the work depends.
    pub fn guards(&self) -> Vec<Guard> {
        let of_slice = |work: &'_ SliceWork| {
            let guard = |entry: &Entry| {
                let key = entry.key.clone().filter(|_| entry.conditional)?;
                Some(Guard {
                    slice: work.slice.clone(),
                    key,
                    base: entry.base,
                })
            };
            work.entries.iter().filter_map(guard).collect::<Vec<_>>()
        };
        self.slices.iter().flat_map(of_slice).collect()
    }

    /// The mutations in order: slice by slice, rows as they were touched first.
    pub fn seal(self) -> Sealed {
        let mut sealed = Sealed {
            writes: Vec::new(),
            tables: Vec::new(),
            offsets: Vec::new(),
        };
        let mut next = 0;
        for work in self.slices {
            let mut mutations = Vec::with_capacity(work.entries.len());
            let mut offsets = Vec::with_capacity(work.entries.len());
            for entry in work.entries {
                let mutation = match (entry.base, entry.row) {
                    (None, Some(row)) => Mutation::Insert { row },
                    (Some(old_seq), Some(row)) => Mutation::Update {
                        old_seq,
                        old: None,
                        row,
                    },
                    (Some(old_seq), None) => Mutation::Delete { old_seq, old: None },
                    (None, None) => {
                        offsets.push(None);
                        continue;
                    }
                };
                offsets.push(Some(next));
                next += 1;
                mutations.push(mutation);
            }
            sealed.offsets.push(offsets);
            if mutations.is_empty() {
                continue;
            }
            sealed.writes.push(TableWrite {
                table: work.table.def.number,
                schema_version: work.table.def.schema_version,
                scope: work.scope,
                manifest_version: None,
                mutations,
            });
            sealed.tables.push(work.table);
        }
        sealed
    }
}

/// What a delete adds to a command.
const SEQ_BYTES: usize = 10;

/// The key of a whole row.
pub(crate) fn key_of(table: &Table, row: &Row) -> Result<RowKey, Error> {
    table
        .layouts
        .key_of(row)
        .ok_or_else(|| Error::internal("a row without key"))
}

/// The live version with that key.
pub(crate) fn read_row(
    snapshot: &Snapshot,
    table: &Table,
    slice: &Slice,
    key: &RowKey,
) -> Result<Option<(SeqId, Row)>, Error> {
    let Some(seq) = hot::live_seq(snapshot, slice, key)? else {
        return Ok(None);
    };
    let bytes =
        hot::get(snapshot, slice, seq)?.ok_or_else(|| Error::internal("a key leads to no row"))?;
    Ok(Some((seq, row_codec::decode(&table.layouts, &bytes)?)))
}
