//! Malformed and hostile input: typed answers, no panic, no growth.

use serde_json::{Value, json};

use crate::generator::{Numbers, message};
use crate::harness::ServerProcess;

/// Inputs of the short form; `KALAMDB_LONG_TESTS=1` sends ten times as many.
const INPUTS: u64 = 10_000;
const GROWTH_MAX_KIB: u64 = 64 * 1_024;

/// Words from which statements are put together: the vocabulary of the contract and what breaks parsers.
const WORDS: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "INSERT",
    "INTO",
    "VALUES",
    "UPDATE",
    "SET",
    "DELETE",
    "CREATE",
    "TABLE",
    "NAMESPACE",
    "DROP",
    "ALTER",
    "ADD",
    "COLUMN",
    "USER",
    "EXECUTE",
    "AS",
    "BEGIN",
    ";",
    "COMMIT",
    "ROLLBACK",
    "(",
    ")",
    ",",
    "*",
    "t",
    "app.t",
    "id",
    "body",
    "'",
    "\"",
    "$1",
    "$2",
    "$99999999999999999999",
    "--",
    "/*",
    "*/",
    "$$",
    "E'\\'",
    "X'0'",
    "X'00ff'",
    "1",
    "-1",
    "9223372036854775808",
    "1e400",
    "NULL",
    "=",
    "<",
    ">",
    "||",
    "::",
    "[",
    "]",
    "{",
    "}",
    "\u{0}",
    "\u{feff}",
    "😂",
    "LIKE",
    "IN",
    "BETWEEN",
    "CASE",
    "WHEN",
    "END",
    "CAST",
    "JOIN",
    "ON",
    "GROUP BY",
    "ORDER BY",
    "LIMIT",
    "OFFSET",
    "UNION",
    "WITH",
    "RECURSIVE",
    "OVER",
    "RETURNING",
    "ON CONFLICT",
    "DO",
    "NOTHING",
    "DEFAULT",
    "PRIMARY KEY",
    "BIGINT",
    "DECIMAL(39,40)",
    "EMBEDDING(0)",
    "VARCHAR(-1)",
    "TYPE='USER'",
    "FLUSH_POLICY='rows:0'",
    "TTL_SECONDS=-1",
    "SHOW",
    "TABLES",
    "DESCRIBE",
    "EXPLAIN",
    "ANALYZE",
    "STORAGE",
    "FLUSH",
    "SUBSCRIBE TO",
    "KILL",
    "COPY",
    "'/etc/passwd'",
    "CREATE EXTERNAL TABLE",
    "STORED AS CSV LOCATION",
    "SET datafusion.x = 1",
    "PREPARE",
    "_seq",
    "generate_series(1, 3)",
    "unnest([1,2])",
    "INTERVAL '1 day'",
    "NOW()",
    "CURRENT_USER()",
    "SNOWFLAKE_ID()",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_input_gets_typed_errors_and_leaves_the_server_as_it_was() {
    let server = ServerProcess::start(&[]).await;
    server.sql_ok("CREATE NAMESPACE app").await;
    server.sql_ok("CREATE TABLE app.t (id BIGINT PRIMARY KEY, body TEXT, n INT, j JSON, b BYTES, d DECIMAL(10,2))").await;
    server.sql_ok("SELECT count(*) FROM app.t").await;
    let before = server.memory_kib();
    let long = std::env::var_os("KALAMDB_LONG_TESTS").is_some();
    let inputs = if long { INPUTS * 10 } else { INPUTS };
    let mut numbers = Numbers::seeded(42);
    for n in 0..inputs {
        let (body, token) = input(&mut numbers, server.token());
        let answer = server
            .client()
            .post(format!("{}/v1/api/sql", server.url()))
            .header("authorization", token)
            .header("content-type", "application/json")
            .body(body.clone())
            .send()
            .await
            .unwrap_or_else(|error| panic!("input {n} ended the connection: {error}: {body:?}"));
        check_answer(answer, &body).await;
    }
    assert_eq!(
        server.sql_ok("SELECT 1").await["results"][0]["rows"],
        json!([["1"]])
    );
    let after = server.memory_kib();
    assert!(
        after <= before + GROWTH_MAX_KIB,
        "memory grew from {before} to {after} KiB"
    );
    assert!(!server.log().contains("panicked"), "{}", server.log());
    server.stop().await;
}

