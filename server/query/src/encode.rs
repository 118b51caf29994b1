//! Arrow batches to the cells of the wire, and the columns that describe them.
//!
//! Each column is looked at once per batch and becomes a writer; the rows are then written straight into the answer.
//! The forms of the cells are those of `kalam_link_core::cell`.

use arrow::array::{Array, ArrayRef, AsArray as _, RecordBatch};
use arrow::datatypes::{
    self as types, ArrowPrimitiveType, DataType as ArrowType, Field as ArrowField, IntervalUnit,
    Schema, TimeUnit,
};
use kalam_link_core::value::FieldFlag;
use kalam_link_core::{DataType, Field, Value, append_cell, cell};
use serde_json::value::RawValue;

use crate::error::Error;

pub(crate) use kalam_store::arrow_types::TYPE_METADATA as TYPE_KEY;

/// Metadata of an Arrow field: present if the column belongs to the primary key.
pub(crate) const KEY_KEY: &str = "kalam:pk";

/// Writes one cell.
type Writer = Box<dyn Fn(usize, &mut Vec<u8>)>;

/// Appends the rows of `batch` as JSON arrays with commas between them, and one before them unless `out` is empty.
pub(crate) fn json_rows(batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), Error> {
    let writers = writers(batch)?;
    for row in 0..batch.num_rows() {
        if !out.is_empty() {
            out.push(b',');
        }
        write_row(&writers, row, out);
    }
    Ok(())
}

/// Appends the rows of `batch` as JSON arrays, one a line.
pub fn ndjson_rows(batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), Error> {
    let writers = writers(batch)?;
    for row in 0..batch.num_rows() {
        write_row(&writers, row, out);
        out.push(b'\n');
    }
    Ok(())
}

/// Like [`json_rows`], for rows that never were in Arrow.
pub(crate) fn json_value_rows(rows: &[Vec<Value>], out: &mut Vec<u8>) {
    for row in rows {
        if !out.is_empty() {
            out.push(b',');
        }
        out.push(b'[');
        for (column, value) in row.iter().enumerate() {
            if column > 0 {
                out.push(b',');
            }
            append_cell(value, out);
        }
        out.push(b']');
    }
}

/// Puts brackets around what [`json_rows`] or [`json_value_rows`] wrote.
pub(crate) fn raw_rows(rows: Vec<u8>) -> Box<RawValue> {
    let mut text = Vec::with_capacity(rows.len() + 2);
    text.push(b'[');
    text.extend_from_slice(&rows);
    text.push(b']');
    let text = String::from_utf8(text).expect("cells are UTF-8");
    RawValue::from_string(text).expect("cells are JSON")
}

/// The columns of a result as the wire describes them.
pub(crate) fn fields_of(schema: &Schema) -> Vec<Field> {
    let describe = |(index, field): (usize, &types::FieldRef)| {
        let mut flags = Vec::new();
        if field.metadata().contains_key(KEY_KEY) {
            flags.push(FieldFlag::PrimaryKey);
        }
        if field.metadata().contains_key(TYPE_KEY) && !field.is_nullable() {
            flags.push(FieldFlag::NotNull);
        }
        Field {
            name: field.name().clone(),
            data_type: wire_type(field),
            index,
            flags,
        }
    };
    schema.fields().iter().enumerate().map(describe).collect()
}

/// The type that the wire names for an Arrow column.
pub(crate) fn wire_type(field: &ArrowField) -> DataType {
    let named = field
        .metadata()
        .get(TYPE_KEY)
        .and_then(|json| serde_json::from_str::<DataType>(json).ok());
    // Casts and functions may keep the metadata of their argument.
    match named {
        Some(named) if kalam_store::arrow_types::arrow_type(named) == *field.data_type() => named,
        _ => wire_type_of(field.data_type()),
    }
}

