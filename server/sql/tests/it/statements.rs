//! Everything but CREATE and ALTER TABLE.

use kalam_link_core::Role;
use kalam_model::TableKind;
use kalam_sql::statement::{
    AlterUser, Cell, ConflictAction, CreateUser, Delete, IfExists, Insert, InsertSource,
    NewAuthentication, Statement, TableRef, Update,
};
use kalam_sql::{Limit, Subscription, canonical, canonical_query, parse, parse_expr, parse_query};

use crate::{parsed, refused};

fn table(name: &str) -> TableRef {
    match name.split_once('.') {
        Some((namespace, name)) => TableRef {
            namespace: Some(namespace.to_owned()),
            name: name.to_owned(),
        },
        None => TableRef {
            namespace: None,
            name: name.to_owned(),
        },
    }
}

#[track_caller]
fn check(text: &str, statement: Statement) {
    assert_eq!(parsed(text), statement, "{text}");
}

#[test]
fn namespaces() {
    let (fail, ignore) = (IfExists::Fail, IfExists::Ignore);
    let name = || "chat".to_owned();
    check(
        "CREATE NAMESPACE chat",
        Statement::CreateNamespace {
            name: name(),
            if_exists: fail,
        },
    );
    check(
        "create namespace if not exists CHAT;",
        Statement::CreateNamespace {
            name: name(),
            if_exists: ignore,
        },
    );
    check(
        "ALTER NAMESPACE chat SET DESCRIPTION 'it''s'",
        Statement::AlterNamespace {
            name: name(),
            description: Some("it's".to_owned()),
        },
    );
    check(
        "DROP NAMESPACE chat",
        Statement::DropNamespace {
            name: name(),
            if_exists: fail,
            cascade: false,
        },
    );
    check(
        "DROP NAMESPACE IF EXISTS chat CASCADE",
        Statement::DropNamespace {
            name: name(),
            if_exists: ignore,
            cascade: true,
        },
    );
    check("SHOW NAMESPACES", Statement::ShowNamespaces);
    for text in [
        "USE chat",
        "USE NAMESPACE chat",
        "SET NAMESPACE chat",
        "USE Chat",
    ] {
        check(text, Statement::UseNamespace { name: name() });
    }
    check(
        "USE \"Chat\"",
        Statement::UseNamespace {
            name: "Chat".to_owned(),
        },
    );
}

#[test]
fn tables_and_views() {
    let (fail, ignore) = (IfExists::Fail, IfExists::Ignore);
    check(
        "DROP TABLE t",
        Statement::DropTable {
            table: table("t"),
            kind: None,
            if_exists: fail,
        },
    );
    for (word, kind) in [
        ("USER", TableKind::User),
        ("SHARED", TableKind::Shared),
        ("STREAM", TableKind::Stream),
    ] {
        check(
            &format!("DROP {word} TABLE IF EXISTS ns.t"),
            Statement::DropTable {
                table: table("ns.t"),
                kind: Some(kind),
                if_exists: ignore,
            },
        );
    }
    check(
        "DROP VIEW v",
        Statement::DropView {
            view: table("v"),
            if_exists: fail,
        },
    );
    check(
        "DROP VIEW IF EXISTS ns.v",
        Statement::DropView {
            view: table("ns.v"),
            if_exists: ignore,
        },
    );
    check("SHOW TABLES", Statement::ShowTables { namespace: None });
    check(
        "SHOW TABLES IN chat",
        Statement::ShowTables {
            namespace: Some("chat".to_owned()),
        },
    );
    check(
        "SHOW TABLES IN NAMESPACE chat",
        Statement::ShowTables {
            namespace: Some("chat".to_owned()),
        },
    );
    for text in [
        "DESCRIBE ns.t",
        "DESC ns.t",
        "DESCRIBE TABLE ns.t",
        "DESC TABLE ns.t",
    ] {
        check(
            text,
            Statement::Describe {
                table: table("ns.t"),
                history: false,
            },
        );
        check(
            &format!("{text} HISTORY"),
            Statement::Describe {
                table: table("ns.t"),
                history: true,
            },
        );
    }
    check(
        "SHOW STATS FOR TABLE ns.t",
        Statement::ShowStats {
            table: table("ns.t"),
        },
    );
    for (text, replace, columns) in [
        ("CREATE VIEW ns.v AS SELECT 1", false, vec![]),
        (
            "CREATE OR REPLACE VIEW ns.v (a, \"B\") AS WITH x AS (SELECT 1) SELECT * FROM x",
            true,
            vec!["a", "B"],
        ),
    ] {
        let Statement::CreateView(view) = parsed(text) else {
            panic!("{text}")
        };
        assert_eq!(
            (view.view, view.replace, view.columns),
            (
                table("ns.v"),
                replace,
                columns.iter().map(|c| c.to_string()).collect()
            )
        );
        assert!(text.ends_with(&view.query.to_string()));
    }
}

