//! Rows. All mutations of a command happen or none; the first that cannot stops it.

use std::sync::Arc;

use kalam_model::{
    Applied, Mutation, Rejection, RequestRecord, Row, RowKey, SeqId, TableKind, TableNumber,
    TableWrite, WriteCommand, WriteOutcome,
};
use kalam_store::{Batch, Layouts, Slice, hot, requests, row_codec, stream};

use super::{Applier, Refusal};

/// A table as one write sees it.
struct Target<'a> {
    layouts: &'a Layouts,
    number: TableNumber,
    slice: Slice,
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
        for write in &command.writes {
            let layouts = self.check_schema(write)?;
            durable |= layouts.current().kind != TableKind::Stream;
            let target = Target {
                layouts: &layouts,
                number: write.table,
                slice: Slice::new(write.table, &write.scope),
            };
            for mutation in &write.mutations {
                apply_mutation(batch, &target, mutation, next, next.0 - first.0)?;
                next.0 += 1;
            }
        }
        let outcome = outcome(first, next);
        if let Some(request) = &command.request {
            requests::put(batch, request, command.time, outcome);
        }
        self.note_streams(&command, outcome.last_seq);
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

    fn note_streams(&mut self, command: &WriteCommand, last: SeqId) {
        for write in &command.writes {
            let kind = self
                .schemas
                .get(&write.table)
                .map(|layouts| layouts.current().kind);
            if kind == Some(TableKind::Stream) {
                self.effects.streams.insert(write.table, last);
            }
        }
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

fn apply_mutation(
    batch: &mut Batch,
    target: &Target<'_>,
    mutation: &Mutation,
    seq: SeqId,
    index: u64,
) -> Result<(), Refusal> {
    let is_stream = target.layouts.current().kind == TableKind::Stream;
    match mutation {
        Mutation::Insert { row } if is_stream => target.append(batch, row, seq),
        Mutation::Insert { row } => target.insert(batch, row, seq, index),
        Mutation::Update { .. } if is_stream => Err(target.malformed()),
        Mutation::Update { old_seq, row, .. } => target.update(batch, *old_seq, row, seq),
        Mutation::Delete { old_seq, .. } if is_stream => target.remove_event(batch, *old_seq),
        Mutation::Delete { old_seq, .. } => target.delete(batch, *old_seq, seq),
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
        row: &Row,
        seq: SeqId,
    ) -> Result<(), Refusal> {
        let key = self.key(row)?;
        if hot::live_seq(batch, &self.slice, &key)? != Some(old_seq) {
            return Err(Rejection::Stale.into());
        }
        let bytes = self.encode(row)?;
        hot::replace(batch, &self.slice, old_seq, seq, &key, bytes);
        Ok(())
    }

    /// A row is stored under its seq as long as its version is live (I10).
    fn delete(&self, batch: &mut Batch, old_seq: SeqId, seq: SeqId) -> Result<(), Refusal> {
        let stored = hot::get(batch, &self.slice, old_seq)?.ok_or(Rejection::Stale)?;
        let key = self.key(&row_codec::decode(self.layouts, &stored)?)?;
        hot::remove(batch, &self.slice, old_seq, seq, &key);
        Ok(())
    }

    fn remove_event(&self, batch: &mut Batch, old_seq: SeqId) -> Result<(), Refusal> {
        if stream::remove(batch, &self.slice, old_seq)? {
            Ok(())
        } else {
            Err(Rejection::Stale.into())
        }
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
