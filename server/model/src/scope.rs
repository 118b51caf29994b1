//! Which slice of a table an operation touches.

use kalam_link_core::UserId;
use serde::{Deserialize, Serialize};

/// A slice of a table. No read or write of rows happens without one (I8); it is made from a caller in
/// `Caller::scope` only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// The one slice of a table that everybody shares.
    Shared,
    /// The private slice of one user.
    User(UserId),
}
