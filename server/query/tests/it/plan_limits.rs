//! Queries that would take all time or memory end with a typed error, and the server goes on.

use std::time::{Duration, Instant};

use kalam_link_core::{ErrorCode, Role};
use kalam_query::Limits;

use crate::plan_support::{Db, caller};

fn tight() -> Db {
    Db::with_limits(Limits {
        statement_timeout_ms: 1_500,
        result_rows_max: 10_000,
        query_memory_bytes: 32 << 20,
        ..Limits::default()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn i13_runaway_queries_end_with_a_typed_error() {
    let db = tight();
    let alice = caller("alice", Role::User);
    let doubling = (0..40).fold("SELECT repeat('x', 1000) AS a".to_owned(), |inner, _| {
        format!("SELECT a || a AS a FROM ({inner})")
    });
    for sql in [
        "SELECT count(*) FROM generate_series(1, 10000000000)",
        "SELECT * FROM generate_series(1, 10000000000)",
        "SELECT sum(a.value * b.value % 7) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b",
        "SELECT count(*) FROM generate_series(1, 100000000) a JOIN generate_series(1, 100000000) b ON a.value < b.value",
        "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t",
        "SELECT value FROM generate_series(1, 100000000) ORDER BY value DESC",
        "SELECT array_agg(value) FROM generate_series(1, 100000000)",
        "SELECT count(DISTINCT value) FROM generate_series(1, 1000000000)",
        "SELECT repeat('x', 1000000000)",
        "SELECT length(repeat(repeat('x', 1000000), 1000000))",
        "SELECT lpad('x', 2000000000)",
        "SELECT replace(repeat('a', 1000000), 'a', repeat('b', 1000000))",
        "SELECT range(1, 10000000000)",
        "SELECT array_repeat(1, 10000000000)",
        "SELECT levenshtein(repeat('a', 1000000), repeat('b', 1000000))",
        "SELECT count(*) FROM generate_series(1, 3000) a, generate_series(1, 3000) b, generate_series(1, 3000) c WHERE a.value + b.value > c.value",
        "SELECT sum(x) FROM (SELECT unnest(range(1, 1000000)) AS x FROM generate_series(1, 1000000))",
        &doubling,
    ] {
        let started = Instant::now();
        let error = db.error(&alice, sql).await;
        let typed = matches!(
            error.code,
            ErrorCode::StatementTimeout | ErrorCode::ResultTooLarge | ErrorCode::SqlExecutionError
        );
        assert!(typed, "{sql:.80}: {error:?}");
        assert!(
            started.elapsed() < Duration::from_secs(5),
            "{sql:.80} took {:?}",
            started.elapsed()
        );
        let after = db.ask(&alice, "SELECT 1 + 1", &[]).await;
        assert!(after.is_ok(), "after {sql:.80}: {after:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i13_large_statements_are_planned_or_refused_in_time() {
    let db = Db::open();
    let root = caller("root", Role::System);
    db.run(&root, "CREATE NAMESPACE n").await;
    db.run(
        &root,
        "CREATE SHARED TABLE n.t (id INT PRIMARY KEY, a INT, b TEXT)",
    )
    .await;
    db.run(&root, "INSERT INTO n.t VALUES (1, 9999, 'x')").await;
    let ors = (0..10_000)
        .map(|n| format!("a = {n}"))
        .collect::<Vec<_>>()
        .join(" OR ");
    let mixed = (0..10_000)
        .map(|n| format!("(a = {n} AND b <> 'y{n}')"))
        .collect::<Vec<_>>()
        .join(" OR ");
    let list = (0..50_000)
        .map(|n| n.to_string())
        .collect::<Vec<_>>()
        .join(", ");
    let sum = (0..5_000).map(|_| "a").collect::<Vec<_>>().join(" + ");
    let unions = (0..500)
        .map(|n| format!("SELECT {n} AS n"))
        .collect::<Vec<_>>()
        .join(" UNION ALL ");
    let joins = (1..40)
        .map(|n| format!("JOIN n.t t{n} ON t{n}.id = t0.id"))
        .collect::<Vec<_>>()
        .join(" ");
    let nested = (0..100).fold("SELECT 1 AS x".to_owned(), |inner, _| {
        format!("SELECT x FROM ({inner})")
    });
    for sql in [
        format!("SELECT max(id) FROM n.t WHERE {ors}"),
        format!("SELECT max(id) FROM n.t WHERE {mixed}"),
        format!("SELECT max(id) FROM n.t WHERE a IN ({list})"),
        format!("SELECT max({sum}) FROM n.t"),
        format!("SELECT count(*) FROM ({unions})"),
        format!("SELECT count(*) FROM n.t t0 {joins}"),
        nested,
    ] {
        let started = Instant::now();
        let answer = db.ask(&root, &sql, &[]).await;
        println!(
            "{sql:.60}: {:?} {:?}",
            started.elapsed(),
            answer.as_ref().err()
        );
        if let Err(error) = answer {
            assert!(error.code.http_status() < 500, "{sql:.60}: {error:?}");
        }
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "{sql:.60} took {:?}",
            started.elapsed()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_stream_ends_its_query() {
    use futures::StreamExt as _;
    use kalam_link_core::http::SqlRequest;
    let db = Db::open();
    let alice = caller("alice", Role::User);
    let request = SqlRequest {
        sql: "SELECT * FROM generate_series(1, 10000000000)".to_owned(),
        ..SqlRequest::default()
    };
    for _ in 0..20 {
        let mut rows = db
            .executor
            .stream(&alice, &request, &kalam_query::RequestMeta::default())
            .await
            .unwrap();
        assert!(rows.batches.next().await.unwrap().is_ok());
    }
    assert_eq!(db.rows(&alice, "SELECT 1").await, r#"[["1"]]"#);
}

#[tokio::test]
async fn nested_concatenation_doubles() {
    let db = Db::open();
    let alice = caller("alice", Role::User);
    for levels in [1, 2, 3, 5, 10, 16] {
        let sql = (0..levels).fold("SELECT repeat('x', 1000) AS a".to_owned(), |inner, _| {
            format!("SELECT a || a AS a FROM ({inner})")
        });
        let length = db
            .rows(&alice, &format!("SELECT length(a) FROM ({sql})"))
            .await;
        assert_eq!(length, format!("[[{}]]", 1000 << levels));
    }
}

/// Prints what a grouping of 10,000 rows and the encoding of a large result cost. The limits are for release builds.
#[tokio::test(flavor = "multi_thread")]
async fn grouping_ten_thousand_rows_is_quick() {
    let db = Db::open();
    let alice = caller("alice", Role::User);
    let root = caller("root", Role::System);
    db.run(&root, "CREATE NAMESPACE g; CREATE USER TABLE g.t (id BIGINT PRIMARY KEY, kind TEXT, n INT, body TEXT)").await;
    for first in (0..10_000).step_by(1_000) {
        let values = (first..first + 1_000)
            .map(|id| format!("({id}, 'kind {}', {id}, 'some text of row {id}')", id % 50));
        db.run(
            &alice,
            &format!(
                "INSERT INTO g.t VALUES {}",
                values.collect::<Vec<_>>().join(", ")
            ),
        )
        .await;
    }
    let sql = "SELECT kind, count(*), sum(n), avg(n) FROM g.t GROUP BY kind ORDER BY kind";
    let mut best = Duration::MAX;
    for _ in 0..20 {
        let started = Instant::now();
        let reply = db.ask(&alice, sql, &[]).await.unwrap();
        best = best.min(started.elapsed());
        assert_eq!(reply.row_count, 50);
    }
    println!("GROUP BY over 10,000 rows: {best:?}");
    let limit = if cfg!(debug_assertions) {
        Duration::from_secs(1)
    } else {
        Duration::from_millis(10)
    };
    assert!(best <= limit, "{best:?}");
    let started = Instant::now();
    let reply = db
        .ask(
            &alice,
            "SELECT id, kind, n, body FROM g.t WHERE _seq > 0",
            &[],
        )
        .await
        .unwrap();
    println!(
        "{} rows of 4 columns read and encoded: {:?}",
        reply.row_count,
        started.elapsed()
    );
}
