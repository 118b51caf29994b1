//! The replicated vocabulary: what is ordered, and what applying it produced.
//!
//! Times, ids and defaults are fixed before a command is made, so that applying it is deterministic (I2).

use kalam_link_core::{SeqId, UserId};
use serde::{Deserialize, Serialize};

use crate::group::Slot;
use crate::name::{Namespace, TableId};
use crate::row::Row;
use crate::scope::Scope;
use crate::stamp::Timestamp;
use crate::table::{TableDef, TableNumber, ViewDef};
use crate::user::{AuditRecord, RefreshFamily, UserRecord};

/// What one group orders. `time` gives the sequence numbers their clock (I1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// To a data group.
    Write(WriteCommand),
    /// To a data group: the schema by which its writes are checked. Idempotent.
    PutSchema { table: TableDef },
    /// To a data group: forget the schema and remove every row. Idempotent.
    DropTable { table: TableNumber },
    /// To a data group: remove tombstones with a sequence number below the cut.
    PurgeTombstones { table: TableNumber, below: SeqId },
    /// To a data group: remove rows of a STREAM table with a sequence number below the cut, by whole time buckets.
    ExpireStream { table: TableNumber, below: SeqId },
    /// To a data group: forget the answers of requests older than this.
    PurgeRequests { before: Timestamp },
    /// To the meta group.
    Meta(MetaCommand),
}

impl Command {
    /// Whether the meta group orders it; the others go to data groups.
    #[must_use]
    pub const fn is_meta(&self) -> bool {
        matches!(self, Self::Meta(_))
    }
}

/// Writes to rows: all of them happen or none (I3).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WriteCommand {
    pub time: Timestamp,
    pub writes: Vec<TableWrite>,
    pub request: Option<RequestRecord>,
}

impl WriteCommand {
    /// Size of the command when it is stored or sent, a little overestimated. For the limit on commands.
    #[must_use]
    pub fn encoded_bytes(&self) -> usize {
        const FIXED_BYTES: usize = 32;
        let request = self.request.as_ref().map_or(0, |request| {
            request.answer.len() + request.id.len() + FIXED_BYTES
        });
        self.writes
            .iter()
            .flat_map(|write| &write.mutations)
            .map(Mutation::encoded_bytes)
            .sum::<usize>()
            + request
    }
}

impl Mutation {
    fn encoded_bytes(&self) -> usize {
        const SEQ_BYTES: usize = 10;
        let (old, new) = match self {
            Self::Insert { row } => (None, Some(row)),
            Self::Update { old, row, .. } => (old.as_ref(), Some(row)),
            Self::Delete { old, .. } => (old.as_ref(), None),
        };
        old.into_iter()
            .chain(new)
            .map(Row::encoded_bytes)
            .sum::<usize>()
            + SEQ_BYTES
    }
}

/// Writes to one slice of one table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableWrite {
    pub table: TableNumber,
    /// The schema by which the rows are laid out; another version in the group rejects the command.
    pub schema_version: u32,
    pub scope: Scope,
    /// The slice's manifest version, if the write relied on a read of cold rows (I10).
    pub manifest_version: Option<u64>,
    pub mutations: Vec<Mutation>,
}

/// One change to one row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Mutation {
    /// Rejected if a live row has the same key. Appends in STREAM tables, whose key is not enforced.
    Insert { row: Row },
    /// Replaces the version `old_seq`; the key stays the same. `old` is the whole old row if that version is cold.
    Update {
        old_seq: SeqId,
        old: Option<Row>,
        row: Row,
    },
    /// Removes the version `old_seq`. `old` is the whole old row if that version is cold.
    Delete { old_seq: SeqId, old: Option<Row> },
}

/// Makes a write repeatable: a second command with the same user and id is not applied but answered with the first
/// answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// Where the record is kept: the slot of the write.
    pub slot: Slot,
    pub user: UserId,
    pub id: String,
    /// Hash of statement text, parameters and namespace: the same id with another hash is refused.
    pub hash: u64,
    /// What the executor needs to answer again, in its own form.
    pub answer: Vec<u8>,
}

/// Changes to catalog, users and settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum MetaCommand {
    CreateNamespace {
        name: Namespace,
        at: Timestamp,
    },
    SetNamespaceDescription {
        name: Namespace,
        description: Option<String>,
    },
    /// Rejected if the namespace has tables or views left.
    DropNamespace {
        name: Namespace,
    },
    /// `table.number` is given out by apply; what is sent is ignored.
    CreateTable {
        table: TableDef,
    },
    /// Rejected unless the stored version is `table.schema_version - 1`.
    AlterTable {
        table: TableDef,
    },
    DropTable {
        id: TableId,
        number: TableNumber,
    },
    PutView {
        view: ViewDef,
        replace: bool,
    },
    DropView {
        id: TableId,
    },
    /// Rejected if the name is taken, also by a deleted account.
    CreateUser {
        user: UserRecord,
    },
    /// Rejected unless the stored revision is `user.revision - 1`.
    PutUser {
        user: UserRecord,
    },
    PutRefreshFamily {
        family: RefreshFamily,
    },
    /// Takes generation `from` to `from + 1`. Of another generation, revokes the family and is rejected. So it is if
    /// the account has changed since the login.
    RotateRefresh {
        id: String,
        from: u32,
        expires_at: Timestamp,
    },
    /// Logout. Idempotent.
    RevokeRefresh {
        id: String,
    },
    /// Removes refresh families and audit records that ended before.
    PurgeSessions {
        families_before: Timestamp,
        audit_before: Timestamp,
    },
    Audit {
        record: AuditRecord,
    },
    PutSetting {
        name: String,
        value: String,
    },
}

/// What applying a command produced.
#[derive(Clone, Debug, PartialEq)]
pub enum Applied {
    Written(WriteOutcome),
    /// The request id was seen before: nothing was written. `answer` is what the first command carried.
    Replayed {
        outcome: WriteOutcome,
        answer: Vec<u8>,
    },
    /// A table as it stands now: the answer of CREATE and ALTER.
    Table(TableDef),
    Done,
    /// Nothing was written.
    Rejected(Rejection),
}

/// Sequence numbers of a write. They are consecutive, one for each mutation in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteOutcome {
    /// Zero if nothing was to be written.
    pub first_seq: SeqId,
    pub last_seq: SeqId,
    pub rows: u64,
}

/// Why a command was not applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rejection {
    /// A live row has this key. `mutation` counts through all writes of the command.
    DuplicateKey { table: TableNumber, mutation: u64 },
    /// A replaced version is no longer live, or the manifest is another (I10). Read again and retry.
    Stale,
    /// The table has another schema version. Read the catalog again and retry.
    SchemaChanged { table: TableNumber },
    /// The table was dropped.
    NoSuchTable { table: TableNumber },
    /// The request id was used for another statement.
    RequestMismatch,
    /// A name is taken.
    Exists { name: String },
    /// A named thing is missing.
    Missing { name: String },
    /// The namespace is not empty.
    NamespaceNotEmpty { name: String },
    /// A refresh token was used twice or its account has changed; its family is revoked.
    RefreshReused,
    /// A row does not have the form of its table, or a key column is null: a defect of whoever made the command.
    Malformed { table: TableNumber },
}

#[cfg(test)]
mod tests;
