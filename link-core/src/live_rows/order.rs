//! Cells as bytes that compare as the cells do, so that an order of several columns is one comparison of bytes.
//!
//! Every encoded cell knows its own end: concatenated cells compare column by column.

use serde_json::Value as Json;

use crate::cell::value_from_cell;
use crate::ids::SeqId;
use crate::message::{KeyField, OrderBy, RowObject};
use crate::value::{DataType, Value};

/// Name of the cell that every row has.
const SEQ: &str = "_seq";

// First byte of a cell. A cell that is not of its column's type stands behind those that are.
const NULL_FIRST: u8 = 0;
const VALUE: u8 = 1;
const UNREADABLE: u8 = 2;
const NULL_LAST: u8 = 3;

/// One column to order by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Term {
    column: String,
    data_type: DataType,
    descending: bool,
    nulls_first: bool,
}

impl From<&OrderBy> for Term {
    fn from(term: &OrderBy) -> Self {
        Self {
            column: term.column.clone(),
            data_type: term.data_type,
            descending: term.descending,
            nulls_first: term.nulls_first,
        }
    }
}

impl From<&KeyField> for Term {
    fn from(field: &KeyField) -> Self {
        Self {
            column: field.name.clone(),
            data_type: field.data_type,
            descending: false,
            nulls_first: false,
        }
    }
}

impl Term {
    /// Appends the row's cell of this column. A column that is not there is NULL.
    pub(super) fn append(&self, row: &RowObject, out: &mut Vec<u8>) {
        let cell = row.get(&self.column).unwrap_or(&Json::Null);
        let value = match value_from_cell(cell, self.data_type) {
            Ok(Value::Null) => {
                out.push(if self.nulls_first {
                    NULL_FIRST
                } else {
                    NULL_LAST
                });
                return;
            }
            Ok(value) => value,
            Err(_) => {
                out.push(UNREADABLE);
                append_bytes(cell.to_string().as_bytes(), out);
                return;
            }
        };
        out.push(VALUE);
        let begin = out.len();
        append_value(&value, out);
        if self.descending {
            for byte in &mut out[begin..] {
                *byte = !*byte;
            }
        }
    }
}

/// `_seq` of a row.
pub(super) fn row_seq(row: &RowObject) -> Option<SeqId> {
    match row.get(SEQ)? {
        Json::String(text) => text.parse().ok().map(SeqId),
        cell => cell.as_u64().map(SeqId),
    }
}

fn append_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => {}
        Value::Boolean(flag) => out.push(u8::from(*flag)),
        Value::SmallInt(number) => append_integer(i64::from(*number), out),
        Value::Int(number) | Value::Date(number) => append_integer(i64::from(*number), out),
        Value::BigInt(number)
        | Value::Timestamp(number)
        | Value::DateTime(number)
        | Value::Time(number) => append_integer(*number, out),
        Value::Float(number) => append_float(f64::from(*number), out),
        Value::Double(number) => append_float(*number, out),
        // All values of a column have its scale.
        Value::Decimal(number) => {
            let flipped = number.unscaled().cast_unsigned() ^ (1 << 127);
            out.extend_from_slice(&flipped.to_be_bytes());
        }
        Value::Text(text) | Value::Json(text) => append_bytes(text.as_bytes(), out),
        Value::Bytes(bytes) => append_bytes(bytes, out),
        Value::Uuid(bytes) => out.extend_from_slice(bytes),
        // All values of a column have its length.
        Value::Embedding(floats) => {
            for float in floats {
                append_float(f64::from(*float), out);
            }
        }
    }
}

fn append_integer(number: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&(number.cast_unsigned() ^ (1 << 63)).to_be_bytes());
}

/// NaN after every number, -0 = 0.
fn append_float(number: f64, out: &mut Vec<u8>) {
    let number = match number {
        number if number.is_nan() => f64::NAN.abs(),
        // Adding zero turns -0 into 0 and leaves every other number.
        number => number + 0.0,
    };
    let bits = number.to_bits();
    let flipped = if bits >> 63 == 1 {
        !bits
    } else {
        bits | 1 << 63
    };
    out.extend_from_slice(&flipped.to_be_bytes());
}

/// UTF-8 compares as its code points do. Zero is escaped, so that the end can be told.
fn append_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        out.push(*byte);
        if *byte == 0 {
            out.push(0xff);
        }
    }
    out.extend_from_slice(&[0, 0]);
}

#[cfg(test)]
mod tests;
