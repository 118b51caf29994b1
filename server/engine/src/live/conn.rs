//! One connection, seen from the server, as a state machine without I/O: what its peer says, what its subscriptions are
//! told, and what happens when time passes go in; frames to send and work to do come out.
//!
//! The driver feeds one input, then drains [`Conn::poll_output`] in order: an output is done before the next is asked
//! for, so that a slow socket holds back the reading of further rows (I7).

mod auth;
mod subscription;

use std::collections::VecDeque;
use std::sync::Arc;

use kalam_link_core::codec::{CodecError, Frame};
use kalam_link_core::message::{
    ClientMessage, Compression, Credentials, Feature, LiveErrorCode, Protocol, Query,
    Serialization, ServerMessage,
};
use kalam_link_core::{SubscriptionId, UserId};
use kalam_model::{Caller, Timestamp};

use super::Live;
use super::job::{Client, LoadJob, Loaded};
use super::queue::{Bounds, ConnQueue, Event, Peer, Slot};
use auth::Access;
pub use auth::Identity;
use subscription::Subscriptions;

/// What an error stands for that is about no subscription.
const ABOUT_SUBSCRIBE: &str = "subscribe";
const ABOUT_PROTOCOL: &str = "protocol";
const ABOUT_RATE: &str = "rate_limit";

/// Close codes of RFC 6455, and one of our own.
mod close {
    pub(super) const PROTOCOL: u16 = 1_002;
    pub(super) const POLICY: u16 = 1_008;
    pub(super) const TOO_LARGE: u16 = 1_009;
    /// The token has ended or its account has changed: authenticate again.
    pub(super) const UNAUTHENTICATED: u16 = 4_401;
}

/// Bounds of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnOptions {
    /// Time to authenticate in.
    pub auth_timeout_ms: u64,
    /// Subscriptions at the same time.
    pub subscriptions_max: usize,
    /// Messages that the peer may send in a second.
    pub messages_per_second: Option<u32>,
    /// Silence after which the peer is pinged.
    pub ping_after_ms: u64,
    /// Silence after a ping, after which the connection ends.
    pub ping_timeout_ms: u64,
    /// How long a load waits for its client before it gives its snapshot back.
    pub load_timeout_ms: u64,
    /// Rows of a batch, if the client does not say.
    pub batch_rows: u32,
    /// Changes that may wait for the connection, and for each subscription that is not live yet.
    pub waiting: Bounds,
}

impl Default for ConnOptions {
    fn default() -> Self {
        Self {
            auth_timeout_ms: 3_000,
            subscriptions_max: 100,
            messages_per_second: None,
            ping_after_ms: 30_000,
            ping_timeout_ms: 10_000,
            load_timeout_ms: 30_000,
            batch_rows: 1_000,
            waiting: Bounds::default(),
        }
    }
}

/// What the driver is to do.
pub enum Output {
    /// Send a message.
    Send(Frame),
    /// Send a message as it is, never compressed: the peer does not know what was agreed on yet.
    SendPlain(Frame),
    /// Find out who that is; answer with [`Conn::authenticated`] or [`Conn::auth_refused`].
    Authenticate(Credentials),
    /// Look the account up again; answer with [`Conn::rechecked`].
    Recheck(UserId),
    /// Run it on a thread that may block; answer with [`Conn::loaded`].
    Load(LoadJob),
    /// Run it as [`Conn::caller`]; answer with [`Conn::send`].
    Query(Query),
    /// Send a ping frame.
    Ping,
    /// Close the connection. Nothing comes after it.
    Close { code: u16, reason: String },
}

/// The server's side of a connection. Everything that it has ends when it is dropped.
pub struct Conn {
    live: Arc<Live>,
    number: u64,
    queue: Arc<ConnQueue>,
    options: Arc<ConnOptions>,
    access: Access,
    protocol: Protocol,
    /// Whether the client asked for a protocol at all.
    negotiated: bool,
    subscriptions: Subscriptions,
    output: VecDeque<Output>,
    heard_at: Timestamp,
    pinged_at: Option<Timestamp>,
    /// Messages since the second began.
    messages: (Timestamp, u32),
}

impl Drop for Conn {
    fn drop(&mut self) {
        self.live.hub.disconnect(self.number);
    }
}

