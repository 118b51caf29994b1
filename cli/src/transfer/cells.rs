//! Values between Arrow, the texts of CSV and the cells of the protocol.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray as _, RecordBatch};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{
    DataType as ArrowType, Date32Type, Decimal128Type, Field as ArrowField, Float32Type,
    Float64Type, Int16Type, Int32Type, Int64Type, Schema, Time64MicrosecondType, TimeUnit,
    TimestampMicrosecondType,
};
use base64::Engine as _;
use chrono::{DateTime, Datelike as _, NaiveDate, NaiveTime, TimeDelta};
use kalam_link::core::cell::{append_cell, parse_uuid, value_from_cell};
use kalam_link::core::decimal::Decimal;
use kalam_link::{DataType, Json, Value};

use super::error::Error;

const TYPE_METADATA: &str = "kalam:type";

/// A column of an Arrow schema and the column type of its values.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub name: String,
    pub data_type: DataType,
}

/// # Errors
///
/// [`Error::NoForm`] for what no column holds: lists, structs, intervals.
pub fn columns(schema: &Schema) -> Result<Vec<Column>, Error> {
    let column = |field: &Arc<ArrowField>| {
        let data_type = data_type_of(field).ok_or_else(|| Error::NoForm {
            column: field.name().clone(),
            kind: field.data_type().to_string(),
        })?;
        let name = field.name().clone();
        Ok(Column { name, data_type })
    };
    schema.fields().iter().map(column).collect()
}

/// What the metadata says, if it suits the Arrow type, else the nearest type.
fn data_type_of(field: &ArrowField) -> Option<DataType> {
    let kept = field.metadata().get(TYPE_METADATA);
    let kept = kept.and_then(|json| serde_json::from_str::<DataType>(json).ok());
    match kept {
        Some(data_type) if arrow_type(data_type).equals_datatype(field.data_type()) => {
            Some(data_type)
        }
        _ => nearest_type(field.data_type()),
    }
}

fn arrow_type(data_type: DataType) -> ArrowType {
    match data_type {
        DataType::Boolean => ArrowType::Boolean,
        DataType::SmallInt => ArrowType::Int16,
        DataType::Int => ArrowType::Int32,
        DataType::BigInt => ArrowType::Int64,
        DataType::Float => ArrowType::Float32,
        DataType::Double => ArrowType::Float64,
        DataType::Decimal { precision, scale } => {
            ArrowType::Decimal128(precision, i8::try_from(scale).unwrap_or(i8::MAX))
        }
        DataType::Text | DataType::Json | DataType::Uuid => ArrowType::Utf8,
        DataType::Timestamp => ArrowType::Timestamp(TimeUnit::Microsecond, None),
        DataType::DateTime => ArrowType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        DataType::Date => ArrowType::Date32,
        DataType::Time => ArrowType::Time64(TimeUnit::Microsecond),
        DataType::Bytes => ArrowType::Binary,
        DataType::Embedding(length) => {
            let item = ArrowField::new("item", ArrowType::Float32, true);
            let length = i32::try_from(length).unwrap_or(i32::MAX);
            ArrowType::FixedSizeList(Arc::new(item), length)
        }
    }
}

fn nearest_type(arrow: &ArrowType) -> Option<DataType> {
    Some(match arrow {
        ArrowType::Boolean => DataType::Boolean,
        ArrowType::Int8 | ArrowType::Int16 | ArrowType::UInt8 => DataType::SmallInt,
        ArrowType::Int32 | ArrowType::UInt16 => DataType::Int,
        ArrowType::Int64 | ArrowType::UInt32 | ArrowType::UInt64 => DataType::BigInt,
        ArrowType::Float16 | ArrowType::Float32 => DataType::Float,
        ArrowType::Float64 => DataType::Double,
        ArrowType::Decimal32(precision, scale)
        | ArrowType::Decimal64(precision, scale)
        | ArrowType::Decimal128(precision, scale) => {
            let precision = *precision;
            let scale = u8::try_from(*scale)
                .ok()
                .filter(|scale| *scale <= precision)?;
            DataType::Decimal { precision, scale }
        }
        ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View | ArrowType::Null => {
            DataType::Text
        }
        ArrowType::Timestamp(_, None) => DataType::Timestamp,
        ArrowType::Timestamp(_, Some(_)) => DataType::DateTime,
        ArrowType::Date32 | ArrowType::Date64 => DataType::Date,
        ArrowType::Time32(_) | ArrowType::Time64(_) => DataType::Time,
        ArrowType::Binary
        | ArrowType::LargeBinary
        | ArrowType::BinaryView
        | ArrowType::FixedSizeBinary(_) => DataType::Bytes,
        ArrowType::FixedSizeList(item, length) if *item.data_type() == ArrowType::Float32 => {
            DataType::Embedding(u32::try_from(*length).ok()?)
        }
        ArrowType::Dictionary(_, values) => return nearest_type(values),
        _ => return None,
    })
}

/// The columns of a batch in the Arrow types that [`value_at`] reads. Nothing is rounded or cut on the way.
pub fn plain_arrays(batch: &RecordBatch, columns: &[Column]) -> Result<Vec<ArrayRef>, Error> {
    let mut arrays = Vec::with_capacity(columns.len());
    for (array, column) in batch.columns().iter().zip(columns) {
        let wanted = arrow_type(column.data_type);
        if wanted.equals_datatype(array.data_type()) {
            arrays.push(Arc::clone(array));
            continue;
        }
        let strict = CastOptions {
            safe: false,
            ..CastOptions::default()
        };
        let plain = cast_with_options(array, &wanted, &strict).map_err(Error::Decode)?;
        let has_nanoseconds = matches!(
            array.data_type(),
            ArrowType::Timestamp(TimeUnit::Nanosecond, _) | ArrowType::Time64(TimeUnit::Nanosecond)
        );
        if has_nanoseconds {
            let back = cast(&plain, array.data_type()).map_err(Error::Decode)?;
            if *back != **array {
                let column = column.name.clone();
                return Err(Error::Nanoseconds { column });
            }
        }
        arrays.push(plain);
    }
    Ok(arrays)
}

