//! `system.*` and `information_schema.*`: who sees them and what they hold.

use kalam_link_core::{ErrorCode, Role};

use crate::plan_support::{Db, caller};

const TABLES: [&str; 11] = [
    "users",
    "namespaces",
    "tables",
    "schemas",
    "table_schemas",
    "columns",
    "storages",
    "audit_log",
    "stats",
    "settings",
    "datatypes",
];

async fn shop() -> Db {
    let db = Db::open();
    let root = caller("root", Role::System);
    db.run(&root, "CREATE NAMESPACE shop").await;
    db.run(&root, "CREATE SHARED TABLE shop.goods (id INT PRIMARY KEY, name VARCHAR(20) NOT NULL DEFAULT 'x')").await;
    db.run(
        &root,
        "CREATE USER TABLE shop.carts (id INT PRIMARY KEY, price DECIMAL(8,2))",
    )
    .await;
    db.run(&root, "ALTER TABLE shop.goods ADD COLUMN stock INT")
        .await;
    db.run(
        &root,
        "CREATE VIEW shop.names AS SELECT name FROM shop.goods",
    )
    .await;
    db
}

#[tokio::test]
async fn i8_only_administrators_see_system_tables() {
    let db = shop().await;
    for table in TABLES {
        let sql = format!("SELECT * FROM system.{table}");
        for role in [Role::Dba, Role::System] {
            db.run(&caller("root", role), &sql).await;
        }
        for role in [Role::User, Role::Service] {
            let error = db.error(&caller("eve", role), &sql).await;
            assert_eq!(error.code, ErrorCode::TableNotFound);
            assert!(
                error.hint.as_ref().is_none_or(|hint| !hint.contains(table)),
                "{error:?}"
            );
        }
    }
}

#[tokio::test]
async fn system_tables_tell_what_exists() {
    let db = shop().await;
    let root = caller("root", Role::System);
    for (sql, expected) in [
        (
            "SELECT table_name, table_type, schema_version FROM system.tables ORDER BY 1",
            r#"[["carts","USER","1"],["goods","SHARED","2"]]"#,
        ),
        (
            "SELECT table_name, schema_version, is_latest FROM system.schemas ORDER BY 1, 2",
            r#"[["carts","1",true],["goods","1",false],["goods","2",true]]"#,
        ),
        (
            "SELECT column_name, data_type, nullable, default_value, primary_key_pos FROM system.columns WHERE table_name = 'goods' AND version = 2 ORDER BY ordinal",
            r#"[["id","INT",false,null,"1"],["name","VARCHAR(20)",false,"'x'",null],["stock","INT",true,null,null]]"#,
        ),
        (
            "SELECT name, table_count FROM system.namespaces ORDER BY 1",
            r#"[["default","0"],["shop","2"]]"#,
        ),
        (
            "SELECT storage_id, base_directory FROM system.storages",
            r#"[["local","/data"]]"#,
        ),
        (
            "SELECT value FROM system.settings WHERE name = 'data_dir'",
            r#"[["/data"]]"#,
        ),
        (
            "SELECT metric_value FROM system.stats WHERE metric_name = 'server_version'",
            r#"[["1.2.3"]]"#,
        ),
        (
            "SELECT count(*) FROM system.datatypes WHERE kalam_type IN ('Decimal', 'Embedding', 'Json')",
            r#"[["3"]]"#,
        ),
    ] {
        assert_eq!(db.rows(&root, sql).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn i8_information_schema_lists_what_the_caller_sees() {
    let db = shop().await;
    let (root, eve) = (caller("root", Role::System), caller("eve", Role::User));
    let tables = "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = 'shop' ORDER BY 1";
    assert_eq!(db.rows(&eve, tables).await, r#"[["carts","BASE TABLE"]]"#);
    assert_eq!(
        db.rows(&root, tables).await,
        r#"[["carts","BASE TABLE"],["goods","BASE TABLE"],["names","VIEW"]]"#
    );
    let columns = "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns \
                   WHERE table_schema = 'shop' ORDER BY 1, ordinal_position";
    assert_eq!(
        db.rows(&eve, columns).await,
        r#"[["carts","id","INT","NO"],["carts","price","DECIMAL(8,2)","YES"]]"#
    );
    assert!(
        db.rows(&root, columns)
            .await
            .contains(r#"["names","name","TEXT","YES"]"#)
    );
    assert_eq!(
        db.rows(
            &eve,
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'system' ORDER BY 1"
        )
        .await,
        r#"[["live"],["live_queries"],["sessions"]]"#
    );
    db.run(
        &root,
        "CREATE VIEW shop.described AS SELECT column_name FROM information_schema.columns",
    )
    .await;
    assert_ne!(db.rows(&root, "SELECT * FROM shop.described").await, "[]");
}
