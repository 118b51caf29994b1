//! Statements over a socket: the envelope of HTTP and the id that the client gave, as one message.

use std::borrow::Cow;
use std::fmt;
use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use kalam_link_core::codec::Frame;
use kalam_link_core::http::{QueryResult, SqlRequest, Status};
use kalam_link_core::message::{Query, Serialization};
use kalam_link_core::{ErrorCode, ServerError};
use kalam_model::Caller;
use kalam_query::RequestMeta;
use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde::ser::{Error as _, SerializeMap as _};
use serde::{Serialize, Serializer};
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
        Serialization::Msgpack => Frame::encode(&message(id, answer, RawRows), serialization),
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

/// Rows that were written as JSON, for other serializers.
struct RawRows(Box<RawValue>);

impl Serialize for RawRows {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Raw(&self.0).serialize(serializer)
    }
}

/// A JSON value as text. Numbers are read exactly: the fast way of `serde_json` may miss the last bit of a DOUBLE.
struct Raw<'a>(&'a RawValue);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.0.get();
        match text.as_bytes().first() {
            Some(b'n') => serializer.serialize_unit(),
            Some(b't') => serializer.serialize_bool(true),
            Some(b'f') => serializer.serialize_bool(false),
            Some(b'"') => {
                let text: Text<'_> = serde_json::from_str(text).map_err(S::Error::custom)?;
                serializer.serialize_str(&text.0)
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(text).map_err(S::Error::custom)?;
                serializer.collect_seq(items.into_iter().map(Raw))
            }
            Some(b'{') => {
                let fields = serde_json::Deserializer::from_str(text)
                    .deserialize_map(Fields)
                    .map_err(S::Error::custom)?;
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (name, value) in fields {
                    map.serialize_entry(&name, &Raw(value))?;
                }
                map.end()
            }
            _ => number(text, serializer),
        }
    }
}

fn number<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    if let Ok(number) = text.parse::<i64>() {
        return serializer.serialize_i64(number);
    }
    if let Ok(number) = text.parse::<u64>() {
        return serializer.serialize_u64(number);
    }
    serializer.serialize_f64(text.parse().map_err(S::Error::custom)?)
}

/// Text that is borrowed where it has no escapes.
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The fields of an object in their order.
struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests;
