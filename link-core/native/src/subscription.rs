//! A live query as a stream of events, and the mailbox between it and the driver.

use std::collections::VecDeque;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures::Stream;
use kalam_link_core::ids::SubscriptionId;
use kalam_link_core::session::SubscriptionEvent;

use crate::client::Shared;
use crate::driver::Signal;
use crate::error::Error;

/// A stream of what happens to a live query: acknowledgement, batches of rows, then changes.
///
/// [`LiveRows`](crate::LiveRows) makes rows of it. A reader that is too slow for the changes is caught up: after
/// [`Acknowledged`](SubscriptionEvent::Acknowledged) with [`Load::Resumed`](crate::Load::Resumed) each row that changed
/// meanwhile comes once, in its latest state. The last item is an error, unless the stream is dropped, which
/// unsubscribes.
#[derive(Debug)]
#[must_use = "a subscription ends when it is dropped"]
pub struct Subscription {
    id: SubscriptionId,
    mailbox: Arc<Mailbox>,
    shared: Arc<Shared>,
}

impl Subscription {
    pub(crate) fn new(id: SubscriptionId, mailbox: Arc<Mailbox>, shared: Arc<Shared>) -> Self {
        Self {
            id,
            mailbox,
            shared,
        }
    }

    /// Unsubscribes, as dropping does.
    pub fn close(self) {}
}

impl Stream for Subscription {
    type Item = Result<SubscriptionEvent, Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let (item, level) = self.mailbox.poll(context);
        if level == Level::Low {
            self.shared.signals.send(Signal::Drained(self.id.clone()));
        }
        item
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.mailbox.abandon();
        self.shared
            .signals
            .send(Signal::SubscriptionOver(self.id.clone()));
    }
}

/// Events that wait to be read. The driver keeps it small by holding back its source.
#[derive(Debug, Default)]
pub(crate) struct Mailbox(Mutex<Contents>);

/// The driver's side, which ends the mailbox when it is dropped: whatever becomes of the driver, the reader does not
/// wait for ever.
#[derive(Debug)]
pub(crate) struct MailboxWriter(pub Arc<Mailbox>);

impl Deref for MailboxWriter {
    type Target = Mailbox;

    fn deref(&self) -> &Mailbox {
        &self.0
    }
}

impl Drop for MailboxWriter {
    fn drop(&mut self) {
        self.end(Error::Closed);
    }
}

#[derive(Debug, Default)]
struct Contents {
    events: VecDeque<SubscriptionEvent>,
    /// Rows in `events`.
    rows: usize,
    /// The driver waits until no more rows than this are left.
    awaited: Option<usize>,
    reader: Option<Waker>,
    end: End,
}

#[derive(Debug, Default)]
enum End {
    #[default]
    None,
    /// To be told after the events.
    Failed(Error),
    Told,
    /// Nobody reads any more.
    Abandoned,
}

/// Whether the driver waits for this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Any,
    /// The mailbox has become as empty as the driver wanted.
    Low,
}

impl Mailbox {
    /// Adds an event and says how many rows wait.
    pub fn push(&self, event: SubscriptionEvent) -> usize {
        let mut contents = self.lock();
        contents.rows += rows_of(&event);
        contents.events.push_back(event);
        let rows = contents.rows;
        wake(contents);
        rows
    }

    /// Asks for a signal when no more than `rows` are left. False: there are not more.
    pub fn await_level(&self, rows: usize) -> bool {
        let mut contents = self.lock();
        let above = contents.rows > rows;
        contents.awaited = above.then_some(rows);
        above
    }

    /// What waits is read first. Only the first end counts.
    pub fn end(&self, error: Error) {
        let mut contents = self.lock();
        if let End::None = contents.end {
            contents.end = End::Failed(error);
            wake(contents);
        }
    }

    pub fn is_abandoned(&self) -> bool {
        matches!(self.lock().end, End::Abandoned)
    }

    fn abandon(&self) {
        let mut contents = self.lock();
        contents.end = End::Abandoned;
        contents.events.clear();
        contents.rows = 0;
    }

    fn poll(
        &self,
        context: &mut Context<'_>,
    ) -> (Poll<Option<Result<SubscriptionEvent, Error>>>, Level) {
        let mut contents = self.lock();
        if let Some(event) = contents.events.pop_front() {
            contents.rows -= rows_of(&event);
            let low = contents.awaited.is_some_and(|rows| contents.rows <= rows);
            if low {
                contents.awaited = None;
            }
            let level = if low { Level::Low } else { Level::Any };
            return (Poll::Ready(Some(Ok(event))), level);
        }
        let item = match std::mem::replace(&mut contents.end, End::Told) {
            End::None => {
                contents.end = End::None;
                contents.reader = Some(context.waker().clone());
                Poll::Pending
            }
            End::Failed(error) => Poll::Ready(Some(Err(error))),
            End::Told | End::Abandoned => Poll::Ready(None),
        };
        (item, Level::Any)
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        // What is done under the lock does not fail half way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes the reader, without the lock.
fn wake(mut contents: MutexGuard<'_, Contents>) {
    let reader = contents.reader.take();
    drop(contents);
    if let Some(reader) = reader {
        reader.wake();
    }
}

/// Events without rows count as one.
fn rows_of(event: &SubscriptionEvent) -> usize {
    match event {
        SubscriptionEvent::Batch { rows, .. } => rows.len().max(1),
        _ => 1,
    }
}
