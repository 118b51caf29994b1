//! The envelope of `/v1/api/sql`: which keys are there and which are not, and the status of each code.

use serde_json::{Value, json};

use super::keys;
use crate::harness::{Answer, TestNode};

async fn prepared() -> TestNode {
    let node = TestNode::start().await;
    node.sql_ok("root", "CREATE NAMESPACE app").await;
    node.sql_ok(
        "root",
        "CREATE TABLE app.t (id BIGINT PRIMARY KEY, body TEXT) WITH (TYPE='SHARED')",
    )
    .await;
    node
}

/// The answer without `took`.
async fn check(node: &TestNode, sql: &str, expected_results: Value) {
    let answer = node.answer("root", &json!({"sql": sql})).await;
    let mut body = answer.json();
    assert_eq!(answer.status, 200, "{sql}: {body}");
    assert!(
        body.as_object_mut()
            .unwrap()
            .remove("took")
            .unwrap()
            .is_f64()
    );
    assert_eq!(
        body,
        json!({"status": "success", "results": expected_results}),
        "{sql}"
    );
}

fn said(row_count: u64, message: &str) -> Value {
    json!([{"row_count": row_count, "message": message, "as_user": "root", "truncated": false}])
}

fn rows(schema: Value, rows: Value) -> Value {
    let row_count = rows.as_array().unwrap().len();
    json!([{"schema": schema, "rows": rows, "row_count": row_count, "as_user": "root", "truncated": false}])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_have_exactly_the_keys_of_the_contract() {
    let node = prepared().await;
    let id = json!({"name": "id", "data_type": "BigInt", "index": 0, "flags": ["pk", "nn"]});
    let body = json!({"name": "body", "data_type": "Text", "index": 1});
    let both = json!([id, body]);
    check(
        &node,
        "CREATE NAMESPACE other",
        said(0, "Namespace 'other' created successfully"),
    )
    .await;
    check(
        &node,
        "INSERT INTO app.t VALUES (1, 'hi'), (2, NULL)",
        said(2, "Inserted 2 row(s)"),
    )
    .await;
    check(
        &node,
        "SELECT * FROM app.t WHERE id = 1",
        rows(both.clone(), json!([["1", "hi"]])),
    )
    .await;
    check(
        &node,
        "SELECT * FROM app.t ORDER BY id",
        rows(both.clone(), json!([["1", "hi"], ["2", null]])),
    )
    .await;
    for none in [
        "SELECT * FROM app.t WHERE id = 9",
        "SELECT * FROM app.t WHERE body = 'none'",
    ] {
        check(&node, none, rows(both.clone(), json!([]))).await;
    }
    check(
        &node,
        "UPDATE app.t SET body = 'ho' WHERE id = 1",
        said(1, "Updated 1 row(s)"),
    )
    .await;
    check(
        &node,
        "UPDATE app.t SET body = 'ho' WHERE id = 9",
        said(0, "Updated 0 row(s)"),
    )
    .await;
    check(
        &node,
        "DELETE FROM app.t WHERE id = 2",
        said(1, "Deleted 1 row(s)"),
    )
    .await;
    let mut returned = rows(json!([id]), json!([["3"]]));
    returned[0]["message"] = json!("Inserted 1 row(s)");
    check(
        &node,
        "INSERT INTO app.t VALUES (3, 'x') RETURNING id",
        returned,
    )
    .await;
    let number = json!([{"name": "n", "data_type": "BigInt", "index": 0}]);
    let decimal = json!([{"name": "n", "data_type": {"Decimal": {"precision": 10, "scale": 2}}, "index": 0, "flags": ["nn"]}]);
    let one = |answer: Value| answer[0].clone();
    check(
        &node,
        "SELECT count(*) AS n FROM app.t; SELECT CAST(1.5 AS DECIMAL(10,2)) AS n",
        json!([
            one(rows(number, json!([["2"]]))),
            one(rows(decimal, json!([["1.50"]])))
        ]),
    )
    .await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn took_is_a_number_with_at_most_three_decimals() {
    let node = prepared().await;
    for sql in [
        "SELECT 1",
        "SELECT count(*) FROM app.t",
        "SELEC",
        "INSERT INTO app.t VALUES (1, 'x')",
    ] {
        let answer = node.answer("root", &json!({"sql": sql})).await;
        let (_, rest) = answer.text().split_once("\"took\":").unwrap();
        let (whole, decimals) = rest[..rest.find([',', '}']).unwrap()]
            .split_once('.')
            .unwrap();
        assert!(whole.bytes().all(|byte| byte.is_ascii_digit()), "{whole}");
        assert!(
            (1..=3).contains(&decimals.len()) && decimals.bytes().all(|byte| byte.is_ascii_digit()),
            "{decimals}"
        );
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_follows_from_the_code() {
    let node = prepared().await;
    node.create_user("alice", "user").await;
    node.sql_ok("root", "INSERT INTO app.t VALUES (1, 'x')")
        .await;
    let sql = |sql: &str| json!({"sql": sql});
    for (user, body, status, code) in [
        ("root", sql("SELEC 1"), 400, "INVALID_SQL"),
        ("root", sql(""), 400, "EMPTY_SQL"),
        ("root", sql(" ; -- nothing\n ;"), 400, "EMPTY_SQL"),
        ("root", sql("SELECT 1; SELEC 1"), 400, "BATCH_PARSE_ERROR"),
        (
            "root",
            json!({"sql": "SELECT 1", "namespace_id": "a b"}),
            400,
            "INVALID_INPUT",
        ),
        (
            "root",
            json!({"sql": "SELECT $1", "params": []}),
            400,
            "INVALID_PARAMETER",
        ),
        (
            "root",
            json!({"sql": "SELECT 1", "params": [1]}),
            400,
            "INVALID_PARAMETER",
        ),
        (
            "root",
            json!({"sql": "SELECT $1; SELECT $1", "params": [1]}),
            400,
            "PARAMS_WITH_BATCH",
        ),
        (
            "root",
            sql("INSERT INTO app.t VALUES (1, 'y')"),
            400,
            "CONSTRAINT_VIOLATION",
        ),
        ("root", sql("SELECT 1 / 0"), 400, "SQL_EXECUTION_ERROR"),
        (
            "alice",
            sql("CREATE NAMESPACE mine"),
            403,
            "PERMISSION_DENIED",
        ),
        (
            "root",
            sql("SELECT * FROM app.missing"),
            404,
            "TABLE_NOT_FOUND",
        ),
        (
            "root",
            sql("CREATE TABLE nowhere.t (id BIGINT PRIMARY KEY)"),
            404,
            "NAMESPACE_NOT_FOUND",
        ),
        ("root", sql("DROP USER 'nobody'"), 404, "NOT_FOUND"),
        ("root", sql("CREATE NAMESPACE app"), 409, "ALREADY_EXISTS"),
        ("root", sql("BACKUP DATABASE TO 'file'"), 501, "UNSUPPORTED"),
    ] {
        let answer = node.answer(user, &body).await;
        assert_eq!(
            answer.refusal(),
            (status, code.to_owned()),
            "{body}: {}",
            answer.text()
        );
        let envelope = answer.json();
        assert_eq!(
            keys(&envelope),
            ["error", "results", "status", "took"],
            "{body}"
        );
        assert_eq!(
            (&envelope["status"], &envelope["results"]),
            (&json!("error"), &json!([])),
            "{body}"
        );
        let mut error = keys(&envelope["error"]);
        error.retain(|key| *key != "hint");
        assert_eq!(error, ["code", "details", "message"], "{body}");
        let message = envelope["error"]["message"].as_str().unwrap();
        assert!(!message.is_empty() && !message.ends_with('.'), "{message}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_words_that_old_clients_match_are_there() {
    let node = prepared().await;
    node.create_user("alice", "user").await;
    node.sql_ok("root", "INSERT INTO app.t VALUES (1, 'x')")
        .await;
    for (user, sql, word) in [
        ("root", "CREATE NAMESPACE app", "already exists"),
        (
            "root",
            "SELECT * FROM app.missing",
            "table not found: `app.missing`",
        ),
        ("root", "DROP USER 'nobody'", "not found"),
        (
            "root",
            "INSERT INTO app.t VALUES (1, 'y')",
            "Primary key violation",
        ),
        (
            "root",
            "INSERT INTO app.t (body) VALUES ('y')",
            "Column 'id' cannot be null",
        ),
        ("alice", "DROP NAMESPACE app", "permission"),
    ] {
        let answer = node.answer(user, &json!({"sql": sql})).await.json();
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains(word), "{sql}: {message}");
    }
    let hinted = node
        .answer("root", &json!({"sql": "SELECT * FROM app.tt"}))
        .await
        .json();
    assert_eq!(hinted["error"]["hint"], "did you mean `app.t`?");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_failing_statement_stops_a_batch() {
    let node = prepared().await;
    let sql = "INSERT INTO app.t VALUES (1, 'a'); INSERT INTO app.t VALUES (1, 'b'); INSERT INTO app.t VALUES (2, 'c')";
    let answer = node.answer("root", &json!({"sql": sql})).await;
    assert_eq!(answer.refusal(), (400, "CONSTRAINT_VIOLATION".to_owned()));
    let body = answer.json();
    assert_eq!(
        body["results"],
        said(1, "Inserted 1 row(s)"),
        "what came before is answered and stays"
    );
    let message = body["error"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("Statement 2 failed: Primary key violation"),
        "{message}"
    );
    let left = node.sql_ok("root", "SELECT id, body FROM app.t").await;
    assert_eq!(left["results"][0]["rows"], json!([["1", "a"]]));

    let answer = node
        .answer(
            "root",
            &json!({"sql": "INSERT INTO app.t VALUES (3, 'd'); SELEC"}),
        )
        .await;
    assert_eq!(answer.code(), "BATCH_PARSE_ERROR");
    let left = node.sql_ok("root", "SELECT count(*) FROM app.t").await;
    assert_eq!(
        left["results"][0]["rows"],
        json!([["1"]]),
        "nothing of a batch that does not parse is executed"
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameters_fill_in_cells_of_every_form() {
    let node = prepared().await;
    let body = json!({"sql": "INSERT INTO app.t VALUES ($1, $2) RETURNING *", "params": ["9007199254740993", "it's"]});
    let answer = node.answer("root", &body).await.json();
    assert_eq!(
        answer["results"][0]["rows"],
        json!([["9007199254740993", "it's"]])
    );
    for params in [
        json!([9_007_199_254_740_993_i64]),
        json!(["9007199254740993"]),
    ] {
        let answer = node
            .answer(
                "root",
                &json!({"sql": "SELECT body FROM app.t WHERE id = $1", "params": params}),
            )
            .await;
        assert_eq!(
            answer.json()["results"][0]["rows"],
            json!([["it's"]]),
            "{params}"
        );
    }
    let wrong = json!({"sql": "SELECT body FROM app.t WHERE id = $1", "params": "9"});
    assert_eq!(
        node.answer("root", &wrong).await.refusal(),
        (400, "INVALID_INPUT".to_owned())
    );
    let null = json!({"sql": "SELECT count(*) FROM app.t", "params": null, "namespace_id": null, "request_id": null});
    assert_eq!(
        node.answer("root", &null).await.status,
        200,
        "null stands for absent"
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn namespace_id_and_use_hold_for_one_request() {
    let node = prepared().await;
    let ask = async |body: Value| node.answer("root", &body).await;
    ask(json!({"sql": "INSERT INTO t VALUES (1, 'x')", "namespace_id": "app"})).await;
    let found = ask(json!({"sql": "SELECT id FROM t", "namespace_id": "app"}))
        .await
        .json();
    assert_eq!(found["results"][0]["rows"], json!([["1"]]));
    let without = ask(json!({"sql": "SELECT id FROM t"})).await;
    assert_eq!(
        without.refusal(),
        (404, "TABLE_NOT_FOUND".to_owned()),
        "the namespace was another request's"
    );
    let used = ask(json!({"sql": "USE app; SELECT id FROM t"}))
        .await
        .json();
    assert_eq!(used["results"][0]["message"], "Namespace switched to 'app'");
    assert_eq!(used["results"][1]["rows"], json!([["1"]]));
    assert_eq!(
        ask(json!({"sql": "SELECT id FROM t"})).await.code(),
        "TABLE_NOT_FOUND",
        "so was USE"
    );
    let missing = ask(json!({"sql": "SELECT id FROM t", "namespace_id": "nowhere"})).await;
    assert_eq!(missing.status, 404, "{}", missing.text());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_user_names_whose_rows_were_meant() {
    let node = prepared().await;
    node.create_user("alice", "user").await;
    let as_user =
        async |user: &str, sql: &str| node.sql_ok(user, sql).await["results"][0]["as_user"].clone();
    assert_eq!(as_user("alice", "SELECT 1").await, "alice");
    assert_eq!(
        as_user("root", "EXECUTE AS USER 'alice' (SELECT 1)").await,
        "alice"
    );
    assert_eq!(as_user("root", "SELECT 1").await, "root");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_is_answered_with_the_address_that_the_client_has() {
    let node = prepared().await;
    let subscribe = json!({"sql": "SUBSCRIBE TO app.t WHERE id > 1 OPTIONS (last_rows=2)"});
    let offered = async |name: &'static str, value: &'static str| {
        let request = node.sql_request("root", &subscribe).await;
        let body = Answer::of(request.header(name, value)).await.json();
        let result = body["results"][0].clone();
        assert_eq!(result["row_count"], 1, "{body}");
        let names: Vec<_> = result["schema"]
            .as_array()
            .unwrap()
            .iter()
            .map(|field| field["name"].clone())
            .collect();
        assert_eq!(names, ["status", "ws_url", "subscription", "message"]);
        result["rows"][0].clone()
    };
    let direct = offered("x-test", "1").await;
    let address = node.url().replace("http://", "ws://");
    assert_eq!(direct[1], format!("{address}/v1/ws"));
    let subscription: Value = serde_json::from_str(direct[2].as_str().unwrap()).unwrap();
    assert_eq!(subscription["sql"], "SELECT * FROM app.t WHERE id > 1");
    assert_eq!(subscription["options"], json!({"last_rows": 2}));
    let named = offered("host", "db.example.com").await;
    assert_eq!(named[1], "ws://db.example.com/v1/ws");
    let secure = offered("x-forwarded-proto", "https").await;
    assert_eq!(secure[1].as_str().map(|url| &url[..6]), Some("wss://"));
    node.stop().await;
}

#[tokio::test]
async fn a_double_comes_back_to_the_last_bit() {
    let node = prepared().await;
    node.sql_ok(
        "root",
        "CREATE TABLE app.measured (id BIGINT PRIMARY KEY, value DOUBLE) WITH (TYPE='SHARED')",
    )
    .await;
    for (id, value) in [0.1 + 0.2, std::f64::consts::PI, 3.140_163_609_120_872e-57]
        .into_iter()
        .enumerate()
    {
        let sql = "INSERT INTO app.measured VALUES ($1, $2) RETURNING value";
        let body = json!({"sql": sql, "params": [id, value]});
        let answer = node.answer("root", &body).await.json();
        let back = answer["results"][0]["rows"][0][0].as_f64();
        assert_eq!(
            back.map(f64::to_bits),
            Some(f64::to_bits(value)),
            "{answer}"
        );
    }
}
