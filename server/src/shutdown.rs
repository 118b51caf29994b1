//! When the server stops, and in which order: no new requests, those under way to their end or the drain timeout, the
//! connections, then the engine.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

/// The two steps of a stop, as everything that runs sees them. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lifecycle {
    stopping: CancellationToken,
    aborted: CancellationToken,
}

impl Lifecycle {
    /// New requests are refused from now on.
    pub(crate) fn stop(&self) {
        self.stopping.cancel();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    pub(crate) fn stopping(&self) -> WaitForCancellationFuture<'_> {
        self.stopping.cancelled()
    }

    /// Whatever still runs is dropped.
    pub(crate) fn abort(&self) {
        self.aborted.cancel();
    }

    pub(crate) fn aborted(&self) -> WaitForCancellationFuture<'_> {
        self.aborted.cancelled()
    }
}

/// Waits for SIGTERM or SIGINT.
pub async fn signalled() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
