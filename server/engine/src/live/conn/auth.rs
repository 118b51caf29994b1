//! Who is connected: waits for credentials, lets them be checked, and notices when they end.

use chrono::{DateTime, SecondsFormat, Utc};
use kalam_link_core::codec::Frame;
use kalam_link_core::message::{Authenticate, ClientMessage, Feature, Protocol, ServerMessage};
use kalam_model::{Caller, Timestamp};

use super::{Conn, Output, close};

/// How long before its end a client is told that its token ends.
const EXPIRING_MS: u64 = 60_000;

/// Messages that are kept while credentials are checked.
const HELD_BACK_MAX: usize = 128;

/// Who somebody proved to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub caller: Caller,
    /// The account's version by which that was proved.
    pub user_version: u32,
    /// When the proof ends; a password does not.
    pub expires_at: Option<Timestamp>,
}

pub(super) enum Access {
    Awaited {
        until: Timestamp,
    },
    /// Credentials are looked at.
    Checking {
        until: Timestamp,
        /// What the client sent meanwhile.
        held_back: Vec<ClientMessage>,
    },
    Granted {
        identity: Box<Identity>,
        told_of_end: bool,
    },
    Closed,
}

impl Access {
    pub(super) fn caller(&self) -> Option<&Caller> {
        match self {
            Self::Granted { identity, .. } => Some(&identity.caller),
            _ => None,
        }
    }

    pub(super) const fn is_closed(&self) -> bool {
        matches!(self, Self::Closed)
    }

    /// False if the message came before any credentials, or there are too many.
    pub(super) fn hold_back(&mut self, message: ClientMessage) -> bool {
        match self {
            Self::Checking { held_back, .. } if held_back.len() < HELD_BACK_MAX => {
                held_back.push(message);
                true
            }
            _ => false,
        }
    }

    pub(super) fn deadline(&self, protocol: &Protocol) -> Option<Timestamp> {
        match self {
            Self::Awaited { until } | Self::Checking { until, .. } => Some(*until),
            Self::Granted {
                identity,
                told_of_end,
            } if protocol.has(Feature::AuthExpiring) => {
                let end = identity.expires_at?;
                Some(if *told_of_end {
                    end
                } else {
                    end.minus_ms(EXPIRING_MS)
                })
            }
            _ => None,
        }
    }
}

impl Conn {
    /// The upgrade carried a token: the client is told unasked that it is authenticated.
    pub fn upgraded(&mut self, identity: Identity, protocol: Option<Protocol>, now: Timestamp) {
        self.negotiated = protocol.is_some();
        self.protocol = known(protocol.unwrap_or_default());
        self.grant(identity, now);
    }

    pub(super) fn authenticate(&mut self, authenticate: Authenticate) {
        match &self.access {
            Access::Awaited { until } => {
                if let Some(protocol) = authenticate.protocol {
                    self.negotiated = true;
                    self.protocol = known(protocol);
                }
                self.access = Access::Checking {
                    until: *until,
                    held_back: Vec::new(),
                };
            }
            // A newer token; the protocol stays.
            Access::Granted { .. } => {}
            Access::Checking { .. } => {
                return self.refuse("authentication is under way");
            }
            Access::Closed => return,
        }
        self.output
            .push_back(Output::Authenticate(authenticate.credentials));
    }

    /// The credentials are those of `identity`.
    pub fn authenticated(&mut self, identity: Identity, now: Timestamp) {
        match &self.access {
            Access::Checking { .. } => self.grant(identity, now),
            Access::Granted {
                identity: known, ..
            } if known.caller.user == identity.caller.user => self.grant(identity, now),
            Access::Granted { .. } => self.refuse("the token is another account's"),
            Access::Awaited { .. } | Access::Closed => {}
        }
    }

    /// The credentials are wrong, or may not be tried.
    pub fn auth_refused(&mut self, message: &str) {
        if !self.access.is_closed() {
            self.refuse(message);
        }
    }

    fn grant(&mut self, identity: Identity, now: Timestamp) {
        let user = identity.caller.user.clone();
        let success = ServerMessage::AuthSuccess {
            user_id: user.clone(),
            user: user.clone(),
            role: identity.caller.role,
            protocol: self.protocol.clone(),
        };
        self.live.hub.identify(self.number, &user);
        // Whoever changed the account since it was proved did not reach this connection.
        self.output.push_back(Output::Recheck(user));
        self.output
            .push_back(Output::SendPlain(Frame::json(&success)));
        let granted = Access::Granted {
            identity: Box::new(identity),
            told_of_end: false,
        };
        let before = std::mem::replace(&mut self.access, granted);
        if let Access::Checking { held_back, .. } = before {
            for message in held_back {
                self.dispatch(message, now);
            }
        }
    }

    fn refuse(&mut self, message: &str) {
        let refused = ServerMessage::AuthError {
            message: message.to_owned(),
        };
        self.output
            .push_back(Output::SendPlain(Frame::json(&refused)));
        self.close(close::POLICY, "authentication failed");
    }

    /// The account as it stands; none if it is gone or its credentials have changed.
    pub fn rechecked(&mut self, account: Option<Identity>) {
        let Access::Granted { identity, .. } = &mut self.access else {
            return;
        };
        match account {
            Some(account) if account.user_version == identity.user_version => {
                identity.caller = account.caller;
            }
            _ => self.close(close::UNAUTHENTICATED, "the account has changed"),
        }
    }

    pub(super) fn auth_timer(&mut self, now: Timestamp) {
        let expires = self.protocol.has(Feature::AuthExpiring);
        match &mut self.access {
            Access::Awaited { until } | Access::Checking { until, .. } if now >= *until => {
                self.refuse("Authentication timeout");
            }
            Access::Granted {
                identity,
                told_of_end,
            } if expires => {
                let Some(end) = identity.expires_at else {
                    return;
                };
                if now >= end {
                    self.close(close::UNAUTHENTICATED, "the token has ended");
                } else if !*told_of_end && now >= end.minus_ms(EXPIRING_MS) {
                    *told_of_end = true;
                    self.message(&ServerMessage::AuthExpiring {
                        expires_at: rfc3339(end),
                    });
                }
            }
            _ => {}
        }
    }
}

/// Without what only a newer server understands.
fn known(mut protocol: Protocol) -> Protocol {
    protocol
        .features
        .retain(|feature| *feature != Feature::Unknown);
    protocol
}

fn rfc3339(time: Timestamp) -> String {
    DateTime::<Utc>::from_timestamp_micros(time.0)
        .unwrap_or_default()
        .to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