async fn check_answer(answer: reqwest::Response, body: &[u8]) {
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    let shown = String::from_utf8_lossy(body);
    let envelope: Value = serde_json::from_str(&text)
        .unwrap_or_else(|_| panic!("no JSON: {status} {text} for {shown}"));
    if status == 200 {
        assert_eq!(envelope["status"], "success", "{shown}");
        return;
    }
    let code = envelope["error"]["code"]
        .as_str()
        .unwrap_or_else(|| panic!("no code: {text} for {shown}"));
    assert!(
        status < 500 || code == "UNSUPPORTED",
        "{status} {text} for {shown}"
    );
    assert!(
        !envelope["error"]["message"].as_str().unwrap().is_empty(),
        "{shown}"
    );
}

/// A request body and the value of its Authorization header.
fn input(numbers: &mut Numbers, token: &str) -> (Vec<u8>, String) {
    let bearer = format!("Bearer {token}");
    match numbers.below(10) {
        0 => ((0..numbers.below(200)).map(|_| numbers.next().to_le_bytes()[0]).collect(), bearer),
        1 => (mutated(numbers, br#"{"sql":"SELECT body FROM app.t WHERE id = $1","params":["1"],"namespace_id":"app"}"#), bearer),
        2 => (json!({"sql": "SELECT 1"}).to_string().into_bytes(), wrong_token(numbers, &bearer)),
        3 => (json!({"sql": message(numbers), "namespace_id": message(numbers)}).to_string().into_bytes(), bearer),
        4 | 5 => (with_params(numbers), bearer),
        _ => {
            let words: Vec<&str> = (0..1 + numbers.below(25)).map(|_| pick(numbers, WORDS)).collect();
            (json!({"sql": words.join(" "), "namespace_id": "app"}).to_string().into_bytes(), bearer)
        }
    }
}

fn pick<'a>(numbers: &mut Numbers, from: &[&'a str]) -> &'a str {
    from[usize::try_from(numbers.below(from.len() as u64)).unwrap()]
}

fn mutated(numbers: &mut Numbers, sound: &[u8]) -> Vec<u8> {
    let mut bytes = sound.to_vec();
    for _ in 0..=numbers.below(4) {
        let at = usize::try_from(numbers.below(bytes.len() as u64)).unwrap();
        match numbers.below(3) {
            0 => bytes[at] = numbers.next().to_le_bytes()[0],
            1 => {
                bytes.remove(at);
            }
            _ => bytes.insert(
                at,
                b"\"{}[],:0\\'"[usize::try_from(numbers.below(10)).unwrap()],
            ),
        }
    }
    bytes
}

/// Header values that HTTP allows and that are no valid token.
fn wrong_token(numbers: &mut Numbers, bearer: &str) -> String {
    match numbers.below(5) {
        0 => "Bearer ".into(),
        1 => "Basic !!!".into(),
        2 => format!("{bearer}x"),
        3 => bearer.replace('.', ""),
        _ => "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290Iiwicm9sZSI6InN5c3RlbSJ9.".into(),
    }
}

