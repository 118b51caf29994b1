//! The states of the link and what leads from one to another. The table of `docs/api/websocket.md` is tested against
//! this file.

use super::backoff::Backoff;
use super::heartbeat::{Beat, Heartbeat};
use super::{
    AuthenticateBy, CLOSE_EXPIRED, ConnectionId, CredentialsFailure, CredentialsReason, Dial,
    DisconnectReason, LinkState, NetworkHint, Output, Session, SessionError, SessionEvent,
};
use crate::auth::Token;
use crate::codec::encode_client;
use crate::ids::{Role, UserId};
use crate::message::{
    Authenticate, ClientMessage, Credentials, Feature, Params, Protocol, Serialization,
};
use crate::subscription::SeqSupport;
use crate::time::Millis;

// A connection that held this long was a good one: the next failure is the first again.
const STABLE_MS: u64 = 5_000;

// The longest time between two renewals on one connection, or tries at one, whatever server and application do. A
// token that lives for less than twice as long is renewed after half of its life.
const RENEWAL_PAUSE_MS_MAX: u64 = 10_000;

// Credentials are refused once for being stale; the second time they are wrong.
const REFUSALS_MAX: u32 = 2;

const HTTP_UNAUTHORIZED: u16 = 401;

// Close codes that browsers allow.
const CLOSE_NORMAL: u16 = 1000;
const CLOSE_PROTOCOL: u16 = 4400;
const CLOSE_TIMEOUT: u16 = 4408;

/// What an `auth_error` says when the credentials came too late, which is no fault of theirs.
const LATE_CREDENTIALS: &str = "Authentication timeout";

#[derive(Debug)]
pub(super) enum Link {
    Offline,
    Asking,
    Opening {
        credentials: Credentials,
        until: Millis,
    },
    Authenticating {
        until: Millis,
    },
    Ready(Ready),
    Backoff {
        until: Millis,
        reason: CredentialsReason,
    },
    Closed,
}

/// An authenticated connection.
#[derive(Debug)]
pub(super) struct Ready {
    since: Millis,
    pub(super) serialization: Serialization,
    pub(super) seq: SeqSupport,
    pub(super) heartbeat: Heartbeat,
    renewal: Renewal,
}

/// Where newer credentials for an open connection are.
#[derive(Clone, Copy, Debug)]
enum Renewal {
    NotDue,
    /// The application was asked.
    Asked,
    /// To be asked for then.
    DueAt(Millis),
    /// Sent.
    Done {
        at: Millis,
    },
}

/// What outlives the states.
#[derive(Debug)]
pub(super) struct LinkMemory {
    pub(super) backoff: Backoff,
    /// Of the socket that is in use, or was last.
    pub(super) connection: ConnectionId,
    /// Which of the addresses is next.
    address: usize,
    /// Refused credentials in a row.
    refusals: u32,
    /// Between renewals of credentials like the last ones.
    renewal_pause_ms: u64,
}

impl LinkMemory {
    pub(super) fn new(backoff: Backoff) -> Self {
        Self {
            backoff,
            connection: ConnectionId(0),
            address: 0,
            refusals: 0,
            renewal_pause_ms: RENEWAL_PAUSE_MS_MAX,
        }
    }
}

fn renewal_pause_ms(credentials: &Credentials) -> u64 {
    let life_ms = match credentials {
        Credentials::Jwt { token } => Token::new(token.as_str()).life_ms(),
        Credentials::Basic { .. } => None,
    };
    life_ms.map_or(RENEWAL_PAUSE_MS_MAX, |life_ms| {
        RENEWAL_PAUSE_MS_MAX.min(life_ms / 2)
    })
}

impl Link {
    pub(super) fn state(&self) -> LinkState {
        match self {
            Self::Offline => LinkState::Offline,
            Self::Asking => LinkState::Asking,
            Self::Opening { .. } => LinkState::Opening,
            Self::Authenticating { .. } => LinkState::Authenticating,
            Self::Ready(_) => LinkState::Ready,
            Self::Backoff { .. } => LinkState::Backoff,
            Self::Closed => LinkState::Closed,
        }
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        match self {
            Self::Offline | Self::Asking | Self::Closed => None,
            Self::Opening { until, .. }
            | Self::Authenticating { until }
            | Self::Backoff { until, .. } => Some(*until),
            Self::Ready(ready) => {
                let renewal = match ready.renewal {
                    Renewal::DueAt(at) => Some(at),
                    Renewal::NotDue | Renewal::Asked | Renewal::Done { .. } => None,
                };
                ready.heartbeat.deadline().into_iter().chain(renewal).min()
            }
        }
    }

