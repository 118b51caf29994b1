//! Peers: what others would use instead, doing the same work on the same rows.
//!
//! A peer is up already, on this machine: `kalam bench` only connects to it. Each keeps its rows in a place of its own,
//! which is emptied at the beginning of a run.

mod postgres;
mod redis;
mod stack;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use self::postgres::{Postgres, PostgresWorker};
pub use self::redis::Redis;
use self::stack::StackWorker;
pub use self::stack::{SCRIPT, Stack, row as feed_row};
use crate::bench::Failure;
use crate::bench::load::Operator;
use crate::bench::process::cpu_of;

/// Where the peers listen if nothing else is said.
const STACK_PORT: u16 = 3_000;
const REDIS_PORT: u16 = 6_379;
const POSTGRES_CONFIG: &str = "host=127.0.0.1 user=postgres dbname=postgres";

/// Spreads numbers over a table: the golden ratio of 64 bits (Knuth, The Art of Computer Programming 3, 6.4).
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// Rows of one UPDATE of a range.
pub const RANGE: u64 = 100;

/// When an acknowledged write is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Soon.
    Relaxed,
    /// Before it is acknowledged.
    Sync,
}

/// What both sides know to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    Insert(Durability),
    Get,
    Update,
    /// A row that is inserted and deleted by turns.
    ComeAndGo,
    UpdateRange,
}

/// The row that the n-th operation reads or changes.
pub fn spread(n: u64, rows: u64) -> u64 {
    n.wrapping_mul(SPREAD) % rows
}

/// The first row of the range that the n-th operation changes.
pub fn spread_range(n: u64, rows: u64) -> u64 {
    spread(n, rows / RANGE) * RANGE
}

/// A peer and where it is, as `NAME[=WHERE]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// As a URL or as `key=value` pairs of libpq.
    Postgres(String),
    /// The port on this machine.
    Stack(u16),
    /// The port on this machine.
    Redis(u16),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, place) = match text.split_once('=') {
            Some((name, place)) => (name, Some(place)),
            None => (text, None),
        };
        let port = |usual| {
            place.map_or(Ok(usual), |place| {
                place
                    .parse()
                    .map_err(|_| format!("`{place}` is not a port of this machine"))
            })
        };
        match name {
            "postgres" => Ok(Self::Postgres(place.unwrap_or(POSTGRES_CONFIG).to_owned())),
            "stack" => Ok(Self::Stack(port(STACK_PORT)?)),
            "redis" => Ok(Self::Redis(port(REDIS_PORT)?)),
            _ => Err("the peers are `postgres`, `stack` and `redis`".to_owned()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // It may hold a password.
            Self::Postgres(_) => formatter.write_str("postgres"),
            Self::Stack(port) => write!(formatter, "stack on port {port}"),
            Self::Redis(port) => write!(formatter, "redis on port {port}"),
        }
    }
}

/// A peer that answers.
pub enum Peer {
    Postgres(Postgres),
    Stack(Stack),
    Redis(Redis),
}

impl Peer {
    /// Connects, empties its place and fills its large table with `rows` rows.
    pub async fn open(address: &Address, rows: u64) -> Result<Self, Failure> {
        let opened = match address {
            Address::Postgres(config) => Postgres::open(config, rows).await.map(Self::Postgres),
            Address::Stack(port) => Stack::open(*port, rows).await.map(Self::Stack),
            Address::Redis(port) => Redis::open(*port).await.map(Self::Redis),
        };
        opened.map_err(|failure| format!("{address}: {failure}").into())
    }

