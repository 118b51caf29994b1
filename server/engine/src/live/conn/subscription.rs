//! The subscriptions of one connection and what moves them: rows that were read, changes that came, and time.
//!
//! ```text
//! Beginning ──> Waiting <──> Reading ──> Live <──> CatchingUp
//!      └──────────────────────────────────^
//! ```
//!
//! Until a subscription is live, changes that come for it are kept; those that its snapshot has are left out then. If too
//! many come, they are forgotten and read from storage instead.

use std::collections::VecDeque;
use std::sync::Arc;

use kalam_link_core::SubscriptionId;
use kalam_link_core::codec::Frame;
use kalam_link_core::message::{
    Feature, LiveErrorCode, Protocol, ResyncReason, SubscribeOptions, SubscriptionRequest,
};
use kalam_model::{SeqId, Timestamp};

use super::{ABOUT_SUBSCRIBE, Conn, Output};
use crate::live::feed::{Routed, Status};
use crate::live::hub::Membership;
use crate::live::job::{
    CatchUp, Loaded, Next, Outcome, Request, ShiftEncoder, Work, resync_message,
};
use crate::live::load::Load;
use crate::live::queue::{Bounds, Slot};
use crate::live::window::Window;

/// One subscription.
struct Sub {
    slot: Slot,
    id: SubscriptionId,
    /// None until the first rows were read.
    membership: Option<Membership>,
    state: State,
}

enum State {
    /// A job is under way that reads the first rows.
    Beginning {
        kept: Kept,
        /// Why the client is told to forget what it has, if it had rows before.
        resync: Option<ResyncReason>,
        /// The table changed after the job had joined the feed: what it read is not sent.
        table_changed: bool,
    },
    /// The client is to ask for the next batch.
    Waiting {
        load: Box<Load>,
        batch_num: u32,
        until: Timestamp,
        kept: Kept,
    },
    /// The client took too long: the snapshot was given back, and the rest is read as a resume.
    Stalled {
        rows_after: SeqId,
        deletes_after: SeqId,
        batch_num: u32,
    },
    /// The client took too long with rows that stand in an order of their own.
    Interrupted,
    /// A job is under way that reads the next batch, or what was missed.
    Reading(Kept),
    Live {
        /// Changes up to here were sent.
        after: SeqId,
    },
    Window {
        window: Box<Window>,
        after: SeqId,
        /// When a row of it expires.
        until: Option<Timestamp>,
    },
}

/// Changes that wait until a subscription is live.
#[derive(Default)]
struct Kept(Option<Box<KeptChanges>>);

#[derive(Default)]
struct KeptChanges {
    changes: VecDeque<Arc<Routed>>,
    bytes: usize,
    /// Some were left out: what was missed is read from storage.
    overflowed: bool,
}

impl Kept {
    fn push(&mut self, change: Arc<Routed>, bounds: Bounds) {
        let kept = self.0.get_or_insert_default();
        if kept.overflowed {
            return;
        }
        kept.bytes += change.bytes();
        if kept.changes.len() >= bounds.changes || kept.bytes > bounds.bytes {
            kept.overflow();
        } else {
            kept.changes.push_back(change);
        }
    }

    fn overflow(&mut self) {
        self.0.get_or_insert_default().overflow();
    }
}

impl KeptChanges {
    fn overflow(&mut self) {
        self.overflowed = true;
        self.changes = VecDeque::new();
        self.bytes = 0;
    }
}

/// The subscriptions of a connection, in order of slot.
#[derive(Default)]
pub(super) struct Subscriptions {
    subs: Vec<Sub>,
    next_slot: Slot,
}

impl Subscriptions {
    fn index_of(&self, slot: Slot) -> Option<usize> {
        self.subs.binary_search_by_key(&slot, |sub| sub.slot).ok()
    }

    fn get(&mut self, slot: Slot) -> Option<&mut Sub> {
        let index = self.index_of(slot)?;
        Some(&mut self.subs[index])
    }

    fn by_id(&mut self, id: &SubscriptionId) -> Option<&mut Sub> {
        self.subs.iter_mut().find(|sub| sub.id == *id)
    }

    fn begin(&mut self, id: SubscriptionId, resync: Option<ResyncReason>) -> Slot {
        let slot = self.next_slot;
        self.next_slot += 1;
        self.subs.push(Sub {
            slot,
            id,
            membership: None,
            state: State::Beginning {
                kept: Kept::default(),
                resync,
                table_changed: false,
            },
        });
        slot
    }

