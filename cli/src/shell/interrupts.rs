//! Ctrl-C. It is heard from the beginning of a session, so that none is lost between two things that wait for it.

use std::future::Future;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::error::Error;

/// How often Ctrl-C was pressed, and how often that was noticed.
#[derive(Clone, Debug)]
pub struct Interrupts(watch::Receiver<u64>);

impl Interrupts {
    /// Listens from now on, within a runtime.
    ///
    /// # Errors
    ///
    /// [`Error::Terminal`] where the system does not let it.
    pub fn listen() -> Result<Self, Error> {
        let mut signal = signal(SignalKind::interrupt()).map_err(Error::Terminal)?;
        let (pressed, receiver) = watch::channel(0);
        // Ends with the program.
        tokio::spawn(async move {
            while signal.recv().await.is_some() {
                pressed.send_modify(|count| *count += 1);
            }
        });
        Ok(Self(receiver))
    }

    /// What was pressed so far is dealt with.
    pub fn forget(&mut self) {
        self.0.mark_unchanged();
    }

    /// Ends a future at Ctrl-C, also at one that was pressed before and that nobody has [forgotten](Self::forget).
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`], and the future's own.
    pub async fn end<T>(&self, future: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let mut pressed = self.0.clone();
        tokio::select! {
            biased;
            Ok(()) = pressed.changed() => Err(Error::Interrupted),
            outcome = future => outcome,
        }
    }
}
