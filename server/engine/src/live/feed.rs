//! One live query on one slice: the query, who subscribes to it, and what each change of the slice means to it.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use kalam_link_core::codec::{ChangeBody, ChangeParts, RowEncoder};
use kalam_link_core::message::{ChangeReason, ChangeType, Serialization, SubscribeOptions};
use kalam_link_core::{SubscriptionId, Value};
use kalam_model::{Change, ChangeKind, Row, Scope, SeqId, TableNumber, Timestamp, UserId};
use kalam_sql::LiveQuery;
use kalam_store::Slice;
use parking_lot::Mutex;

use super::queue::{ConnQueue, Slot};
use crate::catalog::Table;

/// Which columns stand in rows on the wire. Shared by all queries that carry the same ones.
#[derive(Debug)]
pub(crate) struct Shape {
    carried: Box<[usize]>,
    row: RowEncoder,
    /// What is left of a row that was deleted earlier: its key.
    key: RowEncoder,
}

impl Shape {
    pub(crate) fn new(table: &Table, carried: &[usize]) -> Self {
        let names = |columns: &[usize]| {
            RowEncoder::new(
                columns
                    .iter()
                    .map(|index| table.def.columns[*index].name.as_str()),
            )
        };
        let key: Vec<usize> = table.def.key_indexes().collect();
        Self {
            row: names(carried),
            key: names(&key),
            carried: carried.into(),
        }
    }

    pub(crate) fn carries(&self, carried: &[usize]) -> bool {
        *self.carried == *carried
    }

    pub(crate) fn append_row(
        &self,
        serialization: Serialization,
        row: &Row,
        seq: SeqId,
        out: &mut Vec<u8>,
    ) {
        let cells = self.carried.iter().map(|index| &row.0[*index]);
        self.row.append(serialization, cells, seq, out);
    }

    /// The old values of a delete of which nothing else is known. `key` has the values of the primary key.
    pub(crate) fn append_key(
        &self,
        serialization: Serialization,
        key: &[Value],
        seq: SeqId,
        out: &mut Vec<u8>,
    ) {
        self.key.append(serialization, key, seq, out);
    }
}

/// Tells queries apart that give the same rows in the same form to all who subscribe.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FeedKey {
    pub(crate) table: TableNumber,
    pub(crate) schema_version: u32,
    pub(crate) scope: Scope,
    /// SQL, parameters and, if the query depends on it, the user.
    pub(crate) text: Arc<str>,
}

/// A live query on a slice.
pub(crate) struct Feed {
    pub(crate) key: FeedKey,
    pub(crate) table: Arc<Table>,
    pub(crate) slice: Slice,
    pub(crate) query: LiveQuery,
    pub(crate) shape: Arc<Shape>,
    pub(crate) sql: Box<str>,
    pub(crate) params: Vec<serde_json::Value>,
    pub(crate) subscribers: Mutex<Vec<Arc<Subscriber>>>,
}

/// How far a subscription is, for those who look at it from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Status {
    Loading,
    Live,
    CatchingUp,
}

impl Status {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Loading => "loading",
            Self::Live => "live",
            Self::CatchingUp => "catching_up",
        }
    }
}

/// One subscription, as its feed and its connection share it.
pub(crate) struct Subscriber {
    pub(crate) queue: Arc<ConnQueue>,
    pub(crate) connection: u64,
    pub(crate) slot: Slot,
    pub(crate) id: SubscriptionId,
    pub(crate) user: UserId,
    pub(crate) created_at: Timestamp,
    pub(crate) options: SubscribeOptions,
    status: AtomicU8,
    last_seq: AtomicU64,
    changes: AtomicU64,
    /// Milliseconds since 1970; 0 before the first.
    updated_ms: AtomicU64,
}

impl Subscriber {
    pub(crate) fn new(
        (connection, queue): (u64, Arc<ConnQueue>),
        slot: Slot,
        id: SubscriptionId,
        user: UserId,
        options: SubscribeOptions,
        created_at: Timestamp,
    ) -> Self {
        Self {
            queue,
            connection,
            slot,
            id,
            user,
            created_at,
            options,
            status: AtomicU8::new(Status::Loading as u8),
            last_seq: AtomicU64::new(0),
            changes: AtomicU64::new(0),
            updated_ms: AtomicU64::new(0),
        }
    }

    pub(crate) fn set_status(&self, status: Status) {
        self.status.store(status as u8, Ordering::Relaxed);
    }

    pub(crate) fn status(&self) -> Status {
        match self.status.load(Ordering::Relaxed) {
            0 => Status::Loading,
            1 => Status::Live,
            _ => Status::CatchingUp,
        }
    }

    /// Everything up to `seq` was sent.
    pub(crate) fn sent(&self, seq: SeqId) {
        self.last_seq.store(seq.0, Ordering::Relaxed);
    }

    pub(crate) fn changed(&self, now: Timestamp) {
        self.changes.fetch_add(1, Ordering::Relaxed);
        self.updated_ms.store(now.unix_ms(), Ordering::Relaxed);
    }

