//! Values as users write them: decimals, numbers out of range, text for numbers and times, UUIDs. Each filter is asked
//! for by key, where no planner is involved, and through the planner.

use kalam_link_core::ErrorCode;
use serde_json::{Value as Json, json};

use crate::exec_support::{code, root};
use crate::plan_support::Db;

const UUID: &str = "0190163d-8694-739b-aea5-966c26f8ad90";

async fn table() -> Db {
    let db = Db::open();
    let root = root();
    db.run(
        &root,
        "CREATE SHARED TABLE t (id BIGINT PRIMARY KEY, price DECIMAL(10,2), big DECIMAL(38,2), n INT, l BIGINT, d DOUBLE, \
         ts TIMESTAMP, dt DATETIME, da DATE, ti TIME, u UUID, b BYTES)",
    )
    .await;
    db.run(
        &root,
        &format!(
            "INSERT INTO t VALUES (123, 123456.78, 123456789012345678.91, 2147483647, 9223372036854775807, 0.1, \
             '2025-01-02T03:04:05', '2025-01-02T03:04:05Z', '2025-01-02', '03:04:05', '{UUID}', X'00ff')"
        ),
    )
    .await;
    db.run(
        &root,
        "INSERT INTO t (id, price) VALUES (124, 0.10), (125, -99999999.99)",
    )
    .await;
    db
}

/// What a filter finds in row 123, by key and by a scan; both agree.
async fn finds(db: &Db, filter: &str, params: &[Json]) -> bool {
    let scan = format!("SELECT id FROM t WHERE {filter} AND n > 0 ORDER BY id");
    let key = format!("SELECT id FROM t WHERE id = 123 AND {filter}");
    let by_scan = db.rows_with(&root(), &scan, params).await;
    let by_key = db.rows_with(&root(), &key, params).await;
    assert_eq!(by_scan, by_key, "{filter} {params:?}");
    by_key != "[]"
}

#[tokio::test]
async fn decimals_compare_with_numbers_as_written() {
    let db = table().await;
    for (filter, expected) in [
        ("price = 123456.78", true),
        ("123456.78 = price", true),
        ("price = 123456.780", true),
        ("price = 1.2345678e5", true),
        ("price = +123456.78", true),
        ("price = -123456.78", false),
        ("price <> 123456.78", false),
        ("price >= 123456.78", true),
        ("price <= 123456.78", true),
        ("price < 123456.78", false),
        ("price > 123456.779", true),
        ("price < 123456.781", true),
        ("price = 123456.7800001", false),
        ("price IN (1, 123456.78)", true),
        ("price IN (0.1, 123456.77)", false),
        ("price NOT IN (123456.78)", false),
        ("price BETWEEN 123456.78 AND 123456.78", true),
        ("price BETWEEN 123456.781 AND 123457", false),
        ("price IS DISTINCT FROM 123456.78", false),
        ("price + 0.1 = 123456.88", true),
        ("price * 1.1 = 135802.458", true),
        ("price - 0.78 = 123456", true),
        ("price < 1e15", true),
        ("price > 1e-10", true),
        ("big > 0.001", true),
        ("big > 1.5", true),
        ("big = '123456789012345678.91'", true),
        ("price = '123456.78'", true),
        ("d = 0.1", true),
        ("d + 0.2 > 0.3", true),
    ] {
        assert_eq!(finds(&db, filter, &[]).await, expected, "{filter}");
    }
    for (filter, param, expected) in [
        ("price = $1", json!(123456.78), true),
        ("price = $1", json!("123456.78"), true),
        ("$1 = price", json!(123456.78), true),
        ("price > $1", json!(123456.779), true),
        ("price < $1", json!(123456.781), true),
        ("price IN ($1)", json!(123456.78), true),
        ("price BETWEEN $1 AND 123457", json!(123456.78), true),
        ("price > $1", json!(5), true),
        ("big = $1", json!("123456789012345678.91"), true),
    ] {
        assert_eq!(
            finds(&db, filter, std::slice::from_ref(&param)).await,
            expected,
            "{filter} {param}"
        );
    }
    // A number that a DOUBLE cannot hold is refused rather than quietly not found.
    for sql in [
        "SELECT id FROM t WHERE big = 123456789012345678.91",
        "SELECT id FROM t WHERE id = 123 AND big = 123456789012345678.91",
    ] {
        let error = db.error(&root(), sql).await;
        assert_eq!(error.code, ErrorCode::InvalidSql, "{sql}: {error:?}");
        assert!(
            error.hint.is_some_and(|hint| hint.contains("as text")),
            "{sql}"
        );
    }
}

