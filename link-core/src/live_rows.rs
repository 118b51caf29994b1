//! What a subscription's rows are after everything received so far.
//!
//! A load that makes earlier rows void is collected aside and takes their place when it is complete, so that a reader
//! never sees half of it. The server keeps the window of a LIMIT: rows enter and leave it by its changes alone.

mod log;
mod order;
mod set;

use std::sync::Arc;

use log::Log;
use set::{Plan, RowSet};

use crate::message::{Row, SubscriptionAck};
use crate::session::{Load, SubscriptionEvent};
use crate::time::Millis;
use crate::value::Field;

/// The current rows of one subscription, in order: that of ORDER BY, then that of the key.
///
/// Rows are told apart by their key, or by `_seq` where there is none. Of a STREAM table each row ends when its time is
/// over, and the newest row of each key is shown.
#[derive(Clone, Debug, Default)]
pub struct LiveRows {
    status: LiveStatus,
    /// Whether the rows were ever complete.
    was_live: bool,
    rows: RowSet,
    /// The rows of a load that will take the place of `rows`.
    staged: Option<RowSet>,
    clock: Option<ServerClock>,
    log: Log,
}

/// How far the rows are to be trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LiveStatus {
    /// The first load is not complete.
    #[default]
    Loading,
    /// Complete up to the last change.
    Live,
    /// Connected again; complete up to some moment in the past until the load ends.
    CatchingUp,
    /// Not connected; complete up to some moment in the past, unless the first load was cut.
    Offline,
    /// Ended; these were the last rows.
    Failed,
}

/// Where a row stands among the others: compares as the rows do. Two rows never have the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(Arc<[u8]>);

impl Position {
    /// Compare as the positions do.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A row that came, changed or went. One that moves goes from its old position first.
#[derive(Clone, Debug, PartialEq)]
pub enum RowChange {
    /// The row stands here; one that stood here before is replaced.
    Put { position: Position, row: Arc<Row> },
    /// No row stands here any more.
    Removed { position: Position },
}

/// The server's clock as it was when it acknowledged.
#[derive(Clone, Copy, Debug)]
struct ServerClock {
    unix_ms: u64,
    at: Millis,
}

impl ServerClock {
    fn unix_ms(self, now: Millis) -> u64 {
        self.unix_ms.saturating_add(now.since_ms(self.at))
    }

    fn local(self, unix_ms: u64) -> Millis {
        self.at.plus_ms(unix_ms.saturating_sub(self.unix_ms))
    }
}

impl LiveRows {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes an event of the subscription. Those that concern no rows change nothing.
    pub fn apply(&mut self, event: SubscriptionEvent, now: Millis) {
        match event {
            SubscriptionEvent::Acknowledged { ack, load } => self.begin(&ack, load, now),
            SubscriptionEvent::Batch { rows, .. } => {
                let mut unread = Log::unread();
                let (target, log) = match &mut self.staged {
                    Some(staged) => (staged, &mut unread),
                    None => (&mut self.rows, &mut self.log),
                };
                for row in rows {
                    target.put(Arc::new(row), None, log);
                }
            }
            SubscriptionEvent::Change(change) => match &mut self.staged {
                Some(staged) => staged.apply(change, &mut Log::unread()),
                None => self.rows.apply(change, &mut self.log),
            },
            SubscriptionEvent::Live => {
                if let Some(staged) = self.staged.take() {
                    self.replace(staged);
                }
                self.was_live = true;
                self.status = LiveStatus::Live;
            }
            SubscriptionEvent::Resync { .. } => self.status = self.incomplete(),
            SubscriptionEvent::Offline => self.status = LiveStatus::Offline,
            SubscriptionEvent::Ended(_) => self.status = LiveStatus::Failed,
            SubscriptionEvent::RowsChanged => {}
        }
        self.expire(now);
    }

    fn begin(&mut self, ack: &SubscriptionAck, load: Load, now: Millis) {
        if let Some(unix_ms) = ack.server_time_ms {
            self.clock = Some(ServerClock { unix_ms, at: now });
        }
        self.status = self.incomplete();
        let plan = Plan::new(ack);
        match load {
            Load::Fresh if self.was_live || !self.rows.shown().is_empty() => {
                self.staged = Some(RowSet::new(plan));
            }
            Load::Fresh => {
                self.staged = None;
                self.rows = RowSet::new(plan);
            }
            Load::Resumed => match &mut self.staged {
                Some(staged) => staged.replan(plan),
                None => {
                    if !self.rows.plan().places_like(&plan) {
                        self.log.reset();
                    }
                    self.rows.replan(plan);
                }
            },
        }
    }

    fn incomplete(&self) -> LiveStatus {
        if self.was_live {
            LiveStatus::CatchingUp
        } else {
            LiveStatus::Loading
        }
    }

    /// Shows the rows of a complete load, and logs how they differ from those before.
    fn replace(&mut self, staged: RowSet) {
        let before = std::mem::replace(&mut self.rows, staged);
        if before.plan() != self.rows.plan() {
            self.log.reset();
            return;
        }
        for position in before.shown().keys() {
            if !self.rows.shown().contains_key(position) {
                self.log.push(RowChange::Removed {
                    position: position.clone(),
                });
            }
        }
        for (position, row) in self.rows.shown().iter() {
            if before.shown().get(position) != Some(row) {
                self.log.push(RowChange::Put {
                    position: position.clone(),
                    row: Arc::clone(row),
                });
            }
        }
    }

    #[must_use]
    pub fn status(&self) -> LiveStatus {
        self.status
    }

    /// The selected columns; empty before the first acknowledgement.
    #[must_use]
    pub fn schema(&self) -> &[Field] {
        &self.rows.plan().schema
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.shown().len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// In order.
    pub fn rows(&self) -> impl DoubleEndedIterator<Item = (&Position, &Arc<Row>)> {
        self.rows.shown().iter()
    }

    /// Rises with every change of the rows.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.log.version()
    }

    /// What happened after `version`, in order. None: it is too long ago, or the columns are others; read all rows.
    #[must_use]
    pub fn changes_since(&self, version: u64) -> Option<impl Iterator<Item = &RowChange>> {
        self.log.since(version)
    }

    /// When the next row expires: call [`expire`](Self::expire) then. The session does this for the rows that it keeps.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Millis> {
        let clock = self.clock?;
        Some(clock.local(self.rows.next_expiry_unix_ms()?))
    }

    /// Removes the rows whose time is over.
    pub fn expire(&mut self, now: Millis) {
        let Some(clock) = self.clock else {
            return;
        };
        let unix_ms = clock.unix_ms(now);
        self.rows.expire(unix_ms, &mut self.log);
        if let Some(staged) = &mut self.staged {
            staged.expire(unix_ms, &mut Log::unread());
        }
    }
}

#[cfg(test)]
mod tests;
