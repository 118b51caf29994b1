//! Assignment into a column: the value exactly, in the column's type, or an error. Nothing is cut, wrapped or rounded,
//! but a DOUBLE into a FLOAT and a decimal number into either, which become the nearest one.
//!
//! What a column takes beside its own type:
//!
//! | Column | Values |
//! |---|---|
//! | BOOLEAN | nothing else |
//! | SMALLINT, INT, BIGINT | integers in range, integral decimals and floats, text of an integer |
//! | FLOAT, DOUBLE | integers that it holds exactly, decimals, floats, text of a number |
//! | DECIMAL | integers, decimals, floats by their shortest digits, text of a number |
//! | TEXT | JSON and UUID |
//! | TIMESTAMP | DATETIME, DATE, ISO 8601 text without zone or with `Z` |
//! | DATETIME | TIMESTAMP, DATE, ISO 8601 text; without zone it is UTC |
//! | DATE, TIME | ISO 8601 text |
//! | JSON | text that is JSON |
//! | UUID | text |
//! | BYTES | nothing else; parameters also as array or base64 text |
//! | EMBEDDING | text `[0.5, -1]` with exactly its length |

use kalam_link_core::cell::{parse_uuid, value_from_cell};
use kalam_link_core::{DataType, Decimal, Value};
use kalam_model::ColumnDef;

use crate::error::Error;
use crate::eval::cast::{decimal_of_float, invalid};

pub(crate) mod time;

use time::{DAY_MICROS, Form, parse_date, parse_date_time, parse_time};

/// Integers of at most this size are exact as DOUBLE, and the other way round.
const DOUBLE_EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// `value` as it stands in `column`. Whether NULL may is not checked here.
pub fn coerce(value: Value, column: &ColumnDef) -> Result<Value, Error> {
    to_type(value, column.data_type)
        .and_then(|value| check_length(value, column))
        .map_err(|error| in_column(error, column))
}

pub(crate) fn in_column(error: Error, column: &ColumnDef) -> Error {
    match error {
        Error::TextTooLong { .. } | Error::Column { .. } => error,
        other => Error::Column {
            column: column.name.clone(),
            source: Box::new(other),
        },
    }
}

pub(crate) fn check_length(value: Value, column: &ColumnDef) -> Result<Value, Error> {
    if let (Value::Text(text), Some(max)) = (&value, column.max_chars)
        && text.len() > max as usize
        && text.chars().count() > max as usize
    {
        return Err(Error::TextTooLong {
            column: column.name.clone(),
            max,
        });
    }
    Ok(value)
}

fn to_type(value: Value, target: DataType) -> Result<Value, Error> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    match target {
        DataType::Boolean => match value {
            Value::Boolean(_) => Ok(value),
            other => Err(unfit(&other, target)),
        },
        DataType::SmallInt => to_integer(&value, target).map(Value::SmallInt),
        DataType::Int => to_integer(&value, target).map(Value::Int),
        DataType::BigInt => to_integer(&value, target).map(Value::BigInt),
        DataType::Float => to_float(&value).map(Value::Float),
        DataType::Double => {
            to_double(&value, target).map(|number| Value::Double(canonical(number)))
        }
        DataType::Decimal { precision, scale } => {
            to_decimal(&value, precision, scale).map(Value::Decimal)
        }
        DataType::Text => match value {
            Value::Text(text) | Value::Json(text) => Ok(Value::Text(text)),
            Value::Uuid(_) => crate::eval::cast::to_text(&value).map(Value::Text),
            other => Err(unfit(&other, target)),
        },
        DataType::Timestamp | DataType::DateTime | DataType::Date | DataType::Time => {
            to_time(&value, target)
        }
        DataType::Json => match value {
            Value::Json(_) => Ok(value),
            Value::Text(text) => check_json(&text).map(|()| Value::Json(text)),
            other => Err(unfit(&other, target)),
        },
        DataType::Bytes => to_bytes(value),
        DataType::Uuid => match value {
            Value::Uuid(_) => Ok(value),
            Value::Text(text) => parse_uuid(&text)
                .map(Value::Uuid)
                .ok_or_else(|| invalid(&text, target)),
            other => Err(unfit(&other, target)),
        },
        DataType::Embedding(length) => match value {
            Value::Embedding(floats) if floats.len() == length as usize => Ok(Value::Embedding(
                floats.into_iter().map(canonical_single).collect(),
            )),
            Value::Text(text) | Value::Json(text) => {
                embedding_from_json(&text, length).map(Value::Embedding)
            }
            other => Err(unfit(&other, target)),
        },
    }
}

