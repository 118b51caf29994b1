//! Key bytes: all layouts of all families, and primary keys whose byte order is the order of their values.
//!
//! ```text
//! rows        slot | table | scope | seq                              -> row
//! keys        slot | table | scope | primary key                      -> version | seq
//! tombstones  slot | table | scope | delete seq                       -> version | old seq | primary key
//! stream      slot | table | bucket width | bucket | scope | seq      -> row
//! requests    slot | 1 | user | request id                            -> record
//!             slot | 2 | time | user | request id                     -> nothing; finds what is old
//! meta        space | key of the record                               -> record
//! ```
//!
//! Numbers are big-endian, signed ones with the sign bit flipped. Text ends with `00 01`, a zero byte inside it is
//! `00 ff`: no encoded value is the beginning of another one.

use std::ops::Range;

use kalam_link_core::{DataType, Decimal, SeqId, UserId, Value};
use kalam_model::{RowKey, Scope, Slot, TableNumber, Timestamp, slot_of};

use crate::error::Error;

const SLOT_BYTES: usize = 2;
pub(crate) const TABLE_BYTES: usize = SLOT_BYTES + 4;
pub(crate) const SEQ_BYTES: usize = 8;

const ESCAPE: u8 = 0;
const ESCAPED_ZERO: u8 = 0xff;
const END: u8 = 1;

const SCOPE_SHARED: u8 = 0;
const SCOPE_USER: u8 = 1;

const REQUEST_RECORD: u8 = 1;
const REQUEST_TIME: u8 = 2;

/// The slice of a table that one scope owns: the common beginning of all its keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slice {
    slot: Slot,
    table: TableNumber,
    /// `slot | table | scope`
    prefix: Vec<u8>,
}

impl Slice {
    #[must_use]
    pub fn new(table: TableNumber, scope: &Scope) -> Self {
        let slot = slot_of(table, scope);
        let mut prefix = table_prefix(slot, table);
        match scope {
            Scope::Shared => prefix.push(SCOPE_SHARED),
            Scope::User(user) => {
                prefix.push(SCOPE_USER);
                push_text(&mut prefix, user.as_str().as_bytes());
            }
        }
        Self {
            slot,
            table,
            prefix,
        }
    }

    #[must_use]
    pub const fn slot(&self) -> Slot {
        self.slot
    }

    #[must_use]
    pub const fn table(&self) -> TableNumber {
        self.table
    }

    /// What all keys of the slice in `rows`, `keys` and `tombstones` begin with.
    #[must_use]
    pub fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// The scope's part of the prefix.
    pub(crate) fn scope_bytes(&self) -> &[u8] {
        &self.prefix[TABLE_BYTES..]
    }

    /// Key in `rows` and `tombstones`.
    pub(crate) fn seq_key(&self, seq: SeqId) -> Vec<u8> {
        joined(&self.prefix, &seq.0.to_be_bytes())
    }

    /// Key in `keys`.
    pub(crate) fn index_key(&self, key: &RowKey) -> Vec<u8> {
        joined(&self.prefix, &key.0)
    }
}

/// The beginning of a table's keys in one slot.
pub(crate) fn table_prefix(slot: Slot, table: TableNumber) -> Vec<u8> {
    // Room for a user's name and what follows it.
    let mut prefix = Vec::with_capacity(48);
    prefix.extend_from_slice(&slot.0.to_be_bytes());
    prefix.extend_from_slice(&table.0.to_be_bytes());
    prefix
}

/// Slot and table of a key in `rows`, `keys`, `tombstones` or `stream`.
pub(crate) fn slot_and_table(key: &[u8]) -> Result<(Slot, TableNumber), Error> {
    let mut rest = Input(key);
    Ok((
        Slot(u16::from_be_bytes(rest.array()?)),
        TableNumber(u32::from_be_bytes(rest.array()?)),
    ))
}

/// How many bytes of a key in `rows` or `tombstones` are the slice's prefix.
pub(crate) fn slice_bytes(key: &[u8]) -> Result<usize, Error> {
    key.len()
        .checked_sub(SEQ_BYTES)
        .filter(|length| *length > TABLE_BYTES)
        .ok_or(SHORT)
}

/// The sequence number at the end of a key.
pub(crate) fn seq_of(key: &[u8]) -> Result<SeqId, Error> {
    let bytes = key.last_chunk::<SEQ_BYTES>().ok_or(SHORT)?;
    Ok(SeqId(u64::from_be_bytes(*bytes)))
}

