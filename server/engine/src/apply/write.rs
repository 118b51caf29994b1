//! Rows. All mutations of a command happen or none; the first that cannot stops it.

use std::sync::Arc;

use kalam_model::{
    Applied, Change, ChangeKind, Mutation, Rejection, RequestRecord, Row, RowKey, Scope, SeqId,
    TableKind, TableNumber, TableWrite, WriteCommand, WriteOutcome,
};
use kalam_store::{Batch, Layouts, Slice, hot, requests, row_codec, stream};

use super::{Applier, Refusal};

/// A table as one write sees it.
struct Target<'a> {
    layouts: &'a Layouts,
    number: TableNumber,
    slice: Slice,
    /// Whether subscribers are to learn of its changes. What apply writes does not depend on it (I2).
    watched: bool,
}

impl Applier {
    pub(super) fn write(
        &mut self,
        batch: &mut Batch,
        command: WriteCommand,
    ) -> Result<Applied, Refusal> {
        if let Some(request) = &command.request
            && let Some(earlier) = requests::get(batch, request.slot, &request.user, &request.id)?
        {
            return replay(request, earlier);
        }
        let first = self.last_seq.next(command.time.unix_ms());
        let mut next = first;
        let mut durable = command.request.is_some();
        let mut streams = Vec::new();
        for write in command.writes {
            let layouts = self.check_schema(&write)?;
            if layouts.current().kind == TableKind::Stream {
                streams.push(write.table);
            } else {
                durable = true;
            }
            let target = Target {
                layouts: &layouts,
                number: write.table,
                slice: Slice::new(write.table, &write.scope),
                watched: self.watched.contains(&write.table),
            };
            for mutation in write.mutations {
                let kind = apply_mutation(batch, &target, mutation, next, next.0 - first.0)?;
                if let Some(kind) = kind {
                    self.effects
                        .changes
                        .push(change(&target, &write.scope, next, kind));
                }
                next.0 += 1;
            }
        }
        let outcome = outcome(first, next);
        if let Some(request) = &command.request {
            requests::put(batch, request, command.time, outcome);
        }
        for table in streams {
            self.effects.streams.insert(table, outcome.last_seq);
        }
        self.last_seq = self.last_seq.max(outcome.last_seq);
        self.durable |= durable;
        Ok(Applied::Written(outcome))
    }

    /// The group's own copy decides, so that every replica does alike. There is no cold tier: the manifest of every slice
    /// is at version 0 (I10).
    fn check_schema(&self, write: &TableWrite) -> Result<Arc<Layouts>, Rejection> {
        let table = write.table;
        let layouts = self
            .schemas
            .get(&table)
            .ok_or(Rejection::NoSuchTable { table })?;
        if layouts.current().schema_version != write.schema_version {
            return Err(Rejection::SchemaChanged { table });
        }
        if write.manifest_version.is_some_and(|version| version != 0) {
            return Err(Rejection::Stale);
        }
        Ok(Arc::clone(layouts))
    }
}

fn change(target: &Target<'_>, scope: &Scope, seq: SeqId, kind: ChangeKind) -> Change {
    Change {
        table: Arc::clone(target.layouts.current()),
        scope: scope.clone(),
        seq,
        kind,
    }
}

fn replay(request: &RequestRecord, earlier: requests::StoredRequest) -> Result<Applied, Refusal> {
    if earlier.hash != request.hash {
        return Err(Rejection::RequestMismatch.into());
    }
    Ok(Applied::Replayed {
        outcome: earlier.outcome,
        answer: earlier.answer,
    })
}

fn outcome(first: SeqId, next: SeqId) -> WriteOutcome {
    match next.0 - first.0 {
        0 => WriteOutcome::default(),
        rows => WriteOutcome {
            first_seq: first,
            last_seq: SeqId(next.0 - 1),
            rows,
        },
    }
}

/// Says what changed, if the table is watched.
fn apply_mutation(
    batch: &mut Batch,
    target: &Target<'_>,
    mutation: Mutation,
    seq: SeqId,
    index: u64,
) -> Result<Option<ChangeKind>, Refusal> {
    let is_stream = target.layouts.current().kind == TableKind::Stream;
    match mutation {
        Mutation::Insert { row } if is_stream => {
            target.append(batch, &row, seq)?;
            Ok(target.watched.then_some(ChangeKind::Insert { new: row }))
        }
        Mutation::Insert { row } => {
            target.insert(batch, &row, seq, index)?;
            Ok(target.watched.then_some(ChangeKind::Insert { new: row }))
        }
        Mutation::Update { .. } if is_stream => Err(target.malformed()),
        Mutation::Update { old_seq, row, .. } => target.update(batch, old_seq, row, seq),
        Mutation::Delete { old_seq, .. } if is_stream => target.remove_event(batch, old_seq, seq),
        Mutation::Delete { old_seq, .. } => target.delete(batch, old_seq, seq),
    }
}

