//! Who may do what: the table of rights, hidden and missing tables, EXECUTE AS.

use kalam_link_core::{ErrorCode, Role};
use kalam_model::Caller;

use crate::exec_support::{alice, code, root, verdict};
use crate::plan_support::{Db, caller};

const ROLES: [Role; 4] = [Role::User, Role::Service, Role::Dba, Role::System];

const KINDS: [(&str, &str); 7] = [
    (
        "of_user",
        "CREATE USER TABLE of_user (id INT PRIMARY KEY, n INT)",
    ),
    (
        "private",
        "CREATE SHARED TABLE private (id INT PRIMARY KEY, n INT)",
    ),
    (
        "restricted",
        "CREATE SHARED TABLE restricted (id INT PRIMARY KEY, n INT) WITH (ACCESS_LEVEL='RESTRICTED')",
    ),
    (
        "public",
        "CREATE SHARED TABLE public (id INT PRIMARY KEY, n INT) WITH (ACCESS_LEVEL='PUBLIC')",
    ),
    (
        "open",
        "CREATE SHARED TABLE open (id INT PRIMARY KEY, n INT) WITH (ACCESS_LEVEL='PUBLIC', WRITE_LEVEL='PUBLIC')",
    ),
    (
        "stream",
        "CREATE STREAM TABLE stream (id INT, n INT) WITH (TTL_SECONDS=600)",
    ),
    (
        "wall",
        "CREATE STREAM TABLE wall (id INT, n INT) WITH (TTL_SECONDS=600, ACCESS_LEVEL='PUBLIC')",
    ),
];

async fn world() -> Db {
    let db = Db::open();
    let root = root();
    for (_, create) in KINDS {
        db.run(&root, create).await;
    }
    for (name, role) in [
        ("alice", "user"),
        ("bob", "user"),
        ("svc", "service"),
        ("svc2", "service"),
        ("dora", "dba"),
        ("dirk", "dba"),
        ("sys", "system"),
    ] {
        db.run(&root, &format!("CREATE USER '{name}' INTERNAL ROLE {role}"))
            .await;
    }
    db
}

fn of_role(role: Role) -> Caller {
    let name = match role {
        Role::User => "alice",
        Role::Service => "svc",
        Role::Dba => "dora",
        Role::System => "sys",
    };
    caller(name, role)
}

#[tokio::test]
async fn rows_by_role_and_kind() {
    let db = world().await;
    for (table, _) in KINDS {
        for role in ROLES {
            let me = of_role(role);
            let is_user = role == Role::User;
            let hidden = is_user && matches!(table, "private" | "restricted");
            let read = if hidden {
                Err(ErrorCode::TableNotFound)
            } else {
                Ok(())
            };
            let write = match table {
                _ if hidden => Err(ErrorCode::TableNotFound),
                "public" if is_user => Err(ErrorCode::PermissionDenied),
                _ => Ok(()),
            };
            let update = match table {
                "stream" | "wall" => Err(ErrorCode::Unsupported),
                _ => write,
            };
            let id = role as i32;
            for (sql, expected) in [
                (format!("SELECT * FROM {table}"), read),
                (format!("SELECT * FROM {table} WHERE id = 1"), read),
                (
                    format!("SELECT count(*) FROM {table} a JOIN {table} b ON a.id = b.id"),
                    read,
                ),
                (format!("DESCRIBE {table}"), read),
                (format!("EXPLAIN SELECT * FROM {table}"), read),
                (format!("INSERT INTO {table} VALUES ({id}, 1)"), write),
                (format!("INSERT INTO {table} SELECT {id} + 100, 1"), write),
                (format!("UPDATE {table} SET n = 2 WHERE id = {id}"), update),
                (format!("UPDATE {table} SET n = 2 WHERE n = 77"), update),
                (format!("DELETE FROM {table} WHERE id = {id}"), write),
                (format!("DELETE FROM {table} WHERE n = 77"), write),
                (
                    format!("BEGIN; DELETE FROM {table} WHERE id = {id}; COMMIT"),
                    write,
                ),
            ] {
                assert_eq!(verdict(&db, &me, &sql).await, expected, "{role:?}: {sql}");
            }
        }
    }
}

