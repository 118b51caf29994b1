//! The scenarios over HTTP, named as in the performance documentation.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hdrhistogram::Histogram;
use serde_json::json;

use crate::Failure;
use crate::client::{Client, body};
use crate::floor;
use crate::marker::TEXT;
use crate::plan::Plan;
use crate::process::{ServerProcess, cpu_of, free_port};

/// Makes the body of the n-th operation.
type MakeBody = Arc<dyn Fn(u64) -> Bytes + Send + Sync>;

/// Rows of the tables that R1 reads.
const READ_ROWS: u64 = 1_000_000;
const INSERT: &str =
    "INSERT INTO bench.messages (id, conversation_id, author, body) VALUES ($1, $2, $3, $4)";

/// Names of what [`run`] runs.
pub const NAMES: &[&str] = &["W1", "W3", "W4", "R1", "R4", "G1", "I1", "I2"];

/// Runs the wanted scenarios and prints a line for each.
pub async fn run(plan: &Plan) -> Result<(), Failure> {
    if plan.wants_any(&["W1", "W3", "W4", "R1", "R4", "G1"]) {
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
        .args([floor::MODE, &port.to_string()])
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
        let make: MakeBody = Arc::new(|n| body(INSERT, message(n)));
        let measured =
            closed_loop(port, &first, clients, plan.duration, make, &|| cpu_of(pid)).await;
        measured?.print(&format!("floor axum {clients}"));
    }
    child.kill()?;
    child.wait()?;
    Ok(())
}

/// I1 and I2: an empty server.
async fn start_and_idle(plan: &Plan) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    drop(ServerProcess::start(&plan.server, folder.path(), "sync").await?);
    for attempt in 1..=3 {
        let server = ServerProcess::start(&plan.server, folder.path(), "sync").await?;
        println!("I1 start {attempt}   {:?}", server.start_time);
        if attempt == 3 {
            let before = server.cpu()?;
            tokio::time::sleep(plan.duration).await;
            let busy = (server.cpu()? - before).as_secs_f64() / plan.duration.as_secs_f64();
            println!(
                "I2 idle      RSS {:.1} MiB  CPU {:.2} %",
                server.memory_mib()?,
                busy * 100.0
            );
        }
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
        let make: MakeBody = Arc::new(|n| body(INSERT, message(n)));
        closed_loop(server.port, &root, 32, plan.duration, make, &cpu)
            .await?
            .print("W1 insert 32");
        println!(
            "             RSS {:.1} MiB after W1, DataFusion untouched",
            server.memory_mib()?
        );
    }
    if plan.wants("R1") {
        let begun = Instant::now();
        load_rows(&mut root, "bench.big", READ_ROWS).await?;
        println!(
            "R1 load      {:.0} rows/s in requests of 1,000",
            READ_ROWS as f64 / begun.elapsed().as_secs_f64()
        );
        for clients in [1, 32] {
            let make: MakeBody = Arc::new(|n| {
                let id = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % READ_ROWS;
                body(
                    "SELECT * FROM bench.big WHERE id = $1",
                    json!([id.to_string()]),
                )
            });
            closed_loop(server.port, &root, clients, plan.duration, make, &cpu)
                .await?
                .print(&format!("R1 by key {clients}"));
        }
        println!("             RSS {:.1} MiB after R1", server.memory_mib()?);
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
    for (name, rows, sql) in [
        ("R4 200 rows", 200, "SELECT * FROM bench.ten LIMIT 200"),
        ("R4 10000 rows", 10_000, "SELECT * FROM bench.ten"),
        (
            "G1 group by",
            10_000,
            "SELECT author, count(*), avg(length(body)) FROM bench.ten GROUP BY author",
        ),
    ] {
        let make: MakeBody = Arc::new(move |_| body(sql, json!([])));
        let measured = closed_loop(server.port, root, 1, plan.duration, make, &cpu).await?;
        measured.print(name);
        println!(
            "             {:.0} rows/s",
            measured.per_second() * f64::from(rows)
        );
    }
    println!(
        "             RSS {:.1} MiB after scans",
        server.memory_mib()?
    );
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
    for (name, clients) in [("W3", 1), ("W4", 64), ("W4", 128)] {
        if plan.wants(name) {
            let base = clients as u64 * 100_000_000;
            let make: MakeBody = Arc::new(move |n| body(INSERT, message(base + n)));
            closed_loop(server.port, &root, clients, plan.duration, make, &cpu)
                .await?
                .print(&format!("{name} sync {clients}"));
        }
    }
    Ok(())
}

async fn create_tables(root: &mut Client) -> Result<(), Failure> {
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

fn message(n: u64) -> serde_json::Value {
    json!([
        n.to_string(),
        (n % 100).to_string(),
        format!("author-{}", n % 50),
        TEXT
    ])
}

async fn load_rows(root: &mut Client, table: &str, rows: u64) -> Result<(), Failure> {
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
    let sql = format!(
        "INSERT INTO {table} (id, conversation_id, author, body) VALUES {}",
        places.join(", ")
    );
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

/// What a closed loop gave.
struct Measured {
    histogram: Histogram<u64>,
    elapsed: Duration,
    cpu: Duration,
}

impl Measured {
    fn per_second(&self) -> f64 {
        self.histogram.len() as f64 / self.elapsed.as_secs_f64()
    }

    fn print(&self, name: &str) {
        let operations = self.histogram.len().max(1);
        println!(
            "{name:<12} {:>8.0}/s  p50 {:>6} us  p99 {:>6} us  CPU {:.1} us/op",
            self.per_second(),
            self.histogram.value_at_quantile(0.5),
            self.histogram.value_at_quantile(0.99),
            self.cpu.as_secs_f64() * 1e6 / operations as f64,
        );
    }
}

/// `clients` connections, each sending the next body as soon as it has its answer.
async fn closed_loop(
    port: u16,
    like: &Client,
    clients: usize,
    duration: Duration,
    make: MakeBody,
    cpu: &(dyn Fn() -> Result<Duration, Failure> + Sync),
) -> Result<Measured, Failure> {
    let mut connections = Vec::new();
    for _ in 0..clients {
        connections.push(like.another(port).await?);
    }
    let counter = Arc::new(AtomicU64::new(0));
    let (begun, cpu_before) = (Instant::now(), cpu()?);
    let tasks: Vec<_> = connections
        .into_iter()
        .map(|mut client| {
            let (counter, make) = (Arc::clone(&counter), Arc::clone(&make));
            tokio::spawn(async move {
                let mut histogram = Histogram::<u64>::new(3)?;
                while begun.elapsed() < duration {
                    let body = make(counter.fetch_add(1, Ordering::Relaxed));
                    let one = Instant::now();
                    client.sql_body(body).await?;
                    histogram.record(u64::try_from(one.elapsed().as_micros())?)?;
                }
                Ok::<_, Failure>(histogram)
            })
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
