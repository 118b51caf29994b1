//! The programs under `docs/examples` do what their first lines say.

use serde_json::{Value, json};

use crate::harness::{ROOT_PASSWORD, TestNode};
use crate::package_folder;

/// Runs a script against the node and returns its answers in order.
async fn run(node: &TestNode, script: &str, variables: &[(&str, &str)]) -> Vec<Value> {
    let path = package_folder().join("../docs/examples").join(script);
    let mut command = std::process::Command::new("bash");
    command
        .arg(path)
        .env("KALAMDB_URL", node.url())
        .env("KALAMDB_ROOT_PASSWORD", ROOT_PASSWORD)
        .envs(variables.iter().copied());
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{script}: {text} {}",
        String::from_utf8_lossy(&output.stderr)
    );
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{script}: {line}")))
        .collect()
}

fn check_success(answers: &[Value]) {
    for answer in answers {
        assert_eq!(answer["status"], "success", "{answer}");
    }
}

fn rows(answer: &Value) -> &Value {
    &answer["results"][0]["rows"]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_chat_example_keeps_users_apart() {
    let node = TestNode::start().await;
    let answers = run(&node, "chat.sh", &[]).await;
    check_success(&answers);
    let history = rows(&answers[10]);
    assert_eq!(history[0], json!(["7", "user", "When?"]));
    assert_eq!(history[1][2], "To the sea \u{2600}\u{fe0f}");
    assert_eq!(history[2][2], "Where shall we go?");
    let id = |row: usize| history[row][0].as_str().unwrap().parse::<i64>().unwrap();
    assert!(id(1) > id(2), "snowflake ids rise");
    assert_eq!(rows(&answers[12]), &json!([["alice", "typing"]]));
    assert_eq!(
        answers[13]["results"][0]["row_count"], 0,
        "bob sees nothing of alice"
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_typing_event_is_seen_by_no_query() {
    let node = TestNode::start().await;
    let answers = run(&node, "chat.sh", &[("TYPING_TTL_SECONDS", "1")]).await;
    check_success(&answers);
    let login = "SELECT count(*) FROM chat.typing_events";
    loop {
        let answer = node
            .sql_with_password("alice", "Wonderland-1865", login)
            .await;
        if rows(&answer) == &json!([["0"]]) {
            break;
        }
        tokio::task::yield_now().await;
    }
    for sql in [
        "SELECT * FROM chat.typing_events",
        "SELECT * FROM chat.typing_events WHERE user_id = 'alice'",
        "SELECT t.* FROM chat.typing_events t JOIN chat.conversations c ON c.id = t.conversation_id",
        "SELECT _seq FROM chat.typing_events ORDER BY _seq DESC LIMIT 1",
        "DELETE FROM chat.typing_events WHERE conversation_id = 1",
    ] {
        let answer = node
            .sql_with_password("alice", "Wonderland-1865", sql)
            .await;
        assert_eq!(answer["results"][0]["row_count"], 0, "{sql}: {answer}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documents_example_shares_one_table() {
    let node = TestNode::start().await;
    let answers = run(&node, "documents.sh", &[]).await;
    check_success(&answers);
    assert_eq!(
        rows(&answers[7]),
        &json!([["1", 1, "Once upon a time", "carol"]])
    );
    assert_eq!(rows(&answers[8]), &json!([[2, "dave"]]));
    assert_eq!(
        answers[9]["results"][0]["row_count"], 0,
        "a lost update is not applied"
    );
    assert_eq!(rows(&answers[10]), &json!([["carol", "1", 16]]));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sensors_example_aggregates_a_stream() {
    let node = TestNode::start().await;
    let answers = run(&node, "sensors.sh", &[]).await;
    check_success(&answers);
    assert_eq!(
        rows(&answers[5]),
        &json!([["cellar", "1", 11.25], ["kitchen", "2", 21.0]])
    );
    assert_eq!(
        rows(&answers[7]),
        &json!([["cellar", 11.25], ["kitchen", 21.0]])
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tenants_example_gives_each_tenant_its_rows() {
    let node = TestNode::start().await;
    let answers = run(&node, "tenants.sh", &[]).await;
    check_success(&answers);
    assert_eq!(
        rows(&answers[6]),
        &json!([["1", "Globex customer", "0.00"]])
    );
    assert_eq!(rows(&answers[7]), &json!([["0"]]));
    assert_eq!(rows(&answers[8]), &json!([["2", "107.50"]]));
    assert_eq!(answers[8]["results"][0]["as_user"], "tenant_acme");
    node.stop().await;
}
