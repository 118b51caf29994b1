//! The messages of the WebSocket, one variant each. Rows are objects keyed by column.
//!
//! What a peer does not know it ignores: unknown fields are skipped, and open lists (error codes, reasons, features) have
//! an `Unknown` that stands for what a newer peer says.

mod client;
mod params;
mod row;
mod server;

use serde::{Deserialize, Serialize};

pub use client::{
    Authenticate, ClientMessage, Credentials, Query, SubscribeOptions, SubscriptionRequest,
};
pub use params::Params;
pub(crate) use row::SEQ;
pub use row::{Row, RowObject};
pub use server::{
    Change, ChangeReason, ChangeType, KeyField, LiveErrorCode, OrderBy, QueryReply, QueryResult,
    ResyncReason, ServerMessage, SubscriptionAck,
};

use crate::ids::SeqId;

/// How messages are written after authentication.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Serialization {
    /// Text frames.
    #[default]
    Json,
    /// Binary frames of MessagePack maps.
    Msgpack,
}

impl Serialization {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Msgpack => "msgpack",
        }
    }
}

/// Whether the server may compress what it sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    #[default]
    None,
    /// Frames of 512 bytes and more, when that makes them smaller; always binary frames.
    Gzip,
}

impl Compression {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
        }
    }
}

/// What a client understands beyond the first generation. The server sends a new kind of message or field only to a
/// client that named its feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    /// `resync` messages. Without it the subscription ends with `SUBSCRIPTION_FAILED` instead.
    Resync,
    /// `auth_expiring` messages. Without it the socket outlives its token while the account is unchanged.
    AuthExpiring,
    /// `pong` messages.
    Pong,
    /// `seq`, `old_seq` and `reason` in `change`.
    Seq,
    /// Named by a newer client.
    #[serde(other)]
    Unknown,
}

impl Feature {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Resync => "resync",
            Self::AuthExpiring => "auth_expiring",
            Self::Pong => "pong",
            Self::Seq => "seq",
            Self::Unknown => "unknown",
        }
    }
}

/// How two peers talk: asked for by the client, confirmed in `auth_success`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protocol {
    #[serde(default)]
    pub serialization: Serialization,
    #[serde(default)]
    pub compression: Compression,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<Feature>,
}

impl Protocol {
    #[must_use]
    pub fn has(&self, feature: Feature) -> bool {
        self.features.contains(&feature)
    }
}

/// How far a load has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchStatus {
    /// The first batch, with more to come.
    Loading,
    /// A later batch, with more to come.
    LoadingBatch,
    /// The last batch; changes follow.
    Ready,
}

/// Where a batch stands in a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchControl {
    /// From 0.
    pub batch_num: u32,
    /// Whether the client should ask for another batch.
    pub has_more: bool,
    pub status: BatchStatus,
    /// Everything up to here has been sent. Of the last batch: the seq of the snapshot. None where that is not known:
    /// in the acknowledgement of a load, and in rows that are not in seq order.
    pub last_seq_id: Option<SeqId>,
}

impl BatchControl {
    /// The status follows from the position and from whether there is more.
    #[must_use]
    pub const fn new(batch_num: u32, has_more: bool, last_seq_id: Option<SeqId>) -> Self {
        Self {
            batch_num,
            has_more,
            status: match (has_more, batch_num) {
                (false, _) => BatchStatus::Ready,
                (true, 0) => BatchStatus::Loading,
                (true, _) => BatchStatus::LoadingBatch,
            },
            last_seq_id,
        }
    }
}
