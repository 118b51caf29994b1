//! One logical connection that survives reconnects: authentication, subscriptions, queries, heartbeat and backoff.
//!
//! A driver owns sockets, timers and credentials and makes no decisions. It feeds one [`Input`] and then drains
//! [`Session::poll_output`] until [`Output::Wait`]:
//!
//! ```text
//! session.handle_input(input, now);
//! loop {
//!     match session.poll_output(now) {
//!         Output::Wait(deadline) => break,   // sleep until the deadline or the next event
//!         output => perform(output),
//!     }
//! }
//! ```
//!
//! The states, their transitions and what a connection may rely on are described in `docs/api/websocket.md`.

mod backoff;
mod heartbeat;
mod input;
mod link;
mod live;
mod messages;
mod options;
mod output;
mod queries;
mod wire_names;

use std::collections::VecDeque;

pub use input::{
    CredentialsFailure, Delivery, Input, NetworkHint, QueryId, SocketQuery, Subscribe,
};
pub use options::{AuthenticateBy, BackoffOptions, FEATURES, HeartbeatOptions, SessionOptions};
pub use output::{
    CredentialsReason, Dial, DisconnectReason, Load, Output, QueryError, SessionError,
    SessionEvent, SubscriptionError, SubscriptionEvent,
};

use crate::ids::SubscriptionId;
use crate::live_rows::LiveRows;
use crate::sorted::SortedMap;
use crate::subscription::Subscription;
use crate::time::Millis;
use backoff::Backoff;
use link::{Link, LinkMemory};
use queries::Queries;
use wire_names::WireNames;

/// Subscriptions of one session, ended ones with rows included.
pub const SUBSCRIPTIONS_MAX: usize = 1_000;

/// Queries of one session that have no answer yet.
pub const QUERIES_MAX: usize = 1_000;

/// Longest id of a subscription; the session may add to it on the wire.
pub const NAME_BYTES_MAX: usize = 200;

/// Longest message that a session sends: what the server takes by default.
pub const MESSAGE_BYTES_MAX: usize = 1_000_000;

/// Close code with which the server ends a connection whose token has ended.
pub const CLOSE_EXPIRED: u16 = 4401;

/// Which socket: rises with each dial, so that nothing from an older one is taken for the newer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// Where the link stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinkState {
    /// Not started, or disconnected by the application.
    Offline,
    /// Waiting for credentials.
    Asking,
    /// Waiting for a socket.
    Opening,
    /// Waiting for the server to accept the credentials.
    Authenticating,
    Ready,
    /// Waiting before the next try.
    Backoff,
    /// Failed.
    Closed,
}

/// A client's side of the protocol.
#[derive(Debug)]
pub struct Session {
    options: SessionOptions,
    link: Link,
    memory: LinkMemory,
    subscriptions: SortedMap<SubscriptionId, Subscription>,
    wire_names: WireNames,
    queries: Queries,
    /// What one input leads to. Bounded, since the driver drains it before the next.
    outputs: VecDeque<Output>,
}

impl Session {
    /// `seed` decides the delays between tries: take it from a random source, so that many clients which lost the same
    /// server do not come back at once.
    #[must_use]
    pub fn new(options: SessionOptions, seed: u64) -> Self {
        Self {
            memory: LinkMemory::new(Backoff::new(options.backoff, seed)),
            options,
            link: Link::Offline,
            subscriptions: SortedMap::default(),
            wire_names: WireNames::default(),
            queries: Queries::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Feeds one event. Drain [`poll_output`](Self::poll_output) until `Wait` before the next call.
    pub fn handle_input(&mut self, input: Input, now: Millis) {
        match input {
            Input::Connect => self.connect(),
            Input::Disconnect => self.disconnect(now),
            Input::Opened { connection } if self.is_current(connection) => self.opened(now),
            Input::Failed {
                connection,
                status,
                message,
            } if self.is_current(connection) => self.failed(status, message, now),
            Input::Closed {
                connection,
                code,
                reason,
            } if self.is_current(connection) => self.closed(code, reason, now),
            Input::Frame { connection, frame } if self.is_current(connection) => {
                self.frame(&frame, now);
            }
            // From a socket that the session has done with.
            Input::Opened { .. }
            | Input::Failed { .. }
            | Input::Closed { .. }
            | Input::Frame { .. } => {}
            Input::Timer => {
                self.expire_rows(now);
                self.timer(now);
            }
            Input::Credentials(credentials) => self.credentials(credentials, now),
            Input::CredentialsFailed { failure, message } => {
                self.credentials_failed(failure, message, now);
            }
            Input::Subscribe(request) => self.subscribe(request),
            Input::Unsubscribe { id } => self.unsubscribe(&id),
            Input::Pause { id } => self.pause(&id),
            Input::Resume { id } => self.unpause(&id),
            Input::Query(query) => self.query(query),
            Input::CancelQuery { id } => self.queries.cancel(id),
            Input::Network(hint) => self.network(hint, now),
        }
    }

    /// Changes how a lost connection is sought again. A wait that has begun stays as long as it is.
    pub fn set_backoff(&mut self, options: BackoffOptions) {
        self.options.backoff = options;
        self.memory.backoff.set_options(options);
    }

    /// The next thing to do. `Wait` means there is nothing else.
    pub fn poll_output(&mut self, now: Millis) -> Output {
        self.outputs
            .pop_front()
            .unwrap_or_else(|| Output::Wait(self.deadline().map(|deadline| deadline.max(now))))
    }

    fn deadline(&self) -> Option<Millis> {
        let expiries = self
            .subscriptions
            .values()
            .filter_map(Subscription::next_expiry);
        self.link.deadline().into_iter().chain(expiries).min()
    }

    #[must_use]
    pub fn state(&self) -> LinkState {
        self.link.state()
    }

    /// Rows of a subscription with [`Delivery::Rows`]; after it ended, its last ones until `Unsubscribe`.
    #[must_use]
    pub fn rows(&self, id: &SubscriptionId) -> Option<&LiveRows> {
        self.subscriptions.get(id)?.rows()
    }

    /// Whether `connection` is the socket in use.
    fn is_current(&self, connection: ConnectionId) -> bool {
        self.memory.connection == connection && self.link.has_socket()
    }

    fn event(&mut self, event: SessionEvent) {
        self.outputs.push_back(Output::Event(event));
    }
}

#[cfg(test)]
mod tests;
