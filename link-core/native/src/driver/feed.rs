//! The driver's end of a subscription: holds back its source while the reader is behind.
//!
//! Batches are asked for, so that not asking is enough. Changes are not: when too many wait, the subscription ends on
//! the server and begins again from its last seq once they are read, so that each row that changed meanwhile comes
//! once.

use kalam_link_core::ids::SeqId;
use kalam_link_core::session::{Input, Load, Subscribe, SubscriptionEvent};

use crate::error::Error;
use crate::subscription::MailboxWriter;

pub(super) struct Feed {
    mailbox: MailboxWriter,
    request: Subscribe,
    rows_max: usize,
    source: Source,
    stage: Stage,
    /// Everything up to here is in the mailbox or was read.
    seq: Option<SeqId>,
    /// Whether the server can go on after it.
    resume: Resume,
}

/// Whether more may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Open,
    /// No batches.
    Paused,
    /// Nothing: not subscribed.
    Stopped,
}

/// Whether a subscription that was stopped goes on where it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resume {
    FromSeq,
    /// A window, or a server whose changes have no seq: everything is loaded again.
    Never,
}

/// How far the subscription is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Loading,
    /// Loading what changed since some seq: the rows before it stand.
    CatchingUp,
    Live,
}

impl From<Option<SeqId>> for Stage {
    /// The stage of a subscription that begins there.
    fn from(seq: Option<SeqId>) -> Self {
        match seq {
            None => Self::Loading,
            Some(_) => Self::CatchingUp,
        }
    }
}

impl Feed {
    pub fn new(request: Subscribe, mailbox: MailboxWriter, rows_max: usize) -> Self {
        let seq = request.options.from;
        Self {
            mailbox,
            request,
            rows_max,
            source: Source::Open,
            stage: Stage::from(seq),
            seq,
            resume: Resume::FromSeq,
        }
    }

    /// Passes an event on. Returned is what the session is to be told.
    pub fn take(&mut self, mut event: SubscriptionEvent) -> Option<Input> {
        self.follow(&mut event);
        let rows = self.mailbox.push(event);
        let id = self.request.id.clone();
        if self.stage == Stage::Live && rows >= self.rows_max {
            return self.hold(Source::Stopped, Input::Unsubscribe { id });
        }
        if self.source == Source::Open && rows >= self.rows_max.div_ceil(2) {
            return self.hold(Source::Paused, Input::Pause { id });
        }
        None
    }

    /// The reader has caught up.
    pub fn drained(&mut self) -> Option<Input> {
        let id = self.request.id.clone();
        match std::mem::replace(&mut self.source, Source::Open) {
            Source::Open => None,
            Source::Paused => Some(Input::Resume { id }),
            Source::Stopped => {
                if self.resume == Resume::Never {
                    self.seq = None;
                }
                let mut request = self.request.clone();
                request.options.from = self.seq;
                self.stage = Stage::from(self.seq);
                Some(Input::Subscribe(request))
            }
        }
    }

    pub fn end(&self, error: Error) {
        self.mailbox.end(error);
    }

    fn hold(&mut self, source: Source, input: Input) -> Option<Input> {
        // The reader may have emptied the mailbox since.
        if !self.mailbox.await_level(self.rows_max / 4) {
            return None;
        }
        self.source = source;
        Some(input)
    }

    fn follow(&mut self, event: &mut SubscriptionEvent) {
        match event {
            SubscriptionEvent::Acknowledged { ack, load } => {
                self.resume = match ack.limit {
                    None => Resume::FromSeq,
                    Some(_) => Resume::Never,
                };
                match self.stage {
                    Stage::CatchingUp => *load = Load::Resumed,
                    Stage::Loading | Stage::Live => self.stage = Stage::Loading,
                }
                // Of a load without rows.
                if !ack.batch_control.has_more {
                    self.seq = self.seq.max(ack.batch_control.last_seq_id);
                }
            }
            SubscriptionEvent::Resync { .. } => {
                self.stage = Stage::Loading;
                self.seq = None;
            }
            SubscriptionEvent::Batch { control, .. } if !control.has_more => {
                self.seq = self.seq.max(control.last_seq_id);
            }
            SubscriptionEvent::Live => self.stage = Stage::Live,
            SubscriptionEvent::Change(change) if self.stage == Stage::Live => {
                self.seq = self.seq.max(change.seq);
                if change.seq.is_none() {
                    self.resume = Resume::Never;
                }
            }
            SubscriptionEvent::Offline if self.stage == Stage::Live => {
                self.stage = Stage::Loading;
            }
            _ => {}
        }
    }
}
