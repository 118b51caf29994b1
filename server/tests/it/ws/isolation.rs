//! Two users hold the same subscriptions and never hear a byte of each other (I8).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::client::{Client, Serialization};
use super::prepared;
use crate::harness::TestNode;

/// Every form of a subscription: SQL, parameters, options. `{other}` stands for the other user, `{seq}` for the seq of a
/// row of the other user.
fn forms(other: &str, seq: u64) -> Vec<Value> {
    let sql = |sql: &str| json!({"sql": sql, "options": {}});
    let with = |sql: &str, options: Value| json!({"sql": sql, "options": options});
    vec![
        sql("SELECT * FROM app.notes"),
        sql("SELECT id, body FROM app.notes"),
        sql("SELECT _seq, body FROM app.notes"),
        sql("SELECT * FROM app.notes WHERE id = 1"),
        sql("SELECT * FROM app.notes WHERE id IN (1, 2, 3)"),
        sql("SELECT * FROM app.notes WHERE id = 1 OR 1 = 1"),
        sql("SELECT * FROM app.notes WHERE true"),
        sql("SELECT * FROM app.notes WHERE body LIKE 'CANARY%'"),
        sql("SELECT * FROM app.notes WHERE owner = CURRENT_USER()"),
        sql("SELECT * FROM app.notes WHERE owner <> CURRENT_USER()"),
        sql(&format!("SELECT * FROM app.notes WHERE owner = '{other}'")),
        sql("SELECT * FROM app.notes WHERE _seq > 0"),
        sql(&format!("SELECT * FROM app.notes WHERE _seq = {seq}")),
        sql("SELECT * FROM app.notes ORDER BY n DESC LIMIT 3"),
        sql("SELECT * FROM app.notes ORDER BY body LIMIT 1"),
        sql("SELECT * FROM app.notes ORDER BY _seq LIMIT 2"),
        sql("SELECT * FROM app.notes WHERE n > 1 ORDER BY n LIMIT 2"),
        sql("SELECT * FROM app.notes ORDER BY id"),
        json!({"sql": "SELECT * FROM app.notes WHERE id = $1", "params": ["1"], "options": {}}),
        json!({"sql": "SELECT * FROM app.notes WHERE owner = $1", "params": [other], "options": {}}),
        with("SELECT * FROM app.notes", json!({"batch_size": 1})),
        with("SELECT * FROM app.notes", json!({"last_rows": 0})),
        with("SELECT * FROM app.notes", json!({"last_rows": 2})),
        with("SELECT * FROM app.notes", json!({"last_rows": 1_000_000})),
        with("SELECT * FROM app.notes", json!({"from": 0})),
        with("SELECT * FROM app.notes", json!({"from": seq})),
        with("SELECT * FROM app.notes", json!({"from": seq - 1})),
        with(
            "SELECT * FROM app.notes WHERE id = 1",
            json!({"from": seq - 1, "batch_size": 1}),
        ),
        with(
            "SELECT * FROM app.notes ORDER BY n LIMIT 2",
            json!({"from": seq}),
        ),
        json!({"sql": "SELECT * FROM app.notes"}),
        sql("SUBSCRIBE TO app.notes"),
        sql("SUBSCRIBE TO app.notes WHERE id > 0 OPTIONS (last_rows=10)"),
        sql(&format!(
            "SUBSCRIBE TO app.notes OPTIONS (from_seq_id={seq})"
        )),
        sql("SELECT * FROM app.typing"),
        sql("SELECT * FROM app.typing WHERE what LIKE 'CANARY%'"),
        with("SELECT * FROM app.typing", json!({"from": seq})),
        with("SELECT * FROM app.typing", json!({"last_rows": 5})),
        // Refused, or nothing of the other's.
        sql(&format!("SELECT * FROM {other}.notes")),
        sql(&format!(
            "EXECUTE AS USER '{other}' (SELECT * FROM app.notes)"
        )),
        sql("SELECT * FROM app.notes UNION ALL SELECT * FROM app.notes"),
        sql("SELECT * FROM app.all_notes"),
        sql("SELECT CAST(body AS BIGINT) FROM app.notes"),
        sql("SELECT * FROM app.notes WHERE CAST(body AS BIGINT) = 1"),
        sql("SELECT * FROM app.notes WHERE 1 / (n - n) = 1"),
        sql("SELECT no_such_column FROM app.notes"),
        sql("SELECT * FROM system.users"),
        sql("SELECT * FROM system.live"),
    ]
}

const USERS: [&str; 2] = ["alice", "bob"];

fn other_of(me: &str) -> &'static str {
    if me == "alice" { "bob" } else { "alice" }
}

