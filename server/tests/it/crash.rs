//! The server is killed while it is written to, and forgets nothing that it acknowledged (I12).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::generator::Numbers;
use crate::harness::ServerProcess;

const WRITERS: u64 = 8;
/// Kills in the short form; `KALAMDB_LONG_TESTS=1` does thirty.
const KILLS: u64 = 5;
const KILLS_LONG: u64 = 30;
/// Acknowledged writes that a round waits for before it kills.
const WRITES_OF_A_ROUND: u64 = 200;

/// What one writer knows: the value that was acknowledged for each id, or `None` after an acknowledged delete; and the
/// write whose answer never came.
#[derive(Default)]
struct Ledger {
    rows: BTreeMap<u64, Option<String>>,
    in_doubt: Option<(u64, Option<String>)>,
}

fn rounds() -> u64 {
    if std::env::var_os("KALAMDB_LONG_TESTS").is_some() {
        KILLS_LONG
    } else {
        KILLS
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i12_acknowledged_writes_survive_kill_with_sync() {
    kill_while_writing("sync").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i12_acknowledged_writes_survive_kill_with_relaxed() {
    kill_while_writing("relaxed:10000ms").await;
}

async fn kill_while_writing(durability: &str) {
    let mut server = ServerProcess::start(&[("KALAMDB_DURABILITY", durability)]).await;
    server.sql_ok("CREATE NAMESPACE app").await;
    server
        .sql_ok("CREATE TABLE app.t (id BIGINT PRIMARY KEY, body TEXT) WITH (TYPE='SHARED')")
        .await;
    let mut ledgers: Vec<Ledger> = (0..WRITERS).map(|_| Ledger::default()).collect();
    let mut last_seq = 0;
    for round in 0..rounds() {
        ledgers = write_until_killed(&mut server, ledgers, round).await;
        server = server.start_again().await;
        last_seq = check(&server, &mut ledgers, last_seq).await;
    }
    server.stop().await;
}

async fn write_until_killed(
    server: &mut ServerProcess,
    ledgers: Vec<Ledger>,
    round: u64,
) -> Vec<Ledger> {
    let (acknowledged, mut counts) = tokio::sync::watch::channel(0_u64);
    let acknowledged = Arc::new(acknowledged);
    let stopped = Arc::new(AtomicBool::new(false));
    let tasks: Vec<_> = (0..)
        .zip(ledgers)
        .map(|(writer, ledger)| {
            let session = server.session();
            let (acknowledged, stopped) = (Arc::clone(&acknowledged), Arc::clone(&stopped));
            tokio::spawn(async move {
                write(session, writer, ledger, round, &acknowledged, &stopped).await
            })
        })
        .collect();
    counts
        .wait_for(|count| *count >= WRITES_OF_A_ROUND)
        .await
        .unwrap();
    server.kill();
    stopped.store(true, Ordering::Relaxed);
    let mut ledgers = Vec::new();
    for task in tasks {
        ledgers.push(task.await.unwrap());
    }
    ledgers
}

async fn write(
    session: crate::harness::Session,
    writer: u64,
    mut ledger: Ledger,
    round: u64,
    acknowledged: &tokio::sync::watch::Sender<u64>,
    stopped: &AtomicBool,
) -> Ledger {
    let mut numbers = Numbers::seeded(round * WRITERS + writer + 1);
    let mut next = ledger.rows.len() as u64;
    while !stopped.load(Ordering::Relaxed) {
        let known = numbers.below(next.max(1));
        let id = writer * 1_000_000 + known;
        let (id, sql, body) = match numbers.below(4) {
            0 if matches!(ledger.rows.get(&id), Some(Some(_))) => {
                (id, "DELETE FROM app.t WHERE id = $1", None)
            }
            1 if matches!(ledger.rows.get(&id), Some(Some(_))) => (
                id,
                "UPDATE app.t SET body = $2 WHERE id = $1",
                Some(format!("updated in {round}: {}", numbers.next())),
            ),
            _ => {
                let id = writer * 1_000_000 + next;
                next += 1;
                (
                    id,
                    "INSERT INTO app.t (id, body) VALUES ($1, $2)",
                    Some(format!("row {id}")),
                )
            }
        };
        let params = match &body {
            Some(text) => json!([id.to_string(), text]),
            None => json!([id.to_string()]),
        };
        ledger.in_doubt = Some((id, body.clone()));
        match session.try_sql(sql, params).await {
            Some(answer) => {
                assert_eq!(answer["results"][0]["row_count"], 1, "{sql} {id}: {answer}");
                ledger.rows.insert(id, body);
                ledger.in_doubt = None;
                acknowledged.send_modify(|count| *count += 1);
            }
            None => break,
        }
    }
    ledger
}

/// Compares the table with the ledgers, settles what was in doubt, and returns the highest sequence number.
async fn check(server: &ServerProcess, ledgers: &mut [Ledger], last_seq: u64) -> u64 {
    let answer = server.sql_ok("SELECT id, body, _seq FROM app.t").await;
    let mut stored: BTreeMap<u64, String> = BTreeMap::new();
    let mut highest = 0;
    for row in answer["results"][0]["rows"].as_array().unwrap() {
        let text = |at: usize| row[at].as_str().unwrap();
        let replaced = stored.insert(text(0).parse().unwrap(), text(1).to_owned());
        assert!(replaced.is_none(), "row {} stands twice", text(0));
        highest = highest.max(text(2).parse::<u64>().unwrap());
    }
    for ledger in ledgers.iter_mut() {
        if let Some((id, body)) = ledger.in_doubt.take() {
            let there = stored.get(&id);
            let before = ledger.rows.get(&id).and_then(Option::as_ref);
            assert!(
                there == body.as_ref() || there == before,
                "row {id} is neither the old nor the new version"
            );
            ledger.rows.insert(id, there.cloned());
        }
        for (id, body) in &ledger.rows {
            assert_eq!(stored.remove(id).as_ref(), body.as_ref(), "row {id}");
        }
    }
    assert!(stored.is_empty(), "rows that nobody wrote: {stored:?}");
    // A row written now comes after everything that was acknowledged before the kill.
    let written = server
        .sql_ok("INSERT INTO app.t (id, body) VALUES (-1, 'x') RETURNING _seq")
        .await;
    server.sql_ok("DELETE FROM app.t WHERE id = -1").await;
    let next: u64 = written["results"][0]["rows"][0][0]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(
        next > highest && next > last_seq,
        "seq {next} after {highest} and {last_seq}"
    );
    next
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i12_a_failed_fdatasync_stops_writes_at_once() {
    let server = ServerProcess::start(&[("KALAMDB_DURABILITY", "sync")]).await;
    server.sql_ok("CREATE NAMESPACE app").await;
    server
        .sql_ok("CREATE TABLE app.t (id BIGINT PRIMARY KEY)")
        .await;
    server.sql_ok("INSERT INTO app.t VALUES (1)").await;
    let mut strace = std::process::Command::new("strace")
        .args([
            "-f",
            "-e",
            "trace=fdatasync,fsync",
            "-e",
            "inject=fdatasync,fsync:error=EIO",
            "-p",
        ])
        .arg(server.pid().to_string())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("strace is installed by make setup");
    let output = strace.stderr.take().unwrap();
    tokio::task::spawn_blocking(move || wait_until_attached(output))
        .await
        .unwrap();
    for id in 2..5 {
        let answer = server
            .sql(&format!("INSERT INTO app.t VALUES ({id})"))
            .await;
        assert_eq!(answer["error"]["code"], "STORAGE_UNAVAILABLE", "{answer}");
    }
    strace.kill().unwrap();
    strace.wait().unwrap();
    let answer = server.sql("INSERT INTO app.t VALUES (9)").await;
    assert_eq!(
        answer["error"]["code"], "STORAGE_UNAVAILABLE",
        "writes went on after a failed sync: {answer}"
    );
    let read: Value = server.sql_ok("SELECT id FROM app.t WHERE id = 1").await;
    assert_eq!(read["results"][0]["row_count"], 1);
    let server = server.start_again().await;
    assert_eq!(
        server.sql_ok("SELECT id FROM app.t WHERE id = 1").await["results"][0]["row_count"],
        1
    );
    server.sql_ok("INSERT INTO app.t VALUES (9)").await;
    server.stop().await;
}

/// strace says on its standard error when it holds all threads.
fn wait_until_attached(output: impl std::io::Read + Send + 'static) {
    use std::io::{BufRead, BufReader};
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    let attached = lines.find(|line| line.contains("attached") || line.contains("not permitted"));
    assert!(
        attached.is_some_and(|line| line.contains("attached")),
        "strace could not attach"
    );
    // Keep reading, so that strace never blocks on a full pipe.
    std::thread::spawn(move || lines.for_each(drop));
}
