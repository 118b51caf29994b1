//! The proposer of a single node.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use kalam_model::{Applied, Command, GroupId};
use kalam_store::{Batch, Store, Sync};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::sync::SyncTimer;
use super::{Durability, Health, Proposer, Proposing};
use crate::apply::Applier;
use crate::error::Error;
use crate::live::Live;
use crate::relaxed;

/// Commands that may wait for the thread; further ones wait in their tasks.
const QUEUE_COMMANDS_MAX: usize = 1_024;

/// Commands that share a commit.
const COMMIT_COMMANDS_MAX: usize = 1_024;

/// Bytes after which a commit takes no further command.
const COMMIT_BYTES_MAX: usize = 32 << 20;

/// From this size on a command needs room in the allowance of large commands.
const LARGE_BYTES: usize = 64 << 10;

/// Large commands that may wait, in bytes altogether.
const LARGE_WAITING_BYTES_MAX: usize = 128 << 20;

pub(crate) struct LocalOptions {
    pub(crate) durability: Durability,
}

type Answer = oneshot::Sender<Result<Applied, Error>>;

struct Proposal {
    command: Command,
    bytes: usize,
    answer: Answer,
    /// Given back when the command is applied.
    _room: Option<OwnedSemaphorePermit>,
}

/// Orders the commands of all groups of this node in one thread.
pub struct LocalProposer {
    /// `None` wakes the writer so that it sees `closing`.
    queue: mpsc::Sender<Option<Proposal>>,
    closing: Arc<AtomicBool>,
    large: Arc<Semaphore>,
    health: Health,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl LocalProposer {
    pub(crate) fn start(
        store: Store,
        applier: Applier,
        live: Arc<Live>,
        options: LocalOptions,
    ) -> Result<Self, Error> {
        let (queue, proposals) = mpsc::channel(QUEUE_COMMANDS_MAX);
        let (health, closing) = (Health::default(), Arc::new(AtomicBool::new(false)));
        let timer = match options.durability {
            Durability::Sync => None,
            Durability::Relaxed { window_ms } => {
                Some(SyncTimer::start(store.clone(), health.clone(), window_ms)?)
            }
        };
        let writer = Writer {
            store,
            applier,
            live,
            health: health.clone(),
            closing: Arc::clone(&closing),
            timer,
            proposals,
        };
        let thread = std::thread::Builder::new()
            .name("kalam-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(Error::Thread)?;
        Ok(Self {
            queue,
            closing,
            large: Arc::new(Semaphore::new(LARGE_WAITING_BYTES_MAX)),
            health,
            thread: Mutex::new(Some(thread)),
        })
    }

    pub(crate) fn is_accepting(&self) -> bool {
        self.health.check().is_ok()
    }

    /// For threads without a runtime.
    pub(crate) fn propose_blocking(&self, command: Command) -> Result<Applied, Error> {
        let (answer, answered) = oneshot::channel();
        let proposal = Proposal {
            bytes: bytes_of(&command),
            command,
            answer,
            _room: None,
        };
        self.health.check()?;
        self.queue
            .blocking_send(Some(proposal))
            .map_err(|_| self.gone())?;
        answered.blocking_recv().map_err(|_| self.gone())?
    }

    /// Takes no further command, answers those that wait, syncs and joins the threads.
    pub(crate) fn close(&self) {
        self.health.close();
        self.closing.store(true, Ordering::Release);
        // If the queue is full, the writer is awake.
        let _ = self.queue.try_send(None);
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the writer thread panicked");
        }
    }

    /// Why there is nobody to answer.
    fn gone(&self) -> Error {
        self.health
            .check()
            .err()
            .unwrap_or(Error::StorageUnavailable {
                reason: "the writer ended".to_owned(),
            })
    }

    async fn send(&self, group: GroupId, command: Command) -> Result<Applied, Error> {
        if command.is_meta() != (group == GroupId::Meta) {
            return Err(Error::WrongGroup(group));
        }
        let bytes = bytes_of(&command);
        let room = if bytes >= LARGE_BYTES {
            let wanted = u32::try_from(bytes.min(LARGE_WAITING_BYTES_MAX))
                .expect("the allowance fits into 32 bits");
            Some(
                Arc::clone(&self.large)
                    .acquire_many_owned(wanted)
                    .await
                    .map_err(|_| Error::ShuttingDown)?,
            )
        } else {
            None
        };
        let (answer, answered) = oneshot::channel();
        let proposal = Proposal {
            command,
            bytes,
            answer,
            _room: room,
        };
        self.health.check()?;
        self.queue
            .send(Some(proposal))
            .await
            .map_err(|_| self.gone())?;
        answered.await.map_err(|_| self.gone())?
    }
}

impl Proposer for LocalProposer {
    fn propose(&self, group: GroupId, command: Command) -> Proposing<'_> {
        Box::pin(self.send(group, command))
    }
}

