//! What is refused, and with which words.

use crate::{refused, shown};

#[track_caller]
fn all_shown(texts: &[&str]) -> String {
    texts
        .iter()
        .map(|text| format!("{text}\n  {}", shown(text)))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn old_forms_name_the_new_one() {
    insta::assert_snapshot!(all_shown(&[
        "ALTER NAMESPACE ns SET OPTIONS (a = 1)",
        "INSERT INTO t VALUES (1) AS USER 'bob'",
        "SELECT * FROM t AS USER 'bob'",
        "DELETE FROM t WHERE a = 1 AS USER 'bob'",
        "CLUSTER PURGE",
        "CLUSTER CLEAR",
        "SELECT * FROM t WHERE _deleted = false",
        "SELECT t._deleted FROM t",
        "UPDATE t SET _deleted = true",
        "DELETE FROM t WHERE \"_deleted\"",
        "INSERT INTO t (_deleted) VALUES (true)",
        "CREATE TABLE t (id INT PRIMARY KEY) FLUSH ROWS 10",
        "CREATE TABLE t (id INT PRIMARY KEY) FLUSH POLICY ROWS 10",
        "CREATE TABLE t (id INT PRIMARY KEY) STORAGE local",
        "CREATE TABLE t (id INT PRIMARY KEY) TABLE_TYPE shared",
        "CREATE STREAM TABLE t (id INT) TTL 10",
        "CREATE STREAM TABLE t (id INT) WITH (TTL_SECONDS=10) BUFFER_SIZE 10",
        "CREATE TABLE t (id INT PRIMARY KEY) DELETED_RETENTION '7d'",
        "CREATE TABLE t (id INT PRIMARY KEY) ACCESS_LEVEL public",
        "CREATE TABLE t (id INT PRIMARY KEY) USE_USER_STORAGE",
        "CREATE TABLE t (id INT PRIMARY KEY) OWNER_ID 'x'",
        "FLUSH TABLE ns.t",
        "FLUSH ALL TABLES IN ns",
    ]));
}

#[test]
fn clauses_of_create_and_alter() {
    insta::assert_snapshot!(all_shown(&[
        "CREATE TABLE t (id INT PRIMARY KEY UNIQUE)",
        "CREATE TABLE t (id INT PRIMARY KEY CHECK (id > 1))",
        "CREATE TABLE t (id INT PRIMARY KEY REFERENCES u (id))",
        "CREATE TABLE t (id TEXT COLLATE \"C\" PRIMARY KEY)",
        "CREATE TABLE t (id INT PRIMARY KEY COMMENT 'x')",
        "CREATE TABLE t (id INT PRIMARY KEY, UNIQUE (id))",
        "CREATE TABLE t (id INT PRIMARY KEY, CHECK (id > 1))",
        "CREATE TABLE t (id INT PRIMARY KEY, FOREIGN KEY (id) REFERENCES u (id))",
        "CREATE TABLE t (id INT, CONSTRAINT pk PRIMARY KEY (id))",
        "CREATE TABLE t (id INT PRIMARY KEY, INDEX (id))",
        "CREATE TABLE t (id INT PRIMARY KEY DESC)",
        "CREATE TABLE t (id INT PRIMARY KEY PRIMARY KEY)",
        "CREATE TABLE t (id INT PRIMARY KEY NULL)",
        "CREATE TABLE t (id INT NULL NOT NULL PRIMARY KEY)",
        "CREATE TABLE t (id INT PRIMARY KEY DEFAULT 1 DEFAULT 2)",
        "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT)",
        "CREATE TABLE t (id BIGINT PRIMARY KEY DEFAULT 1 AUTO_INCREMENT)",
        "CREATE TABLE t (id BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY (START 5))",
        "CREATE TABLE t (id BIGINT PRIMARY KEY GENERATED ALWAYS AS (1 + 1))",
        "CREATE TABLE t (id INT PRIMARY KEY, n INT DEFAULT id)",
        "CREATE TABLE t (id INT PRIMARY KEY, n INT DEFAULT (SELECT 1))",
        "CREATE TABLE t (id INT PRIMARY KEY, n INT DEFAULT $1)",
        "CREATE TABLE t (id INT PRIMARY KEY, n INT DEFAULT count(*) OVER ())",
        "CREATE TABLE t (id INT PRIMARY KEY, n TEXT DEFAULT 'a' COLLATE x)",
        "CREATE TABLE t (id INT PRIMARY KEY, ID TEXT)",
        "CREATE TABLE t (id INT PRIMARY KEY, b INT PRIMARY KEY)",
        "CREATE TABLE t (id INT PRIMARY KEY, PRIMARY KEY (id))",
        "CREATE TABLE t (id INT, PRIMARY KEY (id, id))",
        "CREATE TABLE t (id INT, PRIMARY KEY (x))",
        "CREATE TABLE t (id INT)",
        "CREATE SHARED TABLE t (id INT)",
        "CREATE STREAM TABLE t (id INT)",
        "CREATE TABLE t ()",
        "CREATE TABLE t",
        "CREATE TABLE t (id INT PRIMARY KEY,)",
        "CREATE TABLE t (id)",
        "CREATE TABLE t AS SELECT 1",
        "CREATE TABLE t LIKE u",
        "CREATE TABLE t (id INT PRIMARY KEY) PARTITION BY id",
        "CREATE TABLE t (id INT PRIMARY KEY) ENGINE = InnoDB",
        "CREATE TABLE t (id INT PRIMARY KEY) WITH (TYPE='SHARED') WITH (TYPE='SHARED')",
        "CREATE TEMPORARY TABLE t (id INT PRIMARY KEY)",
        "CREATE OR REPLACE TABLE t (id INT PRIMARY KEY)",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "CREATE VIEW v AS SELECT $1",
        "CREATE VIEW v (a, a) AS SELECT 1, 2",
        "CREATE VIEW IF NOT EXISTS v AS SELECT 1",
        "CREATE VIEW v AS DELETE FROM t",
        "CREATE MATERIALIZED VIEW v AS SELECT 1",
        "CREATE SCHEMA s",
        "CREATE FUNCTION f() RETURNS INT AS '1'",
        "CREATE",
        "CREATE thing",
        "ALTER TABLE t",
        "ALTER TABLE IF EXISTS t ADD COLUMN c INT",
        "ALTER TABLE t ADD COLUMN c INT PRIMARY KEY",
        "ALTER TABLE t ADD COLUMN c INT FIRST",
        "ALTER TABLE t ADD COLUMN c INT, ADD COLUMN d INT",
        "ALTER TABLE t ADD CONSTRAINT x CHECK (a > 1)",
        "ALTER TABLE t ADD PRIMARY KEY (a)",
        "ALTER TABLE t ADD UNIQUE (a)",
        "ALTER TABLE t DROP CONSTRAINT x",
        "ALTER TABLE t DROP COLUMN c CASCADE",
        "ALTER TABLE t MODIFY COLUMN c INT DEFAULT 1",
        "ALTER TABLE t ALTER COLUMN c TYPE INT",
        "ALTER TABLE t RENAME TO u",
        "ALTER TABLE t OWNER TO u",
        "ALTER TABLE t SET TBLPROPERTIES (STORAGE_ID='x')",
        "ALTER TABLE t SET ACCESS LEVEL secret",
        "DROP TABLE a, b",
        "DROP TABLE a CASCADE",
        "DROP NAMESPACE a RESTRICT",
        "DROP VIEW a CASCADE",
        "DROP SCHEMA s",
    ]));
}

#[test]
fn options() {
    let with = |option: &str| {
        format!(
            "{option}: {}",
            shown(&format!(
                "CREATE TABLE t (id INT PRIMARY KEY) WITH ({option})"
            ))
        )
    };
    insta::assert_snapshot!(
        [
            "",
            "COLOR='red'",
            "TYPE",
            "TYPE='TEMP'",
            "TYPE='STREAM'",
            "TYPE='USER', TYPE='USER'",
            "TTL_SECONDS=10",
            "ACCESS_LEVEL='PUBLIC'",
            "WRITE_LEVEL='PUBLIC'",
            "FLUSH_POLICY='often'",
            "FLUSH_POLICY=5",
            "DELETED_RETENTION_HOURS=0",
            "DELETED_RETENTION_HOURS=-1",
            "DELETED_RETENTION_HOURS=1.5",
            "DELETED_RETENTION_HOURS='soon'",
            "DELETED_RETENTION_HOURS=99999999999",
            "USE_USER_STORAGE=1",
            "STORAGE_ID=''",
            "STORAGE_ID='local' extra",
            "\"TYPE\"='USER'",
            "TYPE=('USER')",
        ]
        .map(with)
        .join("\n")
    );
    refused("CREATE USER TABLE t (id INT PRIMARY KEY) WITH (TYPE='SHARED')");
    refused("CREATE STREAM TABLE t (id INT) WITH (TTL_SECONDS=1, FLUSH_POLICY='rows:1')");
    refused("CREATE STREAM TABLE t (id INT) WITH (TTL_SECONDS=1, ACCESS_LEVEL='RESTRICTED')");
    refused("CREATE STREAM TABLE t (id INT) WITH (TTL_SECONDS=1, USE_USER_STORAGE=true)");
}

#[test]
fn names() {
    insta::assert_snapshot!(all_shown(&[
        "CREATE NAMESPACE system",
        "CREATE NAMESPACE \"Information_Schema\"",
        "CREATE NAMESPACE _x",
        "CREATE NAMESPACE 'x'",
        "CREATE NAMESPACE a.b",
        "CREATE NAMESPACE x WITH OPTIONS (a = 1)",
        "CREATE TABLE system.t (id INT PRIMARY KEY)",
        "CREATE TABLE pg_catalog.t (id INT PRIMARY KEY)",
        "CREATE TABLE _t (id INT PRIMARY KEY)",
        "CREATE TABLE t (_seq INT PRIMARY KEY)",
        "CREATE TABLE \"a b\" (id INT PRIMARY KEY)",
        "CREATE TABLE a.b.c (id INT PRIMARY KEY)",
        "CREATE TABLE größe (id INT PRIMARY KEY)",
        "CREATE TABLE \"\" (id INT PRIMARY KEY)",
        "CREATE TABLE \"a\"\"b\" (id INT PRIMARY KEY)",
        "CREATE TABLE a123456789a123456789a123456789a123456789a123456789a123456789abcd (id INT PRIMARY KEY)",
        "CREATE VIEW system.v AS SELECT 1",
        "CREATE VIEW v (_a) AS SELECT 1",
        "ALTER TABLE t RENAME COLUMN a TO _b",
        "ALTER TABLE t ADD COLUMN _b INT",
        "SELECT * FROM 'file.parquet'",
        "SELECT * FROM \"/etc/passwd\"",
        "SELECT * FROM a.b.c",
        "INSERT INTO 'x' VALUES (1)",
        "INSERT INTO a.b.c VALUES (1)",
        "UPDATE t SET a.b = 1",
    ]));
}

#[test]
fn clauses_of_insert_update_delete() {
    insta::assert_snapshot!(all_shown(&[
        "INSERT OR REPLACE INTO t VALUES (1)",
        "INSERT IGNORE INTO t VALUES (1)",
        "INSERT OVERWRITE t VALUES (1)",
        "INSERT t VALUES (1)",
        "INSERT INTO TABLE t VALUES (1)",
        "INSERT INTO t DEFAULT VALUES",
        "INSERT INTO t SET a = 1",
        "INSERT INTO t PARTITION (a) VALUES (1)",
        "INSERT INTO t VALUES (1), (2, 3)",
        "INSERT INTO t (a, b) VALUES (1)",
        "INSERT INTO t (a, A) VALUES (1, 2)",
        "INSERT INTO t (t.a) VALUES (1)",
        "INSERT INTO t VALUE (1)",
        "INSERT INTO t VALUES ()",
        "INSERT INTO t VALUES (1) ON CONFLICT DO UPDATE SET a = 1",
        "INSERT INTO t VALUES (1) ON CONFLICT (a) WHERE b DO NOTHING",
        "INSERT INTO t VALUES (1) ON CONFLICT ON CONSTRAINT x DO NOTHING",
        "INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE a = 1",
        "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET (a, b) = (1, 2)",
        "INSERT INTO t VALUES (1) AS new",
        "INSERT INTO t AS x VALUES (1)",
        "INSERT INTO t VALUES (1) LIMIT 1 RETURNING * INTO x",
        "INSERT INTO t (SELECT 1) FOR UPDATE",
        "INSERT INTO t VALUES (1) extra",
        "REPLACE INTO t VALUES (1)",
        "UPDATE t SET a = 1 FROM u WHERE t.id = u.id",
        "UPDATE t JOIN u ON t.id = u.id SET a = 1",
        "UPDATE t SET a = 1 ORDER BY a",
        "UPDATE t SET a = 1 LIMIT 1",
        "UPDATE t SET a = 1, A = 2",
        "UPDATE t SET (a, b) = (1, 2)",
        "UPDATE OR IGNORE t SET a = 1",
        "UPDATE (SELECT 1) SET a = 1",
        "UPDATE t SET",
        "DELETE t WHERE a = 1",
        "DELETE FROM t USING u WHERE t.id = u.id",
        "DELETE FROM t, u WHERE t.id = u.id",
        "DELETE FROM t WHERE a = 1 ORDER BY a",
        "DELETE FROM t WHERE a = 1 LIMIT 1",
        "DELETE FROM t WHERE",
        "DELETE FROM generate_series(1, 2)",
        "TRUNCATE TABLE t",
        "MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN DELETE",
        "COPY t TO '/tmp/x'",
    ]));
}

#[test]
fn clauses_of_queries() {
    insta::assert_snapshot!(all_shown(&[
        "SELECT 1 INTO x",
        "SELECT * FROM t FOR UPDATE",
        "SELECT * FROM t FOR SHARE NOWAIT",
        "SELECT TOP 5 * FROM t",
        "SELECT * FROM t FETCH FIRST 5 ROWS ONLY",
        "SELECT * FROM t LIMIT 1, 2",
        "SELECT * FROM t LATERAL VIEW explode(a) x AS y",
        "SELECT * FROM t TABLESAMPLE BERNOULLI (10)",
        "SELECT * FROM t PIVOT (sum(a) FOR b IN (1, 2))",
        "SELECT * FROM t CROSS APPLY u",
        "SELECT * FROM t ASOF JOIN u MATCH_CONDITION (t.a > u.a)",
        "SELECT * FROM TABLE(f())",
        "SELECT * FROM JSON_TABLE('[]', '$' COLUMNS (a INT PATH '$'))",
        "SELECT * FROM read_parquet('/etc/passwd')",
        "SELECT * FROM ns.generate_series(1, 2)",
        "SELECT * FROM unnest([1]) WITH ORDINALITY",
        "SELECT * FROM t WITH (NOLOCK)",
        "SELECT * FROM t GROUP BY a WITH ROLLUP",
        "SELECT * FROM t SORT BY a",
        "SELECT * FROM t CLUSTER BY a",
        "SELECT * FROM t START WITH a CONNECT BY PRIOR b = c",
        "SELECT * EXCEPT (a) FROM t",
        "WITH x AS MATERIALIZED (SELECT 1) SELECT * FROM x",
        "WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x",
        "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x",
        "TABLE t",
        "FROM t SELECT a",
        "SELECT a FROM t WHERE b ==",
        "SELECT CAST(a AS VARCHAR(5)) FROM t",
        "SELECT SAFE_CAST(a AS INT) FROM t",
        "SELECT CONVERT(INT, a) FROM t",
        "SELECT a COLLATE x FROM t",
        "SELECT a LIKE ANY ('x', 'y') FROM t",
        "SELECT a RLIKE 'x' FROM t",
        "SELECT a IS NFC NORMALIZED FROM t",
        "SELECT a:b FROM t",
        "SELECT ns.f(a) FROM t",
        "SELECT f(a => 1) FROM t",
        "SELECT string_agg(a, ',' ORDER BY b LIMIT 1) FROM t",
        "SELECT ceil(a TO DAY) FROM t",
        "SELECT INTERVAL '1' YEAR TO MONTH",
        "SELECT N'x'",
        "SELECT 0xff",
        "SELECT 1L",
        "SELECT {d '2024-01-01'}",
        "SELECT 'a",
        "SELECT \"a",
        "SELECT 1 /* open",
        "SELECT (1",
        "SELECT 1)",
        "SELECT 1 2",
        "SELECT * FROM",
        "SELECT a.* EXCLUDE FROM t",
        "EXPLAIN INSERT INTO t VALUES (1)",
        "EXPLAIN (FORMAT JSON) SELECT 1",
        "EXPLAIN FORMAT JSON SELECT 1",
        "EXPLAIN EXPLAIN SELECT 1",
        "EXPLAIN t",
    ]));
}

#[test]
fn clauses_of_live_queries() {
    insta::assert_snapshot!(all_shown(&[
        "SUBSCRIBE",
        "SUBSCRIBE t",
        "SUBSCRIBE TO",
        "SUBSCRIBE TO t u",
        "SUBSCRIBE TO t ORDER BY a",
        "SUBSCRIBE TO t OPTIONS (rows=1)",
        "SUBSCRIBE TO t OPTIONS (last_rows=1, last_rows=2)",
        "SUBSCRIBE TO t OPTIONS (batch_size=0)",
        "SUBSCRIBE TO t OPTIONS (last_rows='x')",
        "SUBSCRIBE TO t OPTIONS ()",
        "SUBSCRIBE TO t OPTIONS (last_rows=1) WHERE a = 1",
        "SUBSCRIBE TO t WHERE a IN (SELECT 1)",
        "SUBSCRIBE TO (SELECT * FROM t)",
        "SUBSCRIBE TO SELECT count(*) FROM t",
        "SUBSCRIBE TO SELECT a AS b FROM t",
        "SUBSCRIBE TO SELECT DISTINCT a FROM t",
        "SUBSCRIBE TO SELECT a FROM t JOIN u ON true",
        "SUBSCRIBE TO SELECT a FROM t GROUP BY a",
        "SUBSCRIBE TO SELECT a FROM t UNION SELECT a FROM u",
        "SUBSCRIBE TO SELECT a FROM t ORDER BY lower(a)",
        "SUBSCRIBE TO SELECT a FROM t LIMIT 1 OFFSET 1",
        "SUBSCRIBE TO SELECT a FROM t LIMIT 1 + 1",
        "SUBSCRIBE TO SELECT a FROM t FOR UPDATE",
        "EXECUTE AS USER 'u' (SUBSCRIBE TO t)",
        "KILL LIVE QUERY",
        "KILL LIVE QUERY x",
        "KILL LIVE QUERY 5",
        "KILL LIVE QUERY 'x' 'y'",
        "KILL LIVE 'x'",
    ]));
}

#[test]
fn other_statements() {
    insta::assert_snapshot!(all_shown(&[
        "hello",
        "1",
        "'x'",
        "GRANT SELECT ON t TO u",
        "SET x = 1",
        "SET datafusion.execution.batch_size = 1",
        "SHOW",
        "SHOW ALL",
        "SHOW TABLES FROM ns",
        "SHOW TABLES IN ns LIKE 'x'",
        "SHOW STATS FOR t",
        "SHOW NAMESPACES x",
        "DESCRIBE",
        "DESCRIBE t EXTENDED",
        "USE",
        "USE a b",
        "BEGIN ISOLATION LEVEL SERIALIZABLE",
        "COMMIT AND CHAIN",
        "ROLLBACK TO SAVEPOINT x",
        "SAVEPOINT x",
        "EXECUTE x",
        "PREPARE x AS SELECT 1",
        "STORAGE",
        "STORAGE FLUSH",
        "KILL 5",
        "CLUSTER",
        "CLUSTER DANCE",
        "RESTORE x",
        "PRAGMA x",
        "LOAD 'x'",
        "CREATE USER u WITH PASSWORD 'p' ROLE user",
        "CREATE USER 'u'",
        "CREATE USER 'u' WITH PASSWORD 'p'",
        "CREATE USER 'u' WITH OAUTH 'x' ROLE user",
        "CREATE USER 'u' WITH INTERNAL ROLE king",
        "CREATE USER 'u' WITH INTERNAL ROLE user EMAIL 'x'",
        "CREATE USER ' u' WITH INTERNAL ROLE user",
        "CREATE USER IF NOT EXISTS 'u' WITH INTERNAL ROLE user",
        "ALTER USER 'u' SET NAME 'x'",
        "ALTER USER 'u' PASSWORD 'x'",
        "DROP USER u",
        "RESTORE USER",
    ]));
}

#[test]
fn passwords_are_never_shown() {
    for text in [
        "CREATE USER 'u' WITH PASSWORD 'hunter2' 'hunter2' ROLE user",
        "CREATE USER 'u' WITH PASSWORD 'hunter2' ROLE 'hunter2'",
        "CREATE USER 'u' WITH 'hunter2'",
        "CREATE USER 'u' WITH OAUTH 'hunter2' ROLE user",
        "CREATE USER 'u' WITH PASSWORD ROLE 'hunter2'",
        "CREATE USER 'u' WITH PASSWORD = 'hunter2'",
        "ALTER USER 'u' SET PASSWORD 'x' 'hunter2'",
        "ALTER USER 'u' SET PASSWORD 'x' X'hunter2'",
        "ALTER USER 'u' SET 'hunter2'",
        "ALTER USER 'u' SET EMAIL 'hunter2'",
        "ALTER USER 'u' SET PASSWORD N'hunter2'",
        "ALTER USER 'u' SET PASSWORD 'hunter2",
        "ALTER USER 'u' SET PASSWORD hunter2",
        "ALTER USER 'u' SET PASSWORD \"hunter2\"",
        "ALTER USER 'u' SET PASSWORD 'x' hunter2",
        "CREATE USER 'u' WITH PASSWORD hunter2 ROLE user",
        "CREATE USER 'u' WITH INTERNAL ROLE hunter2",
        "CREATE USER 'u' WITH INTERNAL ROLE user hunter2",
        "CREATE USER 'u' WITH PASSWORD 'x' + hunter2",
        "SELECT 1 'hunter2' 'hunter2'",
        "SELECT * FROM t 'hunter2'",
        "SELECT f('hunter2' 'hunter2')",
        "EXECUTE AS USER 'u' (ALTER USER 'u' SET PASSWORD 'x' 'hunter2')",
        "SELECT 1; ALTER USER 'u' SET PASSWORD 'x' 'hunter2'",
    ] {
        let Err(error) = kalam_sql::parse(text) else {
            continue;
        };
        let shown = format!("{error} {error:?} {:?}", error.hint());
        assert!(!shown.contains("hunter2"), "{text}\n{shown}");
    }
    for text in [
        "CREATE USER 'u' WITH PASSWORD 'hunter2' ROLE user",
        "ALTER USER 'u' SET PASSWORD 'hunter2'",
    ] {
        let shown = format!("{:?}", kalam_sql::parse(text));
        assert!(
            shown.contains("Password(…)") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}