fn with_params(numbers: &mut Numbers) -> Vec<u8> {
    const STATEMENTS: &[&str] = &[
        "INSERT INTO t (id, body, n, j, b, d) VALUES ($1, $2, $3, $4, $5, $6)",
        "SELECT * FROM t WHERE id = $1 AND body = $2",
        "UPDATE t SET body = $2, n = $3 WHERE id = $1",
        "DELETE FROM t WHERE id = $1 OR d > $2",
        "SELECT $1, $2",
    ];
    let cells = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(1e300),
        json!(u64::MAX),
        json!("9223372036854775807"),
        json!("9223372036854775808"),
        json!("text"),
        json!(""),
        json!([]),
        json!([1, 256]),
        json!([[1]]),
        json!({"a": 1}),
        json!("NaN"),
        json!("Infinity"),
        json!("\u{0}"),
        json!("2030-13-45"),
        json!("AA=="),
        json!("12.345"),
    ];
    let params: Vec<Value> = (0..numbers.below(8))
        .map(|_| cells[usize::try_from(numbers.below(cells.len() as u64)).unwrap()].clone())
        .collect();
    json!({"sql": pick(numbers, STATEMENTS), "params": params, "namespace_id": "app"})
        .to_string()
        .into_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_without_end_get_typed_errors() {
    let server = ServerProcess::start(&[("KALAMDB_LIMITS_STATEMENT_TIMEOUT_MS", "2000")]).await;
    server.sql_ok("CREATE NAMESPACE app").await;
    server
        .sql_ok("CREATE TABLE app.t (id BIGINT PRIMARY KEY, body TEXT)")
        .await;
    let places: Vec<String> = (0..1_000).map(|n| format!("({n}, 'row {n}')")).collect();
    server
        .sql_ok(&format!("INSERT INTO app.t VALUES {}", places.join(", ")))
        .await;
    let chain = |word: &str, terms: usize| {
        let terms: Vec<String> = (0..terms).map(|n| format!("id = {n}")).collect();
        format!("SELECT count(*) FROM app.t WHERE {}", terms.join(word))
    };
    let nested = |open: &str, inner: &str, close: &str, depth: usize| {
        format!(
            "SELECT {}{inner}{}",
            open.repeat(depth),
            close.repeat(depth)
        )
    };
    let statements = [
        format!("SELECT '{}'", "x".repeat(1_000_000)),
        format!("SELECT * FROM app.t WHERE body IN ({})", vec!["'some text'"; 70_000].join(",")),
        chain(" OR ", 10_000),
        chain(" AND ", 10_000),
        format!("SELECT {}", vec!["1"; 10_000].join(" + ")),
        format!("SELECT {}", vec!["'a'"; 10_000].join(" || ")),
        nested("(", "1", ")", 10_000),
        nested("abs(", "1", ")", 10_000),
        nested("(SELECT ", "1", ")", 2_000),
        nested("NOT ", "true", "", 10_000),
        nested("- ", "1", "", 10_000),
        nested("CASE WHEN true THEN ", "1", " END", 3_000),
        "[".repeat(100_000),
        "SELECT count(*) FROM generate_series(1, 10000000000)".into(),
        "SELECT * FROM generate_series(1, 10000000000)".into(),
        "SELECT sum(a.value * b.value) FROM generate_series(1, 1000000) a CROSS JOIN generate_series(1, 1000000) b".into(),
        "SELECT count(*) FROM app.t a, app.t b, app.t c, app.t d".into(),
        "SELECT * FROM app.t a, app.t b, app.t c ORDER BY a.body, b.body".into(),
        "SELECT string_agg(a.body, b.body) FROM app.t a, app.t b, app.t c".into(),
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r".into(),
        "SELECT repeat('x', 2000000000)".into(),
        "SELECT lpad('x', 2000000000, 'y')".into(),
    ];
    for sql in &statements {
        let answer = server.sql(sql).await;
        let shown: String = sql.chars().take(80).collect();
        if answer["status"] == "error" {
            let code = answer["error"]["code"]
                .as_str()
                .unwrap_or_else(|| panic!("{shown}: {answer}"));
            assert!(
                [
                    "INVALID_SQL",
                    "STATEMENT_TIMEOUT",
                    "RESULT_TOO_LARGE",
                    "STATEMENT_TOO_LARGE",
                    "SQL_EXECUTION_ERROR",
                    "UNSUPPORTED"
                ]
                .contains(&code),
                "{shown}: {answer}"
            );
        } else {
            assert_eq!(answer["status"], "success", "{shown}: {answer}");
        }
    }
    assert_eq!(
        server.sql_ok("SELECT count(*) FROM app.t").await["results"][0]["rows"],
        json!([["1000"]])
    );
    assert!(!server.log().contains("panicked"), "{}", server.log());
    server.stop().await;
}
