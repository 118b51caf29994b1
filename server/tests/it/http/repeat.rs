//! A write with a `request_id` is executed once, however often it is sent.

use serde_json::{Value, json};

use crate::harness::TestNode;

async fn prepared() -> TestNode {
    let node = TestNode::start().await;
    for sql in [
        "CREATE NAMESPACE app",
        "CREATE TABLE app.t (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), body TEXT) WITH (TYPE='SHARED', WRITE_LEVEL='PUBLIC', ACCESS_LEVEL='PUBLIC')",
    ] {
        node.sql_ok("root", sql).await;
    }
    node
}

async fn count(node: &TestNode) -> Value {
    node.sql_ok("root", "SELECT count(*) FROM app.t").await["results"][0]["rows"][0][0].clone()
}

fn insert(request_id: &str) -> Value {
    let sql = "INSERT INTO app.t (body) VALUES ($1) RETURNING id, body, _seq";
    json!({"sql": sql, "params": ["x"], "request_id": request_id})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_write_gets_the_first_answer_byte_for_byte() {
    let node = prepared().await;
    let first = node.answer("root", &insert("one")).await;
    assert_eq!(first.status, 200, "{}", first.text());
    let again = node.answer("root", &insert("one")).await;
    assert_eq!(again.text_without_took(), first.text_without_took());
    let other = node.answer("root", &insert("two")).await;
    assert_ne!(other.text_without_took(), first.text_without_took());
    assert_eq!(count(&node).await, "2");

    let batch = json!({"sql": "INSERT INTO app.t VALUES (1, 'a'); UPDATE app.t SET body = body || '+' WHERE id = 1 RETURNING body",
        "request_id": "batch"});
    let first_batch = node.answer("root", &batch).await;
    assert_eq!(first_batch.json()["results"][1]["rows"], json!([["a+"]]));
    assert_eq!(
        node.answer("root", &batch).await.text_without_took(),
        first_batch.text_without_took()
    );

    let transaction = json!({"sql": "BEGIN; INSERT INTO app.t VALUES (2, 'b') RETURNING _seq; DELETE FROM app.t WHERE id = 1; COMMIT",
        "request_id": "transaction"});
    let first_transaction = node.answer("root", &transaction).await;
    assert_eq!(
        first_transaction.status,
        200,
        "{}",
        first_transaction.text()
    );
    assert_eq!(
        node.answer("root", &transaction).await.text_without_took(),
        first_transaction.text_without_took()
    );

    let node = node.restart().await;
    for (body, answer) in [
        (insert("one"), first),
        (batch, first_batch),
        (transaction, first_transaction),
    ] {
        let again = node.answer("root", &body).await;
        assert_eq!(
            again.text_without_took(),
            answer.text_without_took(),
            "after a restart"
        );
    }
    assert_eq!(count(&node).await, "3");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_id_belongs_to_one_statement_of_one_user() {
    let node = prepared().await;
    node.create_user("service", "service").await;
    assert_eq!(node.answer("root", &insert("one")).await.status, 200);
    let mut other_params = insert("one");
    other_params["params"] = json!(["y"]);
    let mut other_sql = insert("one");
    other_sql["sql"] = json!("INSERT INTO app.t (body) VALUES ($1)");
    for body in [other_params, other_sql] {
        let answer = node.answer("root", &body).await;
        assert_eq!(
            answer.refusal(),
            (409, "CONFLICT".to_owned()),
            "{}",
            answer.text()
        );
        assert!(
            answer.text().contains("request id `one`"),
            "{}",
            answer.text()
        );
    }
    assert_eq!(count(&node).await, "1");
    assert_eq!(
        node.answer("service", &insert("one")).await.status,
        200,
        "another user's ids are their own"
    );
    assert_eq!(count(&node).await, "2");
    for id in ["", &"x".repeat(129)] {
        assert_eq!(
            node.answer("root", &insert(id)).await.refusal(),
            (400, "INVALID_INPUT".to_owned())
        );
    }
    let read = json!({"sql": "SELECT count(*) FROM app.t", "request_id": "one"});
    assert_eq!(
        node.answer("root", &read).await.json()["results"][0]["rows"],
        json!([["2"]]),
        "reads are not repeated"
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tries_at_the_same_time_write_once() {
    let node = prepared().await;
    let body = insert("one");
    let tries = futures::future::join_all((0..16).map(|_| node.answer("root", &body))).await;
    for answer in &tries {
        assert_eq!(answer.text_without_took(), tries[0].text_without_took());
    }
    assert_eq!(tries[0].status, 200, "{}", tries[0].text());
    assert_eq!(count(&node).await, "1");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_failed_is_tried_anew() {
    let node = prepared().await;
    node.sql_ok("root", "INSERT INTO app.t VALUES (1, 'in the way')")
        .await;
    let body = json!({"sql": "INSERT INTO app.t VALUES (1, 'x')", "request_id": "one"});
    assert_eq!(
        node.answer("root", &body).await.code(),
        "CONSTRAINT_VIOLATION"
    );
    node.sql_ok("root", "DELETE FROM app.t").await;
    assert_eq!(node.answer("root", &body).await.status, 200);
    assert_eq!(count(&node).await, "1");
    node.stop().await;
}
