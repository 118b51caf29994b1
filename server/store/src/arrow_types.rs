//! Column types in Arrow. The field's metadata keeps the type that Arrow cannot tell: UUID and JSON are text there.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, Field, FieldRef, TimeUnit};
use kalam_link_core::DataType;
use kalam_model::ColumnDef;

/// Key of the field metadata that holds the type as JSON.
pub const TYPE_METADATA: &str = "kalam:type";

/// Name of the hidden column of every table.
pub const SEQ_COLUMN: &str = "_seq";

/// Zone of DATETIME columns.
pub const UTC: &str = "UTC";

/// The Arrow type that holds values of a column type.
#[must_use]
pub fn arrow_type(data_type: DataType) -> ArrowType {
    match data_type {
        DataType::Boolean => ArrowType::Boolean,
        DataType::SmallInt => ArrowType::Int16,
        DataType::Int => ArrowType::Int32,
        DataType::BigInt => ArrowType::Int64,
        DataType::Float => ArrowType::Float32,
        DataType::Double => ArrowType::Float64,
        DataType::Decimal { precision, scale } => ArrowType::Decimal128(precision, scale as i8),
        DataType::Text | DataType::Json | DataType::Uuid => ArrowType::Utf8,
        DataType::Timestamp => ArrowType::Timestamp(TimeUnit::Microsecond, None),
        DataType::DateTime => ArrowType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
        DataType::Date => ArrowType::Date32,
        DataType::Time => ArrowType::Time64(TimeUnit::Microsecond),
        DataType::Bytes => ArrowType::Binary,
        DataType::Embedding(length) => ArrowType::FixedSizeList(list_item(), length as i32),
    }
}

/// A field that keeps its column type.
#[must_use]
pub fn typed_field(name: &str, data_type: DataType, nullable: bool) -> Field {
    let json = serde_json::to_string(&data_type).expect("a data type is plain data");
    Field::new(name, arrow_type(data_type), nullable)
        .with_metadata(HashMap::from([(TYPE_METADATA.to_owned(), json)]))
}

/// The field of a column.
#[must_use]
pub fn arrow_field(column: &ColumnDef) -> Field {
    typed_field(&column.name, column.data_type, column.nullable)
}

/// The field of `_seq`.
#[must_use]
pub fn seq_field() -> Field {
    typed_field(SEQ_COLUMN, DataType::BigInt, false)
}

/// The column type of a field: that of its metadata, if it suits the Arrow type, else the nearest. `None` if no column
/// type holds the values.
#[must_use]
pub fn data_type_of(field: &Field) -> Option<DataType> {
    let kept = field.metadata().get(TYPE_METADATA);
    let kept = kept.and_then(|json| serde_json::from_str::<DataType>(json).ok());
    match kept {
        Some(data_type) if arrow_type(data_type) == *field.data_type() => Some(data_type),
        _ => nearest_type(field.data_type()),
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
            let scale = u8::try_from(*scale)
                .ok()
                .filter(|scale| scale <= precision)?;
            DataType::Decimal {
                precision: *precision,
                scale,
            }
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

/// The element of an embedding.
pub(crate) fn list_item() -> FieldRef {
    Arc::new(Field::new("item", ArrowType::Float32, true))
}

#[cfg(test)]
mod tests;
