//! `system.live` and its other name `system.live_queries`: subscriptions. Services and administrators see all, others
//! their own.

use kalam_engine::Engine;
use kalam_engine::live::LiveInfo;
use kalam_link_core::{DataType, Role, Value};
use kalam_model::{Caller, Timestamp};

use super::{SYSTEM, ServerTable, natural, optional_time, text, time};
use crate::error::Error;
use crate::names::World;

pub(super) const TABLE: ServerTable = ServerTable {
    namespace: SYSTEM,
    name: "live",
    columns: &[
        ("live_id", DataType::Text),
        ("connection_id", DataType::Text),
        ("subscription_id", DataType::Text),
        ("namespace_id", DataType::Text),
        ("table_name", DataType::Text),
        ("user_id", DataType::Text),
        ("query", DataType::Text),
        ("options", DataType::Json),
        ("status", DataType::Text),
        ("created_at", DataType::DateTime),
        ("last_update", DataType::DateTime),
        ("changes", DataType::BigInt),
        ("node_id", DataType::Text),
        ("last_ping_at", DataType::DateTime),
        ("queue_depth", DataType::BigInt),
        ("last_seq", DataType::BigInt),
    ],
    rows,
};

pub(super) const QUERIES: ServerTable = ServerTable {
    name: "live_queries",
    ..TABLE
};

/// The subscriptions that the caller may know of.
pub(crate) fn visible(engine: &Engine, caller: &Caller) -> Vec<LiveInfo> {
    if caller.role >= Role::Service {
        engine.live().list()
    } else {
        engine.live().list_of(&caller.user)
    }
}

fn rows(world: &World<'_>) -> Result<Vec<Vec<Value>>, Error> {
    let node = world.engine.snowflakes().node().to_string();
    let row = |info: LiveInfo| {
        vec![
            text(info.live_id),
            text(info.connection_id),
            text(info.subscription_id),
            text(info.namespace_id),
            text(info.table_name),
            text(info.user_id.as_str()),
            text(info.query),
            Value::Json(info.options),
            text(info.status),
            time(Timestamp::from_unix_ms(info.created_at_ms)),
            optional_time(info.last_update_ms.map(Timestamp::from_unix_ms)),
            natural(info.changes),
            text(&node),
            optional_time(info.last_ping_at_ms.map(Timestamp::from_unix_ms)),
            natural(info.queue_depth),
            natural(info.last_seq.0),
        ]
    };
    let found = visible(world.engine, world.caller);
    Ok(found.into_iter().map(row).collect())
}
