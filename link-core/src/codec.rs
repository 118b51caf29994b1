//! Messages to frames and back: JSON text, MessagePack with named fields.
//!
//! Compression is the driver's: it inflates what [`is_gzip`] recognises before it decodes. Size limits are the
//! driver's too, since it can refuse a frame before it is in memory.

mod client;
mod msgpack;
#[cfg(feature = "msgpack")]
mod rows;
mod schema;
mod server;

use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

pub use client::{encode_client, text_of};
#[cfg(feature = "msgpack")]
pub use rows::{Cell, ChangeBody, ChangeParts, RowEncoder, batch_frame};
pub use schema::append_schema;
pub use server::{DecodeError, decode_server};

use crate::message::{ClientMessage, Serialization};

/// What a WebSocket carries, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    Text(String),
    Binary(Vec<u8>),
}

/// The frame is not a message of the protocol.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    #[error("not a JSON message of the protocol: {0}")]
    Json(#[from] serde_json::Error),
    #[error("not a MessagePack message of the protocol: {0}")]
    Msgpack(#[from] msgpack::Error),
    /// A binary frame although JSON was negotiated.
    #[error("binary frames need MessagePack to be negotiated")]
    UnsupportedData,
}

impl CodecError {
    /// Well-formed, but not a message that this version knows: a newer peer's, perhaps.
    #[must_use]
    pub fn is_unknown_message(&self) -> bool {
        match self {
            Self::Json(cause) => cause.is_data(),
            Self::Msgpack(cause) => msgpack::is_data(cause),
            Self::UnsupportedData => false,
        }
    }
}

impl Frame {
    /// A message in the negotiated form.
    #[must_use]
    pub fn encode(message: &impl Serialize, serialization: Serialization) -> Self {
        match serialization {
            Serialization::Json => Self::json(message),
            Serialization::Msgpack => msgpack::encode(message),
        }
    }

    /// A message as JSON text, whatever was negotiated: authentication.
    #[must_use]
    pub fn json(message: &impl Serialize) -> Self {
        Self::Text(
            serde_json::to_string(message)
                .expect("messages are plain data, and writing to memory does not fail"),
        )
    }

    /// Bytes that were written in the negotiated form.
    ///
    /// # Panics
    ///
    /// If JSON bytes are not UTF-8, which none of the writers of this crate makes.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>, serialization: Serialization) -> Self {
        match serialization {
            Serialization::Json => {
                Self::Text(String::from_utf8(bytes).expect("JSON is written as UTF-8"))
            }
            Serialization::Msgpack => Self::Binary(bytes),
        }
    }

    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

/// Reads what a client sent. Text is JSON; binary is MessagePack, if that was negotiated.
pub fn decode_client(
    frame: &Frame,
    serialization: Serialization,
) -> Result<ClientMessage, CodecError> {
    decode(frame, serialization)
}

fn decode<T: DeserializeOwned>(
    frame: &Frame,
    serialization: Serialization,
) -> Result<T, CodecError> {
    match (frame, serialization) {
        (Frame::Text(text), _) => decode_json(text),
        (Frame::Binary(bytes), Serialization::Msgpack) => msgpack::decode(bytes),
        (Frame::Binary(_), Serialization::Json) => Err(CodecError::UnsupportedData),
    }
}

/// The first thing that is wrong need not be the worst: what is no JSON at all is reported as that.
fn decode_json<T: DeserializeOwned>(text: &str) -> Result<T, CodecError> {
    serde_json::from_str(text).map_err(|error| {
        let malformed = serde_json::from_str::<IgnoredAny>(text).err();
        malformed.unwrap_or(error).into()
    })
}

/// Whether a binary frame is compressed. No MessagePack map and no JSON text begins with these bytes.
#[must_use]
pub fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

#[cfg(test)]
mod tests;
