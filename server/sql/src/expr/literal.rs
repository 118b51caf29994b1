//! Literals as they stand in the syntax tree.

use kalam_link_core::{DataType, Decimal, Value};
use sqlparser::ast;

use crate::error::Error;

/// Sign in front of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Plus,
    Minus,
}

/// A number as DataFusion types it: BIGINT if it fits, DOUBLE if it has a point or an exponent. `None` for an integer
/// beyond BIGINT, whose type only its place can tell.
pub(super) fn number(digits: &str, sign: Sign) -> Result<Option<Value>, Error> {
    let signed = signed(digits, sign);
    if let Ok(integer) = signed.parse::<i64>() {
        return Ok(Some(Value::BigInt(integer)));
    }
    if signed
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'-')
    {
        return Ok(None);
    }
    match signed.parse::<f64>() {
        Ok(float) if float.is_finite() => Ok(Some(Value::Double(float))),
        Ok(_) => Err(Error::OutOfRange {
            data_type: DataType::Double,
        }),
        Err(_) => Err(Error::InvalidValue {
            shown: signed,
            data_type: DataType::Double,
        }),
    }
}

/// The number exactly as written, if a decimal can hold it.
pub(super) fn exact(digits: &str, sign: Sign) -> Option<Decimal> {
    signed(digits, sign).parse().ok()
}

/// What a number with a point or an exponent means beside a decimal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BesideDecimal {
    /// The decimal that was written, and its type.
    Exact(Decimal, DataType),
    /// More digits than a DOUBLE keeps: what was written is not known any more.
    Rounded,
    /// So large or small that only its order matters.
    Float,
}

/// Reads a number back from the DOUBLE that it was parsed into.
#[must_use]
pub fn beside_decimal(number: f64) -> BesideDecimal {
    const EXACT_DIGITS_MAX: usize = 15;
    const PRECISION_MAX: u8 = 30;
    const SCALE_MAX: u8 = 20;
    let shown = format!("{number:e}");
    let mantissa = shown.split('e').next().unwrap_or_default();
    if mantissa.bytes().filter(u8::is_ascii_digit).count() > EXACT_DIGITS_MAX {
        return BesideDecimal::Rounded;
    }
    let Ok(decimal) = shown.parse::<Decimal>() else {
        return BesideDecimal::Float;
    };
    let digits = decimal.unscaled().unsigned_abs().checked_ilog10();
    let digits = digits.map_or(1, |log| u8::try_from(log + 1).unwrap_or(u8::MAX));
    let (precision, scale) = (digits.max(decimal.scale()), decimal.scale());
    if precision > PRECISION_MAX || scale > SCALE_MAX {
        return BesideDecimal::Float;
    }
    BesideDecimal::Exact(decimal, DataType::Decimal { precision, scale })
}

fn signed(digits: &str, sign: Sign) -> String {
    let mut text = String::with_capacity(digits.len() + 1);
    if sign == Sign::Minus {
        text.push('-');
    }
    text.extend(digits.chars().filter(|character| *character != '_'));
    text
}

/// Every other literal but placeholders.
pub(super) fn other(value: &ast::Value) -> Result<Value, Error> {
    Ok(match value {
        ast::Value::SingleQuotedString(text) | ast::Value::EscapedStringLiteral(text) => {
            Value::Text(text.clone())
        }
        ast::Value::DollarQuotedString(quoted) => Value::Text(quoted.value.clone()),
        ast::Value::HexStringLiteral(digits) => Value::Bytes(hex(digits)?),
        ast::Value::Boolean(flag) => Value::Boolean(*flag),
        ast::Value::Null => Value::Null,
        other => return Err(Error::NotSimple(other.to_string())),
    })
}

fn hex(digits: &str) -> Result<Vec<u8>, Error> {
    let malformed = || Error::InvalidValue {
        shown: digits.to_owned(),
        data_type: DataType::Bytes,
    };
    let nibbles: Vec<u8> = digits
        .chars()
        .map(|digit| {
            digit
                .to_digit(16)
                .and_then(|nibble| u8::try_from(nibble).ok())
        })
        .collect::<Option<_>>()
        .ok_or_else(malformed)?;
    let (pairs, rest) = nibbles.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(malformed());
    }
    Ok(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

/// Position, from 0, of `$n`.
pub(crate) fn placeholder(text: &str) -> Result<usize, Error> {
    let index = text
        .strip_prefix('$')
        .and_then(|digits| digits.parse::<usize>().ok());
    match index {
        Some(index) if index > 0 => Ok(index - 1),
        _ => Err(Error::invalid(format!(
            "invalid parameter `{text}`: parameters are $1, $2, …"
        ))),
    }
}
