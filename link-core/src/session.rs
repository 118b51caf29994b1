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

mod input;
mod options;
mod output;

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
use crate::time::Millis;

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
    outputs: VecDeque<Output>,
    link: LinkState,
}

impl Session {
    /// `seed` decides the delays between tries: take it from a random source, so that many clients which lost the same
    /// server do not come back at once.
    #[must_use]
    pub fn new(options: SessionOptions, seed: u64) -> Self {
        let _ = seed;
        Self {
            options,
            outputs: VecDeque::new(),
            link: LinkState::Offline,
        }
    }

    /// Feeds one event. Drain [`poll_output`](Self::poll_output) until `Wait` before the next call.
    pub fn handle_input(&mut self, input: Input, now: Millis) {
        let _ = (input, now, &self.options);
    }

    /// The next thing to do. `Wait` means there is nothing else.
    pub fn poll_output(&mut self, now: Millis) -> Output {
        let _ = now;
        self.outputs.pop_front().unwrap_or(Output::Wait(None))
    }

    #[must_use]
    pub fn state(&self) -> LinkState {
        self.link
    }

    /// Rows of a subscription with [`Delivery::Rows`]; after it ended, its last ones until `Unsubscribe`.
    #[must_use]
    pub fn rows(&self, id: &SubscriptionId) -> Option<&LiveRows> {
        let _ = id;
        None
    }
}
