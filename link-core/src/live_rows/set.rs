//! Rows by identity and in order, with the older versions that a STREAM table keeps.

use std::sync::Arc;

use super::log::Log;
use super::order::{Term, row_seq};
use super::{Position, RowChange};
use crate::ids::SeqId;
use crate::message::{Change, ChangeType, KeyField, Row, SubscriptionAck};
use crate::sorted::SortedMap;
use crate::value::{Field, FieldFlag};

/// How the rows of a load are told apart, ordered and ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) schema: Vec<Field>,
    order: Vec<Term>,
    /// Empty: rows are told apart by `_seq`.
    key: Vec<Term>,
    pub(super) ttl_ms: Option<u64>,
}

impl Plan {
    pub(super) fn new(ack: &SubscriptionAck) -> Self {
        let mut key: Vec<Term> = ack.key.iter().map(Term::from).collect();
        if key.is_empty() {
            // First-generation servers name the key by flags only.
            key = ack
                .schema
                .iter()
                .filter(|field| field.flags.contains(&FieldFlag::PrimaryKey))
                .map(|field| {
                    Term::from(&KeyField {
                        name: field.name.clone(),
                        data_type: field.data_type,
                    })
                })
                .collect();
        }
        Self {
            schema: ack.schema.clone(),
            order: ack.order_by.iter().map(Term::from).collect(),
            key,
            ttl_ms: ack.ttl_ms,
        }
    }

    /// Whether rows have the same positions under both.
    pub(super) fn places_like(&self, other: &Self) -> bool {
        self.order == other.order && self.key == other.key
    }

    /// What tells a row from the others; `seq` is the `_seq` of the row itself.
    fn identity(&self, row: &Row, seq: SeqId) -> Arc<[u8]> {
        if self.key.is_empty() {
            return seq_identity(seq);
        }
        let mut bytes = Vec::new();
        for term in &self.key {
            term.append(row, &mut bytes);
        }
        Arc::from(bytes)
    }

    fn position(&self, row: &Row, identity: &Arc<[u8]>) -> Position {
        if self.order.is_empty() {
            return Position(Arc::clone(identity));
        }
        let mut bytes = Vec::new();
        for term in &self.order {
            term.append(row, &mut bytes);
        }
        bytes.extend_from_slice(identity);
        Position(Arc::from(bytes))
    }
}

/// Of a row without a key.
fn seq_identity(seq: SeqId) -> Arc<[u8]> {
    Arc::from(seq.0.to_be_bytes())
}

/// The rows of one load and of the changes after it.
#[derive(Clone, Debug, Default)]
pub(super) struct RowSet {
    plan: Plan,
    shown: SortedMap<Position, Arc<Row>>,
    /// Where each identity is shown; empty without an order of its own, since the position is the identity then.
    places: SortedMap<Arc<[u8]>, Position>,
    /// Every row of a STREAM table; empty for other tables.
    versions: Versions,
}

/// Rows of a STREAM table, of which the newest of each identity is shown.
#[derive(Clone, Debug, Default)]
struct Versions {
    by_seq: SortedMap<SeqId, (Arc<[u8]>, Arc<Row>)>,
    /// In order.
    by_identity: SortedMap<Arc<[u8]>, Vec<SeqId>>,
}

impl Versions {
    /// Whether the row is the newest of its identity.
    fn add(&mut self, identity: &Arc<[u8]>, seq: SeqId) -> bool {
        let Some(seqs) = self.by_identity.get_mut(identity) else {
            self.by_identity.insert(Arc::clone(identity), vec![seq]);
            return true;
        };
        match seqs.binary_search(&seq) {
            Ok(index) => index + 1 == seqs.len(),
            Err(index) => {
                seqs.insert(index, seq);
                index + 1 == seqs.len()
            }
        }
    }
}

