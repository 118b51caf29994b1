//! Messages with rows, written straight from values. A change is written once for all its receivers: only the
//! subscription's id, which comes first, differs between them.

use serde::Serialize;

use crate::cell::{append_cell, append_text};
use crate::ids::{SeqId, SubscriptionId};
use crate::message::{BatchControl, ChangeReason, ChangeType, Serialization};
use crate::value::Value;

/// Name of the cell that every row has.
const SEQ: &str = "_seq";

/// A value in its wire form, for any serializer.
pub struct Cell<'a>(pub &'a Value);

impl Serialize for Cell<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let special = |number: f64| match (number.is_nan(), number > 0.0) {
            (true, _) => "NaN",
            (false, true) => "Infinity",
            (false, false) => "-Infinity",
        };
        match self.0 {
            Value::Null => serializer.serialize_unit(),
            Value::Boolean(flag) => serializer.serialize_bool(*flag),
            Value::SmallInt(number) => serializer.serialize_i16(*number),
            Value::Int(number) | Value::Date(number) => serializer.serialize_i32(*number),
            Value::BigInt(number) => serializer.collect_str(number),
            Value::Decimal(number) => serializer.collect_str(number),
            Value::Float(number) if number.is_finite() => serializer.serialize_f32(*number),
            Value::Float(number) => serializer.serialize_str(special(f64::from(*number))),
            Value::Double(number) if number.is_finite() => serializer.serialize_f64(*number),
            Value::Double(number) => serializer.serialize_str(special(*number)),
            Value::Timestamp(micros) | Value::DateTime(micros) | Value::Time(micros) => {
                serializer.serialize_i64(*micros)
            }
            Value::Text(text) | Value::Json(text) => serializer.serialize_str(text),
            Value::Uuid(bytes) => serializer.collect_str(&crate::cell::UuidText(bytes)),
            Value::Bytes(bytes) => serializer.collect_seq(bytes),
            Value::Embedding(floats) => {
                serializer.collect_seq(floats.iter().map(|float| FloatCell(*float)))
            }
        }
    }
}

/// An element of an embedding.
struct FloatCell(f32);

impl Serialize for FloatCell {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Cell(&Value::Float(self.0)).serialize(serializer)
    }
}

/// Writes rows of one set of columns as objects.
#[derive(Clone, Debug)]
pub struct RowEncoder {
    names: Vec<Box<str>>,
    /// `"name":` of each column.
    json_keys: Vec<Box<[u8]>>,
}

impl RowEncoder {
    /// `names` without `_seq`, which every row gets at its end.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let names: Vec<Box<str>> = names.into_iter().map(Box::from).collect();
        let json_keys = names.iter().map(|name| json_key(name)).collect();
        Self { names, json_keys }
    }

    /// Appends one row. `cells` has a value for each name.
    pub fn append<'v>(
        &self,
        serialization: Serialization,
        cells: impl IntoIterator<Item = &'v Value>,
        seq: SeqId,
        out: &mut Vec<u8>,
    ) {
        match serialization {
            Serialization::Json => {
                out.push(b'{');
                for (key, value) in self.json_keys.iter().zip(cells) {
                    out.extend_from_slice(key);
                    append_cell(value, out);
                    out.push(b',');
                }
                out.extend_from_slice(b"\"_seq\":\"");
                append_number(seq.0, out);
                out.extend_from_slice(b"\"}");
            }
            Serialization::Msgpack => {
                append_map_header(self.names.len() + 1, out);
                for (name, value) in self.names.iter().zip(cells) {
                    append_msgpack(&**name, out);
                    append_msgpack(&Cell(value), out);
                }
                append_msgpack(SEQ, out);
                append_msgpack(&seq.0.to_string(), out);
            }
        }
    }
}

fn json_key(name: &str) -> Box<[u8]> {
    let mut key = Vec::with_capacity(name.len() + 3);
    append_text(name, &mut key);
    key.push(b':');
    key.into_boxed_slice()
}

/// An `initial_data_batch`. `rows` are `count` rows by [`RowEncoder::append`], in JSON with a comma between them.
#[must_use]
pub fn batch_frame(
    serialization: Serialization,
    subscription: &SubscriptionId,
    rows: &[u8],
    count: usize,
    control: &BatchControl,
) -> Vec<u8> {
    // Room for what stands around the rows.
    let mut out = Vec::with_capacity(rows.len() + subscription.as_str().len() + 192);
    match serialization {
        Serialization::Json => {
            out.extend_from_slice(b"{\"type\":\"initial_data_batch\",\"subscription_id\":");
            append_text(subscription.as_str(), &mut out);
            out.extend_from_slice(b",\"rows\":[");
            out.extend_from_slice(rows);
            out.extend_from_slice(b"],\"batch_control\":");
            append_json(control, &mut out);
            out.push(b'}');
        }
        Serialization::Msgpack => {
            append_map_header(4, &mut out);
            append_msgpack("type", &mut out);
            append_msgpack("initial_data_batch", &mut out);
            append_msgpack("subscription_id", &mut out);
            append_msgpack(subscription.as_str(), &mut out);
            append_msgpack("rows", &mut out);
            append_array_header(count, &mut out);
            out.extend_from_slice(rows);
            append_msgpack("batch_control", &mut out);
            append_msgpack(control, &mut out);
        }
    }
    out
}

