//! Answers of one SELECT as a stream: Arrow IPC, or a JSON row a line.
//!
//! An error after the first byte ends the connection without the end of the body, and an Arrow stream without its end
//! mark, so that nobody takes a cut result for a whole one (I13).

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use axum::body::Body;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use kalam_link_core::{ErrorCode, ServerError};
use kalam_query::{RowStream, ndjson_rows};

use crate::metrics::{Metrics, RunningSql};

/// How the rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Arrow,
    Ndjson,
}

impl Format {
    const fn content_type(self) -> &'static str {
        match self {
            Self::Arrow => "application/vnd.apache.arrow.stream",
            Self::Ndjson => "application/x-ndjson",
        }
    }
}

/// The stream format that the client asks for, if it asks for one: the first in its list.
pub(crate) fn wanted(headers: &HeaderMap) -> Option<Format> {
    let ranges = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|header| header.to_str().ok())
        .flat_map(|list| list.split(','));
    for range in ranges {
        let essence = range.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("application/json") {
            return None;
        }
        for format in [Format::Arrow, Format::Ndjson] {
            if essence.eq_ignore_ascii_case(format.content_type()) {
                return Some(format);
            }
        }
    }
    None
}

/// A stream whose first batch is there: what failed before it is answered in the envelope.
pub(crate) struct Begun {
    format: Format,
    first: Bytes,
    rest: Option<Rest>,
}

struct Rest {
    encoder: Encoder,
    rows: RowStream,
}

/// Waits for the first batch.
pub(crate) async fn begin(mut rows: RowStream, format: Format) -> Result<Begun, ServerError> {
    let mut encoder = Encoder::new(format, &rows.schema)?;
    match rows.batches.next().await {
        Some(batch) => {
            encoder.write(&batch?)?;
            let first = encoder.take();
            Ok(Begun {
                format,
                first,
                rest: Some(Rest { encoder, rows }),
            })
        }
        None => Ok(Begun {
            format,
            first: encoder.finish()?,
            rest: None,
        }),
    }
}

impl Begun {
    pub(crate) fn answer(self, metrics: Arc<Metrics>, running: RunningSql) -> Response {
        let headers = [
            (
                CONTENT_TYPE,
                HeaderValue::from_static(self.format.content_type()),
            ),
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        (headers, Body::from_stream(self.chunks(metrics, running))).into_response()
    }

    fn chunks(
        self,
        metrics: Arc<Metrics>,
        running: RunningSql,
    ) -> impl Stream<Item = Result<Bytes, ServerError>> + Send + 'static {
        let first = stream::iter((!self.first.is_empty()).then_some(Ok(self.first)));
        let state = Ending { metrics, running };
        let rest = stream::unfold((self.rest, state), |(rest, mut ending)| async move {
            let Some(mut rest) = rest else {
                ending.done();
                return None;
            };
            match rest.next().await {
                Ok(Some(chunk)) => Some((Ok(chunk), (Some(rest), ending))),
                Ok(None) => match rest.encoder.finish() {
                    Ok(end) if end.is_empty() => {
                        ending.done();
                        None
                    }
                    Ok(end) => Some((Ok(end), (None, ending))),
                    Err(error) => Some(ending.broken(error)),
                },
                Err(error) => Some(ending.broken(error)),
            }
        });
        first.chain(rest)
    }
}

impl Rest {
    async fn next(&mut self) -> Result<Option<Bytes>, ServerError> {
        while let Some(batch) = self.rows.batches.next().await {
            self.encoder.write(&batch?)?;
            let chunk = self.encoder.take();
            if !chunk.is_empty() {
                return Ok(Some(chunk));
            }
        }
        Ok(None)
    }
}

/// How a stream came to its end, for the metrics.
struct Ending {
    metrics: Arc<Metrics>,
    running: RunningSql,
}

type Step = (Result<Bytes, ServerError>, (Option<Rest>, Ending));

impl Ending {
    fn done(&mut self) {
        self.running.end();
        self.metrics.statements_done(1);
    }

    /// The error ends the body: hyper closes the connection without the last chunk.
    fn broken(mut self, error: ServerError) -> Step {
        self.running.end();
        self.metrics.stream_broke(error.code);
        tracing::warn!(
            code = error.code.as_str(),
            "a streamed result ended with an error"
        );
        (Err(error), (None, self))
    }
}

/// Batches to bytes.
enum Encoder {
    Arrow(Box<StreamWriter<Vec<u8>>>),
    Ndjson(Vec<u8>),
}

impl Encoder {
    fn new(format: Format, schema: &SchemaRef) -> Result<Self, ServerError> {
        Ok(match format {
            Format::Arrow => Self::Arrow(Box::new(
                StreamWriter::try_new(Vec::new(), schema).map_err(internal)?,
            )),
            Format::Ndjson => Self::Ndjson(Vec::new()),
        })
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), ServerError> {
        match self {
            Self::Arrow(writer) => writer.write(batch).map_err(internal),
            Self::Ndjson(text) => ndjson_rows(batch, text).map_err(|error| error.to_server_error()),
        }
    }

    /// What was written since the last call.
    fn take(&mut self) -> Bytes {
        Bytes::from(std::mem::take(match self {
            Self::Arrow(writer) => writer.get_mut(),
            Self::Ndjson(text) => text,
        }))
    }

    fn finish(&mut self) -> Result<Bytes, ServerError> {
        if let Self::Arrow(writer) = self {
            writer.finish().map_err(internal)?;
        }
        Ok(self.take())
    }
}

fn internal(error: arrow::error::ArrowError) -> ServerError {
    tracing::error!(%error, "a batch could not be written as Arrow IPC");
    ServerError::new(
        ErrorCode::InternalError,
        "internal error: the result could not be encoded",
    )
}

#[cfg(test)]
mod tests;