async fn node() -> TestNode {
    let node = prepared(&[
        "CREATE TABLE app.notes (id BIGINT PRIMARY KEY, owner TEXT, body TEXT, n INT) WITH (TYPE='USER')",
        "CREATE TABLE app.typing (what TEXT) WITH (TYPE='STREAM', TTL_SECONDS=3600)",
        "CREATE VIEW app.all_notes AS SELECT id, owner, body FROM app.notes",
    ])
    .await;
    for user in USERS {
        node.create_user(user, "user").await;
    }
    for user in ["root", "alice", "bob"] {
        for id in 1..=5 {
            insert(&node, user, id).await;
        }
        let sql = format!("INSERT INTO app.typing VALUES ('CANARY-{user}-typing')");
        node.sql_ok(user, &sql).await;
    }
    node
}

async fn insert(node: &TestNode, user: &str, id: u32) {
    let sql = format!("INSERT INTO app.notes VALUES ({id}, '{user}', 'CANARY-{user}-{id}', {id})");
    node.sql_ok(user, &sql).await;
}

/// Seqs of all rows that a user has at this moment.
async fn seqs(node: &TestNode, user: &str) -> BTreeSet<u64> {
    let mut seqs = BTreeSet::new();
    for table in ["notes", "typing"] {
        let answer = node
            .sql_ok(user, &format!("SELECT _seq FROM app.{table}"))
            .await;
        for row in answer["results"][0]["rows"].as_array().unwrap() {
            seqs.insert(row[0].as_str().unwrap().parse().unwrap());
        }
    }
    seqs
}

/// Writes of every kind; the last one is what the other subscriptions are waited for with.
async fn write(node: &TestNode, user: &str, round: u32) -> BTreeSet<u64> {
    let mut seen = BTreeSet::new();
    let first = 100 * (round + 1);
    for sql in [
        format!(
            "INSERT INTO app.notes VALUES ({first}, '{user}', 'CANARY-{user}-new', 50), ({}, '{user}', 'CANARY-{user}-more', -1)",
            first + 1
        ),
        "UPDATE app.notes SET body = body || '!', n = n + 1 WHERE id <= 3".to_owned(),
        "UPDATE app.notes SET n = 0 - n".to_owned(),
        format!("INSERT INTO app.typing VALUES ('CANARY-{user}-typing-{round}')"),
        format!("DELETE FROM app.notes WHERE id = {first}"),
        format!("DELETE FROM app.notes WHERE id = {}", 1 + round),
        "DELETE FROM app.typing WHERE what LIKE '%typing'".to_owned(),
        format!(
            "BEGIN; INSERT INTO app.notes VALUES ({}, '{user}', 'CANARY-{user}-tx', 7); DELETE FROM app.notes WHERE id = {}; COMMIT",
            first + 2,
            first + 1
        ),
    ] {
        node.sql_ok(user, &sql).await;
        seen.extend(seqs(node, user).await);
    }
    seen
}

/// Everything that a client heard.
struct Listener {
    me: &'static str,
    client: Client,
    heard: Vec<Value>,
}

impl Listener {
    async fn open(node: &TestNode, me: &'static str, form: Serialization, seq: u64) -> Self {
        let serialization = match form {
            Serialization::Json => "json",
            Serialization::Msgpack => "msgpack",
        };
        let protocol = json!({
            "serialization": serialization, "compression": "none", "features": ["resync", "pong", "seq"]
        });
        let mut client = Client::open_with(node, me, protocol).await;
        for (n, mut subscription) in forms(other_of(me), seq).into_iter().enumerate() {
            subscription["id"] = json!(n.to_string());
            client
                .send(json!({"type": "subscribe", "subscription": subscription}))
                .await;
        }
        let mut listener = Self {
            me,
            client,
            heard: Vec::new(),
        };
        listener.listen().await;
        listener
    }

    /// Hears all that is on its way.
    async fn listen(&mut self) {
        loop {
            self.client.ping().await;
            let heard = self.client.received();
            if heard.is_empty() {
                return;
            }
            for message in heard {
                self.hear(message).await;
            }
        }
    }

    /// Takes a message, and asks for the next batch if there is one.
    async fn hear(&mut self, message: Value) {
        let has_more = message["batch_control"]["has_more"] == true;
        if has_more && message["type"] == "initial_data_batch" {
            let id = message["subscription_id"].as_str().unwrap();
            self.client.next_batch(id).await;
        }
        self.heard.push(message);
    }

    /// Hears until there is a row that the user wrote after everybody else, in the subscription to everything.
    async fn listen_until(&mut self, canary: &str) {
        let has_come = |message: &Value| {
            message["subscription_id"] == "0" && message["rows"].to_string().contains(canary)
        };
        while !self.heard.iter().any(has_come) {
            let message = self.client.next().await;
            self.hear(message).await;
        }
        self.listen().await;
    }

