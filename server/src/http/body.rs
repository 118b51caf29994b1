//! Reads request bodies within limits of size and time.

use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use kalam_link_core::ErrorCode;
use serde::de::DeserializeOwned;

use super::error::Failure;

/// Bodies over the limit are read on and thrown away up to this many times the limit, so that a client which is still
/// sending gets the answer instead of a broken connection.
const DISCARD_FACTOR: usize = 4;

/// What a request body may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyLimits {
    pub bytes_max: usize,
    pub timeout: Duration,
}

impl BodyLimits {
    /// Reads a JSON body. Fields that are not known are let pass.
    pub(crate) async fn json<T: DeserializeOwned>(
        self,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<T, Failure> {
        check_content_type(headers)?;
        let bytes = self.read(headers, body).await?;
        serde_json::from_slice(&bytes).map_err(|error| {
            Failure::new(
                ErrorCode::InvalidInput,
                format!("invalid request body: {error}"),
            )
        })
    }

    /// Reads the whole body.
    async fn read(self, headers: &HeaderMap, body: Body) -> Result<Bytes, Failure> {
        match tokio::time::timeout(self.timeout, self.collect(headers, body)).await {
            Ok(result) => result,
            Err(_) => Err(Failure::new(
                ErrorCode::InvalidInput,
                format!(
                    "the request body did not arrive within {} ms",
                    self.timeout.as_millis()
                ),
            )),
        }
    }

    async fn collect(self, headers: &HeaderMap, mut body: Body) -> Result<Bytes, Failure> {
        let announced = headers
            .get(CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        if announced.is_some_and(|bytes| bytes > self.bytes_max) {
            return Err(self.too_large(body, 0).await);
        }
        let Some(first) = next_data(&mut body).await? else {
            return Ok(Bytes::new());
        };
        if first.len() > self.bytes_max {
            return Err(self.too_large(body, first.len()).await);
        }
        let Some(second) = next_data(&mut body).await? else {
            return Ok(first);
        };
        let mut whole = BytesMut::with_capacity(announced.unwrap_or(first.len() + second.len()));
        whole.extend_from_slice(&first);
        let mut next = Some(second);
        while let Some(data) = next {
            if whole.len() + data.len() > self.bytes_max {
                let read = whole.len() + data.len();
                drop(whole);
                return Err(self.too_large(body, read).await);
            }
            whole.extend_from_slice(&data);
            next = next_data(&mut body).await?;
        }
        Ok(whole.freeze())
    }

    async fn too_large(self, mut body: Body, mut read: usize) -> Failure {
        let discard_max = self.bytes_max.saturating_mul(DISCARD_FACTOR);
        while read < discard_max {
            match next_data(&mut body).await {
                Ok(Some(data)) => read += data.len(),
                Ok(None) | Err(_) => break,
            }
        }
        let message = format!("the request body has more than {} bytes", self.bytes_max);
        Failure::new(ErrorCode::BodyTooLarge, message)
    }
}

async fn next_data(body: &mut Body) -> Result<Option<Bytes>, Failure> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| {
            Failure::new(
                ErrorCode::InvalidInput,
                "the request body ended before its announced end",
            )
        })?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// Bodies are JSON whatever simple clients call them (`curl -d` says `application/x-www-form-urlencoded`); what is
/// certainly something else is refused with a message that says so.
fn check_content_type(headers: &HeaderMap) -> Result<(), Failure> {
    const LENIENT: [&str; 4] = [
        "application/json",
        "text/json",
        "text/plain",
        "application/x-www-form-urlencoded",
    ];
    let Some(header) = headers.get(CONTENT_TYPE) else {
        return Ok(());
    };
    let whole = header.to_str().unwrap_or("not text");
    let essence = whole
        .split(';')
        .next()
        .unwrap_or(whole)
        .trim()
        .to_ascii_lowercase();
    if essence.is_empty() || LENIENT.contains(&essence.as_str()) || essence.ends_with("+json") {
        return Ok(());
    }
    Err(Failure::new(
        ErrorCode::InvalidInput,
        format!("unsupported content type `{essence}`: send application/json"),
    ))
}
