//! STREAM tables: append-only, per user or PUBLIC.

use kalam_link_core::{ErrorCode, Role};

use crate::exec_support::{alice, code, root};
use crate::plan_support::{Db, caller};

async fn streams() -> Db {
    let db = Db::open();
    let root = root();
    db.run(
        &root,
        "CREATE STREAM TABLE own (id INT PRIMARY KEY, n INT) WITH (TTL_SECONDS=600)",
    )
    .await;
    db.run(
        &root,
        "CREATE STREAM TABLE wall (id INT PRIMARY KEY, n INT) WITH (TTL_SECONDS=600, ACCESS_LEVEL='PUBLIC')",
    )
    .await;
    db.run(
        &root,
        "CREATE STREAM TABLE short (id INT, n INT) WITH (TTL_SECONDS=1)",
    )
    .await;
    db
}

#[tokio::test]
async fn rows_are_the_users_own_unless_public() {
    let db = streams().await;
    let bob = caller("bob", Role::User);
    for me in [&alice(), &bob] {
        db.run(me, "INSERT INTO own VALUES (1, 1)").await;
        db.run(me, "INSERT INTO wall VALUES (1, 1)").await;
    }
    assert_eq!(
        db.rows(&bob, "SELECT count(*) FROM own").await,
        r#"[["1"]]"#
    );
    db.run(&bob, "DELETE FROM own WHERE id = 1").await;
    assert_eq!(db.rows(&bob, "SELECT * FROM own").await, "[]");
    assert_eq!(db.rows(&alice(), "SELECT * FROM own").await, "[[1,1]]");
}

#[tokio::test]
async fn what_a_stream_cannot_do_says_so() {
    let db = streams().await;
    let root = root();
    for (sql, expected) in [
        ("UPDATE own SET n = 2 WHERE id = 1", ErrorCode::Unsupported),
        (
            "INSERT INTO own VALUES (1, 1) ON CONFLICT (id) DO NOTHING",
            ErrorCode::Unsupported,
        ),
        (
            "INSERT INTO own VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET n = 1",
            ErrorCode::Unsupported,
        ),
        ("CREATE STREAM TABLE x (id INT)", ErrorCode::InvalidSql),
        (
            "CREATE STREAM TABLE x (id INT) WITH (TTL_SECONDS=0)",
            ErrorCode::InvalidInput,
        ),
        (
            "ALTER TABLE own SET TBLPROPERTIES (ACCESS_LEVEL='PUBLIC')",
            ErrorCode::InvalidInput,
        ),
    ] {
        assert_eq!(code(&db, &root, sql).await, expected, "{sql}");
    }
    db.run(
        &root,
        "INSERT INTO own VALUES (1, 1), (1, 2) RETURNING _seq",
    )
    .await;
    assert_eq!(
        db.rows(&root, "SELECT count(*) FROM own WHERE id = 1")
            .await,
        r#"[["2"]]"#
    );
    db.run(
        &root,
        "BEGIN; INSERT INTO own VALUES (2, 1); INSERT INTO own VALUES (2, 2); COMMIT",
    )
    .await;
    assert_eq!(
        db.rows(&root, "SELECT count(*) FROM own").await,
        r#"[["4"]]"#
    );
    let deleted = db
        .ask(&root, "DELETE FROM own WHERE id = 2 RETURNING n", &[])
        .await
        .unwrap();
    assert_eq!(deleted.rows, "[[1],[2]]");
}

#[tokio::test]
async fn expired_rows_are_gone_at_once() {
    let db = streams().await;
    let root = root();
    db.run(&root, "INSERT INTO short VALUES (1, 1)").await;
    assert_eq!(db.rows(&root, "SELECT * FROM short").await, "[[1,1]]");
    tokio::time::sleep(std::time::Duration::from_millis(1_300)).await;
    assert_eq!(db.rows(&root, "SELECT * FROM short").await, "[]");
    let deleted = db
        .ask(&root, "DELETE FROM short WHERE n = 1", &[])
        .await
        .unwrap();
    assert_eq!(deleted.row_count, 0);
}

#[tokio::test]
async fn columns_of_a_stream_change_like_others() {
    let db = streams().await;
    let root = root();
    db.run(&root, "INSERT INTO own VALUES (1, 1)").await;
    db.run(&root, "ALTER TABLE own ADD COLUMN c TEXT DEFAULT 'x'")
        .await;
    db.run(&root, "INSERT INTO own VALUES (2, 2, NULL)").await;
    assert_eq!(
        db.rows(&root, "SELECT * FROM own ORDER BY id").await,
        r#"[[1,1,"x"],[2,2,null]]"#
    );
    let error = code(&db, &root, "ALTER TABLE own ALTER COLUMN c SET NOT NULL").await;
    assert_eq!(error, ErrorCode::ConstraintViolation);
}
