//! ALTER with rows of older versions, DROP, namespaces and views.

use kalam_link_core::ErrorCode;

use crate::exec_support::{code, root};
use crate::plan_support::Db;

async fn table() -> Db {
    let db = Db::open();
    let root = root();
    db.run(
        &root,
        "CREATE SHARED TABLE t (id INT PRIMARY KEY, s SMALLINT, f FLOAT, p DECIMAL(5,2), v VARCHAR(3), x TEXT)",
    )
    .await;
    db.run(
        &root,
        "INSERT INTO t VALUES (1, 1, 0.1, 123.45, 'abc', 'old'), (2, NULL, NULL, NULL, NULL, NULL)",
    )
    .await;
    db
}

/// The same rows by the planner and by key.
async fn both(db: &Db, columns: &str) -> String {
    let root = root();
    let planned = db
        .rows(&root, &format!("SELECT {columns} FROM t ORDER BY id"))
        .await;
    let by_key = db
        .rows(
            &root,
            &format!("SELECT {columns} FROM t WHERE id IN (1, 2, 3, 4, 5)"),
        )
        .await;
    assert_eq!(planned, by_key, "{columns}");
    planned
}

#[tokio::test]
async fn a_new_column_has_its_default_of_that_moment_in_old_rows() {
    let db = table().await;
    let root = root();
    db.run(&root, "ALTER TABLE t ADD COLUMN a INT DEFAULT 7")
        .await;
    db.run(
        &root,
        "ALTER TABLE t ADD COLUMN at TIMESTAMP NOT NULL DEFAULT NOW()",
    )
    .await;
    db.run(&root, "ALTER TABLE t ADD COLUMN b TEXT").await;
    let first = both(&db, "a, at, b").await;
    db.run(&root, "ALTER TABLE t ALTER COLUMN a SET DEFAULT 8")
        .await;
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    assert_eq!(both(&db, "a, at, b").await, first);
    db.run(&root, "INSERT INTO t (id) VALUES (3)").await;
    db.run(&root, "ALTER TABLE t ALTER COLUMN a DROP DEFAULT")
        .await;
    db.run(&root, "INSERT INTO t (id) VALUES (4)").await;
    assert_eq!(both(&db, "a").await, "[[7],[7],[8],[null]]");
    let later = db
        .rows(
            &root,
            "SELECT count(*) FROM t WHERE id > 2 AND at > (SELECT at FROM t WHERE id = 1)",
        )
        .await;
    assert_eq!(later, r#"[["2"]]"#);
    // An old row that is written again keeps the value.
    db.run(&root, "UPDATE t SET x = 'new' WHERE id = 1").await;
    assert_eq!(both(&db, "a").await, "[[7],[7],[8],[null]]");
    let unchanged = db
        .rows(&root, "SELECT count(DISTINCT at) FROM t WHERE id < 3")
        .await;
    assert_eq!(unchanged, r#"[["1"]]"#);
}

#[tokio::test]
async fn a_renamed_column_keeps_its_values() {
    let db = table().await;
    let root = root();
    db.run(&root, "ALTER TABLE t RENAME COLUMN x TO y").await;
    db.run(&root, "ALTER TABLE t RENAME COLUMN v TO x").await;
    assert_eq!(both(&db, "x, y").await, r#"[["abc","old"],[null,null]]"#);
    assert_eq!(
        code(&db, &root, "SELECT v FROM t").await,
        ErrorCode::InvalidSql
    );
    assert_eq!(
        code(&db, &root, "ALTER TABLE t RENAME COLUMN x TO y").await,
        ErrorCode::AlreadyExists
    );
    assert_eq!(
        code(&db, &root, "ALTER TABLE t RENAME COLUMN x TO _y").await,
        ErrorCode::InvalidInput
    );
    db.run(&root, "ALTER TABLE t RENAME COLUMN id TO key").await;
    let row = db.rows(&root, "SELECT y FROM t WHERE key = 1").await;
    assert_eq!(row, r#"[["old"]]"#);
}

#[tokio::test]
async fn a_dropped_column_does_not_come_back() {
    let db = table().await;
    let root = root();
    db.run(&root, "ALTER TABLE t DROP COLUMN x").await;
    assert_eq!(
        code(&db, &root, "SELECT x FROM t").await,
        ErrorCode::InvalidSql
    );
    db.run(&root, "ALTER TABLE t ADD COLUMN x INT").await;
    assert_eq!(both(&db, "id, x").await, "[[1,null],[2,null]]");
    db.run(&root, "UPDATE t SET x = 5 WHERE id = 1").await;
    db.run(&root, "ALTER TABLE t DROP COLUMN x").await;
    db.run(&root, "ALTER TABLE t ADD COLUMN x INT DEFAULT 6")
        .await;
    assert_eq!(both(&db, "id, x").await, "[[1,6],[2,6]]");
    assert_eq!(
        code(&db, &root, "ALTER TABLE t DROP COLUMN id").await,
        ErrorCode::InvalidSql
    );
    db.run(&root, "ALTER TABLE t DROP COLUMN IF EXISTS nope")
        .await;
    db.run(&root, "ALTER TABLE t ADD COLUMN IF NOT EXISTS x TEXT")
        .await;
    assert_eq!(
        code(&db, &root, "ALTER TABLE t ADD COLUMN x TEXT").await,
        ErrorCode::AlreadyExists
    );
}

#[tokio::test]
async fn a_column_gets_wider() {
    let db = table().await;
    let root = root();
    for (change, expected) in [
        ("s INT", "[[1],[null]]"),
        ("s BIGINT", r#"[["1"],[null]]"#),
        ("p DECIMAL(12,4)", r#"[["123.4500"],[null]]"#),
        ("v VARCHAR(10)", r#"[["abc"],[null]]"#),
        ("v TEXT", r#"[["abc"],[null]]"#),
    ] {
        db.run(&root, &format!("ALTER TABLE t MODIFY COLUMN {change}"))
            .await;
        let column = change.split(' ').next().unwrap();
        assert_eq!(both(&db, column).await, expected, "{change}");
    }
    db.run(
        &root,
        "INSERT INTO t VALUES (3, 9223372036854775807, 0.1, 12345678.1234, 'longer than 10', NULL)",
    )
    .await;
    for filter in [
        "p = 123.45",
        "s = 1 AND id < 5",
        "v = 'abc'",
        "p < 124 AND p > 123",
        "p = 123.4500 AND id = 1",
    ] {
        let sql = format!("SELECT id FROM t WHERE {filter}");
        assert_eq!(db.rows(&root, &sql).await, "[[1]]", "{filter}");
    }
    assert_eq!(
        db.rows(&root, "SELECT max(s), max(p) FROM t").await,
        r#"[["9223372036854775807","12345678.1234"]]"#
    );
    db.run(&root, "ALTER TABLE t MODIFY COLUMN f DOUBLE").await;
    let f = db
        .rows(
            &root,
            "SELECT f > 0.0999 AND f < 0.1001 FROM t WHERE id = 1",
        )
        .await;
    assert_eq!(f, "[[true]]");
    for narrower in [
        "s INT",
        "p DECIMAL(12,2)",
        "p DECIMAL(11,4)",
        "p DECIMAL(12,5)",
        "v VARCHAR(10)",
        "f FLOAT",
        "x INT",
        "s TEXT",
        "x JSON",
    ] {
        let sql = format!("ALTER TABLE t MODIFY COLUMN {narrower}");
        assert_eq!(
            code(&db, &root, &sql).await,
            ErrorCode::InvalidInput,
            "{sql}"
        );
    }
    let key = code(&db, &root, "ALTER TABLE t MODIFY COLUMN id BIGINT").await;
    assert_eq!(key, ErrorCode::InvalidSql);
}

#[tokio::test]
async fn not_null_looks_at_the_rows() {
    let db = table().await;
    let root = root();
    for sql in [
        "ALTER TABLE t ALTER COLUMN x SET NOT NULL",
        "ALTER TABLE t MODIFY COLUMN x TEXT NOT NULL",
        "ALTER TABLE t ADD COLUMN c INT NOT NULL",
    ] {
        let error = db.error(&root, sql).await;
        assert_eq!(error.code, ErrorCode::ConstraintViolation, "{sql}");
        assert!(error.message.contains("cannot be null"), "{error:?}");
    }
    // Rows from before the column have none of it either.
    db.run(&root, "ALTER TABLE t ADD COLUMN c INT").await;
    db.run(&root, "UPDATE t SET c = 1 WHERE id = 1").await;
    let error = code(&db, &root, "ALTER TABLE t ALTER COLUMN c SET NOT NULL").await;
    assert_eq!(error, ErrorCode::ConstraintViolation);
    db.run(&root, "UPDATE t SET c = 2, x = 'x' WHERE id = 2")
        .await;
    db.run(&root, "ALTER TABLE t ALTER COLUMN c SET NOT NULL")
        .await;
    db.run(&root, "ALTER TABLE t MODIFY COLUMN x TEXT NOT NULL")
        .await;
    for sql in [
        "INSERT INTO t (id, x) VALUES (3, 'x')",
        "INSERT INTO t (id, c) SELECT 3, 3",
        "UPDATE t SET c = NULL WHERE id = 1",
        "UPDATE t SET c = NULL WHERE x = 'old'",
        "INSERT INTO t (id, c, x) VALUES (1, 1, 'x') ON CONFLICT (id) DO UPDATE SET x = NULL",
    ] {
        let error = db.error(&root, sql).await;
        assert_eq!(error.code, ErrorCode::ConstraintViolation, "{sql}");
        assert!(error.message.contains("cannot be null"), "{error:?}");
    }
    db.run(&root, "ALTER TABLE t ALTER COLUMN c DROP NOT NULL")
        .await;
    db.run(&root, "UPDATE t SET c = NULL WHERE id = 1").await;
}

#[tokio::test]
async fn statements_compiled_before_a_change_are_compiled_again() {
    let db = table().await;
    let root = root();
    let reads = [
        "SELECT * FROM t WHERE id = 1",
        "SELECT * FROM t ORDER BY id LIMIT 1",
    ];
    let insert = "INSERT INTO t VALUES (3, 1, 1, 1, 'a', 'b') ON CONFLICT (id) DO UPDATE SET x = excluded.x RETURNING *";
    for sql in reads {
        assert_eq!(
            db.rows(&root, sql).await,
            r#"[[1,1,0.1,"123.45","abc","old"]]"#
        );
    }
    db.run(&root, insert).await;
    db.run(&root, "ALTER TABLE t DROP COLUMN s").await;
    db.run(&root, "ALTER TABLE t ADD COLUMN z INT DEFAULT 5")
        .await;
    for sql in reads {
        assert_eq!(
            db.rows(&root, sql).await,
            r#"[[1,0.1,"123.45","abc","old",5]]"#
        );
    }
    let error = code(&db, &root, insert).await;
    assert_ne!(error, ErrorCode::InternalError);
    db.run(&root, "DROP TABLE t").await;
    for sql in reads {
        assert_eq!(code(&db, &root, sql).await, ErrorCode::TableNotFound);
    }
    db.run(&root, "CREATE SHARED TABLE t (x TEXT, id INT PRIMARY KEY)")
        .await;
    for sql in reads {
        assert_eq!(db.rows(&root, sql).await, "[]", "old rows");
    }
    db.run(&root, "INSERT INTO t VALUES ('n', 1)").await;
    for sql in reads {
        assert_eq!(db.rows(&root, sql).await, r#"[["n",1]]"#);
    }
}

#[tokio::test]
async fn a_namespace_goes_with_all_that_it_holds() {
    let db = Db::open();
    let root = root();
    for sql in [
        "CREATE NAMESPACE n",
        "CREATE SHARED TABLE n.t (id INT PRIMARY KEY)",
        "INSERT INTO n.t VALUES (1)",
        "CREATE VIEW n.v AS SELECT * FROM t",
        "CREATE VIEW n.w AS SELECT * FROM n.v",
    ] {
        db.run(&root, sql).await;
    }
    let error = db.error(&root, "DROP NAMESPACE n").await;
    assert!(error.hint.is_some_and(|hint| hint.contains("CASCADE")));
    assert_eq!(db.rows(&root, "SELECT * FROM n.w").await, "[[1]]");
    db.run(&root, "DROP NAMESPACE n CASCADE").await;
    for sql in [
        "SELECT * FROM n.t",
        "SELECT * FROM n.v",
        "INSERT INTO n.t VALUES (1)",
    ] {
        assert_eq!(
            code(&db, &root, sql).await,
            ErrorCode::TableNotFound,
            "{sql}"
        );
    }
    assert_eq!(
        code(&db, &root, "DROP NAMESPACE n").await,
        ErrorCode::NamespaceNotFound
    );
    let missing = code(&db, &root, "CREATE SHARED TABLE n.t (id INT PRIMARY KEY)").await;
    assert_eq!(missing, ErrorCode::NamespaceNotFound);
    db.run(&root, "CREATE NAMESPACE n").await;
    db.run(&root, "CREATE SHARED TABLE n.t (id INT PRIMARY KEY)")
        .await;
    assert_eq!(db.rows(&root, "SELECT * FROM n.t").await, "[]");
    assert_eq!(
        code(&db, &root, "SELECT * FROM n.v").await,
        ErrorCode::TableNotFound
    );
}

#[tokio::test]
async fn views_cannot_read_themselves() {
    let db = table().await;
    let root = root();
    db.run(&root, "CREATE VIEW a AS SELECT id FROM t").await;
    db.run(&root, "CREATE VIEW b AS SELECT id FROM a").await;
    for sql in [
        "CREATE OR REPLACE VIEW a AS SELECT id FROM b",
        "CREATE OR REPLACE VIEW a AS SELECT id FROM a",
        "CREATE OR REPLACE VIEW a AS SELECT id FROM t WHERE id IN (SELECT id FROM default.b)",
    ] {
        assert_eq!(
            code(&db, &root, sql).await,
            ErrorCode::InvalidInput,
            "{sql}"
        );
    }
    assert_eq!(
        code(&db, &root, "CREATE VIEW a AS SELECT 1 AS x").await,
        ErrorCode::AlreadyExists
    );
    assert_eq!(
        code(&db, &root, "CREATE VIEW t AS SELECT 1 AS x").await,
        ErrorCode::AlreadyExists
    );
    assert_eq!(
        code(&db, &root, "CREATE SHARED TABLE a (id INT PRIMARY KEY)").await,
        ErrorCode::AlreadyExists
    );
    assert_eq!(
        code(&db, &root, "CREATE VIEW c AS SELECT * FROM missing").await,
        ErrorCode::TableNotFound
    );
    assert_eq!(
        code(&db, &root, "DROP TABLE a").await,
        ErrorCode::InvalidSql
    );
    assert_eq!(
        db.rows(&root, "SELECT * FROM b ORDER BY id").await,
        "[[1],[2]]"
    );
    db.run(&root, "DROP TABLE t").await;
    assert_eq!(
        code(&db, &root, "SELECT * FROM b").await,
        ErrorCode::TableNotFound
    );
    db.run(&root, "CREATE SHARED TABLE t (id INT PRIMARY KEY)")
        .await;
    assert_eq!(db.rows(&root, "SELECT * FROM b").await, "[]");
    // A view that was made through a table of the same name cannot become a cycle either.
    db.run(&root, "DROP VIEW a").await;
    let cycle = code(&db, &root, "CREATE VIEW a AS SELECT id FROM b").await;
    assert!(
        matches!(cycle, ErrorCode::InvalidInput | ErrorCode::TableNotFound),
        "{cycle:?}"
    );
}