fn insert(text: &str) -> Insert {
    match parsed(text) {
        Statement::Insert(insert) => *insert,
        other => panic!("{text}: {other:?}"),
    }
}

fn shown_cells(source: &InsertSource) -> String {
    match source {
        InsertSource::Query(query) => query.to_string(),
        InsertSource::Values(rows) => {
            let row = |row: &Vec<Cell>| row.iter().map(shown_cell).collect::<Vec<_>>().join(",");
            rows.iter().map(row).collect::<Vec<_>>().join(";")
        }
    }
}

fn shown_cell(cell: &Cell) -> String {
    match cell {
        Cell::Default => "<default>".to_owned(),
        Cell::Expr(expr) => expr.to_string(),
    }
}

#[test]
fn insert_values() {
    let plain = insert("INSERT INTO t VALUES (1, 'a'), (-2, DEFAULT)");
    assert_eq!(
        (
            plain.table.clone(),
            plain.columns.len(),
            plain.returning.len()
        ),
        (table("t"), 0, 0)
    );
    assert_eq!(shown_cells(&plain.source), "1,'a';-2,<default>");
    assert_eq!(plain.conflict, None);
    let named = insert(
        "INSERT INTO Ns.T (A, \"B\", timestamp) VALUES ($1, X'00ff', NOW()) RETURNING *, a + 1 AS next",
    );
    assert_eq!(
        (named.table, named.columns),
        (
            table("ns.t"),
            vec!["a".into(), "B".into(), "timestamp".into()]
        )
    );
    assert_eq!(shown_cells(&named.source), "$1,X'00ff',NOW()");
    assert_eq!(named.returning.len(), 2);
}

#[test]
fn insert_select() {
    for text in [
        "INSERT INTO t (a) SELECT b FROM u WHERE c > 1 ORDER BY b LIMIT 3",
        "INSERT INTO t (a) WITH x AS (SELECT 1 AS b) SELECT b FROM x",
        "INSERT INTO t (a) (SELECT 1)",
    ] {
        assert!(
            matches!(insert(text).source, InsertSource::Query(_)),
            "{text}"
        );
    }
}

#[test]
fn insert_on_conflict() {
    let nothing = insert("INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING")
        .conflict
        .unwrap();
    assert_eq!(
        (nothing.target.len(), nothing.action),
        (0, ConflictAction::Nothing)
    );
    let nothing = insert("INSERT INTO t VALUES (1) ON CONFLICT (A, b) DO NOTHING RETURNING a")
        .conflict
        .unwrap();
    assert_eq!(
        (nothing.target, nothing.action),
        (vec!["a".into(), "b".into()], ConflictAction::Nothing)
    );
    let update = insert(
        "INSERT INTO t (a, n) VALUES (1, 2) ON CONFLICT (a) DO UPDATE SET n = t.n + excluded.n, m = DEFAULT WHERE t.n < 9",
    );
    let Some(ConflictAction::Update {
        assignments,
        filter,
    }) = update.conflict.map(|conflict| conflict.action)
    else {
        panic!("no update")
    };
    let sets: Vec<_> = assignments
        .iter()
        .map(|set| (set.column.as_str(), shown_cell(&set.value)))
        .collect();
    assert_eq!(
        sets,
        [
            ("n", "t.n + excluded.n".to_owned()),
            ("m", "<default>".to_owned())
        ]
    );
    assert_eq!(filter.unwrap().to_string(), "t.n < 9");
}

