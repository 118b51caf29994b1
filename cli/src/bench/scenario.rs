//! The scenarios over HTTP, named as in the performance documentation.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hdrhistogram::Histogram;
use serde_json::json;

use crate::bench::Failure;
use crate::bench::client::{Client, body};
use crate::bench::floor;
use crate::bench::marker::TEXT;
use crate::bench::plan::Plan;
use crate::bench::process::{ServerProcess, cpu_of, free_port};
use crate::bench::report::{Measurement, micros};
use crate::output::counted;

/// Starts whose median counts.
const STARTS: usize = 5;

/// Makes the body of the n-th operation.
pub type MakeBody = Arc<dyn Fn(u64) -> Bytes + Send + Sync>;

/// Statements on the way of an open loop before it says that the server does not keep up.
const LATE_MAX: Duration = Duration::from_secs(10);

/// Inserts one row.
pub fn insert_of(table: &str) -> String {
    format!("INSERT INTO {table} (id, conversation_id, author, body) VALUES ($1, $2, $3, $4)")
}

fn insert(n: u64) -> Bytes {
    body(&insert_of("bench.messages"), message(n))
}

/// Runs the wanted scenarios.
pub async fn run(plan: &Plan) -> Result<(), Failure> {
    if plan.wants_any(&["floor", "W1", "W3", "W4", "R1", "R4", "G1"]) {
        bare_endpoint(plan).await?;
    }
    if plan.wants_any(&["I1", "I2"]) {
        start_and_idle(plan).await?;
    }
    relaxed(plan).await?;
    synced(plan).await
}

async fn bare_endpoint(plan: &Plan) -> Result<(), Failure> {
    let port = free_port()?;
    let mut child = Command::new(std::env::current_exe()?)
        .args(["bench", floor::MODE, &port.to_string()])
        .stdout(Stdio::null())
        .spawn()?;
    let pid = child.id();
    let mut tries = 0;
    let first = loop {
        match Client::connect(port).await {
            Ok(client) => break client,
            Err(failure) if tries > 2_000 => return Err(failure),
            Err(_) => tries += 1,
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    for clients in [1, 32] {
        let make: MakeBody = Arc::new(insert);
        let measured = closed_loop(plan, port, &first, clients, make, &|| cpu_of(pid)).await?;
        let name = format!("bare endpoint, {}", counted(clients as u64, "client"));
        plan.record(measured.measurement("floor", &name));
    }
    child.kill()?;
    child.wait()?;
    Ok(())
}

/// I1 and I2: an empty server.
async fn start_and_idle(plan: &Plan) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    drop(ServerProcess::start(&plan.server, folder.path(), "sync").await?);
    let mut times = Histogram::new(3)?;
    let mut server = ServerProcess::start(&plan.server, folder.path(), "sync").await?;
    for _ in 0..STARTS {
        drop(server);
        server = ServerProcess::start(&plan.server, folder.path(), "sync").await?;
        times.record(micros(server.start_time))?;
    }
    if plan.wants("I1") {
        let median = times.value_at_quantile(0.5) as f64 / 1e3;
        let started = Measurement::new("I1", "an empty server").latency(&times);
        plan.record(started.figure("start [ms]", median));
    }
    if plan.wants("I2") {
        let before = server.cpu()?;
        tokio::time::sleep(plan.duration).await;
        let busy = (server.cpu()? - before).as_secs_f64() / plan.duration.as_secs_f64();
        let idle = Measurement::new("I2", "an empty server")
            .figure("RSS [MiB]", server.memory_mib()?)
            .figure("CPU [%]", busy * 100.0);
        plan.record(idle);
    }
    Ok(())
}

async fn relaxed(plan: &Plan) -> Result<(), Failure> {
    if !plan.wants_any(&["W1", "R1", "R4", "G1"]) {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let server = ServerProcess::start(&plan.server, folder.path(), "relaxed").await?;
    let mut root = Client::sign_in(server.port).await?;
    create_tables(&mut root).await?;
    let cpu = || server.cpu();
    if plan.wants("W1") {
        let measured = closed_loop(plan, server.port, &root, 32, Arc::new(insert), &cpu).await?;
        let measurement = measured.measurement("W1", "INSERT, 32 clients");
        plan.record(measurement.figure("RSS [MiB]", server.memory_mib()?));
    }
    if plan.wants("R1") {
        let rows = plan.rows;
        load_rows(&mut root, "bench.big", rows).await?;
        for clients in [1, 32] {
            let make: MakeBody = Arc::new(move |n| {
                let id = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % rows;
                body(
                    "SELECT * FROM bench.big WHERE id = $1",
                    json!([id.to_string()]),
                )
            });
            let measured = closed_loop(plan, server.port, &root, clients, make, &cpu).await?;
            let name = format!("by key, {}", counted(clients as u64, "client"));
            let measurement = measured.measurement("R1", &name);
            plan.record(measurement.figure("RSS [MiB]", server.memory_mib()?));
        }
    }
    if plan.wants_any(&["R4", "G1"]) {
        scans(plan, &server, &mut root).await?;
    }
    Ok(())
}

/// R4: 200 and 10,000 rows as JSON; G1: GROUP BY over 10,000 hot rows.
async fn scans(plan: &Plan, server: &ServerProcess, root: &mut Client) -> Result<(), Failure> {
    load_rows(root, "bench.ten", 10_000).await?;
    let cpu = || server.cpu();
    for (scenario, name, rows, sql) in [
        ("R4", "200 rows", 200, "SELECT * FROM bench.ten LIMIT 200"),
        ("R4", "10,000 rows", 10_000, "SELECT * FROM bench.ten"),
        (
            "G1",
            "GROUP BY",
            10_000,
            "SELECT author, count(*), avg(length(body)) FROM bench.ten GROUP BY author",
        ),
    ] {
        if !plan.wants(scenario) {
            continue;
        }
        let make: MakeBody = Arc::new(move |_| body(sql, json!([])));
        let measured = closed_loop(plan, server.port, root, 1, make, &cpu).await?;
        let measurement = measured
            .measurement(scenario, name)
            .figure("rows/s", measured.per_second() * f64::from(rows))
            .figure("RSS [MiB]", server.memory_mib()?);
        plan.record(measurement);
    }
    Ok(())
}

/// W3 and W4: durable inserts.
async fn synced(plan: &Plan) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    if !plan.wants_any(&["W3", "W4"]) {
        return Ok(());
    }
    let server = ServerProcess::start(&plan.server, folder.path(), "sync").await?;
    let mut root = Client::sign_in(server.port).await?;
    create_tables(&mut root).await?;
    let cpu = || server.cpu();
    for (scenario, clients) in [("W3", 1), ("W4", 64), ("W4", 128)] {
        if plan.wants(scenario) {
            let base = clients as u64 * 100_000_000;
            let make: MakeBody = Arc::new(move |n| insert(base + n));
            let measured = closed_loop(plan, server.port, &root, clients, make, &cpu).await?;
            let name = format!("INSERT, sync, {}", counted(clients as u64, "client"));
            plan.record(measured.measurement(scenario, &name));
        }
    }
    Ok(())
}

pub async fn create_tables(root: &mut Client) -> Result<(), Failure> {
    root.sql("CREATE NAMESPACE bench", json!(null)).await?;
    for table in ["messages", "big", "ten"] {
        let sql = format!(
            "CREATE TABLE bench.{table} (id BIGINT PRIMARY KEY, conversation_id BIGINT, author TEXT, body TEXT,
             created_at TIMESTAMP DEFAULT NOW()) WITH (TYPE='USER')"
        );
        root.sql(&sql, json!(null)).await?;
    }
    Ok(())
}

