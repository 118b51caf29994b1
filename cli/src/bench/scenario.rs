//! The scenarios over HTTP, named as in the performance documentation.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hdrhistogram::Histogram;
use serde_json::json;

use crate::bench::Failure;
use crate::bench::client::{Client, body};
use crate::bench::contest::Contest;
use crate::bench::floor;
use crate::bench::load::{MakeBody, Statements, drive};
use crate::bench::marker::TEXT;
use crate::bench::peer::{Durability, Work, spread};
use crate::bench::plan::Plan;
use crate::bench::process::{ServerProcess, cpu_of, free_port};
use crate::bench::report::{Measurement, micros};
use crate::output::counted;

/// Starts whose median counts.
const STARTS: usize = 5;

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
        let operators = Statements::connect(port, &first, clients, &make).await?;
        let measured = drive(plan, operators, 0, &|| cpu_of(pid)).await?;
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
    if plan.wants("W1") {
        let contest = Contest {
            scenario: "W1",
            name: "INSERT, 32 clients",
            clients: 32,
            first: 0,
            rows: 1,
            work: Some(Work::Insert(Durability::Relaxed)),
            make: Arc::new(insert),
        };
        contest.run(plan, &server, &root).await?;
    }
    if plan.wants("R1") {
        by_key(plan, &server, &mut root).await?;
    }
    if plan.wants_any(&["R4", "G1"]) {
        scans(plan, &server, &mut root).await?;
    }
    Ok(())
}

/// R1: rows by their key, the same ones as the peers have.
async fn by_key(plan: &Plan, server: &ServerProcess, root: &mut Client) -> Result<(), Failure> {
    const SELECT: &str = "SELECT * FROM bench.big WHERE id = $1";
    let rows = plan.rows;
    load_rows(root, "bench.big", rows).await?;
    same_row(plan, root, rows - 1).await?;
    for clients in [1, 32] {
        let contest = Contest {
            scenario: "R1",
            name: &format!("by key, {}", counted(clients as u64, "client")),
            clients,
            first: 0,
            rows: 1,
            work: Some(Work::Get),
            make: Arc::new(move |n| body(SELECT, json!([spread(n, rows).to_string()]))),
        };
        contest.run(plan, server, root).await?;
    }
    Ok(())
}

/// What is compared must be the same.
async fn same_row(plan: &Plan, root: &mut Client, id: u64) -> Result<(), Failure> {
    let sql = "SELECT conversation_id, author, body FROM bench.big WHERE id = $1";
    let answer = root.sql(sql, json!([id.to_string()])).await?;
    let ours = &answer["results"][0]["rows"][0];
    for peer in &plan.peers {
        if let Some(theirs) = peer.row(id).await?
            && *ours != json!(theirs)
        {
            return Err(format!("{} has {theirs:?} where {ours} is", peer.name()).into());
        }
    }
    Ok(())
}

/// R4: 200 and 10,000 rows as JSON; G1: GROUP BY over 10,000 hot rows.
async fn scans(plan: &Plan, server: &ServerProcess, root: &mut Client) -> Result<(), Failure> {
    load_rows(root, "bench.ten", 10_000).await?;
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
        let contest = Contest {
            scenario,
            name,
            clients: 1,
            first: 0,
            rows,
            work: None,
            make: Arc::new(move |_| body(sql, json!([]))),
        };
        contest.run(plan, server, root).await?;
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
    for (scenario, clients) in [("W3", 1), ("W4", 64), ("W4", 128)] {
        if plan.wants(scenario) {
            let contest = Contest {
                scenario,
                name: &format!("INSERT, sync, {}", counted(clients as u64, "client")),
                clients,
                // Apart from those of all others.
                first: (clients as u64) << 40,
                rows: 1,
                work: Some(Work::Insert(Durability::Sync)),
                make: Arc::new(insert),
            };
            contest.run(plan, &server, &root).await?;
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
