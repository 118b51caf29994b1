//! `system.*` and `information_schema.*`: tables that the server fills when a statement names them.
//!
//! Who may not see one gets the same answer as for a table that does not exist.

mod audit_log;
mod columns;
mod datatypes;
mod information_schema;
pub(crate) mod live;
mod namespaces;
mod sessions;
mod settings;
mod stats;
mod storages;
mod table_schemas;
mod tables;
mod users;

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use kalam_link_core::{DataType, Field, Value};
use kalam_model::name::RESERVED_NAMESPACES;
use kalam_model::{Caller, Timestamp};

use crate::error::Error;
use crate::names::World;
use crate::value;

const SYSTEM: &str = "system";
const INFORMATION_SCHEMA: &str = "information_schema";

/// A table that the server fills.
struct ServerTable {
    namespace: &'static str,
    name: &'static str,
    columns: &'static [(&'static str, DataType)],
    rows: fn(&World<'_>) -> Result<Vec<Vec<Value>>, Error>,
}

/// Tables of `system` whose rows depend on the caller.
const OF_EVERYBODY: [&str; 3] = ["live", "live_queries", "sessions"];

/// Every table that the server fills, in order of name.
const TABLES: [ServerTable; 17] = [
    information_schema::COLUMNS,
    information_schema::SCHEMATA,
    information_schema::TABLES,
    audit_log::TABLE,
    columns::TABLE,
    datatypes::TABLE,
    live::TABLE,
    live::QUERIES,
    namespaces::TABLE,
    table_schemas::SCHEMAS,
    sessions::TABLE,
    settings::TABLE,
    stats::TABLE,
    storages::TABLE,
    table_schemas::TABLE,
    tables::TABLE,
    users::TABLE,
];

impl ServerTable {
    /// `system.*` is for administrators; `information_schema` and some tables show everybody what they may see.
    fn is_for(&self, caller: &Caller) -> bool {
        self.namespace == INFORMATION_SCHEMA
            || OF_EVERYBODY.contains(&self.name)
            || caller.role.is_admin()
    }

    fn fields(&self) -> Vec<Field> {
        let describe = |(index, (name, data_type)): (usize, &(&str, DataType))| Field {
            name: (*name).to_owned(),
            data_type: *data_type,
            index,
            flags: Vec::new(),
        };
        self.columns.iter().enumerate().map(describe).collect()
    }
}

fn find(namespace: &str, name: &str) -> Option<&'static ServerTable> {
    TABLES
        .iter()
        .find(|table| table.namespace == namespace && table.name == name)
}

/// Whether the name lies in a namespace of the server, so that no user's table can have it.
pub(crate) fn is_server_name(namespace: &str, _name: &str) -> bool {
    RESERVED_NAMESPACES.contains(&namespace)
}

/// Whether the table exists for the caller.
pub(crate) fn sees(caller: &Caller, namespace: &str, name: &str) -> bool {
    find(namespace, name).is_some_and(|table| table.is_for(caller))
}

/// Namespace and name of each table that exists for the caller.
pub(crate) fn visible_names(
    caller: &Caller,
) -> impl Iterator<Item = (&'static str, &'static str)> + use<'_> {
    TABLES
        .iter()
        .filter(|table| table.is_for(caller))
        .map(|table| (table.namespace, table.name))
}

/// The table with its rows; `None` if it does not exist for the caller.
pub(crate) fn source(
    world: &World<'_>,
    namespace: &str,
    name: &str,
) -> Result<Option<Arc<dyn TableProvider>>, Error> {
    let Some(table) = find(namespace, name).filter(|table| table.is_for(world.caller)) else {
        return Ok(None);
    };
    let rows = if world.is_describing() {
        Vec::new()
    } else {
        (table.rows)(world)?
    };
    let (schema, batch) = value::batch_of(&table.fields(), &rows)?;
    Ok(Some(Arc::new(
        MemTable::try_new(schema, vec![vec![batch]]).map_err(Error::internal)?,
    )))
}

fn text(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}

fn optional_text(text: Option<impl Into<String>>) -> Value {
    text.map_or(Value::Null, |text| Value::Text(text.into()))
}

const fn time(at: Timestamp) -> Value {
    Value::DateTime(at.0)
}

fn optional_time(at: Option<Timestamp>) -> Value {
    at.map_or(Value::Null, time)
}

fn count(number: usize) -> Value {
    Value::BigInt(i64::try_from(number).unwrap_or(i64::MAX))
}

fn natural(number: u64) -> Value {
    Value::BigInt(i64::try_from(number).unwrap_or(i64::MAX))
}

fn number(number: impl Into<i64>) -> Value {
    Value::BigInt(number.into())
}
