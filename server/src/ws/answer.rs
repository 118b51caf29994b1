//! Statements over a socket: the envelope of HTTP and the id that the client gave, as one message.

use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use kalam_link_core::codec::Frame;
use kalam_link_core::http::{QueryResult, SqlRequest, Status};
use kalam_link_core::message::{Query, Serialization};
use kalam_link_core::{ErrorCode, JsonText, ServerError};
use kalam_model::Caller;
use kalam_query::RequestMeta;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::http::Failure;
use crate::metrics::RunningSql;
use crate::statements::{Answer, Statements, rows_bytes};

/// Runs a `query` and writes its answer. Dropping the future cancels the statement.
pub(super) async fn answer(
    statements: Statements,
    caller: Caller,
    query: Query,
    meta: RequestMeta,
    serialization: Serialization,
) -> Frame {
    let request = SqlRequest {
        sql: query.sql,
        params: query.params,
        namespace_id: query.namespace_id,
        request_id: query.request_id,
    };
    let running = RunningSql::begin(&statements.metrics);
    if let Err(failure) = statements.check_rate(&caller, &request) {
        return encode(
            query.id,
            statements.refused(&failure, running),
            serialization,
        );
    }
    // As for HTTP: a panic leaves nothing behind that a later request shares.
    let ran = AssertUnwindSafe(statements.run(&caller, &request, &meta, running))
        .catch_unwind()
        .await;
    let answer = ran.unwrap_or_else(|_| {
        statements.metrics.panicked();
        tracing::error!(query_id = query.id, "a statement panicked");
        let failure = Failure::new(ErrorCode::InternalError, "internal error");
        statements.refused(&failure, RunningSql::begin(&statements.metrics))
    });
    encode(query.id, answer, serialization)
}

/// A `query_result`.
#[derive(Serialize)]
#[serde(tag = "type", rename = "query_result")]
struct Message<Rows> {
    id: String,
    status: Status,
    results: Vec<QueryResult<Rows>>,
    took: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ServerError>,
}

fn encode(id: String, answer: Answer, serialization: Serialization) -> Frame {
    match serialization {
        Serialization::Json => {
            let mut text = Vec::with_capacity(rows_bytes(&answer) + 512);
            serde_json::to_writer(&mut text, &message(id, answer, |rows| rows))
                .expect("messages are plain data, and writing to memory does not fail");
            Frame::from_bytes(text, serialization)
        }
        Serialization::Msgpack => {
            Frame::encode(&message(id, answer, JsonText::from), serialization)
        }
    }
}

fn message<Rows>(
    id: String,
    answer: Answer,
    rows: impl Fn(Box<RawValue>) -> Rows,
) -> Message<Rows> {
    let result = |result: QueryResult<Box<RawValue>>| QueryResult {
        rows: result.rows.map(&rows),
        schema: result.schema,
        row_count: result.row_count,
        message: result.message,
        as_user: result.as_user,
        truncated: result.truncated,
    };
    Message {
        id,
        status: answer.status,
        results: answer.results.into_iter().map(result).collect(),
        took: answer.took,
        error: answer.error,
    }
}

#[cfg(test)]
mod tests;
