//! What a client sends.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::Protocol;
use crate::ids::{SeqId, SubscriptionId};

/// A message from a client. `P` is how parameters are held: cells for the server, text for a client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientMessage<P = Vec<Json>> {
    /// The first message, unless the upgrade carried a token; later, a newer token for the same account.
    Authenticate(Authenticate),
    Subscribe {
        subscription: SubscriptionRequest<P>,
    },
    /// Asks for the next batch of a load.
    NextBatch {
        subscription_id: SubscriptionId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last_seq_id: Option<SeqId>,
    },
    Unsubscribe {
        subscription_id: SubscriptionId,
    },
    /// Answered by `pong` if the client named that feature.
    Ping,
    /// SQL over the open socket, answered by `query_result`.
    Query(Query<P>),
}

/// Who the client is and how it wants to talk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authenticate {
    #[serde(flatten)]
    pub credentials: Credentials,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
}

/// Proof of who the client is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "lowercase")]
pub enum Credentials {
    Jwt { token: String },
    Basic { username: String, password: String },
}

impl std::fmt::Debug for Credentials {
    /// Without secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Jwt { .. } => f.write_str("Jwt"),
            Self::Basic { username, .. } => write!(f, "Basic({username})"),
        }
    }
}

/// A live query to begin. An id that is in use is replaced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubscriptionRequest<P = Vec<Json>> {
    pub id: SubscriptionId,
    pub sql: String,
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    pub params: Option<P>,
    /// Absent: no initial rows for a client that negotiated a protocol without features, all rows for every other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<SubscribeOptions>,
}

/// Which rows come first. `from` wins over `last_rows`, which wins over all rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscribeOptions {
    /// Rows a batch; the server has a default and a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<u32>,
    /// Only the newest rows; 0 for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_rows: Option<u64>,
    /// Resume: only what changed after this seq.
    #[serde(
        default,
        alias = "from_seq_id",
        skip_serializing_if = "Option::is_none"
    )]
    pub from: Option<SeqId>,
}

/// SQL over the socket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Query<P = Vec<Json>> {
    /// Chosen by the client; stands in the answer.
    pub id: String,
    pub sql: String,
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    pub params: Option<P>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_id: Option<String>,
    /// A repeated write with the same id returns the first answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}
