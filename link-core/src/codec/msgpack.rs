//! MessagePack, where it is built in. Browsers do without: they read JSON faster than anything written for them.

#[cfg(feature = "msgpack")]
pub use built_in::*;
#[cfg(not(feature = "msgpack"))]
pub use left_out::*;

#[cfg(feature = "msgpack")]
mod built_in {
    use serde::Serialize;
    use serde::de::{DeserializeOwned, IgnoredAny};

    use crate::codec::{CodecError, Frame};
    use crate::message::{ClientMessage, Params};

    pub type Error = rmp_serde::decode::Error;

    /// Well-formed, but not what was expected.
    pub fn is_data(error: &Error) -> bool {
        matches!(error, rmp_serde::decode::Error::Syntax(_))
    }

    pub fn encode(message: &impl Serialize) -> Frame {
        Frame::Binary(
            rmp_serde::to_vec_named(message)
                .expect("messages are plain data, and writing to memory does not fail"),
        )
    }

    pub fn encode_client(message: &ClientMessage<Params>) -> Frame {
        encode(message)
    }

    /// The same value as JSON.
    pub fn to_json(bytes: &[u8]) -> Result<String, Error> {
        let value: serde_json::Value = rmp_serde::from_slice(bytes)?;
        Ok(value.to_string())
    }

    /// The first thing that is wrong need not be the worst: what is no MessagePack at all is reported as that.
    pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
        rmp_serde::from_slice(bytes).map_err(|error| {
            let malformed = rmp_serde::from_slice::<IgnoredAny>(bytes).err();
            malformed.unwrap_or(error).into()
        })
    }
}

#[cfg(not(feature = "msgpack"))]
mod left_out {
    use serde::Serialize;
    use serde::de::DeserializeOwned;

    use crate::codec::{CodecError, Frame, text_of};
    use crate::message::{ClientMessage, Params};

    /// Never made.
    #[derive(Debug, thiserror::Error)]
    pub enum Error {}

    pub fn is_data(error: &Error) -> bool {
        match *error {}
    }

    /// Text, which every server reads.
    pub fn encode(message: &impl Serialize) -> Frame {
        Frame::json(message)
    }

    /// Text, which every server reads.
    pub fn encode_client(message: &ClientMessage<Params>) -> Frame {
        Frame::Text(text_of(message))
    }

    pub fn decode<T: DeserializeOwned>(_: &[u8]) -> Result<T, CodecError> {
        Err(CodecError::UnsupportedData)
    }

    /// Nothing, which is no message.
    pub fn to_json(_: &[u8]) -> Result<String, Error> {
        Ok(String::new())
    }
}
