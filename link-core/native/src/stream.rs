//! The answer of one SELECT, bit by bit. What the bytes mean is the reader's affair; whether they are all there is not.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, BoxStream, Stream, StreamExt as _};
use reqwest::Response;

use crate::error::Error;
use crate::http::millis;

/// How the rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamFormat {
    /// Arrow IPC; the metadata `kalam:type` of a field names the column's type.
    Arrow,
    /// A JSON array a line, with the cells of the JSON protocol.
    Ndjson,
}

impl StreamFormat {
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Arrow => "application/vnd.apache.arrow.stream",
            Self::Ndjson => "application/x-ndjson",
        }
    }
}

/// The bytes of a streamed answer. Ends after an error, and without one only when the answer is whole. Dropping it
/// cancels the statement.
pub struct QueryStream {
    chunks: BoxStream<'static, Result<Bytes, Error>>,
}

impl QueryStream {
    /// `silence_max` is how long the next bytes may take.
    pub(crate) fn new(address: String, response: Response, silence_max: Duration) -> Self {
        let chunks = stream::unfold(Some(response), move |response| {
            let address = address.clone();
            async move {
                let mut response = response?;
                match tokio::time::timeout(silence_max, response.chunk()).await {
                    Ok(Ok(Some(chunk))) => Some((Ok(chunk), Some(response))),
                    Ok(Ok(None)) => None,
                    Ok(Err(error)) => {
                        let source = Arc::new(error.without_url());
                        Some((Err(Error::BrokenOff { address, source }), None))
                    }
                    Err(_) => {
                        let timeout_ms = millis(silence_max);
                        Some((Err(Error::Timeout { timeout_ms }), None))
                    }
                }
            }
        });
        Self {
            chunks: chunks.fuse().boxed(),
        }
    }
}

impl Stream for QueryStream {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.chunks.poll_next_unpin(context)
    }
}

impl std::fmt::Debug for QueryStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("QueryStream")
    }
}
