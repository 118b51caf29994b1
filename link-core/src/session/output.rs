//! What a session tells its driver.

use super::{ConnectionId, QueryId};
use crate::codec::Frame;
use crate::ids::{Role, SubscriptionId, UserId};
use crate::json_text::JsonText;
use crate::message::{
    BatchControl, Change, LiveErrorCode, Protocol, ResyncReason, Row, SubscriptionAck,
};
use crate::time::Millis;

/// What the driver should do.
#[derive(Clone, PartialEq)]
pub enum Output {
    /// Open a socket; answer with `Opened` or `Failed`. No other socket is wanted any more.
    Dial(Dial),
    Send {
        connection: ConnectionId,
        frame: Frame,
    },
    /// Close the socket, or give up opening it. The session has done with it: what still comes from it is ignored.
    Close {
        connection: ConnectionId,
        /// One that browsers allow: 1000 or 4000 and above.
        code: u16,
        reason: &'static str,
    },
    /// Answer with `Credentials` or `CredentialsFailed`, when it suits.
    NeedCredentials(CredentialsReason),
    Event(SessionEvent),
    /// Nothing more to do until something happens or, at the latest, this moment: then feed `Timer`.
    Wait(Option<Millis>),
}

impl std::fmt::Debug for Output {
    /// Without what is sent: it may hold credentials.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Dial(dial) => dial.fmt(f),
            Self::Send { connection, frame } => f
                .debug_struct("Send")
                .field("connection", connection)
                .field("bytes", &frame.as_bytes().len())
                .finish(),
            Self::Close {
                connection,
                code,
                reason,
            } => f
                .debug_struct("Close")
                .field("connection", connection)
                .field("code", code)
                .field("reason", reason)
                .finish(),
            Self::NeedCredentials(reason) => {
                f.debug_tuple("NeedCredentials").field(reason).finish()
            }
            Self::Event(event) => f.debug_tuple("Event").field(event).finish(),
            Self::Wait(deadline) => f.debug_tuple("Wait").field(deadline).finish(),
        }
    }
}

/// A socket to open.
#[derive(Clone, PartialEq, Eq)]
pub struct Dial {
    pub connection: ConnectionId,
    /// With the query that the upgrade needs.
    pub url: String,
    /// For the header `Authorization: Bearer …`.
    pub bearer: Option<String>,
    /// Failures in a row so far.
    pub attempt: u32,
}

impl std::fmt::Debug for Dial {
    /// Without the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dial")
            .field("connection", &self.connection)
            .field("url", &self.url)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

/// Why credentials are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialsReason {
    /// To connect: those at hand will do, unless they are about to end.
    Connect,
    /// Those in use are about to end, or have ended: fetch fresh ones.
    Expiring,
    /// The server refused the last ones: fetch fresh ones. If these are refused too, the session fails.
    Refused,
}

/// What the application should know.
#[derive(Clone, Debug, PartialEq)]
pub enum SessionEvent {
    Connected {
        user: UserId,
        role: Role,
        protocol: Protocol,
    },
    /// The connection was lost or could not be made. Another try follows, except after `Disconnect`.
    Disconnected {
        reason: DisconnectReason,
        /// When the next try is due.
        retry_at: Option<Millis>,
    },
    /// The session does not try any more, until `Connect`.
    Failed(SessionError),
    Subscription {
        id: SubscriptionId,
        event: SubscriptionEvent,
    },
    Query {
        id: QueryId,
        /// The message as it came: an [`SqlResponse`](crate::http::SqlResponse) with an id.
        outcome: Result<JsonText, QueryError>,
    },
    /// The server refused a message that belongs to no subscription.
    ServerRefused {
        code: LiveErrorCode,
        message: String,
    },
}

/// What happened to a live query. [`LiveRows::apply`](crate::live_rows::LiveRows::apply) takes all of them.
#[derive(Clone, Debug, PartialEq)]
pub enum SubscriptionEvent {
    /// A load begins.
    Acknowledged { ack: SubscriptionAck, load: Load },
    /// Rows of a load (`Delivery::Events`).
    Batch {
        rows: Vec<Row>,
        control: BatchControl,
    },
    /// The load is complete.
    Live,
    /// `Delivery::Events`. During a resumed load too: the rows that were deleted meanwhile.
    Change(Change),
    /// The server begins anew; what was received stands until the next load is complete.
    Resync { reason: ResyncReason },
    /// The connection is gone; what was received stands.
    Offline,
    /// `Delivery::Rows`: rows or status are different from before.
    RowsChanged,
    /// The subscription is over.
    Ended(SubscriptionError),
}

/// What a load means for the rows received before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// They are void.
    Fresh,
    /// They stand; what changed since follows.
    Resumed,
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DisconnectReason {
    #[error("disconnected by the application")]
    Requested,
    #[error("could not connect: {message}")]
    Unreachable {
        status: Option<u16>,
        message: String,
    },
    #[error("connection closed{}: {reason}", code.map(|code| format!(" with code {code}")).unwrap_or_default())]
    Closed { code: Option<u16>, reason: String },
    #[error("the connection took too long to open")]
    OpenTimeout,
    #[error("the server did not answer the credentials")]
    AuthenticateTimeout,
    #[error("the server refused the credentials: {message}")]
    Refused { message: String },
    #[error("the credentials have ended")]
    Expired,
    #[error("there are no credentials: {message}")]
    NoCredentials { message: String },
    #[error("the server fell silent")]
    Silent,
    #[error("the server sent what is no message of the protocol: {message}")]
    Protocol { message: String },
    #[error("too many messages")]
    RateLimited,
}

/// Why a session failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// Twice in a row.
    #[error("the server refused the credentials: {message}")]
    CredentialsRefused { message: String },
    #[error("there are no credentials: {message}")]
    NoCredentials { message: String },
    #[error("gave up after {attempts} attempts: {last}")]
    AttemptsExhausted {
        attempts: u32,
        last: DisconnectReason,
    },
    #[error("no address to connect to")]
    NoAddress,
}

/// Why a subscription ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubscriptionError {
    #[error("{}: {message}", code.as_str())]
    Server {
        code: LiveErrorCode,
        message: String,
    },
    #[error("a session has at most {} subscriptions", super::SUBSCRIPTIONS_MAX)]
    TooMany,
    #[error("a subscription's id has 1 to {} bytes", super::NAME_BYTES_MAX)]
    InvalidId,
    #[error("the subscription is longer than {} bytes", super::MESSAGE_BYTES_MAX)]
    TooLarge,
}

impl SubscriptionError {
    /// Whether the same subscription may work later.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Server { code, .. } => matches!(
                code,
                LiveErrorCode::SubscriptionFailed
                    | LiveErrorCode::RateLimitExceeded
                    | LiveErrorCode::SubscriptionLimitExceeded
            ),
            Self::TooMany => true,
            Self::InvalidId | Self::TooLarge => false,
        }
    }
}

/// Why a query has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// It was sent and may have been executed. Give a `request_id` to have it sent again.
    #[error("the connection was lost before the answer")]
    Interrupted,
    /// It was not sent.
    #[error("the session was ended before the query was sent")]
    NotSent,
    #[error("a session has at most {} open queries", super::QUERIES_MAX)]
    TooMany,
    #[error("the query is longer than {} bytes", super::MESSAGE_BYTES_MAX)]
    TooLarge,
    /// It was executed.
    #[error("the rows of the answer are none: {0}")]
    Unreadable(String),
}

impl From<serde_json::Error> for QueryError {
    fn from(error: serde_json::Error) -> Self {
        Self::Unreadable(error.to_string())
    }
}