/// Which part of the time a bucket holds: `number << exponent` milliseconds since the epoch of sequence numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bucket {
    pub(crate) exponent: u8,
    pub(crate) number: u32,
}

/// Bytes of a stream key before the scope.
pub(crate) const BUCKET_BYTES: usize = TABLE_BYTES + 5;

/// The beginning of the keys of one bucket.
pub(crate) fn bucket_prefix(slot: Slot, table: TableNumber, bucket: Bucket) -> Vec<u8> {
    let mut prefix = table_prefix(slot, table);
    prefix.push(bucket.exponent);
    prefix.extend_from_slice(&bucket.number.to_be_bytes());
    prefix
}

/// Key in `stream`.
pub(crate) fn stream_key(slice: &Slice, bucket: Bucket, seq: SeqId) -> Vec<u8> {
    let mut key = bucket_prefix(slice.slot, slice.table, bucket);
    key.extend_from_slice(slice.scope_bytes());
    key.extend_from_slice(&seq.0.to_be_bytes());
    key
}

/// The bucket of a key in `stream`.
pub(crate) fn bucket_of(key: &[u8]) -> Result<Bucket, Error> {
    let mut rest = Input(key.get(TABLE_BYTES..).ok_or(SHORT)?);
    let [exponent] = rest.array()?;
    Ok(Bucket {
        exponent,
        number: u32::from_be_bytes(rest.array()?),
    })
}

/// Key of a request's record.
pub(crate) fn request_key(slot: Slot, user: &UserId, id: &str) -> Vec<u8> {
    let mut key = slot.0.to_be_bytes().to_vec();
    key.push(REQUEST_RECORD);
    push_text(&mut key, user.as_str().as_bytes());
    key.extend_from_slice(id.as_bytes());
    key
}

/// Key of the entry that finds a request by its time.
pub(crate) fn request_time_key(slot: Slot, at: Timestamp, user: &UserId, id: &str) -> Vec<u8> {
    let mut key = request_time_prefix(slot, at);
    push_text(&mut key, user.as_str().as_bytes());
    key.extend_from_slice(id.as_bytes());
    key
}

/// Where the entries of a time begin.
pub(crate) fn request_time_prefix(slot: Slot, at: Timestamp) -> Vec<u8> {
    let mut key = slot.0.to_be_bytes().to_vec();
    key.push(REQUEST_TIME);
    key.extend_from_slice(&flip_64(at.0).to_be_bytes());
    key
}

/// The record's key to a time entry's key.
pub(crate) fn request_key_of_time(key: &[u8]) -> Result<Vec<u8>, Error> {
    let slot = key.get(..SLOT_BYTES).ok_or(SHORT)?;
    let rest = key.get(SLOT_BYTES + 1 + 8..).ok_or(SHORT)?;
    let mut record = slot.to_vec();
    record.push(REQUEST_RECORD);
    record.extend_from_slice(rest);
    Ok(record)
}

/// The range of all keys that begin with `prefix`.
pub(crate) fn prefix_range(prefix: &[u8]) -> Range<Vec<u8>> {
    prefix.to_vec()..prefix_end(prefix)
}

/// The smallest bytes above every key that begins with `prefix`.
pub(crate) fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    after_prefix(prefix).expect("slots and spaces begin with a byte below 255")
}

/// The smallest bytes above all that begin with `prefix`, if there are any.
pub(crate) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.last_mut() {
        if *last < u8::MAX {
            *last += 1;
            return Some(end);
        }
        end.pop();
    }
    None
}

pub(crate) fn joined(prefix: &[u8], rest: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(prefix.len() + rest.len());
    key.extend_from_slice(prefix);
    key.extend_from_slice(rest);
    key
}

/// Encodes the values of a primary key, in key order. `None` if one of them is NULL: no row has such a key.
#[must_use]
pub fn encode_key(values: &[&Value]) -> Option<RowKey> {
    let mut bytes = Vec::with_capacity(values.len() * 10);
    for value in values {
        push_value(&mut bytes, value)?;
    }
    Some(RowKey(bytes))
}

/// The values of a primary key, whose columns have these types.
pub fn decode_key(key: &RowKey, types: &[DataType]) -> Result<Vec<Value>, Error> {
    let mut rest = Input(&key.0);
    let values = types
        .iter()
        .map(|data_type| rest.value(*data_type))
        .collect::<Result<_, _>>()?;
    if rest.0.is_empty() {
        Ok(values)
    } else {
        Err(Error::corrupt("key", "has bytes left over"))
    }
}