fn unfit(value: &Value, target: DataType) -> Error {
    match value.data_type() {
        Some(own) => Error::Type {
            message: format!("a value of type {own} does not go into {target}"),
        },
        None => Error::OutOfRange { data_type: target },
    }
}

fn to_integer<T: TryFrom<i64>>(value: &Value, target: DataType) -> Result<T, Error> {
    let out_of_range = || Error::OutOfRange { data_type: target };
    let number = match value {
        Value::SmallInt(number) => i64::from(*number),
        Value::Int(number) => i64::from(*number),
        Value::BigInt(number) => *number,
        Value::Decimal(number) => {
            let whole = number.rescale(Decimal::PRECISION_MAX, 0)?;
            i64::try_from(whole.unscaled()).map_err(|_| out_of_range())?
        }
        Value::Float(number) => integral(f64::from(*number)).ok_or_else(out_of_range)?,
        Value::Double(number) => integral(*number).ok_or_else(out_of_range)?,
        Value::Text(text) => text.parse().map_err(|_| invalid(text, target))?,
        other => return Err(unfit(other, target)),
    };
    T::try_from(number).map_err(|_| out_of_range())
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the number is integral and in range"
)]
fn integral(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() <= DOUBLE_EXACT_MAX).then_some(number as i64)
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "an integer is converted back and compared"
)]
fn to_double(value: &Value, target: DataType) -> Result<f64, Error> {
    let exactly = |number: i64| {
        let float = number as f64;
        let same = float < i64::MAX as f64 && float as i64 == number;
        same.then_some(float)
            .ok_or(Error::OutOfRange { data_type: target })
    };
    match value {
        Value::SmallInt(number) => Ok(f64::from(*number)),
        Value::Int(number) => Ok(f64::from(*number)),
        Value::BigInt(number) => exactly(*number),
        Value::Float(number) => Ok(f64::from(*number)),
        Value::Double(number) => Ok(*number),
        Value::Decimal(number) => number
            .to_string()
            .parse()
            .map_err(|_| Error::OutOfRange { data_type: target }),
        Value::Text(text) => {
            let cell = serde_json::Value::String(text.clone());
            match value_from_cell(&cell, DataType::Double) {
                Ok(Value::Double(number)) => Ok(number),
                _ => Err(invalid(text, target)),
            }
        }
        other => Err(unfit(other, target)),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "FLOAT is the nearest 32-bit float"
)]
fn to_float(value: &Value) -> Result<f32, Error> {
    let out_of_range = Error::OutOfRange {
        data_type: DataType::Float,
    };
    let wide = to_double(value, DataType::Float)?;
    let narrowed = wide as f32;
    let integer = matches!(value, Value::SmallInt(_) | Value::Int(_) | Value::BigInt(_));
    let lost = integer && f64::from(narrowed) != wide;
    if lost || (narrowed.is_infinite() && wide.is_finite()) {
        return Err(out_of_range);
    }
    Ok(canonical_single(narrowed))
}

/// One NaN, and one zero: values that are equal are stored alike, so that they group, join and sort alike.
pub(crate) fn canonical(number: f64) -> f64 {
    if number.is_nan() {
        f64::NAN
    } else {
        number + 0.0
    }
}

pub(crate) fn canonical_single(number: f32) -> f32 {
    if number.is_nan() {
        f32::NAN
    } else {
        number + 0.0
    }
}

