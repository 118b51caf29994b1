//! `system.audit_log`: privileged actions, oldest first.

use kalam_link_core::{DataType, Value};
use kalam_store::meta;

use super::{SYSTEM, ServerTable, optional_text, text, time};
use crate::error::Error;
use crate::names::World;

pub(super) const TABLE: ServerTable = ServerTable {
    namespace: SYSTEM,
    name: "audit_log",
    columns: &[
        ("audit_id", DataType::Text),
        ("timestamp", DataType::DateTime),
        ("actor_user_id", DataType::Text),
        ("actor_username", DataType::Text),
        ("as_user", DataType::Text),
        ("action", DataType::Text),
        ("target", DataType::Text),
        ("result", DataType::Text),
        ("details", DataType::Text),
        ("ip_address", DataType::Text),
        ("request_id", DataType::Text),
    ],
    rows,
};

fn rows(world: &World<'_>) -> Result<Vec<Vec<Value>>, Error> {
    let mut rows = Vec::new();
    let mut same_time = (0, 0_u32);
    for record in meta::AUDIT.all(&world.snapshot)? {
        same_time = if same_time.0 == record.at.0 {
            (record.at.0, same_time.1 + 1)
        } else {
            (record.at.0, 0)
        };
        rows.push(vec![
            text(format!("{}-{}", same_time.0, same_time.1)),
            time(record.at),
            text(record.actor.as_str()),
            text(record.actor.as_str()),
            optional_text(record.as_user.as_ref().map(|user| user.as_str())),
            text(record.action),
            text(record.target),
            text(record.result),
            optional_text(record.details),
            Value::Null,
            optional_text(record.request_id),
        ]);
    }
    Ok(rows)
}
