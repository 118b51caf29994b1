//! Everything that can go wrong with a statement, and the code, message and hint that the client gets.

use kalam_link_core::{ErrorCode, ServerError};
use kalam_model::NameError;

/// Why a statement failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Sql(#[from] kalam_sql::Error),
    #[error(transparent)]
    Engine(#[from] kalam_engine::Error),
    #[error(transparent)]
    Store(#[from] kalam_store::Error),
    #[error(transparent)]
    Name(#[from] NameError),

    // The request.
    #[error("parameters need exactly one statement, the request has {statements}")]
    ParamsWithBatch { statements: usize },
    /// A statement of a batch: the code is that of its cause.
    #[error("Statement {statement} failed: {source}")]
    Statement {
        statement: usize,
        source: Box<Error>,
    },
    #[error("the SQL text has {bytes} bytes, the limit is {bytes_max}")]
    SqlTooLarge { bytes: usize, bytes_max: usize },
    #[error("request id `{id}` was used for another statement")]
    RequestReused { id: String },
    #[error("invalid request id: 1 to {bytes_max} bytes")]
    RequestId { bytes_max: usize },
    #[error("only a single SELECT can be answered as a stream")]
    NotStreamable,

    // Names.
    #[error("table not found: `{name}`")]
    TableNotFound {
        name: String,
        suggestion: Option<String>,
    },
    #[error("namespace not found: `{name}`")]
    NamespaceNotFound { name: String },
    #[error("user not found: `{name}`")]
    UserNotFound { name: String },
    #[error("view not found: `{name}`")]
    ViewNotFound { name: String },
    #[error("live query not found: `{id}`")]
    LiveQueryNotFound { id: String },
    #[error("column not found: `{column}` in `{table}`")]
    ColumnNotFound {
        column: String,
        table: String,
        suggestion: Option<String>,
    },
    #[error("{kind} '{name}' already exists")]
    AlreadyExists { kind: &'static str, name: String },
    #[error("permission denied: {action}")]
    PermissionDenied { action: String },

    // Definitions.
    #[error("invalid definition of `{name}`: {reason}")]
    Definition { name: String, reason: String },
    #[error("`{name}` is {article} {actual} table, not {expected}", article = article(actual))]
    WrongKind {
        name: String,
        actual: &'static str,
        expected: &'static str,
    },
    #[error("`{name}` is a view")]
    IsView { name: String },

    #[error("Column '{column}' cannot be null: the table has rows where it is")]
    NullsPresent { column: String },
    #[error("Column '{column}' cannot be null: the table has rows and it has no default")]
    NoValueForRows { column: String },

    // Rows.
    /// `row` counts from 1 through the rows of the statement.
    #[error("Primary key violation: a row with the same key already exists in `{table}`{}", of_row(*row))]
    PrimaryKey { table: String, row: Option<u64> },
    #[error("Column '{column}' cannot be null")]
    NullColumn { column: String },
    /// The source names the column; `row` counts from 1 through the rows of the statement.
    #[error("row {row}: {source}")]
    Cell {
        row: usize,
        source: Box<kalam_sql::Error>,
    },
    #[error("row {row} has {found} values for {expected} columns")]
    ColumnCount {
        row: usize,
        found: usize,
        expected: usize,
    },
    #[error("column '{column}' is named twice")]
    ColumnTwice { column: String },
    #[error("column '{column}' of the primary key cannot be changed")]
    KeyColumn { column: String },
    #[error("ON CONFLICT target does not match the primary key of `{table}`")]
    ConflictTarget { table: String },
    #[error(
        "ON CONFLICT DO UPDATE cannot change a row a second time: row {row} has the key of an earlier one"
    )]
    ConflictTwice { row: usize },
    #[error("the rows were changed by another writer meanwhile")]
    Conflict,

    // Parameters.
    #[error("parameter ${index}: {reason}")]
    Parameter { index: usize, reason: String },

    // Transactions.
    #[error("BEGIN without COMMIT or ROLLBACK: nothing was written")]
    UnfinishedTransaction,
    #[error("{word} without BEGIN")]
    NoTransaction { word: &'static str },
    #[error("BEGIN inside a transaction")]
    NestedTransaction,

    // Planning and limits.
    #[error("{what} is not supported")]
    Unsupported { what: String, hint: Option<String> },
    /// The planner does not understand the query.
    #[error("{message}")]
    Plan { message: String },
    /// Evaluating failed: overflow, division by zero, a cast.
    #[error("{message}")]
    Execution { message: String },
    #[error("the statement took longer than {limit_ms} ms")]
    Timeout { limit_ms: u64 },
    #[error("the result has more than {rows_max} rows")]
    TooManyRows { rows_max: u64 },
    #[error("the result has more than {bytes_max} bytes")]
    ResultTooLarge { bytes_max: u64 },
    #[error("the query needs more than {bytes_max} bytes of memory")]
    QueryMemory { bytes_max: u64 },
    #[error("the statement writes more than {bytes_max} bytes")]
    StatementTooLarge { bytes_max: usize },
    #[error("internal error: {what}")]
    Internal { what: String },
}

fn of_row(row: Option<u64>) -> String {
    row.map_or_else(String::new, |row| format!(" (row {row})"))
}

fn article(kind: &str) -> &'static str {
    if kind.starts_with(['A', 'E', 'I', 'O']) {
        "an"
    } else {
        "a"
    }
}

impl Error {
    pub(crate) fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported {
            what: what.into(),
            hint: None,
        }
    }

    pub(crate) fn definition(name: impl ToString, reason: impl Into<String>) -> Self {
        Self::Definition {
            name: name.to_string(),
            reason: reason.into(),
        }
    }

    pub(crate) fn internal(what: impl ToString) -> Self {
        Self::Internal {
            what: what.to_string(),
        }
    }

    /// The code that the client matches on.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Sql(error) => error.code(),
            Self::Engine(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Cell { source, .. } => source.code(),
            Self::Statement { source, .. } => source.code(),
            Self::ParamsWithBatch { .. } => ErrorCode::ParamsWithBatch,
            Self::Name(_)
            | Self::RequestId { .. }
            | Self::Definition { .. }
            | Self::WrongKind { .. } => ErrorCode::InvalidInput,
            Self::TableNotFound { .. } => ErrorCode::TableNotFound,
            Self::NamespaceNotFound { .. } => ErrorCode::NamespaceNotFound,
            Self::UserNotFound { .. }
            | Self::ViewNotFound { .. }
            | Self::LiveQueryNotFound { .. } => ErrorCode::NotFound,
            Self::AlreadyExists { .. } => ErrorCode::AlreadyExists,
            Self::PermissionDenied { .. } => ErrorCode::PermissionDenied,
            Self::ColumnNotFound { .. }
            | Self::IsView { .. }
            | Self::ColumnCount { .. }
            | Self::ColumnTwice { .. }
            | Self::KeyColumn { .. }
            | Self::ConflictTarget { .. }
            | Self::UnfinishedTransaction
            | Self::NoTransaction { .. }
            | Self::NestedTransaction
            | Self::Plan { .. } => ErrorCode::InvalidSql,
            Self::PrimaryKey { .. }
            | Self::NullColumn { .. }
            | Self::NullsPresent { .. }
            | Self::NoValueForRows { .. }
            | Self::ConflictTwice { .. } => ErrorCode::ConstraintViolation,
            Self::RequestReused { .. } | Self::Conflict => ErrorCode::Conflict,
            Self::Parameter { .. } => ErrorCode::InvalidParameter,
            Self::Unsupported { .. } | Self::NotStreamable => ErrorCode::Unsupported,
            Self::Execution { .. } => ErrorCode::SqlExecutionError,
            Self::Timeout { .. } => ErrorCode::StatementTimeout,
            Self::TooManyRows { .. } | Self::ResultTooLarge { .. } | Self::QueryMemory { .. } => {
                ErrorCode::ResultTooLarge
            }
            Self::SqlTooLarge { .. } | Self::StatementTooLarge { .. } => {
                ErrorCode::StatementTooLarge
            }
            Self::Internal { .. } => ErrorCode::InternalError,
        }
    }

    /// What to do about it. Names only what the caller may see.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Sql(error) => error.hint().map(str::to_owned),
            Self::Cell { source, .. } => source.hint().map(str::to_owned),
            Self::Statement { source, .. } => source.hint(),
            Self::TableNotFound { suggestion, .. } | Self::ColumnNotFound { suggestion, .. } => {
                suggestion
                    .as_ref()
                    .map(|name| format!("did you mean `{name}`?"))
            }
            Self::Unsupported { hint, .. } => hint.clone(),
            Self::Engine(kalam_engine::Error::NamespaceNotEmpty(_)) => {
                Some("DROP NAMESPACE … CASCADE drops what it holds too".to_owned())
            }
            Self::Conflict => Some("try again".to_owned()),
            Self::TooManyRows { .. } | Self::ResultTooLarge { .. } => {
                Some("add a LIMIT or a narrower filter".to_owned())
            }
            Self::StatementTooLarge { .. } => {
                Some("write fewer rows with one statement".to_owned())
            }
            Self::ParamsWithBatch { .. } => {
                Some("send one statement with its parameters".to_owned())
            }
            Self::UnfinishedTransaction => Some("end the request with COMMIT".to_owned()),
            _ => None,
        }
    }

    /// The error as it stands in an answer. What a client cannot act on is logged and not shown.
    #[must_use]
    pub fn to_server_error(&self) -> ServerError {
        let code = self.code();
        if matches!(code, ErrorCode::InternalError | ErrorCode::DataCorrupt) {
            tracing::error!(error = ?self, "a statement failed inside the server");
        }
        ServerError {
            code,
            message: self.to_string(),
            details: None,
            hint: self.hint(),
        }
    }
}