impl RowSet {
    pub(super) fn new(plan: Plan) -> Self {
        Self {
            plan,
            ..Self::default()
        }
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(super) fn shown(&self) -> &SortedMap<Position, Arc<Row>> {
        &self.shown
    }

    /// Goes on under another plan with the rows that are here.
    pub(super) fn replan(&mut self, plan: Plan) {
        if self.plan.places_like(&plan) && self.plan.ttl_ms.is_some() == plan.ttl_ms.is_some() {
            self.plan = plan;
            return;
        }
        let old = std::mem::replace(self, Self::new(plan));
        let mut unread = Log::unread();
        if old.versions.by_seq.is_empty() {
            for row in old.shown.into_values() {
                self.put(row, None, &mut unread);
            }
        } else {
            for (_, row) in old.versions.by_seq.into_values() {
                self.put(row, None, &mut unread);
            }
        }
    }

    /// Takes a change. What it names and is not here needs nothing.
    pub(super) fn apply(&mut self, change: Change, log: &mut Log) {
        let old = change.old_values.unwrap_or_default().into_iter().next();
        if change.change_type == ChangeType::Delete {
            if let Some(old) = old {
                self.delete(&old, change.old_seq, log);
            }
            return;
        }
        // Only where rows are told apart by `_seq` does an update leave another identity behind.
        let replaced = match change.change_type {
            ChangeType::Update => change.old_seq.or_else(|| old.as_ref().and_then(row_seq)),
            ChangeType::Insert | ChangeType::Delete => None,
        };
        for row in change.rows.unwrap_or_default() {
            self.put(Arc::new(row), replaced, log);
        }
    }

    /// Puts a row in the place of one with the same identity.
    pub(super) fn put(&mut self, row: Arc<Row>, replaced: Option<SeqId>, log: &mut Log) {
        let seq = row_seq(&row).unwrap_or_default();
        let identity = self.plan.identity(&row, seq);
        if let (true, Some(replaced)) = (self.plan.key.is_empty(), replaced) {
            self.delete_by_seq(replaced, log);
        }
        if self.plan.ttl_ms.is_some() {
            let versions = &mut self.versions;
            versions
                .by_seq
                .insert(seq, (Arc::clone(&identity), Arc::clone(&row)));
            if !versions.add(&identity, seq) {
                return;
            }
        }
        self.show(identity, row, log);
    }

    fn delete(&mut self, old: &Row, old_seq: Option<SeqId>, log: &mut Log) {
        // `_seq` among the old values is that of the delete, which no row has.
        let seq = old_seq.or_else(|| row_seq(old)).unwrap_or_default();
        if self.plan.key.is_empty() || (self.plan.ttl_ms.is_some() && old_seq.is_some()) {
            self.delete_by_seq(seq, log);
            return;
        }
        let identity = self.plan.identity(old, seq);
        if self.plan.ttl_ms.is_none() {
            self.hide(&identity, log);
            return;
        }
        let seqs = self.versions.by_identity.get(&identity);
        for seq in seqs.cloned().unwrap_or_default() {
            self.remove_version(seq, log);
        }
    }

    /// Deletes one row of those that are told apart by `_seq`, or of a STREAM table.
    fn delete_by_seq(&mut self, seq: SeqId, log: &mut Log) {
        if self.plan.ttl_ms.is_none() {
            self.hide(&seq_identity(seq), log);
        } else {
            self.remove_version(seq, log);
        }
    }

    /// Removes one row of a STREAM table; the one before it is shown again, if there is one.
    fn remove_version(&mut self, seq: SeqId, log: &mut Log) {
        let Some((identity, _)) = self.versions.by_seq.remove(&seq) else {
            return;
        };
        let mut newest = None;
        if let Some(seqs) = self.versions.by_identity.get_mut(&identity) {
            let was_shown = seqs.last() == Some(&seq);
            seqs.retain(|other| *other != seq);
            newest = seqs.last().copied();
            if newest.is_none() {
                self.versions.by_identity.remove(&identity);
            }
            if !was_shown {
                return;
            }
        }
        match newest.and_then(|newest| self.versions.by_seq.get(&newest)) {
            Some((_, row)) => {
                let row = Arc::clone(row);
                self.show(identity, row, log);
            }
            None => self.hide(&identity, log),
        }
    }

    fn show(&mut self, identity: Arc<[u8]>, row: Arc<Row>, log: &mut Log) {
        let position = self.plan.position(&row, &identity);
        if !self.plan.order.is_empty()
            && let Some(before) = self.places.insert(identity, position.clone())
            && before != position
        {
            self.shown.remove(&before);
            log.push(RowChange::Removed { position: before });
        }
        self.shown.insert(position.clone(), Arc::clone(&row));
        log.push(RowChange::Put { position, row });
    }

    fn hide(&mut self, identity: &Arc<[u8]>, log: &mut Log) {
        let position = if self.plan.order.is_empty() {
            Some(Position(Arc::clone(identity)))
        } else {
            self.places.remove(identity)
        };
        if let Some(position) = position
            && self.shown.remove(&position).is_some()
        {
            log.push(RowChange::Removed { position });
        }
    }

    /// When, on the server's clock, the oldest row ends.
    pub(super) fn next_expiry_unix_ms(&self) -> Option<u64> {
        let ttl_ms = self.plan.ttl_ms?;
        let (oldest, _) = self.versions.by_seq.first()?;
        Some(oldest.unix_ms().saturating_add(ttl_ms))
    }

    /// Removes what has ended by the server's clock.
    pub(super) fn expire(&mut self, unix_ms: u64, log: &mut Log) {
        while self
            .next_expiry_unix_ms()
            .is_some_and(|expiry| expiry <= unix_ms)
        {
            let Some((&oldest, _)) = self.versions.by_seq.first() else {
                return;
            };
            self.remove_version(oldest, log);
        }
    }
}