    /// Whether there is a socket, open or about to be.
    pub(super) fn has_socket(&self) -> bool {
        matches!(
            self,
            Self::Opening { .. } | Self::Authenticating { .. } | Self::Ready(_)
        )
    }
}

/// Whether the server has closed the socket, or the session must.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Socket {
    Gone,
    Open { code: u16, reason: &'static str },
}

impl Socket {
    pub(super) const PROTOCOL: Self = Self::Open {
        code: CLOSE_PROTOCOL,
        reason: "not a message of the protocol",
    };
    pub(super) const NORMAL: Self = Self::Open {
        code: CLOSE_NORMAL,
        reason: "",
    };
    const TIMEOUT: Self = Self::Open {
        code: CLOSE_TIMEOUT,
        reason: "no answer in time",
    };
}

impl Session {
    pub(super) fn connect(&mut self) {
        match self.link {
            Link::Offline | Link::Closed | Link::Backoff { .. } => {}
            Link::Asking | Link::Opening { .. } | Link::Authenticating { .. } | Link::Ready(_) => {
                return;
            }
        }
        if self.options.urls.is_empty() {
            self.fail(SessionError::NoAddress);
            return;
        }
        if let Link::Offline | Link::Closed = self.link {
            self.memory.backoff.reset();
            self.memory.refusals = 0;
        }
        self.retry();
    }

    /// Begins a try, with the credentials that the wait before it calls for.
    fn retry(&mut self) {
        let reason = match self.link {
            Link::Backoff { reason, .. } => reason,
            _ => CredentialsReason::Connect,
        };
        self.ask(reason);
    }

    fn ask(&mut self, mut reason: CredentialsReason) {
        // Also when the try with fresh ones came to nothing for another reason.
        if self.memory.refusals > 0 {
            reason = CredentialsReason::Refused;
        }
        self.link = Link::Asking;
        self.outputs.push_back(Output::NeedCredentials(reason));
    }

    pub(super) fn disconnect(&mut self, now: Millis) {
        if let Link::Offline | Link::Closed = self.link {
            self.link = Link::Offline;
            return;
        }
        self.drop_socket(Socket::NORMAL, now);
        self.link = Link::Offline;
        self.fail_queries();
        self.event(SessionEvent::Disconnected {
            reason: DisconnectReason::Requested,
            retry_at: None,
        });
    }

    pub(super) fn credentials(&mut self, credentials: Credentials, now: Millis) {
        match &mut self.link {
            Link::Asking => self.dial(credentials, now),
            Link::Ready(ready) if matches!(ready.renewal, Renewal::Asked) => {
                ready.renewal = Renewal::Done { at: now };
                self.memory.renewal_pause_ms = renewal_pause_ms(&credentials);
                self.authenticate(credentials);
            }
            _ => {}
        }
    }

    pub(super) fn credentials_failed(
        &mut self,
        failure: CredentialsFailure,
        message: String,
        now: Millis,
    ) {
        match (&mut self.link, failure) {
            (Link::Asking, CredentialsFailure::Permanent) => {
                self.fail(SessionError::NoCredentials { message });
            }
            (Link::Asking, CredentialsFailure::Temporary) => {
                let reason = DisconnectReason::NoCredentials { message };
                self.lost(reason, Socket::Gone, now);
            }
            // The connection lives on until the old ones end.
            (Link::Ready(ready), _) if matches!(ready.renewal, Renewal::Asked) => {
                let pause_ms = self.memory.renewal_pause_ms;
                ready.renewal = match failure {
                    CredentialsFailure::Temporary => Renewal::DueAt(now.plus_ms(pause_ms)),
                    CredentialsFailure::Permanent => Renewal::Done { at: now },
                };
            }
            _ => {}
        }
    }