fn push_value(bytes: &mut Vec<u8>, value: &Value) -> Option<()> {
    match value {
        Value::Null => return None,
        Value::Boolean(flag) => bytes.push(u8::from(*flag)),
        Value::SmallInt(number) => {
            bytes.extend_from_slice(&(*number as u16 ^ 1 << 15).to_be_bytes());
        }
        Value::Int(number) | Value::Date(number) => {
            bytes.extend_from_slice(&(*number as u32 ^ 1 << 31).to_be_bytes());
        }
        Value::BigInt(number)
        | Value::Timestamp(number)
        | Value::DateTime(number)
        | Value::Time(number) => bytes.extend_from_slice(&flip_64(*number).to_be_bytes()),
        Value::Float(number) => bytes.extend_from_slice(&float_bits(*number).to_be_bytes()),
        Value::Double(number) => bytes.extend_from_slice(&double_bits(*number).to_be_bytes()),
        Value::Decimal(number) => push_decimal(bytes, *number),
        Value::Text(text) | Value::Json(text) => push_text(bytes, text.as_bytes()),
        Value::Bytes(content) => push_text(bytes, content),
        Value::Uuid(id) => bytes.extend_from_slice(id),
        Value::Embedding(numbers) => {
            for number in numbers {
                bytes.push(END);
                bytes.extend_from_slice(&float_bits(*number).to_be_bytes());
            }
            bytes.push(0);
        }
    }
    Some(())
}

pub(crate) fn push_text(bytes: &mut Vec<u8>, text: &[u8]) {
    for byte in text {
        bytes.push(*byte);
        if *byte == ESCAPE {
            bytes.push(ESCAPED_ZERO);
        }
    }
    bytes.extend_from_slice(&[ESCAPE, END]);
}

pub(crate) const fn flip_64(number: i64) -> u64 {
    number as u64 ^ 1 << 63
}

/// NaN has one form, above infinity; -0 is 0.
fn float_bits(number: f32) -> u32 {
    let number = if number.is_nan() {
        f32::NAN.abs()
    } else {
        number + 0.0
    };
    let bits = number.to_bits();
    if bits >> 31 == 1 {
        !bits
    } else {
        bits ^ 1 << 31
    }
}

fn double_bits(number: f64) -> u64 {
    let number = if number.is_nan() {
        f64::NAN.abs()
    } else {
        number + 0.0
    };
    let bits = number.to_bits();
    if bits >> 63 == 1 {
        !bits
    } else {
        bits ^ 1 << 63
    }
}

/// The largest whole number that is not above the decimal, by length and bytes, then pairs of digits, each plus one, and
/// zero. Numbers that are equal have the same bytes, whatever their scales.
fn push_decimal(bytes: &mut Vec<u8>, number: Decimal) {
    let unit = 10_i128.pow(u32::from(number.scale()));
    let (whole, mut fraction) = (
        number.unscaled().div_euclid(unit),
        number.unscaled().rem_euclid(unit).unsigned_abs(),
    );
    let magnitude = whole.unsigned_abs().to_be_bytes();
    let skipped = magnitude.iter().take_while(|byte| **byte == 0).count();
    let length = (magnitude.len() - skipped) as u8;
    if whole < 0 {
        bytes.push(0x80 - length);
        bytes.extend(magnitude[skipped..].iter().map(|byte| !byte));
    } else {
        bytes.push(0x80 + length);
        bytes.extend_from_slice(&magnitude[skipped..]);
    }
    let mut pairs = usize::from(number.scale().div_ceil(2));
    if number.scale() % 2 == 1 {
        fraction *= 10;
    }
    while pairs > 0 && fraction % 100 == 0 {
        fraction /= 100;
        pairs -= 1;
    }
    let start = bytes.len();
    bytes.resize(start + pairs + 1, 0);
    for place in bytes[start..start + pairs].iter_mut().rev() {
        *place = (fraction % 100) as u8 + 1;
        fraction /= 100;
    }
}

const SHORT: Error = Error::corrupt("key", "is too short");

/// What is left to read of a key.
pub(crate) struct Input<'a>(pub(crate) &'a [u8]);

