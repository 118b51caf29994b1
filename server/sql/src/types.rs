//! Column types as SQL writes them.

use kalam_link_core::{DataType, Decimal};
use sqlparser::ast::{CharacterLength, DataType as Written, ExactNumberInfo, TimezoneInfo};

use crate::error::Error;

/// A type and, for VARCHAR(n) and CHAR(n), the longest text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ColumnType {
    pub data_type: DataType,
    pub max_chars: Option<u32>,
}

impl From<DataType> for ColumnType {
    fn from(data_type: DataType) -> Self {
        Self {
            data_type,
            max_chars: None,
        }
    }
}

/// Digits of a DECIMAL without precision.
const DECIMAL_PRECISION_DEFAULT: u8 = Decimal::PRECISION_MAX;
const DECIMAL_SCALE_DEFAULT: u8 = 10;

const HINT: &str = "types are BOOLEAN, SMALLINT, INT, BIGINT, FLOAT, DOUBLE, DECIMAL(p,s), TEXT, VARCHAR(n), CHAR(n), \
                    TIMESTAMP, DATETIME, DATE, TIME, JSON, BYTES, UUID, EMBEDDING(n)";

/// What `written` means as the type of a column, a cast or a literal.
pub(crate) fn column_type(written: &Written) -> Result<ColumnType, Error> {
    let data_type = match written {
        Written::Boolean | Written::Bool => DataType::Boolean,
        Written::SmallInt(None) | Written::Int2(None) => DataType::SmallInt,
        Written::Int(None) | Written::Integer(None) | Written::Int4(None) => DataType::Int,
        Written::BigInt(None) | Written::Int8(None) => DataType::BigInt,
        Written::Float(ExactNumberInfo::None) | Written::Real | Written::Float4 => DataType::Float,
        Written::Double(ExactNumberInfo::None) | Written::DoublePrecision | Written::Float8 => {
            DataType::Double
        }
        Written::Decimal(info) | Written::Numeric(info) | Written::Dec(info) => decimal(*info)?,
        Written::Text | Written::String(None) => DataType::Text,
        Written::Varchar(length)
        | Written::CharVarying(length)
        | Written::CharacterVarying(length) => {
            return text(*length, None, written);
        }
        Written::Char(length) | Written::Character(length) => {
            return text(*length, Some(1), written);
        }
        Written::Timestamp(None | Some(6), TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            DataType::Timestamp
        }
        Written::Datetime(None | Some(6)) => DataType::DateTime,
        Written::Date => DataType::Date,
        Written::Time(None | Some(6), TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            DataType::Time
        }
        Written::JSON => DataType::Json,
        Written::Bytes(None) | Written::Binary(None) | Written::Blob(None) | Written::Bytea => {
            DataType::Bytes
        }
        Written::Uuid => DataType::Uuid,
        Written::Custom(name, arguments) if name.to_string().eq_ignore_ascii_case("EMBEDDING") => {
            embedding(arguments)?
        }
        Written::Timestamp(_, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz) => {
            return Err(Error::UnsupportedClause {
                clause: format!("the type {written}"),
                hint: Some("use DATETIME, which is in UTC"),
            });
        }
        other => {
            return Err(Error::UnsupportedClause {
                clause: format!("the type {other}"),
                hint: Some(HINT),
            });
        }
    };
    Ok(data_type.into())
}

/// The type of a cast, where a longest text has no meaning.
pub fn cast_type(written: &Written) -> Result<DataType, Error> {
    Ok(column_type(written)?.data_type)
}

fn decimal(info: ExactNumberInfo) -> Result<DataType, Error> {
    let (precision, scale) = match info {
        ExactNumberInfo::None => (
            u64::from(DECIMAL_PRECISION_DEFAULT),
            i64::from(DECIMAL_SCALE_DEFAULT),
        ),
        ExactNumberInfo::Precision(precision) => (precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (precision, scale),
    };
    let precision = u8::try_from(precision)
        .ok()
        .filter(|p| (1..=Decimal::PRECISION_MAX).contains(p));
    let scale = u8::try_from(scale).ok();
    match (precision, scale) {
        (Some(precision), Some(scale)) if scale <= precision => {
            Ok(DataType::Decimal { precision, scale })
        }
        _ => Err(Error::invalid(
            "DECIMAL(p,s) needs 1 ≤ p ≤ 38 and 0 ≤ s ≤ p",
        )),
    }
}

fn text(
    length: Option<CharacterLength>,
    default: Option<u32>,
    written: &Written,
) -> Result<ColumnType, Error> {
    let max_chars =
        match length {
            None => default,
            Some(CharacterLength::IntegerLength { length, unit: None }) => {
                let length = u32::try_from(length).ok().filter(|length| *length > 0);
                Some(length.ok_or_else(|| {
                    Error::invalid(format!("{written} needs a length of at least 1"))
                })?)
            }
            Some(_) => {
                return Err(Error::UnsupportedClause {
                    clause: format!("the type {written}"),
                    hint: Some(HINT),
                });
            }
        };
    Ok(ColumnType {
        data_type: DataType::Text,
        max_chars,
    })
}

fn embedding(arguments: &[String]) -> Result<DataType, Error> {
    match arguments {
        [length] => length
            .parse()
            .ok()
            .filter(|length| (1..=DataType::EMBEDDING_MAX).contains(length)),
        _ => None,
    }
    .map(DataType::Embedding)
    .ok_or_else(|| {
        Error::invalid(format!(
            "EMBEDDING(n) needs one number from 1 to {}",
            DataType::EMBEDDING_MAX
        ))
    })
}
