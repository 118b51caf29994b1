//! How a [`Value`] stands in JSON, the same in results, parameters and live rows.
//!
//! Whatever JavaScript numbers cannot hold exactly is a string. Reading the other way is lenient about which of the two
//! forms is used and strict about the value: nothing is rounded or wrapped.

use base64::Engine as _;
use serde_json::Value as Json;

use crate::decimal::Decimal;
use crate::value::{DataType, Value};

/// The JSON value cannot stand in a column of that type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{shown} is not a valid {data_type}")]
pub struct CellError {
    pub data_type: DataType,
    /// The offending cell, shortened.
    pub shown: String,
}

/// Appends the JSON form of `value`.
pub fn append_cell(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Boolean(flag) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
        Value::SmallInt(number) => append_display(out, number),
        Value::Int(number) | Value::Date(number) => append_display(out, number),
        Value::BigInt(number) => append_quoted(out, number),
        Value::Decimal(number) => append_quoted(out, number),
        Value::Float(number) => append_float(f64::from(*number), number, out),
        Value::Double(number) => append_float(*number, number, out),
        Value::Timestamp(micros) | Value::DateTime(micros) | Value::Time(micros) => {
            append_display(out, micros)
        }
        Value::Text(text) | Value::Json(text) => append_text(text, out),
        Value::Uuid(bytes) => append_quoted(out, &UuidText(bytes)),
        Value::Bytes(bytes) => append_list(bytes, out, |byte, out| append_display(out, byte)),
        Value::Embedding(floats) => {
            append_list(floats, out, |number, out| {
                append_float(f64::from(*number), number, out)
            });
        }
    }
}

/// Appends `text` as a JSON string.
pub fn append_text(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("writing a string to memory cannot fail");
}

fn append_list<T>(items: &[T], out: &mut Vec<u8>, mut append: impl FnMut(&T, &mut Vec<u8>)) {
    out.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        append(item, out);
    }
    out.push(b']');
}

fn append_display(out: &mut Vec<u8>, shown: &impl std::fmt::Display) {
    use std::io::Write as _;
    write!(out, "{shown}").expect("writing to memory cannot fail");
}

fn append_quoted(out: &mut Vec<u8>, shown: &impl std::fmt::Display) {
    out.push(b'"');
    append_display(out, shown);
    out.push(b'"');
}

/// `exact` is the number in its own width, so that a 32-bit float is written with no more digits than it has.
fn append_float(wide: f64, exact: &impl serde::Serialize, out: &mut Vec<u8>) {
    if wide.is_finite() {
        serde_json::to_writer(out, exact).expect("writing a number to memory cannot fail");
    } else if wide.is_nan() {
        out.extend_from_slice(b"\"NaN\"");
    } else {
        out.extend_from_slice(if wide > 0.0 {
            b"\"Infinity\""
        } else {
            b"\"-Infinity\""
        });
    }
}

/// The usual form of a UUID, lower case.
pub struct UuidText<'a>(pub &'a [u8; 16]);

impl std::fmt::Display for UuidText<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// Reads a UUID in its usual form, either case, with or without hyphens.
#[must_use]
pub fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let hyphens = text.len() == 36;
    if !hyphens && text.len() != 32 {
        return None;
    }
    let mut nibbles = 0_usize;
    let mut bytes = [0_u8; 16];
    for (index, character) in text.bytes().enumerate() {
        if hyphens && matches!(index, 8 | 13 | 18 | 23) {
            if character != b'-' {
                return None;
            }
            continue;
        }
        let digit = u8::try_from(char::from(character).to_digit(16)?).ok()?;
        bytes[nibbles / 2] = bytes[nibbles / 2] << 4 | digit;
        nibbles += 1;
    }
    Some(bytes)
}