fn wire_type_of(arrow: &ArrowType) -> DataType {
    match arrow {
        ArrowType::Boolean => DataType::Boolean,
        ArrowType::Int8 | ArrowType::Int16 => DataType::SmallInt,
        ArrowType::Int32 => DataType::Int,
        ArrowType::Int64
        | ArrowType::UInt8
        | ArrowType::UInt16
        | ArrowType::UInt32
        | ArrowType::UInt64 => DataType::BigInt,
        ArrowType::Float16 | ArrowType::Float32 => DataType::Float,
        ArrowType::Float64 => DataType::Double,
        ArrowType::Decimal32(precision, scale)
        | ArrowType::Decimal64(precision, scale)
        | ArrowType::Decimal128(precision, scale) => DataType::Decimal {
            precision: *precision,
            scale: u8::try_from(*scale).unwrap_or(0),
        },
        ArrowType::Timestamp(_, None) => DataType::Timestamp,
        ArrowType::Timestamp(_, Some(_)) => DataType::DateTime,
        ArrowType::Date32 | ArrowType::Date64 => DataType::Date,
        ArrowType::Time32(_) | ArrowType::Time64(_) => DataType::Time,
        ArrowType::Binary
        | ArrowType::LargeBinary
        | ArrowType::BinaryView
        | ArrowType::FixedSizeBinary(_) => DataType::Bytes,
        ArrowType::FixedSizeList(item, length) if *item.data_type() == ArrowType::Float32 => {
            DataType::Embedding(u32::try_from(*length).unwrap_or(0))
        }
        ArrowType::List(_)
        | ArrowType::LargeList(_)
        | ArrowType::ListView(_)
        | ArrowType::LargeListView(_)
        | ArrowType::FixedSizeList(..)
        | ArrowType::Struct(_)
        | ArrowType::Map(..)
        | ArrowType::Union(..) => DataType::Json,
        ArrowType::Dictionary(_, values) => wire_type_of(values),
        ArrowType::RunEndEncoded(_, values) => wire_type_of(values.data_type()),
        ArrowType::Null
        | ArrowType::Utf8
        | ArrowType::LargeUtf8
        | ArrowType::Utf8View
        | ArrowType::Decimal256(..)
        | ArrowType::Duration(_)
        | ArrowType::Interval(_) => DataType::Text,
    }
}

fn writers(batch: &RecordBatch) -> Result<Vec<Writer>, Error> {
    batch.columns().iter().map(writer).collect()
}

fn write_row(writers: &[Writer], row: usize, out: &mut Vec<u8>) {
    out.push(b'[');
    for (column, write) in writers.iter().enumerate() {
        if column > 0 {
            out.push(b',');
        }
        write(row, out);
    }
    out.push(b']');
}

/// A writer for the cells of `array`, NULL included.
pub(crate) fn writer(array: &ArrayRef) -> Result<Writer, Error> {
    if let ArrowType::Dictionary(_, values) = array.data_type() {
        return writer(&arrow::compute::cast(array, values).map_err(Error::internal)?);
    }
    if let ArrowType::RunEndEncoded(_, values) = array.data_type() {
        return writer(&arrow::compute::cast(array, values.data_type()).map_err(Error::internal)?);
    }
    let write = value_writer(array)?;
    Ok(match array.logical_nulls() {
        Some(nulls) if nulls.null_count() > 0 => Box::new(move |row, out| {
            if nulls.is_null(row) {
                out.extend_from_slice(b"null")
            } else {
                write(row, out)
            }
        }),
        _ => write,
    })
}