    fn dial(&mut self, credentials: Credentials, now: Millis) {
        let Some(url) = self
            .options
            .urls
            .get(self.memory.address % self.options.urls.len().max(1))
        else {
            self.fail(SessionError::NoAddress);
            return;
        };
        let mut dial = Dial {
            connection: ConnectionId(self.memory.connection.0 + 1),
            url: url.clone(),
            bearer: None,
            attempt: self.memory.backoff.failures(),
        };
        if let (AuthenticateBy::Upgrade, Credentials::Jwt { token }) =
            (self.options.authenticate_by, &credentials)
        {
            dial.url.push_str(&upgrade_query(&self.options.protocol()));
            dial.bearer = Some(token.clone());
        }
        self.memory.connection = dial.connection;
        self.memory.renewal_pause_ms = renewal_pause_ms(&credentials);
        self.link = Link::Opening {
            credentials,
            until: now.plus_ms(self.options.open_timeout_ms),
        };
        self.outputs.push_back(Output::Dial(dial));
    }

    pub(super) fn opened(&mut self, now: Millis) {
        let Link::Opening { .. } = self.link else {
            return;
        };
        let next = Link::Authenticating {
            until: now.plus_ms(self.options.authenticate_timeout_ms),
        };
        let Link::Opening { credentials, .. } = std::mem::replace(&mut self.link, next) else {
            return;
        };
        let in_header = self.options.authenticate_by == AuthenticateBy::Upgrade
            && matches!(credentials, Credentials::Jwt { .. });
        if !in_header {
            self.authenticate(credentials);
        }
    }

    fn authenticate(&mut self, credentials: Credentials) {
        let message: ClientMessage<Params> = ClientMessage::Authenticate(Authenticate {
            credentials,
            protocol: Some(self.options.protocol()),
        });
        // Text, whatever was negotiated: every server reads it.
        self.outputs.push_back(Output::Send {
            connection: self.memory.connection,
            frame: encode_client(&message, Serialization::Json),
        });
    }

    pub(super) fn auth_success(
        &mut self,
        user: UserId,
        role: Role,
        protocol: Protocol,
        now: Millis,
    ) {
        self.memory.refusals = 0;
        let Link::Authenticating { .. } = self.link else {
            // Renewed.
            return;
        };
        self.link = Link::Ready(Ready {
            since: now,
            serialization: protocol.serialization,
            seq: if protocol.has(Feature::Seq) {
                SeqSupport::Full
            } else {
                SeqSupport::None
            },
            heartbeat: if protocol.has(Feature::Pong) {
                Heartbeat::new(self.options.heartbeat, now)
            } else {
                Heartbeat::off(self.options.heartbeat)
            },
            renewal: Renewal::NotDue,
        });
        self.event(SessionEvent::Connected {
            user,
            role,
            protocol,
        });
        self.attach_subscriptions();
        self.send_queries();
    }

    pub(super) fn auth_error(&mut self, message: String, now: Millis) {
        if message == LATE_CREDENTIALS {
            let reason = DisconnectReason::AuthenticateTimeout;
            self.lost(reason, Socket::NORMAL, now);
        } else {
            self.refused(message, Socket::NORMAL, now);
        }
    }

    /// The server did not take the credentials. Fresh ones are worth one more try, at once.
    fn refused(&mut self, message: String, socket: Socket, now: Millis) {
        self.drop_socket(socket, now);
        self.memory.refusals += 1;
        self.event(SessionEvent::Disconnected {
            reason: DisconnectReason::Refused {
                message: message.clone(),
            },
            retry_at: None,
        });
        if self.memory.refusals >= REFUSALS_MAX {
            self.fail(SessionError::CredentialsRefused { message });
        } else {
            self.ask(CredentialsReason::Refused);
        }
    }

    pub(super) fn auth_expiring(&mut self, now: Millis) {
        let Link::Ready(ready) = &mut self.link else {
            return;
        };
        match ready.renewal {
            Renewal::NotDue => {
                ready.renewal = Renewal::Asked;
                self.outputs
                    .push_back(Output::NeedCredentials(CredentialsReason::Expiring));
            }
            Renewal::Done { at } => {
                let pause_ms = self.memory.renewal_pause_ms;
                ready.renewal = Renewal::DueAt(at.plus_ms(pause_ms).max(now));
            }
            Renewal::Asked | Renewal::DueAt(_) => {}
        }
    }

    pub(super) fn failed(&mut self, status: Option<u16>, message: String, now: Millis) {
        if status == Some(HTTP_UNAUTHORIZED) {
            self.refused(message, Socket::Gone, now);
        } else {
            let reason = DisconnectReason::Unreachable { status, message };
            self.lost(reason, Socket::Gone, now);
        }
    }

