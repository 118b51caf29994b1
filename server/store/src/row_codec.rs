//! Rows as bytes, by schema version.
//!
//! ```text
//! version = 1 | schema version (varint) | bitmap | fixed area | ends | variable area
//! ```
//!
//! Bit 0 of the bitmap: ends are 32 bits wide, else 16. Bit n + 1: column n is NULL. The fixed area has the values of
//! fixed length, little-endian, also room for those that are NULL; an end is where a value of the variable area stops.
//! So the place of each value follows from the schema version and at most two ends: one column is read without the
//! others, straight into an Arrow builder.

use std::borrow::Cow;

use kalam_link_core::{DataType, Decimal, Value};
use kalam_model::Row;

use crate::error::Error;
use crate::layout::{Cell, Layouts, Place, StoredLayout, widen};

mod columns;

pub use columns::ColumnBuilders;

/// First byte of every row.
const VERSION: u8 = 1;

const WIDE_BIT: usize = 0;

/// Encodes a row of the current schema version. Its values must have been coerced to the columns' types.
pub fn encode(layouts: &Layouts, row: &Row) -> Result<Vec<u8>, Error> {
    let layout = layouts.newest();
    let columns = &layout.def.columns;
    if row.0.len() != columns.len() {
        return Err(Error::RowLength {
            given: row.0.len(),
            expected: columns.len(),
        });
    }
    let var_bytes: usize = layout
        .cells
        .iter()
        .zip(&row.0)
        .map(|(cell, value)| length_of(cell, value))
        .sum();
    let wide = var_bytes > usize::from(u16::MAX);
    u32::try_from(var_bytes).map_err(|_| Error::RowTooLarge)?;
    let ends_bytes = layout.var_cells * end_bytes(wide);
    let mut bytes =
        Vec::with_capacity(6 + layout.bitmap_bytes + layout.fixed_bytes + ends_bytes + var_bytes);
    bytes.push(VERSION);
    push_varint(&mut bytes, layout.def.schema_version);
    let bitmap = bytes.len();
    let fixed = bitmap + layout.bitmap_bytes;
    let ends = fixed + layout.fixed_bytes;
    let data = ends + ends_bytes;
    bytes.resize(data, 0);
    if wide {
        set_bit(&mut bytes[bitmap..], WIDE_BIT);
    }
    for ((cell, value), column) in layout.cells.iter().zip(&row.0).zip(columns) {
        if value.is_null() {
            set_bit(&mut bytes[bitmap..], cell.null_bit);
        }
        let written = match cell.place {
            Place::Fixed { offset, length } => {
                let start = fixed + offset;
                write_fixed(&mut bytes[start..start + length], cell.data_type, value)
            }
            Place::Var { index } => {
                let written = write_var(&mut bytes, cell.data_type, value);
                let end = bytes.len() - data;
                write_end(&mut bytes[ends..data], index, wide, end);
                written
            }
        };
        written.ok_or_else(|| Error::RowMismatch {
            column: column.name.clone(),
        })?;
    }
    Ok(bytes)
}

/// Decodes a row of any version into the current columns.
pub fn decode(layouts: &Layouts, bytes: &[u8]) -> Result<Row, Error> {
    let stored = Stored::parse(layouts, bytes)?;
    let columns = 0..layouts.current().columns.len();
    columns
        .map(|column| stored.value(layouts, column))
        .collect::<Result<_, _>>()
        .map(Row)
}

/// Decodes some of the current columns, by position.
pub fn decode_columns(
    layouts: &Layouts,
    bytes: &[u8],
    projection: &[usize],
) -> Result<Vec<Value>, Error> {
    let stored = Stored::parse(layouts, bytes)?;
    projection
        .iter()
        .map(|column| stored.value(layouts, *column))
        .collect()
}

/// The parts of a stored row.
struct Stored<'a> {
    layout: &'a StoredLayout,
    bitmap: &'a [u8],
    fixed: &'a [u8],
    ends: &'a [u8],
    data: &'a [u8],
    wide: bool,
}