/// A writer for the cells of `array` that are not NULL.
fn value_writer(array: &ArrayRef) -> Result<Writer, Error> {
    Ok(match array.data_type() {
        ArrowType::Null => Box::new(|_, out| out.extend_from_slice(b"null")),
        ArrowType::Boolean => {
            let array = array.as_boolean().clone();
            Box::new(move |row, out| {
                out.extend_from_slice(if array.value(row) { b"true" } else { b"false" })
            })
        }
        ArrowType::Int8 => plain::<types::Int8Type>(array),
        ArrowType::Int16 => plain::<types::Int16Type>(array),
        ArrowType::Int32 => plain::<types::Int32Type>(array),
        ArrowType::Int64 => quoted::<types::Int64Type>(array),
        ArrowType::UInt8 => quoted::<types::UInt8Type>(array),
        ArrowType::UInt16 => quoted::<types::UInt16Type>(array),
        ArrowType::UInt32 => quoted::<types::UInt32Type>(array),
        ArrowType::UInt64 => quoted::<types::UInt64Type>(array),
        ArrowType::Float16 => {
            let array = array.as_primitive::<types::Float16Type>().clone();
            Box::new(move |row, out| append_cell(&Value::Float(array.value(row).to_f32()), out))
        }
        ArrowType::Float32 => {
            let array = array.as_primitive::<types::Float32Type>().clone();
            Box::new(move |row, out| append_cell(&Value::Float(array.value(row)), out))
        }
        ArrowType::Float64 => {
            let array = array.as_primitive::<types::Float64Type>().clone();
            Box::new(move |row, out| append_cell(&Value::Double(array.value(row)), out))
        }
        ArrowType::Decimal32(..) => decimal::<types::Decimal32Type>(array),
        ArrowType::Decimal64(..) => decimal::<types::Decimal64Type>(array),
        ArrowType::Decimal128(..) => decimal::<types::Decimal128Type>(array),
        ArrowType::Decimal256(..) => decimal::<types::Decimal256Type>(array),
        ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View => text_writer(array),
        ArrowType::Binary
        | ArrowType::LargeBinary
        | ArrowType::BinaryView
        | ArrowType::FixedSizeBinary(_) => bytes_writer(array),
        ArrowType::Date32
        | ArrowType::Date64
        | ArrowType::Time32(_)
        | ArrowType::Time64(_)
        | ArrowType::Timestamp(..) => time_writer(array),
        ArrowType::Duration(_) | ArrowType::Interval(_) => interval_writer(array),
        ArrowType::List(_) | ArrowType::LargeList(_) | ArrowType::FixedSizeList(..) => {
            list_writer(array)?
        }
        ArrowType::Struct(_) => struct_writer(array)?,
        ArrowType::Map(..) => map_writer(array)?,
        other => {
            return Err(Error::unsupported(format!(
                "a result column of type {other}"
            )));
        }
    })
}

fn plain<T: ArrowPrimitiveType<Native: serde::Serialize>>(array: &ArrayRef) -> Writer {
    let array = array.as_primitive::<T>().clone();
    Box::new(move |row, out| append_number(&array.value(row), out))
}

fn quoted<T: ArrowPrimitiveType<Native: serde::Serialize>>(array: &ArrayRef) -> Writer {
    let array = array.as_primitive::<T>().clone();
    Box::new(move |row, out| {
        out.push(b'"');
        append_number(&array.value(row), out);
        out.push(b'"');
    })
}

fn append_number(number: &impl serde::Serialize, out: &mut Vec<u8>) {
    serde_json::to_writer(out, number).expect("writing a number to memory cannot fail");
}

