//! Limits of results, commands and time (I13).

use kalam_link_core::ErrorCode;
use kalam_query::Limits;

use crate::exec_support::{code, root, verdict};
use crate::plan_support::Db;

async fn limited(limits: Limits) -> Db {
    let db = Db::with_limits(limits);
    db.run(
        &root(),
        "CREATE SHARED TABLE t (id INT PRIMARY KEY, x TEXT)",
    )
    .await;
    db
}

#[tokio::test]
async fn i13_results_end_with_an_error_at_their_limit() {
    let db = limited(Limits {
        result_rows_max: 10,
        result_bytes_max: 2_000,
        ..Limits::default()
    })
    .await;
    let root = root();
    db.run(
        &root,
        "INSERT INTO t SELECT value, 'x' FROM generate_series(1, 10)",
    )
    .await;
    assert_eq!(verdict(&db, &root, "SELECT * FROM t").await, Ok(()));
    db.run(&root, "INSERT INTO t VALUES (11, 'x')").await;
    for sql in ["SELECT * FROM t", "SELECT id FROM t WHERE x = 'x'"] {
        assert_eq!(
            code(&db, &root, sql).await,
            ErrorCode::ResultTooLarge,
            "{sql}"
        );
    }
    assert_eq!(
        verdict(&db, &root, "SELECT * FROM t LIMIT 10").await,
        Ok(())
    );
    // Rows that only go from a table into another are no result.
    db.run(&root, "UPDATE t SET x = 'y' WHERE x = 'x'").await;
    db.run(&root, "UPDATE t SET x = repeat('z', 3000) WHERE id = 1")
        .await;
    for sql in [
        "SELECT x FROM t WHERE id = 1",
        "SELECT x FROM t WHERE length(x) > 5",
        "SELECT repeat('z', 3000)",
    ] {
        assert_eq!(
            code(&db, &root, sql).await,
            ErrorCode::ResultTooLarge,
            "{sql}"
        );
    }
}

#[tokio::test]
async fn i13_answers_of_writes_have_the_same_limit() {
    let db = limited(Limits {
        result_bytes_max: 2_000,
        ..Limits::default()
    })
    .await;
    let root = root();
    for sql in [
        "INSERT INTO t SELECT value, repeat('x', 100) FROM generate_series(1, 100) RETURNING *",
        "INSERT INTO t VALUES (1, repeat('x', 3000)) RETURNING x",
    ] {
        assert_eq!(
            code(&db, &root, sql).await,
            ErrorCode::ResultTooLarge,
            "{sql}"
        );
    }
    assert_eq!(db.rows(&root, "SELECT * FROM t").await, "[]");
}

#[tokio::test]
async fn i13_a_command_has_a_limit() {
    let db = limited(Limits::default()).await;
    let root = root();
    let sql = "INSERT INTO t SELECT value, repeat('x', 1000000) FROM generate_series(1, 17)";
    assert_eq!(code(&db, &root, sql).await, ErrorCode::StatementTooLarge);
    let many: Vec<String> = (0..17)
        .map(|id| format!("INSERT INTO t SELECT {id}, repeat('x', 1000000)"))
        .collect();
    let transaction = format!("BEGIN; {}; COMMIT", many.join("; "));
    assert_eq!(
        code(&db, &root, &transaction).await,
        ErrorCode::StatementTooLarge
    );
    assert_eq!(db.rows(&root, "SELECT count(*) FROM t").await, r#"[["0"]]"#);
    db.run(&root, &many.join("; ")).await;
    assert_eq!(
        code(&db, &root, "UPDATE t SET x = x || 'y'").await,
        ErrorCode::StatementTooLarge
    );
    assert_eq!(
        db.rows(&root, "SELECT count(*), max(length(x)) FROM t")
            .await,
        r#"[["17",1000000]]"#
    );
    db.run(&root, "DELETE FROM t WHERE id >= 0").await;
}

#[tokio::test]
async fn i13_a_text_has_a_limit() {
    let db = limited(Limits {
        sql_bytes_max: 1_000,
        ..Limits::default()
    })
    .await;
    let sql = format!("SELECT '{}'", "x".repeat(1_000));
    assert_eq!(code(&db, &root(), &sql).await, ErrorCode::StatementTooLarge);
}

#[tokio::test(flavor = "multi_thread")]
async fn i13_time_is_limited_per_statement() {
    let db = limited(Limits {
        statement_timeout_ms: 300,
        ..Limits::default()
    })
    .await;
    let root = root();
    let slow = "(SELECT count(*) FROM generate_series(1, 10000000000))";
    for sql in [
        format!("SELECT {slow}"),
        format!("INSERT INTO t SELECT {slow}, 'x'"),
        format!("INSERT INTO t VALUES (1, 'x'); UPDATE t SET x = 'late' WHERE id < {slow}"),
        format!("DELETE FROM t WHERE id < {slow}"),
        format!("BEGIN; INSERT INTO t VALUES (2, 'x'); SELECT {slow}; COMMIT"),
        format!("EXPLAIN ANALYZE SELECT {slow}"),
    ] {
        assert_eq!(
            code(&db, &root, &sql).await,
            ErrorCode::StatementTimeout,
            "{sql}"
        );
    }
    assert_eq!(db.rows(&root, "SELECT * FROM t").await, r#"[[1,"x"]]"#);
}
