//! Error codes: stable strings that clients may match on, and the shape in which the server sends them.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! error_codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $text:literal,)+) => {
        /// Why a request failed. The strings never change; `docs/reference/errors.md` explains each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ErrorCode {
            $($(#[doc = $doc])+ #[serde(rename = $text)] $variant,)+
        }

        impl ErrorCode {
            /// Every code, in the order of the reference.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The string on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
    };
}

error_codes! {
    /// The text is not a statement that KalamDB understands, or names a column that does not exist.
    InvalidSql = "INVALID_SQL",
    /// A name, option or value is malformed.
    InvalidInput = "INVALID_INPUT",
    /// A parameter is missing, superfluous or of the wrong type.
    InvalidParameter = "INVALID_PARAMETER",
    /// The request holds no statement.
    EmptySql = "EMPTY_SQL",
    /// Parameters were sent with more than one statement.
    ParamsWithBatch = "PARAMS_WITH_BATCH",
    /// One statement of a batch does not parse; nothing was executed.
    BatchParseError = "BATCH_PARSE_ERROR",
    /// A primary key exists already, or a value is not allowed in its column.
    ConstraintViolation = "CONSTRAINT_VIOLATION",
    /// Evaluating the statement failed: division by zero, overflow, a failed cast.
    SqlExecutionError = "SQL_EXECUTION_ERROR",
    /// The request carries no token.
    MissingAuthorization = "MISSING_AUTHORIZATION",
    /// User name, password or token is wrong.
    InvalidCredentials = "INVALID_CREDENTIALS",
    /// The token has ended; refresh it.
    TokenExpired = "TOKEN_EXPIRED",
    /// The token was not signed by this server.
    InvalidSignature = "INVALID_SIGNATURE",
    /// The caller's role does not allow this.
    PermissionDenied = "PERMISSION_DENIED",
    /// The table does not exist, or the caller may not see it.
    TableNotFound = "TABLE_NOT_FOUND",
    /// The namespace does not exist.
    NamespaceNotFound = "NAMESPACE_NOT_FOUND",
    /// A user, view or other named thing does not exist.
    NotFound = "NOT_FOUND",
    /// The statement took longer than its limit and was cancelled.
    StatementTimeout = "STATEMENT_TIMEOUT",
    /// Something of that name exists.
    AlreadyExists = "ALREADY_EXISTS",
    /// Another writer changed the rows meanwhile; try again.
    Conflict = "CONFLICT",
    /// The request body is larger than the limit.
    BodyTooLarge = "BODY_TOO_LARGE",
    /// The statement writes more than one command may hold.
    StatementTooLarge = "STATEMENT_TOO_LARGE",
    /// The result has more rows or bytes than the limit; nothing was cut.
    ResultTooLarge = "RESULT_TOO_LARGE",
    /// Too many requests; wait for the time in `Retry-After`.
    RateLimitExceeded = "RATE_LIMIT_EXCEEDED",
    /// A defect in the server; the request id finds it in the log.
    InternalError = "INTERNAL_ERROR",
    /// Stored bytes do not have the expected form.
    DataCorrupt = "DATA_CORRUPT",
    /// The statement or clause exists in the language but not in this server.
    Unsupported = "UNSUPPORTED",
    /// The storage does not accept writes.
    StorageUnavailable = "STORAGE_UNAVAILABLE",
    /// This node does not lead the group.
    NotLeader = "NOT_LEADER",
    /// No quorum.
    ClusterUnavailable = "CLUSTER_UNAVAILABLE",
    /// The leader did not answer.
    LeaderNotAvailable = "LEADER_NOT_AVAILABLE",
    /// The server is stopping.
    ShuttingDown = "SHUTTING_DOWN",
    /// The disk is full; reads go on.
    DiskFull = "DISK_FULL",
}

impl ErrorCode {
    /// The HTTP status that an answer with this code has.
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self {
            Self::InvalidSql
            | Self::InvalidInput
            | Self::InvalidParameter
            | Self::EmptySql
            | Self::ParamsWithBatch
            | Self::BatchParseError
            | Self::ConstraintViolation
            | Self::SqlExecutionError => 400,
            Self::MissingAuthorization
            | Self::InvalidCredentials
            | Self::TokenExpired
            | Self::InvalidSignature => 401,
            Self::PermissionDenied => 403,
            Self::TableNotFound | Self::NamespaceNotFound | Self::NotFound => 404,
            Self::StatementTimeout => 408,
            Self::AlreadyExists | Self::Conflict => 409,
            Self::BodyTooLarge | Self::StatementTooLarge | Self::ResultTooLarge => 413,
            Self::RateLimitExceeded => 429,
            Self::InternalError | Self::DataCorrupt => 500,
            Self::Unsupported => 501,
            Self::StorageUnavailable
            | Self::NotLeader
            | Self::ClusterUnavailable
            | Self::LeaderNotAvailable
            | Self::ShuttingDown
            | Self::DiskFull => 503,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error as it stands in an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ServerError {
    pub code: ErrorCode,
    /// Lower case, no full stop, names the thing.
    pub message: String,
    /// What is known beyond the message, for people.
    pub details: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl ServerError {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            details: None,
            hint: None,
        }
    }

    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