/// One cell of a plain array.
pub fn value_at(array: &dyn Array, data_type: DataType, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match data_type {
        DataType::Boolean => Value::Boolean(array.as_boolean().value(row)),
        DataType::SmallInt => Value::SmallInt(array.as_primitive::<Int16Type>().value(row)),
        DataType::Int => Value::Int(array.as_primitive::<Int32Type>().value(row)),
        DataType::BigInt => Value::BigInt(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float => Value::Float(array.as_primitive::<Float32Type>().value(row)),
        DataType::Double => Value::Double(array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal { scale, .. } => {
            let unscaled = array.as_primitive::<Decimal128Type>().value(row);
            // A foreign file may hold more digits than its type has; the server then says so.
            let too_long = || Value::Text(format!("{unscaled}e-{scale}"));
            Decimal::new(unscaled, scale).map_or_else(too_long, Value::Decimal)
        }
        DataType::Text => Value::Text(array.as_string::<i32>().value(row).to_owned()),
        DataType::Json => Value::Json(array.as_string::<i32>().value(row).to_owned()),
        DataType::Uuid => {
            let text = array.as_string::<i32>().value(row);
            parse_uuid(text).map_or_else(|| Value::Text(text.to_owned()), Value::Uuid)
        }
        DataType::Timestamp => {
            Value::Timestamp(array.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        DataType::DateTime => {
            Value::DateTime(array.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        DataType::Date => Value::Date(array.as_primitive::<Date32Type>().value(row)),
        DataType::Time => Value::Time(array.as_primitive::<Time64MicrosecondType>().value(row)),
        DataType::Bytes => Value::Bytes(array.as_binary::<i32>().value(row).to_vec()),
        DataType::Embedding(_) => {
            let items = array.as_fixed_size_list().value(row);
            Value::Embedding(items.as_primitive::<Float32Type>().values().to_vec())
        }
    }
}

/// The cell of the protocol.
pub fn json_of(value: &Value) -> Json {
    let mut bytes = Vec::new();
    append_cell(value, &mut bytes);
    serde_json::from_slice(&bytes).expect("a cell is JSON")
}

/// The same as a parameter, in fewer bytes.
pub fn parameter_of(value: &Value) -> Json {
    match value {
        Value::Bytes(bytes) => {
            Json::String(base64::engine::general_purpose::STANDARD.encode(bytes))
        }
        other => json_of(other),
    }
}

/// How a value stands in CSV; `None` is NULL. Times are ISO 8601 within the years that it has, else their number.
pub fn text_of(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        Value::Text(text) | Value::Json(text) => text.clone(),
        Value::Bytes(bytes) => base64::engine::general_purpose::STANDARD.encode(bytes),
        Value::Timestamp(micros) => date_time(*micros).unwrap_or_else(|| micros.to_string()),
        Value::DateTime(micros) => {
            date_time(*micros).map_or_else(|| micros.to_string(), |text| text + "Z")
        }
        Value::Date(days) => date(*days).unwrap_or_else(|| days.to_string()),
        Value::Time(micros) => time(*micros).unwrap_or_else(|| micros.to_string()),
        other => {
            let mut bytes = Vec::new();
            append_cell(other, &mut bytes);
            let text = String::from_utf8_lossy(&bytes);
            text.trim_matches('"').to_owned()
        }
    })
}

fn has_four_digits(year: i32) -> bool {
    (1..=9999).contains(&year)
}

fn date_time(micros: i64) -> Option<String> {
    let time = DateTime::from_timestamp_micros(micros)?;
    let text = || time.naive_utc().format("%Y-%m-%dT%H:%M:%S%.f").to_string();
    has_four_digits(time.year()).then(text)
}

fn date(days: i32) -> Option<String> {
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1)?;
    let date = epoch.checked_add_signed(TimeDelta::try_days(i64::from(days))?)?;
    has_four_digits(date.year()).then(|| date.format("%Y-%m-%d").to_string())
}

fn time(micros: i64) -> Option<String> {
    let midnight = NaiveTime::MIN;
    let (time, overflow) = midnight.overflowing_add_signed(TimeDelta::microseconds(micros));
    (overflow == 0).then(|| time.format("%H:%M:%S%.f").to_string())
}

/// A parameter from the text of a field, or why it is none. Texts of times are read by the server.
pub fn json_of_text(text: String, data_type: DataType) -> Result<Json, String> {
    match data_type {
        DataType::Text => return Ok(Json::String(text)),
        DataType::Timestamp | DataType::DateTime | DataType::Date | DataType::Time => {
            return Ok(match text.parse::<i64>() {
                Ok(number) => Json::from(number),
                Err(_) => Json::String(text),
            });
        }
        DataType::Boolean => {
            return match text.to_ascii_lowercase().as_str() {
                "true" | "t" | "1" => Ok(Json::Bool(true)),
                "false" | "f" | "0" => Ok(Json::Bool(false)),
                _ => Err(format!("'{text}' is not a valid BOOLEAN")),
            };
        }
        _ => {}
    }
    let cell = Json::String(text);
    match value_from_cell(&cell, data_type) {
        Ok(_) => Ok(cell),
        Err(error) => Err(error.to_string()),
    }
}
