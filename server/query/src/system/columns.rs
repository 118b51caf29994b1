//! `system.columns`: the columns of every table as it stands; older versions are in `system.table_schemas`.

use kalam_link_core::{DataType, Value};
use kalam_model::ColumnDef;

use super::{SYSTEM, ServerTable, count, number, optional_text, text};
use crate::error::Error;
use crate::names::World;

pub(super) const TABLE: ServerTable = ServerTable {
    namespace: SYSTEM,
    name: "columns",
    columns: &[
        ("namespace_id", DataType::Text),
        ("table_name", DataType::Text),
        ("version", DataType::BigInt),
        ("column_id", DataType::BigInt),
        ("column_name", DataType::Text),
        ("data_type", DataType::Text),
        ("default_value", DataType::Text),
        ("ordinal", DataType::BigInt),
        ("nullable", DataType::Boolean),
        ("primary_key", DataType::Boolean),
        ("primary_key_pos", DataType::BigInt),
        ("comment", DataType::Text),
    ],
    rows,
};

fn rows(world: &World<'_>) -> Result<Vec<Vec<Value>>, Error> {
    let mut rows = Vec::new();
    for table in world.catalog.tables().map(|table| &table.def) {
        for (index, column) in table.columns.iter().enumerate() {
            let key = table.primary_key.iter().position(|key| *key == column.id);
            rows.push(vec![
                text(table.id.namespace.as_str()),
                text(&*table.id.name),
                number(table.schema_version),
                number(column.id.0),
                text(&column.name),
                text(type_text(column)),
                optional_text(column.default.clone()),
                count(index + 1),
                Value::Boolean(column.nullable),
                Value::Boolean(key.is_some()),
                key.map_or(Value::Null, |position| count(position + 1)),
                optional_text(column.comment.clone()),
            ]);
        }
    }
    Ok(rows)
}

/// The type as SQL writes it.
pub(super) fn type_text(column: &ColumnDef) -> String {
    match column.max_chars {
        Some(chars) => format!("VARCHAR({chars})"),
        None => column.data_type.to_string(),
    }
}
