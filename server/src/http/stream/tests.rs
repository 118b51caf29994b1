use arrow::array::Int64Array;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::ipc::reader::StreamReader;
use http_body_util::BodyExt as _;

use super::*;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]))
}

fn batch(numbers: Vec<i64>) -> RecordBatch {
    RecordBatch::try_new(schema(), vec![Arc::new(Int64Array::from(numbers))]).unwrap()
}

fn rows(batches: Vec<Result<RecordBatch, ServerError>>) -> RowStream {
    RowStream {
        schema: schema(),
        fields: Vec::new(),
        batches: Box::pin(stream::iter(batches)),
    }
}

fn failure() -> ServerError {
    ServerError::new(ErrorCode::StatementTimeout, "late")
}

async fn body(
    batches: Vec<Result<RecordBatch, ServerError>>,
    format: Format,
) -> Result<Bytes, axum::Error> {
    let metrics = Arc::new(Metrics::new());
    let running = RunningSql::begin(&metrics);
    let response = begin(rows(batches), format)
        .await
        .unwrap()
        .answer(metrics, running);
    assert_eq!(response.headers()[CONTENT_TYPE], format.content_type());
    response
        .into_body()
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
}

#[tokio::test]
async fn whole_results_have_their_end() {
    for batches in [vec![], vec![vec![1, 2]], vec![vec![], vec![1], vec![2]]] {
        let given = || {
            batches
                .iter()
                .cloned()
                .map(|numbers| Ok(batch(numbers)))
                .collect()
        };
        let expected: Vec<i64> = batches.iter().flatten().copied().collect();
        let bytes = body(given(), Format::Arrow).await.unwrap();
        let read: Vec<i64> = StreamReader::try_new(bytes.as_ref(), None)
            .unwrap()
            .flat_map(|batch| {
                let batch = batch.unwrap();
                batch
                    .column(0)
                    .as_any()
                    .downcast_ref::<Int64Array>()
                    .unwrap()
                    .values()
                    .to_vec()
            })
            .collect();
        assert_eq!(read, expected);
        assert!(
            bytes.ends_with(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]),
            "the end mark of Arrow IPC"
        );
        let lines = body(given(), Format::Ndjson).await.unwrap();
        assert_eq!(
            lines.iter().filter(|byte| **byte == b'\n').count(),
            expected.len()
        );
    }
}

#[tokio::test]
async fn i13_an_error_on_the_way_breaks_the_body() {
    for format in [Format::Arrow, Format::Ndjson] {
        assert!(
            body(vec![Ok(batch(vec![1])), Err(failure())], format)
                .await
                .is_err()
        );
        let early = begin(rows(vec![Err(failure())]), format).await;
        assert_eq!(
            early.err().map(|error| error.code),
            Some(ErrorCode::StatementTimeout)
        );
    }
}

#[test]
fn the_accept_header_chooses_the_format() {
    let of = |accept: &str| wanted(&HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())]));
    assert_eq!(
        of("application/vnd.apache.arrow.stream"),
        Some(Format::Arrow)
    );
    assert_eq!(
        of("text/html, Application/X-NDJSON;q=0.9, */*"),
        Some(Format::Ndjson)
    );
    assert_eq!(of("application/json, application/x-ndjson"), None);
    assert_eq!(of("*/*"), None);
    assert_eq!(wanted(&HeaderMap::new()), None);
}
