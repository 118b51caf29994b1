//! Parameters: JSON values in the place of `$1`, `$2`, …

use std::ops::ControlFlow;

use kalam_link_core::cell::value_from_cell;
use kalam_link_core::{DataType, Value};
use kalam_model::ColumnDef;
use serde_json::Value as Json;
use sqlparser::ast::{self, Visit};

use crate::coerce::{canonical, canonical_single, check_length, in_column, time_from_text};
use crate::error::Error;
use crate::eval::cast::invalid;

/// A parameter that is the whole value of a column: any form that a cell of its type has on the wire, and ISO 8601
/// text for times.
pub fn bind_param(json: &Json, column: &ColumnDef) -> Result<Value, Error> {
    read_cell(json, column.data_type)
        .and_then(|value| check_length(value, column))
        .map_err(|error| in_column(error, column))
}

/// A parameter inside an expression: a literal of the type that JSON gives it. Arrays and objects are JSON.
pub fn untyped_param(json: &Json) -> Result<Value, Error> {
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Boolean(*flag),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Value::BigInt(integer),
            (None, _) if number.is_u64() => {
                let shown = number.to_string();
                Value::Decimal(
                    shown
                        .parse()
                        .map_err(|_| invalid(&shown, DataType::BigInt))?,
                )
            }
            (None, Some(float)) => Value::Double(float),
            (None, None) => return Err(invalid(&number.to_string(), DataType::Double)),
        },
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(_) | Json::Object(_) => Value::Json(json.to_string()),
    })
}

/// The highest `$n` in a statement or expression; 0 if there is none.
pub fn highest_parameter(tree: &impl Visit) -> usize {
    let mut highest = 0;
    let _ = ast::visit_expressions(tree, |expr| {
        if let ast::Expr::Value(ast::ValueWithSpan {
            value: ast::Value::Placeholder(text),
            ..
        }) = expr
            && let Some(Ok(index)) = text.strip_prefix('$').map(str::parse)
        {
            highest = highest.max(index);
        }
        ControlFlow::<()>::Continue(())
    });
    highest
}

/// [`bind_param`] by position, from 0.
pub(crate) fn bind_indexed(
    params: &[Json],
    index: usize,
    column: &ColumnDef,
) -> Result<Value, Error> {
    bind_param(at(params, index)?, column).map_err(|error| match error {
        Error::TextTooLong { .. } => error,
        other => Error::Parameter {
            index: index + 1,
            message: other.to_string(),
        },
    })
}

/// A parameter inside an expression, by position, from 0.
pub(crate) fn read(
    params: &[Json],
    index: usize,
    data_type: Option<DataType>,
) -> Result<Value, Error> {
    let json = at(params, index)?;
    match data_type {
        None => untyped_param(json),
        Some(DataType::Decimal { .. }) => beside_decimal(json),
        Some(data_type) => read_cell(json, data_type),
    }
    .map_err(|error| Error::Parameter {
        index: index + 1,
        message: error.to_string(),
    })
}

/// A parameter that is compared with a decimal: a number as it is written, of any scale.
fn beside_decimal(json: &Json) -> Result<Value, Error> {
    if let Json::Number(number) = json
        && let Ok(decimal) = number.to_string().parse()
    {
        return Ok(Value::Decimal(decimal));
    }
    untyped_param(json)
}

fn at(params: &[Json], index: usize) -> Result<&Json, Error> {
    params
        .get(index)
        .ok_or(Error::MissingParameter { index: index + 1 })
}

fn read_cell(json: &Json, data_type: DataType) -> Result<Value, Error> {
    if let (
        Json::String(text),
        DataType::Timestamp | DataType::DateTime | DataType::Date | DataType::Time,
    ) = (json, data_type)
    {
        return time_from_text(text, data_type);
    }
    value_from_cell(json, data_type)
        .map(|value| match value {
            Value::Double(number) => Value::Double(canonical(number)),
            Value::Float(number) => Value::Float(canonical_single(number)),
            Value::Embedding(floats) => {
                Value::Embedding(floats.into_iter().map(canonical_single).collect())
            }
            other => other,
        })
        .map_err(|error| Error::InvalidValue {
            shown: error.shown,
            data_type,
        })
}

#[cfg(test)]
mod tests;