impl<'a> Stored<'a> {
    fn parse(layouts: &'a Layouts, bytes: &'a [u8]) -> Result<Self, Error> {
        let Some((&VERSION, rest)) = bytes.split_first() else {
            return Err(corrupt("unknown version"));
        };
        let (version, rest) = read_varint(rest)?;
        let layout = layouts
            .version(version)
            .ok_or_else(|| Error::UnknownSchema {
                table: layouts.current().number.0,
                version,
            })?;
        let (bitmap, rest) = rest.split_at_checked(layout.bitmap_bytes).ok_or(SHORT)?;
        let (fixed, rest) = rest.split_at_checked(layout.fixed_bytes).ok_or(SHORT)?;
        let wide = bit(bitmap, WIDE_BIT);
        let ends_bytes = layout.var_cells * end_bytes(wide);
        let (ends, data) = rest.split_at_checked(ends_bytes).ok_or(SHORT)?;
        let stored = Self {
            layout,
            bitmap,
            fixed,
            ends,
            data,
            wide,
        };
        match stored.end(layout.var_cells) == data.len() {
            true => Ok(stored),
            false => Err(corrupt("values do not fill it")),
        }
    }

    /// Where the first `count` values of the variable area end.
    fn end(&self, count: usize) -> usize {
        let Some(index) = count.checked_sub(1) else {
            return 0;
        };
        if self.wide {
            let bytes = &self.ends[index * 4..];
            u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize
        } else {
            let bytes = &self.ends[index * 2..];
            usize::from(u16::from_le_bytes([bytes[0], bytes[1]]))
        }
    }

    /// The bytes of a value; `None` if it is NULL.
    fn bytes(&self, cell: &Cell) -> Result<Option<&'a [u8]>, Error> {
        if bit(self.bitmap, cell.null_bit) {
            return Ok(None);
        }
        match cell.place {
            Place::Fixed { offset, length } => Ok(Some(&self.fixed[offset..offset + length])),
            Place::Var { index } => {
                let value = self.data.get(self.end(index)..self.end(index + 1));
                value.map(Some).ok_or(corrupt("values overlap"))
            }
        }
    }

    /// The value of a current column.
    fn value(&self, layouts: &Layouts, column: usize) -> Result<Value, Error> {
        let Some(cell) = &self.layout.sources[column] else {
            return Ok(layouts.initial(column).clone());
        };
        match self.bytes(cell)? {
            None => Ok(Value::Null),
            Some(bytes) => {
                let value = read_value(cell.data_type, bytes)?;
                let data_type = layouts.current().columns[column].data_type;
                if cell.data_type == data_type {
                    Ok(value)
                } else {
                    widen_stored(value, data_type)
                }
            }
        }
    }
}

fn widen_stored(value: Value, data_type: DataType) -> Result<Value, Error> {
    widen(value, data_type).ok_or(corrupt("a value does not fit into its column"))
}

fn read_value(data_type: DataType, bytes: &[u8]) -> Result<Value, Error> {
    Ok(match data_type {
        DataType::Boolean => Value::Boolean(read_boolean(bytes)?),
        DataType::SmallInt => Value::SmallInt(i16::from_le_bytes(array(bytes)?)),
        DataType::Int => Value::Int(i32::from_le_bytes(array(bytes)?)),
        DataType::BigInt => Value::BigInt(i64::from_le_bytes(array(bytes)?)),
        DataType::Float => Value::Float(f32::from_le_bytes(array(bytes)?)),
        DataType::Double => Value::Double(f64::from_le_bytes(array(bytes)?)),
        DataType::Decimal { scale, .. } => {
            let decimal = Decimal::new(read_unscaled(bytes)?, scale);
            Value::Decimal(decimal.ok_or(corrupt("decimal has more than 38 digits"))?)
        }
        DataType::Text => Value::Text(read_text(bytes)?.to_owned()),
        DataType::Timestamp => Value::Timestamp(i64::from_le_bytes(array(bytes)?)),
        DataType::DateTime => Value::DateTime(i64::from_le_bytes(array(bytes)?)),
        DataType::Date => Value::Date(i32::from_le_bytes(array(bytes)?)),
        DataType::Time => Value::Time(i64::from_le_bytes(array(bytes)?)),
        DataType::Json => Value::Json(read_text(bytes)?.to_owned()),
        DataType::Bytes => Value::Bytes(bytes.to_vec()),
        DataType::Uuid => Value::Uuid(array(bytes)?),
        DataType::Embedding(length) => Value::Embedding(read_floats(bytes, length)?.collect()),
    })
}

fn read_boolean(bytes: &[u8]) -> Result<bool, Error> {
    match bytes {
        [0] => Ok(false),
        [1] => Ok(true),
        _ => Err(corrupt("unknown boolean")),
    }
}

fn read_unscaled(bytes: &[u8]) -> Result<i128, Error> {
    if bytes.len() == 8 {
        return Ok(i64::from_le_bytes(array(bytes)?).into());
    }
    Ok(i128::from_le_bytes(array(bytes)?))
}

