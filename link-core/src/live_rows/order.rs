//! Cells as bytes that compare as the cells do, so that an order of several columns is one comparison of bytes.
//!
//! Every encoded cell knows its own end: concatenated cells compare column by column.

use std::borrow::Cow;

use crate::cell::parse_uuid;
use crate::ids::SeqId;
use crate::json::Reader;
use crate::message::{KeyField, OrderBy, Row, SEQ};
use crate::value::DataType;

const NULL: &str = "null";

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
    pub(super) fn append(&self, row: &Row, out: &mut Vec<u8>) {
        let cell = row.raw(&self.column).unwrap_or(NULL);
        if cell == NULL {
            out.push(if self.nulls_first {
                NULL_FIRST
            } else {
                NULL_LAST
            });
            return;
        }
        let begin = out.len();
        out.push(VALUE);
        if append_ordered(cell, self.data_type, out).is_none() {
            out.truncate(begin);
            out.push(UNREADABLE);
            append_bytes(cell.as_bytes(), out);
        } else if self.descending {
            for byte in &mut out[begin + 1..] {
                *byte = !*byte;
            }
        }
    }
}

/// `_seq` of a row.
pub(super) fn row_seq(row: &Row) -> Option<SeqId> {
    unquoted(row.raw(SEQ)?).parse().ok().map(SeqId)
}

/// None if the cell is not of that type. What was appended until then is to be taken away.
fn append_ordered(cell: &str, data_type: DataType, out: &mut Vec<u8>) -> Option<()> {
    match data_type {
        DataType::Boolean => out.push(u8::from(Reader::new(cell).boolean().ok()?)),
        DataType::SmallInt
        | DataType::Int
        | DataType::BigInt
        | DataType::Date
        | DataType::Time
        | DataType::Timestamp
        | DataType::DateTime
        | DataType::Float
        | DataType::Double
        | DataType::Decimal { .. } => append_number(unquoted(cell), out)?,
        DataType::Text | DataType::Json => append_bytes(text(cell)?.as_bytes(), out),
        DataType::Uuid => out.extend_from_slice(&parse_uuid(&text(cell)?)?),
        DataType::Bytes => {
            let mut bytes = Vec::new();
            let read = Reader::new(cell).array(&mut |item| {
                let byte = u8::try_from(item.unsigned()?);
                bytes.push(byte.map_err(|_| item.wrong("a byte"))?);
                Ok(())
            });
            read.ok()?;
            append_bytes(&bytes, out);
        }
        // All values of a column have its length.
        DataType::Embedding(_) => {
            let read = Reader::new(cell).array(&mut |item| {
                let number = unquoted(item.raw()?);
                append_number(number, out).ok_or_else(|| item.wrong("a number"))
            });
            read.ok()?;
        }
    }
    Some(())
}

/// Numbers that JSON cannot hold are text.
fn unquoted(cell: &str) -> &str {
    let text = cell
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    text.unwrap_or(cell)
}

fn text(cell: &str) -> Option<Cow<'_, str>> {
    if cell.starts_with('"') {
        Reader::new(cell).text().ok()
    } else {
        Some(Cow::Borrowed(cell))
    }
}

// First byte of a number.
const INFINITE_BELOW: u8 = 0x10;
const BELOW_ZERO: u8 = 0x20;
const ZERO: u8 = 0x80;
const ABOVE_ZERO: u8 = 0xd0;
const INFINITE: u8 = 0xe0;
const NOT_A_NUMBER: u8 = 0xf0;

// Makes every exponent that is read positive.
const EXPONENT_BIAS: i32 = 0x4000;

/// Appends a number by its decimal digits, exactly, whatever its type: sign, exponent, digits without zeros at either
/// end. NaN stands after every number, and -0 is 0. None if the text is no number.
fn append_number(text: &str, out: &mut Vec<u8>) -> Option<()> {
    match text {
        "NaN" => out.push(NOT_A_NUMBER),
        "Infinity" => out.push(INFINITE),
        "-Infinity" => out.push(INFINITE_BELOW),
        _ => append_finite(text, out)?,
    }
    Some(())
}

fn append_finite(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let (is_below, unsigned) = match text.strip_prefix('-') {
        Some(unsigned) => (true, unsigned),
        None => (false, text),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = || whole.bytes().chain(fraction.bytes());
    if whole.is_empty() || !digits().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let zeros = digits().take_while(|digit| *digit == b'0').count();
    if zeros == whole.len() + fraction.len() {
        out.push(ZERO);
        return Some(());
    }
    // Of the first digit that is not zero.
    let exponent = i32::try_from(whole.len()).ok()? - i32::try_from(zeros).ok()? + exponent;
    let biased = u16::try_from(exponent.checked_add(EXPONENT_BIAS)?).ok()?;
    out.push(if is_below { BELOW_ZERO } else { ABOVE_ZERO });
    let begin = out.len();
    out.extend_from_slice(&biased.to_be_bytes());
    out.extend(digits().skip(zeros));
    while out.last() == Some(&b'0') {
        out.pop();
    }
    out.push(0);
    if is_below {
        for byte in &mut out[begin..] {
            *byte = !*byte;
        }
    }
    Some(())
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
#[cfg(not(target_arch = "wasm32"))]
mod tests;
