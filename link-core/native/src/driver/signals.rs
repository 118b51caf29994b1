//! What handles say without waiting, also while they are dropped.

use std::sync::{Mutex, PoisonError};

use kalam_link_core::ids::SubscriptionId;
use kalam_link_core::session::{NetworkHint, QueryId};
use tokio::sync::Notify;

/// One thing to know. What changes nothing is not kept twice, so that there are not many more than handles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Nobody reads it any more.
    SubscriptionOver(SubscriptionId),
    /// Nobody waits for its answer any more.
    QueryOver(QueryId),
    /// Its reader has caught up as far as the driver asked.
    Drained(SubscriptionId),
    Network(NetworkHint),
    Break,
    Close,
}

#[derive(Debug, Default)]
pub(crate) struct Signals {
    waiting: Mutex<Vec<Signal>>,
    notify: Notify,
}

impl Signals {
    pub fn send(&self, signal: Signal) {
        {
            let mut waiting = self.lock();
            let repeated = match &signal {
                Signal::Network(_) | Signal::Break | Signal::Close => waiting.contains(&signal),
                Signal::SubscriptionOver(_) | Signal::QueryOver(_) | Signal::Drained(_) => false,
            };
            if !repeated {
                waiting.push(signal);
            }
        }
        self.notify.notify_one();
    }

    /// Returns when there may be some.
    pub async fn wait(&self) {
        self.notify.notified().await;
    }

    pub fn take(&self) -> Vec<Signal> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Signal>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
