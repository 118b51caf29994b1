//! What a driver tells a session.

use super::ConnectionId;
use crate::codec::Frame;
use crate::ids::SubscriptionId;
use crate::message::{Credentials, Params, SubscribeOptions};

/// One event from outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Begins, or begins again after [`Input::Disconnect`] or a failure. Subscriptions go on where they were.
    Connect,
    /// Closes the socket and stays away until [`Input::Connect`]. Subscriptions are kept; queries fail.
    Disconnect,
    /// A socket that was asked for by [`Output::Dial`](super::Output::Dial) is open.
    Opened {
        connection: ConnectionId,
    },
    /// A socket could not be opened.
    Failed {
        connection: ConnectionId,
        /// Of the HTTP answer, if there was one instead of an upgrade: 401 means the token was refused.
        status: Option<u16>,
        message: String,
    },
    /// An open socket is closed, by whomever and for whatever reason.
    Closed {
        connection: ConnectionId,
        /// Of the close frame, if there was one.
        code: Option<u16>,
        reason: String,
    },
    /// A frame arrived. If [`is_gzip`](crate::codec::is_gzip) says so, inflate it first.
    Frame {
        connection: ConnectionId,
        frame: Frame,
    },
    /// The deadline of [`Output::Wait`](super::Output::Wait) is reached. Harmless at any other time.
    Timer,
    /// Answers [`Output::NeedCredentials`](super::Output::NeedCredentials).
    Credentials(Credentials),
    /// Answers [`Output::NeedCredentials`](super::Output::NeedCredentials).
    CredentialsFailed {
        failure: CredentialsFailure,
        message: String,
    },
    /// Begins a live query, in any state of the link. An id in use is replaced.
    Subscribe(Subscribe),
    /// Ends a live query and forgets it; nothing comes for the id after that.
    Unsubscribe {
        id: SubscriptionId,
    },
    /// No more batches of a load are to be asked for until [`Input::Resume`]: the application is behind.
    Pause {
        id: SubscriptionId,
    },
    Resume {
        id: SubscriptionId,
    },
    /// SQL over the socket, in any state of the link.
    Query(SocketQuery),
    /// The answer is no longer wanted. What was sent may still be executed.
    CancelQuery {
        id: QueryId,
    },
    /// What the platform knows about the network.
    Network(NetworkHint),
}

/// A live query to begin.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscribe {
    /// The application's name for it, 1 to [`NAME_BYTES_MAX`](super::NAME_BYTES_MAX) bytes.
    pub id: SubscriptionId,
    pub sql: String,
    pub params: Option<Params>,
    /// Of the first load; a reconnect goes on after it.
    pub options: SubscribeOptions,
    pub delivery: Delivery,
}

impl Subscribe {
    /// All rows, then every change, as events.
    pub fn new(id: impl AsRef<str>, sql: impl Into<String>) -> Self {
        Self {
            id: SubscriptionId::new(id),
            sql: sql.into(),
            params: None,
            options: SubscribeOptions::default(),
            delivery: Delivery::Events,
        }
    }
}

/// In which form the application wants a live query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// Each batch and change as an event. [`LiveRows`](crate::live_rows::LiveRows) makes rows of them anywhere.
    #[default]
    Events,
    /// The session keeps the rows, [`Session::rows`](super::Session::rows), and says when they changed.
    Rows,
}

/// The driver's number for a query, not used twice while one is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryId(pub u64);

/// SQL to execute over the socket.
#[derive(Clone, Debug, PartialEq)]
pub struct SocketQuery {
    pub id: QueryId,
    pub sql: String,
    pub params: Option<Params>,
    pub namespace: Option<String>,
    /// Makes a write repeatable, so that a lost connection does not end the query: it is sent again.
    pub request_id: Option<String>,
}

/// What the platform says about the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkHint {
    /// There is a network again: try at once.
    Online,
    /// There is none: find out whether the connection lives. Not believed, since the server may be on this machine.
    Offline,
    /// The application came back to the foreground, where timers run again: as `Online`.
    Visible,
}

/// Why there are no credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialsFailure {
    /// Worth another try: no network, the login is busy.
    Temporary,
    /// The session cannot go on: the refresh token has ended, the user said no.
    Permanent,
}
