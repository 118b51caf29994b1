//! Orders commands. On a single node one thread does: it takes every command that waits, applies each in its own
//! savepoint of one batch, commits the batch with one fsync, and answers them all.

mod local;
mod sync;

use std::pin::Pin;
use std::sync::Arc;

use kalam_model::{Applied, Command, GroupId};
use parking_lot::RwLock;

use crate::error::Error;

pub(crate) use local::LocalOptions;
pub use local::LocalProposer;

/// The answer to a command, when it comes.
pub type Proposing<'a> = Pin<Box<dyn Future<Output = Result<Applied, Error>> + Send + 'a>>;

/// Has a group order a command and answers when it is applied and durable. Dropping the future does not take the command
/// back.
pub trait Proposer: Send + Sync {
    fn propose(&self, group: GroupId, command: Command) -> Proposing<'_>;
}

/// When a write is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// After its fsync.
    Sync,
    /// After the operating system has it; fsync follows within the window. A power cut may lose that much, the death of
    /// the process nothing.
    Relaxed { window_ms: u32 },
}

/// Whether writes are accepted, shared by all threads that write.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health {
    state: Arc<RwLock<State>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Accepting,
    Closing,
    DiskFull,
    /// A commit or sync has failed: what the disk holds is not known, so nothing more may be promised (I12).
    Failed {
        reason: String,
    },
}

impl Health {
    pub(crate) fn check(&self) -> Result<(), Error> {
        match &*self.state.read() {
            State::Accepting => Ok(()),
            State::Closing => Err(Error::ShuttingDown),
            State::DiskFull => Err(Error::DiskFull),
            State::Failed { reason } => Err(Error::StorageUnavailable {
                reason: reason.clone(),
            }),
        }
    }

    /// Like [`check`](Self::check), for the writer itself, which still serves what waits while the engine closes.
    pub(crate) fn check_failure(&self) -> Result<(), Error> {
        match self.check() {
            Err(Error::ShuttingDown) => Ok(()),
            other => other,
        }
    }

    /// The first failure stays.
    pub(crate) fn fail(&self, error: &kalam_store::Error) {
        let mut state = self.state.write();
        if matches!(*state, State::Accepting | State::Closing) {
            let cause = std::error::Error::source(error).map(ToString::to_string);
            tracing::error!(%error, cause, "the storage failed: no more writes are accepted");
            *state = match error {
                kalam_store::Error::DiskFull(_) => State::DiskFull,
                other => State::Failed {
                    reason: other.to_string(),
                },
            };
        }
    }

    fn fail_because(&self, reason: &str) {
        *self.state.write() = State::Failed {
            reason: reason.to_owned(),
        };
    }

    fn close(&self) {
        let mut state = self.state.write();
        if *state == State::Accepting {
            *state = State::Closing;
        }
    }
}
