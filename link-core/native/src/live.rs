//! A live query as its current rows, and the board on which the driver writes them.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures::Stream;
use kalam_link_core::ids::SubscriptionId;
use kalam_link_core::live_rows::{LiveRows, LiveStatus, Position, RowChange};
use kalam_link_core::message::Row;
use kalam_link_core::value::Field;

use crate::client::Shared;
use crate::driver::Signal;
use crate::error::Error;

/// The rows of a live query, and a stream of how they are after they changed.
///
/// The stream begins when the first load is complete. Changes that come faster than it is read are one item. The last
/// item is an error, after which the last rows can still be read; dropping it unsubscribes.
#[derive(Debug)]
#[must_use = "a live query ends when it is dropped"]
pub struct Live {
    id: SubscriptionId,
    board: Arc<Board>,
    shared: Arc<Shared>,
}

/// Rows at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveSnapshot {
    /// In order: that of ORDER BY, then that of the key.
    pub rows: Vec<Arc<Row>>,
    /// How far they are to be trusted.
    pub status: LiveStatus,
}

impl Live {
    pub(crate) fn new(id: SubscriptionId, board: Arc<Board>, shared: Arc<Shared>) -> Self {
        Self { id, board, shared }
    }

    /// The rows that there are, complete or not.
    #[must_use]
    pub fn rows(&self) -> Vec<Arc<Row>> {
        self.board.lock().rows()
    }

    #[must_use]
    pub fn status(&self) -> LiveStatus {
        self.board.lock().status
    }

    /// The selected columns; empty before the server acknowledged the query.
    #[must_use]
    pub fn schema(&self) -> Vec<Field> {
        self.board.lock().schema.clone()
    }

    /// Unsubscribes, as dropping does.
    pub fn close(self) {}
}

impl Stream for Live {
    type Item = Result<LiveSnapshot, Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.board.poll(context)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.board.lock().end = End::Abandoned;
        self.shared
            .signals
            .send(Signal::SubscriptionOver(self.id.clone()));
    }
}

/// A copy of the session's rows for the reader. Rows are shared, the map is its own: the driver writes only what
/// changed, and the reader pays for the snapshots.
#[derive(Debug, Default)]
pub(crate) struct Board(Mutex<Contents>);

/// The driver's side, which ends the board when it is dropped: whatever becomes of the driver, the reader does not wait
/// for ever.
#[derive(Debug)]
pub(crate) struct BoardWriter(pub Arc<Board>);

impl Deref for BoardWriter {
    type Target = Board;

    fn deref(&self) -> &Board {
        &self.0
    }
}

impl Drop for BoardWriter {
    fn drop(&mut self) {
        self.end(Error::Closed);
    }
}

#[derive(Debug, Default)]
struct Contents {
    rows: BTreeMap<Position, Arc<Row>>,
    schema: Vec<Field>,
    status: LiveStatus,
    /// Of the session's rows, up to which `rows` are the same.
    version: u64,
    load: FirstLoad,
    news: News,
    reader: Option<Waker>,
    end: End,
}

/// Whether the rows were ever complete: before that the reader gets none, also if the connection is lost meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum FirstLoad {
    #[default]
    Running,
    Complete,
}

/// Whether there is something that the reader has not seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum News {
    #[default]
    None,
    Some,
}

#[derive(Debug, Default)]
enum End {
    #[default]
    None,
    Failed(Error),
    Told,
    /// Nobody reads any more.
    Abandoned,
}

impl Contents {
    fn rows(&self) -> Vec<Arc<Row>> {
        self.rows.values().cloned().collect()
    }

    fn follow(&mut self, rows: &LiveRows) {
        match rows.changes_since(self.version) {
            Some(changes) => {
                for change in changes {
                    match change {
                        RowChange::Put { position, row } => {
                            self.rows.insert(position.clone(), Arc::clone(row));
                        }
                        RowChange::Removed { position } => {
                            self.rows.remove(position);
                        }
                    }
                }
            }
            None => {
                let rows = rows.rows();
                self.rows = rows
                    .map(|(position, row)| (position.clone(), Arc::clone(row)))
                    .collect();
            }
        }
        self.version = rows.version();
        self.status = rows.status();
        if self.status == LiveStatus::Live {
            self.load = FirstLoad::Complete;
        }
        if self.schema != rows.schema() {
            self.schema = rows.schema().to_vec();
        }
    }
}

impl Board {
    /// Catches up with the session's rows.
    pub fn update(&self, rows: &LiveRows) {
        let mut contents = self.lock();
        contents.follow(rows);
        contents.news = News::Some;
        wake(contents);
    }

    /// The rows stay. Only the first end counts.
    pub fn end(&self, error: Error) {
        let mut contents = self.lock();
        if let End::None = contents.end {
            contents.end = End::Failed(error);
            contents.status = LiveStatus::Failed;
            wake(contents);
        }
    }

    pub fn is_abandoned(&self) -> bool {
        matches!(self.lock().end, End::Abandoned)
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<Option<Result<LiveSnapshot, Error>>> {
        let mut contents = self.lock();
        match std::mem::take(&mut contents.end) {
            End::None => {}
            end @ End::Abandoned => {
                contents.end = end;
                return Poll::Ready(None);
            }
            End::Failed(error) => {
                contents.end = End::Told;
                return Poll::Ready(Some(Err(error)));
            }
            End::Told => {
                contents.end = End::Told;
                return Poll::Ready(None);
            }
        }
        if contents.news == News::Some && contents.load == FirstLoad::Complete {
            contents.news = News::None;
            return Poll::Ready(Some(Ok(LiveSnapshot {
                rows: contents.rows(),
                status: contents.status,
            })));
        }
        contents.reader = Some(context.waker().clone());
        Poll::Pending
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
