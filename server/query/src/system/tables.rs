//! `system.tables`: tables as they are now.

use kalam_link_core::{DataType, Value};
use kalam_model::{TableDef, TableOptions};
use serde_json::json;

use super::{SYSTEM, ServerTable, number, optional_text, text, time};
use crate::error::Error;
use crate::names::World;

/// Also of `system.schemas`, which has one column more.
macro_rules! table_columns {
    ($($more:expr),*) => {
        &[
            ("table_id", DataType::Text),
            ("namespace_id", DataType::Text),
            ("table_name", DataType::Text),
            ("table_type", DataType::Text),
            ("schema_version", DataType::BigInt),
            ("storage_id", DataType::Text),
            ("access_level", DataType::Text),
            ("write_level", DataType::Text),
            ("use_user_storage", DataType::Boolean),
            ("options", DataType::Json),
            ("columns", DataType::Json),
            ("table_comment", DataType::Text),
            ("created_at", DataType::DateTime),
            ("updated_at", DataType::DateTime),
            $($more),*
        ]
    };
}
pub(super) use table_columns;

pub(super) const TABLE: ServerTable = ServerTable {
    namespace: SYSTEM,
    name: "tables",
    columns: table_columns!(),
    rows,
};

fn rows(world: &World<'_>) -> Result<Vec<Vec<Value>>, Error> {
    Ok(world
        .catalog
        .tables()
        .map(|table| row(&table.def))
        .collect())
}

pub(super) fn row(table: &TableDef) -> Vec<Value> {
    vec![
        text(table.id.to_string()),
        text(table.id.namespace.as_str()),
        text(&*table.id.name),
        text(table.kind.as_str()),
        number(table.schema_version),
        text(&table.options.storage_id),
        text(table.options.access_level.as_str()),
        text(table.options.write_level.as_str()),
        Value::Boolean(table.options.use_user_storage),
        Value::Json(options(&table.options).to_string()),
        Value::Json(columns(table).to_string()),
        optional_text(table.comment.clone()),
        time(table.created_at),
        time(table.updated_at),
    ]
}

fn options(options: &TableOptions) -> serde_json::Value {
    json!({
        "storage_id": options.storage_id,
        "flush_policy": options.flush_policy.map(|policy| policy.to_string()),
        "deleted_retention_hours": options.deleted_retention_hours,
        "ttl_seconds": options.ttl_seconds,
        "access_level": options.access_level.as_str(),
        "write_level": options.write_level.as_str(),
        "use_user_storage": options.use_user_storage,
    })
}

fn columns(table: &TableDef) -> serde_json::Value {
    let column = |column: &kalam_model::ColumnDef| {
        json!({
            "column_id": column.id.0,
            "column_name": column.name,
            "data_type": super::columns::type_text(column),
            "nullable": column.nullable,
            "default_value": column.default,
            "primary_key": table.is_key(column.id),
        })
    };
    table.columns.iter().map(column).collect()
}