#[test]
fn update_and_delete() {
    let Statement::Update(update) =
        parsed("UPDATE ns.t AS x SET a = a + 1, \"B\" = DEFAULT WHERE id = $1 RETURNING a")
    else {
        panic!()
    };
    let Update {
        table: target,
        alias,
        assignments,
        filter,
        returning,
    } = *update;
    assert_eq!(
        (target, alias.as_deref(), returning.len()),
        (table("ns.t"), Some("x"), 1)
    );
    assert_eq!(
        assignments
            .iter()
            .map(|set| set.column.as_str())
            .collect::<Vec<_>>(),
        ["a", "B"]
    );
    assert_eq!(filter.unwrap().to_string(), "id = $1");
    assert!(
        matches!(parsed("UPDATE t SET a = 1"), Statement::Update(update) if update.filter.is_none())
    );
    let Statement::Delete(delete) = parsed("DELETE FROM ns.t WHERE id IN (1, 2) RETURNING *")
    else {
        panic!()
    };
    let Delete {
        table: target,
        alias,
        filter,
        returning,
    } = *delete;
    assert_eq!((target, alias, returning.len()), (table("ns.t"), None, 1));
    assert_eq!(filter.unwrap().to_string(), "id IN (1, 2)");
}

#[test]
fn transactions() {
    for (text, statement) in [
        ("BEGIN", Statement::Begin),
        ("BEGIN TRANSACTION", Statement::Begin),
        ("START TRANSACTION", Statement::Begin),
        ("COMMIT", Statement::Commit),
        ("commit work", Statement::Commit),
        ("ROLLBACK", Statement::Rollback),
    ] {
        check(text, statement);
    }
    let parsed = parse("BEGIN; INSERT INTO t VALUES (1); COMMIT;").unwrap();
    assert_eq!(parsed.len(), 3);
}

#[test]
fn users() {
    let create = |authentication, role, email: Option<&str>| {
        Statement::CreateUser(CreateUser {
            user: "al ice".to_owned(),
            authentication,
            role,
            email: email.map(str::to_owned),
        })
    };
    let password = |text: &str| NewAuthentication::Password(text.to_owned());
    check(
        "CREATE USER 'al ice' WITH PASSWORD 'it''s' ROLE 'service'",
        create(password("it's"), Role::Service, None),
    );
    check(
        "CREATE USER 'al ice' WITH PASSWORD E'\\'' ROLE dba EMAIL 'a@b.c'",
        create(password("'"), Role::Dba, Some("a@b.c")),
    );
    check(
        "CREATE USER 'al ice' WITH OAUTH ROLE User",
        create(NewAuthentication::OAuth(None), Role::User, None),
    );
    check(
        "CREATE USER 'al ice' WITH OAUTH '{\"sub\":\"1\"}' ROLE user",
        create(
            NewAuthentication::OAuth(Some("{\"sub\":\"1\"}".into())),
            Role::User,
            None,
        ),
    );
    check(
        "CREATE USER 'al ice' WITH INTERNAL ROLE system",
        create(NewAuthentication::Internal, Role::System, None),
    );
    let alter = |change| Statement::AlterUser {
        user: "u".to_owned(),
        change,
    };
    check(
        "ALTER USER 'u' SET PASSWORD 'p'",
        alter(AlterUser::Password("p".into())),
    );
    check(
        "ALTER USER 'u' SET ROLE 'dba'",
        alter(AlterUser::Role(Role::Dba)),
    );
    check(
        "ALTER USER 'u' SET EMAIL 'a@b'",
        alter(AlterUser::Email("a@b".into())),
    );
    check(
        "DROP USER 'u'",
        Statement::DropUser {
            user: "u".into(),
            if_exists: IfExists::Fail,
        },
    );
    check(
        "DROP USER IF EXISTS 'u'",
        Statement::DropUser {
            user: "u".into(),
            if_exists: IfExists::Ignore,
        },
    );
    check(
        "RESTORE USER 'u'",
        Statement::RestoreUser { user: "u".into() },
    );
}

