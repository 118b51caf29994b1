//! Closed loops of inserts whose rows go to one subscription each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::{Ids, Stage, Table, row_body};
use crate::bench::Failure;
use crate::bench::client::Client;
use crate::bench::floor::sockets::{Control, FloorSockets, Order};
use crate::bench::marker::{Marker, now_ns, stamp};
use crate::bench::report::Measurement;
use crate::bench::swarm::{Received, Swarm};

/// Who writes the n-th row of a run and whom it is for.
#[derive(Clone)]
pub struct Rows {
    pub table: Table,
    /// Row n is for target n modulo this.
    pub targets: u64,
    /// Socket s has this many of them, from s times this on.
    pub targets_per_socket: u64,
    /// What a target writes with; root writes if there is nothing.
    pub authorizations: Arc<[String]>,
}

impl Rows {
    /// How many of the first `rows` rows a socket gets.
    fn of_socket(&self, socket: usize, rows: u64) -> u64 {
        let first = socket as u64 * self.targets_per_socket;
        (first..first + self.targets_per_socket)
            .map(|target| rows / self.targets + u64::from(target < rows % self.targets))
            .sum()
    }
}

/// What a run gave.
pub struct Run {
    pub rows: u64,
    /// From the first row to the arrival of the last.
    pub elapsed: Duration,
    pub cpu: Duration,
    /// From a row's sending to its arrival, in µs.
    pub latency: Histogram<u64>,
}

impl Run {
    pub fn new() -> Result<Self, Failure> {
        Ok(Self {
            rows: 0,
            elapsed: Duration::ZERO,
            cpu: Duration::ZERO,
            latency: Histogram::new(3)?,
        })
    }

    pub fn add(&mut self, other: &Self) -> Result<(), Failure> {
        self.rows += other.rows;
        self.elapsed += other.elapsed;
        self.cpu += other.cpu;
        self.latency.add(&other.latency)?;
        Ok(())
    }

    pub fn per_second(&self) -> f64 {
        self.rows as f64 / self.elapsed.as_secs_f64()
    }

    pub fn cpu_each(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.rows.max(1) as f64
    }

    pub fn measurement(&self, scenario: &str, name: &str) -> Measurement {
        Measurement::new(scenario, name)
            .rate(self.rows, self.elapsed)
            .cpu(self.cpu)
            .latency(&self.latency)
    }
}

/// Sends the next row in its turn.
enum Writer {
    Http(Box<Client>, Ids),
    Floor(Control, Vec<u8>),
}

impl Writer {
    async fn write(&mut self, rows: &Rows, number: u64) -> Result<(), Failure> {
        let target = number % rows.targets;
        match self {
            Self::Http(client, ids) => {
                if let Some(authorization) = rows.authorizations.get(target as usize) {
                    client.authorize(authorization);
                }
                let marker = Marker {
                    sent_ns: now_ns(),
                    target,
                };
                client
                    .sql_body(row_body(rows.table, ids.next(), marker))
                    .await?;
            }
            Self::Floor(control, frame) => {
                let index = u32::try_from(target)?;
                stamp(frame, now_ns());
                control.give(Order::WriteOne { index }, frame).await?;
            }
        }
        Ok(())
    }
}

/// Writers on the server under test.
pub async fn ours(
    stage: &Stage,
    swarm: &Swarm,
    rows: &Rows,
    writers: usize,
    duration: Duration,
) -> Result<(Run, Vec<u8>), Failure> {
    let mut list = Vec::new();
    for _ in 0..writers {
        list.push(Writer::Http(
            Box::new(stage.client().await?),
            stage.ids.clone(),
        ));
    }
    let (run, received) = run(list, swarm, rows, duration, &|| stage.server.cpu()).await?;
    received.check(|socket| rows.of_socket(socket, run.rows))?;
    Ok((run, received.sample))
}

/// The same number of writers on a process that only writes `frame`.
pub async fn floor(
    process: &FloorSockets,
    frame: &[u8],
    swarm: &Swarm,
    rows: &Rows,
    writers: usize,
    duration: Duration,
) -> Result<Run, Failure> {
    let mut list = Vec::new();
    for _ in 0..writers {
        list.push(Writer::Floor(process.control().await?, frame.to_vec()));
    }
    let (run, _) = run(list, swarm, rows, duration, &|| process.cpu()).await?;
    Ok(run)
}

async fn run(
    writers: Vec<Writer>,
    swarm: &Swarm,
    rows: &Rows,
    duration: Duration,
    cpu: &(dyn Fn() -> Result<Duration, Failure> + Sync),
) -> Result<(Run, Received), Failure> {
    swarm.take().await?;
    let arrived_before = swarm.arrived();
    let counter = Arc::new(AtomicU64::new(0));
    let (begun, begun_ns, cpu_before) = (Instant::now(), now_ns(), cpu()?);
    let tasks: Vec<_> = writers
        .into_iter()
        .map(|mut writer| {
            let (counter, rows) = (Arc::clone(&counter), rows.clone());
            tokio::spawn(async move {
                while begun.elapsed() < duration {
                    let number = counter.fetch_add(1, Ordering::Relaxed);
                    writer.write(&rows, number).await?;
                }
                Ok::<_, Failure>(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    let written = counter.load(Ordering::Relaxed);
    swarm.expect_until(arrived_before + written);
    let last_ns = swarm.reached().await?;
    let cpu = cpu()?.saturating_sub(cpu_before);
    let received = swarm.take().await?;
    let total = received.total();
    if total != written {
        return Err(format!("{total} changes instead of {written} arrived").into());
    }
    let run = Run {
        rows: written,
        elapsed: Duration::from_nanos(last_ns - begun_ns),
        cpu,
        latency: received.latency.clone(),
    };
    Ok((run, received))
}