#[tokio::test]
async fn statements_by_role() {
    let db = world().await;
    let root = root();
    db.run(&root, "CREATE NAMESPACE n").await;
    // From which role on each is allowed. None of them leaves anything that the next role would meet.
    for (least, sql, undo) in [
        (
            Role::Service,
            "CREATE USER TABLE x (id INT PRIMARY KEY)",
            "DROP TABLE x",
        ),
        (
            Role::Service,
            "CREATE SHARED TABLE x (id INT PRIMARY KEY)",
            "DROP TABLE x",
        ),
        (
            Role::Service,
            "CREATE STREAM TABLE x (id INT) WITH (TTL_SECONDS=5)",
            "DROP TABLE x",
        ),
        (
            Role::Dba,
            "ALTER TABLE of_user ADD COLUMN c INT",
            "ALTER TABLE of_user DROP COLUMN c",
        ),
        (
            Role::Dba,
            "ALTER TABLE open SET TBLPROPERTIES (WRITE_LEVEL='PUBLIC')",
            "",
        ),
        (Role::Dba, "DROP TABLE IF EXISTS x", ""),
        (Role::Dba, "CREATE VIEW v AS SELECT 1 AS one", "DROP VIEW v"),
        (Role::Dba, "DROP VIEW IF EXISTS v", ""),
        (Role::Dba, "CREATE NAMESPACE m", "DROP NAMESPACE m"),
        (Role::Dba, "ALTER NAMESPACE n SET DESCRIPTION 'd'", ""),
        (Role::Dba, "DROP NAMESPACE IF EXISTS nope", ""),
        (Role::Dba, "CREATE USER 'new' INTERNAL ROLE user", ""),
        (Role::Dba, "ALTER USER 'bob' SET EMAIL 'b@example.org'", ""),
        (Role::Dba, "DROP USER IF EXISTS 'nobody'", ""),
        (Role::Service, "EXECUTE AS USER 'bob' (SELECT 1)", ""),
        (Role::User, "SELECT CURRENT_USER()", ""),
        (Role::User, "SHOW TABLES", ""),
        (Role::User, "SHOW NAMESPACES", ""),
    ] {
        for role in ROLES {
            let me = of_role(role);
            let unique = sql.replace("'new'", &format!("'new_{role:?}'"));
            let expected = if role >= least {
                Ok(())
            } else {
                Err(ErrorCode::PermissionDenied)
            };
            assert_eq!(
                verdict(&db, &me, &unique).await,
                expected,
                "{role:?}: {unique}"
            );
            if expected.is_ok() && !undo.is_empty() {
                db.run(&root, undo).await;
            }
        }
    }
}

#[tokio::test]
async fn nobody_manages_accounts_above_their_role() {
    let db = world().await;
    let dora = of_role(Role::Dba);
    for sql in [
        "CREATE USER 'evil' INTERNAL ROLE system",
        "ALTER USER 'bob' SET ROLE system",
        "ALTER USER 'sys' SET EMAIL 'x@example.org'",
        "ALTER USER 'sys' SET PASSWORD 'correct horse battery'",
        "DROP USER 'sys'",
        "EXECUTE AS USER 'sys' (SELECT 1)",
    ] {
        assert_eq!(
            code(&db, &dora, sql).await,
            ErrorCode::PermissionDenied,
            "{sql}"
        );
    }
    db.run(&dora, "DROP USER 'bob'").await;
    db.run(&dora, "RESTORE USER 'bob'").await;
}