impl Target<'_> {
    fn append(&self, batch: &mut Batch, row: &Row, seq: SeqId) -> Result<(), Refusal> {
        let bytes = self.encode(row)?;
        stream::append(batch, &self.slice, self.ttl_seconds(), seq, bytes);
        Ok(())
    }

    /// One live version per key (I5): of two inserts of a key in one commit, the later one finds the earlier.
    fn insert(&self, batch: &mut Batch, row: &Row, seq: SeqId, index: u64) -> Result<(), Refusal> {
        let key = self.key(row)?;
        if hot::live_seq(batch, &self.slice, &key)?.is_some() {
            return Err(Rejection::DuplicateKey {
                table: self.number,
                mutation: index,
            }
            .into());
        }
        let bytes = self.encode(row)?;
        hot::insert(batch, &self.slice, seq, &key, bytes);
        Ok(())
    }

    /// The version that is replaced must be the live one of the row's key (I10).
    fn update(
        &self,
        batch: &mut Batch,
        old_seq: SeqId,
        row: Row,
        seq: SeqId,
    ) -> Result<Option<ChangeKind>, Refusal> {
        let key = self.key(&row)?;
        if hot::live_seq(batch, &self.slice, &key)? != Some(old_seq) {
            return Err(Rejection::Stale.into());
        }
        let bytes = self.encode(&row)?;
        let old = if self.watched {
            Some(self.stored(batch, old_seq)?)
        } else {
            None
        };
        hot::replace(batch, &self.slice, old_seq, seq, &key, bytes);
        Ok(old.map(|old| ChangeKind::Update {
            old_seq,
            old,
            new: row,
        }))
    }

    /// A row is stored under its seq as long as its version is live (I10).
    fn delete(
        &self,
        batch: &mut Batch,
        old_seq: SeqId,
        seq: SeqId,
    ) -> Result<Option<ChangeKind>, Refusal> {
        let old = self.stored(batch, old_seq)?;
        let key = self.key(&old)?;
        hot::remove(batch, &self.slice, old_seq, seq, &key);
        Ok(self.removed(old_seq, old))
    }

    fn stored(&self, batch: &Batch, seq: SeqId) -> Result<Row, Refusal> {
        let stored = hot::get(batch, &self.slice, seq)?.ok_or(Rejection::Stale)?;
        Ok(row_codec::decode(self.layouts, &stored)?)
    }

    /// Leaves a tombstone for subscribers that were away; it ends with the rows of its time.
    fn remove_event(
        &self,
        batch: &mut Batch,
        old_seq: SeqId,
        seq: SeqId,
    ) -> Result<Option<ChangeKind>, Refusal> {
        let stored = stream::get(batch, &self.slice, old_seq)?.ok_or(Rejection::Stale)?;
        let old = row_codec::decode(self.layouts, &stored)?;
        stream::remove(batch, &self.slice, old_seq)?;
        let key = self.layouts.key_of(&old).unwrap_or_default();
        hot::bury(batch, &self.slice, old_seq, seq, &key);
        Ok(self.removed(old_seq, old))
    }

    fn removed(&self, old_seq: SeqId, old: Row) -> Option<ChangeKind> {
        self.watched.then_some(ChangeKind::Delete { old_seq, old })
    }

    /// Every STREAM table has one; a row without would never end.
    fn ttl_seconds(&self) -> u32 {
        self.layouts.current().options.ttl_seconds.unwrap_or(1)
    }

    fn key(&self, row: &Row) -> Result<RowKey, Refusal> {
        self.layouts.key_of(row).ok_or_else(|| self.malformed())
    }

    fn encode(&self, row: &Row) -> Result<Vec<u8>, Refusal> {
        Ok(row_codec::encode(self.layouts, row)?)
    }

    fn malformed(&self) -> Refusal {
        Rejection::Malformed { table: self.number }.into()
    }
}
