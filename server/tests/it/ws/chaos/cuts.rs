//! Connections that break all the time while many write.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kalam_link::Live;
use serde_json::{Value, json};

use super::{client, ends_as, until};
use crate::generator::Numbers;
use crate::harness::TestNode;
use crate::ws::prepared;
use crate::ws::proxy::Proxy;

const CUTS: u64 = 200;
const USERS: u64 = 4;
const WRITERS_OF_A_USER: u64 = 5;

/// Acknowledged writes between two cuts: enough for a client to come back now and then before the next one.
const WRITES_BETWEEN: u64 = 40;

/// Few, so that rows are written again and again.
const KEYS: u64 = 60;

const TABLES: &[&str] = &[
    "CREATE TABLE app.own (id BIGINT PRIMARY KEY, grp INT, body TEXT, score DOUBLE) WITH (TYPE='USER')",
    "CREATE TABLE app.common (id BIGINT PRIMARY KEY, grp INT, body TEXT, score DOUBLE)
     WITH (TYPE='SHARED', ACCESS_LEVEL='PUBLIC', WRITE_LEVEL='PUBLIC')",
    "CREATE TABLE app.signs (id BIGINT PRIMARY KEY, grp INT, body TEXT, score DOUBLE)
     WITH (TYPE='STREAM', TTL_SECONDS=86400)",
];

const COLUMNS: &[&str] = &["id", "grp", "body", "score", "_seq"];

/// One for each subscriber; five for each user. What stands after FROM, in the order of the live rows.
const FILTERS: &[&str] = &[
    "app.own ORDER BY id",
    "app.common WHERE grp = 2 ORDER BY id",
    "app.signs WHERE grp <> 1 ORDER BY id",
    "app.own WHERE body LIKE '%a%' ORDER BY id",
    "app.common WHERE score > 0.5 ORDER BY score DESC, id LIMIT 7",
    "app.own WHERE grp IN (0, 3) ORDER BY id",
    "app.common ORDER BY id",
    "app.signs ORDER BY id",
    "app.own WHERE score IS NULL ORDER BY id",
    "app.common WHERE body ILIKE 'O%' OR grp = 4 ORDER BY id",
    "app.own WHERE id BETWEEN 10 AND 40 AND NOT grp = 2 ORDER BY id",
    "app.common WHERE id % 3 = 1 ORDER BY id",
    "app.signs WHERE body LIKE '%e%' ORDER BY id",
    "app.own ORDER BY grp DESC, id LIMIT 10",
    "app.common WHERE COALESCE(score, 1.0) >= 0.25 ORDER BY id",
    "app.own WHERE LOWER(body) < 'n' ORDER BY id",
    "app.common WHERE CASE WHEN grp < 2 THEN score ELSE 0.9 END > 0.4 ORDER BY id",
    "app.signs WHERE score * 2 < 1 ORDER BY id",
    "app.own WHERE score NOT BETWEEN 0.3 AND 0.6 ORDER BY id",
    "app.common WHERE body IS NOT NULL ORDER BY body, id LIMIT 12",
];

fn name(user: u64) -> String {
    format!("person_{user}")
}

fn select(filter: &str) -> String {
    format!("SELECT {} FROM {filter}", COLUMNS.join(", "))
}

/// Whose subscription this is: each user has some of every table.
fn user_of(subscriber: usize) -> String {
    name(subscriber as u64 % USERS)
}

