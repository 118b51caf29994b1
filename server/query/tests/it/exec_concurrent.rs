//! Writers of the same rows at the same time (I10).

use std::sync::Arc;

use futures::FutureExt as _;
use kalam_link_core::{ErrorCode, ServerError};
use tokio::task::JoinSet;

use crate::exec_support::root;
use crate::plan_support::Db;

async fn counter() -> Arc<Db> {
    let db = Arc::new(Db::open());
    let root = root();
    db.run(
        &root,
        "CREATE SHARED TABLE t (id INT PRIMARY KEY, name TEXT, n BIGINT)",
    )
    .await;
    db.run(&root, "INSERT INTO t VALUES (1, 'one', 0), (2, 'two', 0)")
        .await;
    db
}

/// Runs all statements at the same time; gives row count or error of each.
async fn race(
    db: &Arc<Db>,
    statements: impl Iterator<Item = String>,
) -> Vec<Result<u64, ServerError>> {
    let mut tasks = JoinSet::new();
    for sql in statements {
        let db = Arc::clone(db);
        tasks.spawn(async move {
            let reply = db.ask(&root(), &sql, &[]).await;
            reply.map(|reply| reply.row_count)
        });
    }
    tasks.join_all().await
}

#[tokio::test(flavor = "multi_thread")]
async fn i10_updates_of_one_row_all_count() {
    for filter in ["id = 1", "name = 'one'", "name LIKE 'o%' AND n >= 0"] {
        let db = counter().await;
        let sql = format!("UPDATE t SET n = n + 1 WHERE {filter}");
        let answers = race(&db, std::iter::repeat_n(sql, 50)).await;
        for answer in answers {
            assert_eq!(answer.unwrap(), 1, "{filter}");
        }
        let n = db.rows(&root(), "SELECT n FROM t ORDER BY id").await;
        assert_eq!(n, r#"[["50"],["0"]]"#, "{filter}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i10_updates_of_two_rows_in_any_order_do_not_block_each_other() {
    let db = counter().await;
    let statements = (0..40).map(|index| {
        match index % 4 {
            0 => "UPDATE t SET n = n + 1 WHERE id IN (1, 2)",
            1 => "UPDATE t SET n = n + 1 WHERE id IN (2, 1)",
            2 => "UPDATE t SET n = n + 1",
            _ => {
                "BEGIN; UPDATE t SET n = n + 1 WHERE id = 2; UPDATE t SET n = n + 1 WHERE id = 1; COMMIT"
            }
        }
        .to_owned()
    });
    for answer in race(&db, statements).await {
        answer.unwrap();
    }
    let n = db.rows(&root(), "SELECT n FROM t ORDER BY id").await;
    assert_eq!(n, r#"[["40"],["40"]]"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn i10_transactions_move_amounts_without_loss() {
    let db = counter().await;
    let statements = (0..50).map(|index| {
        let (from, to) = if index % 2 == 0 { (1, 2) } else { (2, 1) };
        format!(
            "BEGIN; UPDATE t SET n = n - {index} WHERE id = {from}; UPDATE t SET n = n + {index} WHERE id = {to}; COMMIT"
        )
    });
    for answer in race(&db, statements).await {
        answer.unwrap();
    }
    let n = db.rows(&root(), "SELECT sum(n), max(n) FROM t").await;
    assert_eq!(n, r#"[["0","25"]]"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_inserts_of_a_key_wins() {
    let db = counter().await;
    let inserts = (0..50).map(|n| format!("INSERT INTO t VALUES (7, 'seven', {n})"));
    let (won, lost): (Vec<_>, Vec<_>) = race(&db, inserts)
        .await
        .into_iter()
        .partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 49));
    for answer in lost {
        let error = answer.unwrap_err();
        assert_eq!(error.code, ErrorCode::ConstraintViolation);
        assert!(error.message.contains("Primary key violation"), "{error:?}");
    }
    assert_eq!(
        db.rows(&root(), "SELECT count(*) FROM t WHERE id = 7")
            .await,
        r#"[["1"]]"#
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn i10_upserts_of_one_key_all_count() {
    let db = counter().await;
    let upsert =
        "INSERT INTO t VALUES (9, 'nine', 1) ON CONFLICT (id) DO UPDATE SET n = t.n + excluded.n";
    for answer in race(&db, std::iter::repeat_n(upsert.to_owned(), 50)).await {
        assert_eq!(answer.unwrap(), 1);
    }
    assert_eq!(
        db.rows(&root(), "SELECT n FROM t WHERE id = 9").await,
        r#"[["50"]]"#
    );
    let nothing = "INSERT INTO t VALUES (10, 'ten', 1) ON CONFLICT DO NOTHING";
    let counts = race(&db, std::iter::repeat_n(nothing.to_owned(), 50)).await;
    let inserted: u64 = counts.into_iter().map(Result::unwrap).sum();
    assert_eq!(inserted, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn i10_upserts_deletes_and_inserts_of_one_key_never_conflict() {
    let db = counter().await;
    let statements = (0..60).map(|index| {
        match index % 3 {
            0 => "INSERT INTO t VALUES (9, 'nine', 1) ON CONFLICT (id) DO UPDATE SET n = t.n + 1",
            1 => "DELETE FROM t WHERE name = 'nine'",
            _ => "INSERT INTO t VALUES (9, 'nine', 1)",
        }
        .to_owned()
    });
    for answer in race(&db, statements).await {
        if let Err(error) = answer {
            assert_eq!(error.code, ErrorCode::ConstraintViolation, "{error:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i10_alter_while_writing_loses_nothing() {
    let db = counter().await;
    let writes = (0..60).map(|index| match index % 3 {
        0 => "UPDATE t SET n = n + 1 WHERE id = 1".to_owned(),
        1 => "UPDATE t SET n = n + 1 WHERE name = 'one'".to_owned(),
        _ => format!(
            "INSERT INTO t (id, name, n) VALUES ({}, 'more', 0)",
            100 + index
        ),
    });
    let alters = (0..6).map(|index| match index % 3 {
        0 => format!("ALTER TABLE t ADD COLUMN c{index} TEXT DEFAULT 'x'"),
        1 => format!("ALTER TABLE t ADD COLUMN c{index} INT NOT NULL DEFAULT 7"),
        _ => "ALTER TABLE t ALTER COLUMN n SET NOT NULL".to_owned(),
    });
    let mut statements: Vec<String> = writes.collect();
    for (index, alter) in alters.enumerate() {
        statements.insert(index * 10, alter);
    }
    for answer in race(&db, statements.into_iter()).await {
        answer.unwrap();
    }
    let root = root();
    assert_eq!(
        db.rows(&root, "SELECT n FROM t WHERE id = 1").await,
        r#"[["40"]]"#
    );
    assert_eq!(
        db.rows(&root, "SELECT count(*), min(c1), max(c4), min(c0) FROM t")
            .await,
        r#"[["22",7,7,"x"]]"#
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn set_not_null_and_writes_of_null_exclude_each_other() {
    for _ in 0..10 {
        let db = counter().await;
        let mut statements = vec!["UPDATE t SET name = NULL WHERE id = 1".to_owned(); 4];
        statements.insert(2, "ALTER TABLE t ALTER COLUMN name SET NOT NULL".to_owned());
        for answer in race(&db, statements.into_iter()).await {
            if let Err(error) = answer {
                assert_eq!(error.code, ErrorCode::ConstraintViolation, "{error:?}");
            }
        }
        let root = root();
        let nullable = db
            .rows(&root, "SELECT is_nullable FROM information_schema.columns WHERE table_name = 't' AND column_name = 'name'")
            .await;
        let nulls = db
            .rows(&root, "SELECT count(*) FROM t WHERE name IS NULL")
            .await;
        let agree = (nullable == r#"[["NO"]]"#) == (nulls == r#"[["0"]]"#);
        assert!(agree, "{nullable} {nulls}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_table_while_writing_leaves_no_rows_behind() {
    let db = counter().await;
    let mut statements: Vec<String> = (100..160)
        .map(|id| format!("INSERT INTO t VALUES ({id}, 'x', 1)"))
        .collect();
    statements.insert(20, "DROP TABLE t".to_owned());
    for answer in race(&db, statements.into_iter()).await {
        if let Err(error) = answer {
            assert_eq!(error.code, ErrorCode::TableNotFound, "{error:?}");
        }
    }
    let root = root();
    db.run(
        &root,
        "CREATE SHARED TABLE t (id INT PRIMARY KEY, name TEXT, n BIGINT)",
    )
    .await;
    assert_eq!(db.rows(&root, "SELECT * FROM t").await, "[]");
}

#[tokio::test(flavor = "multi_thread")]
async fn set_not_null_sees_writes_whose_client_went_away() {
    for id in 100..130 {
        let db = counter().await;
        let root = root();
        let insert = format!("INSERT INTO t VALUES ({id}, NULL, 0)");
        // Polled once, which sends the write, and dropped.
        let _ = db.ask(&root, &insert, &[]).now_or_never();
        let altered = db
            .ask(&root, "ALTER TABLE t ALTER COLUMN name SET NOT NULL", &[])
            .await;
        let nulls = db
            .rows(&root, "SELECT count(*) FROM t WHERE name IS NULL")
            .await;
        assert_eq!(
            altered.is_ok(),
            nulls == r#"[["0"]]"#,
            "{altered:?} {nulls}"
        );
    }
}
