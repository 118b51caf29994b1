//! A reader a hundred times slower than those who write.

use std::collections::HashMap;
use std::sync::Arc;

use futures::{FutureExt as _, StreamExt as _};
use kalam_link::{Live, LiveStatus, Row};
use serde_json::json;

use super::{client, ends_as, until};
use crate::generator::Numbers;
use crate::harness::{ServerProcess, Session};
use crate::ws::proxy::{Proxy, Valve};

const WRITERS: u64 = 16;
const KEYS: u64 = 500;
/// The change of one such row, with its old one, takes two chunks of the proxy or three.
const BODY_BYTES: usize = 4_000;

/// Before memory is looked at: what writing itself takes is there then.
const WARM_UP: u64 = 20_000;
// Twice what memory may grow by: a server that kept all of it for the reader would be found out.
const WRITES: u64 = 32_000;

/// One chunk passes for so many writes.
const WRITES_PER_CHUNK: u64 = 100;

const GROWTH_KIB_MAX: u64 = 64 * 1_024;

const COLUMNS: &[&str] = &["id", "version", "body", "_seq"];
const SELECT: &str = "SELECT id, version, body, _seq FROM app.board WHERE version >= 0 ORDER BY id";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i7_a_reader_a_hundred_times_slower_is_right_and_costs_little() {
    let server = ServerProcess::start(&[("KALAMDB_DURABILITY", "relaxed")]).await;
    server.sql_ok("CREATE NAMESPACE app").await;
    server
        .sql_ok(
            "CREATE TABLE app.board (id BIGINT PRIMARY KEY, version BIGINT, body TEXT) WITH (TYPE='SHARED')",
        )
        .await;
    write(&server, 0, WARM_UP, None).await;
    let (proxy, valve) = Proxy::slow(server.url()).await;
    let client = client(&proxy, server.token());
    let mut live = client.live(SELECT, &[]).await.unwrap();
    until(|| {
        valve.pass(1);
        live.status() == LiveStatus::Live
    })
    .await;
    let before = server.memory_kib();
    let mut shown = Shown::default();
    let mut most = before;
    for part in 0..10 {
        let begin = WARM_UP + part * (WRITES / 10);
        write(&server, begin, WRITES / 10, Some(&valve)).await;
        most = most.max(server.memory_kib());
        shown.look(&mut live);
    }
    let grown = most.saturating_sub(before);
    println!("memory grew by {grown} KiB");
    assert!(grown <= GROWTH_KIB_MAX, "memory grew by {grown} KiB");
    valve.open();
    let answer = server.sql_ok(SELECT).await;
    ends_as(&mut live, COLUMNS, &answer["results"][0]["rows"], SELECT).await;
    shown.look(&mut live);
    drop((live, client, proxy));
    server.stop().await;
}

/// The newest version of each row that the reader was shown.
#[derive(Default)]
struct Shown(HashMap<String, i64>);

impl Shown {
    /// No row goes back to an older version.
    fn look(&mut self, live: &mut Live) {
        while let Some(Some(snapshot)) = live.next().now_or_never() {
            for row in snapshot.unwrap().rows {
                self.see(&row);
            }
        }
    }

    fn see(&mut self, row: &Arc<Row>) {
        let row = row.cells();
        let number = |name: &str| -> i64 { row[name].as_str().unwrap().parse().unwrap() };
        let version = number("version");
        let newest = self.0.entry(number("id").to_string()).or_insert(version);
        assert!(*newest <= version, "{row:?} after version {newest}");
        *newest = version;
    }
}

/// Writes versions from `begin` on, each row by one writer only so that versions rise.
async fn write(server: &ServerProcess, begin: u64, count: u64, valve: Option<&Valve>) {
    let writers = (0..WRITERS).map(|writer| {
        let valve = valve.cloned();
        tokio::spawn(write_share(
            server.session(),
            writer,
            begin,
            count / WRITERS,
            valve,
        ))
    });
    let writers: Vec<_> = writers.collect();
    for writer in writers {
        writer.await.unwrap();
    }
}

async fn write_share(session: Session, writer: u64, begin: u64, count: u64, valve: Option<Valve>) {
    let sql = "INSERT INTO app.board (id, version, body) VALUES ($1, $2, $3)
               ON CONFLICT (id) DO UPDATE SET version = $2, body = $3";
    let mut numbers = Numbers::seeded(begin + writer + 1);
    for n in 0..count {
        let id = numbers.below(KEYS) / WRITERS * WRITERS + writer;
        let version = begin + n * WRITERS;
        let body = format!("{version:0>BODY_BYTES$}");
        let params = json!([id.to_string(), version.to_string(), body]);
        let answer = session.try_sql(sql, params).await.unwrap();
        assert_eq!(answer["status"], "success", "{answer}");
        if let Some(valve) = &valve
            && n % WRITES_PER_CHUNK == 0
        {
            valve.pass(1);
        }
    }
}