    /// Nothing of the other's: neither text, nor a seq, nor how many there are.
    fn check(&self, others: &BTreeSet<u64>) {
        let other = other_of(self.me);
        let canary = format!("CANARY-{other}");
        let bytes: Vec<String> = canary.bytes().map(|byte| byte.to_string()).collect();
        let mut own = 0;
        for message in &self.heard {
            let text = message.to_string();
            assert!(!text.contains(&canary), "{} hears {text}", self.me);
            assert!(!text.contains(&bytes.join(",")), "{} hears {text}", self.me);
            own += usize::from(text.contains(&format!("CANARY-{}", self.me)));
            let mut found = BTreeSet::new();
            row_seqs(message, &mut found);
            let leaked: Vec<&u64> = found.intersection(others).collect();
            assert!(
                leaked.is_empty(),
                "{} hears seqs of {other}: {text}",
                self.me
            );
            if let Some(total) = message["total_rows"].as_u64() {
                assert!(
                    total <= 5,
                    "{} hears how many rows there are: {text}",
                    self.me
                );
            }
        }
        assert!(own > 50, "{} heard {own} messages of their own", self.me);
    }
}

/// Seqs in rows and changes. That of a snapshot is the group's, and says nothing about whose writes it counts.
fn row_seqs(value: &Value, found: &mut BTreeSet<u64>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if ["_seq", "seq", "old_seq"].contains(&name.as_str()) {
                    let number = value
                        .as_u64()
                        .or_else(|| value.as_str().and_then(|text| text.parse().ok()));
                    found.extend(number);
                } else {
                    row_seqs(value, found);
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                row_seqs(item, found);
            }
        }
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i8_subscriptions_of_every_form_tell_each_user_only_of_their_own_rows() {
    let node = node().await;
    let mut all_seqs = [seqs(&node, "alice").await, seqs(&node, "bob").await];
    let mut listeners = Vec::new();
    for me in USERS {
        let theirs = &all_seqs[usize::from(me == "alice")];
        let seq = *theirs.first().unwrap();
        for form in [Serialization::Json, Serialization::Msgpack] {
            listeners.push(Listener::open(&node, me, form, seq).await);
        }
    }
    for round in 0..3 {
        for (user, seqs) in USERS.into_iter().zip(&mut all_seqs) {
            seqs.extend(write(&node, user, round).await);
        }
    }
    for user in USERS {
        insert(&node, user, 99).await;
    }
    for listener in &mut listeners {
        let canary = format!("CANARY-{}-99", listener.me);
        listener.listen_until(&canary).await;
        listener.check(&all_seqs[usize::from(listener.me == "alice")]);
    }
    node.stop().await;
}

/// Ids of subscriptions belong to their socket.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i8_the_same_id_of_two_users_is_two_subscriptions() {
    let node = node().await;
    let mut alice = Client::open(&node, "alice").await;
    let mut bob = Client::open(&node, "bob").await;
    for client in [&mut alice, &mut bob] {
        client.subscribe("the id", "SELECT * FROM app.notes").await;
    }
    bob.unsubscribe("the id").await;
    bob.ping().await;
    insert(&node, "alice", 50).await;
    let change = alice.next_typed("the id", "change").await;
    assert_eq!(change["rows"][0]["body"], "CANARY-alice-50");
    bob.assert_quiet().await;
    node.stop().await;
}

/// Whether somebody else has a subscription cannot be found out by killing it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i8_the_subscriptions_of_others_are_neither_seen_nor_ended() {
    let node = node().await;
    let mut alice = Client::open(&node, "alice").await;
    alice.subscribe("s", "SELECT * FROM app.notes").await;
    let live = "SELECT live_id FROM system.live WHERE user_id = 'alice'";
    let rows = node.sql_ok("root", live).await["results"][0]["rows"].clone();
    let id = rows[0][0].as_str().unwrap();
    let mut answers = Vec::new();
    for target in [id, "no-such-id"] {
        let mut answer = node
            .sql("bob", &format!("KILL LIVE QUERY '{target}'"))
            .await;
        answer["took"] = json!(0);
        assert_eq!(answer["status"], "error", "{answer}");
        answers.push(answer.to_string().replace(target, "{id}"));
    }
    assert_eq!(answers[0], answers[1]);
    let seen = node.sql_ok("bob", "SELECT * FROM system.live").await;
    assert_eq!(seen["results"][0]["rows"], json!([]));
    insert(&node, "alice", 50).await;
    alice.next_typed("s", "change").await;
    node.stop().await;
}

