//! The nouns of the server: tables, rows, scopes, callers and the replicated commands. No I/O of any kind.

pub mod caller;
pub mod change;
pub mod command;
pub mod group;
pub mod name;
pub mod row;
pub mod scope;
pub mod stamp;
pub mod table;
pub mod user;

pub use caller::{Action, Caller, Denied};
pub use change::{Change, ChangeKind};
pub use command::{
    Applied, Command, MetaCommand, Mutation, Rejection, RequestRecord, TableWrite, WriteCommand,
    WriteOutcome,
};
pub use group::{GroupId, SLOTS, Slot, slot_of};
pub use kalam_link_core::{DataType, Decimal, ErrorCode, Role, SeqId, ServerError, UserId, Value};
pub use name::{NameError, Namespace, TableId, check_identifier};
pub use row::{Row, RowKey};
pub use scope::Scope;
pub use stamp::{Snowflakes, Timestamp};
pub use table::{
    AccessLevel, ColumnDef, ColumnId, FlushPolicy, NamespaceDef, TableDef, TableKind, TableNumber,
    TableOptions, ViewDef, WriteLevel,
};
pub use user::{AuditRecord, Authentication, RefreshFamily, UserRecord};
