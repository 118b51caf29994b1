//! CAST between types, with the results of Arrow's cast kernels.

use std::borrow::Cow;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat};
use kalam_link_core::cell::{UuidText, parse_uuid};
use kalam_link_core::{DataType, Decimal, Value};

use super::arithmetic::decimal_to_double;
use super::wrong_type;
use crate::coerce::time::{
    DAY_MICROS, EPOCH_DAYS_FROM_CE, Form, SECOND_MICROS, parse_date, parse_date_time, parse_time,
};
use crate::coerce::{check_json, embedding_from_json};
use crate::error::Error;
use crate::expr::OnFailure;
use crate::expr::types::{is_numeric, is_text};

/// Whether there is a cast between the types whose result is certain to be DataFusion's.
pub(crate) fn is_castable(from: DataType, to: DataType) -> bool {
    use DataType as D;
    let decimal = matches!(from, D::Decimal { .. }) || matches!(to, D::Decimal { .. });
    match (from, to) {
        _ if from == to => true,
        (D::Embedding(_), _) => false,
        (D::Bytes, to) => to == D::Text,
        (from, D::Bytes) => matches!(from, D::Text | D::Json),
        (from, D::Text) => from != D::Bytes,
        (D::Text | D::Json, D::Json | D::Uuid | D::Embedding(_)) => true,
        (_, D::Json | D::Uuid | D::Embedding(_)) | (D::Uuid, _) => false,
        (from, _) if is_text(from) => true,
        (D::Boolean, to) | (to, D::Boolean) => is_numeric(to) && !decimal,
        (D::Date, D::Int | D::BigInt | D::Timestamp | D::DateTime) => true,
        (D::Int | D::BigInt, D::Date) => true,
        (
            D::Timestamp | D::DateTime,
            D::BigInt | D::Date | D::Time | D::Timestamp | D::DateTime,
        ) => true,
        (D::Time, D::BigInt) => true,
        _ => is_numeric(from) && is_numeric(to),
    }
}

/// Whether `text` is no plain ISO 8601 form of a time of type `target`.
pub(crate) fn is_foreign_time(text: &str, target: DataType) -> bool {
    match target {
        DataType::Date => parse_date(text).is_none(),
        DataType::Time => parse_time(text).is_none_or(|time| time.form == Form::Finer),
        DataType::Timestamp | DataType::DateTime => {
            parse_date_time(text).is_none_or(|time| time.form != Form::Plain)
        }
        _ => false,
    }
}

pub(crate) fn cast(
    value: Cow<'_, Value>,
    target: DataType,
    on_failure: OnFailure,
) -> Result<Value, Error> {
    let Some(own) = value.data_type() else {
        return Ok(Value::Null);
    };
    if own == target {
        return Ok(value.into_owned());
    }
    if !is_castable(own, target) {
        return Err(Error::Type {
            message: format!("cannot cast {own} to {target}"),
        });
    }
    match (convert(&value, target), on_failure) {
        (Err(_), OnFailure::Null) => Ok(Value::Null),
        (converted, _) => converted,
    }
}

fn convert(value: &Value, target: DataType) -> Result<Value, Error> {
    match target {
        DataType::Boolean => to_boolean(value).map(Value::Boolean),
        DataType::SmallInt => narrow(value, target).map(Value::SmallInt),
        DataType::Int => narrow(value, target).map(Value::Int),
        DataType::BigInt => narrow(value, target).map(Value::BigInt),
        DataType::Float => to_float(value).map(Value::Float),
        DataType::Double => to_double(value).map(Value::Double),
        DataType::Decimal { precision, scale } => {
            to_decimal(value, precision, scale).map(Value::Decimal)
        }
        DataType::Text => to_text(value).map(Value::Text),
        DataType::Timestamp => to_micros(value, target).map(Value::Timestamp),
        DataType::DateTime => to_micros(value, target).map(Value::DateTime),
        DataType::Date => to_date(value).map(Value::Date),
        DataType::Time => to_time(value).map(Value::Time),
        DataType::Json => {
            to_text(value).and_then(|text| check_json(&text).map(|()| Value::Json(text)))
        }
        DataType::Bytes => to_text(value).map(|text| Value::Bytes(text.into_bytes())),
        DataType::Uuid => {
            let text = to_text(value)?;
            parse_uuid(&text)
                .map(Value::Uuid)
                .ok_or_else(|| invalid(&text, target))
        }
        DataType::Embedding(length) => {
            embedding_from_json(&to_text(value)?, length).map(Value::Embedding)
        }
    }
}

