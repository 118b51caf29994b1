//! What the server sends, as a client reads it. The server writes messages with rows through `codec` without going
//! through these types.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{BatchControl, Protocol, Row};
use crate::error::ServerError;
use crate::http::{SqlResponse, Status};
use crate::ids::{Role, SeqId, SubscriptionId, UserId};
use crate::json_text::JsonText;
use crate::value::{DataType, Field};

/// A message from the server. Read by [`decode_server`](crate::codec::decode_server).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerMessage {
    AuthSuccess {
        user_id: UserId,
        /// The same as `user_id`.
        user: UserId,
        role: Role,
        protocol: Protocol,
    },
    /// The server closes the socket after it.
    AuthError {
        message: String,
    },
    /// The token ends soon: send `authenticate` again.
    AuthExpiring {
        /// RFC 3339.
        expires_at: String,
    },
    SubscriptionAck(SubscriptionAck),
    InitialDataBatch {
        subscription_id: SubscriptionId,
        rows: Vec<Row>,
        batch_control: BatchControl,
    },
    Change(Change),
    /// Everything received for the subscription is void; an acknowledgement and a load follow.
    Resync {
        subscription_id: SubscriptionId,
        reason: ResyncReason,
    },
    /// Ends the subscription, if there is one of that id.
    Error {
        /// `subscribe`, `protocol` or `rate_limit` where no subscription is meant.
        subscription_id: SubscriptionId,
        code: LiveErrorCode,
        message: String,
    },
    Pong,
    /// Servers write it as a [`QueryResult`].
    #[serde(skip_serializing)]
    QueryResult(QueryReply),
}

/// A subscription began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionAck {
    pub subscription_id: SubscriptionId,
    /// 0: not counted.
    pub total_rows: u64,
    pub batch_control: BatchControl,
    /// The selected columns.
    pub schema: Vec<Field>,
    /// Columns that identify a row; they are in every row, selected or not. Empty: rows are told apart by `_seq`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<KeyField>,
    /// The order of the rows, before that of the key. These columns are in every row too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub order_by: Vec<OrderBy>,
    /// Rows of the window that the server keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Of a STREAM table: a row ends this long after the time in its `_seq`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_ms: Option<u64>,
    /// Milliseconds since 1970 on the server's clock; absent from first-generation servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_time_ms: Option<u64>,
}

/// One column of a table's primary key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyField {
    pub name: String,
    pub data_type: DataType,
}

/// One term of ORDER BY.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderBy {
    pub column: String,
    pub data_type: DataType,
    pub descending: bool,
    pub nulls_first: bool,
}

/// One changed row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    pub subscription_id: SubscriptionId,
    pub change_type: ChangeType,
    /// The new row, whole, of an insert or update.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<Vec<Row>>,
    /// Of an update the old row, whole. Of a delete at least the key, and `_seq` of the delete itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_values: Option<Vec<Row>>,
    /// Position of the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<SeqId>,
    /// `_seq` of the row that was removed: finds it in STREAM tables, where a key may stand in several rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_seq: Option<SeqId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<ChangeReason>,
}

/// What the receiver does with a change. Insert and update both put the row in the place of one with the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeType {
    Insert,
    Update,
    Delete,
}

/// Why a change has another type than the statement that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeReason {
    LeftFilter,
    EnteredFilter,
    LeftWindow,
    EnteredWindow,
    #[serde(other)]
    Unknown,
}

/// Why a subscription begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResyncReason {
    /// ALTER TABLE.
    SchemaChanged,
    /// The resume point is older than what the server keeps of deleted rows.
    BelowResumeFloor,
    /// The resume point is newer than anything that the server has.
    AheadOfServer,
    /// A load without seq order was interrupted.
    LoadInterrupted,
    /// A window cannot be resumed.
    WindowReloaded,
    #[serde(other)]
    Unknown,
}

/// Answer to a `query`, unread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryReply {
    pub id: String,
    /// The whole message.
    pub text: JsonText,
}

/// Answer to a `query`: the HTTP envelope and its id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueryResult<Rows = Vec<Vec<Json>>> {
    pub id: String,
    pub status: Status,
    pub results: Vec<crate::http::QueryResult<Rows>>,
    /// Milliseconds.
    pub took: f64,
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    pub error: Option<ServerError>,
}

impl<Rows> QueryResult<Rows> {
    #[must_use]
    pub fn new(id: String, response: SqlResponse<Rows>) -> Self {
        Self {
            id,
            status: response.status,
            results: response.results,
            took: response.took,
            error: response.error,
        }
    }

    /// The envelope without the id.
    #[must_use]
    pub fn into_response(self) -> SqlResponse<Rows> {
        SqlResponse {
            status: self.status,
            results: self.results,
            took: self.took,
            error: self.error,
        }
    }
}

macro_rules! live_error_codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $text:literal,)+) => {
        /// Why a subscription or a message was refused. The strings never change.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum LiveErrorCode {
            $($(#[doc = $doc])+ #[serde(rename = $text)] $variant,)+
            /// From a newer server.
            #[serde(other)]
            Unknown,
        }

        impl LiveErrorCode {
            /// Every code that this version sends.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The code of that string.
            #[must_use]
            pub fn of(text: &str) -> Self {
                let mut all = Self::ALL.iter().copied();
                all.find(|code| code.as_str() == text).unwrap_or(Self::Unknown)
            }

            /// The string on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Unknown => "UNKNOWN",
                }
            }
        }
    };
}

live_error_codes! {
    /// Ended by KILL LIVE QUERY.
    SubscriptionKilled = "SUBSCRIPTION_KILLED",
    /// A message other than `authenticate` came first.
    AuthRequired = "AUTH_REQUIRED",
    /// The id is empty or too long.
    InvalidSubscriptionId = "INVALID_SUBSCRIPTION_ID",
    /// The socket has as many subscriptions as it may.
    SubscriptionLimitExceeded = "SUBSCRIPTION_LIMIT_EXCEEDED",
    /// The right to the table was lost.
    Unauthorized = "UNAUTHORIZED",
    /// The table does not exist, or the caller may not see it.
    NotFound = "NOT_FOUND",
    /// The SQL is not one that can be kept live; the message names what.
    InvalidSql = "INVALID_SQL",
    /// A statement or clause that exists in the language but not in this server.
    Unsupported = "UNSUPPORTED",
    /// The subscription cannot go on; subscribe again.
    SubscriptionFailed = "SUBSCRIPTION_FAILED",
    /// The message is larger than the limit.
    MessageTooLarge = "MESSAGE_TOO_LARGE",
    /// Too many messages.
    RateLimitExceeded = "RATE_LIMIT_EXCEEDED",
    /// A binary message without MessagePack negotiated.
    UnsupportedData = "UNSUPPORTED_DATA",
    /// The message is not one of the protocol.
    Protocol = "PROTOCOL",
}
