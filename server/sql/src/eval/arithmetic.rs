//! `+ - * / %` and negation. Overflow and division by zero are errors for integers and decimals; floats follow IEEE 754.

use kalam_link_core::{DataType, Decimal, Value};

use super::wrong_type;
use crate::coerce::{canonical, canonical_single};
use crate::error::Error;
use crate::expr::Arithmetic;
use crate::expr::types::decimal_scale;

pub(crate) fn apply(operator: Arithmetic, left: &Value, right: &Value) -> Result<Value, Error> {
    use Value as V;
    match (left, right) {
        (V::Null, _) | (_, V::Null) => Ok(V::Null),
        (V::SmallInt(a), V::SmallInt(b)) => {
            integers(operator, (*a).into(), (*b).into()).and_then(|n| {
                i16::try_from(n)
                    .map(V::SmallInt)
                    .map_err(|_| Error::Overflow)
            })
        }
        (V::SmallInt(_) | V::Int(_), V::SmallInt(_) | V::Int(_)) => {
            integers(operator, whole(left)?, whole(right)?)
                .and_then(|n| i32::try_from(n).map(V::Int).map_err(|_| Error::Overflow))
        }
        (V::SmallInt(_) | V::Int(_) | V::BigInt(_), V::SmallInt(_) | V::Int(_) | V::BigInt(_)) => {
            integers(operator, whole(left)?, whole(right)?).map(V::BigInt)
        }
        (V::Date(_), _) | (_, V::Date(_)) => dates(operator, left, right),
        (V::Double(_), _) | (_, V::Double(_)) => Ok(V::Double(canonical(floats(
            operator,
            double(left)?,
            double(right)?,
        )))),
        (V::Float(_), _) | (_, V::Float(_)) => Ok(V::Float(canonical_single(singles(
            operator,
            single(left)?,
            single(right)?,
        )))),
        (V::Decimal(_), _) | (_, V::Decimal(_)) => {
            decimals(operator, decimal(left)?, decimal(right)?).map(V::Decimal)
        }
        _ => Err(wrong_type("a number", left)),
    }
}

pub(crate) fn negate(value: &Value) -> Result<Value, Error> {
    use Value as V;
    Ok(match value {
        V::Null => V::Null,
        V::SmallInt(number) => V::SmallInt(number.checked_neg().ok_or(Error::Overflow)?),
        V::Int(number) => V::Int(number.checked_neg().ok_or(Error::Overflow)?),
        V::BigInt(number) => V::BigInt(number.checked_neg().ok_or(Error::Overflow)?),
        V::Float(number) => V::Float(canonical_single(-number)),
        V::Double(number) => V::Double(canonical(-number)),
        V::Decimal(number) => {
            V::Decimal(Decimal::new(-number.unscaled(), number.scale()).ok_or(Error::Overflow)?)
        }
        other => return Err(wrong_type("a number", other)),
    })
}

pub(crate) fn absolute(value: &Value) -> Result<Value, Error> {
    use Value as V;
    Ok(match value {
        V::Float(number) => V::Float(number.abs()),
        V::Double(number) => V::Double(number.abs()),
        V::SmallInt(number) if *number < 0 => negate(value)?,
        V::Int(number) if *number < 0 => negate(value)?,
        V::BigInt(number) if *number < 0 => negate(value)?,
        V::Decimal(number) if number.unscaled() < 0 => negate(value)?,
        V::Null | V::SmallInt(_) | V::Int(_) | V::BigInt(_) | V::Decimal(_) => value.clone(),
        other => return Err(wrong_type("a number", other)),
    })
}

/// The smallest value divided by -1 overflows in its own width: narrower results are checked by the caller.
fn integers(operator: Arithmetic, a: i64, b: i64) -> Result<i64, Error> {
    if b == 0 && matches!(operator, Arithmetic::Divide | Arithmetic::Remainder) {
        return Err(Error::DivisionByZero);
    }
    match operator {
        Arithmetic::Add => a.checked_add(b),
        Arithmetic::Subtract => a.checked_sub(b),
        Arithmetic::Multiply => a.checked_mul(b),
        Arithmetic::Divide => a.checked_div(b),
        Arithmetic::Remainder => Some(a.wrapping_rem(b)),
    }
    .ok_or(Error::Overflow)
}

fn floats(operator: Arithmetic, a: f64, b: f64) -> f64 {
    match operator {
        Arithmetic::Add => a + b,
        Arithmetic::Subtract => a - b,
        Arithmetic::Multiply => a * b,
        Arithmetic::Divide => a / b,
        Arithmetic::Remainder => a % b,
    }
}

