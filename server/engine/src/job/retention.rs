//! Removes what has outlived its time: rows of STREAM tables, tombstones, answers of requests, refresh families, audit
//! records. Reads the clock and proposes cuts; what is below a cut, apply decides (I2).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use kalam_model::{Command, MetaCommand, SeqId, TableDef, TableKind, TableNumber, Timestamp};
use kalam_store::stream;
use parking_lot::{Condvar, Mutex};

use crate::EngineOptions;
use crate::error::Error;
use crate::propose::LocalProposer;
use crate::published::Published;

/// How often STREAM tables are looked at.
const TICK: Duration = Duration::from_secs(1);

/// Time between two removals of everything but STREAM rows; none of it is urgent.
const SLOW_INTERVAL_MS: u64 = 60 * 60 * 1_000;

/// Longest time between two removals from a STREAM table that gets rows.
const STREAM_INTERVAL_MS_MAX: u64 = 60 * 1_000;

/// A table's rows are removed this many times per TTL, at least as often as a bucket ends.
const REMOVALS_PER_TTL: u64 = 64;

const SECOND_MS: u64 = 1_000;
const HOUR_MS: u64 = 3_600 * SECOND_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

#[derive(Default)]
struct Stop {
    closing: Mutex<bool>,
    changed: Condvar,
}

pub(crate) struct Retention {
    stop: Arc<Stop>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Retention {
    pub(crate) fn start(
        proposer: Arc<LocalProposer>,
        published: Arc<Published>,
        options: &EngineOptions,
    ) -> Result<Self, Error> {
        let stop = Arc::new(Stop::default());
        let theirs = Arc::clone(&stop);
        let mut plan = Plan::new(options, Timestamp::now().unix_ms());
        let thread = std::thread::Builder::new()
            .name("kalam-retention".to_owned())
            .spawn(move || {
                while !theirs.wait() {
                    for command in plan.due(&published, Timestamp::now().unix_ms()) {
                        if let Err(error) = proposer.propose_blocking(command) {
                            tracing::warn!(%error, "retention was not applied; it is tried again");
                            break;
                        }
                    }
                }
            })
            .map_err(Error::Thread)?;
        Ok(Self {
            stop,
            thread: Mutex::new(Some(thread)),
        })
    }

    pub(crate) fn close(&self) {
        *self.stop.closing.lock() = true;
        self.stop.changed.notify_all();
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }
}

impl Stop {
    /// Waits for the next tick; true to stop.
    fn wait(&self) -> bool {
        let mut closing = self.closing.lock();
        if !*closing {
            self.changed.wait_for(&mut closing, TICK);
        }
        *closing
    }
}

/// What is due when.
struct Plan {
    request_ms: u64,
    audit_ms: u64,
    slow_due_ms: u64,
    streams: BTreeMap<TableNumber, StreamState>,
}

#[derive(Clone, Copy, Default)]
struct StreamState {
    due_ms: u64,
    /// Buckets that end here or earlier were removed.
    cut: SeqId,
    /// Rows that were written with a longer TTL are in longer buckets.
    ttl_seconds_max: u32,
}

impl Plan {
    fn new(options: &EngineOptions, now_ms: u64) -> Self {
        Self {
            request_ms: u64::from(options.request_retention_hours) * HOUR_MS,
            audit_ms: u64::from(options.audit_retention_days) * DAY_MS,
            slow_due_ms: now_ms + SLOW_INTERVAL_MS,
            streams: BTreeMap::new(),
        }
    }

    fn due(&mut self, published: &Published, now_ms: u64) -> Vec<Command> {
        let catalog = published.catalog();
        let mut commands = Vec::new();
        self.streams
            .retain(|number, _| catalog.table_by_number(*number).is_some());
        for table in catalog
            .tables()
            .filter(|table| table.def.kind == TableKind::Stream)
        {
            let newest = published.newest_in_stream(table.def.number);
            commands.extend(self.expire(&table.def, newest, now_ms));
        }
        if now_ms >= self.slow_due_ms {
            self.slow_due_ms = now_ms + SLOW_INTERVAL_MS;
            let tables = catalog
                .tables()
                .filter(|table| table.def.kind != TableKind::Stream);
            commands.extend(tables.map(|table| purge_tombstones(&table.def, now_ms)));
            commands.push(Command::PurgeRequests {
                before: before(now_ms, self.request_ms),
            });
            commands.push(Command::Meta(MetaCommand::PurgeSessions {
                families_before: before(now_ms, 0),
                audit_before: before(now_ms, self.audit_ms),
            }));
        }
        commands
    }

    /// Nothing if no bucket with rows can be left, or it is not time yet.
    fn expire(&mut self, table: &TableDef, newest: SeqId, now_ms: u64) -> Option<Command> {
        let ttl_seconds = table.options.ttl_seconds?;
        let ttl_ms = u64::from(ttl_seconds) * SECOND_MS;
        let state = self.streams.entry(table.number).or_default();
        state.ttl_seconds_max = state.ttl_seconds_max.max(ttl_seconds);
        let last_bucket_ms = stream::bucket_end_ms(state.ttl_seconds_max, newest);
        if now_ms < state.due_ms || state.cut.unix_ms() >= last_bucket_ms {
            return None;
        }
        state.due_ms =
            now_ms + (ttl_ms / REMOVALS_PER_TTL).clamp(SECOND_MS, STREAM_INTERVAL_MS_MAX);
        state.cut = SeqId::at_time(now_ms.saturating_sub(ttl_ms));
        Some(Command::ExpireStream {
            table: table.number,
            below: state.cut,
        })
    }
}

fn purge_tombstones(table: &TableDef, now_ms: u64) -> Command {
    let kept_ms = u64::from(table.options.deleted_retention_hours) * HOUR_MS;
    Command::PurgeTombstones {
        table: table.number,
        below: SeqId::at_time(now_ms.saturating_sub(kept_ms)),
    }
}

fn before(now_ms: u64, age_ms: u64) -> Timestamp {
    Timestamp::from_unix_ms(now_ms.saturating_sub(age_ms))
}

#[cfg(test)]
mod tests;