    pub(crate) fn last_seq(&self) -> SeqId {
        SeqId(self.last_seq.load(Ordering::Relaxed))
    }

    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    pub(crate) fn updated_ms(&self) -> Option<u64> {
        Some(self.updated_ms.load(Ordering::Relaxed)).filter(|ms| *ms > 0)
    }

    /// How `system.live` and KILL LIVE QUERY name it.
    pub(crate) fn live_id(&self) -> String {
        format!("{}-{}", self.connection, self.slot)
    }
}

impl Feed {
    /// What a change of the slice means to the query: nothing, or a change of its result. An error is the query's.
    pub(crate) fn judge(&self, change: &Arc<Change>) -> Result<Option<Routed>, kalam_sql::Error> {
        let effect = match &change.kind {
            ChangeKind::Insert { new } => self
                .matches(new, change.seq)?
                .then_some(Effect::Insert { reason: None }),
            ChangeKind::Delete { old, old_seq } => self
                .matches(old, *old_seq)?
                .then_some(Effect::Delete { reason: None }),
            // Both rows are looked at: the change may lead into the filter or out of it (I6).
            ChangeKind::Update { old, new, old_seq } => {
                match (self.matches(old, *old_seq)?, self.matches(new, change.seq)?) {
                    (true, true) => Some(Effect::Update),
                    (true, false) => Some(Effect::Delete {
                        reason: Some(ChangeReason::LeftFilter),
                    }),
                    (false, true) => Some(Effect::Insert {
                        reason: Some(ChangeReason::EnteredFilter),
                    }),
                    (false, false) => None,
                }
            }
        };
        Ok(effect.map(|effect| Routed::new(Arc::clone(change), Arc::clone(&self.shape), effect)))
    }

    pub(crate) fn matches(&self, row: &Row, seq: SeqId) -> Result<bool, kalam_sql::Error> {
        self.query
            .predicate
            .as_ref()
            .map_or(Ok(true), |predicate| predicate.matches(&row.0, seq))
    }

    /// A window is kept by the server; everything else follows from the changes.
    pub(crate) fn is_window(&self) -> bool {
        self.query.limit.is_some()
    }

    pub(crate) fn ttl_seconds(&self) -> Option<u32> {
        self.table.def.options.ttl_seconds
    }
}

/// What a change does to the result of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Insert { reason: Option<ChangeReason> },
    Update,
    Delete { reason: Option<ChangeReason> },
}

/// A change on its way to those who subscribe to one feed. Encoded at most once in each form, by whoever sends it first.
#[derive(Debug)]
pub(crate) struct Routed {
    pub(crate) change: Arc<Change>,
    pub(crate) effect: Effect,
    shape: Arc<Shape>,
    bytes: usize,
    json: OnceLock<ChangeBody>,
    msgpack: OnceLock<ChangeBody>,
}

impl Routed {
    fn new(change: Arc<Change>, shape: Arc<Shape>, effect: Effect) -> Self {
        // Room for the object itself and what stands around rows.
        const FIXED_BYTES: usize = 256;
        let rows = match &change.kind {
            ChangeKind::Insert { new } => new.memory_bytes(),
            ChangeKind::Update { old, new, .. } => old.memory_bytes() + new.memory_bytes(),
            ChangeKind::Delete { old, .. } => old.memory_bytes(),
        };
        Self {
            bytes: FIXED_BYTES + rows,
            change,
            effect,
            shape,
            json: OnceLock::new(),
            msgpack: OnceLock::new(),
        }
    }

    /// Memory that it occupies while it waits, about.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn seq(&self) -> SeqId {
        self.change.seq
    }

    pub(crate) fn body(&self, serialization: Serialization) -> &ChangeBody {
        let cell = match serialization {
            Serialization::Json => &self.json,
            Serialization::Msgpack => &self.msgpack,
        };
        cell.get_or_init(|| self.encode(serialization))
    }

    fn encode(&self, serialization: Serialization) -> ChangeBody {
        let seq = self.change.seq;
        let encoded = |row: &Row, seq| {
            let mut out = Vec::new();
            self.shape.append_row(serialization, row, seq, &mut out);
            out
        };
        let (change_type, new, old, old_seq, reason) = match (&self.change.kind, self.effect) {
            (ChangeKind::Update { old, new, old_seq }, Effect::Update) => (
                ChangeType::Update,
                Some(encoded(new, seq)),
                Some(encoded(old, *old_seq)),
                None,
                None,
            ),
            (
                ChangeKind::Insert { new } | ChangeKind::Update { new, .. },
                Effect::Insert { reason },
            ) => (
                ChangeType::Insert,
                Some(encoded(new, seq)),
                None,
                None,
                reason,
            ),
            (
                ChangeKind::Delete { old, old_seq } | ChangeKind::Update { old, old_seq, .. },
                Effect::Delete { reason },
            ) => (
                ChangeType::Delete,
                None,
                // Its seq is that of the delete.
                Some(encoded(old, seq)),
                Some(*old_seq),
                reason,
            ),
            (kind, effect) => unreachable!("{effect:?} does not follow from {kind:?}"),
        };
        ChangeBody::new(
            serialization,
            &ChangeParts {
                change_type,
                new: new.as_deref(),
                old: old.as_deref(),
                seq,
                old_seq,
                reason,
            },
        )
    }
}