fn read_text(bytes: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(bytes).map_err(|_| corrupt("text is not UTF-8"))
}

fn read_floats(bytes: &[u8], length: u32) -> Result<impl Iterator<Item = f32> + '_, Error> {
    let (floats, rest) = bytes.as_chunks::<4>();
    if floats.len() != length as usize || !rest.is_empty() {
        return Err(corrupt("embedding has another length"));
    }
    Ok(floats.iter().map(|float| f32::from_le_bytes(*float)))
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Error> {
    bytes.try_into().map_err(|_| SHORT)
}

/// Bytes of the value in the variable area.
fn length_of(cell: &Cell, value: &Value) -> usize {
    match cell.place {
        Place::Fixed { .. } => 0,
        Place::Var { .. } => value.heap_bytes(),
    }
}

/// `None` if the value does not have the type.
fn write_fixed(target: &mut [u8], data_type: DataType, value: &Value) -> Option<()> {
    match (data_type, value) {
        (_, Value::Null) => {}
        (DataType::Boolean, Value::Boolean(flag)) => target[0] = u8::from(*flag),
        (DataType::SmallInt, Value::SmallInt(number)) => {
            target.copy_from_slice(&number.to_le_bytes());
        }
        (DataType::Int, Value::Int(number)) | (DataType::Date, Value::Date(number)) => {
            target.copy_from_slice(&number.to_le_bytes());
        }
        (DataType::BigInt, Value::BigInt(number))
        | (DataType::Timestamp, Value::Timestamp(number))
        | (DataType::DateTime, Value::DateTime(number))
        | (DataType::Time, Value::Time(number)) => target.copy_from_slice(&number.to_le_bytes()),
        (DataType::Float, Value::Float(number)) => target.copy_from_slice(&number.to_le_bytes()),
        (DataType::Double, Value::Double(number)) => target.copy_from_slice(&number.to_le_bytes()),
        (DataType::Decimal { precision, scale }, Value::Decimal(number)) => {
            let unscaled = number.rescale(precision, scale).ok()?.unscaled();
            if target.len() == 8 {
                target.copy_from_slice(&i64::try_from(unscaled).ok()?.to_le_bytes());
            } else {
                target.copy_from_slice(&unscaled.to_le_bytes());
            }
        }
        (DataType::Uuid, Value::Uuid(id)) => target.copy_from_slice(id),
        _ => return None,
    }
    Some(())
}

fn write_var(bytes: &mut Vec<u8>, data_type: DataType, value: &Value) -> Option<()> {
    let content: Cow<'_, [u8]> = match (data_type, value) {
        (_, Value::Null) => return Some(()),
        (DataType::Text, Value::Text(text)) | (DataType::Json, Value::Json(text)) => {
            Cow::Borrowed(text.as_bytes())
        }
        (DataType::Bytes, Value::Bytes(content)) => Cow::Borrowed(content),
        (DataType::Embedding(length), Value::Embedding(floats))
            if floats.len() == length as usize =>
        {
            Cow::Owned(
                floats
                    .iter()
                    .flat_map(|float| float.to_le_bytes())
                    .collect(),
            )
        }
        _ => return None,
    };
    bytes.extend_from_slice(&content);
    Some(())
}

const fn end_bytes(wide: bool) -> usize {
    if wide { 4 } else { 2 }
}

fn write_end(ends: &mut [u8], index: usize, wide: bool, end: usize) {
    if wide {
        ends[index * 4..][..4].copy_from_slice(&(end as u32).to_le_bytes());
    } else {
        ends[index * 2..][..2].copy_from_slice(&(end as u16).to_le_bytes());
    }
}

fn bit(bitmap: &[u8], index: usize) -> bool {
    bitmap[index / 8] >> (index % 8) & 1 == 1
}

fn set_bit(bitmap: &mut [u8], index: usize) {
    bitmap[index / 8] |= 1 << (index % 8);
}

fn push_varint(bytes: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn read_varint(bytes: &[u8]) -> Result<(u32, &[u8]), Error> {
    let mut number = 0_u64;
    for (index, byte) in bytes.iter().take(5).enumerate() {
        number |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let number =
                u32::try_from(number).map_err(|_| corrupt("schema version is too large"))?;
            return Ok((number, &bytes[index + 1..]));
        }
    }
    Err(SHORT)
}

const fn corrupt(detail: &'static str) -> Error {
    Error::corrupt("row", detail)
}

const SHORT: Error = corrupt("too short");

#[cfg(test)]
mod tests;
