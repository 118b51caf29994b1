//! CREATE TABLE and ALTER TABLE.

use kalam_link_core::DataType;
use kalam_model::{AccessLevel, FlushPolicy, TableKind, WriteLevel};
use kalam_sql::statement::{AlterTable, CreateTable, IfExists, NewColumn, NewOptions, Statement};

use crate::{parsed, shown};

fn create(text: &str) -> CreateTable {
    match parsed(text) {
        Statement::CreateTable(table) => *table,
        other => panic!("{text}: {other:?}"),
    }
}

fn shown_column(column: &NewColumn) -> String {
    let NewColumn {
        name,
        data_type,
        max_chars,
        nullable,
        default,
    } = column;
    let chars = max_chars.map(|max| format!("[{max}]")).unwrap_or_default();
    let null = if *nullable { "" } else { " NOT NULL" };
    let default = default
        .as_ref()
        .map(|expr| format!(" = {expr}"))
        .unwrap_or_default();
    format!("{name} {data_type}{chars}{null}{default}")
}

#[test]
fn a_whole_table() {
    let table = create(
        "CREATE TABLE IF NOT EXISTS Chat.Messages (
           id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(),
           \"Body\" TEXT NOT NULL,
           created_at TIMESTAMP DEFAULT NOW(),
           n INT NULL DEFAULT -1 NOT NULL
         )"
        .replace(" NULL DEFAULT", " DEFAULT")
        .as_str(),
    );
    assert_eq!(
        (table.table.namespace.as_deref(), table.table.name.as_str()),
        (Some("chat"), "messages")
    );
    assert_eq!(
        (table.kind, table.if_exists),
        (TableKind::User, IfExists::Ignore)
    );
    assert_eq!(table.primary_key, ["id"]);
    assert_eq!(
        table.columns.iter().map(shown_column).collect::<Vec<_>>(),
        [
            "id BIGINT NOT NULL = SNOWFLAKE_ID()",
            "Body TEXT NOT NULL",
            "created_at TIMESTAMP = NOW()",
            "n INT NOT NULL = -1"
        ]
    );
    assert_eq!(table.options, NewOptions::default());
}

#[test]
fn kinds_and_options() {
    for (text, kind) in [
        ("CREATE TABLE t (id INT PRIMARY KEY)", TableKind::User),
        ("CREATE USER TABLE t (id INT PRIMARY KEY)", TableKind::User),
        (
            "CREATE SHARED TABLE t (id INT PRIMARY KEY)",
            TableKind::Shared,
        ),
        (
            "CREATE STREAM TABLE t (id INT) WITH (TTL_SECONDS=30)",
            TableKind::Stream,
        ),
        (
            "CREATE TABLE t (id INT PRIMARY KEY) WITH (TYPE='SHARED')",
            TableKind::Shared,
        ),
        (
            "CREATE SHARED TABLE t (id INT PRIMARY KEY) WITH (type = shared)",
            TableKind::Shared,
        ),
    ] {
        assert_eq!(create(text).kind, kind, "{text}");
    }
    let options = create(
        "CREATE TABLE t (id INT PRIMARY KEY) WITH (TYPE='USER', STORAGE_ID='local', FLUSH_POLICY='rows:10,interval:60',
         DELETED_RETENTION_HOURS=24, USE_USER_STORAGE=true)",
    )
    .options;
    let expected = NewOptions {
        storage_id: Some("local".into()),
        flush_policy: Some(FlushPolicy {
            rows: Some(10),
            interval_s: Some(60),
        }),
        deleted_retention_hours: Some(24),
        use_user_storage: Some(true),
        ..NewOptions::default()
    };
    assert_eq!(options, expected);
    let options =
        create("CREATE SHARED TABLE t (id INT PRIMARY KEY) WITH (ACCESS_LEVEL='public', WRITE_LEVEL='PUBLIC')").options;
    assert_eq!(
        (options.access_level, options.write_level),
        (Some(AccessLevel::Public), Some(WriteLevel::Public))
    );
}

