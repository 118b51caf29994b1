//! The fsync of `Durability::Relaxed`: a thread that syncs the log once per window in which something was written, and
//! sleeps while nothing is.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kalam_store::Store;
use parking_lot::{Condvar, Mutex};

use super::Health;
use crate::error::Error;

#[derive(Default)]
struct State {
    dirty: bool,
    closing: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

pub(super) struct SyncTimer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl SyncTimer {
    pub(super) fn start(store: Store, health: Health, window_ms: u32) -> Result<Self, Error> {
        let shared = Arc::new(Shared::default());
        let window = Duration::from_millis(u64::from(window_ms));
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("kalam-sync".to_owned())
            .spawn(move || run(&theirs, &store, &health, window))
            .map_err(Error::Thread)?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Something was written that no fsync has covered yet.
    pub(super) fn mark_dirty(&self) {
        let mut state = self.shared.state.lock();
        if !state.dirty {
            state.dirty = true;
            self.shared.changed.notify_one();
        }
    }

    /// Syncs what is left and joins the thread.
    pub(super) fn close(&mut self) {
        self.shared.state.lock().closing = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(shared: &Shared, store: &Store, health: &Health, window: Duration) {
    let mut state = shared.state.lock();
    loop {
        while !state.dirty && !state.closing {
            shared.changed.wait(&mut state);
        }
        let due = Instant::now() + window;
        while !state.closing && !shared.changed.wait_until(&mut state, due).timed_out() {}
        if state.dirty {
            state.dirty = false;
            parking_lot::MutexGuard::unlocked(&mut state, || {
                if let Err(error) = store.sync_wal() {
                    health.fail(&error);
                }
            });
        }
        if state.closing && !state.dirty {
            return;
        }
    }
}