/// Reads the JSON form of a value of `data_type`. Times are numbers here; their text forms belong to SQL.
pub fn value_from_cell(cell: &Json, data_type: DataType) -> Result<Value, CellError> {
    if cell.is_null() {
        return Ok(Value::Null);
    }
    let value = match data_type {
        DataType::Boolean => cell.as_bool().map(Value::Boolean),
        DataType::SmallInt => integer(cell)
            .and_then(|n| i16::try_from(n).ok())
            .map(Value::SmallInt),
        DataType::Int => integer(cell)
            .and_then(|n| i32::try_from(n).ok())
            .map(Value::Int),
        DataType::BigInt => integer(cell).map(Value::BigInt),
        DataType::Float => float(cell).and_then(narrow).map(Value::Float),
        DataType::Double => float(cell).map(Value::Double),
        DataType::Decimal { precision, scale } => decimal(cell)
            .and_then(|d| d.rescale(precision, scale).ok())
            .map(Value::Decimal),
        DataType::Text => cell.as_str().map(|text| Value::Text(text.to_owned())),
        DataType::Timestamp => integer(cell).map(Value::Timestamp),
        DataType::DateTime => integer(cell).map(Value::DateTime),
        DataType::Date => integer(cell)
            .and_then(|n| i32::try_from(n).ok())
            .map(Value::Date),
        DataType::Time => integer(cell)
            .filter(|n| (0..86_400_000_000).contains(n))
            .map(Value::Time),
        DataType::Json => match cell {
            Json::String(text) => serde_json::from_str::<serde::de::IgnoredAny>(text)
                .ok()
                .map(|_| Value::Json(text.clone())),
            nested => Some(Value::Json(nested.to_string())),
        },
        DataType::Bytes => bytes(cell).map(Value::Bytes),
        DataType::Uuid => cell.as_str().and_then(parse_uuid).map(Value::Uuid),
        DataType::Embedding(length) => embedding(cell, length).map(Value::Embedding),
    };
    value.ok_or_else(|| CellError {
        data_type,
        shown: shorten(cell),
    })
}

fn shorten(cell: &Json) -> String {
    const SHOWN_CHARS_MAX: usize = 60;
    let text = cell.to_string();
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

fn integer(cell: &Json) -> Option<i64> {
    match cell {
        Json::Number(number) => number.as_i64(),
        Json::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn float(cell: &Json) -> Option<f64> {
    match cell {
        Json::Number(number) => number.as_f64(),
        Json::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            digits => digits
                .parse()
                .ok()
                .filter(|number: &f64| number.is_finite()),
        },
        _ => None,
    }
}

/// To 32 bits, refusing what would become infinite.
#[expect(
    clippy::cast_possible_truncation,
    reason = "rounding to the nearest 32-bit float is what FLOAT means"
)]
fn narrow(number: f64) -> Option<f32> {
    let narrowed = number as f32;
    (narrowed.is_finite() || !number.is_finite()).then_some(narrowed)
}

fn decimal(cell: &Json) -> Option<Decimal> {
    match cell {
        Json::Number(number) => number.to_string().parse().ok(),
        Json::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn bytes(cell: &Json) -> Option<Vec<u8>> {
    match cell {
        Json::Array(items) => items
            .iter()
            .map(|item| item.as_u64().and_then(|n| u8::try_from(n).ok()))
            .collect(),
        Json::String(text) => base64::engine::general_purpose::STANDARD.decode(text).ok(),
        _ => None,
    }
}

fn embedding(cell: &Json, length: u32) -> Option<Vec<f32>> {
    let parsed;
    let items = match cell {
        Json::Array(items) => items,
        Json::String(text) => {
            parsed = serde_json::from_str::<Vec<Json>>(text).ok()?;
            &parsed
        }
        _ => return None,
    };
    if u32::try_from(items.len()).ok()? != length {
        return None;
    }
    items
        .iter()
        .map(|item| float(item).and_then(narrow))
        .collect()
}

#[cfg(test)]
#[cfg(not(target_arch = "wasm32"))]
mod tests;