/// What a change says. `new` and `old` are rows by [`RowEncoder::append`].
#[derive(Clone, Copy, Debug)]
pub struct ChangeParts<'a> {
    pub change_type: ChangeType,
    pub new: Option<&'a [u8]>,
    pub old: Option<&'a [u8]>,
    pub seq: SeqId,
    pub old_seq: Option<SeqId>,
    pub reason: Option<ChangeReason>,
}

/// A `change` in one form, without the subscription that it goes to.
#[derive(Clone, Debug)]
pub struct ChangeBody {
    serialization: Serialization,
    /// Fields that every client gets, then those of [`Feature::Seq`](crate::message::Feature::Seq).
    fields: Box<[u8]>,
    /// Where the latter begin.
    base_bytes: usize,
    /// How many fields there are of each kind.
    base_fields: usize,
    seq_fields: usize,
}

impl ChangeBody {
    #[must_use]
    pub fn new(serialization: Serialization, parts: &ChangeParts<'_>) -> Self {
        let mut writer = Fields {
            serialization,
            out: Vec::with_capacity(
                parts.new.map_or(0, <[u8]>::len) + parts.old.map_or(0, <[u8]>::len) + 128,
            ),
            count: 0,
        };
        writer.field("change_type", &parts.change_type);
        for (name, row) in [("rows", parts.new), ("old_values", parts.old)] {
            if let Some(row) = row {
                writer.row(name, row);
            }
        }
        let (base_bytes, base_fields) = (writer.out.len(), writer.count);
        writer.field("seq", &parts.seq);
        if let Some(old_seq) = &parts.old_seq {
            writer.field("old_seq", old_seq);
        }
        if let Some(reason) = &parts.reason {
            writer.field("reason", reason);
        }
        Self {
            serialization,
            base_bytes,
            base_fields,
            seq_fields: writer.count - base_fields,
            fields: writer.out.into_boxed_slice(),
        }
    }

    /// Memory that the body occupies beyond itself.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.fields.len()
    }

    /// The message for one subscription; `with_seq` for clients that named [`Feature::Seq`](crate::message::Feature::Seq).
    #[must_use]
    pub fn frame(&self, subscription: &SubscriptionId, with_seq: bool) -> Vec<u8> {
        let (fields, count) = if with_seq {
            (&*self.fields, self.base_fields + self.seq_fields)
        } else {
            (&self.fields[..self.base_bytes], self.base_fields)
        };
        let mut out = Vec::with_capacity(fields.len() + subscription.as_str().len() + 64);
        match self.serialization {
            Serialization::Json => {
                out.extend_from_slice(b"{\"type\":\"change\",\"subscription_id\":");
                append_text(subscription.as_str(), &mut out);
                out.extend_from_slice(fields);
                out.push(b'}');
            }
            Serialization::Msgpack => {
                append_map_header(count + 2, &mut out);
                append_msgpack("type", &mut out);
                append_msgpack("change", &mut out);
                append_msgpack("subscription_id", &mut out);
                append_msgpack(subscription.as_str(), &mut out);
                out.extend_from_slice(fields);
            }
        }
        out
    }
}

/// Fields of an object, one after another.
struct Fields {
    serialization: Serialization,
    out: Vec<u8>,
    count: usize,
}

impl Fields {
    fn name(&mut self, name: &str) {
        self.count += 1;
        match self.serialization {
            Serialization::Json => {
                self.out.push(b',');
                append_text(name, &mut self.out);
                self.out.push(b':');
            }
            Serialization::Msgpack => append_msgpack(name, &mut self.out),
        }
    }

    fn field(&mut self, name: &str, value: &impl Serialize) {
        self.name(name);
        match self.serialization {
            Serialization::Json => append_json(value, &mut self.out),
            Serialization::Msgpack => append_msgpack(value, &mut self.out),
        }
    }

    /// An array with one row.
    fn row(&mut self, name: &str, row: &[u8]) {
        self.name(name);
        match self.serialization {
            Serialization::Json => {
                self.out.push(b'[');
                self.out.extend_from_slice(row);
                self.out.push(b']');
            }
            Serialization::Msgpack => {
                append_array_header(1, &mut self.out);
                self.out.extend_from_slice(row);
            }
        }
    }
}

fn append_json(value: &impl Serialize, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("plain data is written to memory");
}

fn append_msgpack(value: &(impl Serialize + ?Sized), out: &mut Vec<u8>) {
    rmp_serde::encode::write_named(out, value).expect("plain data is written to memory");
}

fn append_number(number: u64, out: &mut Vec<u8>) {
    use std::io::Write as _;
    write!(out, "{number}").expect("writing to memory cannot fail");
}

/// MessagePack's header of a map: fixmap, map 16 or map 32.
fn append_map_header(length: usize, out: &mut Vec<u8>) {
    append_header(length, [0x80, 0xde, 0xdf], out);
}

/// MessagePack's header of an array: fixarray, array 16 or array 32.
fn append_array_header(length: usize, out: &mut Vec<u8>) {
    append_header(length, [0x90, 0xdc, 0xdd], out);
}

fn append_header(length: usize, [fixed, short, long]: [u8; 3], out: &mut Vec<u8>) {
    const FIXED_MAX: usize = 15;
    if length <= FIXED_MAX {
        out.push(fixed | length as u8);
    } else if let Ok(length) = u16::try_from(length) {
        out.push(short);
        out.extend_from_slice(&length.to_be_bytes());
    } else {
        let length = u32::try_from(length).expect("a message has fewer than 2^32 items");
        out.push(long);
        out.extend_from_slice(&length.to_be_bytes());
    }
}
