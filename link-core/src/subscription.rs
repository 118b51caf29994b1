//! One live query on the client: how far it is loaded, where it resumes, and which changes it has seen.
//!
//! The resume point says: everything up to here was received. It rises
//!
//! - with each batch of a load in `_seq` order, and of every resumed load;
//! - with the last batch of a load in another order;
//! - with each change once the load is complete. The deletes that come during a resumed load do not move it: rows of
//!   the same stretch are still to come, in the batch that ends it.

use crate::ids::{SeqId, SubscriptionId};
use crate::live_rows::{LiveRows, LiveStatus};
use crate::message::{
    BatchControl, BatchStatus, Change, ClientMessage, Params, ResyncReason, Row, SubscribeOptions,
    SubscriptionAck, SubscriptionRequest,
};
use crate::session::{Delivery, Load, Subscribe, SubscriptionError, SubscriptionEvent};
use crate::time::Millis;

/// A subscription, across connections.
#[derive(Debug)]
pub(crate) struct Subscription {
    request: Subscribe,
    state: State,
    /// None: only a whole load helps.
    resume: Option<SeqId>,
    order: LoadOrder,
    gate: Gate,
    rows: Option<KeptRows>,
    /// What the application is to be told, in order.
    events: Vec<SubscriptionEvent>,
}

#[derive(Debug)]
enum State {
    /// Not on a connection.
    Pending,
    Attached {
        wire: SubscriptionId,
        stage: Stage,
    },
    /// Over. Its rows can still be read.
    Closed,
}

/// How far it is on its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Not acknowledged. What comes before the acknowledgement is void.
    Requested(Load),
    Loading(Load),
    Live,
}

/// In which order the rows of a whole load come, which decides whether a part of it is worth anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LoadOrder {
    Seq,
    /// ORDER BY: only the whole is.
    Other,
    /// LIMIT: the server keeps the window as long as the connection lasts.
    Window,
}

/// Whether the application wants more of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    Open,
    Paused,
    /// The server waits for `next_batch` with this seq.
    Owing(Option<SeqId>),
}

/// Rows that the session keeps.
#[derive(Debug)]
struct KeptRows {
    rows: LiveRows,
    /// What the application knows of.
    told: (u64, LiveStatus),
}

/// What the server of this connection promises about `seq`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SeqSupport {
    /// Each change has one, and loads can be resumed.
    Full,
    /// First generation: every connection loads afresh.
    None,
}

impl Subscription {
    pub(crate) fn new(request: Subscribe) -> Self {
        let rows = match request.delivery {
            Delivery::Events => None,
            Delivery::Rows => Some(KeptRows {
                rows: LiveRows::new(),
                told: (0, LiveStatus::Loading),
            }),
        };
        Self {
            request,
            state: State::Pending,
            resume: None,
            order: LoadOrder::Seq,
            gate: Gate::Open,
            rows,
            events: Vec::new(),
        }
    }

    pub(crate) fn is_pending(&self) -> bool {
        matches!(self.state, State::Pending)
    }

    pub(crate) fn wire(&self) -> Option<&SubscriptionId> {
        match &self.state {
            State::Attached { wire, .. } => Some(wire),
            State::Pending | State::Closed => None,
        }
    }

    pub(crate) fn rows(&self) -> Option<&LiveRows> {
        self.rows.as_ref().map(|kept| &kept.rows)
    }

    /// The message that begins it, or goes on with it, on a new connection.
    pub(crate) fn attach(
        &mut self,
        wire: SubscriptionId,
        seq: SeqSupport,
    ) -> ClientMessage<Params> {
        if self.order == LoadOrder::Window || seq == SeqSupport::None {
            self.resume = None;
        }
        let (load, options) = match self.resume {
            None => (Load::Fresh, self.request.options),
            Some(_) => (
                Load::Resumed,
                SubscribeOptions {
                    batch_size: self.request.options.batch_size,
                    last_rows: None,
                    from: self.resume,
                },
            ),
        };
        self.state = State::Attached {
            wire: wire.clone(),
            stage: Stage::Requested(load),
        };
        ClientMessage::Subscribe {
            subscription: self.message(wire, options),
        }
    }

    /// The message as it would be on the wire, for its size.
    pub(crate) fn message(
        &self,
        wire: SubscriptionId,
        options: SubscribeOptions,
    ) -> SubscriptionRequest<Params> {
        SubscriptionRequest {
            id: wire,
            sql: self.request.sql.clone(),
            params: self.request.params.clone(),
            options: Some(options),
        }
    }

    /// The connection is gone.
    pub(crate) fn detach(&mut self, now: Millis) {
        if !matches!(self.state, State::Attached { .. }) {
            return;
        }
        self.state = State::Pending;
        // The next connection has a load of its own.
        if self.gate != Gate::Open {
            self.gate = Gate::Paused;
        }
        self.deliver(SubscriptionEvent::Offline, now);
    }

