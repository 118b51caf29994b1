//! DataFusion's errors as KalamDB tells them.

use arrow::error::ArrowError;
use datafusion::common::{DataFusionError, SchemaError};
use datafusion::execution::context::SessionState;

use crate::error::Error;
use crate::visible::nearest;

/// An error of planning.
pub(crate) fn told(error: DataFusionError, state: &SessionState) -> Error {
    tell(error, state, Phase::Planning)
}

/// An error of a query that ran.
pub(crate) fn told_running(error: DataFusionError, state: &SessionState) -> Error {
    tell(error, state, Phase::Running)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Planning,
    Running,
}

fn tell(error: DataFusionError, state: &SessionState, phase: Phase) -> Error {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
            tell(*inner, state, phase)
        }
        DataFusionError::Shared(shared) => match std::sync::Arc::try_unwrap(shared) {
            Ok(inner) => tell(inner, state, phase),
            Err(shared) => tell_by_reference(&shared, state, phase),
        },
        DataFusionError::Collection(errors) => match errors.into_iter().next() {
            Some(first) => tell(first, state, phase),
            None => Error::internal("an empty collection of errors"),
        },
        DataFusionError::External(inner) => match inner.downcast::<Error>() {
            Ok(own) => *own,
            Err(other) => match other.downcast::<DataFusionError>() {
                Ok(inner) => tell(*inner, state, phase),
                Err(other) => Error::internal(other),
            },
        },
        DataFusionError::ArrowError(inner, _) => match *inner {
            ArrowError::ExternalError(inner) => {
                tell(DataFusionError::External(inner), state, phase)
            }
            ArrowError::MemoryError(_) => memory(state),
            other => Error::Execution {
                message: arrow_message(&other),
            },
        },
        DataFusionError::SchemaError(error, _) => schema_error(*error),
        DataFusionError::SQL(error, _) => Error::Plan {
            message: error.to_string(),
        },
        DataFusionError::Plan(message) | DataFusionError::Configuration(message) => Error::Plan {
            message: plain(&message),
        },
        DataFusionError::Execution(message) => Error::Execution {
            message: plain(&message),
        },
        DataFusionError::NotImplemented(message) => Error::unsupported(plain(&message)),
        DataFusionError::ResourcesExhausted(_) => memory(state),
        DataFusionError::Internal(message) => {
            tracing::warn!(%message, "DataFusion could not handle a query");
            match phase {
                Phase::Planning => Error::Plan {
                    message: "the planner cannot handle this query".to_owned(),
                },
                Phase::Running => Error::Execution {
                    message: "the query could not be evaluated".to_owned(),
                },
            }
        }
        other => Error::internal(other),
    }
}

/// For an error that several partitions share.
fn tell_by_reference(error: &DataFusionError, state: &SessionState, phase: Phase) -> Error {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => memory(state),
        DataFusionError::ArrowError(inner, _) => Error::Execution {
            message: arrow_message(inner),
        },
        DataFusionError::Execution(message) => Error::Execution {
            message: plain(message),
        },
        DataFusionError::Plan(message) => Error::Plan {
            message: plain(message),
        },
        DataFusionError::NotImplemented(message) => Error::unsupported(plain(message)),
        DataFusionError::Internal(message) => {
            tell(DataFusionError::Internal(message.clone()), state, phase)
        }
        other => Error::internal(other),
    }
}

fn memory(state: &SessionState) -> Error {
    use datafusion::execution::memory_pool::MemoryLimit;
    let bytes_max = match state.runtime_env().memory_pool.memory_limit() {
        MemoryLimit::Finite(bytes) => bytes as u64,
        _ => u64::MAX,
    };
    Error::QueryMemory { bytes_max }
}

fn arrow_message(error: &ArrowError) -> String {
    match error {
        ArrowError::DivideByZero => "division by zero".to_owned(),
        ArrowError::ArithmeticOverflow(_) => "arithmetic overflow".to_owned(),
        ArrowError::CastError(message)
        | ArrowError::ParseError(message)
        | ArrowError::ComputeError(message)
        | ArrowError::InvalidArgumentError(message) => plain(message),
        other => plain(&other.to_string()),
    }
}

fn schema_error(error: SchemaError) -> Error {
    match error {
        SchemaError::FieldNotFound {
            field,
            valid_fields,
        } => {
            let names = valid_fields.iter().map(|field| field.name.clone());
            let suggestion = nearest(&field.name, names);
            match field
                .relation
                .as_ref()
                .or_else(|| valid_fields.first().and_then(|f| f.relation.as_ref()))
            {
                Some(relation) => Error::ColumnNotFound {
                    column: field.name.clone(),
                    table: relation.to_string(),
                    suggestion,
                },
                None => Error::Plan {
                    message: format!("column not found: `{}`", field.name),
                },
            }
        }
        other => Error::Plan {
            message: plain(&other.to_string()),
        },
    }
}

/// A message in our form: lower case, without an end.
fn plain(message: &str) -> String {
    let message = message.trim().trim_end_matches('.');
    let mut characters = message.chars();
    match (characters.next(), characters.clone().next()) {
        (Some(first), Some(second)) if first.is_uppercase() && !second.is_uppercase() => {
            first.to_lowercase().chain(characters).collect()
        }
        _ => message.to_owned(),
    }
}
