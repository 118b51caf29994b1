//! What waits to be sent to one connection. Bounded: what does not fit turns its subscription back into a resume (I7).

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kalam_model::{Timestamp, UserId};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::feed::Routed;

/// What may wait for one receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub changes: usize,
    pub bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            changes: 4_096,
            bytes: 1 << 20,
        }
    }
}

/// Capacity that an emptied queue keeps.
const KEPT_CAPACITY: usize = 16;

/// Number of a subscription on its connection; never used twice.
pub(crate) type Slot = u32;

/// What a connection is told.
#[derive(Debug)]
pub(crate) enum Event {
    Change {
        slot: Slot,
        change: Arc<Routed>,
    },
    /// Changes were left out: read them from storage.
    Overflow {
        slot: Slot,
    },
    /// The table was altered or dropped.
    TableChanged {
        slot: Slot,
    },
    Killed {
        slot: Slot,
    },
    /// The account may have changed.
    UserChanged,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<Event>,
    bytes: usize,
    /// Subscriptions whose changes are left out until they were told.
    overflowed: BTreeSet<Slot>,
}

/// The queue of one connection, between the router and its task.
pub struct ConnQueue {
    bounds: Bounds,
    waiting: Mutex<Waiting>,
    notify: Notify,
    /// When the peer was last heard, milliseconds since 1970.
    heard_ms: AtomicU64,
}

impl ConnQueue {
    pub(crate) fn new(bounds: Bounds, now: Timestamp) -> Self {
        Self {
            bounds,
            waiting: Mutex::default(),
            notify: Notify::new(),
            heard_ms: AtomicU64::new(now.unix_ms()),
        }
    }

    pub(crate) fn heard(&self, now: Timestamp) {
        self.heard_ms.store(now.unix_ms(), Ordering::Relaxed);
    }

    pub(crate) fn heard_ms(&self) -> u64 {
        self.heard_ms.load(Ordering::Relaxed)
    }

    /// Returns when something may have been put in. Cancel-safe.
    pub async fn notified(&self) {
        self.notify.notified().await;
    }

    /// Events that wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.lock().events.len()
    }

    /// Never blocks on the receiver (I7).
    pub(crate) fn push_change(&self, slot: Slot, change: &Arc<Routed>) {
        let mut waiting = self.waiting.lock();
        if waiting.overflowed.contains(&slot) {
            return;
        }
        let bytes = waiting.bytes + change.bytes();
        if waiting.events.len() >= self.bounds.changes || bytes > self.bounds.bytes {
            waiting.overflow(slot);
        } else {
            waiting.bytes = bytes;
            waiting.events.push_back(Event::Change {
                slot,
                change: Arc::clone(change),
            });
        }
        drop(waiting);
        self.notify.notify_one();
    }

    /// Leaves out the changes of a subscription until it has been told.
    pub(crate) fn overflow(&self, slot: Slot) {
        self.waiting.lock().overflow(slot);
        self.notify.notify_one();
    }

    /// Something rare that must not be lost.
    pub(crate) fn push(&self, event: Event) {
        self.waiting.lock().events.push_back(event);
        self.notify.notify_one();
    }

    /// Everything that waits, in order. Whoever finds [`Event::Overflow`] gets changes again from here on.
    pub(crate) fn take(&self) -> VecDeque<Event> {
        let mut waiting = self.waiting.lock();
        waiting.bytes = 0;
        waiting.overflowed.clear();
        let events = std::mem::take(&mut waiting.events);
        if events.capacity() <= KEPT_CAPACITY && events.is_empty() {
            waiting.events = events;
            return VecDeque::new();
        }
        events
    }
}

impl Waiting {
    fn overflow(&mut self, slot: Slot) {
        if !self.overflowed.insert(slot) {
            return;
        }
        self.events
            .retain(|event| !matches!(event, Event::Change { slot: other, .. } if *other == slot));
        self.bytes = self
            .events
            .iter()
            .map(|event| match event {
                Event::Change { change, .. } => change.bytes(),
                _ => 0,
            })
            .sum();
        self.events.push_back(Event::Overflow { slot });
    }
}

/// A connection as the hub knows it.
pub(crate) struct Connected {
    pub(crate) queue: Arc<ConnQueue>,
    /// None before authentication.
    pub(crate) user: Option<UserId>,
    pub(crate) peer: Peer,
    pub(crate) opened_at: Timestamp,
}

/// The other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    pub client_addr: Option<Box<str>>,
    /// What carries the connection: `websocket`.
    pub transport: &'static str,
}
