//! Arrow IPC and NDJSON: the same rows as in JSON, in another form.

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::{DataType, Decimal128Type, Int64Type, SchemaRef};
use arrow::ipc::reader::StreamReader;
use serde_json::{Value, json};

use crate::harness::{Answer, TestNode};

const ARROW: &str = "application/vnd.apache.arrow.stream";
const NDJSON: &str = "application/x-ndjson";

async fn ask(node: &TestNode, accept: &str, sql: &str) -> Answer {
    Answer::of(
        node.sql_request("root", &json!({"sql": sql}))
            .await
            .header("accept", accept),
    )
    .await
}

fn decoded(answer: &Answer) -> (SchemaRef, Vec<RecordBatch>) {
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some(ARROW))
    );
    let reader = StreamReader::try_new(answer.bytes.as_slice(), None).unwrap();
    (reader.schema(), reader.map(Result::unwrap).collect())
}

fn lines(answer: &Answer) -> Vec<Value> {
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some(NDJSON))
    );
    answer
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Numbers from 0 to 9999 in no order, without a table.
const TEN_THOUSAND: &str = "WITH d(n) AS (VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)) \
    SELECT a.n + 10 * b.n + 100 * c.n + 1000 * e.n AS n FROM d a CROSS JOIN d b CROSS JOIN d c CROSS JOIN d e";

async fn prepared() -> TestNode {
    let node = TestNode::start().await;
    for sql in [
        "CREATE NAMESPACE app",
        "CREATE TABLE app.t (id BIGINT PRIMARY KEY, price DECIMAL(10,2), body TEXT, ok BOOLEAN, at TIMESTAMP, u UUID, j JSON, e EMBEDDING(2), raw BYTES) WITH (TYPE='SHARED')",
        "INSERT INTO app.t VALUES (1, 1.50, 'hi', true, '2026-01-31T10:00:00Z', '6ba7b810-9dad-11d1-80b4-00c04fd430c8', '{\"a\":1}', '[1,2.5]', X'0102')",
        "INSERT INTO app.t (id) VALUES (2)",
    ] {
        node.sql_ok("root", sql).await;
    }
    node
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ndjson_lines_are_the_rows_of_json() {
    let node = prepared().await;
    for sql in [
        "SELECT * FROM app.t ORDER BY id",
        "SELECT * FROM app.t WHERE id = 1",
        "SELECT * FROM app.t WHERE id = 9",
    ] {
        let rows = node.sql_ok("root", sql).await["results"][0]["rows"].clone();
        assert_eq!(
            Value::from(lines(&ask(&node, NDJSON, sql).await)),
            rows,
            "{sql}"
        );
    }
    assert_eq!(lines(&ask(&node, NDJSON, TEN_THOUSAND).await).len(), 10_000);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arrow_batches_hold_typed_columns() {
    let node = prepared().await;
    let sql = "SELECT * FROM app.t ORDER BY id";
    let (schema, batches) = decoded(&ask(&node, ARROW, sql).await);
    let json = node.sql_ok("root", sql).await["results"][0].clone();
    for (field, column) in schema
        .fields()
        .iter()
        .zip(json["schema"].as_array().unwrap())
    {
        assert_eq!(field.name(), column["name"].as_str().unwrap());
        let kind: Value = serde_json::from_str(&field.metadata()["kalam:type"]).unwrap();
        assert_eq!(kind, column["data_type"], "{}", field.name());
    }
    assert_eq!(*schema.field(0).data_type(), DataType::Int64);
    assert_eq!(*schema.field(1).data_type(), DataType::Decimal128(10, 2));
    let rows = arrow::compute::concat_batches(&schema, &batches).unwrap();
    assert_eq!(rows.num_rows(), 2);
    assert_eq!(
        rows.column(0).as_primitive::<Int64Type>().values().as_ref(),
        [1, 2]
    );
    assert_eq!(
        rows.column(1).as_primitive::<Decimal128Type>().value(0),
        150
    );
    assert_eq!(rows.column(2).as_string::<i32>().value(0), "hi");
    assert!(rows.column(3).as_boolean().value(0));
    assert!(
        rows.columns()[1..].iter().all(|column| column.is_null(1)),
        "NULL stays NULL"
    );

    let (_, batches) = decoded(&ask(&node, ARROW, TEN_THOUSAND).await);
    let mut numbers: Vec<i64> = batches
        .iter()
        .flat_map(|batch| {
            batch
                .column(0)
                .as_primitive::<Int64Type>()
                .values()
                .to_vec()
        })
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..10_000).collect::<Vec<_>>());
    let (schema, batches) = decoded(&ask(&node, ARROW, "SELECT id FROM app.t WHERE id = 9").await);
    assert_eq!(
        (
            schema.fields().len(),
            batches.iter().map(RecordBatch::num_rows).sum::<usize>()
        ),
        (1, 0)
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_before_the_first_row_is_answered_in_the_envelope() {
    let node = prepared().await;
    for accept in [ARROW, NDJSON] {
        for (sql, status, code) in [
            ("SELECT * FROM app.missing", 404, "TABLE_NOT_FOUND"),
            (
                "SELECT 1 / (id - id) FROM app.t",
                400,
                "SQL_EXECUTION_ERROR",
            ),
            ("SELEC", 400, "INVALID_SQL"),
            ("INSERT INTO app.t (id) VALUES (3)", 501, "UNSUPPORTED"),
            ("SELECT 1; SELECT 2", 501, "UNSUPPORTED"),
        ] {
            let answer = ask(&node, accept, sql).await;
            assert_eq!(answer.refusal(), (status, code.to_owned()), "{sql}");
            assert_eq!(answer.header("content-type"), Some("application/json"));
        }
    }
    let left = node.sql_ok("root", "SELECT count(*) FROM app.t").await;
    assert_eq!(
        left["results"][0]["rows"],
        json!([["2"]]),
        "what is refused is not executed"
    );
    let body = json!({"sql": "SELECT id FROM app.t WHERE id = $1", "params": [2]});
    let answer = Answer::of(
        node.sql_request("root", &body)
            .await
            .header("accept", NDJSON),
    )
    .await;
    assert_eq!(lines(&answer), [json!(["2"])]);
    node.stop().await;
}