#[tokio::test]
async fn decimals_are_keys() {
    let db = Db::open();
    let root = root();
    db.run(
        &root,
        "CREATE SHARED TABLE p (price DECIMAL(10,2) PRIMARY KEY, n INT)",
    )
    .await;
    db.run(&root, "INSERT INTO p VALUES (123456.78, 1), (0.10, 2)")
        .await;
    for filter in [
        "price = 123456.78",
        "price = 123456.780",
        "price IN (123456.78, 5.5)",
        "price = '123456.78'",
    ] {
        let sql = format!("SELECT n FROM p WHERE {filter}");
        assert_eq!(db.rows(&root, &sql).await, "[[1]]", "{filter}");
    }
    for param in [json!(0.1), json!("0.1"), json!("0.10")] {
        let rows = db
            .rows_with(&root, "SELECT n FROM p WHERE price = $1", &[param])
            .await;
        assert_eq!(rows, "[[2]]");
    }
    assert_eq!(
        db.rows(&root, "SELECT n FROM p WHERE price = 0.101").await,
        "[]"
    );
    db.run(&root, "UPDATE p SET n = 3 WHERE price = 0.1").await;
    assert_eq!(
        db.rows(&root, "SELECT n FROM p WHERE price = 0.1").await,
        "[[3]]"
    );
}

