//! Frames from the server and what they lead to.

use super::link::{Link, Socket};
use super::wire_names::RESERVED;
use super::{DisconnectReason, Output, Session, SessionEvent, SubscriptionError};
use crate::codec::{DecodeError, Frame, decode_server, encode_client};
use crate::ids::SubscriptionId;
use crate::message::{ClientMessage, LiveErrorCode, Params, Serialization, ServerMessage};
use crate::time::Millis;

impl Session {
    pub(super) fn frame(&mut self, frame: &Frame, now: Millis) {
        let serialization = match &mut self.link {
            Link::Authenticating { .. } => Serialization::Json,
            Link::Ready(ready) => {
                ready.heartbeat.heard(now);
                ready.serialization
            }
            _ => return,
        };
        match decode_server(frame, serialization) {
            Ok(message) => self.message(message, now),
            // A newer server's, which can be missed.
            Err(DecodeError::UnknownKind(_)) => {}
            Err(error) => self.unreadable(&error, now),
        }
    }

    /// Going on would mean to have missed something: a new connection resumes before it.
    fn unreadable(&mut self, error: &DecodeError, now: Millis) {
        let reason = DisconnectReason::Protocol {
            message: error.to_string(),
        };
        self.lost(reason, Socket::PROTOCOL, now);
    }

    fn message(&mut self, message: ServerMessage, now: Millis) {
        match message {
            ServerMessage::AuthSuccess {
                user_id,
                role,
                protocol,
                ..
            } => self.auth_success(user_id, role, protocol, now),
            ServerMessage::AuthError { message } => self.auth_error(message, now),
            ServerMessage::AuthExpiring { .. } => self.auth_expiring(now),
            ServerMessage::SubscriptionAck(ack) => {
                let wire = ack.subscription_id.clone();
                self.with_subscription(&wire, |subscription, _| {
                    subscription.on_ack(ack, now);
                    None
                });
            }
            ServerMessage::InitialDataBatch {
                subscription_id,
                rows,
                batch_control,
            } => self.with_subscription(&subscription_id, |subscription, _| {
                subscription.on_batch(rows, batch_control, now)
            }),
            ServerMessage::Change(change) => {
                let wire = change.subscription_id.clone();
                self.with_subscription(&wire, |subscription, seq| {
                    subscription.on_change(change, seq, now);
                    None
                });
            }
            ServerMessage::Resync {
                subscription_id,
                reason,
            } => self.with_subscription(&subscription_id, |subscription, _| {
                subscription.on_resync(reason, now);
                None
            }),
            ServerMessage::Error {
                subscription_id,
                code,
                message,
            } => self.server_error(&subscription_id, code, message, now),
            ServerMessage::Pong => {}
            ServerMessage::QueryResult(result) => {
                if let Some(id) = self.queries.answered(&result.id) {
                    let outcome = Ok(result.text);
                    self.event(SessionEvent::Query { id, outcome });
                }
            }
        }
    }

    fn server_error(
        &mut self,
        wire: &SubscriptionId,
        code: LiveErrorCode,
        message: String,
        now: Millis,
    ) {
        if self.wire_names.name(wire).is_some() {
            self.end_subscription(wire, SubscriptionError::Server { code, message }, now);
        } else if RESERVED.contains(&wire.as_str()) {
            self.event(SessionEvent::ServerRefused { code, message });
            if code == LiveErrorCode::RateLimitExceeded {
                // What the server did not take is lost: a subscription or a load may wait for ever.
                self.lost(DisconnectReason::RateLimited, Socket::NORMAL, now);
            }
        }
    }

    /// Sends on an authenticated connection; without one the message is of no use.
    pub(super) fn send(&mut self, message: &ClientMessage<Params>) {
        if let Link::Ready(ready) = &self.link {
            self.outputs.push_back(Output::Send {
                connection: self.memory.connection,
                frame: encode_client(message, ready.serialization),
            });
        }
    }
}
