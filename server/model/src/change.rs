//! What a write did to one row, as subscribers learn it.

use std::sync::Arc;

use kalam_link_core::SeqId;

use crate::row::Row;
use crate::scope::Scope;
use crate::table::TableDef;

/// One changed row. `table` is the definition by which `old` and `new` are laid out.
#[derive(Clone, Debug)]
pub struct Change {
    pub table: Arc<TableDef>,
    pub scope: Scope,
    /// Position of this change in its group; for a delete, of the delete itself.
    pub seq: SeqId,
    pub kind: ChangeKind,
}

/// The three ways in which a row changes.
#[derive(Clone, Debug, PartialEq)]
pub enum ChangeKind {
    Insert { new: Row },
    Update { old_seq: SeqId, old: Row, new: Row },
    Delete { old_seq: SeqId, old: Row },
}
