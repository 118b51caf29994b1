//! Values to Arrow and back: the only place where the two meet.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray as _, RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    self as types, DataType as ArrowType, Field as ArrowField, Schema, SchemaRef, TimeUnit,
};
use datafusion::common::ScalarValue;
use kalam_link_core::cell::{UuidText, parse_uuid};
use kalam_link_core::value::FieldFlag;
use kalam_link_core::{DataType, Decimal, Field, Value};
use kalam_store::arrow_types::{arrow_type, typed_field};

use crate::encode::{self, KEY_KEY};
use crate::error::Error;

/// The rows of `batch` as values of the types that `fields` name.
pub(crate) fn rows_of(fields: &[Field], batch: &RecordBatch) -> Result<Vec<Vec<Value>>, Error> {
    let mut rows = vec![Vec::with_capacity(fields.len()); batch.num_rows()];
    for (field, column) in fields.iter().zip(batch.columns()) {
        let read = reader(field.data_type, column)?;
        for (index, row) in rows.iter_mut().enumerate() {
            row.push(read(index)?);
        }
    }
    Ok(rows)
}

/// Reads one cell of a column.
type CellReader = Box<dyn Fn(usize) -> Result<Value, Error>>;

fn reader(data_type: DataType, column: &ArrayRef) -> Result<CellReader, Error> {
    let own = arrow_type(data_type);
    let text_like = matches!(data_type, DataType::Text | DataType::Json | DataType::Uuid);
    let read = if *column.data_type() == own {
        typed_reader(data_type, column)
    } else if text_like && !is_text(column.data_type()) {
        encoded_reader(data_type, column)?
    } else {
        let exact = CastOptions {
            safe: false,
            ..CastOptions::default()
        };
        let cast = cast_with_options(column, &own, &exact).map_err(|error| Error::Execution {
            message: error.to_string(),
        })?;
        typed_reader(data_type, &cast)
    };
    let nulls = column.logical_nulls();
    Ok(Box::new(move |row| match &nulls {
        Some(nulls) if nulls.is_null(row) => Ok(Value::Null),
        _ => read(row),
    }))
}