#[test]
fn execute_as() {
    let Statement::ExecuteAs { user, statement } =
        parsed("EXECUTE AS USER 'bob' ( INSERT INTO t VALUES ((1)) )")
    else {
        panic!()
    };
    assert_eq!(user, "bob");
    assert!(matches!(*statement, Statement::Insert(_)));
    assert!(matches!(
        parsed("EXECUTE AS USER 'bob' (SELECT 1)"),
        Statement::ExecuteAs { .. }
    ));
    for text in [
        "EXECUTE AS USER 'bob' (EXECUTE AS USER 'eve' (SELECT 1))",
        "EXECUTE AS USER 'bob' (BEGIN)",
        "EXECUTE AS USER 'bob' (USE ns)",
        "EXECUTE AS USER 'bob' SELECT 1",
        "EXECUTE AS USER 'bob' (SELECT 1) x",
        "EXECUTE AS USER 'bob' (SELECT 1",
        "EXECUTE AS USER 'bob' ()",
        "EXECUTE AS USER bob (SELECT 1)",
    ] {
        refused(text);
    }
}

#[test]
fn queries() {
    for text in [
        "SELECT 1",
        "(SELECT 1) UNION ALL (SELECT 2)",
        "VALUES (1, 'a'), (2, 'b')",
        "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 9) SELECT * FROM n",
        "SELECT timestamp, hour, version, key, value, date, user, role, type, status, name, time, year FROM t",
        "SELECT t.timestamp, t.user, t.date FROM t AS t WHERE t.key = 1 AND value > 2 ORDER BY date, hour DESC",
        "SELECT max(interval), min(date) FROM t WHERE interval = 3",
        "SELECT a, count(*) FILTER (WHERE b > 1) FROM ns.t GROUP BY a HAVING count(*) > 1 ORDER BY 2 LIMIT 3 OFFSET 1",
        "SELECT DISTINCT ON (a) a, b FROM t ORDER BY a, b NULLS LAST",
        "SELECT sum(a) OVER (PARTITION BY b ORDER BY c ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM t",
        "SELECT * FROM a JOIN b USING (id) LEFT JOIN c ON c.id = a.id CROSS JOIN d NATURAL JOIN e",
        "SELECT * FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.id = t.id) AND id IN (SELECT id FROM v)",
        "SELECT * FROM (SELECT 1 AS a) AS x, LATERAL (SELECT x.a) AS y",
        "SELECT * FROM generate_series(1, 10) AS g, unnest([1, 2]) AS u",
        "SELECT * EXCLUDE (a) FROM t",
        "SELECT CASE WHEN a THEN 1 ELSE 2 END, CASE a WHEN 1 THEN 2 END, CAST(a AS TEXT), a::BIGINT FROM t",
        "SELECT a BETWEEN 1 AND 2, b NOT IN (1), c LIKE 'x%' ESCAPE '!', d IS NOT NULL, e IS DISTINCT FROM 1 FROM t",
        "SELECT DATE '2024-01-01' + INTERVAL '1' DAY, TIMESTAMP '2024-01-01T00:00:00', EXTRACT(year FROM ts) FROM t",
        "SELECT CURRENT_USER, CURRENT_USER(), CURRENT_TIMESTAMP, now() - INTERVAL '1 hour'",
        "SELECT 'a' || E'\\n' || $$it's$$, X'00', -1.5e3, $1, $2",
        "SELECT a FROM t EXCEPT SELECT a FROM u INTERSECT SELECT a FROM v",
        "SELECT row_number() OVER w FROM t WINDOW w AS (ORDER BY a) QUALIFY row_number() OVER w = 1",
        "SELECT _seq, * FROM t",
    ] {
        assert!(matches!(parsed(text), Statement::Select(_)), "{text}");
        let Statement::Explain {
            analyze: false,
            verbose: false,
            ..
        } = parsed(&format!("EXPLAIN {text}"))
        else {
            panic!("{text}")
        };
    }
    assert!(matches!(
        parsed("EXPLAIN ANALYZE SELECT 1"),
        Statement::Explain {
            analyze: true,
            verbose: false,
            ..
        }
    ));
    assert!(matches!(
        parsed("EXPLAIN VERBOSE SELECT 1"),
        Statement::Explain {
            analyze: false,
            verbose: true,
            ..
        }
    ));
}