fn singles(operator: Arithmetic, a: f32, b: f32) -> f32 {
    match operator {
        Arithmetic::Add => a + b,
        Arithmetic::Subtract => a - b,
        Arithmetic::Multiply => a * b,
        Arithmetic::Divide => a / b,
        Arithmetic::Remainder => a % b,
    }
}

fn decimals(operator: Arithmetic, a: Decimal, b: Decimal) -> Result<Decimal, Error> {
    let scale = decimal_scale(operator, a.scale(), b.scale()).ok_or(Error::Overflow)?;
    let widened = |number: Decimal, digits: u8| {
        10_i128
            .checked_pow(u32::from(digits))
            .and_then(|factor| number.unscaled().checked_mul(factor))
            .ok_or(Error::Overflow)
    };
    let aligned = |number: Decimal| widened(number, scale.saturating_sub(number.scale()));
    let divides = matches!(operator, Arithmetic::Divide | Arithmetic::Remainder);
    if divides && b.unscaled() == 0 {
        return Err(Error::DivisionByZero);
    }
    let unscaled = match operator {
        Arithmetic::Add => aligned(a)?.checked_add(aligned(b)?),
        Arithmetic::Subtract => aligned(a)?.checked_sub(aligned(b)?),
        Arithmetic::Multiply => a.unscaled().checked_mul(b.unscaled()),
        Arithmetic::Divide => widened(a, scale - a.scale() + b.scale())?.checked_div(b.unscaled()),
        Arithmetic::Remainder => aligned(a)?.checked_rem(aligned(b)?),
    };
    unscaled
        .and_then(|unscaled| Decimal::new(unscaled, scale))
        .ok_or(Error::Overflow)
}

fn dates(operator: Arithmetic, left: &Value, right: &Value) -> Result<Value, Error> {
    let days = match (operator, left, right) {
        (Arithmetic::Subtract, Value::Date(a), Value::Date(b)) => {
            return Ok(Value::BigInt(i64::from(*a) - i64::from(*b)));
        }
        (Arithmetic::Add, Value::Date(date), days) | (Arithmetic::Add, days, Value::Date(date)) => {
            i64::from(*date).checked_add(whole(days)?)
        }
        (Arithmetic::Subtract, Value::Date(date), days) => {
            i64::from(*date).checked_sub(whole(days)?)
        }
        _ => return Err(wrong_type("a number", left)),
    };
    days.and_then(|days| i32::try_from(days).ok())
        .filter(|days| super::cast::date_of(*days).is_some())
        .map(Value::Date)
        .ok_or(Error::OutOfRange {
            data_type: DataType::Date,
        })
}

fn whole(value: &Value) -> Result<i64, Error> {
    match value {
        Value::SmallInt(number) => Ok((*number).into()),
        Value::Int(number) => Ok((*number).into()),
        Value::BigInt(number) => Ok(*number),
        other => Err(wrong_type("an integer", other)),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "DataFusion computes BIGINT with DOUBLE as DOUBLE"
)]
fn double(value: &Value) -> Result<f64, Error> {
    match value {
        Value::Double(number) => Ok(*number),
        Value::Float(number) => Ok(f64::from(*number)),
        Value::Decimal(number) => Ok(decimal_to_double(*number)),
        Value::SmallInt(_) | Value::Int(_) | Value::BigInt(_) => Ok(whole(value)? as f64),
        other => Err(wrong_type("a number", other)),
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "DataFusion computes other numbers with FLOAT as FLOAT"
)]
fn single(value: &Value) -> Result<f32, Error> {
    match value {
        Value::Float(number) => Ok(*number),
        Value::Decimal(number) => Ok(decimal_to_double(*number) as f32),
        Value::SmallInt(_) | Value::Int(_) | Value::BigInt(_) => Ok(whole(value)? as f32),
        other => Err(wrong_type("a number", other)),
    }
}

/// As Arrow converts: divided by the power of ten, not read from the digits.
#[expect(
    clippy::cast_precision_loss,
    reason = "a conversion to floating point rounds"
)]
pub(crate) fn decimal_to_double(number: Decimal) -> f64 {
    number.unscaled() as f64 / 10_f64.powi(i32::from(number.scale()))
}

fn decimal(value: &Value) -> Result<Decimal, Error> {
    match value {
        Value::Decimal(number) => Ok(*number),
        _ => whole(value).map(Decimal::from),
    }
}