/// What the writers share with the test.
#[derive(Default)]
struct Progress {
    written: AtomicU64,
    over: AtomicBool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i6_subscribers_end_equal_to_select_after_200_cuts() {
    let node = Arc::new(prepared(TABLES).await);
    for user in 0..USERS {
        node.create_user(&name(user), "user").await;
    }
    let proxy = Proxy::start(&node.url()).await;
    let mut subscribers = subscribe(&node, &proxy).await;
    let progress = Arc::new(Progress::default());
    let writers: Vec<_> = (0..USERS * WRITERS_OF_A_USER)
        .map(|writer| tokio::spawn(write(Arc::clone(&node), writer, Arc::clone(&progress))))
        .collect();
    cut(&proxy, &progress).await;
    progress.over.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    for (subscriber, (live, filter)) in subscribers.iter_mut().zip(FILTERS).enumerate() {
        let answer = node.sql_ok(&user_of(subscriber), &select(filter)).await;
        ends_as(live, COLUMNS, &answer["results"][0]["rows"], filter).await;
    }
    drop(subscribers);
    Arc::into_inner(node).unwrap().stop().await;
}

async fn subscribe(node: &TestNode, proxy: &Proxy) -> Vec<Live> {
    let mut subscribers = Vec::new();
    for (subscriber, filter) in FILTERS.iter().enumerate() {
        let client = client(proxy, &node.token(&user_of(subscriber)).await);
        subscribers.push(client.live(select(filter), &[]).await.unwrap());
    }
    subscribers
}

async fn cut(proxy: &Proxy, progress: &Progress) {
    let mut numbers = Numbers::seeded(200);
    for cuts in 0..CUTS {
        let enough = cuts * WRITES_BETWEEN;
        until(|| progress.written.load(Ordering::Relaxed) >= enough).await;
        let choice = numbers.next();
        until(|| proxy.cut(choice)).await;
    }
}

async fn write(node: Arc<TestNode>, writer: u64, progress: Arc<Progress>) {
    let user = name(writer % USERS);
    let mut numbers = Numbers::seeded(writer + 1);
    let mut fresh = writer << 32;
    while !progress.over.load(Ordering::Relaxed) {
        let (sql, params) = statement(&mut numbers, &mut fresh);
        let answer = node.sql_params(&user, sql, params).await;
        assert_eq!(answer["status"], "success", "{sql}: {answer}");
        progress.written.fetch_add(1, Ordering::Relaxed);
    }
}

/// `fresh` counts keys of the stream, whose rows are never written twice.
fn statement(numbers: &mut Numbers, fresh: &mut u64) -> (&'static str, Value) {
    let id = numbers.below(KEYS).to_string();
    match numbers.below(9) {
        0..=1 => (
            "INSERT INTO app.own (id, grp, body, score) VALUES ($1, $2, $3, $4)
             ON CONFLICT (id) DO UPDATE SET grp = $2, body = $3, score = $4",
            values(&id, numbers),
        ),
        2..=3 => (
            "INSERT INTO app.common (id, grp, body, score) VALUES ($1, $2, $3, $4)
             ON CONFLICT (id) DO UPDATE SET grp = $2, body = $3, score = $4",
            values(&id, numbers),
        ),
        4 => ("DELETE FROM app.own WHERE id = $1", json!([id])),
        5 => ("DELETE FROM app.common WHERE id = $1", json!([id])),
        6 => (
            "UPDATE app.common SET grp = $1 WHERE grp = $2",
            json!([numbers.below(5), numbers.below(5)]),
        ),
        7 if *fresh & 0xFFFF_FFFF > 0 => {
            let written = (*fresh & !0xFFFF_FFFF) + numbers.below(*fresh & 0xFFFF_FFFF);
            (
                "DELETE FROM app.signs WHERE id = $1",
                json!([written.to_string()]),
            )
        }
        _ => {
            let row = values(&fresh.to_string(), numbers);
            *fresh += 1;
            (
                "INSERT INTO app.signs (id, grp, body, score) VALUES ($1, $2, $3, $4)",
                row,
            )
        }
    }
}

fn values(id: &str, numbers: &mut Numbers) -> Value {
    const BODIES: &[&str] = &["one", "Orange", "naïve", "🙂 smile", "", "zebra", "a"];
    let body = BODIES.get(usize::try_from(numbers.below(8)).unwrap());
    let score = match numbers.below(6) {
        0 => Value::Null,
        _ => json!(f64::from(u32::try_from(numbers.below(100)).unwrap()) / 100.0),
    };
    json!([id, numbers.below(5), body, score])
}