pub(crate) fn invalid(text: &str, data_type: DataType) -> Error {
    const SHOWN_CHARS_MAX: usize = 60;
    let shown = match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    };
    Error::InvalidValue { shown, data_type }
}

fn to_boolean(value: &Value) -> Result<bool, Error> {
    match value {
        Value::SmallInt(number) => Ok(*number != 0),
        Value::Int(number) => Ok(*number != 0),
        Value::BigInt(number) => Ok(*number != 0),
        Value::Float(number) => Ok(*number != 0.0),
        Value::Double(number) => Ok(*number != 0.0),
        Value::Text(text) | Value::Json(text) => match text.trim().to_ascii_lowercase().as_str() {
            "t" | "tr" | "tru" | "true" | "y" | "ye" | "yes" | "on" | "1" => Ok(true),
            "f" | "fa" | "fal" | "fals" | "false" | "n" | "no" | "of" | "off" | "0" => Ok(false),
            _ => Err(invalid(text, DataType::Boolean)),
        },
        other => Err(wrong_type("BOOLEAN", other)),
    }
}

fn narrow<T: TryFrom<i64>>(value: &Value, target: DataType) -> Result<T, Error> {
    T::try_from(to_integer(value, target)?).map_err(|_| Error::OutOfRange { data_type: target })
}

fn to_integer(value: &Value, target: DataType) -> Result<i64, Error> {
    let out_of_range = Error::OutOfRange { data_type: target };
    match value {
        Value::Boolean(flag) => Ok(i64::from(*flag)),
        Value::SmallInt(number) => Ok(i64::from(*number)),
        Value::Int(number) => Ok(i64::from(*number)),
        Value::BigInt(number) => Ok(*number),
        Value::Float(number) => truncate(f64::from(*number)).ok_or(out_of_range),
        Value::Double(number) => truncate(*number).ok_or(out_of_range),
        Value::Decimal(number) => {
            let unit = 10_i128.pow(u32::from(number.scale()));
            i64::try_from(number.unscaled() / unit).map_err(|_| out_of_range)
        }
        Value::Date(days) => Ok(i64::from(*days)),
        Value::Timestamp(micros) | Value::DateTime(micros) | Value::Time(micros) => Ok(*micros),
        Value::Text(text) | Value::Json(text) => {
            text.trim_ascii().parse().map_err(|_| invalid(text, target))
        }
        other => Err(wrong_type("an integer", other)),
    }
}

/// Towards zero; `None` beyond BIGINT.
#[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
fn truncate(number: f64) -> Option<i64> {
    const BOUND: f64 = 9_223_372_036_854_775_808.0;
    (-BOUND..BOUND).contains(&number).then_some(number as i64)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a conversion to floating point rounds"
)]
fn to_double(value: &Value) -> Result<f64, Error> {
    match value {
        Value::Float(number) => Ok(f64::from(*number)),
        Value::Double(number) => Ok(*number),
        Value::Decimal(number) => Ok(decimal_to_double(*number)),
        Value::Text(text) | Value::Json(text) => text
            .trim_ascii()
            .parse()
            .map_err(|_| invalid(text, DataType::Double)),
        other => to_integer(other, DataType::Double).map(|number| number as f64),
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a conversion to floating point rounds"
)]
fn to_float(value: &Value) -> Result<f32, Error> {
    match value {
        Value::Text(text) | Value::Json(text) => text
            .trim_ascii()
            .parse()
            .map_err(|_| invalid(text, DataType::Float)),
        Value::Float(_) | Value::Double(_) | Value::Decimal(_) => {
            to_double(value).map(|number| number as f32)
        }
        other => to_integer(other, DataType::Float).map(|number| number as f32),
    }
}