    pub(super) fn remove_id(&mut self, id: &SubscriptionId) {
        self.subs.retain(|sub| sub.id != *id);
    }

    fn remove(&mut self, slot: Slot) -> Option<Sub> {
        let index = self.index_of(slot)?;
        Some(self.subs.remove(index))
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.subs.iter().filter_map(|sub| sub.state.until()).min()
    }
}

impl State {
    fn until(&self) -> Option<Timestamp> {
        match self {
            Self::Waiting { until, .. } => Some(*until),
            Self::Window { until, .. } => *until,
            _ => None,
        }
    }
}

impl Conn {
    pub(super) fn subscribe(&mut self, request: SubscriptionRequest, now: Timestamp) {
        let SubscriptionRequest {
            id,
            sql,
            params,
            options,
        } = request;
        if !id.is_valid() {
            let message = format!(
                "a subscription id has 1 to {} bytes",
                SubscriptionId::BYTES_MAX
            );
            return self.error(
                ABOUT_SUBSCRIBE,
                LiveErrorCode::InvalidSubscriptionId,
                &message,
            );
        }
        self.subscriptions.remove_id(&id);
        if self.subscriptions.subs.len() >= self.options.subscriptions_max {
            let message = format!(
                "a connection has at most {} subscriptions",
                self.options.subscriptions_max
            );
            return self.error(
                id.as_str(),
                LiveErrorCode::SubscriptionLimitExceeded,
                &message,
            );
        }
        let request = Request {
            id,
            sql: sql.into(),
            params: params.unwrap_or_default(),
            options,
        };
        self.begin(request, None, now);
    }

    fn begin(&mut self, request: Request, resync: Option<ResyncReason>, now: Timestamp) {
        let slot = self.subscriptions.begin(request.id.clone(), resync);
        let work = Work::Begin {
            request: Box::new(request),
            resync,
        };
        self.load(slot, work, now);
    }

    /// Unknown ids and subscriptions that wait for nothing are passed over.
    pub(super) fn next_batch(&mut self, id: &SubscriptionId, now: Timestamp) {
        let Some(sub) = self.subscriptions.by_id(id) else {
            return;
        };
        let slot = sub.slot;
        let Some(membership) = &sub.membership else {
            return;
        };
        let (feed, subscriber) = (
            Arc::clone(&membership.feed),
            Arc::clone(&membership.subscriber),
        );
        let state = std::mem::replace(&mut sub.state, State::Interrupted);
        let work = match state {
            State::Waiting {
                load,
                batch_num,
                kept,
                ..
            } => {
                sub.state = State::Reading(kept);
                Work::Batch {
                    subscriber,
                    feed,
                    load,
                    batch_num,
                }
            }
            State::Stalled {
                rows_after,
                deletes_after,
                batch_num,
            } => {
                sub.state = State::Reading(Kept::default());
                Work::Resume {
                    subscriber,
                    feed,
                    rows_after,
                    deletes_after,
                    batch_num,
                }
            }
            State::Interrupted => return self.anew(slot, ResyncReason::LoadInterrupted, now),
            other => {
                sub.state = other;
                return;
            }
        };
        self.load(slot, work, now);
    }

    /// Everything that was sent is void; a client that does not know `resync` has to subscribe again by itself.
    fn anew(&mut self, slot: Slot, reason: ResyncReason, now: Timestamp) {
        if !self.protocol.has(Feature::Resync) {
            return self.end(
                slot,
                LiveErrorCode::SubscriptionFailed,
                resync_message(reason),
            );
        }
        let Some((request, _)) = self.taken(slot) else {
            return;
        };
        let options = request.options.map(|options| SubscribeOptions {
            from: None,
            ..options
        });
        self.begin(Request { options, ..request }, Some(reason), now);
    }

    /// The table changed before anything was sent.
    fn begin_again(&mut self, slot: Slot, resync: Option<ResyncReason>, now: Timestamp) {
        let Some((request, membership)) = self.taken(slot) else {
            return;
        };
        match self.live.lost_right(&membership.feed, self.access.caller()) {
            Some((code, message)) => self.error(request.id.as_str(), code, &message),
            None => self.begin(request, resync, now),
        }
    }

