//! Every column type through the planner: read, compared and shown.

use kalam_link_core::{ErrorCode, Role};
use serde_json::json;

use crate::plan_support::{Db, caller};

const UUID: &str = "0190163d-8694-739b-aea5-966c26f8ad90";

async fn everything() -> Db {
    let db = Db::open();
    let root = caller("root", Role::System);
    db.run(&root, "CREATE NAMESPACE t").await;
    db.run(
        &root,
        "CREATE SHARED TABLE t.all (id INT PRIMARY KEY, b BOOLEAN, s SMALLINT, l BIGINT, f FLOAT, d DOUBLE, \
         n DECIMAL(12,3), x TEXT, ts TIMESTAMP, dt DATETIME, da DATE, ti TIME, j JSON, by BYTES, u UUID, e EMBEDDING(2))",
    )
    .await;
    db.run(
        &root,
        &format!(
            "INSERT INTO t.all VALUES (1, true, -3, 9007199254740993, 0.5, 1.25, 12.345, 'héllo', \
             '2025-01-02T03:04:05.000006', '2025-01-02T03:04:05Z', '2025-01-02', '03:04:05', '{{\"a\":1}}', X'00ff', \
             '{}', '[0.5, -1]')",
            UUID.to_uppercase()
        ),
    )
    .await;
    db.run(&root, "INSERT INTO t.all (id) VALUES (2)").await;
    db
}

#[tokio::test]
async fn every_type_keeps_its_name_and_form() {
    let db = everything().await;
    let root = caller("root", Role::System);
    let reply = db
        .ask(&root, "SELECT * FROM t.all ORDER BY id", &[])
        .await
        .unwrap();
    let types = serde_json::to_string(&reply.types).unwrap();
    assert_eq!(
        types,
        r#"["Int","Boolean","SmallInt","BigInt","Float","Double",{"Decimal":{"precision":12,"scale":3}},"Text","Timestamp","DateTime","Date","Time","Json","Bytes","Uuid",{"Embedding":2}]"#
    );
    assert_eq!(
        reply.rows,
        format!(
            r#"[[1,true,-3,"9007199254740993",0.5,1.25,"12.345","héllo",1735787045000006,1735787045000000,20090,11045000000,"{{\"a\":1}}",[0,255],"{UUID}",[0.5,-1.0]],[2,null,null,null,null,null,null,null,null,null,null,null,null,null,null,null]]"#
        )
    );
}

#[tokio::test]
async fn literals_of_every_type_compare() {
    let db = everything().await;
    let root = caller("root", Role::System);
    let upper = UUID.to_uppercase();
    let plain = UUID.replace('-', "");
    for filter in [
        "b = true",
        "b",
        "s = -3",
        "l = 9007199254740993",
        "l > 9007199254740992",
        "f = 0.5",
        "d >= 1.25",
        "n = 12.345",
        "x = 'héllo'",
        "length(x) = 5",
        "ts = '2025-01-02T03:04:05.000006'",
        "ts > '2025-01-02'",
        "ts = TIMESTAMP '2025-01-02 03:04:05.000006'",
        "ts > now() - INTERVAL '100 years'",
        "dt = '2025-01-02T03:04:05Z'",
        "dt < now()",
        "da = '2025-01-02'",
        "da = DATE '2025-01-02'",
        "ti = '03:04:05'",
        "j = '{\"a\":1}'",
        "by = X'00ff'",
        "e = '[0.5, -1]'",
        "date_part('year', ts) = 2025",
        &format!("u = '{upper}'"),
        &format!("u = '{plain}'"),
        &format!("u IN ('{upper}')"),
        &format!("u = CAST('{upper}' AS UUID)"),
        &format!("CAST(upper(u) AS UUID) = '{upper}'"),
    ] {
        let sql = format!("SELECT max(id) FROM t.all WHERE {filter}");
        assert_eq!(db.rows(&root, &sql).await, "[[1]]", "{filter}");
    }
    let error = db
        .error(&root, "SELECT max(id) FROM t.all WHERE u = 'nonsense'")
        .await;
    assert_eq!(
        (error.code, error.message.as_str()),
        (
            ErrorCode::SqlExecutionError,
            "'nonsense' is not a valid UUID"
        )
    );
}

#[tokio::test]
async fn parameters_of_every_type_compare() {
    let db = everything().await;
    let root = caller("root", Role::System);
    for (column, param) in [
        ("b", json!(true)),
        ("s", json!(-3)),
        ("l", json!("9007199254740993")),
        ("f", json!(0.5)),
        ("d", json!(1.25)),
        ("n", json!("12.345")),
        ("x", json!("héllo")),
        ("ts", json!(1_735_787_045_000_006_i64)),
        ("ts", json!("2025-01-02T03:04:05.000006")),
        ("dt", json!("2025-01-02T03:04:05Z")),
        ("da", json!(20_090)),
        ("ti", json!("03:04:05")),
        ("by", json!([0, 255])),
        ("u", json!(UUID.to_uppercase())),
        ("e", json!([0.5, -1.0])),
    ] {
        let sql = format!("SELECT max(id) FROM t.all WHERE {column} = $1");
        assert_eq!(
            db.rows_with(&root, &sql, std::slice::from_ref(&param))
                .await,
            "[[1]]",
            "{column} = {param}"
        );
    }
}

#[tokio::test]
async fn expressions_have_wire_types() {
    let db = everything().await;
    let root = caller("root", Role::System);
    let sql = "SELECT NULL, 1, 1.5, 'a' || 'b', INTERVAL '1 day', make_array(1, 2), named_struct('k', 1), \
               arrow_cast(1, 'UInt32'), 'NaN'::DOUBLE, count(*), SNOWFLAKE_ID() > 0, length(UUID_V7()), length(ULID()), \
               CURRENT_USER() FROM t.all";
    let reply = db.ask(&root, sql, &[]).await.unwrap();
    assert_eq!(
        reply.rows,
        r#"[[null,"1",1.5,"ab","P1D",["1","2"],{"k":"1"},"1","NaN","2",true,36,26,"root"]]"#
    );
    let types = serde_json::to_string(&reply.types).unwrap();
    assert_eq!(
        types,
        r#"["Text","BigInt","Double","Text","Text","Json","Json","BigInt","Double","BigInt","Boolean","Int","Int","Text"]"#
    );
    assert_eq!(reply.names[9], "count(*)");
}
