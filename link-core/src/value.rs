//! The value model: one cell, one column type. Shared by server, clients and the wire.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::decimal::Decimal;

/// Type of a column. Serialises to the name that the wire uses: `"BigInt"`, `{"Decimal":{"precision":10,"scale":2}}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DataType {
    Boolean,
    SmallInt,
    Int,
    BigInt,
    /// 32 bit.
    Float,
    /// 64 bit.
    Double,
    /// 1 ≤ precision ≤ 38, scale ≤ precision.
    Decimal {
        precision: u8,
        scale: u8,
    },
    Text,
    /// Microseconds since 1970, without zone.
    Timestamp,
    /// Microseconds since 1970, UTC.
    DateTime,
    /// Days since 1970.
    Date,
    /// Microseconds since midnight.
    Time,
    /// JSON text, checked on the way in.
    Json,
    Bytes,
    Uuid,
    /// That many 32-bit floats.
    Embedding(u32),
}

impl DataType {
    /// Longest embedding.
    pub const EMBEDDING_MAX: u32 = 16_384;

    /// Those without parameters.
    pub const PLAIN: [Self; 14] = [
        Self::Boolean,
        Self::SmallInt,
        Self::Int,
        Self::BigInt,
        Self::Float,
        Self::Double,
        Self::Text,
        Self::Timestamp,
        Self::DateTime,
        Self::Date,
        Self::Time,
        Self::Json,
        Self::Bytes,
        Self::Uuid,
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn wire_name(self) -> &'static str {
        match self {
            Self::Boolean => "Boolean",
            Self::SmallInt => "SmallInt",
            Self::Int => "Int",
            Self::BigInt => "BigInt",
            Self::Float => "Float",
            Self::Double => "Double",
            Self::Decimal { .. } => "Decimal",
            Self::Text => "Text",
            Self::Timestamp => "Timestamp",
            Self::DateTime => "DateTime",
            Self::Date => "Date",
            Self::Time => "Time",
            Self::Json => "Json",
            Self::Bytes => "Bytes",
            Self::Uuid => "Uuid",
            Self::Embedding(_) => "Embedding",
        }
    }
}

impl fmt::Display for DataType {
    /// The SQL spelling, as DESCRIBE shows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("BOOLEAN"),
            Self::SmallInt => f.write_str("SMALLINT"),
            Self::Int => f.write_str("INT"),
            Self::BigInt => f.write_str("BIGINT"),
            Self::Float => f.write_str("FLOAT"),
            Self::Double => f.write_str("DOUBLE"),
            Self::Decimal { precision, scale } => write!(f, "DECIMAL({precision},{scale})"),
            Self::Text => f.write_str("TEXT"),
            Self::Timestamp => f.write_str("TIMESTAMP"),
            Self::DateTime => f.write_str("DATETIME"),
            Self::Date => f.write_str("DATE"),
            Self::Time => f.write_str("TIME"),
            Self::Json => f.write_str("JSON"),
            Self::Bytes => f.write_str("BYTES"),
            Self::Uuid => f.write_str("UUID"),
            Self::Embedding(length) => write!(f, "EMBEDDING({length})"),
        }
    }
}

/// One column of a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    pub name: String,
    pub data_type: DataType,
    /// Position in a row, from 0.
    pub index: usize,
    /// `pk` primary key, `nn` not null, `uq` unique.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<FieldFlag>,
}

/// What is known about a result column beyond its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FieldFlag {
    #[serde(rename = "pk")]
    PrimaryKey,
    #[serde(rename = "nn")]
    NotNull,
    #[serde(rename = "uq")]
    Unique,
}

/// One cell.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Value {
    Null,
    Boolean(bool),
    SmallInt(i16),
    Int(i32),
    BigInt(i64),
    Float(f32),
    Double(f64),
    Decimal(Decimal),
    Text(String),
    Timestamp(i64),
    DateTime(i64),
    Date(i32),
    Time(i64),
    Json(String),
    Bytes(Vec<u8>),
    Uuid([u8; 16]),
    Embedding(Vec<f32>),
}

impl Value {
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The type of a value that is not null. A decimal's precision is 38, since the value alone does not know it.
    #[must_use]
    pub fn data_type(&self) -> Option<DataType> {
        Some(match self {
            Self::Null => return None,
            Self::Boolean(_) => DataType::Boolean,
            Self::SmallInt(_) => DataType::SmallInt,
            Self::Int(_) => DataType::Int,
            Self::BigInt(_) => DataType::BigInt,
            Self::Float(_) => DataType::Float,
            Self::Double(_) => DataType::Double,
            Self::Decimal(decimal) => DataType::Decimal {
                precision: Decimal::PRECISION_MAX,
                scale: decimal.scale(),
            },
            Self::Text(_) => DataType::Text,
            Self::Timestamp(_) => DataType::Timestamp,
            Self::DateTime(_) => DataType::DateTime,
            Self::Date(_) => DataType::Date,
            Self::Time(_) => DataType::Time,
            Self::Json(_) => DataType::Json,
            Self::Bytes(_) => DataType::Bytes,
            Self::Uuid(_) => DataType::Uuid,
            Self::Embedding(values) => {
                DataType::Embedding(u32::try_from(values.len()).unwrap_or(u32::MAX))
            }
        })
    }

    /// Memory that the value occupies beyond its own size, in bytes. For limits.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::Text(text) | Self::Json(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Embedding(values) => values.len() * 4,
            _ => 0,
        }
    }

    /// Order of two values of one column: NULL last, NaN after every number, -0 = 0, text by code point. Values of
    /// different types have no order.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        Some(match (self, other) {
            (Self::Null, Self::Null) => Ordering::Equal,
            (Self::Null, _) => Ordering::Greater,
            (_, Self::Null) => Ordering::Less,
            (Self::Boolean(a), Self::Boolean(b)) => a.cmp(b),
            (Self::SmallInt(a), Self::SmallInt(b)) => a.cmp(b),
            (Self::Int(a), Self::Int(b)) | (Self::Date(a), Self::Date(b)) => a.cmp(b),
            (Self::BigInt(a), Self::BigInt(b))
            | (Self::Timestamp(a), Self::Timestamp(b))
            | (Self::DateTime(a), Self::DateTime(b))
            | (Self::Time(a), Self::Time(b)) => a.cmp(b),
            (Self::Float(a), Self::Float(b)) => compare_floats(f64::from(*a), f64::from(*b)),
            (Self::Double(a), Self::Double(b)) => compare_floats(*a, *b),
            (Self::Decimal(a), Self::Decimal(b)) => a.compare(*b),
            (Self::Text(a), Self::Text(b)) | (Self::Json(a), Self::Json(b)) => a.cmp(b),
            (Self::Bytes(a), Self::Bytes(b)) => a.cmp(b),
            (Self::Uuid(a), Self::Uuid(b)) => a.cmp(b),
            (Self::Embedding(a), Self::Embedding(b)) => a
                .iter()
                .zip(b)
                .map(|(x, y)| compare_floats(f64::from(*x), f64::from(*y)))
                .find(|order| order.is_ne())
                .unwrap_or_else(|| a.len().cmp(&b.len())),
            _ => return None,
        })
    }
}

/// Total order of floats: NaN equals NaN and comes last, -0 equals 0.
#[must_use]
pub fn compare_floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b)
        .unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.compare(other) == Some(Ordering::Equal)
    }
}
impl Eq for Value {}
