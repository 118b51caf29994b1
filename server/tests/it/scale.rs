//! A thousand users with real text: everybody reads exactly what they wrote, also after a restart.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::generator::{Numbers, message};
use crate::harness::TestNode;

const USERS: u64 = 1_000;
const MESSAGES_OF_A_USER: u64 = 100;
/// Rows in one INSERT.
const BATCH: u64 = 50;

fn name(user: u64) -> String {
    format!("person_{user:04}")
}

/// What a user writes: id and text.
fn messages_of(user: u64) -> BTreeMap<i64, String> {
    let mut numbers = Numbers::seeded(user + 1);
    (0..MESSAGES_OF_A_USER)
        .map(|n| {
            (
                i64::try_from(user * 1_000_000 + n).unwrap(),
                message(&mut numbers),
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i8_a_thousand_users_read_exactly_their_own_messages() {
    let node = TestNode::start().await;
    node.sql_ok("root", "CREATE NAMESPACE chat").await;
    node.sql_ok(
        "root",
        "CREATE TABLE chat.messages (id BIGINT PRIMARY KEY, content TEXT NOT NULL, created_at TIMESTAMP DEFAULT NOW())
         WITH (TYPE='USER', FLUSH_POLICY='rows:1000')",
    )
    .await;
    for user in 0..USERS {
        node.create_user(&name(user), "user").await;
        write_all(&node, user).await;
    }
    check_all(&node).await;
    let node = node.restart().await;
    check_all(&node).await;
    node.stop().await;
}

async fn write_all(node: &TestNode, user: u64) {
    let places: Vec<String> = (0..BATCH)
        .map(|n| format!("(${}, ${})", n * 2 + 1, n * 2 + 2))
        .collect();
    let sql = format!(
        "INSERT INTO chat.messages (id, content) VALUES {}",
        places.join(", ")
    );
    let rows: Vec<(i64, String)> = messages_of(user).into_iter().collect();
    for batch in rows.chunks(usize::try_from(BATCH).unwrap()) {
        let params: Vec<Value> = batch
            .iter()
            .flat_map(|(id, text)| [json!(id.to_string()), json!(text)])
            .collect();
        let answer = node.sql_params(&name(user), &sql, json!(params)).await;
        assert_eq!(
            answer["results"][0]["row_count"],
            json!(batch.len()),
            "{answer}"
        );
    }
}

async fn check_all(node: &TestNode) {
    for user in 0..USERS {
        let answer = node
            .sql_ok(
                &name(user),
                "SELECT id, content FROM chat.messages ORDER BY id",
            )
            .await;
        let read: BTreeMap<i64, String> = answer["results"][0]["rows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| {
                (
                    row[0].as_str().unwrap().parse().unwrap(),
                    row[1].as_str().unwrap().to_owned(),
                )
            })
            .collect();
        assert!(
            read == messages_of(user),
            "{} does not read what they wrote",
            name(user)
        );
    }
    let counted = node
        .sql_ok(
            &name(7),
            "SELECT count(*), sum(length(content)) FROM chat.messages",
        )
        .await;
    let characters: usize = messages_of(7)
        .values()
        .map(|text| text.chars().count())
        .sum();
    assert_eq!(
        counted["results"][0]["rows"][0],
        json!([MESSAGES_OF_A_USER.to_string(), characters.to_string()])
    );
    let foreign = node
        .sql_ok("root", "SELECT count(*) FROM chat.messages")
        .await;
    assert_eq!(foreign["results"][0]["rows"][0][0], "0");
}
