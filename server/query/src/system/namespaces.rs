//! `system.namespaces`.

use kalam_link_core::{DataType, Value};

use super::{SYSTEM, ServerTable, count, optional_text, text, time};
use crate::error::Error;
use crate::names::World;

pub(super) const TABLE: ServerTable = ServerTable {
    namespace: SYSTEM,
    name: "namespaces",
    columns: &[
        ("namespace_id", DataType::Text),
        ("name", DataType::Text),
        ("description", DataType::Text),
        ("created_at", DataType::DateTime),
        ("options", DataType::Json),
        ("table_count", DataType::BigInt),
    ],
    rows,
};

fn rows(world: &World<'_>) -> Result<Vec<Vec<Value>>, Error> {
    let row = |namespace: &std::sync::Arc<kalam_model::NamespaceDef>| {
        vec![
            text(namespace.name.as_str()),
            text(namespace.name.as_str()),
            optional_text(namespace.description.clone()),
            time(namespace.created_at),
            Value::Json("{}".to_owned()),
            count(world.catalog.tables_in(&namespace.name).count()),
        ]
    };
    Ok(world.catalog.namespaces().map(row).collect())
}
