//! Order of two values of any types, as DataFusion compares them after coercion.

use std::borrow::Cow;
use std::cmp::Ordering;

use kalam_link_core::cell::UuidText;
use kalam_link_core::value::compare_floats;
use kalam_link_core::{Decimal, Value};

use super::cast::cast;
use super::type_of;
use crate::error::Error;
use crate::expr::OnFailure;
use crate::expr::types::comparison_type;

const DAY_MICROS: i128 = 86_400_000_000;

/// `None` if either is NULL.
pub(crate) fn compare(left: &Value, right: &Value) -> Result<Option<Ordering>, Error> {
    if left.is_null() || right.is_null() {
        return Ok(None);
    }
    if let Some(order) = compare_directly(left, right) {
        return Ok(Some(order));
    }
    let (left_type, right_type) = (type_of(left)?, type_of(right)?);
    let not_comparable = || Error::Type {
        message: format!("{left_type} and {right_type} cannot be compared"),
    };
    let common = comparison_type(left_type, right_type).ok_or_else(not_comparable)?;
    let left = cast(Cow::Borrowed(left), common, OnFailure::Error)?;
    let right = cast(Cow::Borrowed(right), common, OnFailure::Error)?;
    compare_directly(&left, &right)
        .map(Some)
        .ok_or_else(not_comparable)
}

/// Pairs that need no conversion, or one that costs nothing.
fn compare_directly(left: &Value, right: &Value) -> Option<Ordering> {
    use Value as V;
    if let (Some(a), Some(b)) = (integer(left), integer(right)) {
        return Some(a.cmp(&b));
    }
    match (left, right) {
        // Embeddings are equal or not, but have no order in SQL.
        (V::Embedding(_), _) | (_, V::Embedding(_)) => None,
        (V::Text(a) | V::Json(a), V::Text(b) | V::Json(b)) => Some(a.as_str().cmp(b.as_str())),
        (V::Uuid(uuid), V::Text(text) | V::Json(text)) => {
            Some(uuid_text(uuid).as_slice().cmp(text.as_bytes()))
        }
        (V::Text(text) | V::Json(text), V::Uuid(uuid)) => {
            Some(text.as_bytes().cmp(uuid_text(uuid).as_slice()))
        }
        (V::Double(a), other) => double(other).map(|b| compare_floats(*a, b)),
        (other, V::Double(b)) => double(other).map(|a| compare_floats(a, *b)),
        (V::Float(a), other) => float(other).map(|b| compare_floats(f64::from(*a), f64::from(b))),
        (other, V::Float(b)) => float(other).map(|a| compare_floats(f64::from(a), f64::from(*b))),
        (V::Decimal(a), other) => integer(other)
            .map(|b| a.compare(b.into()))
            .or_else(|| left.compare(right)),
        (other, V::Decimal(b)) => integer(other).map(|a| Decimal::from(a).compare(*b)),
        _ => match (micros(left), micros(right)) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => left.compare(right),
        },
    }
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::SmallInt(number) => Some(i64::from(*number)),
        Value::Int(number) => Some(i64::from(*number)),
        Value::BigInt(number) => Some(*number),
        _ => None,
    }
}

/// As DOUBLE, for integers and floats. Decimals compare with floats as decimals.
#[expect(
    clippy::cast_precision_loss,
    reason = "DataFusion compares a BIGINT with a DOUBLE as DOUBLE"
)]
fn double(value: &Value) -> Option<f64> {
    match value {
        Value::Double(number) => Some(*number),
        Value::Float(number) => Some(f64::from(*number)),
        other => integer(other).map(|number| number as f64),
    }
}

/// As FLOAT, for integers and FLOAT.
#[expect(
    clippy::cast_precision_loss,
    reason = "DataFusion compares a BIGINT with a FLOAT as FLOAT"
)]
fn float(value: &Value) -> Option<f32> {
    match value {
        Value::Float(number) => Some(*number),
        other => integer(other).map(|number| number as f32),
    }
}

/// A date or point in time as microseconds.
fn micros(value: &Value) -> Option<i128> {
    match value {
        Value::Timestamp(micros) | Value::DateTime(micros) => Some(i128::from(*micros)),
        Value::Date(days) => Some(i128::from(*days) * DAY_MICROS),
        _ => None,
    }
}

/// The 36 characters of a UUID without an allocation.
fn uuid_text(uuid: &[u8; 16]) -> [u8; 36] {
    use std::io::Write as _;
    let mut text = [0_u8; 36];
    write!(text.as_mut_slice(), "{}", UuidText(uuid)).expect("a UUID has 36 characters");
    text
}
