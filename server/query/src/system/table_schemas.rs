//! `system.table_schemas` and its other name `system.schemas`: every version of every table.

use kalam_link_core::{DataType, Value};

use super::tables::{self, table_columns};
use super::{SYSTEM, ServerTable};
use crate::error::Error;
use crate::names::World;

pub(super) const TABLE: ServerTable = ServerTable {
    namespace: SYSTEM,
    name: "table_schemas",
    columns: table_columns!(("is_latest", DataType::Boolean)),
    rows,
};

pub(super) const SCHEMAS: ServerTable = ServerTable {
    name: "schemas",
    ..TABLE
};

fn rows(world: &World<'_>) -> Result<Vec<Vec<Value>>, Error> {
    let mut rows = Vec::new();
    for table in world.catalog.tables() {
        for version in &table.history {
            let mut row = tables::row(version);
            row.push(Value::Boolean(
                version.schema_version == table.def.schema_version,
            ));
            rows.push(row);
        }
    }
    Ok(rows)
}