#[test]
fn parameters_are_counted() {
    let parameters = |text| parse(text).unwrap()[0].parameters;
    assert_eq!(parameters("SELECT 1"), 0);
    assert_eq!(parameters("SELECT $3, '$9', $1"), 3);
    refused("SELECT $0");
    refused("SELECT ?");
    refused("SELECT :name");
    refused("SELECT $name");
}

#[track_caller]
fn subscription(text: &str) -> Subscription {
    match parsed(text) {
        Statement::Subscribe(subscription) => *subscription,
        other => panic!("{text}\nwas read as {other:?}"),
    }
}

#[test]
fn live_queries() {
    let whole = subscription("SUBSCRIBE TO ns.t WHERE a > $2 OPTIONS (last_rows=1)");
    assert_eq!((whole.table, whole.parameters), (table("ns.t"), 2));
    assert_eq!(whole.options.last_rows, Some(1));
    let select = subscription("subscribe to select a from t order by a limit 3;");
    assert_eq!(select.table, table("t"));
    assert_eq!(select.limit, Some(Limit::Rows(3)));
    assert_eq!(
        select.to_select("ns"),
        "SELECT a FROM ns.t ORDER BY a LIMIT 3"
    );
    check(
        "KILL LIVE QUERY '12-3'",
        Statement::KillLiveQuery {
            id: "12-3".to_owned(),
        },
    );
    assert!(matches!(
        parsed("EXECUTE AS USER 'u' (KILL LIVE QUERY 'x')"),
        Statement::ExecuteAs { statement, .. }
            if matches!(*statement, Statement::KillLiveQuery { .. })
    ));
    let batch = parse("SUBSCRIBE TO t OPTIONS (batch_size=2); KILL LIVE QUERY 'x'").unwrap();
    assert_eq!(batch.len(), 2);
    refused("EXECUTE AS USER 'u' (SUBSCRIBE TO t)");
}

#[test]
fn what_is_not_built_is_named() {
    for (text, what) in [
        ("CREATE INDEX i ON t (a)", "CREATE INDEX"),
        (
            "CREATE UNIQUE INDEX IF NOT EXISTS i ON t (a, b)",
            "CREATE UNIQUE INDEX",
        ),
        ("DROP INDEX IF EXISTS i", "DROP INDEX"),
        ("SHOW INDEXES FOR TABLE t", "SHOW INDEXES"),
        ("SHOW MANIFEST", "SHOW MANIFEST"),
        ("SHOW MANIFEST FOR TABLE ns.t", "SHOW MANIFEST"),
        (
            "CREATE API KEY 'k' FOR 'u' EXPIRES '2030-01-01'",
            "CREATE API KEY",
        ),
        ("DROP API KEY 'k'", "DROP API KEY"),
        ("SHOW API KEYS", "SHOW API KEYS"),
        ("ALTER USER 'u' SET STORAGE s3", "ALTER USER … SET STORAGE"),
        (
            "CREATE STORAGE s TYPE 's3' BUCKET 'b' CREDENTIALS '{}'",
            "CREATE STORAGE",
        ),
        ("ALTER STORAGE s SET NAME 'n'", "ALTER STORAGE"),
        ("DROP STORAGE IF EXISTS s", "DROP STORAGE"),
        ("SHOW STORAGES", "SHOW STORAGES"),
        ("STORAGE CHECK s EXTENDED", "STORAGE CHECK"),
        ("STORAGE FLUSH TABLE ns.t", "STORAGE FLUSH TABLE"),
        ("STORAGE FLUSH ALL IN NAMESPACE ns", "STORAGE FLUSH ALL"),
        ("STORAGE COMPACT TABLE ns.t", "STORAGE COMPACT TABLE"),
        ("STORAGE COMPACT ALL", "STORAGE COMPACT ALL"),
        ("KILL JOB 'x'", "KILL JOB"),
        ("KILL QUERY 'x'", "KILL QUERY"),
        ("BACKUP DATABASE TO '/x'", "BACKUP DATABASE"),
        ("RESTORE DATABASE FROM '/x'", "RESTORE DATABASE"),
        ("EXPORT USER DATA FOR 'u'", "EXPORT USER DATA"),
        ("SHOW BACKUPS", "SHOW BACKUPS"),
        ("CLUSTER STATUS", "CLUSTER STATUS"),
        ("CLUSTER LIST", "CLUSTER LIST"),
        ("CLUSTER JOIN 2 RPC 'a' API 'b'", "CLUSTER JOIN"),
        ("CLUSTER LEAVE 2", "CLUSTER LEAVE"),
        ("CLUSTER SNAPSHOT", "CLUSTER SNAPSHOT"),
        ("CLUSTER TRANSFER LEADER 2", "CLUSTER TRANSFER LEADER"),
        ("CLUSTER STEPDOWN", "CLUSTER STEPDOWN"),
        ("CLUSTER TRIGGER ELECTION", "CLUSTER TRIGGER ELECTION"),
        ("CLUSTER REBALANCE", "CLUSTER REBALANCE"),
    ] {
        check(
            text,
            Statement::Unsupported {
                what: what.to_owned(),
            },
        );
    }
}