fn bytes_of(command: &Command) -> usize {
    match command {
        Command::Write(write) => write.encoded_bytes(),
        _ => 0,
    }
}

/// Turns a panic of the thread into a state that others see.
struct Ended(Health);

impl Drop for Ended {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail_because("the writer panicked");
        }
    }
}

/// The thread's own state.
struct Writer {
    store: Store,
    applier: Applier,
    live: Arc<Live>,
    health: Health,
    closing: Arc<AtomicBool>,
    timer: Option<SyncTimer>,
    proposals: mpsc::Receiver<Option<Proposal>>,
}

impl Writer {
    fn run(mut self) {
        let _ended = Ended(self.health.clone());
        let mut waiting = Vec::with_capacity(COMMIT_COMMANDS_MAX);
        let mut answers = Vec::with_capacity(COMMIT_COMMANDS_MAX);
        while self
            .proposals
            .blocking_recv_many(&mut waiting, COMMIT_COMMANDS_MAX)
            > 0
        {
            let mut waiting = waiting.drain(..).flatten().peekable();
            while waiting.peek().is_some() {
                self.commit_some(&mut waiting, &mut answers);
            }
            if self.closing.load(Ordering::Acquire) {
                // Who waits for room in the queue is refused; what is in it is still applied.
                self.proposals.close();
            }
        }
        if let Some(mut timer) = self.timer.take() {
            timer.close();
            self.end_relaxed();
        }
    }

    /// The run ended in order, unless a commit or a sync has failed.
    fn end_relaxed(&self) {
        if self.health.check_failure().is_ok()
            && let Err(error) = relaxed::end(&self.store)
        {
            self.health.fail(&error);
        }
    }

    /// One commit with as many commands as fit.
    fn commit_some(
        &mut self,
        waiting: &mut impl Iterator<Item = Proposal>,
        answers: &mut Vec<(Answer, Result<Applied, Error>)>,
    ) {
        let live = Arc::clone(&self.live);
        let _collecting = live.begin_commit(&mut self.applier);
        let mut batch = self.store.batch();
        let mut bytes = 0;
        while bytes < COMMIT_BYTES_MAX
            && let Some(proposal) = waiting.next()
        {
            bytes += proposal.bytes;
            let applied = self
                .health
                .check_failure()
                .and_then(|()| self.apply(&mut batch, proposal.command));
            answers.push((proposal.answer, applied));
        }
        if let Err(error) = self.commit(batch) {
            self.health.fail(&error);
        }
        // What was applied in memory only is not answered with success, and neither is a rejection that relied on it.
        let failed = self.health.check_failure().is_err();
        for (answer, applied) in answers.drain(..) {
            let applied = if failed {
                self.health.check_failure().and(applied)
            } else {
                applied
            };
            // Whoever has gone away gets no answer; the command stays.
            let _ = answer.send(applied);
        }
    }

    /// A table's new definition goes to the data group right behind the meta group's, in the same commit.
    fn apply(&mut self, batch: &mut Batch, command: Command) -> Result<Applied, Error> {
        let dropped = match &command {
            Command::Meta(kalam_model::MetaCommand::DropTable { number, .. }) => Some(*number),
            _ => None,
        };
        let applied = self.applier.apply(batch, command)?;
        let follow_up = match (&applied, dropped) {
            (Applied::Table(table), _) => Command::PutSchema {
                table: table.clone(),
            },
            (Applied::Done, Some(table)) => Command::DropTable { table },
            _ => return Ok(applied),
        };
        match self.applier.apply(batch, follow_up) {
            Ok(_) => Ok(applied),
            Err(error) => {
                // Half of a change must not be answered, nor built upon.
                if let Error::Store(error) = &error {
                    self.health.fail(error);
                }
                Err(error)
            }
        }
    }

    fn commit(&mut self, mut batch: Batch) -> Result<(), kalam_store::Error> {
        if self.health.check_failure().is_err() {
            return Ok(());
        }
        let effects = self.applier.finish(&mut batch);
        if !batch.is_empty() {
            let sync = if effects.needs_sync() && self.timer.is_none() {
                Sync::Yes
            } else {
                Sync::No
            };
            batch.commit(sync)?;
            if effects.needs_sync()
                && let Some(timer) = &self.timer
            {
                timer.mark_dirty();
            }
        }
        self.live.committed(effects);
        Ok(())
    }
}
