//! What can be wrong with a statement, an expression or a parameter.

use kalam_link_core::{DataType, DecimalError, ErrorCode, ServerError};
use kalam_model::NameError;

/// Why a statement was not parsed, compiled or evaluated. No variant holds a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    // Statements.
    #[error("the request holds no statement")]
    Empty,
    /// Line and column count from 1 in the text that was given.
    #[error("{message} at line {line}, column {column}")]
    Syntax {
        message: String,
        line: u64,
        column: u64,
    },
    /// Known SQL that KalamDB does not have.
    #[error("{clause} is not supported")]
    UnsupportedClause {
        clause: String,
        hint: Option<&'static str>,
    },
    /// A form of earlier versions; `hint` names what to write instead.
    #[error("{what} is no longer part of the language")]
    Replaced {
        what: &'static str,
        hint: &'static str,
    },
    /// Understood, but contradicts itself or a rule of the language.
    #[error("{message}")]
    Invalid {
        message: String,
        hint: Option<&'static str>,
    },
    /// An option of WITH or TBLPROPERTIES that does not exist.
    #[error("unknown option `{option}` of {of}")]
    UnknownOption { option: String, of: &'static str },
    /// An option whose value has the wrong form.
    #[error("invalid value of option `{option}`: {reason}")]
    OptionValue { option: String, reason: String },
    #[error(transparent)]
    Name(#[from] NameError),
    #[error("the statement is nested too deeply: at most {max} levels")]
    TooDeep { max: usize },
    #[error("too many {what}: at most {max}")]
    TooMany { what: &'static str, max: usize },
    #[error("the statement is longer than {max} bytes")]
    TooLong { max: usize },
    /// One statement of several; `index` counts from 1.
    #[error("Statement {index} failed: {source}")]
    Batch { index: usize, source: Box<Error> },

    // Expressions.
    /// The expression is beyond what is evaluated without a planner: plan it with DataFusion. Never shown to a user
    /// but where a constant is required.
    #[error("{0} cannot be evaluated here")]
    NotSimple(String),
    #[error("column not found: `{column}`")]
    UnknownColumn { column: String },
    #[error("function not found: `{function}`")]
    UnknownFunction { function: String },
    #[error("{function} does not take {given} argument(s)")]
    ArgumentCount { function: String, given: usize },
    /// Operand or argument types that do not fit.
    #[error("{message}")]
    Type { message: String },
    #[error("value out of range for {data_type}")]
    OutOfRange { data_type: DataType },
    #[error("arithmetic overflow")]
    Overflow,
    #[error("division by zero")]
    DivisionByZero,
    /// Text or another value that has no meaning in the type.
    #[error("'{shown}' is not a valid {data_type}")]
    InvalidValue { shown: String, data_type: DataType },
    #[error("value of column '{column}' is longer than {max} characters")]
    TextTooLong { column: String, max: u32 },
    #[error("column '{column}': {source}")]
    Column { column: String, source: Box<Error> },
    #[error(transparent)]
    Decimal(#[from] DecimalError),

    // Parameters.
    #[error("parameter ${index} is missing")]
    MissingParameter { index: usize },
    #[error("{given} parameters were given, the statement uses {used}")]
    SuperfluousParameters { given: usize, used: usize },
    #[error("parameter ${index}: {message}")]
    Parameter { index: usize, message: String },
}

impl Error {
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Empty => ErrorCode::EmptySql,
            Self::UnsupportedClause { .. } => ErrorCode::Unsupported,
            Self::Syntax { .. }
            | Self::Replaced { .. }
            | Self::Invalid { .. }
            | Self::TooDeep { .. }
            | Self::TooMany { .. }
            | Self::NotSimple(_)
            | Self::UnknownColumn { .. }
            | Self::UnknownFunction { .. }
            | Self::ArgumentCount { .. }
            | Self::Type { .. } => ErrorCode::InvalidSql,
            Self::UnknownOption { .. } | Self::OptionValue { .. } | Self::Name(_) => {
                ErrorCode::InvalidInput
            }
            Self::TooLong { .. } => ErrorCode::StatementTooLarge,
            Self::Batch { source, .. } => match source.code() {
                ErrorCode::InvalidSql => ErrorCode::BatchParseError,
                other => other,
            },
            Self::OutOfRange { .. }
            | Self::Overflow
            | Self::DivisionByZero
            | Self::InvalidValue { .. }
            | Self::Decimal(_) => ErrorCode::SqlExecutionError,
            Self::TextTooLong { .. } => ErrorCode::ConstraintViolation,
            Self::Column { source, .. } => source.code(),
            Self::MissingParameter { .. }
            | Self::SuperfluousParameters { .. }
            | Self::Parameter { .. } => ErrorCode::InvalidParameter,
        }
    }

    /// What to do about it, where there is something to say.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::UnsupportedClause { hint, .. } | Self::Invalid { hint, .. } => *hint,
            Self::Replaced { hint, .. } => Some(hint),
            Self::Batch { source, .. } | Self::Column { source, .. } => source.hint(),
            _ => None,
        }
    }

    pub(crate) fn unsupported(clause: impl Into<String>) -> Self {
        Self::UnsupportedClause {
            clause: clause.into(),
            hint: None,
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid {
            message: message.into(),
            hint: None,
        }
    }
}

impl From<Error> for ServerError {
    fn from(error: Error) -> Self {
        let answer = Self::new(error.code(), error.to_string());
        match error.hint() {
            Some(hint) => answer.with_hint(hint),
            None => answer,
        }
    }
}