    pub(super) fn closed(&mut self, code: Option<u16>, reason: String, now: Millis) {
        if code != Some(CLOSE_EXPIRED) {
            self.lost(DisconnectReason::Closed { code, reason }, Socket::Gone, now);
            return;
        }
        let held =
            matches!(&self.link, Link::Ready(ready) if now.since_ms(ready.since) >= STABLE_MS);
        if !held {
            // Not at once: a server that ends every connection so must not be dialled without a pause.
            self.lost(DisconnectReason::Expired, Socket::Gone, now);
            return;
        }
        self.memory.backoff.reset();
        self.drop_socket(Socket::Gone, now);
        self.event(SessionEvent::Disconnected {
            reason: DisconnectReason::Expired,
            retry_at: Some(now),
        });
        self.ask(CredentialsReason::Expiring);
    }

    /// The connection, or the try at one, came to nothing: wait and try again.
    pub(super) fn lost(&mut self, reason: DisconnectReason, socket: Socket, now: Millis) {
        if let Link::Ready(ready) = &self.link
            && now.since_ms(ready.since) >= STABLE_MS
        {
            self.memory.backoff.reset();
        }
        self.drop_socket(socket, now);
        self.memory.address = (self.memory.address + 1) % self.options.urls.len().max(1);
        let next = if reason == DisconnectReason::Expired {
            CredentialsReason::Expiring
        } else {
            CredentialsReason::Connect
        };
        let Some(delay_ms) = self.memory.backoff.fail(self.options.urls.len()) else {
            self.event(SessionEvent::Disconnected {
                reason: reason.clone(),
                retry_at: None,
            });
            self.fail(SessionError::AttemptsExhausted {
                attempts: self.memory.backoff.failures(),
                last: reason,
            });
            return;
        };
        let until = now.plus_ms(delay_ms);
        self.link = Link::Backoff {
            until,
            reason: next,
        };
        self.event(SessionEvent::Disconnected {
            reason,
            retry_at: Some(until),
        });
    }

    /// Parts with the socket and what hangs on it. The caller says where the link goes.
    fn drop_socket(&mut self, socket: Socket, now: Millis) {
        if let (true, Socket::Open { code, reason }) = (self.link.has_socket(), socket) {
            self.outputs.push_back(Output::Close {
                connection: self.memory.connection,
                code,
                reason,
            });
        }
        if let Link::Ready(_) = self.link {
            self.detach_subscriptions(now);
            self.interrupt_queries();
        }
    }

    fn fail(&mut self, error: SessionError) {
        self.link = Link::Closed;
        self.event(SessionEvent::Failed(error));
        self.fail_queries();
    }

    pub(super) fn timer(&mut self, now: Millis) {
        if self.link.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        match &mut self.link {
            Link::Offline | Link::Asking | Link::Closed => {}
            Link::Opening { .. } => self.lost(DisconnectReason::OpenTimeout, Socket::TIMEOUT, now),
            Link::Authenticating { .. } => {
                let reason = DisconnectReason::AuthenticateTimeout;
                self.lost(reason, Socket::TIMEOUT, now);
            }
            Link::Backoff { .. } => self.retry(),
            Link::Ready(ready) => {
                if matches!(ready.renewal, Renewal::DueAt(at) if at <= now) {
                    ready.renewal = Renewal::Asked;
                    self.outputs
                        .push_back(Output::NeedCredentials(CredentialsReason::Expiring));
                }
                let beat = ready.heartbeat.timer(now);
                self.beat(beat, now);
            }
        }
    }

    pub(super) fn network(&mut self, hint: NetworkHint, now: Millis) {
        match (&mut self.link, hint) {
            (Link::Backoff { .. }, NetworkHint::Online | NetworkHint::Visible) => self.retry(),
            (Link::Ready(ready), _) => {
                let beat = ready.heartbeat.probe(now);
                self.beat(beat, now);
            }
            _ => {}
        }
    }

    fn beat(&mut self, beat: Beat, now: Millis) {
        match beat {
            Beat::Nothing => {}
            Beat::Ping => self.send(&ClientMessage::Ping),
            Beat::Dead => self.lost(DisconnectReason::Silent, Socket::TIMEOUT, now),
        }
    }
}

/// How a client that authenticates by header says what it speaks.
fn upgrade_query(protocol: &Protocol) -> String {
    let features: Vec<&str> = protocol
        .features
        .iter()
        .map(|feature| feature.as_str())
        .collect();
    format!(
        "?serialization={}&compression={}&features={}",
        protocol.serialization.as_str(),
        protocol.compression.as_str(),
        features.join(",")
    )
}