/// `{t}` is a table that exists but is hidden from the caller, or one of the same length that does not exist.
const PROBES: &[&str] = &[
    "SELECT * FROM secret.{t}",
    "SELECT id FROM secret.{t} WHERE id = 1",
    "SELECT no_such_column FROM secret.{t}",
    "SELECT * FROM secret.{t} WHERE no_such_column = 1",
    "SELECT * FROM secret.{t} ORDER BY id LIMIT 1",
    "SELECT * FROM secret.{t} WHERE id = 'no number'",
    "SELECT count(*) FROM secret.{t}",
    "SELECT * FROM secret.{t} JOIN app.notes ON true",
    "SELECT * FROM app.notes WHERE id IN (SELECT id FROM secret.{t})",
    "SELECT * FROM secret.{t}; SELECT 1",
    "SUBSCRIBE TO secret.{t}",
    "SUBSCRIBE TO secret.{t} WHERE id = 1 OPTIONS (last_rows=1)",
    "SUBSCRIBE TO SELECT name FROM secret.{t}",
    "EXECUTE AS USER 'root' (SELECT * FROM secret.{t})",
    "INSERT INTO secret.{t} (id) VALUES (1)",
];

const HIDDEN: &str = "CREATE TABLE secret.hidden (id BIGINT PRIMARY KEY, name TEXT) WITH (TYPE='SHARED', ACCESS_LEVEL='PRIVATE')";

async fn check_probes(client: &mut Client, when: &str) {
    for probe in PROBES {
        for options in [
            json!(null),
            json!({}),
            json!({"from": 0}),
            json!({"last_rows": 0}),
        ] {
            let mut answers = Vec::new();
            for table in ["hidden", "absent"] {
                client
                    .request("probe", &probe.replace("{t}", table), options.clone())
                    .await;
                let answer = client.error_of("probe").await.to_string();
                assert!(!answer.contains("CANARY"), "{when}: {probe}: {answer}");
                answers.push(answer.replace(table, "{t}"));
            }
            assert_eq!(answers[0], answers[1], "{when}: {probe}");
        }
        let mut answers = Vec::new();
        for table in ["hidden", "absent"] {
            let mut answer = client.query(&probe.replace("{t}", table)).await;
            answer["took"] = json!(0);
            answer["id"] = json!("");
            answers.push(answer.to_string().replace(table, "{t}"));
        }
        assert_eq!(answers[0], answers[1], "{when}: {probe}");
    }
    client.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i8_missing_and_forbidden_tables_are_byte_equal() {
    let node = node().await;
    node.sql_ok("root", "CREATE NAMESPACE secret").await;
    node.sql_ok("root", HIDDEN).await;
    node.sql_ok(
        "root",
        "INSERT INTO secret.hidden VALUES (1, 'CANARY-root-hidden')",
    )
    .await;
    let mut alice = Client::open(&node, "alice").await;
    check_probes(&mut alice, "at first").await;
    let mut root = Client::open(&node, "root").await;
    root.subscribe("s", "SELECT * FROM secret.hidden").await;
    check_probes(&mut alice, "while it is subscribed to").await;
    for sql in [
        "EXECUTE AS USER 'alice' (SELECT * FROM secret.hidden)",
        "EXECUTE AS USER 'alice' (SELECT * FROM app.notes)",
        "INSERT INTO secret.hidden VALUES (2, 'CANARY-root-hidden')",
    ] {
        node.sql("root", sql).await;
    }
    check_probes(&mut alice, "after somebody became alice").await;
    node.sql_ok("root", "DROP TABLE secret.hidden").await;
    check_probes(&mut alice, "while neither is there").await;
    node.sql_ok("root", HIDDEN).await;
    check_probes(&mut alice, "when it is there again").await;
    node.stop().await;
}

/// A table that was open and is hidden is, from then on, like one that never was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i8_a_table_that_became_private_tells_no_more() {
    let node = node().await;
    let open = HIDDEN.replace("PRIVATE", "PUBLIC");
    node.sql_ok("root", "CREATE NAMESPACE secret").await;
    node.sql_ok("root", &open).await;
    let mut alice = Client::open(&node, "alice").await;
    let load = alice.subscribe("s", "SELECT * FROM secret.hidden").await;
    node.sql_ok("root", "ALTER TABLE secret.hidden SET ACCESS LEVEL PRIVATE")
        .await;
    node.sql_ok(
        "root",
        "INSERT INTO secret.hidden VALUES (1, 'CANARY-root-hidden')",
    )
    .await;
    assert_eq!(alice.code_of("s").await, "UNAUTHORIZED");
    let from = load.last_seq();
    alice
        .request("s", "SELECT * FROM secret.hidden", json!({"from": from}))
        .await;
    assert_eq!(alice.code_of("s").await, "NOT_FOUND");
    check_probes(&mut alice, "after it was public").await;
    node.stop().await;
}