#[test]
fn types() {
    for (written, meant) in [
        ("BOOLEAN", "BOOLEAN"),
        ("BOOL", "BOOLEAN"),
        ("SMALLINT", "SMALLINT"),
        ("INT", "INT"),
        ("INTEGER", "INT"),
        ("BIGINT", "BIGINT"),
        ("FLOAT", "FLOAT"),
        ("REAL", "FLOAT"),
        ("DOUBLE", "DOUBLE"),
        ("DOUBLE PRECISION", "DOUBLE"),
        ("DECIMAL(10,2)", "DECIMAL(10,2)"),
        ("DECIMAL(5)", "DECIMAL(5,0)"),
        ("DECIMAL", "DECIMAL(38,10)"),
        ("NUMERIC(38, 38)", "DECIMAL(38,38)"),
        ("TEXT", "TEXT"),
        ("STRING", "TEXT"),
        ("VARCHAR(20)", "TEXT[20]"),
        ("VARCHAR", "TEXT"),
        ("CHAR(3)", "TEXT[3]"),
        ("CHAR", "TEXT[1]"),
        ("CHARACTER VARYING(7)", "TEXT[7]"),
        ("TIMESTAMP", "TIMESTAMP"),
        ("TIMESTAMP(6)", "TIMESTAMP"),
        ("TIMESTAMP WITHOUT TIME ZONE", "TIMESTAMP"),
        ("DATETIME", "DATETIME"),
        ("DATE", "DATE"),
        ("TIME", "TIME"),
        ("JSON", "JSON"),
        ("BYTES", "BYTES"),
        ("BINARY", "BYTES"),
        ("BLOB", "BYTES"),
        ("BYTEA", "BYTES"),
        ("UUID", "UUID"),
        ("EMBEDDING(384)", "EMBEDDING(384)"),
        ("embedding(1)", "EMBEDDING(1)"),
    ] {
        let table = create(&format!(
            "CREATE TABLE t (id BIGINT PRIMARY KEY, c {written})"
        ));
        assert_eq!(
            shown_column(&table.columns[1]),
            format!("c {meant}"),
            "{written}"
        );
    }
    insta::assert_snapshot!(
        [
            "INT(11)",
            "BIGINT UNSIGNED",
            "TINYINT",
            "FLOAT(10)",
            "DECIMAL(39,0)",
            "DECIMAL(3,4)",
            "DECIMAL(3,-1)",
            "VARCHAR(0)",
            "VARCHAR(10 OCTETS)",
            "TEXT(10)",
            "TIMESTAMP(3)",
            "TIMESTAMPTZ",
            "TIMESTAMP WITH TIME ZONE",
            "BYTES(4)",
            "EMBEDDING",
            "EMBEDDING(0)",
            "EMBEDDING(16385)",
            "EMBEDDING(1,2)",
            "INTERVAL",
            "INT[]",
            "ARRAY<INT>",
            "MONEY",
            "ENUM('a')",
            "",
        ]
        .map(|written| format!(
            "{written}: {}",
            shown(&format!(
                "CREATE TABLE t (id BIGINT PRIMARY KEY, c {written})"
            ))
        ))
        .join("\n")
    );
}

#[test]
fn keys() {
    let key = |text| create(text).primary_key;
    assert_eq!(
        key("CREATE TABLE t (a INT, b TEXT, PRIMARY KEY (b, a))"),
        ["b", "a"]
    );
    assert!(
        create("CREATE TABLE t (a INT, b TEXT, PRIMARY KEY (b, a))")
            .columns
            .iter()
            .all(|column| !column.nullable)
    );
    assert_eq!(key("CREATE TABLE t (PRIMARY KEY (a), a INT)"), ["a"]);
    assert_eq!(
        key("CREATE STREAM TABLE t (a INT) WITH (TTL_SECONDS=1)"),
        [""; 0]
    );
    assert_eq!(
        key("CREATE STREAM TABLE t (a TEXT PRIMARY KEY, timestamp TIMESTAMP) WITH (TTL_SECONDS=1)"),
        ["a"]
    );
}

#[test]
fn words_of_the_language_name_columns() {
    let table = create(
        "CREATE TABLE t (key TEXT PRIMARY KEY, value TEXT, timestamp TIMESTAMP, hour INT, version INT, date DATE,
         user TEXT, index INT, unique INT, check INT, comment TEXT, type TEXT, role TEXT, default INT, primary INT,
         constraint INT, exclude INT, like INT, order INT, group INT, select INT)",
    );
    assert_eq!(table.columns.len(), 21);
}

