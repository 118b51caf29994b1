//! `system.settings`: how the server is configured, without secrets.

use kalam_link_core::{DataType, Value};

use super::{SYSTEM, ServerTable, text};
use crate::error::Error;
use crate::names::World;

pub(super) const TABLE: ServerTable = ServerTable {
    namespace: SYSTEM,
    name: "settings",
    columns: &[
        ("name", DataType::Text),
        ("value", DataType::Text),
        ("description", DataType::Text),
        ("category", DataType::Text),
        ("origin", DataType::Text),
    ],
    rows,
};

fn rows(world: &World<'_>) -> Result<Vec<Vec<Value>>, Error> {
    let settings = world.facts.settings.iter();
    Ok(settings
        .map(|setting| {
            [
                &setting.name,
                &setting.value,
                &setting.description,
                &setting.category,
                &setting.origin,
            ]
            .into_iter()
            .map(text)
            .collect()
        })
        .collect())
}
