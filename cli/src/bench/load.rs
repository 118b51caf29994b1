//! Loops of operations: closed, where each client goes on when it has its answer, and open, at a rate.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hdrhistogram::Histogram;

use crate::bench::Failure;
use crate::bench::client::Client;
use crate::bench::plan::Plan;
use crate::bench::report::{Measurement, micros};

/// How late an operation of an open loop may begin before the run says that the server does not keep up.
const LATE_MAX: Duration = Duration::from_secs(10);

/// Makes the body of the n-th operation.
pub type MakeBody = Arc<dyn Fn(u64) -> Bytes + Send + Sync>;

/// Processor time that was used so far.
pub type Cpu<'a> = &'a (dyn Fn() -> Result<Duration, Failure> + Sync);

/// One client, which does an operation at a time.
pub trait Operator: Send + 'static {
    /// Does the n-th operation of all clients and waits for its answer.
    fn operate(&mut self, n: u64) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// Sends statements to the server under test.
pub struct Statements {
    client: Client,
    make: MakeBody,
}

impl Statements {
    /// As many connections as are wanted, with the rights of one that there is.
    pub async fn connect(
        port: u16,
        like: &Client,
        clients: usize,
        make: &MakeBody,
    ) -> Result<Vec<Self>, Failure> {
        let mut all = Vec::with_capacity(clients);
        for _ in 0..clients {
            all.push(Self {
                client: like.another(port).await?,
                make: Arc::clone(make),
            });
        }
        Ok(all)
    }
}

impl Operator for Statements {
    async fn operate(&mut self, n: u64) -> Result<(), Failure> {
        self.client.sql_body((self.make)(n)).await?;
        Ok(())
    }
}

/// What loops gave.
pub struct Measured {
    pub histogram: Histogram<u64>,
    elapsed: Duration,
    cpu: Duration,
    /// Operations a second of each loop.
    rates: Vec<f64>,
}

impl Measured {
    pub fn new() -> Result<Self, Failure> {
        Ok(Self {
            histogram: Histogram::new(3)?,
            elapsed: Duration::ZERO,
            cpu: Duration::ZERO,
            rates: Vec::new(),
        })
    }

    pub fn add(&mut self, other: &Self) -> Result<(), Failure> {
        self.histogram.add(&other.histogram)?;
        self.elapsed += other.elapsed;
        self.cpu += other.cpu;
        self.rates.extend(&other.rates);
        Ok(())
    }

    /// Of the loop in the middle.
    pub fn per_second(&self) -> f64 {
        let mut rates = self.rates.clone();
        rates.sort_unstable_by(f64::total_cmp);
        rates.get(rates.len() / 2).copied().unwrap_or_default()
    }

    /// Processor time of an operation, in µs.
    pub fn cpu_each(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.histogram.len().max(1) as f64
    }

    pub fn measurement(&self, scenario: &str, name: &str) -> Measurement {
        let mut measurement = Measurement::new(scenario, name)
            .rate(self.histogram.len(), self.elapsed)
            .cpu(self.cpu)
            .latency(&self.histogram);
        measurement.per_second = Some(self.per_second());
        let fastest = self.rates.iter().copied().fold(0.0, f64::max);
        let slowest = self.rates.iter().copied().fold(f64::MAX, f64::min);
        if self.rates.len() > 1 {
            measurement = measurement.figure("spread [%]", (fastest / slowest - 1.0) * 100.0);
        }
        measurement
    }
}

/// When the next operation of a client begins.
#[derive(Clone, Copy)]
enum Pace {
    /// When it has its answer.
    Closed,
    /// The n-th at n times this, whether those before have ended or not: latency counts from then.
    Open(Duration),
}

/// Each operator does the next operation as soon as it has its answer, or at the plan's rate all together. Operations
/// are numbered from `first` on.
pub async fn drive<O: Operator>(
    plan: &Plan,
    operators: Vec<O>,
    first: u64,
    cpu: Cpu<'_>,
) -> Result<Measured, Failure> {
    let pace = match plan.rate {
        None => Pace::Closed,
        Some(rate) => Pace::Open(Duration::from_secs_f64(1.0 / rate)),
    };
    let counter = Arc::new(AtomicU64::new(0));
    let (begun, cpu_before) = (Instant::now(), cpu()?);
    let tasks: Vec<_> = operators
        .into_iter()
        .map(|operator| {
            let turns = Turns {
                pace,
                begun,
                duration: plan.duration,
                first,
                counter: Arc::clone(&counter),
            };
            tokio::spawn(turns.run(operator))
        })
        .collect();
    let mut histogram = Histogram::<u64>::new(3)?;
    for task in tasks {
        histogram.add(task.await??)?;
    }
    let elapsed = begun.elapsed();
    Ok(Measured {
        rates: vec![histogram.len() as f64 / elapsed.as_secs_f64()],
        histogram,
        elapsed,
        cpu: cpu()?.saturating_sub(cpu_before),
    })
}

/// The turns of one client.
struct Turns {
    pace: Pace,
    begun: Instant,
    duration: Duration,
    first: u64,
    /// Operations of all clients.
    counter: Arc<AtomicU64>,
}

impl Turns {
    async fn run<O: Operator>(self, mut operator: O) -> Result<Histogram<u64>, Failure> {
        let mut histogram = Histogram::<u64>::new(3)?;
        while self.begun.elapsed() < self.duration {
            let number = self.counter.fetch_add(1, Ordering::Relaxed);
            let due = match self.pace {
                Pace::Closed => Instant::now(),
                Pace::Open(each) => {
                    let due = self.begun + each.mul_f64(number as f64);
                    if due - self.begun >= self.duration {
                        break;
                    }
                    tokio::time::sleep_until(due.into()).await;
                    due
                }
            };
            if due.elapsed() > LATE_MAX {
                return Err("the server does not keep up with this rate".into());
            }
            operator.operate(self.first + number).await?;
            histogram.record(micros(due.elapsed()))?;
        }
        Ok(histogram)
    }
}
