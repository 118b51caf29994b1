//! Writes besides the INSERT of one row: W5 in bulk, W6 changes of what is there, W7 streams.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::bench::Failure;
use crate::bench::client::{Client, body};
use crate::bench::contest::Contest;
use crate::bench::load::MakeBody;
use crate::bench::marker::TEXT;
use crate::bench::peer::{RANGE, Work, spread, spread_range};
use crate::bench::plan::Plan;
use crate::bench::process::ServerProcess;
use crate::bench::report::Measurement;
use crate::bench::scenario::{create_tables, insert_of, load_rows, message};

/// Rows of one INSERT into a stream.
const STREAM_BATCH: u64 = 100;

const CLIENTS: usize = 32;

pub async fn run(plan: &Plan) -> Result<(), Failure> {
    if !plan.wants_any(&["W5", "W6", "W7"]) {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let server = ServerProcess::start(&plan.server, folder.path(), "relaxed").await?;
    let mut root = Client::sign_in(server.port).await?;
    create_tables(&mut root).await?;
    if plan.wants_any(&["W5", "W6"]) {
        bulk(plan, &server, &mut root).await?;
    }
    if plan.wants("W6") {
        changes(plan, &server, &root).await?;
    }
    if plan.wants("W7") {
        streams(plan, &server, &mut root).await?;
    }
    Ok(())
}

/// Loads the large table, which is W5, and has those peers load that know a way for rows in bulk.
async fn bulk(plan: &Plan, server: &ServerProcess, root: &mut Client) -> Result<(), Failure> {
    let (begun, cpu) = (Instant::now(), server.cpu()?);
    load_rows(root, "bench.big", plan.rows).await?;
    if !plan.wants("W5") {
        return Ok(());
    }
    let elapsed = begun.elapsed();
    let mut measurement = Measurement::new("W5", "rows in requests of 1,000")
        .rate(plan.rows, elapsed)
        .cpu(server.cpu()? - cpu)
        .figure("RSS [MiB]", server.memory_mib()?);
    let mut theirs = Vec::new();
    for peer in &plan.peers {
        let (begun, cpu) = (Instant::now(), peer.cpu()?);
        if peer.copy(plan.rows).await? {
            let copy = begun.elapsed();
            let ratio = copy.as_secs_f64() / elapsed.as_secs_f64();
            measurement = measurement.figure(&format!("rate / {}", peer.name()), ratio);
            let loaded = Measurement::new("W5", format!("{}: COPY", peer.name()));
            theirs.push(
                loaded
                    .rate(plan.rows, copy)
                    .cpu(peer.cpu()?.saturating_sub(cpu)),
            );
        }
    }
    plan.record(measurement);
    theirs.into_iter().for_each(|loaded| plan.record(loaded));
    Ok(())
}

async fn changes(plan: &Plan, server: &ServerProcess, root: &Client) -> Result<(), Failure> {
    let rows = plan.rows;
    let update: MakeBody = Arc::new(move |n| {
        body(
            "UPDATE bench.big SET body = $2 WHERE id = $1",
            json!([spread(n, rows).to_string(), format!("{TEXT} {n}")]),
        )
    });
    // A row comes and goes: keys above those of the table.
    let come_and_go: MakeBody = Arc::new(move |n| {
        let id = rows + n / 2;
        if n % 2 == 0 {
            body(insert_of("bench.big").as_str(), message(id))
        } else {
            body(
                "DELETE FROM bench.big WHERE id = $1",
                json!([id.to_string()]),
            )
        }
    });
    let range: MakeBody = Arc::new(move |n| {
        let first = spread_range(n, rows);
        body(
            "UPDATE bench.big SET author = $3 WHERE id >= $1 AND id < $2",
            json!([
                first.to_string(),
                (first + RANGE).to_string(),
                format!("author-{n}")
            ]),
        )
    });
    for (name, clients, rows, work, make) in [
        (
            "UPDATE by key, 32 clients",
            CLIENTS,
            1,
            Work::Update,
            update,
        ),
        (
            "INSERT and DELETE by key, 32 clients",
            CLIENTS,
            1,
            Work::ComeAndGo,
            come_and_go,
        ),
        (
            "UPDATE of a range of 100, one client",
            1,
            RANGE,
            Work::UpdateRange,
            range,
        ),
    ] {
        let contest = Contest {
            scenario: "W6",
            name,
            clients,
            first: 0,
            rows,
            work: Some(work),
            make,
        };
        contest.run(plan, server, root).await?;
    }
    Ok(())
}

async fn streams(plan: &Plan, server: &ServerProcess, root: &mut Client) -> Result<(), Failure> {
    // Short, so that rows expire while others come.
    const TTL: Duration = Duration::from_secs(5);
    root.sql(
        &format!(
            "CREATE TABLE bench.events (sensor TEXT, reading DOUBLE) WITH (TYPE='STREAM', TTL_SECONDS={})",
            TTL.as_secs()
        ),
        json!(null),
    )
    .await?;
    const ONE: &str = "INSERT INTO bench.events (sensor, reading) VALUES ($1, $2)";
    let places: Vec<String> = (0..STREAM_BATCH)
        .map(|row| format!("(${}, ${})", row * 2 + 1, row * 2 + 2))
        .collect();
    let many = format!(
        "INSERT INTO bench.events (sensor, reading) VALUES {}",
        places.join(", ")
    );
    let event = |n: u64| {
        [
            json!(format!("sensor-{}", n % 1_000)),
            json!(n as f64 / 8.0),
        ]
    };
    let single: MakeBody = Arc::new(move |n| body(ONE, event(n).to_vec().into()));
    let batch: MakeBody = Arc::new(move |n| {
        let rows = n * STREAM_BATCH..(n + 1) * STREAM_BATCH;
        body(&many, rows.flat_map(event).collect::<Vec<_>>().into())
    });
    for (name, make, rows) in [
        ("STREAM rows, 32 clients", single, 1),
        ("STREAM batches of 100, 32 clients", batch, STREAM_BATCH),
    ] {
        let contest = Contest {
            scenario: "W7",
            name,
            clients: CLIENTS,
            first: 0,
            rows,
            work: None,
            make,
        };
        contest.run(plan, server, root).await?;
    }
    Ok(())
}