/// Everything that names a table says the same about one that is hidden and one that is missing.
#[tokio::test]
async fn hidden_and_missing_are_the_same() {
    let db = world().await;
    let root = root();
    db.run(&root, "CREATE NAMESPACE secret").await;
    db.run(
        &root,
        "CREATE SHARED TABLE secret.plans (id INT PRIMARY KEY, n INT)",
    )
    .await;
    db.run(
        &root,
        "CREATE VIEW secret.seen AS SELECT * FROM secret.plans",
    )
    .await;
    db.run(&root, "CREATE VIEW peek AS SELECT * FROM private")
        .await;
    let me = alice();
    let hidden = [
        "private",
        "restricted",
        "peek",
        "secret.plans",
        "secret.seen",
        "system.users",
        "system.audit_log",
    ];
    for name in hidden {
        let (missing, there) = match name.split_once('.') {
            Some(("system", table)) => (
                format!("system.{}", "z".repeat(table.len())),
                name.to_owned(),
            ),
            Some((namespace, table)) => (
                format!(
                    "{}.{}",
                    "q".repeat(namespace.len()),
                    "z".repeat(table.len())
                ),
                name.to_owned(),
            ),
            None => ("z".repeat(name.len()), name.to_owned()),
        };
        for sql in [
            "SELECT * FROM {}",
            "SELECT nope FROM {} WHERE id = 1",
            "SELECT * FROM {} WHERE id = 1",
            "SELECT 1 WHERE EXISTS (SELECT 1 FROM {})",
            "SELECT * FROM open JOIN {} USING (id)",
            "EXPLAIN SELECT * FROM {}",
            "INSERT INTO {} VALUES (1, 1)",
            "INSERT INTO {} (nope) VALUES (1)",
            "INSERT INTO {} SELECT 1, 1",
            "INSERT INTO open SELECT * FROM {}",
            "UPDATE {} SET n = 1 WHERE id = 1",
            "UPDATE {} SET n = 1",
            "UPDATE open SET n = (SELECT max(n) FROM {})",
            "DELETE FROM {} WHERE id = 1",
            "DELETE FROM {}",
            "DESCRIBE {}",
            "SHOW STATS FOR TABLE {}",
            "ALTER TABLE {} ADD COLUMN c INT",
            "DROP TABLE {}",
            "DROP TABLE IF EXISTS {}",
            "DROP VIEW {}",
            "CREATE SHARED TABLE {} (id INT PRIMARY KEY)",
            "CREATE VIEW {} AS SELECT 1 AS one",
            "BEGIN; DELETE FROM {} WHERE id = 1; COMMIT",
            "SHOW TABLES IN {}",
        ] {
            let about = |name: &str| {
                let last = name.rsplit('.').next().unwrap().to_owned();
                let space = name.split('.').next().unwrap().to_owned();
                let name = if sql.starts_with("SHOW TABLES") {
                    space
                } else {
                    name.to_owned()
                };
                (sql.replace("{}", &name), last)
            };
            let (about_hidden, last) = about(&there);
            let (about_missing, other) = about(&missing);
            if sql.starts_with("SHOW TABLES") && !name.starts_with("secret") {
                continue;
            }
            let hidden = db.error(&me, &about_hidden).await;
            let missing_error = db.error(&me, &about_missing).await;
            let same_name = |text: String| {
                text.replace(&there, "NAME")
                    .replace(&missing, "NAME")
                    .replace(&last, "NAME")
                    .replace(&other, "NAME")
                    .replace("secret", "SPACE")
                    .replace("qqqqqq", "SPACE")
            };
            assert_eq!(
                same_name(format!("{hidden:?}")),
                same_name(format!("{missing_error:?}")),
                "{about_hidden}"
            );
        }
    }
}

#[tokio::test]
async fn a_view_has_the_rights_of_its_reader() {
    let db = world().await;
    let root = root();
    db.run(&root, "CREATE VIEW mine AS SELECT id, n FROM of_user")
        .await;
    db.run(
        &root,
        "CREATE VIEW both AS SELECT o.id FROM open o JOIN private p USING (id)",
    )
    .await;
    db.run(&root, "INSERT INTO of_user VALUES (1, 1)").await;
    db.run(&alice(), "INSERT INTO of_user VALUES (2, 2)").await;
    assert_eq!(db.rows(&root, "SELECT * FROM mine").await, "[[1,1]]");
    assert_eq!(db.rows(&alice(), "SELECT * FROM mine").await, "[[2,2]]");
    assert_eq!(
        db.rows(&root, "EXECUTE AS USER 'alice' (SELECT * FROM mine)")
            .await,
        "[[2,2]]"
    );
    assert_eq!(
        code(&db, &alice(), "SELECT * FROM both").await,
        ErrorCode::TableNotFound
    );
    assert_eq!(
        code(&db, &root, "EXECUTE AS USER 'alice' (SELECT * FROM both)").await,
        ErrorCode::TableNotFound
    );
    let views = db.rows(&alice(), "SHOW TABLES").await;
    assert!(views.contains("mine") && !views.contains("both"), "{views}");
    assert_eq!(
        code(&db, &alice(), "INSERT INTO mine VALUES (1, 1)").await,
        ErrorCode::Unsupported
    );
}

