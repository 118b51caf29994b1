//! What a subscription's rows are after everything received so far.

use std::sync::Arc;

use crate::message::RowObject;
use crate::session::SubscriptionEvent;
use crate::time::Millis;
use crate::value::Field;

/// The current rows of one subscription, in order: that of ORDER BY, then that of the key.
#[derive(Clone, Debug, Default)]
pub struct LiveRows {
    version: u64,
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
    /// Ended by the server; these were the last rows.
    Failed,
}

/// Where a row stands among the others: compares as the rows do. Two rows never have the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(Arc<[u8]>);

/// A row that came, changed or went.
#[derive(Clone, Debug, PartialEq)]
pub enum RowChange {
    /// The row stands here; one that stood here before is replaced.
    Put {
        position: Position,
        row: Arc<RowObject>,
    },
    /// No row stands here any more.
    Removed { position: Position },
}

impl LiveRows {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes an event of the subscription. Those that concern no rows change nothing.
    pub fn apply(&mut self, event: SubscriptionEvent, now: Millis) {
        let _ = (event, now);
    }

    #[must_use]
    pub fn status(&self) -> LiveStatus {
        LiveStatus::Loading
    }

    /// The selected columns; empty before the first acknowledgement.
    #[must_use]
    pub fn schema(&self) -> &[Field] {
        &[]
    }

    #[must_use]
    pub fn len(&self) -> usize {
        0
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// In order.
    pub fn rows(&self) -> impl DoubleEndedIterator<Item = (&Position, &Arc<RowObject>)> {
        std::iter::empty()
    }

    /// Rises with every change of the rows.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// What happened after `version`, in order. None: it is too long ago, or all rows were replaced; read them all.
    #[must_use]
    pub fn changes_since(&self, version: u64) -> Option<impl Iterator<Item = &RowChange>> {
        (version == self.version).then(std::iter::empty)
    }

    /// When the next row expires: call [`expire`](Self::expire) then. The session does this for the rows that it keeps.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Millis> {
        None
    }

    /// Removes the rows whose time is over.
    pub fn expire(&mut self, now: Millis) {
        let _ = now;
    }
}