    /// Takes a subscription out, as the request that it came from.
    fn taken(&mut self, slot: Slot) -> Option<(Request, Membership)> {
        let sub = self.subscriptions.remove(slot)?;
        let membership = sub.membership?;
        let request = Request {
            id: sub.id,
            sql: membership.feed.sql.clone(),
            params: membership.feed.params.clone(),
            options: Some(membership.subscriber.options),
        };
        Some((request, membership))
    }

    /// The subscription is over and its client is told why.
    pub(super) fn end(&mut self, slot: Slot, code: LiveErrorCode, message: &str) {
        if let Some(sub) = self.subscriptions.remove(slot) {
            self.error(sub.id.as_str(), code, message);
        }
    }

    pub(super) fn went(&mut self, loaded: Loaded, now: Timestamp) {
        let slot = loaded.slot;
        // Unsubscribed meanwhile: what was joined is left when it is dropped.
        let Some(sub) = self.subscriptions.get(slot) else {
            return;
        };
        let (frames, next) = match loaded.outcome {
            Outcome::Refused { code, message } => return self.end(slot, code, &message),
            Outcome::Begun {
                membership,
                frames,
                next,
            } => {
                sub.membership = Some(membership);
                (frames, next)
            }
            Outcome::Went { frames, next } => (frames, next),
        };
        if let State::Beginning {
            table_changed: true,
            resync,
            ..
        } = sub.state
        {
            return self.begin_again(slot, resync, now);
        }
        let state = std::mem::replace(&mut sub.state, State::Interrupted);
        let (State::Beginning { kept, .. } | State::Reading(kept)) = state else {
            sub.state = state;
            return;
        };
        self.output.extend(frames.into_iter().map(Output::Send));
        match next {
            Next::Wait { load, batch_num } => self.wait(slot, load, batch_num, kept, now),
            Next::Anew(reason) => self.anew(slot, reason, now),
            Next::Again(load) => self.read_on(slot, kept, CatchUp::Rest(load), now),
            Next::Live(after) => self.go_live(slot, after, None, kept, now),
            Next::Window(window, after) => self.go_live(slot, after, Some(window), kept, now),
        }
    }

    fn wait(&mut self, slot: Slot, load: Box<Load>, batch_num: u32, kept: Kept, now: Timestamp) {
        let until = now.plus_ms(self.options.load_timeout_ms);
        if let Some(sub) = self.subscriptions.get(slot) {
            sub.state = State::Waiting {
                load,
                batch_num,
                until,
                kept,
            };
        }
    }

    fn go_live(
        &mut self,
        slot: Slot,
        after: SeqId,
        window: Option<Box<Window>>,
        kept: Kept,
        now: Timestamp,
    ) {
        let Some(sub) = self.subscriptions.get(slot) else {
            return;
        };
        let Some(membership) = &sub.membership else {
            return;
        };
        membership.subscriber.set_status(Status::Live);
        membership.subscriber.sent(after);
        sub.state = match window {
            None => State::Live { after },
            Some(window) => State::Window {
                until: window
                    .expires_ms(&membership.feed)
                    .map(Timestamp::from_unix_ms),
                window,
                after,
            },
        };
        let Some(kept) = kept.0 else { return };
        if kept.overflowed {
            return self.overflowed(slot, now);
        }
        for change in kept.changes {
            self.changed(slot, change, now);
        }
    }

    /// A change of the feed that the subscription belongs to.
    pub(super) fn changed(&mut self, slot: Slot, change: Arc<Routed>, now: Timestamp) {
        let Some(sub) = self.subscriptions.get(slot) else {
            return;
        };
        match &mut sub.state {
            State::Beginning { kept, .. } | State::Reading(kept) | State::Waiting { kept, .. } => {
                kept.push(change, self.options.waiting);
            }
            // Read from storage when the client goes on.
            State::Stalled { .. } | State::Interrupted => {}
            State::Live { after } => {
                if change.seq() <= *after {
                    return;
                }
                *after = change.seq();
                let frame = change_frame(&self.protocol, &sub.id, &change);
                if let Some(membership) = &sub.membership {
                    membership.subscriber.sent(change.seq());
                    membership.subscriber.changed(now);
                }
                self.output.push_back(Output::Send(frame));
            }
            State::Window { after, .. } if change.seq() <= *after => {}
            State::Window { .. } => self.window_changed(slot, &change, now),
        }
    }