#[tokio::test]
async fn decimals_are_computed_exactly() {
    let db = table().await;
    let root = root();
    for (set, expected) in [
        ("price + 0.1", "123456.88"),
        ("price - 0.88", "123456.00"),
        ("price * 2.5", "308640.00"),
        ("round(price * 1.1, 2)", "339504.00"),
        ("CAST(price / 3 AS DECIMAL(10,2))", "113168.00"),
    ] {
        db.run(&root, &format!("UPDATE t SET price = {set} WHERE id = 123"))
            .await;
        let price = db.rows(&root, "SELECT price FROM t WHERE id = 123").await;
        assert_eq!(price, format!(r#"[["{expected}"]]"#), "{set}");
    }
    db.run(&root, "UPDATE t SET price = 123456.78 WHERE id = 123")
        .await;
    db.run(&root, "UPDATE t SET price = price + 0.1 WHERE n > 0")
        .await;
    assert_eq!(
        db.rows(&root, "SELECT price FROM t WHERE id = 123").await,
        r#"[["123456.88"]]"#
    );
    for set in [
        "0.001",
        "price * 1.001",
        "100000000",
        "price * 1000000",
        "'x'",
    ] {
        for filter in ["id = 123", "n > 0"] {
            let sql = format!("UPDATE t SET price = {set} WHERE {filter}");
            assert_eq!(
                code(&db, &root, &sql).await,
                ErrorCode::SqlExecutionError,
                "{sql}"
            );
        }
    }
    let sum = db
        .rows(&root, "SELECT sum(price) > 0.1 FROM t WHERE id = 123")
        .await;
    assert_eq!(sum, "[[true]]");
}

#[tokio::test]
async fn results_out_of_range_are_errors() {
    let db = table().await;
    let root = root();
    for expr in [
        "n + 1",
        "n * 2",
        "-n - 2",
        "l + 1",
        "l * l",
        "-l - 2",
        "1 / (n - n)",
        "n % (n - n)",
        "l / 0",
        "price / 0",
        "CAST(l AS INT)",
        "CAST('x' AS INT)",
        "CAST(1e300 AS BIGINT)",
        "CAST(99999999999 AS DECIMAL(10,2))",
    ] {
        // INT with a BIGINT literal is computed as BIGINT: only what is stored must fit.
        let wide = matches!(expr, "n + 1" | "n * 2" | "-n - 2");
        for filter in ["id = 123", "n > 0"] {
            let select = format!("SELECT {expr} AS x FROM t WHERE {filter}");
            if !wide {
                assert_eq!(
                    code(&db, &root, &select).await,
                    ErrorCode::SqlExecutionError,
                    "{select}"
                );
            }
            let update = format!("UPDATE t SET n = {expr} WHERE {filter}");
            assert_eq!(
                code(&db, &root, &update).await,
                ErrorCode::SqlExecutionError,
                "{update}"
            );
        }
    }
    for sql in [
        "SELECT 9223372036854775807 + 1",
        "SELECT sum(l) FROM (SELECT l FROM t UNION ALL SELECT l FROM t)",
        "SELECT 1 / 0",
        "SELECT 5 % 0",
        "INSERT INTO t (id, n) VALUES (1, 2147483647 + 1)",
        "INSERT INTO t (id, n) SELECT 1, 1 / 0",
        "INSERT INTO t (id, n) VALUES (123, 1) ON CONFLICT (id) DO UPDATE SET n = t.n + 1",
    ] {
        assert_eq!(
            code(&db, &root, sql).await,
            ErrorCode::SqlExecutionError,
            "{sql}"
        );
    }
}

#[tokio::test]
async fn parameters_are_read_as_their_column() {
    let db = table().await;
    for (filter, param) in [
        ("id = $1", json!("123")),
        ("id = $1", json!(123)),
        ("l = $1", json!("9223372036854775807")),
        ("l = $1", json!(9_223_372_036_854_775_807_i64)),
        ("n = $1", json!("2147483647")),
        ("n IN ($1)", json!("2147483647")),
        ("ts = $1", json!("2025-01-02T03:04:05")),
        ("ts = $1", json!("2025-01-02T03:04:05Z")),
        ("ts = $1", json!("2025-01-02 03:04:05")),
        ("ts = $1", json!(1_735_787_045_000_000_i64)),
        ("ts BETWEEN $1 AND '2025-01-03'", json!("2025-01-01")),
        ("dt = $1", json!("2025-01-02T04:04:05+01:00")),
        ("dt = $1", json!("2025-01-02T03:04:05Z")),
        ("da = $1", json!("2025-01-02")),
        ("da = $1", json!(20_090)),
        ("ti = $1", json!("03:04:05")),
        ("u = $1", json!(UUID)),
        ("u = $1", json!(UUID.to_uppercase())),
        ("u IN ($1)", json!(UUID.to_uppercase())),
        ("b = $1", json!([0, 255])),
        ("b = $1", json!("AP8=")),
        ("d = $1", json!(0.1)),
    ] {
        assert!(
            finds(&db, filter, std::slice::from_ref(&param)).await,
            "{filter} {param}"
        );
    }
    let upper = UUID.to_uppercase();
    let plain = UUID.replace('-', "");
    for text in [&upper, &plain] {
        for filter in [
            format!("u = '{text}'"),
            format!("u IN ('{text}')"),
            format!("u <= '{text}'"),
        ] {
            assert!(finds(&db, &filter, &[]).await, "{filter}");
        }
    }
}

#[tokio::test]
async fn uuids_are_keys_in_any_form() {
    let db = Db::open();
    let root = root();
    db.run(&root, "CREATE SHARED TABLE k (u UUID PRIMARY KEY, n INT)")
        .await;
    db.run(
        &root,
        &format!("INSERT INTO k VALUES ('{}', 1)", UUID.to_uppercase()),
    )
    .await;
    for text in [UUID.to_owned(), UUID.to_uppercase(), UUID.replace('-', "")] {
        let sql = format!("SELECT n FROM k WHERE u = '{text}'");
        assert_eq!(db.rows(&root, &sql).await, "[[1]]", "{sql}");
        let rows = db
            .rows_with(&root, "SELECT n FROM k WHERE u = $1", &[json!(text)])
            .await;
        assert_eq!(rows, "[[1]]", "{text}");
        db.run(&root, &format!("UPDATE k SET n = 1 WHERE u = '{text}'"))
            .await;
        let deleted = db
            .ask(
                &root,
                &format!("BEGIN; DELETE FROM k WHERE u = '{text}'; ROLLBACK"),
                &[],
            )
            .await;
        assert!(deleted.is_ok(), "{deleted:?}");
    }
    let duplicate = format!("INSERT INTO k VALUES ('{UUID}', 2)");
    assert_eq!(
        code(&db, &root, &duplicate).await,
        ErrorCode::ConstraintViolation
    );
}

#[tokio::test]
async fn writes_take_parameters_in_any_form_of_a_cell() {
    let db = Db::open();
    let root = root();
    db.run(
        &root,
        "CREATE SHARED TABLE w (id BIGINT PRIMARY KEY, p DECIMAL(10,2), ts TIMESTAMP, u UUID, j JSON, e EMBEDDING(2))",
    )
    .await;
    let insert = "INSERT INTO w VALUES ($1, $2, $3, $4, $5, $6)";
    for (id, p, ts) in [
        (json!("1"), json!("123456.78"), json!("2025-01-02T03:04:05")),
        (json!(2), json!(123456.78), json!(1_735_787_045_000_000_i64)),
    ] {
        let params = [
            id,
            p,
            ts,
            json!(UUID.to_uppercase()),
            json!({"a": 1}),
            json!([0.5, -1]),
        ];
        let inserted = db.ask(&root, insert, &params).await;
        assert!(inserted.is_ok(), "{inserted:?}");
    }
    let rows = db
        .rows(&root, "SELECT p, ts, u, e FROM w ORDER BY id")
        .await;
    let row = format!(r#"["123456.78",1735787045000000,"{UUID}",[0.5,-1.0]]"#);
    assert_eq!(rows, format!("[{row},{row}]"));
    let updated = db
        .ask(
            &root,
            "UPDATE w SET p = $2 WHERE id = $1",
            &[json!("2"), json!("0.5")],
        )
        .await
        .unwrap();
    assert_eq!(updated.row_count, 1);
    for (index, bad) in [
        json!("x"),
        json!(0.001),
        json!("2025-13-01"),
        json!("no"),
        json!(null),
        json!([1]),
    ]
    .into_iter()
    .enumerate()
    .filter(|(index, _)| *index != 4)
    {
        let mut params = vec![
            json!(9),
            json!(1),
            json!(0),
            json!(UUID),
            json!({}),
            json!([1, 2]),
        ];
        params[index] = bad;
        let error = db.ask(&root, insert, &params).await.unwrap_err();
        assert_eq!(
            error.code,
            ErrorCode::InvalidParameter,
            "{params:?}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_column_may_come_twice() {
    let db = table().await;
    let root = root();
    for sql in [
        "SELECT id, id FROM t WHERE n > 0",
        "SELECT id, id FROM t WHERE id = 123",
        "SELECT t.id, t.id FROM t WHERE id = 123 ORDER BY id",
        "SELECT id, id FROM t WHERE n > 0 GROUP BY id",
    ] {
        assert_eq!(db.rows(&root, sql).await, r#"[["123","123"]]"#, "{sql}");
    }
    let reply = db
        .ask(&root, "SELECT 1, 1, count(*), count(*)", &[])
        .await
        .unwrap();
    assert_eq!(reply.names, ["1", "1:1", "count(*)", "count(*):1"]);
    db.run(&root, "INSERT INTO t (id, n) SELECT 3, 3").await;
    assert_eq!(
        db.rows(&root, "SELECT id, n FROM t WHERE id = 3").await,
        r#"[["3",3]]"#
    );
}
