//! Queries that DataFusion plans: what they see, what they give, what they are called.

use kalam_link_core::{ErrorCode, Role};
use serde_json::json;

use crate::plan_support::{Db, caller};

async fn chat() -> Db {
    let db = Db::open();
    let root = caller("root", Role::System);
    db.run(&root, "CREATE NAMESPACE chat").await;
    db.run(&root, "CREATE USER TABLE chat.notes (id BIGINT PRIMARY KEY, body TEXT, stars INT, price DECIMAL(10,2))").await;
    db.run(&root, "CREATE SHARED TABLE chat.rooms (id INT PRIMARY KEY, name TEXT NOT NULL) WITH (ACCESS_LEVEL='PUBLIC')")
        .await;
    db.run(
        &root,
        "CREATE SHARED TABLE chat.secrets (id INT PRIMARY KEY, word TEXT)",
    )
    .await;
    db.run(&root, "INSERT INTO chat.rooms VALUES (1, 'hall'), (2, 'attic'); INSERT INTO chat.secrets VALUES (1, 'canary')")
        .await;
    for (user, first) in [("alice", 1), ("bob", 101)] {
        let user = caller(user, Role::User);
        let values = (first..first + 3)
            .map(|id| format!("({id}, '{} {id}', {}, {id}.25)", user.user, id % 2));
        let sql = format!(
            "INSERT INTO chat.notes VALUES {}",
            values.collect::<Vec<_>>().join(", ")
        );
        db.run(&user, &sql).await;
    }
    db
}

#[tokio::test]
async fn i8_the_same_text_gives_each_user_their_own_rows() {
    let db = chat().await;
    let (alice, bob) = (caller("alice", Role::User), caller("bob", Role::User));
    for sql in [
        "SELECT count(*) FROM chat.notes",
        "SELECT max(body) FROM chat.notes",
        "SELECT a.body FROM chat.notes a JOIN chat.notes b ON a.id = b.id ORDER BY a.id",
        "SELECT body FROM chat.notes WHERE id IN (SELECT id FROM chat.notes) ORDER BY 1",
        "WITH n AS (SELECT * FROM chat.notes) SELECT body FROM n ORDER BY id DESC",
        "SELECT body, row_number() OVER (ORDER BY id) FROM chat.notes ORDER BY id",
        "SELECT CURRENT_USER()",
    ] {
        let (first, second) = (db.rows(&alice, sql).await, db.rows(&bob, sql).await);
        assert!(!first.contains("bob"), "{sql}: {first}");
        assert!(!second.contains("alice"), "{sql}: {second}");
    }
    assert_eq!(
        db.rows(&alice, "SELECT sum(stars), max(price) FROM chat.notes")
            .await,
        r#"[["2","3.25"]]"#
    );
    let root = caller("root", Role::System);
    assert_eq!(
        db.rows(&root, "SELECT count(*) FROM chat.notes").await,
        r#"[["0"]]"#
    );
}

#[tokio::test]
async fn i8_missing_and_hidden_tables_give_equal_answers() {
    let db = chat().await;
    let alice = caller("alice", Role::User);
    for (hidden, missing) in [
        ("chat.secrets", "chat.sacrets"),
        ("system.users", "system.usurs"),
    ] {
        for form in [
            "SELECT * FROM {}",
            "SELECT 1 FROM chat.notes n JOIN {} s ON s.id = n.id",
            "SELECT (SELECT max(id) FROM {})",
        ] {
            let first = db.error(&alice, &form.replace("{}", hidden)).await;
            let second = db.error(&alice, &form.replace("{}", missing)).await;
            assert_eq!(first.code, ErrorCode::TableNotFound);
            assert_eq!(first.message, format!("table not found: `{hidden}`"));
            let (first, second) = (format!("{first:?}"), format!("{second:?}"));
            assert_eq!(first.replace(hidden, "X"), second.replace(missing, "X"));
        }
    }
    let error = db.error(&alice, "SELECT * FROM chat.nots").await;
    assert_eq!(error.hint.as_deref(), Some("did you mean `chat.notes`?"));
    let root = caller("root", Role::System);
    let error = db.error(&root, "SELECT * FROM chat.secret").await;
    assert_eq!(error.hint.as_deref(), Some("did you mean `chat.secrets`?"));
}

#[tokio::test]
async fn views_show_what_their_tables_show() {
    let db = chat().await;
    let (root, alice) = (caller("root", Role::System), caller("alice", Role::User));
    db.run(
        &root,
        "CREATE VIEW chat.mine (nr, words) AS SELECT id, body FROM chat.notes",
    )
    .await;
    db.run(
        &root,
        "CREATE VIEW chat.words AS SELECT word FROM chat.secrets",
    )
    .await;
    db.run(
        &root,
        "CREATE VIEW chat.outer_view AS SELECT words FROM chat.mine WHERE nr = 1",
    )
    .await;
    assert_eq!(
        db.rows(&alice, "SELECT words FROM chat.mine WHERE nr > 2")
            .await,
        r#"[["alice 3"]]"#
    );
    assert_eq!(
        db.rows(&alice, "SELECT * FROM chat.outer_view").await,
        r#"[["alice 1"]]"#
    );
    let error = db.error(&alice, "SELECT * FROM chat.words").await;
    assert_eq!(
        (error.code, error.message.as_str()),
        (ErrorCode::TableNotFound, "table not found: `chat.words`")
    );
    assert_eq!(
        db.rows(&root, "SELECT * FROM chat.words").await,
        r#"[["canary"]]"#
    );
}

