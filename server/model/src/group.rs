//! Groups and slots: how rows are spread over the groups that order commands.

use serde::{Deserialize, Serialize};
use twox_hash::XxHash64;

use crate::scope::Scope;
use crate::table::TableNumber;

/// Number of slots, fixed for ever: a slot is the first part of every row's key.
pub const SLOTS: u16 = 1_024;

/// Part of the key space that a group owns as a whole; below [`SLOTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slot(pub u16);

/// What orders commands. A single node has `Meta` and one data group that owns every slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum GroupId {
    /// Catalog, users and settings.
    Meta,
    /// Rows of a contiguous range of slots.
    Data(u16),
}

impl GroupId {
    /// The data group of a single node.
    pub const LOCAL: Self = Self::Data(0);
}

/// The slot of a slice: a hash of the user, or of the table's number for a shared slice. XXH64 with seed 0 is part of
/// the storage format.
#[must_use]
pub fn slot_of(table: TableNumber, scope: &Scope) -> Slot {
    let hash = match scope {
        Scope::Shared => XxHash64::oneshot(0, &table.0.to_be_bytes()),
        Scope::User(user) => XxHash64::oneshot(0, user.as_str().as_bytes()),
    };
    Slot(u16::try_from(hash % u64::from(SLOTS)).expect("a remainder by 1,024 fits into 16 bits"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kalam_link_core::UserId;

    #[test]
    fn i11_slots_of_known_scopes_never_change() {
        let user = |name: &str| slot_of(TableNumber(7), &Scope::User(UserId::new(name).unwrap())).0;
        let shared = |number| slot_of(TableNumber(number), &Scope::Shared).0;
        assert_eq!(
            [user("alice"), user("bob"), shared(1), shared(2)],
            SLOTS_OF_FIRST_RELEASE
        );
        assert_eq!(
            user("alice"),
            slot_of(TableNumber(8), &Scope::User(UserId::new("alice").unwrap())).0
        );
    }

    const SLOTS_OF_FIRST_RELEASE: [u16; 4] = [73, 59, 405, 712];
}