pub fn message(n: u64) -> serde_json::Value {
    json!([
        n.to_string(),
        (n % 100).to_string(),
        format!("author-{}", n % 50),
        TEXT
    ])
}

pub async fn load_rows(root: &mut Client, table: &str, rows: u64) -> Result<(), Failure> {
    const BATCH: u64 = 1_000;
    let places: Vec<String> = (0..BATCH)
        .map(|r| {
            format!(
                "(${}, ${}, ${}, ${})",
                r * 4 + 1,
                r * 4 + 2,
                r * 4 + 3,
                r * 4 + 4
            )
        })
        .collect();
    let single = insert_of(table);
    let head = single
        .split_once(" VALUES")
        .map_or(single.as_str(), |(head, _)| head);
    let sql = format!("{head} VALUES {}", places.join(", "));
    for start in (0..rows).step_by(usize::try_from(BATCH)?) {
        let params: Vec<serde_json::Value> = (start..start + BATCH)
            .flat_map(|n| match message(n) {
                serde_json::Value::Array(cells) => cells,
                other => vec![other],
            })
            .collect();
        root.sql(&sql, params.into()).await?;
    }
    Ok(())
}

/// What a loop gave.
pub struct Measured {
    histogram: Histogram<u64>,
    elapsed: Duration,
    cpu: Duration,
}

impl Measured {
    pub fn per_second(&self) -> f64 {
        self.histogram.len() as f64 / self.elapsed.as_secs_f64()
    }

    pub fn measurement(&self, scenario: &str, name: &str) -> Measurement {
        Measurement::new(scenario, name)
            .rate(self.histogram.len(), self.elapsed)
            .cpu(self.cpu)
            .latency(&self.histogram)
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

/// `clients` connections, each sending the next body as soon as it has its answer, or at the plan's rate all together.
pub async fn closed_loop(
    plan: &Plan,
    port: u16,
    like: &Client,
    clients: usize,
    make: MakeBody,
    cpu: &(dyn Fn() -> Result<Duration, Failure> + Sync),
) -> Result<Measured, Failure> {
    let mut connections = Vec::new();
    for _ in 0..clients {
        connections.push(like.another(port).await?);
    }
    let pace = match plan.rate {
        None => Pace::Closed,
        Some(rate) => Pace::Open(Duration::from_secs_f64(1.0 / rate)),
    };
    let counter = Arc::new(AtomicU64::new(0));
    let (begun, cpu_before) = (Instant::now(), cpu()?);
    let tasks: Vec<_> = connections
        .into_iter()
        .map(|client| {
            let turns = Turns {
                pace,
                begun,
                duration: plan.duration,
                counter: Arc::clone(&counter),
            };
            tokio::spawn(turns.run(client, Arc::clone(&make)))
        })
        .collect();
    let mut histogram = Histogram::<u64>::new(3)?;
    for task in tasks {
        histogram.add(task.await??)?;
    }
    Ok(Measured {
        histogram,
        elapsed: begun.elapsed(),
        cpu: cpu()? - cpu_before,
    })
}

/// The turns of one client.
struct Turns {
    pace: Pace,
    begun: Instant,
    duration: Duration,
    /// Operations of all clients.
    counter: Arc<AtomicU64>,
}

impl Turns {
    async fn run(self, mut client: Client, make: MakeBody) -> Result<Histogram<u64>, Failure> {
        let mut histogram = Histogram::<u64>::new(3)?;
        while self.begun.elapsed() < self.duration {
            let number = self.counter.fetch_add(1, Ordering::Relaxed);
            let body = make(number);
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
            client.sql_body(body).await?;
            histogram.record(micros(due.elapsed()))?;
        }
        Ok(histogram)
    }
}
