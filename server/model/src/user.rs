//! Accounts and what is kept about their sessions and privileged actions.

use kalam_link_core::{Role, UserId};
use serde::{Deserialize, Serialize};

use crate::stamp::Timestamp;

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRecord {
    pub id: UserId,
    pub role: Role,
    pub email: Option<String>,
    pub authentication: Authentication,
    pub storage_id: Option<String>,
    /// Rises when the password, role or existence changes: tokens of older versions are void.
    pub version: u32,
    /// Rises with every change, so that no change overwrites another.
    pub revision: u32,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Soft delete: the account cannot sign in and its name stays taken.
    pub deleted_at: Option<Timestamp>,
}

/// How an account proves who it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Authentication {
    /// Argon2id hash in PHC string form.
    Password { hash: String },
    /// Identity of an external provider, as JSON.
    OAuth { identity: Option<String> },
    /// Cannot sign in; used by EXECUTE AS only.
    Internal,
}

impl Authentication {
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Password { .. } => "password",
            Self::OAuth { .. } => "oauth",
            Self::Internal => "internal",
        }
    }
}

/// The refresh tokens that descend from one login. Only the newest is valid; use of an older one revokes them all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshFamily {
    /// Random, 128 bits, hexadecimal.
    pub id: String,
    pub user: UserId,
    /// The account's version at login: a changed password, role or existence ends the family.
    pub user_version: u32,
    /// Counts refreshes: the token of this generation is the valid one.
    pub generation: u32,
    pub expires_at: Timestamp,
    pub revoked: bool,
}

/// One line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    pub at: Timestamp,
    pub actor: UserId,
    pub as_user: Option<UserId>,
    /// `EXECUTE_AS`, `CREATE_USER`, …
    pub action: String,
    /// Name of what was touched; never a literal of a statement.
    pub target: String,
    pub result: String,
    pub details: Option<String>,
    pub request_id: Option<String>,
}