impl Conn {
    pub(crate) fn new(
        live: Arc<Live>,
        peer: Peer,
        options: Arc<ConnOptions>,
        now: Timestamp,
    ) -> Self {
        let queue = Arc::new(ConnQueue::new(options.waiting, now));
        let number = live.hub.connect(&queue, peer, now);
        Self {
            access: Access::Awaited {
                until: now.plus_ms(options.auth_timeout_ms),
            },
            live,
            number,
            queue,
            options,
            protocol: Protocol::default(),
            negotiated: false,
            subscriptions: Subscriptions::default(),
            output: VecDeque::new(),
            heard_at: now,
            pinged_at: None,
            messages: (now, 0),
        }
    }

    /// Where events come from. Call [`take_events`](Self::take_events) when it notifies.
    #[must_use]
    pub fn queue(&self) -> &Arc<ConnQueue> {
        &self.queue
    }

    /// Who is connected.
    #[must_use]
    pub fn caller(&self) -> Option<&Caller> {
        self.access.caller()
    }

    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        self.caller().is_some()
    }

    /// How messages are read and written from here on.
    #[must_use]
    pub fn serialization(&self) -> Serialization {
        self.protocol.serialization
    }

    #[must_use]
    pub fn compression(&self) -> Compression {
        self.protocol.compression
    }

    /// What to do next. Nothing comes after [`Output::Close`].
    pub fn poll_output(&mut self) -> Option<Output> {
        let output = self.output.pop_front();
        if self.output.is_empty() {
            self.output = VecDeque::new();
        }
        output
    }

    /// A frame came, of whatever kind.
    pub fn heard(&mut self, now: Timestamp) {
        self.heard_at = now;
        self.pinged_at = None;
        self.queue.heard(now);
    }

    /// A message came.
    pub fn handle_message(&mut self, message: ClientMessage, now: Timestamp) {
        if self.access.is_closed() {
            return;
        }
        if !self.is_authenticated() && !matches!(message, ClientMessage::Authenticate(_)) {
            // While credentials are checked, a client may go ahead.
            if !self.access.hold_back(message) {
                self.error(
                    ABOUT_PROTOCOL,
                    LiveErrorCode::AuthRequired,
                    "authenticate first",
                );
                self.close(close::POLICY, "authenticate first");
            }
            return;
        }
        if !self.may_speak(now) {
            self.error(
                ABOUT_RATE,
                LiveErrorCode::RateLimitExceeded,
                "too many messages a second",
            );
            return;
        }
        self.dispatch(message, now);
    }

    fn dispatch(&mut self, message: ClientMessage, now: Timestamp) {
        match message {
            ClientMessage::Authenticate(authenticate) => self.authenticate(authenticate),
            ClientMessage::Subscribe { subscription } => self.subscribe(subscription, now),
            ClientMessage::NextBatch {
                subscription_id, ..
            } => self.next_batch(&subscription_id, now),
            ClientMessage::Unsubscribe { subscription_id } => {
                self.subscriptions.remove_id(&subscription_id);
            }
            ClientMessage::Ping => {
                if self.protocol.has(Feature::Pong) {
                    self.message(&ServerMessage::Pong);
                }
            }
            ClientMessage::Query(query) => self.output.push_back(Output::Query(query)),
        }
    }

    fn may_speak(&mut self, now: Timestamp) -> bool {
        const SECOND_MS: u64 = 1_000;
        let Some(limit) = self.options.messages_per_second else {
            return true;
        };
        let (since, count) = &mut self.messages;
        if now.unix_ms().saturating_sub(since.unix_ms()) >= SECOND_MS {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        *count <= limit
    }

    /// A frame came that is no message.
    pub fn handle_bad_message(&mut self, error: &CodecError) {
        if self.access.is_closed() {
            return;
        }
        match error {
            CodecError::UnsupportedData if self.is_authenticated() => self.error(
                ABOUT_PROTOCOL,
                LiveErrorCode::UnsupportedData,
                &error.to_string(),
            ),
            error if error.is_unknown_message() && self.is_authenticated() => {
                self.error(ABOUT_PROTOCOL, LiveErrorCode::Protocol, &error.to_string());
            }
            _ => {
                self.error(ABOUT_PROTOCOL, LiveErrorCode::Protocol, &error.to_string());
                self.close(close::PROTOCOL, "not a message of the protocol");
            }
        }
    }

    /// A message came that is larger than allowed.
    pub fn handle_oversized(&mut self) {
        if self.access.is_closed() {
            return;
        }
        self.error(
            ABOUT_PROTOCOL,
            LiveErrorCode::MessageTooLarge,
            "the message is too large",
        );
        self.close(close::TOO_LARGE, "the message is too large");
    }

    /// Sends what the driver has made: the answer to a query.
    pub fn send(&mut self, frame: Frame) {
        if !self.access.is_closed() {
            self.output.push_back(Output::Send(frame));
        }
    }

    /// Something may be in the queue.
    pub fn take_events(&mut self, now: Timestamp) {
        if self.access.is_closed() {
            return;
        }
        for event in self.queue.take() {
            match event {
                Event::UserChanged => {
                    if let Some(caller) = self.access.caller() {
                        self.output.push_back(Output::Recheck(caller.user.clone()));
                    }
                }
                Event::Change { slot, change } => self.changed(slot, change, now),
                Event::Overflow { slot } => self.overflowed(slot, now),
                Event::TableChanged { slot } => self.table_changed(slot, now),
                Event::Killed { slot } => self.end(
                    slot,
                    LiveErrorCode::SubscriptionKilled,
                    "ended by KILL LIVE QUERY",
                ),
            }
        }
    }

    /// Time has passed.
    pub fn timer(&mut self, now: Timestamp) {
        if self.access.is_closed() {
            return;
        }
        self.auth_timer(now);
        self.silence_timer(now);
        self.subscription_timer(now);
    }

    /// Nobody is closed who was not pinged: after a pause of the whole machine, everybody was silent for long.
    fn silence_timer(&mut self, now: Timestamp) {
        let since_ms = |then: Timestamp| now.unix_ms().saturating_sub(then.unix_ms());
        match self.pinged_at {
            Some(pinged_at) if since_ms(pinged_at) >= self.options.ping_timeout_ms => {
                self.close(close::POLICY, "nothing heard from the peer");
            }
            None if since_ms(self.heard_at) >= self.options.ping_after_ms => {
                self.pinged_at = Some(now);
                self.output.push_back(Output::Ping);
            }
            _ => {}
        }
    }

    /// When to call [`timer`](Self::timer) next, if nothing else happens.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        if self.access.is_closed() {
            return None;
        }
        let silence = match self.pinged_at {
            Some(pinged_at) => pinged_at.plus_ms(self.options.ping_timeout_ms),
            None => self.heard_at.plus_ms(self.options.ping_after_ms),
        };
        [
            Some(silence),
            self.access.deadline(&self.protocol),
            self.subscriptions.deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn message(&mut self, message: &ServerMessage) {
        let frame = Frame::encode(message, self.protocol.serialization);
        self.output.push_back(Output::Send(frame));
    }

    fn error(&mut self, about: &str, code: LiveErrorCode, message: &str) {
        self.message(&ServerMessage::Error {
            subscription_id: SubscriptionId::new(about),
            code,
            message: message.to_owned(),
        });
    }

    /// The last output.
    fn close(&mut self, code: u16, reason: &str) {
        self.access = Access::Closed;
        self.subscriptions = Subscriptions::default();
        self.output.push_back(Output::Close {
            code,
            reason: reason.to_owned(),
        });
    }

    fn client(&self, caller: &Caller) -> Client {
        Client {
            connection: self.number,
            queue: Arc::clone(&self.queue),
            protocol: self.protocol.clone(),
            negotiated: self.negotiated,
            caller: caller.clone(),
            batch_rows: self.options.batch_rows,
        }
    }

    /// A job is done.
    pub fn loaded(&mut self, loaded: Loaded, now: Timestamp) {
        if !self.access.is_closed() {
            self.went(loaded, now);
        }
    }

    fn load(&mut self, slot: Slot, work: super::job::Work, now: Timestamp) {
        let Some(caller) = self.access.caller() else {
            return;
        };
        let job = LoadJob {
            live: Arc::clone(&self.live),
            client: self.client(caller),
            slot,
            work,
            now,
        };
        self.output.push_back(Output::Load(job));
    }
}