fn to_decimal(value: &Value, precision: u8, scale: u8) -> Result<Decimal, Error> {
    let target = DataType::Decimal { precision, scale };
    match value {
        Value::Float(number) => float_to_decimal(f64::from(*number), precision, scale),
        Value::Double(number) => float_to_decimal(*number, precision, scale),
        Value::Decimal(number) => round(*number, precision, scale),
        Value::Text(text) | Value::Json(text) => {
            let digits = text.trim();
            if digits.contains(['e', 'E']) {
                return Err(invalid(text, target));
            }
            let number = digits.parse().map_err(|_| invalid(text, target))?;
            round(number, precision, scale)
        }
        other => round(to_integer(other, target)?.into(), precision, scale),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
fn float_to_decimal(number: f64, precision: u8, scale: u8) -> Result<Decimal, Error> {
    // 10^38 as a float: past it no decimal has enough digits.
    const BOUND: f64 = 1e38;
    let unscaled = (10_f64.powi(i32::from(scale)) * number).round();
    let in_range = (-BOUND..BOUND).contains(&unscaled);
    in_range
        .then(|| Decimal::new(unscaled as i128, scale))
        .flatten()
        .and_then(|decimal| decimal.rescale(precision, scale).ok())
        .ok_or(Error::OutOfRange {
            data_type: DataType::Decimal { precision, scale },
        })
}

/// To another scale, halves away from zero.
fn round(number: Decimal, precision: u8, scale: u8) -> Result<Decimal, Error> {
    let out_of_range = Error::OutOfRange {
        data_type: DataType::Decimal { precision, scale },
    };
    let rounded = if scale < number.scale() {
        let unit = 10_i128.pow(u32::from(number.scale() - scale));
        let (whole, rest) = (number.unscaled() / unit, number.unscaled() % unit);
        let up = if rest.abs() >= unit / 2 {
            rest.signum()
        } else {
            0
        };
        Decimal::new(whole + up, scale)
    } else {
        Some(number)
    };
    rounded
        .and_then(|number| number.rescale(precision, scale).ok())
        .ok_or(out_of_range)
}

fn to_micros(value: &Value, target: DataType) -> Result<i64, Error> {
    match value {
        Value::Timestamp(micros) | Value::DateTime(micros) => Ok(*micros),
        Value::Date(days) => i64::from(*days)
            .checked_mul(DAY_MICROS)
            .ok_or(Error::OutOfRange { data_type: target }),
        Value::Text(text) | Value::Json(text) => parse_date_time(text)
            .filter(|time| time.form != Form::NoSeconds)
            .map(|time| time.utc_micros())
            .ok_or_else(|| invalid(text, target)),
        other => Err(wrong_type("a time", other)),
    }
}

fn to_date(value: &Value) -> Result<i32, Error> {
    let out_of_range = Error::OutOfRange {
        data_type: DataType::Date,
    };
    match value {
        Value::Timestamp(micros) | Value::DateTime(micros) => {
            i32::try_from(micros.div_euclid(DAY_MICROS)).map_err(|_| out_of_range)
        }
        Value::Int(days) => Ok(*days),
        Value::BigInt(days) => i32::try_from(*days).map_err(|_| out_of_range),
        Value::Text(text) | Value::Json(text) => {
            parse_date(text).ok_or_else(|| invalid(text, DataType::Date))
        }
        other => Err(wrong_type("a date", other)),
    }
}

fn to_time(value: &Value) -> Result<i64, Error> {
    match value {
        Value::Timestamp(micros) | Value::DateTime(micros) => Ok(micros.rem_euclid(DAY_MICROS)),
        Value::Text(text) | Value::Json(text) => parse_time(text)
            .map(|time| time.micros)
            .ok_or_else(|| invalid(text, DataType::Time)),
        other => Err(wrong_type("a time", other)),
    }
}

/// The text form of a value that is not NULL.
pub(crate) fn to_text(value: &Value) -> Result<String, Error> {
    Ok(match value {
        Value::Boolean(flag) => flag.to_string(),
        Value::SmallInt(number) => number.to_string(),
        Value::Int(number) => number.to_string(),
        Value::BigInt(number) => number.to_string(),
        Value::Float(number) => float_text(f64::from(*number), number, 1e-6..1e13),
        Value::Double(number) => float_text(*number, number, 1e-5..1e16),
        Value::Decimal(number) => number.to_string(),
        Value::Text(text) | Value::Json(text) => text.clone(),
        Value::Timestamp(micros) => format!("{:?}", instant(*micros, DataType::Timestamp)?),
        Value::DateTime(micros) => instant(*micros, DataType::DateTime)?
            .and_utc()
            .to_rfc3339_opts(SecondsFormat::AutoSi, true),
        Value::Date(days) => {
            format!(
                "{:?}",
                date_of(*days).ok_or(Error::OutOfRange {
                    data_type: DataType::Date
                })?
            )
        }
        Value::Time(micros) => time_text(*micros)?,
        Value::Uuid(uuid) => UuidText(uuid).to_string(),
        Value::Bytes(bytes) => String::from_utf8(bytes.clone()).map_err(|_| Error::Type {
            message: "the bytes are not text in UTF-8".to_owned(),
        })?,
        Value::Null | Value::Embedding(_) => {
            return Err(wrong_type("a value with a text form", value));
        }
    })
}

/// Plain digits inside `plain`, else with an exponent; always with a sign that it is no integer.
fn float_text(
    number: f64,
    exact: &(impl std::fmt::Display + std::fmt::LowerExp),
    plain: std::ops::Range<f64>,
) -> String {
    if !number.is_finite() || number == 0.0 || plain.contains(&number.abs()) {
        let text = exact.to_string();
        if number.is_finite() && !text.contains('.') {
            text + ".0"
        } else {
            text
        }
    } else {
        format!("{exact:e}")
    }
}

fn instant(micros: i64, data_type: DataType) -> Result<NaiveDateTime, Error> {
    DateTime::from_timestamp_micros(micros)
        .map(|instant| instant.naive_utc())
        .ok_or(Error::OutOfRange { data_type })
}

/// The day in the calendar; `None` beyond ±262,143 years.
pub(crate) fn date_of(days: i32) -> Option<NaiveDate> {
    NaiveDate::from_num_days_from_ce_opt(days.checked_add(EPOCH_DAYS_FROM_CE)?)
}

fn time_text(micros: i64) -> Result<String, Error> {
    let out_of_range = Error::OutOfRange {
        data_type: DataType::Time,
    };
    let seconds =
        u32::try_from(micros.div_euclid(SECOND_MICROS)).map_err(|_| out_of_range.clone())?;
    let nanos = u32::try_from(micros.rem_euclid(SECOND_MICROS) * 1_000)
        .map_err(|_| out_of_range.clone())?;
    let time = NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanos).ok_or(out_of_range)?;
    Ok(format!("{time:?}"))
}

/// A float as the shortest decimal digits that mean it.
pub(crate) fn decimal_of_float(
    number: &impl std::fmt::LowerExp,
    target: DataType,
) -> Result<Decimal, Error> {
    format!("{number:e}")
        .parse()
        .map_err(|_| Error::OutOfRange { data_type: target })
}
