//! Thousands of subscribers in one thread: they connect, authenticate, subscribe and then count what they get.
//!
//! The driver's half: commands to the thread and what it found.

mod connection;
mod thread;

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::json;
use tokio::sync::{Notify, oneshot};

use crate::bench::Failure;

/// No step takes this long on any machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The message of a subscription, by socket and by number on it.
pub type MakeMessage = Arc<dyn Fn(usize, usize) -> String + Send + Sync>;

/// What sockets say.
#[derive(Clone)]
pub struct Script {
    pub port: u16,
    /// `Authorization` of the upgrade; socket n has that of n modulo their number.
    pub authorizations: Arc<[String]>,
    /// Subscriptions to begin on each socket.
    pub subscriptions: usize,
    pub message: MakeMessage,
}

/// Where the rows of a subscription begin.
#[derive(Clone, Copy, Debug)]
pub enum Start {
    All,
    Nothing,
    After(u64),
}

/// A `subscribe` message. An id of `k` and a number gets only rows whose marker has that number as target.
pub fn subscribe(id: &str, sql: &str, start: Start) -> String {
    let options = match start {
        Start::All => json!({}),
        Start::Nothing => json!({"last_rows": 0}),
        Start::After(seq) => json!({"from": seq}),
    };
    json!({"type": "subscribe", "subscription": {"id": id, "sql": sql, "options": options}})
        .to_string()
}

/// Sockets that became live, or whose further subscriptions did.
pub struct Opened {
    pub elapsed: Duration,
    /// From the first step of a socket to its last row, in µs.
    pub each: Histogram<u64>,
    /// Initial rows of all of them.
    pub rows: u64,
    /// The lowest seq that a subscription is up to.
    pub last_seq: u64,
    /// What the server sent to the first socket before its subscription, and to the subscription.
    pub answers: [Vec<u8>; 2],
}

/// What came since it was last asked for.
pub struct Received {
    /// Changes of each socket.
    pub changes: Vec<u32>,
    /// From the marker's time to the arrival, in µs.
    pub latency: Histogram<u64>,
    pub pings: u64,
    /// The first change, as a frame.
    pub sample: Vec<u8>,
}

impl Received {
    pub fn total(&self) -> u64 {
        self.changes.iter().map(|changes| u64::from(*changes)).sum()
    }

    /// Every socket must have got as many changes as `expected` says.
    pub fn check(&self, expected: impl Fn(usize) -> u64) -> Result<(), Failure> {
        for (socket, changes) in self.changes.iter().enumerate() {
            let expected = expected(socket);
            if u64::from(*changes) != expected {
                let text = format!("socket {socket} got {changes} changes instead of {expected}");
                return Err(text.into());
            }
        }
        Ok(())
    }
}

enum Command {
    /// Sockets besides those that there are.
    Open {
        script: Script,
        sockets: usize,
        pending_max: usize,
        reply: Reply<Opened>,
    },
    /// Further subscriptions on each socket.
    Subscribe {
        script: Script,
        pending_max: usize,
        reply: Reply<Opened>,
    },
    Take(Reply<Received>),
    Close(Reply<()>),
}

type Reply<T> = oneshot::Sender<Result<T, Failure>>;

/// How far the subscribers are, for the driver to wait on.
struct Progress {
    arrived: AtomicU64,
    awaited: AtomicU64,
    last_ns: AtomicU64,
    failure: Mutex<Option<String>>,
    notify: Notify,
}

impl Progress {
    fn change(&self, now_ns: u64) {
        self.last_ns.store(now_ns, Ordering::Relaxed);
        let arrived = self.arrived.load(Ordering::Relaxed) + 1;
        // Both sides write first and look at what the other wrote then, so that one of them sees that it is enough.
        self.arrived.store(arrived, Ordering::SeqCst);
        if arrived == self.awaited.load(Ordering::SeqCst) {
            self.notify.notify_one();
        }
    }

    fn fail(&self, failure: &str) {
        let mut known = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        known.get_or_insert_with(|| failure.to_owned());
        self.notify.notify_one();
    }