fn append_quoted(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

fn decimal<T: types::DecimalType + ArrowPrimitiveType>(array: &ArrayRef) -> Writer {
    let array = array.as_primitive::<T>().clone();
    Box::new(move |row, out| append_quoted(&array.value_as_string(row), out))
}

fn text_writer(array: &ArrayRef) -> Writer {
    match array.data_type() {
        ArrowType::Utf8 => {
            let array = array.as_string::<i32>().clone();
            Box::new(move |row, out| cell::append_text(array.value(row), out))
        }
        ArrowType::LargeUtf8 => {
            let array = array.as_string::<i64>().clone();
            Box::new(move |row, out| cell::append_text(array.value(row), out))
        }
        _ => {
            let array = array.as_string_view().clone();
            Box::new(move |row, out| cell::append_text(array.value(row), out))
        }
    }
}

fn bytes_writer(array: &ArrayRef) -> Writer {
    match array.data_type() {
        ArrowType::Binary => {
            let array = array.as_binary::<i32>().clone();
            Box::new(move |row, out| append_number(&array.value(row), out))
        }
        ArrowType::LargeBinary => {
            let array = array.as_binary::<i64>().clone();
            Box::new(move |row, out| append_number(&array.value(row), out))
        }
        ArrowType::BinaryView => {
            let array = array.as_binary_view().clone();
            Box::new(move |row, out| append_number(&array.value(row), out))
        }
        _ => {
            let array = array.as_fixed_size_binary().clone();
            Box::new(move |row, out| append_number(&array.value(row), out))
        }
    }
}

/// Days for dates, microseconds for everything else.
fn time_writer(array: &ArrayRef) -> Writer {
    match array.data_type() {
        ArrowType::Date32 => plain::<types::Date32Type>(array),
        ArrowType::Date64 => scaled::<types::Date64Type>(array, 1, 86_400_000),
        ArrowType::Time32(TimeUnit::Second) => {
            scaled::<types::Time32SecondType>(array, 1_000_000, 1)
        }
        ArrowType::Time32(_) => scaled::<types::Time32MillisecondType>(array, 1_000, 1),
        ArrowType::Time64(TimeUnit::Nanosecond) => {
            scaled::<types::Time64NanosecondType>(array, 1, 1_000)
        }
        ArrowType::Time64(_) => plain::<types::Time64MicrosecondType>(array),
        ArrowType::Timestamp(TimeUnit::Second, _) => {
            scaled::<types::TimestampSecondType>(array, 1_000_000, 1)
        }
        ArrowType::Timestamp(TimeUnit::Millisecond, _) => {
            scaled::<types::TimestampMillisecondType>(array, 1_000, 1)
        }
        ArrowType::Timestamp(TimeUnit::Nanosecond, _) => {
            scaled::<types::TimestampNanosecondType>(array, 1, 1_000)
        }
        _ => plain::<types::TimestampMicrosecondType>(array),
    }
}

fn scaled<T: ArrowPrimitiveType<Native: Into<i64>>>(
    array: &ArrayRef,
    factor: i64,
    divisor: i64,
) -> Writer {
    let array = array.as_primitive::<T>().clone();
    Box::new(move |row, out| {
        let number: i64 = array.value(row).into();
        // 128 bits, so that seconds far in the future do not overflow as microseconds.
        append_number(
            &(i128::from(number) * i128::from(factor)).div_euclid(i128::from(divisor)),
            out,
        );
    })
}

fn interval_writer(array: &ArrayRef) -> Writer {
    macro_rules! parts {
        ($type:ty, $split:expr) => {{
            let array = array.as_primitive::<$type>().clone();
            Box::new(move |row, out: &mut Vec<u8>| {
                let (months, days, nanos): (i64, i64, i128) = $split(array.value(row));
                append_quoted(&iso_interval(months, days, nanos), out);
            })
        }};
    }
    match array.data_type() {
        ArrowType::Interval(IntervalUnit::YearMonth) => {
            parts!(types::IntervalYearMonthType, |months: i32| (
                i64::from(months),
                0,
                0
            ))
        }
        ArrowType::Interval(IntervalUnit::DayTime) => {
            parts!(types::IntervalDayTimeType, |v: types::IntervalDayTime| (
                0,
                i64::from(v.days),
                i128::from(v.milliseconds) * 1_000_000
            ))
        }
        ArrowType::Interval(IntervalUnit::MonthDayNano) => {
            parts!(
                types::IntervalMonthDayNanoType,
                |v: types::IntervalMonthDayNano| (
                    i64::from(v.months),
                    i64::from(v.days),
                    i128::from(v.nanoseconds)
                )
            )
        }
        ArrowType::Duration(TimeUnit::Second) => {
            parts!(types::DurationSecondType, |v: i64| (
                0,
                0,
                i128::from(v) * 1_000_000_000
            ))
        }
        ArrowType::Duration(TimeUnit::Millisecond) => {
            parts!(types::DurationMillisecondType, |v: i64| (
                0,
                0,
                i128::from(v) * 1_000_000
            ))
        }
        ArrowType::Duration(TimeUnit::Microsecond) => {
            parts!(types::DurationMicrosecondType, |v: i64| (
                0,
                0,
                i128::from(v) * 1_000
            ))
        }
        _ => parts!(types::DurationNanosecondType, |v: i64| (
            0,
            0,
            i128::from(v)
        )),
    }
}

/// `P1Y2M3DT4H5M6.5S`; each part carries its own sign.
fn iso_interval(months: i64, days: i64, nanos: i128) -> String {
    use std::fmt::Write as _;
    let mut text = String::from("P");
    for (number, unit) in [(months / 12, 'Y'), (months % 12, 'M'), (days, 'D')] {
        if number != 0 {
            write!(text, "{number}{unit}").expect("writing to memory cannot fail");
        }
    }
    let (hours, rest) = (nanos / 3_600_000_000_000, nanos % 3_600_000_000_000);
    let (minutes, rest) = (rest / 60_000_000_000, rest % 60_000_000_000);
    if nanos != 0 {
        text.push('T');
    }
    for (number, unit) in [(hours, 'H'), (minutes, 'M')] {
        if number != 0 {
            write!(text, "{number}{unit}").expect("writing to memory cannot fail");
        }
    }
    if rest != 0 {
        let sign = if rest < 0 { "-" } else { "" };
        let rest = rest.unsigned_abs();
        let seconds = format!("{}.{:09}", rest / 1_000_000_000, rest % 1_000_000_000);
        let seconds = seconds.trim_end_matches('0').trim_end_matches('.');
        write!(text, "{sign}{seconds}S").expect("writing to memory cannot fail");
    }
    if text == "P" { "PT0S".to_owned() } else { text }
}

fn list_writer(array: &ArrayRef) -> Result<Writer, Error> {
    let range: Box<dyn Fn(usize) -> std::ops::Range<usize>>;
    let values: ArrayRef;
    match array.data_type() {
        ArrowType::List(_) => {
            let list = array.as_list::<i32>().clone();
            values = list.values().clone();
            range = Box::new(move |row| {
                let offsets = list.value_offsets();
                index(offsets[row].into())..index(offsets[row + 1].into())
            });
        }
        ArrowType::LargeList(_) => {
            let list = array.as_list::<i64>().clone();
            values = list.values().clone();
            range = Box::new(move |row| {
                let offsets = list.value_offsets();
                index(offsets[row])..index(offsets[row + 1])
            });
        }
        _ => {
            let list = array.as_fixed_size_list().clone();
            values = list.values().clone();
            let length = index(list.value_length().into());
            range = Box::new(move |row| {
                let start = index(list.value_offset(row).into());
                start..start + length
            });
        }
    }
    let write = writer(&values)?;
    Ok(Box::new(move |row, out| {
        out.push(b'[');
        for (position, item) in range(row).enumerate() {
            if position > 0 {
                out.push(b',');
            }
            write(item, out);
        }
        out.push(b']');
    }))
}

fn index(offset: i64) -> usize {
    usize::try_from(offset).expect("offsets of Arrow are never negative")
}

fn struct_writer(array: &ArrayRef) -> Result<Writer, Error> {
    let array = array.as_struct();
    let mut members = Vec::with_capacity(array.num_columns());
    for (field, column) in array.fields().iter().zip(array.columns()) {
        let mut name = Vec::new();
        cell::append_text(field.name(), &mut name);
        name.push(b':');
        members.push((name, writer(column)?));
    }
    Ok(Box::new(move |row, out| {
        out.push(b'{');
        for (position, (name, write)) in members.iter().enumerate() {
            if position > 0 {
                out.push(b',');
            }
            out.extend_from_slice(name);
            write(row, out);
        }
        out.push(b'}');
    }))
}

fn map_writer(array: &ArrayRef) -> Result<Writer, Error> {
    let map = array.as_map().clone();
    let (write_key, write_value) = (writer(map.keys())?, writer(map.values())?);
    Ok(Box::new(move |row, out| {
        let offsets = map.value_offsets();
        out.push(b'{');
        for (position, entry) in
            (index(offsets[row].into())..index(offsets[row + 1].into())).enumerate()
        {
            if position > 0 {
                out.push(b',');
            }
            let start = out.len();
            write_key(entry, out);
            // Keys of a JSON object are strings, whatever their type here.
            if out.get(start) != Some(&b'"') {
                let key = String::from_utf8_lossy(&out[start..]).into_owned();
                out.truncate(start);
                cell::append_text(&key, out);
            }
            out.push(b':');
            write_value(entry, out);
        }
        out.push(b'}');
    }))
}

#[cfg(test)]
mod tests;