fn to_decimal(value: &Value, precision: u8, scale: u8) -> Result<Decimal, Error> {
    let target = DataType::Decimal { precision, scale };
    let number = match value {
        Value::SmallInt(number) => i64::from(*number).into(),
        Value::Int(number) => i64::from(*number).into(),
        Value::BigInt(number) => (*number).into(),
        Value::Decimal(number) => *number,
        Value::Float(number) => decimal_of_float(number, target)?,
        Value::Double(number) => decimal_of_float(number, target)?,
        Value::Text(text) => text.parse().map_err(|_| invalid(text, target))?,
        other => return Err(unfit(other, target)),
    };
    Ok(number.rescale(precision, scale)?)
}

fn to_time(value: &Value, target: DataType) -> Result<Value, Error> {
    let text = match (value, target) {
        (Value::Timestamp(micros) | Value::DateTime(micros), DataType::Timestamp) => {
            return Ok(Value::Timestamp(*micros));
        }
        (Value::Timestamp(micros) | Value::DateTime(micros), DataType::DateTime) => {
            return Ok(Value::DateTime(*micros));
        }
        (Value::Date(days), DataType::Timestamp | DataType::DateTime) => {
            let micros = i64::from(*days)
                .checked_mul(DAY_MICROS)
                .ok_or(Error::OutOfRange { data_type: target })?;
            return Ok(if target == DataType::Timestamp {
                Value::Timestamp(micros)
            } else {
                Value::DateTime(micros)
            });
        }
        (Value::Date(_), DataType::Date) | (Value::Time(_), DataType::Time) => {
            return Ok(value.clone());
        }
        (Value::Text(text), _) => text,
        (other, _) => return Err(unfit(other, target)),
    };
    time_from_text(text, target)
}

/// A time of type `target` from ISO 8601 text.
pub(crate) fn time_from_text(text: &str, target: DataType) -> Result<Value, Error> {
    let value = match target {
        DataType::Date => parse_date(text).map(Value::Date),
        DataType::Time => parse_time(text)
            .filter(|time| time.form != Form::Finer)
            .map(|time| Value::Time(time.micros)),
        _ => {
            let time = parse_date_time(text).filter(|time| time.form != Form::Finer);
            match target {
                DataType::Timestamp => time
                    .filter(|time| matches!(time.offset_seconds, None | Some(0)))
                    .map(|time| Value::Timestamp(time.local_micros)),
                DataType::DateTime => time.map(|time| Value::DateTime(time.utc_micros())),
                _ => None,
            }
        }
    };
    value.ok_or_else(|| invalid(text, target))
}

fn to_bytes(value: Value) -> Result<Value, Error> {
    match value {
        Value::Bytes(_) => Ok(value),
        // A parameter that is an array arrives as JSON where its column is not known.
        Value::Json(text) => serde_json::from_str(&text)
            .ok()
            .filter(serde_json::Value::is_array)
            .and_then(|cell| value_from_cell(&cell, DataType::Bytes).ok())
            .ok_or_else(|| invalid(&text, DataType::Bytes)),
        Value::Text(_) => Err(Error::Invalid {
            message: "a value of type TEXT does not go into BYTES".to_owned(),
            hint: Some("write bytes as X'00ff', or pass them as a parameter"),
        }),
        other => Err(unfit(&other, DataType::Bytes)),
    }
}

pub(crate) fn check_json(text: &str) -> Result<(), Error> {
    serde_json::from_str::<&serde_json::value::RawValue>(text)
        .map(|_| ())
        .map_err(|_| invalid(text, DataType::Json))
}

pub(crate) fn embedding_from_json(text: &str, length: u32) -> Result<Vec<f32>, Error> {
    let target = DataType::Embedding(length);
    match value_from_cell(&serde_json::Value::String(text.to_owned()), target) {
        Ok(Value::Embedding(floats)) => Ok(floats.into_iter().map(canonical_single).collect()),
        _ => Err(invalid(text, target)),
    }
}

#[cfg(test)]
mod tests;