    fn check(&self) -> Result<(), Failure> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.clone().map_or(Ok(()), |text| Err(text.into()))
    }
}

/// The subscribers.
pub struct Swarm {
    /// None when it stops.
    commands: Option<mpsc::Sender<Command>>,
    wake: UnixStream,
    progress: Arc<Progress>,
    thread: Option<JoinHandle<()>>,
}

impl Swarm {
    pub fn start() -> Result<Self, Failure> {
        let (wake, woken) = UnixStream::pair()?;
        let (commands, receiver) = mpsc::channel();
        let progress = Arc::new(Progress {
            arrived: AtomicU64::new(0),
            awaited: AtomicU64::new(u64::MAX),
            last_ns: AtomicU64::new(0),
            failure: Mutex::new(None),
            notify: Notify::new(),
        });
        let mut thread = thread::Thread::new(woken, receiver, Arc::clone(&progress))?;
        let failed = Arc::clone(&progress);
        let thread = std::thread::Builder::new()
            .name("swarm".to_owned())
            .spawn(move || {
                if let Err(failure) = thread.run() {
                    failed.fail(&failure.to_string());
                }
            })?;
        Ok(Self {
            commands: Some(commands),
            wake,
            progress,
            thread: Some(thread),
        })
    }

    /// Opens sockets, at most `pending_max` at the same time, and waits until all are live.
    pub async fn open(
        &self,
        script: &Script,
        sockets: usize,
        pending_max: usize,
    ) -> Result<Opened, Failure> {
        let script = script.clone();
        self.command(|reply| Command::Open {
            script,
            sockets,
            pending_max,
            reply,
        })
        .await
    }

    /// Begins the script's subscriptions on every socket, on at most `pending_max` at the same time.
    pub async fn subscribe(&self, script: &Script, pending_max: usize) -> Result<Opened, Failure> {
        let script = script.clone();
        self.command(|reply| Command::Subscribe {
            script,
            pending_max,
            reply,
        })
        .await
    }

    /// What came since the last call.
    pub async fn take(&self) -> Result<Received, Failure> {
        self.command(Command::Take).await
    }

    /// Ends every socket.
    pub async fn close(&self) -> Result<(), Failure> {
        self.command(Command::Close).await
    }

    /// Says how many more changes [`reached`](Self::reached) waits for.
    pub fn expect(&self, changes: u64) {
        self.expect_until(self.arrived() + changes);
    }

    /// Says how many changes since the start [`reached`](Self::reached) waits for.
    pub fn expect_until(&self, changes: u64) {
        self.progress.awaited.store(changes, Ordering::SeqCst);
    }

    /// Changes since the start.
    pub fn arrived(&self) -> u64 {
        self.progress.arrived.load(Ordering::SeqCst)
    }

    /// Waits until the expected changes have arrived, and says when the last of them did.
    pub async fn reached(&self) -> Result<u64, Failure> {
        loop {
            self.progress.check()?;
            let (arrived, awaited) = (
                self.progress.arrived.load(Ordering::SeqCst),
                self.progress.awaited.load(Ordering::SeqCst),
            );
            if arrived >= awaited {
                return Ok(self.progress.last_ns.load(Ordering::SeqCst));
            }
            tokio::time::timeout(PATIENCE, self.progress.notify.notified())
                .await
                .map_err(|_| format!("{arrived} changes instead of {awaited} arrived"))?;
        }
    }

    async fn command<T>(&self, make: impl FnOnce(Reply<T>) -> Command) -> Result<T, Failure> {
        self.progress.check()?;
        let (reply, answer) = oneshot::channel();
        let commands = self.commands.as_ref().ok_or("the subscribers stopped")?;
        commands.send(make(reply))?;
        (&self.wake).write_all(&[1])?;
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => self
                .progress
                .check()
                .and(Err("the subscribers stopped".into())),
            Err(_) => Err("the subscribers are not where they should be in time".into()),
        }
    }
}

impl Drop for Swarm {
    fn drop(&mut self) {
        drop(self.commands.take());
        let _ = (&self.wake).write_all(&[1]);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
