//! Subscriptions and queries of a session: kept across connections, attached to each.

use super::link::Link;
use super::{
    NAME_BYTES_MAX, Output, QueryError, SUBSCRIPTIONS_MAX, Session, SessionEvent, SocketQuery,
    Subscribe, SubscriptionError, SubscriptionEvent,
};
use crate::codec::text_of;
use crate::ids::SubscriptionId;
use crate::message::{ClientMessage, Params};
use crate::subscription::{SeqSupport, Subscription};
use crate::time::Millis;

impl Session {
    pub(super) fn subscribe(&mut self, request: Subscribe) {
        let id = request.id.clone();
        self.unsubscribe(&id);
        let options = request.options;
        let subscription = Subscription::new(request);
        let bytes = text_of(&ClientMessage::Subscribe {
            subscription: subscription.message(id.clone(), options),
        })
        .len();
        let refusal = if !(1..=NAME_BYTES_MAX).contains(&id.as_str().len()) {
            Some(SubscriptionError::InvalidId)
        } else if self.subscriptions.len() >= SUBSCRIPTIONS_MAX {
            Some(SubscriptionError::TooMany)
        } else if bytes > super::MESSAGE_BYTES_MAX - super::NAME_BYTES_MAX {
            Some(SubscriptionError::TooLarge)
        } else {
            None
        };
        if let Some(error) = refusal {
            let event = SubscriptionEvent::Ended(error);
            self.event(SessionEvent::Subscription { id, event });
            return;
        }
        self.subscriptions.insert(id.clone(), subscription);
        self.attach(&id);
    }

    pub(super) fn unsubscribe(&mut self, id: &SubscriptionId) {
        let Some(subscription) = self.subscriptions.remove(id) else {
            return;
        };
        if let Some(wire) = subscription.wire() {
            self.wire_names.release(wire);
            self.send(&ClientMessage::Unsubscribe {
                subscription_id: wire.clone(),
            });
        }
    }

    /// Begins or resumes it, if there is a connection.
    fn attach(&mut self, id: &SubscriptionId) {
        let Link::Ready(ready) = &self.link else {
            return;
        };
        let seq = ready.seq;
        if let Some(subscription) = self.subscriptions.get_mut(id)
            && subscription.is_pending()
        {
            let wire = self.wire_names.assign(id);
            let message = subscription.attach(wire, seq);
            self.send(&message);
        }
    }

    pub(super) fn attach_subscriptions(&mut self) {
        self.wire_names.clear();
        let ids: Vec<SubscriptionId> = self.subscriptions.keys().cloned().collect();
        for id in &ids {
            self.attach(id);
        }
    }

    pub(super) fn detach_subscriptions(&mut self, now: Millis) {
        self.wire_names.clear();
        for subscription in self
            .subscriptions
            .iter_mut()
            .map(|(_, subscription)| subscription)
        {
            subscription.detach(now);
        }
        self.tell_subscriptions();
    }

    /// Does something with the subscription that has this id on the wire. What comes for any other is late.
    pub(super) fn with_subscription(
        &mut self,
        wire: &SubscriptionId,
        act: impl FnOnce(&mut Subscription, SeqSupport) -> Option<ClientMessage<Params>>,
    ) {
        let Link::Ready(ready) = &self.link else {
            return;
        };
        let seq = ready.seq;
        let Some(name) = self.wire_names.name(wire).cloned() else {
            return;
        };
        let Some(subscription) = self.subscriptions.get_mut(&name) else {
            return;
        };
        let message = act(subscription, seq);
        self.tell(&name);
        if let Some(message) = message {
            self.send(&message);
        }
    }

    pub(super) fn end_subscription(
        &mut self,
        wire: &SubscriptionId,
        error: SubscriptionError,
        now: Millis,
    ) {
        self.with_subscription(wire, |subscription, _| {
            subscription.on_ended(error, now);
            None
        });
        let Some(name) = self.wire_names.name(wire).cloned() else {
            return;
        };
        self.wire_names.release(wire);
        // Rows stay readable until the application unsubscribes.
        if self.rows(&name).is_none() {
            self.subscriptions.remove(&name);
        }
    }

    pub(super) fn pause(&mut self, id: &SubscriptionId) {
        if let Some(subscription) = self.subscriptions.get_mut(id) {
            subscription.pause();
        }
    }

    pub(super) fn unpause(&mut self, id: &SubscriptionId) {
        let message = self
            .subscriptions
            .get_mut(id)
            .and_then(Subscription::unpause);
        if let Some(message) = message {
            self.send(&message);
        }
    }

    /// Removes rows whose time is over.
    pub(super) fn expire_rows(&mut self, now: Millis) {
        for subscription in self
            .subscriptions
            .iter_mut()
            .map(|(_, subscription)| subscription)
        {
            subscription.expire(now);
        }
        self.tell_subscriptions();
    }

    /// Passes on what happened to one subscription.
    fn tell(&mut self, name: &SubscriptionId) {
        if let Some(subscription) = self.subscriptions.get_mut(name) {
            for event in subscription.take_events() {
                let id = name.clone();
                let event = SessionEvent::Subscription { id, event };
                self.outputs.push_back(Output::Event(event));
            }
        }
    }

    fn tell_subscriptions(&mut self) {
        let ids: Vec<SubscriptionId> = self.subscriptions.keys().cloned().collect();
        for id in &ids {
            self.tell(id);
        }
    }

    pub(super) fn query(&mut self, query: SocketQuery) {
        let id = query.id;
        match self.queries.add(query) {
            Ok(()) => self.send_queries(),
            Err(error) => {
                let outcome = Err(error);
                self.event(SessionEvent::Query { id, outcome });
            }
        }
    }

    pub(super) fn send_queries(&mut self) {
        if let Link::Ready(_) = self.link {
            for message in self.queries.send() {
                self.send(&message);
            }
        }
    }

    /// The connection is gone, and with it the answers of what cannot be repeated.
    pub(super) fn interrupt_queries(&mut self) {
        for id in self.queries.interrupt() {
            let outcome = Err(QueryError::Interrupted);
            self.event(SessionEvent::Query { id, outcome });
        }
    }

    pub(super) fn fail_queries(&mut self) {
        for (id, error) in self.queries.clear() {
            let outcome = Err(error);
            self.event(SessionEvent::Query { id, outcome });
        }
    }
}