    pub(crate) fn on_ack(&mut self, ack: SubscriptionAck, now: Millis) {
        let State::Attached { stage, .. } = &mut self.state else {
            return;
        };
        let load = match *stage {
            Stage::Requested(load) => load,
            // The server began anew without being asked.
            Stage::Loading(_) | Stage::Live => Load::Fresh,
        };
        *stage = Stage::Loading(load);
        self.order = match (ack.limit, ack.order_by.is_empty()) {
            (Some(_), _) => LoadOrder::Window,
            (None, false) => LoadOrder::Other,
            (None, true) => LoadOrder::Seq,
        };
        if load == Load::Fresh {
            self.resume = None;
        }
        let control = ack.batch_control;
        self.deliver(SubscriptionEvent::Acknowledged { ack, load }, now);
        if control.status == BatchStatus::Ready {
            self.complete(control.last_seq_id, now);
        }
    }

    /// The message that asks for more, if more is wanted.
    pub(crate) fn on_batch(
        &mut self,
        rows: Vec<Row>,
        control: BatchControl,
        now: Millis,
    ) -> Option<ClientMessage<Params>> {
        let State::Attached { wire, stage } = &self.state else {
            return None;
        };
        let (wire, stage) = (wire.clone(), *stage);
        if matches!(stage, Stage::Requested(_)) {
            return None;
        }
        self.deliver(SubscriptionEvent::Batch { rows, control }, now);
        if !control.has_more {
            self.complete(control.last_seq_id, now);
            return None;
        }
        if stage == Stage::Loading(Load::Resumed) || self.order == LoadOrder::Seq {
            self.advance(control.last_seq_id);
        }
        if self.gate == Gate::Open {
            return Some(ClientMessage::NextBatch {
                subscription_id: wire,
                last_seq_id: control.last_seq_id,
            });
        }
        self.gate = Gate::Owing(control.last_seq_id);
        None
    }

    fn complete(&mut self, snapshot: Option<SeqId>, now: Millis) {
        self.advance(snapshot);
        if let State::Attached { stage, .. } = &mut self.state {
            *stage = Stage::Live;
        }
        self.deliver(SubscriptionEvent::Live, now);
    }

    fn advance(&mut self, seq: Option<SeqId>) {
        self.resume = self.resume.max(seq);
    }

    pub(crate) fn on_change(&mut self, change: Change, seq: SeqSupport, now: Millis) {
        let State::Attached { stage, .. } = &self.state else {
            return;
        };
        if matches!(stage, Stage::Requested(_)) {
            return;
        }
        // One commit may move several rows in and out of a window, all with its seq. A window is never resumed, so
        // nothing comes twice.
        if seq == SeqSupport::Full && self.order != LoadOrder::Window && change.seq.is_some() {
            if change.seq <= self.resume {
                return;
            }
            if *stage == Stage::Live {
                self.resume = change.seq;
            }
        }
        self.deliver(SubscriptionEvent::Change(change), now);
    }

    pub(crate) fn on_resync(&mut self, reason: ResyncReason, now: Millis) {
        let State::Attached { stage, .. } = &mut self.state else {
            return;
        };
        *stage = Stage::Requested(Load::Fresh);
        self.resume = None;
        // Where the application wanted to go on is void too.
        self.request.options.from = None;
        if self.gate != Gate::Open {
            self.gate = Gate::Paused;
        }
        self.deliver(SubscriptionEvent::Resync { reason }, now);
    }

    pub(crate) fn on_ended(&mut self, error: SubscriptionError, now: Millis) {
        self.state = State::Closed;
        self.deliver(SubscriptionEvent::Ended(error), now);
    }

    pub(crate) fn pause(&mut self) {
        if self.gate == Gate::Open {
            self.gate = Gate::Paused;
        }
    }

    /// The message that was held back.
    pub(crate) fn unpause(&mut self) -> Option<ClientMessage<Params>> {
        let gate = std::mem::replace(&mut self.gate, Gate::Open);
        match (gate, self.wire()) {
            (Gate::Owing(last_seq_id), Some(wire)) => Some(ClientMessage::NextBatch {
                subscription_id: wire.clone(),
                last_seq_id,
            }),
            _ => None,
        }
    }

    /// When a row that the session keeps expires.
    pub(crate) fn next_expiry(&self) -> Option<Millis> {
        self.rows()?.next_expiry()
    }

    pub(crate) fn expire(&mut self, now: Millis) {
        if let Some(kept) = &mut self.rows {
            kept.rows.expire(now);
        }
    }

    fn deliver(&mut self, event: SubscriptionEvent, now: Millis) {
        let Some(kept) = &mut self.rows else {
            self.events.push(event);
            return;
        };
        if !matches!(
            event,
            SubscriptionEvent::Batch { .. } | SubscriptionEvent::Change(_)
        ) {
            self.events.push(event.clone());
        }
        kept.rows.apply(event, now);
    }

    /// What the application should be told about what happened since the last call.
    pub(crate) fn take_events(&mut self) -> Vec<SubscriptionEvent> {
        let mut events = std::mem::take(&mut self.events);
        if let Some(kept) = &mut self.rows {
            let current = (kept.rows.version(), kept.rows.status());
            if std::mem::replace(&mut kept.told, current) != current {
                events.push(SubscriptionEvent::RowsChanged);
            }
        }
        events
    }
}
