//! What a session is told once, at its start.

use crate::message::{Compression, Feature, Protocol, Serialization};

/// What every session understands.
pub const FEATURES: [Feature; 4] = [
    Feature::Resync,
    Feature::AuthExpiring,
    Feature::Pong,
    Feature::Seq,
];

/// Settings of a [`Session`](super::Session).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionOptions {
    /// Where to dial, `ws://host:port/v1/ws`, tried in turn. At least one;
    /// [`websocket_url`](crate::http::websocket_url) makes one from the address of the HTTP API.
    pub urls: Vec<String>,
    pub serialization: Serialization,
    /// A driver that asks for gzip must inflate what it receives.
    pub compression: Compression,
    pub authenticate_by: AuthenticateBy,
    pub backoff: BackoffOptions,
    pub heartbeat: HeartbeatOptions,
    /// How long a socket may take to open.
    pub open_timeout_ms: u64,
    /// How long the server may take to answer the credentials.
    pub authenticate_timeout_ms: u64,
}

impl SessionOptions {
    /// Defaults for one server: JSON, uncompressed, credentials in the first message, no end of trying.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            urls: vec![url.into()],
            serialization: Serialization::Json,
            compression: Compression::None,
            authenticate_by: AuthenticateBy::Message,
            backoff: BackoffOptions::default(),
            heartbeat: HeartbeatOptions::default(),
            open_timeout_ms: 10_000,
            authenticate_timeout_ms: 10_000,
        }
    }

    /// What the session asks the server to speak.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        Protocol {
            serialization: self.serialization,
            compression: self.compression,
            features: FEATURES.to_vec(),
        }
    }
}

/// Where the credentials stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuthenticateBy {
    /// In the first message: works everywhere.
    #[default]
    Message,
    /// A token in the header of the upgrade: one round trip less, but browsers cannot set headers. Passwords go in the
    /// first message all the same.
    Upgrade,
}

/// How a lost connection is sought again: each delay is drawn between 0 and a bound that doubles up to a maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackoffOptions {
    /// Bound of the first delay.
    pub delay_first_ms: u64,
    /// Largest bound.
    pub delay_max_ms: u64,
    /// Failures in a row before the session fails; none: it never gives up.
    pub attempts_max: Option<u32>,
}

impl Default for BackoffOptions {
    fn default() -> Self {
        Self {
            delay_first_ms: 500,
            delay_max_ms: 30_000,
            attempts_max: None,
        }
    }
}

/// How a dead connection is found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeartbeatOptions {
    /// Silence after which the session asks whether the server is there.
    pub idle_ms: u64,
    /// How long the answer may take.
    pub answer_ms: u64,
}

impl Default for HeartbeatOptions {
    fn default() -> Self {
        Self {
            idle_ms: 20_000,
            answer_ms: 10_000,
        }
    }
}
