//! Statements over the open socket: the HTTP envelope with an id.

use serde_json::{Value, json};

use super::{BOARD, NOTES, board, keys, post, prepared, selected};
use crate::ws::client::{Client, is_type};
use crate::ws::wait_for_metric;

/// What differs each time.
fn without_took(mut answer: Value) -> Value {
    assert!(answer["took"].is_number(), "{answer}");
    answer["took"] = json!(0);
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_those_of_http_with_an_id() {
    let node = board().await;
    post(&node, 1..=3).await;
    node.create_user("alice", "user").await;
    for user in ["root", "alice"] {
        let mut client = Client::open(&node, user).await;
        for body in [
            json!({"sql": "SELECT * FROM app.board ORDER BY id"}),
            json!({"sql": "SELECT id FROM board ORDER BY id", "namespace_id": "app"}),
            json!({"sql": "SELECT body FROM app.board WHERE id = $1 AND n = $2", "params": ["2", 2]}),
            json!({"sql": "SELECT CURRENT_USER()"}),
            json!({"sql": "SELECT 1; SELECT 2"}),
            json!({"sql": "SELECT 1; SELECT * FROM app.absent; SELECT 2"}),
            json!({"sql": "SELECT 1; SELECT 2", "params": [1]}),
            json!({"sql": "SELECT * FROM app.absent"}),
            json!({"sql": "SELECT"}),
            json!({"sql": ""}),
            json!({"sql": "SELECT 1 / 0"}),
            json!({"sql": "INSERT INTO app.board (id) VALUES (1)"}),
            json!({"sql": "UPDATE app.board SET n = n WHERE id = 2 RETURNING id, n"}),
            json!({"sql": "CREATE NAMESPACE app"}),
            json!({"sql": "SELECT * FROM board", "namespace_id": "no_such"}),
        ] {
            let http = without_took(node.post_sql(user, &body).await);
            let mut message = body.clone();
            message["type"] = json!("query");
            message["id"] = json!("the id");
            client.send(message).await;
            let answer = client.next().await;
            assert!(is_type(&answer, "query_result"), "{body}: {answer}");
            let mut answer = without_took(answer);
            assert_eq!(answer["id"], "the id", "{body}");
            let object = answer.as_object_mut().unwrap();
            object.remove("type");
            object.remove("id");
            assert_eq!(answer, http, "{body}");
        }
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_has_the_fields_of_the_envelope() {
    let node = board().await;
    let mut client = Client::open(&node, "root").await;
    let answer = client.query("SELECT 1").await;
    assert_eq!(keys(&answer), ["id", "results", "status", "took", "type"]);
    let answer = client.query("SELECT * FROM app.absent").await;
    assert_eq!(
        keys(&answer),
        ["error", "id", "results", "status", "took", "type"]
    );
    assert_eq!(answer["error"]["code"], "TABLE_NOT_FOUND");
    client.assert_quiet().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_many_statements_is_answered_once() {
    let node = board().await;
    let mut client = Client::open(&node, "root").await;
    for n in 0..100 {
        let sql = format!("INSERT INTO app.board (id, n) VALUES ({n}, {n})");
        client
            .send(json!({"type": "query", "id": n.to_string(), "sql": sql}))
            .await;
    }
    let mut answered = Vec::new();
    for _ in 0..100 {
        let answer = client.next().await;
        assert_eq!(answer["status"], "success", "{answer}");
        answered.push(answer["id"].as_str().unwrap().parse::<u32>().unwrap());
    }
    answered.sort_unstable();
    assert_eq!(answered, (0..100).collect::<Vec<u32>>());
    assert_eq!(
        selected(&node, "SELECT count(*) FROM app.board").await,
        json!([["100"]])
    );
    client.assert_quiet().await;
    node.stop().await;
}

/// A statement that takes long does not hold up the others, nor changes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_statement_holds_up_nothing_else() {
    let settings = [("KALAMDB_LIMITS_STATEMENT_TIMEOUT_MS", "3600000")];
    let node = super::prepared_with(&settings, &[BOARD]).await;
    let mut client = Client::open(&node, "root").await;
    client.subscribe("s", "SELECT * FROM app.board").await;
    let endless =
        "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t";
    client
        .send(json!({"type": "query", "id": "endless", "sql": endless}))
        .await;
    post(&node, [1]).await;
    let change = client.next_typed("s", "change").await;
    assert_eq!(change["rows"][0]["id"], "1");
    client.ping().await;
    let answer = client.query("SELECT count(*) FROM app.board").await;
    assert_eq!(answer["results"][0]["rows"], json!([["1"]]));
    // Who goes away takes the statement along, or the server would not stop.
    drop(client);
    wait_for_metric(&node, "kalamdb_sql_running", |running| running == 0.0).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_write_is_done_once() {
    let node = board().await;
    let mut client = Client::open(&node, "root").await;
    let insert = "INSERT INTO app.board (id) VALUES (1)";
    let once = json!({"request_id": "once"});
    let first = without_took(client.query_with(insert, once.clone()).await);
    let mut second = without_took(client.query_with(insert, once).await);
    second["id"] = first["id"].clone();
    assert_eq!(first["status"], "success", "{first}");
    assert_eq!(first, second);
    let third = client.query_with(insert, json!({})).await;
    assert_eq!(third["error"]["code"], "CONSTRAINT_VIOLATION");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_have_the_rights_of_the_socket() {
    let node = prepared(&[NOTES]).await;
    node.create_user("alice", "user").await;
    let mut client = Client::open(&node, "alice").await;
    client
        .query("INSERT INTO app.notes (id, body) VALUES (1, 'mine')")
        .await;
    let answer = client.query("CREATE NAMESPACE mine").await;
    assert_eq!(answer["error"]["code"], "PERMISSION_DENIED");
    let answer = client.query("SELECT body FROM app.notes").await;
    assert_eq!(answer["results"][0]["rows"], json!([["mine"]]));
    assert_eq!(answer["results"][0]["as_user"], "alice");
    assert_eq!(
        selected(&node, "SELECT body FROM app.notes").await,
        json!([])
    );
    node.stop().await;
}

/// Larger than what a client may send.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_answers_come_whole() {
    let node = board().await;
    let mut client = Client::open(&node, "root").await;
    let answer = client.query("SELECT repeat('x', 3000000)").await;
    let text = answer["results"][0]["rows"][0][0].as_str().unwrap();
    assert_eq!(text.len(), 3_000_000);
    node.stop().await;
}
