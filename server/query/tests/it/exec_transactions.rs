//! BEGIN … COMMIT within one request.

use kalam_link_core::{ErrorCode, Role};

use crate::exec_support::{alice, code, root, send};
use crate::plan_support::{Db, caller};

async fn two_tables() -> Db {
    let db = Db::open();
    let root = root();
    db.run(&root, "CREATE SHARED TABLE t (id INT PRIMARY KEY, n INT)")
        .await;
    db.run(&root, "CREATE SHARED TABLE u (id INT PRIMARY KEY, n INT)")
        .await;
    db.run(&root, "INSERT INTO t VALUES (1, 10), (2, 20)").await;
    db
}

async fn content(db: &Db) -> String {
    let root = root();
    let t = db.rows(&root, "SELECT * FROM t ORDER BY id").await;
    let u = db.rows(&root, "SELECT * FROM u ORDER BY id").await;
    format!("{t} {u}")
}

#[tokio::test]
async fn i3_all_statements_happen_or_none() {
    let db = two_tables().await;
    let root = root();
    db.run(
        &root,
        "BEGIN; INSERT INTO t VALUES (3, 30); UPDATE t SET n = 11 WHERE id = 1; DELETE FROM t WHERE id = 2; INSERT INTO u VALUES (1, 1); COMMIT",
    )
    .await;
    let after = "[[1,11],[3,30]] [[1,1]]";
    assert_eq!(content(&db).await, after);
    for (sql, expected) in [
        (
            "BEGIN; INSERT INTO t VALUES (4, 4); INSERT INTO u VALUES (1, 1); COMMIT",
            ErrorCode::ConstraintViolation,
        ),
        (
            "BEGIN; UPDATE t SET n = 0 WHERE id = 1; INSERT INTO u VALUES (1, 1); COMMIT",
            ErrorCode::ConstraintViolation,
        ),
        (
            "BEGIN; INSERT INTO t VALUES (4, 4); UPDATE t SET n = n / 0 WHERE id = 1; COMMIT",
            ErrorCode::SqlExecutionError,
        ),
        (
            "BEGIN; INSERT INTO t VALUES (4, 4); INSERT INTO missing VALUES (1); COMMIT",
            ErrorCode::TableNotFound,
        ),
        (
            "BEGIN; DELETE FROM t WHERE id = 1; SELECT nope FROM u; COMMIT",
            ErrorCode::InvalidSql,
        ),
        (
            "BEGIN; INSERT INTO t VALUES (4, 4); CREATE NAMESPACE x; COMMIT",
            ErrorCode::Unsupported,
        ),
        ("BEGIN; INSERT INTO t VALUES (4, 4)", ErrorCode::InvalidSql),
        (
            "BEGIN; INSERT INTO t VALUES (4, 4); BEGIN; COMMIT",
            ErrorCode::InvalidSql,
        ),
        (
            "BEGIN; INSERT INTO t VALUES (4, NULL), (NULL, 4); COMMIT",
            ErrorCode::ConstraintViolation,
        ),
    ] {
        assert_eq!(code(&db, &root, sql).await, expected, "{sql}");
        assert_eq!(content(&db).await, after, "{sql}");
    }
    db.run(
        &root,
        "BEGIN; INSERT INTO t VALUES (4, 4); DELETE FROM t WHERE id = 1; ROLLBACK",
    )
    .await;
    assert_eq!(content(&db).await, after);
}

#[tokio::test]
async fn an_error_names_its_statement() {
    let db = two_tables().await;
    let error = db
        .error(
            &root(),
            "BEGIN; UPDATE t SET n = 0 WHERE id = 2; INSERT INTO t VALUES (1, 1); COMMIT",
        )
        .await;
    assert_eq!(error.code, ErrorCode::ConstraintViolation);
    assert!(
        error
            .message
            .starts_with("Statement 3 failed: Primary key violation"),
        "{error:?}"
    );
    let error = db
        .error(
            &root(),
            "INSERT INTO u VALUES (5, 5); BEGIN; SELECT 1; INSERT INTO t VALUES (9, 'x'); COMMIT",
        )
        .await;
    assert!(
        error.message.starts_with("Statement 4 failed: "),
        "{error:?}"
    );
    assert_eq!(content(&db).await, "[[1,10],[2,20]] [[5,5]]");
}