    fn window_changed(&mut self, slot: Slot, change: &Routed, now: Timestamp) {
        let Some(sub) = self.subscriptions.get(slot) else {
            return;
        };
        let (
            State::Window {
                window,
                after,
                until,
            },
            Some(membership),
        ) = (&mut sub.state, &sub.membership)
        else {
            return;
        };
        let feed = &membership.feed;
        *after = change.seq();
        let encoder = ShiftEncoder {
            feed,
            id: &sub.id,
            protocol: &self.protocol,
        };
        for shift in window.apply(feed, change) {
            let frame = encoder.frame(&shift, change.seq());
            self.output.push_back(Output::Send(frame));
        }
        membership.subscriber.sent(change.seq());
        membership.subscriber.changed(now);
        *until = window.expires_ms(feed).map(Timestamp::from_unix_ms);
        if window.needs_refill() {
            self.refresh(slot, now);
        }
    }

    /// Reads the window again and sends the difference.
    fn refresh(&mut self, slot: Slot, now: Timestamp) {
        let Some(sub) = self.subscriptions.get(slot) else {
            return;
        };
        let (State::Window { window, .. }, Some(membership)) = (&sub.state, &sub.membership) else {
            return;
        };
        let work = Work::Refresh {
            subscriber: Arc::clone(&membership.subscriber),
            feed: Arc::clone(&membership.feed),
            shown: window.visible().to_vec(),
        };
        sub.state = State::Reading(Kept::default());
        self.load(slot, work, now);
    }

    /// Changes were left out: they are read from storage, after the last one that was sent (I7).
    pub(super) fn overflowed(&mut self, slot: Slot, now: Timestamp) {
        let Some(sub) = self.subscriptions.get(slot) else {
            return;
        };
        match &mut sub.state {
            State::Beginning { kept, .. } | State::Reading(kept) | State::Waiting { kept, .. } => {
                kept.overflow();
            }
            State::Stalled { .. } | State::Interrupted => {}
            State::Window { .. } => self.refresh(slot, now),
            State::Live { after } => {
                let after = *after;
                if let Some(membership) = &sub.membership {
                    membership.subscriber.set_status(Status::CatchingUp);
                }
                self.read_on(slot, Kept::default(), CatchUp::After(after), now);
            }
        }
    }

    fn read_on(&mut self, slot: Slot, kept: Kept, load: CatchUp, now: Timestamp) {
        let Some(sub) = self.subscriptions.get(slot) else {
            return;
        };
        sub.state = State::Reading(kept);
        let Some(membership) = &sub.membership else {
            return;
        };
        let work = Work::CatchUp {
            subscriber: Arc::clone(&membership.subscriber),
            feed: Arc::clone(&membership.feed),
            load,
        };
        self.load(slot, work, now);
    }

    /// ALTER or DROP of the table: whoever begins anew learns which.
    pub(super) fn table_changed(&mut self, slot: Slot, now: Timestamp) {
        let Some(sub) = self.subscriptions.get(slot) else {
            return;
        };
        if let State::Beginning { table_changed, .. } = &mut sub.state {
            *table_changed = true;
            return;
        }
        let lost = sub
            .membership
            .as_ref()
            .and_then(|membership| self.live.lost_right(&membership.feed, self.access.caller()));
        match lost {
            Some((code, message)) => self.end(slot, code, &message),
            None => self.anew(slot, ResyncReason::SchemaChanged, now),
        }
    }

    pub(super) fn subscription_timer(&mut self, now: Timestamp) {
        let due: Vec<Slot> = self
            .subscriptions
            .subs
            .iter()
            .filter(|sub| sub.state.until().is_some_and(|until| until <= now))
            .map(|sub| sub.slot)
            .collect();
        for slot in due {
            let Some(sub) = self.subscriptions.get(slot) else {
                continue;
            };
            match &sub.state {
                State::Waiting {
                    load, batch_num, ..
                } => {
                    sub.state = if load.ordered.is_some() {
                        State::Interrupted
                    } else {
                        State::Stalled {
                            rows_after: load.rows_after,
                            deletes_after: load.deletes_after,
                            batch_num: *batch_num,
                        }
                    };
                }
                _ => self.refresh(slot, now),
            }
        }
    }
}

fn change_frame(protocol: &Protocol, id: &SubscriptionId, change: &Routed) -> Frame {
    let body = change.body(protocol.serialization);
    let bytes = body.frame(id, protocol.has(Feature::Seq));
    Frame::from_bytes(bytes, protocol.serialization)
}