#[tokio::test]
async fn execute_as_by_role_of_both() {
    let db = world().await;
    for (me, target, allowed) in [
        (Role::User, "alice", false),
        (Role::User, "bob", false),
        (Role::Service, "alice", true),
        (Role::Service, "svc2", true),
        (Role::Service, "dora", false),
        (Role::Service, "sys", false),
        (Role::Dba, "alice", true),
        (Role::Dba, "svc", true),
        (Role::Dba, "dirk", true),
        (Role::Dba, "sys", false),
        (Role::System, "alice", true),
        (Role::System, "svc", true),
        (Role::System, "dora", true),
        (Role::System, "root", true),
    ] {
        if target == "root" {
            db.run(&root(), "CREATE USER 'root' INTERNAL ROLE system")
                .await;
        }
        let sql = format!("EXECUTE AS USER '{target}' (SELECT CURRENT_USER())");
        let answer = db.ask(&of_role(me), &sql, &[]).await;
        match answer {
            Ok(reply) if allowed => assert_eq!(reply.rows, format!(r#"[["{target}"]]"#)),
            Err(error) if !allowed => assert_eq!(error.code, ErrorCode::PermissionDenied),
            other => panic!("{me:?} as {target}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn execute_as_tells_nothing_about_accounts_out_of_reach() {
    let db = world().await;
    db.run(&root(), "DROP USER 'bob'").await;
    for (me, names) in [
        (alice(), ["svc", "bob", "nobody"]),
        (of_role(Role::Service), ["dora", "bob", "nobody"]),
    ] {
        let mut answers = Vec::new();
        for name in names {
            let error = db
                .error(&me, &format!("EXECUTE AS USER '{name}' (SELECT 1)"))
                .await;
            answers.push(format!("{error:?}").replace(name, "NAME"));
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "{answers:?}");
    }
    // Those who manage accounts may know.
    let error = db
        .error(&root(), "EXECUTE AS USER 'nobody' (SELECT 1)")
        .await;
    assert_eq!(error.code, ErrorCode::NotFound);
}

#[tokio::test]
async fn execute_as_has_the_rows_and_rights_of_the_other() {
    let db = world().await;
    let svc = of_role(Role::Service);
    db.run(
        &svc,
        "EXECUTE AS USER 'alice' (INSERT INTO of_user VALUES (1, 1))",
    )
    .await;
    assert_eq!(db.rows(&alice(), "SELECT id FROM of_user").await, "[[1]]");
    assert_eq!(db.rows(&svc, "SELECT id FROM of_user").await, "[]");
    for (sql, expected) in [
        ("SELECT * FROM private", ErrorCode::TableNotFound),
        (
            "INSERT INTO public VALUES (1, 1)",
            ErrorCode::PermissionDenied,
        ),
        (
            "CREATE USER TABLE x (id INT PRIMARY KEY)",
            ErrorCode::PermissionDenied,
        ),
        ("EXECUTE AS USER 'svc2' (SELECT 1)", ErrorCode::InvalidSql),
        ("USE system", ErrorCode::InvalidSql),
        ("BEGIN", ErrorCode::InvalidSql),
    ] {
        let sql = format!("EXECUTE AS USER 'alice' ({sql})");
        assert_eq!(code(&db, &svc, &sql).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn execute_as_is_audited_with_both_names() {
    let db = world().await;
    let svc = of_role(Role::Service);
    db.run(&svc, "EXECUTE AS USER 'alice' (SELECT 1)").await;
    assert!(
        verdict(&db, &svc, "EXECUTE AS USER 'dora' (SELECT 1)")
            .await
            .is_err()
    );
    db.run(
        &root(),
        "EXECUTE AS USER 'dora' (CREATE USER 'made' INTERNAL ROLE user)",
    )
    .await;
    let log = db
        .rows(
            &root(),
            "SELECT actor_user_id, as_user, action, target, result FROM system.audit_log WHERE actor_user_id = 'svc' OR as_user IS NOT NULL ORDER BY timestamp",
        )
        .await;
    assert_eq!(
        log,
        r#"[["svc","alice","EXECUTE_AS","alice","allowed"],["svc",null,"EXECUTE_AS","dora","denied"],["root","dora","EXECUTE_AS","dora","allowed"],["root","dora","CREATE_USER","made","success"]]"#
    );
}
