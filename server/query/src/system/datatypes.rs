//! `system.datatypes`: the types of columns.

use kalam_link_core::{DataType, Value};
use kalam_store::arrow_types::arrow_type;

use super::{SYSTEM, ServerTable, text};
use crate::error::Error;
use crate::names::World;

pub(super) const TABLE: ServerTable = ServerTable {
    namespace: SYSTEM,
    name: "datatypes",
    columns: &[
        ("arrow_type", DataType::Text),
        ("kalam_type", DataType::Text),
        ("sql_name", DataType::Text),
        ("description", DataType::Text),
    ],
    rows,
};

/// DECIMAL and EMBEDDING stand here with an example of their arguments.
const TYPES: [(DataType, &str, &str); 16] = [
    (DataType::Boolean, "BOOLEAN", "true or false"),
    (DataType::SmallInt, "SMALLINT", "16-bit integer"),
    (DataType::Int, "INT", "32-bit integer"),
    (DataType::BigInt, "BIGINT", "64-bit integer"),
    (DataType::Float, "FLOAT", "32-bit floating point number"),
    (DataType::Double, "DOUBLE", "64-bit floating point number"),
    (
        DataType::Decimal {
            precision: 10,
            scale: 2,
        },
        "DECIMAL(p,s)",
        "exact number of up to 38 digits",
    ),
    (DataType::Text, "TEXT", "Unicode text"),
    (
        DataType::Timestamp,
        "TIMESTAMP",
        "microseconds since 1970, without time zone",
    ),
    (
        DataType::DateTime,
        "DATETIME",
        "microseconds since 1970, UTC",
    ),
    (DataType::Date, "DATE", "days since 1970"),
    (DataType::Time, "TIME", "microseconds since midnight"),
    (DataType::Json, "JSON", "JSON text, checked"),
    (DataType::Bytes, "BYTES", "bytes"),
    (DataType::Uuid, "UUID", "UUID of any version"),
    (
        DataType::Embedding(3),
        "EMBEDDING(n)",
        "vector of n 32-bit floating point numbers",
    ),
];

fn rows(_: &World<'_>) -> Result<Vec<Vec<Value>>, Error> {
    let row = |(data_type, sql_name, description): &(DataType, &str, &str)| {
        let kalam_type = format!("{data_type:?}");
        let name = kalam_type.split([' ', '(']).next().unwrap_or_default();
        vec![
            text(arrow_type(*data_type).to_string()),
            text(name),
            text(*sql_name),
            text(*description),
        ]
    };
    Ok(TYPES.iter().map(row).collect())
}
