//! `system.users`: accounts, deleted ones included, without their secrets.

use kalam_link_core::{DataType, Value};

use super::{SYSTEM, ServerTable, number, optional_text, optional_time, text, time};
use crate::error::Error;
use crate::names::World;

pub(super) const TABLE: ServerTable = ServerTable {
    namespace: SYSTEM,
    name: "users",
    columns: &[
        ("user_id", DataType::Text),
        ("username", DataType::Text),
        ("role", DataType::Text),
        ("email", DataType::Text),
        ("auth_type", DataType::Text),
        ("storage_mode", DataType::Text),
        ("storage_id", DataType::Text),
        ("created_at", DataType::DateTime),
        ("updated_at", DataType::DateTime),
        ("last_seen", DataType::DateTime),
        ("deleted_at", DataType::DateTime),
        ("failed_login_attempts", DataType::BigInt),
        ("locked_until", DataType::DateTime),
    ],
    rows,
};

fn rows(world: &World<'_>) -> Result<Vec<Vec<Value>>, Error> {
    let users = world.engine.users();
    let row = |user: kalam_model::UserRecord| {
        let login = users.login_state(&user.id, world.now);
        vec![
            text(user.id.as_str()),
            text(user.id.as_str()),
            text(user.role.as_str()),
            optional_text(user.email),
            text(user.authentication.as_str()),
            text("table"),
            optional_text(user.storage_id),
            time(user.created_at),
            time(user.updated_at),
            Value::Null,
            optional_time(user.deleted_at),
            number(login.failed_attempts),
            optional_time(login.locked_until),
        ]
    };
    Ok(users.all()?.into_iter().map(row).collect())
}