#[tokio::test]
async fn later_statements_see_earlier_writes_by_key() {
    let db = two_tables().await;
    let root = root();
    for (inside, after) in [
        (
            "INSERT INTO t VALUES (3, 1); UPDATE t SET n = n + 1 WHERE id = 3",
            "[[1,10],[2,20],[3,2]]",
        ),
        (
            "INSERT INTO t VALUES (4, 1); DELETE FROM t WHERE id = 4",
            "[[1,10],[2,20],[3,2]]",
        ),
        (
            "DELETE FROM t WHERE id = 3; INSERT INTO t VALUES (3, 30)",
            "[[1,10],[2,20],[3,30]]",
        ),
        (
            "UPDATE t SET n = n + 1 WHERE id = 3; UPDATE t SET n = n + 1 WHERE id = 3",
            "[[1,10],[2,20],[3,32]]",
        ),
        (
            "UPDATE t SET n = 0 WHERE id = 3; DELETE FROM t WHERE id = 3",
            "[[1,10],[2,20]]",
        ),
        (
            "DELETE FROM t WHERE id = 2; UPDATE t SET n = 5 WHERE id = 2",
            "[[1,10]]",
        ),
        (
            "INSERT INTO t VALUES (2, 1) ON CONFLICT DO NOTHING; INSERT INTO t VALUES (2, 9) ON CONFLICT (id) DO UPDATE SET n = t.n + excluded.n",
            "[[1,10],[2,10]]",
        ),
        (
            "INSERT INTO t VALUES (5, 1); DELETE FROM t WHERE id = 5; INSERT INTO t VALUES (5, 2)",
            "[[1,10],[2,10],[5,2]]",
        ),
    ] {
        db.run(&root, &format!("BEGIN; {inside}; COMMIT")).await;
        let rows = db.rows(&root, "SELECT * FROM t ORDER BY id").await;
        assert_eq!(rows, after, "{inside}");
    }
}

#[tokio::test]
async fn inserting_an_existing_key_is_a_violation_whatever_comes_later() {
    let db = two_tables().await;
    for inside in [
        "INSERT INTO t VALUES (1, 1); DELETE FROM t WHERE id = 1",
        "INSERT INTO t VALUES (1, 1); UPDATE t SET n = 5 WHERE id = 1",
        "UPDATE t SET n = 5 WHERE id = 2; INSERT INTO t VALUES (1, 1)",
        "INSERT INTO t VALUES (7, 1); INSERT INTO t VALUES (7, 1)",
    ] {
        let sql = format!("BEGIN; {inside}; COMMIT");
        let error = db.error(&root(), &sql).await;
        assert_eq!(error.code, ErrorCode::ConstraintViolation, "{sql}");
        assert!(error.message.contains("Primary key violation"), "{error:?}");
    }
    assert_eq!(content(&db).await, "[[1,10],[2,20]] []");
}