#[tokio::test]
async fn seq_is_hidden_from_wildcards_and_can_be_selected() {
    let db = chat().await;
    let alice = caller("alice", Role::User);
    let names = async |sql: &str| {
        db.ask(&alice, sql, &[])
            .await
            .unwrap_or_else(|e| panic!("{sql}: {e:?}"))
            .names
    };
    let all = ["id", "body", "stars", "price"];
    assert_eq!(names("SELECT * FROM chat.notes").await, all);
    assert_eq!(
        names("SELECT * FROM chat.notes WHERE _seq > 0 ORDER BY _seq DESC").await,
        all
    );
    assert_eq!(
        names("SELECT *, _seq FROM chat.notes").await,
        ["id", "body", "stars", "price", "_seq"]
    );
    assert_eq!(
        names("SELECT n.*, n._seq FROM chat.notes n").await,
        ["id", "body", "stars", "price", "_seq"]
    );
    assert_eq!(
        names("SELECT * EXCLUDE (body) FROM chat.notes WHERE _seq > 0").await,
        ["id", "stars", "price"]
    );
    assert_eq!(
        names("SELECT * FROM (SELECT _seq, id FROM chat.notes) s").await,
        ["_seq", "id"]
    );
    assert_eq!(
        names("SELECT * FROM (SELECT _seq, id FROM chat.notes) WHERE id > 0").await,
        ["_seq", "id"]
    );
    assert_eq!(
        names("SELECT * FROM chat.rooms r JOIN chat.notes n ON n.id = r.id AND n._seq > 0").await,
        ["id", "name", "id", "body", "stars", "price"]
    );
    assert_eq!(
        names("SELECT * FROM chat.rooms JOIN (SELECT id, _seq FROM chat.notes) n USING (id) WHERE n._seq > 0").await,
        ["id", "name", "_seq"]
    );
    let error = db
        .error(
            &alice,
            "SELECT _seq FROM (SELECT * FROM chat.notes WHERE _seq > 0)",
        )
        .await;
    assert_eq!(error.code, ErrorCode::InvalidSql);
    let by_seq = db
        .rows(
            &alice,
            "SELECT id FROM chat.notes ORDER BY _seq DESC LIMIT 2",
        )
        .await;
    assert_eq!(by_seq, r#"[["3"],["2"]]"#);
    let plan = db
        .rows(
            &alice,
            "EXPLAIN SELECT id FROM chat.notes ORDER BY _seq DESC LIMIT 2",
        )
        .await;
    assert!(
        plan.contains("reverse") && plan.contains("limit=2") && !plan.contains("SortExec"),
        "{plan}"
    );
}

#[tokio::test]
async fn filters_limits_and_keys_go_down_to_the_scan() {
    let db = chat().await;
    let alice = caller("alice", Role::User);
    let plan = async |sql: &str| db.rows(&alice, &format!("EXPLAIN {sql}")).await;
    let filtered =
        plan("SELECT body FROM chat.notes WHERE stars = 1 AND body LIKE '%a%' LIMIT 5").await;
    assert!(
        filtered.contains("limit=5") && !filtered.contains("FilterExec"),
        "{filtered}"
    );
    let by_key = plan("SELECT max(body) FROM chat.notes WHERE id IN (1, 2, 7)").await;
    assert!(by_key.contains("keys=3"), "{by_key}");
    let range =
        plan("SELECT body FROM chat.notes WHERE _seq > 5 AND _seq <= 9 AND stars > 0").await;
    assert!(range.contains("_seq=6..=9"), "{range}");
    let keys = plan("SELECT body FROM chat.notes WHERE id >= 2 AND id < 7").await;
    assert!(keys.contains("keys=range"), "{keys}");
    let count = plan("SELECT count(*) FROM chat.notes").await;
    assert!(count.contains("columns=[]"), "{count}");
    assert_eq!(
        db.rows(&alice, "SELECT count(*) FROM chat.notes WHERE stars = 1")
            .await,
        r#"[["2"]]"#
    );
    assert_eq!(
        db.rows(
            &alice,
            "SELECT max(body) FROM chat.notes WHERE id IN (1, 2, 7)"
        )
        .await,
        r#"[["alice 2"]]"#
    );
    assert_eq!(
        db.rows(&alice, "SELECT max(id) FROM chat.notes WHERE id = NULL")
            .await,
        "[[null]]"
    );
    let seq = db.rows(&alice, "SELECT min(_seq) FROM chat.notes").await;
    let seq = seq.trim_matches(|c: char| !c.is_ascii_digit());
    let above =
        format!("SELECT id FROM chat.notes WHERE _seq > {seq} AND abs(id) > 0 ORDER BY _seq");
    assert_eq!(db.rows(&alice, &above).await, r#"[["2"],["3"]]"#);
    let analyzed = db
        .rows(
            &alice,
            "EXPLAIN ANALYZE SELECT count(*) FROM chat.notes WHERE stars = 1",
        )
        .await;
    assert!(
        analyzed.contains("output_rows=2") && !analyzed.contains("alice"),
        "{analyzed}"
    );
}

#[tokio::test]
async fn parameters_take_the_type_of_what_they_are_compared_with() {
    let db = chat().await;
    let alice = caller("alice", Role::User);
    let sql = "SELECT max(body) FROM chat.notes WHERE id = $1 AND price > $2";
    assert_eq!(
        db.rows_with(&alice, sql, &[json!("2"), json!("0.5")]).await,
        r#"[["alice 2"]]"#
    );
    assert_eq!(
        db.rows_with(&alice, sql, &[json!(2), json!(0.5)]).await,
        r#"[["alice 2"]]"#
    );
    assert_eq!(
        db.rows_with(
            &alice,
            "SELECT $1 + 1, $2, length($3)",
            &[json!(1), json!("x"), json!("abc")]
        )
        .await,
        r#"[["2","x",3]]"#
    );
    assert_eq!(
        db.rows_with(
            &alice,
            "SELECT count(*) FROM (SELECT id FROM chat.notes LIMIT $1)",
            &[json!(2)]
        )
        .await,
        r#"[["2"]]"#
    );
    assert_eq!(
        db.rows_with(
            &alice,
            "SELECT count(*) FROM chat.notes WHERE body IN ($1, $2)",
            &[json!("alice 1"), json!(null)]
        )
        .await,
        r#"[["1"]]"#
    );
    for (params, why) in [
        (vec![json!(1)], "missing"),
        (vec![json!("x"), json!(1)], "malformed"),
        (vec![json!(1), json!(1), json!(1)], "superfluous"),
    ] {
        let error = db.ask(&alice, sql, &params).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidParameter, "{why}: {error:?}");
    }
}

#[tokio::test]
async fn integers_do_not_wrap_round() {
    let db = chat().await;
    let alice = caller("alice", Role::User);
    for sql in [
        "SELECT max(id + 9223372036854775807) FROM chat.notes",
        "SELECT max(-9223372036854775807 - id * 2) FROM chat.notes",
        "SELECT max(id * 9223372036854775807) FROM chat.notes WHERE id > 1",
        "SELECT max(1 / (id - id)) FROM chat.notes",
        "SELECT sum(id * 4000000000000000000) FROM chat.notes WHERE id < 3",
        "SELECT stars, sum(9223372036854775807 - id) FROM chat.notes GROUP BY stars",
        "SELECT sum(9223372036854775807 - id) OVER (ORDER BY id) FROM chat.notes",
        "SELECT max(CAST(body AS INT)) FROM chat.notes",
    ] {
        let error = db.error(&alice, sql).await;
        assert_eq!(error.code, ErrorCode::SqlExecutionError, "{sql}: {error:?}");
    }
    let reply = db
        .ask(
            &alice,
            "SELECT max(id + 1), -id FROM chat.notes WHERE id = 1 GROUP BY id",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(
        (reply.names, reply.rows.as_str()),
        (
            vec!["max(id + 1)".to_owned(), "-id".to_owned()],
            r#"[["2","-1"]]"#
        )
    );
}

#[tokio::test]
async fn mistakes_are_told_plainly() {
    let db = chat().await;
    let alice = caller("alice", Role::User);
    for (sql, code) in [
        (
            "SELECT bady FROM chat.notes GROUP BY 1",
            ErrorCode::InvalidSql,
        ),
        ("SELECT nothing_like_it(1)", ErrorCode::InvalidSql),
        (
            "SELECT max(id) FROM chat.notes GROUP BY body HAVING stars > 1",
            ErrorCode::InvalidSql,
        ),
        (
            "SELECT * FROM generate_series(1, 1e10)",
            ErrorCode::InvalidSql,
        ),
        (
            "SELECT * FROM read_csv('/etc/passwd')",
            ErrorCode::Unsupported,
        ),
        (
            "SELECT id FROM chat.notes WHERE body",
            ErrorCode::InvalidSql,
        ),
        ("SELECT * FROM a.b.c", ErrorCode::InvalidSql),
    ] {
        let error = db.error(&alice, sql).await;
        assert_eq!(error.code, code, "{sql}: {error:?}");
    }
    let error = db.error(&alice, "SELECT max(bady) FROM chat.notes").await;
    assert_eq!(error.message, "column not found: `bady` in `chat.notes`");
    assert_eq!(error.hint.as_deref(), Some("did you mean `body`?"));
}