    pub const fn name(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "postgres",
            Self::Stack(_) => "stack",
            Self::Redis(_) => "redis",
        }
    }

    pub const fn does(&self, _work: Work) -> bool {
        // Redis has no rows with columns, and is asked for its messages only.
        !matches!(self, Self::Redis(_))
    }

    /// Whether it brings a row to so many subscribers.
    pub const fn reaches(&self, subscribers: usize) -> bool {
        match self {
            Self::Postgres(_) => false,
            Self::Stack(_) => true,
            Self::Redis(_) => subscribers == 1,
        }
    }

    pub async fn workers(
        &self,
        work: Work,
        clients: usize,
        rows: u64,
    ) -> Result<Vec<Worker>, Failure> {
        let mut workers = Vec::with_capacity(clients);
        for _ in 0..clients {
            workers.push(match self {
                Self::Postgres(postgres) => Worker::Postgres(postgres.worker(work, rows).await?),
                Self::Stack(stack) => Worker::Stack(stack.worker(work, rows).await?),
                Self::Redis(_) => return Err("redis has no rows".into()),
            });
        }
        Ok(workers)
    }

    /// Fills a table of its own with rows in bulk; false if the peer has no way for that.
    pub async fn copy(&self, rows: u64) -> Result<bool, Failure> {
        match self {
            Self::Postgres(postgres) => postgres.copy(rows).await.map(|()| true),
            Self::Stack(_) | Self::Redis(_) => Ok(false),
        }
    }

    /// Conversation, author and text of a row of the large table; none if the peer keeps no rows.
    pub async fn row(&self, id: u64) -> Result<Option<[String; 3]>, Failure> {
        match self {
            Self::Postgres(postgres) => postgres.row(id).await.map(Some),
            Self::Stack(stack) => stack.row(id).await.map(Some),
            Self::Redis(_) => Ok(None),
        }
    }

    /// Processor time of all of its processes.
    pub fn cpu(&self) -> Result<Duration, Failure> {
        match self {
            Self::Postgres(postgres) => cpu_of_family(postgres.postmaster),
            Self::Stack(stack) => Ok(cpu_of(stack.node)? + cpu_of_family(stack.postmaster)?),
            Self::Redis(redis) => cpu_of(redis.process),
        }
    }
}

/// One connection to a peer.
pub enum Worker {
    Postgres(PostgresWorker),
    Stack(StackWorker),
}

impl Operator for Worker {
    async fn operate(&mut self, n: u64) -> Result<(), Failure> {
        match self {
            Self::Postgres(worker) => worker.operate(n).await,
            Self::Stack(worker) => worker.operate(n).await,
        }
    }
}

/// The process whose child `pid` is.
fn parent_of(pid: u32) -> Result<u32, Failure> {
    Ok(stat_of(pid)?
        .get(STAT_PARENT)
        .ok_or("malformed stat")?
        .parse()?)
}

// Fields of proc(5) as they are counted after the process's name.
const STAT_PARENT: usize = 1;
const STAT_TICKS: [usize; 2] = [11, 12];
const STAT_TICKS_OF_CHILDREN: [usize; 2] = [13, 14];

fn stat_of(pid: u32) -> Result<Vec<String>, Failure> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .map_err(|error| format!("the peer's process {pid} is not on this machine: {error}"))?;
    let (_, fields) = stat.rsplit_once(')').ok_or("malformed stat")?;
    Ok(fields.split_whitespace().map(str::to_owned).collect())
}

/// CPU time of a process and its children: those that run, and those that have ended. One that ends while this is read
/// may be missing, so a later reading can be a little smaller.
fn cpu_of_family(parent: u32) -> Result<Duration, Failure> {
    let ticks = |stat: &[String], fields: &[usize]| -> Result<u64, Failure> {
        let mut sum = 0;
        for field in fields {
            sum += stat.get(*field).ok_or("malformed stat")?.parse::<u64>()?;
        }
        Ok(sum)
    };
    let stat = stat_of(parent)?;
    let mut sum = ticks(&stat, &STAT_TICKS)? + ticks(&stat, &STAT_TICKS_OF_CHILDREN)?;
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // A process that ends meanwhile is none.
        let Ok(stat) = stat_of(pid) else { continue };
        if stat.get(STAT_PARENT).map(String::as_str) == Some(parent.to_string().as_str()) {
            sum += ticks(&stat, &STAT_TICKS)?;
        }
    }
    // The kernel counts in ticks of 10 ms.
    Ok(Duration::from_millis(sum * 10))
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn a_peer_is_named_and_perhaps_placed() {
        assert_eq!("stack".parse(), Ok(Address::Stack(3_000)));
        assert_eq!("redis=7000".parse(), Ok(Address::Redis(7_000)));
        assert_eq!(
            "postgres=postgres://me@127.0.0.1/a?b=c".parse(),
            Ok(Address::Postgres(
                "postgres://me@127.0.0.1/a?b=c".to_owned()
            ))
        );
        for wrong in ["mysql", "redis=here", ""] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
    }
}
