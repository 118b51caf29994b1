//! Request ids: the second try of a write returns the first answer.

use std::sync::Arc;

use kalam_link_core::ErrorCode;
use kalam_link_core::http::SqlRequest;
use serde_json::json;

use crate::exec_support::{alice, root, send, send_once};
use crate::plan_support::Db;

async fn table() -> Db {
    let db = Db::open();
    db.run(
        &root(),
        "CREATE SHARED TABLE t (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), n INT, at TIMESTAMP DEFAULT NOW(), u UUID DEFAULT UUID_V7())",
    )
    .await;
    db.run(
        &root(),
        "CREATE USER TABLE notes (id INT PRIMARY KEY, n INT)",
    )
    .await;
    db
}

#[tokio::test]
async fn a_repeated_write_gives_the_same_bytes() {
    let db = table().await;
    let root = root();
    for (id, sql) in [
        ("a", "INSERT INTO t (n) VALUES (1), (2) RETURNING *, _seq"),
        ("b", "INSERT INTO t (n) VALUES (1)"),
        ("c", "UPDATE t SET n = n + 1 RETURNING id, n, _seq"),
        ("d", "UPDATE t SET n = n + 1 WHERE n = 12345"),
        ("e", "DELETE FROM t WHERE n = 3 RETURNING id, _seq"),
        (
            "f",
            "BEGIN; INSERT INTO t (n) VALUES (50) RETURNING id; SELECT count(*) FROM notes; UPDATE notes SET n = 2 WHERE id = 2; COMMIT",
        ),
        (
            "g",
            "INSERT INTO t (id, n) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET n = t.n + 1 RETURNING n",
        ),
    ] {
        let first = send_once(&db, &root, id, sql).await.unwrap();
        let rows = db.rows(&root, "SELECT * FROM t ORDER BY id").await;
        for _ in 0..2 {
            assert_eq!(
                send_once(&db, &root, id, sql).await.unwrap(),
                first,
                "{sql}"
            );
        }
        let after = db.rows(&root, "SELECT * FROM t ORDER BY id").await;
        assert_eq!(after, rows, "{sql}");
    }
}

#[tokio::test]
async fn a_write_of_no_rows_stays_one_of_no_rows() {
    let db = table().await;
    let root = root();
    let sql = "UPDATE notes SET n = 1 WHERE id = 1";
    let first = send_once(&db, &root, "zero", sql).await.unwrap();
    db.run(&root, "INSERT INTO notes VALUES (1, 0)").await;
    assert_eq!(send_once(&db, &root, "zero", sql).await.unwrap(), first);
    let n = db.rows(&root, "SELECT n FROM notes WHERE id = 1").await;
    assert_eq!(n, "[[0]]");
}

#[tokio::test]
async fn another_statement_under_the_same_id_is_a_conflict() {
    let db = table().await;
    let root = root();
    let insert = "INSERT INTO notes VALUES ($1, 0)";
    let with = |sql: &str, param: serde_json::Value, namespace: Option<&str>| SqlRequest {
        sql: sql.to_owned(),
        params: Some(vec![param]),
        namespace_id: namespace.map(str::to_owned),
        request_id: Some("x".to_owned()),
    };
    send(&db, &root, &with(insert, json!(1), None))
        .await
        .unwrap();
    send(&db, &root, &with(insert, json!(1), None))
        .await
        .unwrap();
    for (sql, param) in [
        (insert, json!(2)),
        ("UPDATE notes SET n = $1", json!(1)),
        ("DELETE FROM notes WHERE id = $1", json!(1)),
    ] {
        let error = send(&db, &root, &with(sql, param, None)).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Conflict, "{sql}");
    }
    // The id is the user's own.
    send(&db, &alice(), &with(insert, json!(2), None))
        .await
        .unwrap();
    assert_eq!(db.rows(&root, "SELECT * FROM notes").await, "[[1,0]]");
    assert_eq!(db.rows(&alice(), "SELECT * FROM notes").await, "[[2,0]]");
}

#[tokio::test]
async fn each_statement_of_a_batch_is_repeatable_by_itself() {
    let db = table().await;
    let root = root();
    db.run(&root, "INSERT INTO notes VALUES (2, 0)").await;
    let batch = "INSERT INTO notes VALUES (1, 0); UPDATE notes SET n = n + 1 WHERE id = 1; INSERT INTO notes VALUES (2, 0)";
    for _ in 0..3 {
        let error = send_once(&db, &root, "batch", batch).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::ConstraintViolation);
        assert!(error.message.starts_with("Statement 3 failed"), "{error:?}");
        assert_eq!(
            db.rows(&root, "SELECT * FROM notes ORDER BY id").await,
            "[[1,1],[2,0]]"
        );
    }
    // What failed was not kept: it may succeed later.
    db.run(&root, "DELETE FROM notes WHERE id = 2").await;
    let first = send_once(&db, &root, "batch", batch).await.unwrap();
    assert_eq!(send_once(&db, &root, "batch", batch).await.unwrap(), first);
    assert_eq!(
        db.rows(&root, "SELECT * FROM notes ORDER BY id").await,
        "[[1,1],[2,0]]"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn i10_tries_at_the_same_time_write_once() {
    let db = Arc::new(table().await);
    db.run(&root(), "INSERT INTO notes VALUES (0, 0)").await;
    for (id, sql) in [
        ("a", "INSERT INTO t (n) VALUES (7) RETURNING *, _seq"),
        ("b", "UPDATE notes SET n = n + 1 WHERE id = 0 RETURNING n"),
        ("c", "UPDATE notes SET n = n + 1 WHERE n >= 0 RETURNING n"),
        (
            "d",
            "BEGIN; INSERT INTO notes VALUES (1, 1); UPDATE notes SET n = n + 1 WHERE id = 0; COMMIT",
        ),
    ] {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let db = Arc::clone(&db);
            tasks.spawn(async move { send_once(&db, &root(), id, sql).await });
        }
        let mut answers: Vec<String> = tasks
            .join_all()
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        answers.dedup();
        assert_eq!(answers.len(), 1, "{sql}: {answers:?}");
    }
    let root = root();
    assert_eq!(db.rows(&root, "SELECT count(*) FROM t").await, r#"[["1"]]"#);
    assert_eq!(
        db.rows(&root, "SELECT * FROM notes ORDER BY id").await,
        "[[0,3],[1,1]]"
    );
}

#[tokio::test]
async fn malformed_ids_are_refused() {
    let db = table().await;
    for id in ["", &"x".repeat(129)] {
        let error = send_once(&db, &root(), id, "INSERT INTO notes VALUES (1, 1)")
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidInput);
    }
    assert_eq!(db.rows(&root(), "SELECT * FROM notes").await, "[]");
}
