//! Why the engine did not do what it was asked.

use kalam_model::{Applied, ErrorCode, Namespace, TableId, UserId};

/// One error of the engine.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] kalam_store::Error),
    /// A commit or sync failed: nothing is written until the server is started again (I12).
    #[error("the storage does not accept writes: {reason}")]
    StorageUnavailable { reason: String },
    #[error(
        "the disk is full: nothing is written until there is room and the server is started again"
    )]
    DiskFull,
    #[error("the server is stopping")]
    ShuttingDown,
    #[error("a thread of the engine could not be started")]
    Thread(#[source] std::io::Error),
    #[error("a command for {0:?} was sent to another group")]
    WrongGroup(kalam_model::GroupId),
    #[error("the statement writes {bytes} bytes, one statement may write {bytes_max}")]
    StatementTooLarge { bytes: usize, bytes_max: usize },
    /// Another writer was faster; read again and retry.
    #[error("changed by another request meanwhile")]
    Conflict,
    /// A defect: this kind of command cannot have this answer.
    #[error("unexpected answer of a command: {0:?}")]
    UnexpectedAnswer(Box<Applied>),

    #[error("{kind} '{name}' already exists")]
    Exists { kind: &'static str, name: String },
    #[error("namespace not found: `{0}`")]
    NamespaceNotFound(Namespace),
    #[error("table not found: `{0}`")]
    TableNotFound(TableId),
    #[error("view not found: `{0}`")]
    ViewNotFound(TableId),
    #[error("namespace '{0}' is not empty")]
    NamespaceNotEmpty(Namespace),
    #[error("namespace '{0}' cannot be dropped")]
    NamespaceRequired(Namespace),

    #[error("user not found: `{0}`")]
    UserNotFound(UserId),
    #[error(
        "user '{0}' already exists; its name stays taken after a drop, RESTORE USER brings it back"
    )]
    UserDeleted(UserId),
    #[error("user '{0}' is not deleted")]
    UserNotDeleted(UserId),
    #[error("user 'root' keeps the role system and cannot be dropped")]
    RootRequired,
    #[error("weak password: {reason}")]
    WeakPassword { reason: &'static str },
    /// Unknown user, wrong password, or an account that cannot sign in: one answer for all.
    #[error("invalid user name or password")]
    InvalidCredentials,
    #[error("too many failed logins: try again in {retry_after_s} s")]
    AccountLocked { retry_after_s: u64 },
    #[error("too many logins at a time: try again in {retry_after_s} s")]
    TooManyLogins { retry_after_s: u64 },
    #[error("the refresh token has ended, was used before or was revoked")]
    InvalidRefreshToken,
    #[error("no random numbers from the system")]
    Random,
    #[error("hashing a password failed: {reason}")]
    PasswordHash { reason: String },
}

impl Error {
    /// The code that a client sees.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Store(error) => error.code(),
            Self::StorageUnavailable { .. } => ErrorCode::StorageUnavailable,
            Self::DiskFull => ErrorCode::DiskFull,
            Self::ShuttingDown => ErrorCode::ShuttingDown,
            Self::StatementTooLarge { .. } => ErrorCode::StatementTooLarge,
            Self::Conflict => ErrorCode::Conflict,
            Self::Exists { .. } | Self::UserDeleted(_) => ErrorCode::AlreadyExists,
            Self::NamespaceNotFound(_) => ErrorCode::NamespaceNotFound,
            Self::TableNotFound(_) => ErrorCode::TableNotFound,
            Self::ViewNotFound(_) | Self::UserNotFound(_) => ErrorCode::NotFound,
            Self::NamespaceNotEmpty(_)
            | Self::NamespaceRequired(_)
            | Self::UserNotDeleted(_)
            | Self::RootRequired
            | Self::WeakPassword { .. } => ErrorCode::InvalidInput,
            Self::InvalidCredentials | Self::InvalidRefreshToken => ErrorCode::InvalidCredentials,
            Self::AccountLocked { .. } | Self::TooManyLogins { .. } => ErrorCode::RateLimitExceeded,
            Self::Thread(_)
            | Self::WrongGroup(_)
            | Self::UnexpectedAnswer(_)
            | Self::Random
            | Self::PasswordHash { .. } => ErrorCode::InternalError,
        }
    }

    /// Seconds after which it makes sense to try again, for `Retry-After`.
    #[must_use]
    pub fn retry_after_s(&self) -> Option<u64> {
        match self {
            Self::AccountLocked { retry_after_s } | Self::TooManyLogins { retry_after_s } => {
                Some(*retry_after_s)
            }
            _ => None,
        }
    }
}