impl Input<'_> {
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(SHORT)?;
        self.0 = rest;
        Ok(*head)
    }

    pub(crate) fn text(&mut self) -> Result<Vec<u8>, Error> {
        let mut text = Vec::new();
        loop {
            let [byte] = self.array()?;
            if byte != ESCAPE {
                text.push(byte);
                continue;
            }
            match self.array()? {
                [END] => return Ok(text),
                [ESCAPED_ZERO] => text.push(0),
                _ => return Err(Error::corrupt("key", "has an unknown escape")),
            }
        }
    }

    fn string(&mut self) -> Result<String, Error> {
        String::from_utf8(self.text()?).map_err(|_| Error::corrupt("key", "is not UTF-8"))
    }

    fn long(&mut self) -> Result<i64, Error> {
        Ok((u64::from_be_bytes(self.array()?) ^ 1 << 63) as i64)
    }

    fn int(&mut self) -> Result<i32, Error> {
        Ok((u32::from_be_bytes(self.array()?) ^ 1 << 31) as i32)
    }

    fn float(&mut self) -> Result<f32, Error> {
        let bits = u32::from_be_bytes(self.array()?);
        Ok(f32::from_bits(if bits >> 31 == 1 {
            bits ^ 1 << 31
        } else {
            !bits
        }))
    }

    fn double(&mut self) -> Result<f64, Error> {
        let bits = u64::from_be_bytes(self.array()?);
        Ok(f64::from_bits(if bits >> 63 == 1 {
            bits ^ 1 << 63
        } else {
            !bits
        }))
    }

    fn value(&mut self, data_type: DataType) -> Result<Value, Error> {
        Ok(match data_type {
            DataType::Boolean => match self.array()? {
                [0] => Value::Boolean(false),
                [1] => Value::Boolean(true),
                _ => return Err(Error::corrupt("key", "has an unknown boolean")),
            },
            DataType::SmallInt => {
                Value::SmallInt((u16::from_be_bytes(self.array()?) ^ 1 << 15) as i16)
            }
            DataType::Int => Value::Int(self.int()?),
            DataType::Date => Value::Date(self.int()?),
            DataType::BigInt => Value::BigInt(self.long()?),
            DataType::Timestamp => Value::Timestamp(self.long()?),
            DataType::DateTime => Value::DateTime(self.long()?),
            DataType::Time => Value::Time(self.long()?),
            DataType::Float => Value::Float(self.float()?),
            DataType::Double => Value::Double(self.double()?),
            DataType::Decimal { scale, .. } => Value::Decimal(self.decimal(scale)?),
            DataType::Text => Value::Text(self.string()?),
            DataType::Json => Value::Json(self.string()?),
            DataType::Bytes => Value::Bytes(self.text()?),
            DataType::Uuid => Value::Uuid(self.array()?),
            DataType::Embedding(_) => Value::Embedding(self.embedding()?),
        })
    }

    fn embedding(&mut self) -> Result<Vec<f32>, Error> {
        let mut numbers = Vec::new();
        loop {
            match self.array()? {
                [0] => return Ok(numbers),
                [END] => numbers.push(self.float()?),
                _ => return Err(Error::corrupt("key", "has an unknown mark in an embedding")),
            }
        }
    }

    fn decimal(&mut self, scale: u8) -> Result<Decimal, Error> {
        self.decimal_parts(scale)
            .transpose()
            .unwrap_or(Err(Error::corrupt("key", "has no decimal")))
    }

    /// `None` if the number does not fit.
    fn decimal_parts(&mut self, scale: u8) -> Result<Option<Decimal>, Error> {
        let [mark] = self.array()?;
        let length = usize::from(mark.abs_diff(0x80));
        let mut whole: i128 = 0;
        if length > size_of::<i128>() {
            return Ok(None);
        }
        for _ in 0..length {
            let [byte] = self.array()?;
            let byte = if mark < 0x80 { !byte } else { byte };
            whole = whole.wrapping_shl(8) | i128::from(byte);
        }
        if mark < 0x80 {
            whole = whole.wrapping_neg();
        }
        let (mut fraction, mut digits): (i128, u8) = (0, 0);
        loop {
            match self.array()? {
                [0] => break,
                [pair @ 1..=100] if digits < Decimal::PRECISION_MAX => {
                    fraction = fraction * 100 + i128::from(pair - 1);
                    digits += 2;
                }
                _ => return Ok(None),
            }
        }
        Ok(join_decimal(whole, fraction, digits, scale))
    }
}

fn join_decimal(whole: i128, fraction: i128, digits: u8, scale: u8) -> Option<Decimal> {
    let fraction = if digits <= scale {
        fraction.checked_mul(10_i128.checked_pow(u32::from(scale - digits))?)?
    } else if digits == scale + 1 && fraction % 10 == 0 {
        fraction / 10
    } else {
        return None;
    };
    let unscaled = whole
        .checked_mul(10_i128.checked_pow(u32::from(scale))?)?
        .checked_add(fraction)?;
    Decimal::new(unscaled, scale)
}

#[cfg(test)]
mod tests;
