//! `system.stats`: what the server holds, as name and value.

use kalam_link_core::{DataType, Value};

use super::{SYSTEM, ServerTable, text};
use crate::error::Error;
use crate::names::World;

pub(super) const TABLE: ServerTable = ServerTable {
    namespace: SYSTEM,
    name: "stats",
    columns: &[
        ("metric_name", DataType::Text),
        ("metric_value", DataType::Text),
    ],
    rows,
};

fn rows(world: &World<'_>) -> Result<Vec<Vec<Value>>, Error> {
    let store = world.engine.store().statistics();
    let uptime_s = (world.now.0 - world.facts.started_at.0).max(0) / 1_000_000;
    let catalog = &world.catalog;
    let metrics = [
        ("server_version", world.facts.version.clone()),
        ("server_uptime_seconds", uptime_s.to_string()),
        ("total_namespaces", catalog.namespaces().count().to_string()),
        ("total_tables", catalog.tables().count().to_string()),
        ("total_views", catalog.views().count().to_string()),
        (
            "accepting_writes",
            world.engine.is_accepting_writes().to_string(),
        ),
        ("memtable_bytes", store.memtable_bytes.to_string()),
        ("block_cache_bytes", store.block_cache_bytes.to_string()),
        ("table_reader_bytes", store.table_reader_bytes.to_string()),
        ("file_bytes", store.file_bytes.to_string()),
        ("live_file_bytes", store.live_file_bytes.to_string()),
        (
            "pending_compaction_bytes",
            store.pending_compaction_bytes.to_string(),
        ),
        ("hot_rows_estimate", store.rows.to_string()),
        ("keys_estimate", store.keys.to_string()),
        ("tombstones_estimate", store.tombstones.to_string()),
        ("stream_rows_estimate", store.stream_rows.to_string()),
        ("snapshots", store.snapshots.to_string()),
    ];
    Ok(metrics
        .into_iter()
        .map(|(name, value)| vec![text(name), text(value)])
        .collect())
}