fn is_text(arrow: &ArrowType) -> bool {
    match arrow {
        ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View | ArrowType::Null => true,
        ArrowType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

/// Lists, structs, maps and intervals: their form on the wire.
fn encoded_reader(data_type: DataType, column: &ArrayRef) -> Result<CellReader, Error> {
    let write = encode::writer(column)?;
    Ok(Box::new(move |row| {
        let mut cell = Vec::new();
        write(row, &mut cell);
        let json = String::from_utf8(cell).expect("cells are UTF-8");
        if data_type == DataType::Json {
            return Ok(Value::Json(json));
        }
        Ok(Value::Text(json.trim_matches('"').to_owned()))
    }))
}

/// `column` has exactly the Arrow type of `data_type`.
fn typed_reader(data_type: DataType, column: &ArrayRef) -> CellReader {
    macro_rules! primitive {
        ($type:ty, $variant:ident) => {{
            let array = column.as_primitive::<$type>().clone();
            Box::new(move |row| Ok(Value::$variant(array.value(row))))
        }};
    }
    match data_type {
        DataType::Boolean => {
            let array = column.as_boolean().clone();
            Box::new(move |row| Ok(Value::Boolean(array.value(row))))
        }
        DataType::SmallInt => primitive!(types::Int16Type, SmallInt),
        DataType::Int => primitive!(types::Int32Type, Int),
        DataType::BigInt => primitive!(types::Int64Type, BigInt),
        DataType::Float => primitive!(types::Float32Type, Float),
        DataType::Double => primitive!(types::Float64Type, Double),
        DataType::Date => primitive!(types::Date32Type, Date),
        DataType::Time => primitive!(types::Time64MicrosecondType, Time),
        DataType::Timestamp => primitive!(types::TimestampMicrosecondType, Timestamp),
        DataType::DateTime => primitive!(types::TimestampMicrosecondType, DateTime),
        DataType::Decimal { scale, .. } => {
            let array = column.as_primitive::<types::Decimal128Type>().clone();
            Box::new(move |row| {
                Decimal::new(array.value(row), scale)
                    .map(Value::Decimal)
                    .ok_or_else(|| Error::Execution {
                        message: "decimal out of range".to_owned(),
                    })
            })
        }
        DataType::Text | DataType::Json | DataType::Uuid => {
            let array = column.as_string::<i32>().clone();
            Box::new(move |row| text_value(data_type, array.value(row)))
        }
        DataType::Bytes => {
            let array = column.as_binary::<i32>().clone();
            Box::new(move |row| Ok(Value::Bytes(array.value(row).to_vec())))
        }
        DataType::Embedding(_) => {
            let array = column.as_fixed_size_list().clone();
            Box::new(move |row| {
                let floats = array.value(row);
                Ok(Value::Embedding(
                    floats
                        .as_primitive::<types::Float32Type>()
                        .values()
                        .to_vec(),
                ))
            })
        }
    }
}

fn text_value(data_type: DataType, text: &str) -> Result<Value, Error> {
    Ok(match data_type {
        DataType::Json => Value::Json(text.to_owned()),
        DataType::Uuid => {
            let bytes = parse_uuid(text).ok_or_else(|| Error::Execution {
                message: format!("`{text}` is not a valid UUID"),
            })?;
            Value::Uuid(bytes)
        }
        _ => Value::Text(text.to_owned()),
    })
}

/// A value as DataFusion's literal of the Arrow type of `data_type`, which is the value's own type.
pub(crate) fn scalar_of(value: &Value, data_type: DataType) -> ScalarValue {
    match value {
        Value::Null => ScalarValue::try_from(&arrow_type(data_type)).unwrap_or(ScalarValue::Null),
        Value::Boolean(flag) => ScalarValue::Boolean(Some(*flag)),
        Value::SmallInt(number) => ScalarValue::Int16(Some(*number)),
        Value::Int(number) => ScalarValue::Int32(Some(*number)),
        Value::BigInt(number) => ScalarValue::Int64(Some(*number)),
        Value::Float(number) => ScalarValue::Float32(Some(*number)),
        Value::Double(number) => ScalarValue::Float64(Some(*number)),
        Value::Decimal(number) => {
            let (precision, scale) = match data_type {
                DataType::Decimal { precision, scale } => (precision, scale),
                _ => (Decimal::PRECISION_MAX, number.scale()),
            };
            let same = number.rescale(precision, scale).ok().map(Decimal::unscaled);
            ScalarValue::Decimal128(
                Some(same.unwrap_or_else(|| number.unscaled())),
                precision,
                i8::try_from(scale).unwrap_or(i8::MAX),
            )
        }
        Value::Text(text) | Value::Json(text) => ScalarValue::Utf8(Some(text.clone())),
        Value::Uuid(bytes) => ScalarValue::Utf8(Some(UuidText(bytes).to_string())),
        Value::Timestamp(micros) => ScalarValue::TimestampMicrosecond(Some(*micros), None),
        Value::DateTime(micros) => {
            ScalarValue::TimestampMicrosecond(Some(*micros), Some("UTC".into()))
        }
        Value::Date(days) => ScalarValue::Date32(Some(*days)),
        Value::Time(micros) => ScalarValue::Time64Microsecond(Some(*micros)),
        Value::Bytes(bytes) => ScalarValue::Binary(Some(bytes.clone())),
        Value::Embedding(floats) => embedding_scalar(floats),
    }
}

/// The literal of an embedding.
pub(crate) fn embedding_scalar(floats: &[f32]) -> ScalarValue {
    let length = i32::try_from(floats.len()).unwrap_or(i32::MAX);
    let items = Arc::new(arrow::array::Float32Array::from(floats.to_vec()));
    let item = Arc::new(ArrowField::new_list_field(ArrowType::Float32, true));
    ScalarValue::FixedSizeList(Arc::new(arrow::array::FixedSizeListArray::new(
        item, length, items, None,
    )))
}

/// An Arrow field for a column of a result.
pub(crate) fn arrow_field(field: &Field) -> ArrowField {
    let nullable = !field.flags.contains(&FieldFlag::NotNull);
    let mut arrow = typed_field(&field.name, field.data_type, nullable);
    if field.flags.contains(&FieldFlag::PrimaryKey) {
        arrow
            .metadata_mut()
            .insert(KEY_KEY.to_owned(), String::new());
    }
    arrow
}

/// Rows of values as one batch, for answers in Arrow of statements that were not planned.
pub(crate) fn batch_of(
    fields: &[Field],
    rows: &[Vec<Value>],
) -> Result<(SchemaRef, RecordBatch), Error> {
    let schema = Arc::new(Schema::new(
        fields.iter().map(arrow_field).collect::<Vec<_>>(),
    ));
    let mut columns = Vec::with_capacity(fields.len());
    for (index, field) in fields.iter().enumerate() {
        let own = arrow_type(field.data_type);
        let column = if rows.is_empty() {
            arrow::array::new_empty_array(&own)
        } else {
            let scalars = rows
                .iter()
                .map(|row| scalar_of(row.get(index).unwrap_or(&Value::Null), field.data_type));
            ScalarValue::iter_to_array(scalars).map_err(Error::internal)?
        };
        columns.push(column);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)
        .map_err(Error::internal)?;
    Ok((schema, batch))
}

/// The type of a parameter or literal that the planner inferred, if KalamDB has it.
pub(crate) fn own_type(field: &ArrowField) -> Option<DataType> {
    match field.data_type() {
        ArrowType::Null => None,
        ArrowType::Timestamp(
            TimeUnit::Second | TimeUnit::Millisecond | TimeUnit::Nanosecond,
            _,
        ) => None,
        _ => Some(encode::wire_type(field)).filter(|own| arrow_type(*own) == *field.data_type()),
    }
}

/// DataFusion's literal as a value of `data_type`; `None` if it is NULL or of another type.
pub(crate) fn value_of(scalar: &ScalarValue, data_type: DataType) -> Option<Value> {
    if scalar.is_null() || scalar.data_type() != arrow_type(data_type) {
        return None;
    }
    let array = scalar.to_array().ok()?;
    typed_reader(data_type, &array)(0).ok()
}