#[test]
fn a_batch_is_read_as_a_whole() {
    let text = "-- first\nSELECT 1;;\n  CREATE NAMESPACE a ; USE a";
    let ranges: Vec<_> = parse(text)
        .unwrap()
        .into_iter()
        .map(|parsed| &text[parsed.range])
        .collect();
    assert_eq!(ranges, ["SELECT 1", "CREATE NAMESPACE a", "USE a"]);
    let error = parse("SELECT 1;\nSELECT 2;\n  SELEC 3").unwrap_err();
    assert_eq!(
        format!("{} {error}", error.code()),
        "BATCH_PARSE_ERROR Statement 3 failed: expected a statement, found `SELEC` at line 3, column 3"
    );
    let error = parse("SELECT 1; STORAGE FLUSH TABLE t; SELECT * FROM t FOR UPDATE").unwrap_err();
    assert_eq!(
        format!("{} {error}", error.code()),
        "UNSUPPORTED Statement 3 failed: FOR UPDATE is not supported"
    );
    for text in ["", " ; ;", "-- nothing"] {
        assert_eq!(parse(text).unwrap_err().code().as_str(), "EMPTY_SQL");
    }
}

#[test]
fn stored_text_means_the_same_again() {
    for text in [
        "'it''s'",
        "'a''''b'",
        r"'\'",
        r"E'\\\'x'",
        r"'\'' OR 1=1 --'",
        "$$'$$",
        "a OR b AND NOT (c OR d)",
        "SNOWFLAKE_ID()",
        "CURRENT_USER",
        "X'00ff'",
        "-1 - -2",
        "- - -1",
        "~ ~1",
        "NOT NOT a",
        "1::DECIMAL(10,2)",
        "DATE '2024-01-01'",
    ] {
        let expr = parse_expr(text).unwrap();
        let stored = canonical(&expr);
        let again =
            parse_expr(&stored).unwrap_or_else(|error| panic!("{text} -> {stored}: {error}"));
        assert_eq!(canonical(&again), stored, "{text}");
    }
    let query = parse_query(r"SELECT 'a''''b', '\''' FROM t WHERE b = '\''' OR c").unwrap();
    let again = parse_query(&canonical_query(&query)).unwrap();
    assert_eq!(again.to_string(), query.to_string());
}

#[test]
fn unnest_is_a_table_function() {
    let query = parse_query("SELECT * FROM unnest([1, 2], ARRAY[3]) AS u (a, b)").unwrap();
    assert!(format!("{query:?}").contains("UNNEST"));
    assert!(
        format!(
            "{:?}",
            parsed("DELETE FROM t WHERE a IN (SELECT * FROM UNNEST([1]))")
        )
        .contains("UNNEST")
    );
}