#[tokio::test]
async fn reads_see_own_writes_or_are_refused() {
    let db = two_tables().await;
    let root = root();
    let request = kalam_link_core::http::SqlRequest {
        sql: "BEGIN; UPDATE t SET n = 99 WHERE id = 1; SELECT n FROM t WHERE id = 1; SELECT count(*) FROM u; COMMIT"
            .to_owned(),
        ..Default::default()
    };
    let answer = send(&db, &root, &request).await.unwrap();
    assert!(answer.contains(r#""rows":[[99]]"#), "{answer}");
    assert!(answer.contains(r#""rows":[["0"]]"#), "{answer}");
    db.run(&root, "CREATE VIEW v AS SELECT * FROM t").await;
    for read in [
        "SELECT count(*) FROM t",
        "SELECT * FROM v",
        "SELECT * FROM u WHERE id IN (SELECT id FROM t)",
        "UPDATE t SET n = 0 WHERE n = 99",
        "DELETE FROM t WHERE n = 99",
        "INSERT INTO u SELECT * FROM t",
        "INSERT INTO u VALUES (5, (SELECT max(n) FROM t))",
        "UPDATE u SET n = (SELECT max(n) FROM t) WHERE id = 1",
        "DELETE FROM u WHERE id IN (SELECT id FROM t)",
        "WITH w AS (SELECT * FROM t) SELECT * FROM w",
    ] {
        let sql = format!("BEGIN; UPDATE t SET n = 98 WHERE id = 1; {read}; COMMIT");
        match db.ask(&root, &sql, &[]).await {
            Err(error) => assert_eq!(error.code, ErrorCode::Unsupported, "{read}: {error:?}"),
            Ok(_) => panic!("{read} read past the transaction"),
        }
    }
    assert_eq!(content(&db).await, "[[1,99],[2,20]] []");
}

#[tokio::test]
async fn one_transaction_spans_tables_and_users_of_a_node() {
    let db = two_tables().await;
    let root = root();
    db.run(&root, "CREATE USER 'alice' INTERNAL ROLE user")
        .await;
    db.run(&root, "CREATE USER TABLE notes (id INT PRIMARY KEY)")
        .await;
    db.run(
        &root,
        "BEGIN; INSERT INTO notes VALUES (1); EXECUTE AS USER 'alice' (INSERT INTO notes VALUES (1)); INSERT INTO u VALUES (1, 1); COMMIT",
    )
    .await;
    assert_eq!(db.rows(&alice(), "SELECT * FROM notes").await, "[[1]]");
    assert_eq!(db.rows(&root, "SELECT * FROM notes").await, "[[1]]");
    let service = caller("svc", Role::Service);
    let sql = "BEGIN; INSERT INTO u VALUES (2, 2); EXECUTE AS USER 'root' (INSERT INTO notes VALUES (2)); COMMIT";
    assert_eq!(code(&db, &service, sql).await, ErrorCode::PermissionDenied);
    assert_eq!(db.rows(&root, "SELECT id FROM u").await, "[[1]]");
}

#[tokio::test]
async fn results_of_a_failed_transaction_are_not_answered() {
    let db = two_tables().await;
    let request = kalam_link_core::http::SqlRequest {
        sql: "INSERT INTO u VALUES (1, 1); BEGIN; INSERT INTO u VALUES (2, 2) RETURNING id; INSERT INTO u VALUES (1, 1); COMMIT; INSERT INTO u VALUES (3, 3)"
            .to_owned(),
        ..Default::default()
    };
    let outcome = db
        .executor
        .execute(&root(), &request, &kalam_query::RequestMeta::default())
        .await;
    assert_eq!(outcome.results.len(), 1);
    assert_eq!(outcome.error.unwrap().code, ErrorCode::ConstraintViolation);
    assert_eq!(db.rows(&root(), "SELECT id FROM u").await, "[[1]]");
}

#[tokio::test]
async fn returning_gives_the_numbers_that_the_rows_get() {
    let db = two_tables().await;
    let request = kalam_link_core::http::SqlRequest {
        sql: "BEGIN; INSERT INTO u VALUES (1, 1), (2, 2) RETURNING id, _seq; UPDATE t SET n = 1 WHERE id = 1 RETURNING _seq; COMMIT"
            .to_owned(),
        ..Default::default()
    };
    let answer = send(&db, &root(), &request).await.unwrap();
    let results: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let stored = db.rows(&root(), "SELECT id, _seq FROM u ORDER BY id").await;
    assert_eq!(results[1]["rows"].to_string(), stored);
    let stored = db.rows(&root(), "SELECT _seq FROM t WHERE id = 1").await;
    assert_eq!(results[2]["rows"].to_string(), stored);
}
