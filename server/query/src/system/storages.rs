//! `system.storages`: where cold rows may go. `local` always exists.

use kalam_link_core::{DataType, Value};
use kalam_model::TableOptions;

use super::{SYSTEM, ServerTable, text};
use crate::error::Error;
use crate::names::World;

/// The setting that tells where the server keeps its data.
const DATA_DIR_SETTINGS: [&str; 3] = ["data_dir", "storage.data_dir", "server.data_dir"];

pub(super) const TABLE: ServerTable = ServerTable {
    namespace: SYSTEM,
    name: "storages",
    columns: &[
        ("storage_id", DataType::Text),
        ("storage_name", DataType::Text),
        ("description", DataType::Text),
        ("storage_type", DataType::Text),
        ("base_directory", DataType::Text),
        ("config_json", DataType::Json),
        ("shared_tables_template", DataType::Text),
        ("user_tables_template", DataType::Text),
        ("created_at", DataType::DateTime),
        ("updated_at", DataType::DateTime),
    ],
    rows,
};

fn rows(world: &World<'_>) -> Result<Vec<Vec<Value>>, Error> {
    let data_dir = world
        .facts
        .settings
        .iter()
        .find(|setting| DATA_DIR_SETTINGS.contains(&setting.name.as_str()));
    Ok(vec![vec![
        text(TableOptions::LOCAL_STORAGE),
        text("Local"),
        text("the server's own disk"),
        text("filesystem"),
        data_dir.map_or(Value::Null, |setting| text(&setting.value)),
        Value::Null,
        Value::Null,
        Value::Null,
        Value::Null,
        Value::Null,
    ]])
}
