//! What is too large, too slow or too often is refused with its own code, and nothing is cut (I13).

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::harness::{Answer, TestNode};

const BODY_BYTES_MAX: usize = 10 * 1024 * 1024;

/// A statement that never ends by itself.
const ENDLESS: &str =
    "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_over_ten_megabytes_is_refused() {
    let node = TestNode::start().await;
    let token = node.token("root").await;
    let post = |body: reqwest::Body| node.post("/v1/api/sql").bearer_auth(&token).body(body);
    let padded = |bytes: usize| {
        let mut body = br#"{"sql":"SELECT 1"}"#.to_vec();
        body.resize(bytes, b' ');
        body
    };
    let chunked = |bytes: Vec<u8>| {
        let chunks: Vec<Result<Vec<u8>, std::io::Error>> = bytes
            .chunks(65_536)
            .map(|chunk| Ok(chunk.to_vec()))
            .collect();
        reqwest::Body::wrap_stream(futures::stream::iter(chunks))
    };
    for body in [
        padded(BODY_BYTES_MAX).into(),
        chunked(padded(BODY_BYTES_MAX)),
    ] {
        assert_eq!(
            Answer::of(post(body)).await.status,
            200,
            "as large as allowed"
        );
    }
    for body in [
        padded(BODY_BYTES_MAX + 1).into(),
        chunked(padded(BODY_BYTES_MAX + 1)),
    ] {
        let answer = Answer::of(post(body)).await;
        assert_eq!(answer.refusal(), (413, "BODY_TOO_LARGE".to_owned()));
    }
    let login = node
        .post("/v1/api/auth/login")
        .body(padded(BODY_BYTES_MAX + 1));
    let answer = Answer::of(login).await;
    assert_eq!(
        (answer.status, &answer.json()["error"]),
        (413, &json!("body_too_large"))
    );
    node.sql_ok("root", "SELECT 1").await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_no_request_is_refused() {
    let node = TestNode::start().await;
    let token = node.token("root").await;
    let post = |body: &'static str| node.post("/v1/api/sql").bearer_auth(&token).body(body);
    for body in [
        "",
        "{",
        "[]",
        "null",
        "{}",
        r#"{"sql":1}"#,
        r#"{"sql":"SELECT 1","params":{}}"#,
        "SELECT 1",
        "\u{feff}{}",
    ] {
        let answer = Answer::of(post(body)).await;
        assert_eq!(
            answer.refusal(),
            (400, "INVALID_INPUT".to_owned()),
            "{body}"
        );
    }
    let deep = "[".repeat(100_000);
    let answer = Answer::of(node.post("/v1/api/sql").bearer_auth(&token).body(deep)).await;
    assert_eq!(answer.refusal(), (400, "INVALID_INPUT".to_owned()));
    let answer = Answer::of(post(r#"{"sql":"SELECT 1"}"#).header("content-type", "text/xml")).await;
    assert_eq!(answer.refusal(), (400, "INVALID_INPUT".to_owned()));
    for kind in [
        "application/json",
        "application/json; charset=utf-8",
        "text/plain",
        "application/x-www-form-urlencoded",
    ] {
        let answer =
            Answer::of(post(r#"{"sql":"SELECT 1","unknown":true}"#).header("content-type", kind))
                .await;
        assert_eq!(answer.status, 200, "{kind}");
    }
    for body in ["", "{", r#"{"user":"root"}"#, r#"{"password":"x"}"#] {
        let answer = Answer::of(node.post("/v1/api/auth/login").body(body)).await;
        assert_eq!(
            (answer.status, &answer.json()["error"]),
            (400, &json!("invalid_input")),
            "{body}"
        );
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_does_not_arrive_is_not_waited_for() {
    let node = TestNode::start_with(&[("KALAMDB_SERVER_BODY_TIMEOUT_MS", "1")]).await;
    let address = node.url().replace("http://", "");
    let request = "POST /v1/api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nConnection: close\r\n\r\n{";
    let read = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    let answer = read.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(
        answer.contains("invalid_input") && answer.contains("did not arrive"),
        "{answer}"
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i13_a_result_over_a_limit_is_an_error_and_never_cut() {
    let settings = [
        ("KALAMDB_LIMITS_RESULT_ROWS_MAX", "10"),
        ("KALAMDB_LIMITS_RESULT_BYTES_MAX", "4000"),
    ];
    let node = TestNode::start_with(&settings).await;
    node.sql_ok("root", "CREATE NAMESPACE app").await;
    node.sql_ok(
        "root",
        "CREATE TABLE app.t (id BIGINT PRIMARY KEY, body TEXT) WITH (TYPE='SHARED')",
    )
    .await;
    let values: Vec<String> = (1..=11).map(|id| format!("({id}, 'x')")).collect();
    node.sql_ok(
        "root",
        &format!("INSERT INTO app.t VALUES {}", values.join(", ")),
    )
    .await;
    node.sql_ok("root", "INSERT INTO app.t VALUES (100, repeat('y', 5000))")
        .await;

    let whole = node
        .sql_ok("root", "SELECT id FROM app.t ORDER BY id LIMIT 10")
        .await;
    assert_eq!(whole["results"][0]["row_count"], 10);
    let ids: Vec<String> = (1..=11).map(|id| id.to_string()).collect();
    for sql in [
        "SELECT id FROM app.t ORDER BY id LIMIT 11".to_owned(),
        "SELECT id FROM app.t".to_owned(),
        format!("SELECT id FROM app.t WHERE id IN ({})", ids.join(", ")),
        "SELECT body FROM app.t WHERE id = 100".to_owned(),
        "SELECT body FROM app.t WHERE body LIKE 'yy%'".to_owned(),
        "UPDATE app.t SET body = body WHERE id > 0 RETURNING id".to_owned(),
    ] {
        let answer = node.answer("root", &json!({"sql": sql})).await;
        assert_eq!(
            answer.refusal(),
            (413, "RESULT_TOO_LARGE".to_owned()),
            "{sql}: {}",
            answer.text()
        );
        assert_eq!(answer.json()["results"], json!([]), "{sql}");
    }
    let streamed = node
        .sql_request("root", &json!({"sql": "SELECT id, body FROM app.t"}))
        .await;
    let streamed = Answer::of(streamed.header("accept", "application/x-ndjson")).await;
    assert_eq!(
        streamed.text().lines().count(),
        12,
        "a stream is as long as it is"
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_over_a_limit_writes_nothing() {
    let settings = [
        ("KALAMDB_LIMITS_COMMAND_BYTES_MAX", "10000"),
        ("KALAMDB_LIMITS_SQL_BYTES_MAX", "2000"),
    ];
    let node = TestNode::start_with(&settings).await;
    node.sql_ok("root", "CREATE NAMESPACE app").await;
    node.sql_ok(
        "root",
        "CREATE TABLE app.t (id BIGINT PRIMARY KEY, body TEXT) WITH (TYPE='SHARED')",
    )
    .await;
    let write = json!({"sql": "INSERT INTO app.t VALUES (1, 'small'), (2, $1)", "params": ["x".repeat(10_001)]});
    assert_eq!(
        node.answer("root", &write).await.refusal(),
        (413, "STATEMENT_TOO_LARGE".to_owned())
    );
    let text = json!({"sql": format!("SELECT '{}'", "x".repeat(2_000))});
    assert_eq!(
        node.answer("root", &text).await.refusal(),
        (413, "STATEMENT_TOO_LARGE".to_owned())
    );
    let left = node.sql_ok("root", "SELECT count(*) FROM app.t").await;
    assert_eq!(left["results"][0]["rows"], json!([["0"]]));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_takes_too_long_is_cancelled() {
    let node = TestNode::start_with(&[("KALAMDB_LIMITS_STATEMENT_TIMEOUT_MS", "1000")]).await;
    for accept in [
        "application/json",
        "application/x-ndjson",
        "application/vnd.apache.arrow.stream",
    ] {
        let request = node
            .sql_request("root", &json!({"sql": ENDLESS}))
            .await
            .header("accept", accept);
        let answer = Answer::of(request).await;
        assert_eq!(
            answer.refusal(),
            (408, "STATEMENT_TIMEOUT".to_owned()),
            "{accept}: {}",
            answer.text()
        );
    }
    node.sql_ok("root", "SELECT 1").await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i13_a_stream_that_takes_too_long_has_no_proper_end() {
    let node = TestNode::start_with(&[("KALAMDB_LIMITS_STATEMENT_TIMEOUT_MS", "1000")]).await;
    let body = json!({"sql": "SELECT value FROM generate_series(1, 1000000000000)"});
    for accept in [
        "application/x-ndjson",
        "application/vnd.apache.arrow.stream",
    ] {
        let request = node
            .sql_request("root", &body)
            .await
            .header("accept", accept);
        let mut response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "{accept}");
        let end = loop {
            match response.chunk().await {
                Ok(Some(_)) => {}
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        assert!(end.is_err(), "{accept}: a cut result looks whole");
    }
    let broken = super::metric(&node, "kalamdb_streams_broken_total").await;
    assert_eq!(broken.to_bits(), 2.0_f64.to_bits());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_of_a_network_listener_has_a_rate_limit() {
    let settings = [
        ("KALAMDB_SERVER_HOST", "0.0.0.0"),
        ("KALAMDB_LIMITS_STATEMENTS_PER_SECOND", "3"),
    ];
    let node = TestNode::start_with(&settings).await;
    let batch = json!({"sql": "SELECT 1; SELECT 2; SELECT 3; SELECT 4"});
    let check = |answer: &Answer| {
        assert_eq!(
            answer.refusal(),
            (429, "RATE_LIMIT_EXCEEDED".to_owned()),
            "{}",
            answer.text()
        );
        assert!(
            answer
                .header("retry-after")
                .unwrap()
                .parse::<u64>()
                .unwrap()
                >= 1
        );
        assert_eq!(
            answer.json()["results"],
            json!([]),
            "all of a request runs, or nothing"
        );
    };
    check(&node.answer("root", &batch).await);
    // One after the other may be slower than the limit; at the same time they are not.
    let single = json!({"sql": "SELECT 1"});
    let refused = loop {
        let answers =
            futures::future::join_all((0..32).map(|_| node.answer("root", &single))).await;
        if let Some(refused) = answers.into_iter().find(|answer| answer.status != 200) {
            break refused;
        }
    };
    check(&refused);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loopback_listener_has_no_rate_limit() {
    let node = TestNode::start_with(&[("KALAMDB_LIMITS_STATEMENTS_PER_SECOND", "1")]).await;
    let batch: Value = node
        .sql_ok("root", "SELECT 1; SELECT 2; SELECT 3; SELECT 4")
        .await;
    assert_eq!(batch["results"].as_array().unwrap().len(), 4);
    node.stop().await;
}
