//! Two users run the same statements and never see a byte of each other (I8).

use serde_json::{Value, json};

use crate::harness::TestNode;

/// Every form is run by both users, in both orders, so that whatever one of them leaves in a cache meets the other.
/// `{me}` stands for the caller's own marker.
const FORMS: &[&str] = &[
    // Reading.
    "SELECT * FROM notes",
    "SELECT *, _seq FROM notes",
    "SELECT body FROM notes WHERE id = 1",
    "SELECT body FROM notes WHERE id IN (1, 2, 3)",
    "SELECT body FROM notes WHERE id = 1 OR 1 = 1",
    "SELECT body FROM notes WHERE id > 0 ORDER BY id DESC LIMIT 5",
    "SELECT body FROM notes WHERE body LIKE 'CANARY%'",
    "SELECT body FROM notes WHERE _seq > 0",
    "SELECT body FROM notes ORDER BY _seq LIMIT 1",
    "SELECT body FROM app.notes AS n WHERE n.id = 2",
    "SELECT n.body FROM notes n",
    "SELECT body FROM \"notes\"",
    "SELECT DISTINCT owner FROM notes",
    "SELECT count(*), min(body), max(body) FROM notes",
    "SELECT owner, count(*), string_agg(body, ',') FROM notes GROUP BY owner",
    "SELECT owner FROM notes GROUP BY owner HAVING count(*) > 1",
    "SELECT array_agg(body) FROM notes",
    "SELECT body, row_number() OVER (ORDER BY id) FROM notes",
    "SELECT lag(body) OVER (ORDER BY id) FROM notes",
    "SELECT a.body, b.body FROM notes a JOIN notes b ON a.id = b.id",
    "SELECT a.body, b.text FROM notes a JOIN comments b ON a.id = b.note_id",
    "SELECT a.body, b.text FROM notes a LEFT JOIN comments b ON a.id = b.note_id",
    "SELECT a.body, b.text FROM notes a RIGHT JOIN comments b ON a.id = b.note_id",
    "SELECT a.body, b.text FROM notes a FULL JOIN comments b ON a.id = b.note_id",
    "SELECT a.body, b.text FROM notes a CROSS JOIN comments b",
    "SELECT * FROM notes NATURAL JOIN comments",
    "SELECT notes.body, board.post FROM notes JOIN board ON notes.id = board.id",
    "SELECT body FROM notes WHERE id IN (SELECT note_id FROM comments)",
    "SELECT body FROM notes n WHERE EXISTS (SELECT 1 FROM comments c WHERE c.note_id = n.id)",
    "SELECT body FROM notes n WHERE NOT EXISTS (SELECT 1 FROM comments c WHERE c.note_id = n.id + 100)",
    "SELECT (SELECT max(body) FROM notes)",
    "SELECT (SELECT count(*) FROM comments), body FROM notes",
    "SELECT body FROM (SELECT * FROM notes) AS inner_notes",
    "WITH mine AS (SELECT body FROM notes) SELECT * FROM mine",
    "WITH RECURSIVE walk(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM walk WHERE n < 3) SELECT body FROM notes JOIN walk ON id = n",
    "SELECT body FROM notes UNION SELECT text FROM comments",
    "SELECT body FROM notes UNION ALL SELECT body FROM notes",
    "SELECT body FROM notes INTERSECT SELECT body FROM notes",
    "SELECT body FROM notes EXCEPT SELECT text FROM comments",
    "SELECT body FROM notes LIMIT 2 OFFSET 1",
    "SELECT CASE WHEN body LIKE 'CANARY%' THEN body ELSE 'none' END FROM notes",
    "SELECT concat(owner, ':', body) FROM notes",
    "SELECT upper(body) FROM notes",
    "SELECT CAST(body AS BYTEA) FROM notes",
    "SELECT encode_me.body FROM notes AS encode_me",
    "VALUES ((SELECT min(body) FROM notes))",
    "SELECT CURRENT_USER()",
    // Views.
    "SELECT * FROM all_notes",
    "SELECT body FROM all_notes WHERE id = 1",
    "SELECT v.body, n.body FROM all_notes v JOIN notes n ON v.id = n.id",
    "SELECT * FROM note_counts",
    // Streams.
    "SELECT * FROM typing",
    "SELECT count(*) FROM typing",
    "SELECT n.body, t.what FROM notes n JOIN typing t ON true",
    // Plans and catalogue.
    "EXPLAIN SELECT * FROM notes",
    "EXPLAIN SELECT * FROM notes WHERE id = 1",
    "EXPLAIN ANALYZE SELECT count(*) FROM notes",
    "EXPLAIN ANALYZE SELECT body FROM notes WHERE body > 'A'",
    "SHOW TABLES",
    "DESCRIBE notes",
    "DESCRIBE notes HISTORY",
    "SHOW STATS FOR TABLE notes",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM information_schema.columns",
    "SELECT * FROM system.users",
    "SELECT * FROM system.audit_log",
    "SELECT * FROM system.tables",
    "SELECT * FROM system.stats",
    // Writing.
    "INSERT INTO notes (id, owner, body) VALUES (10, '{me}', 'CANARY-{me}-ten') RETURNING *",
    "INSERT INTO notes (id, owner, body) VALUES (10, '{me}', 'CANARY-{me}-again')",
    "INSERT INTO notes (id, owner, body) VALUES (10, '{me}', 'x') ON CONFLICT (id) DO NOTHING RETURNING body",
    "INSERT INTO notes (id, owner, body) VALUES (10, '{me}', 'x') ON CONFLICT (id) DO UPDATE SET body = notes.body || '+' RETURNING body",
    "INSERT INTO notes SELECT id + 100, owner, body FROM notes WHERE id < 10 RETURNING id, body",
    "INSERT INTO notes (id, body) SELECT note_id + 200, text FROM comments RETURNING body",
    "UPDATE notes SET body = body || '!' WHERE id = 1 RETURNING body",
    "UPDATE notes SET body = upper(body) WHERE id > 0 RETURNING id, body",
    "UPDATE notes SET owner = CURRENT_USER() RETURNING owner",
    "UPDATE notes SET body = (SELECT max(text) FROM comments) WHERE id = 2 RETURNING body",
    "UPDATE notes SET body = body WHERE id = 9999",
    "DELETE FROM notes WHERE id = 101 RETURNING *",
    "DELETE FROM notes WHERE id > 199 RETURNING body",
    "DELETE FROM notes WHERE body LIKE '%nobody%'",
    "DELETE FROM typing WHERE what = 'nothing' RETURNING *",
    "BEGIN; INSERT INTO notes (id, body) VALUES (300, 'CANARY-{me}-tx'); DELETE FROM notes WHERE id = 300; COMMIT",
    // Errors.
    "SELECT no_such_column FROM notes",
    "SELECT body FROM notez",
    "SELECT CAST(body AS BIGINT) FROM notes",
    "SELECT 1 / (id - id) FROM notes",
    "INSERT INTO notes (id, body) VALUES (1, 'duplicate')",
    "INSERT INTO notes (id, body) SELECT id, body FROM notes",
    "INSERT INTO notes (id) VALUES ('not a number')",
    "UPDATE notes SET id = 5 WHERE id = 1",
    "SELECT * FROM notes WHERE",
    // Becoming somebody else.
    "EXECUTE AS USER '{other}' (SELECT * FROM notes)",
    "EXECUTE AS USER 'nobody' (SELECT * FROM notes)",
    "SELECT * FROM notes WHERE owner = '{other}'",
    "SELECT * FROM {other}.notes",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i8_same_text_gives_each_user_only_their_own_rows() {
    assert!(FORMS.len() >= 80);
    for order in [["alice", "bob"], ["bob", "alice"]] {
        let node = TestNode::start().await;
        prepare(&node).await;
        for form in FORMS {
            for me in order {
                let other = if me == "alice" { "bob" } else { "alice" };
                // Only the markers differ between the two texts, and most forms have none.
                let sql = form.replace("{me}", me).replace("{other}", other);
                let answer = node.sql_in(me, "app", &sql).await;
                assert_no_trace(&answer, me, other, &sql);
            }
        }
        for me in order {
            let other = if me == "alice" { "bob" } else { "alice" };
            let all = node
                .sql_in(me, "app", "SELECT * FROM notes ORDER BY id")
                .await;
            assert_eq!(all["status"], "success");
            let text = all.to_string().to_uppercase();
            assert!(
                text.contains(&format!("CANARY-{}", me.to_uppercase())),
                "{me} lost their rows: {all}"
            );
            assert!(!text.contains(&format!("CANARY-{}", other.to_uppercase())));
        }
        node.stop().await;
    }
}

fn assert_no_trace(answer: &Value, me: &str, other: &str, sql: &str) {
    let mut shown = answer.clone();
    if let Some(message) = shown.pointer_mut("/error/message") {
        // An error may repeat what the caller wrote, such as the name of the other user.
        *message = json!(message.as_str().unwrap_or_default().replace(other, ""));
    }
    let text = shown.to_string();
    let upper = text.to_uppercase();
    assert!(
        !upper.contains(&format!("CANARY-{}", other.to_uppercase())),
        "{me} sees a row of {other} by {sql}: {text}"
    );
    // The canary as an array of byte numbers, as BYTES are sent.
    let bytes: Vec<String> = format!("CANARY-{other}")
        .bytes()
        .map(|byte| byte.to_string())
        .collect();
    assert!(
        !text.contains(&bytes.join(",")),
        "{me} sees bytes of {other} by {sql}"
    );
}

async fn prepare(node: &TestNode) {
    for user in ["alice", "bob"] {
        node.create_user(user, "user").await;
    }
    for sql in [
        "CREATE NAMESPACE app",
        "CREATE TABLE app.notes (id BIGINT PRIMARY KEY, owner TEXT, body TEXT) WITH (TYPE='USER')",
        "CREATE TABLE app.comments (note_id BIGINT PRIMARY KEY, text TEXT) WITH (TYPE='USER')",
        "CREATE TABLE app.typing (what TEXT) WITH (TYPE='STREAM', TTL_SECONDS=3600)",
        "CREATE TABLE app.board (id BIGINT PRIMARY KEY, post TEXT) WITH (TYPE='SHARED', ACCESS_LEVEL='PUBLIC')",
        "INSERT INTO app.board VALUES (1, 'for everybody')",
        "CREATE VIEW app.all_notes AS SELECT id, owner, body FROM notes",
        "CREATE VIEW app.note_counts AS SELECT owner, count(*) AS n, max(body) AS newest FROM notes GROUP BY owner",
    ] {
        node.sql_ok("root", sql).await;
    }
    for user in ["root", "alice", "bob"] {
        for id in 1..=5 {
            node.sql_ok(
                user,
                &format!("INSERT INTO app.notes VALUES ({id}, '{user}', 'CANARY-{user}-{id}')"),
            )
            .await;
            node.sql_ok(
                user,
                &format!("INSERT INTO app.comments VALUES ({id}, 'CANARY-{user}-comment-{id}')"),
            )
            .await;
        }
        node.sql_ok(
            user,
            &format!("INSERT INTO app.typing VALUES ('CANARY-{user}-typing')"),
        )
        .await;
    }
}

/// `{t}` is a table that exists but is hidden from the caller, or one of the same length that does not exist.
const PROBES: &[&str] = &[
    "SELECT * FROM secret.{t}",
    "SELECT id FROM secret.{t} WHERE id = 1",
    "SELECT count(*) FROM secret.{t}",
    "SELECT * FROM app.notes n JOIN secret.{t} s ON n.id = s.id",
    "SELECT * FROM app.notes WHERE id IN (SELECT id FROM secret.{t})",
    "WITH w AS (SELECT * FROM secret.{t}) SELECT * FROM w",
    "EXPLAIN SELECT * FROM secret.{t}",
    "INSERT INTO secret.{t} (id) VALUES (1)",
    "INSERT INTO secret.{t} (id) VALUES (1) ON CONFLICT (id) DO NOTHING",
    "INSERT INTO secret.{t} SELECT id FROM app.notes",
    "INSERT INTO app.notes (id) SELECT id FROM secret.{t}",
    "UPDATE secret.{t} SET name = 'x' WHERE id = 1",
    "UPDATE secret.{t} SET name = 'x'",
    "UPDATE app.notes SET body = (SELECT max(name) FROM secret.{t}) WHERE id = 1",
    "DELETE FROM secret.{t} WHERE id = 1",
    "DELETE FROM secret.{t} WHERE name = 'x'",
    "DESCRIBE secret.{t}",
    "DESCRIBE secret.{t} HISTORY",
    "SHOW STATS FOR TABLE secret.{t}",
    "DROP TABLE secret.{t}",
    "DROP TABLE IF EXISTS secret.{t}",
    "DROP VIEW secret.{t}",
    "ALTER TABLE secret.{t} ADD COLUMN c INT",
    "CREATE TABLE secret.{t} (id BIGINT PRIMARY KEY)",
    "CREATE VIEW app.v AS SELECT * FROM secret.{t}",
    "BEGIN; INSERT INTO secret.{t} (id) VALUES (1); COMMIT",
    "EXECUTE AS USER 'alice' (SELECT * FROM secret.{t})",
    "SHOW TABLES IN secret",
    "SELECT * FROM information_schema.tables WHERE table_name = '{t}'",
    "SELECT * FROM information_schema.columns WHERE table_name = '{t}'",
    "SELECT * FROM secret.{t}_view",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i8_missing_and_forbidden_answers_are_byte_equal() {
    let node = TestNode::start().await;
    prepare(&node).await;
    for sql in [
        "CREATE NAMESPACE secret",
        "CREATE TABLE secret.hidden (id BIGINT PRIMARY KEY, name TEXT) WITH (TYPE='SHARED', ACCESS_LEVEL='PRIVATE')",
        "INSERT INTO secret.hidden VALUES (1, 'CANARY-root-hidden')",
        "CREATE VIEW secret.hidden_view AS SELECT * FROM secret.hidden",
    ] {
        node.sql_ok("root", sql).await;
    }
    for probe in PROBES {
        let mut answers = Vec::new();
        for table in ["hidden", "absent"] {
            let mut answer = node.sql("alice", &probe.replace("{t}", table)).await;
            answer["took"] = json!(0);
            answers.push(answer.to_string().replace(table, "{t}"));
        }
        assert_eq!(answers[0], answers[1], "{probe}");
        assert!(!answers[0].contains("CANARY"), "{probe}");
    }
    node.stop().await;
}