#[test]
fn generated_numbers_are_snowflakes() {
    for clause in [
        "AUTO_INCREMENT",
        "AUTOINCREMENT",
        "GENERATED ALWAYS AS IDENTITY",
        "GENERATED BY DEFAULT AS IDENTITY",
    ] {
        let table = create(&format!("CREATE TABLE t (id BIGINT {clause} PRIMARY KEY)"));
        assert_eq!(
            shown_column(&table.columns[0]),
            "id BIGINT NOT NULL = SNOWFLAKE_ID()",
            "{clause}"
        );
    }
}

#[test]
fn alter_table() {
    let change = |change: &str| match parsed(&format!("ALTER TABLE ns.t {change}")) {
        Statement::AlterTable { table, change } => {
            assert_eq!(
                (table.namespace.as_deref(), table.name.as_str()),
                (Some("ns"), "t")
            );
            change
        }
        other => panic!("{change}: {other:?}"),
    };
    for (text, shown, exists) in [
        (
            "ADD COLUMN c VARCHAR(5) NOT NULL DEFAULT 'x'",
            "c TEXT[5] NOT NULL = 'x'",
            IfExists::Fail,
        ),
        ("ADD c INT", "c INT", IfExists::Fail),
        (
            "ADD COLUMN IF NOT EXISTS c INT DEFAULT 1 + 1 NULL",
            "c INT = 1 + 1",
            IfExists::Ignore,
        ),
    ] {
        let AlterTable::AddColumn { column, if_exists } = change(text) else {
            panic!("{text}")
        };
        assert_eq!((shown_column(&column).as_str(), if_exists), (shown, exists));
    }
    let name = || "c".to_owned();
    let options = |options| AlterTable::SetOptions(options);
    for (text, expected) in [
        (
            "DROP COLUMN c",
            AlterTable::DropColumn {
                name: name(),
                if_exists: IfExists::Fail,
            },
        ),
        (
            "DROP COLUMN IF EXISTS C",
            AlterTable::DropColumn {
                name: name(),
                if_exists: IfExists::Ignore,
            },
        ),
        (
            "MODIFY COLUMN c BIGINT",
            AlterTable::ModifyColumn {
                name: name(),
                data_type: DataType::BigInt,
                max_chars: None,
                nullable: None,
            },
        ),
        (
            "MODIFY COLUMN c VARCHAR(9) NOT NULL",
            AlterTable::ModifyColumn {
                name: name(),
                data_type: DataType::Text,
                max_chars: Some(9),
                nullable: Some(false),
            },
        ),
        (
            "MODIFY COLUMN c TEXT NULL",
            AlterTable::ModifyColumn {
                name: name(),
                data_type: DataType::Text,
                max_chars: None,
                nullable: Some(true),
            },
        ),
        (
            "RENAME COLUMN c TO d",
            AlterTable::RenameColumn {
                from: name(),
                to: "d".into(),
            },
        ),
        (
            "ALTER COLUMN c SET NOT NULL",
            AlterTable::SetNullable {
                name: name(),
                nullable: false,
            },
        ),
        (
            "ALTER COLUMN c DROP NOT NULL",
            AlterTable::SetNullable {
                name: name(),
                nullable: true,
            },
        ),
        (
            "ALTER COLUMN c DROP DEFAULT",
            AlterTable::SetDefault {
                name: name(),
                default: None,
            },
        ),
        (
            "SET TBLPROPERTIES (ACCESS_LEVEL='PUBLIC', WRITE_LEVEL='SERVICE', FLUSH_POLICY='rows:5', TTL_SECONDS=9)",
            options(NewOptions {
                access_level: Some(AccessLevel::Public),
                write_level: Some(WriteLevel::Service),
                flush_policy: Some(FlushPolicy {
                    rows: Some(5),
                    interval_s: None,
                }),
                ttl_seconds: Some(9),
                ..NewOptions::default()
            }),
        ),
        (
            "SET ACCESS LEVEL restricted",
            options(NewOptions {
                access_level: Some(AccessLevel::Restricted),
                ..NewOptions::default()
            }),
        ),
        (
            "SET ACCESS LEVEL 'PUBLIC'",
            options(NewOptions {
                access_level: Some(AccessLevel::Public),
                ..NewOptions::default()
            }),
        ),
    ] {
        assert_eq!(change(text), expected, "{text}");
    }
    let AlterTable::SetDefault {
        default: Some(default),
        ..
    } = change("ALTER COLUMN c SET DEFAULT lower('X')")
    else {
        panic!()
    };
    assert_eq!(default.to_string(), "lower('X')");
}
