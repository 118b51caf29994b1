//! Who subscribes to what, and the way of each committed change to them. Publishing never waits for a subscriber (I7):
//! the writer hands a commit to the router's thread, and what the router cannot take becomes a resume.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use kalam_model::{Change, TableNumber, Timestamp, UserId};
use parking_lot::{Mutex, RwLock, RwLockReadGuard};

use super::feed::{Feed, FeedKey, Subscriber};
use super::index::Index;
use super::queue::{ConnQueue, Connected, Event, Peer};
use crate::catalog::Catalog;
use crate::error::Error;
use crate::published::{Effects, Published};

/// Commits that may wait for the router.
const COMMITS_MAX: usize = 4_096;

/// Bytes of rows that may wait for the router.
const WAITING_BYTES_MAX: usize = 32 << 20;

/// Membership of a subscription in its feed; ends when it is dropped.
pub(crate) struct Membership {
    hub: Arc<Hub>,
    pub(crate) feed: Arc<Feed>,
    pub(crate) subscriber: Arc<Subscriber>,
}

impl Membership {
    /// Joins the feed of that key, which is made if there is none. Every change that is committed from here on reaches
    /// the subscriber. May wait for the commit under way.
    pub(crate) fn join(
        hub: &Arc<Hub>,
        key: &FeedKey,
        subscriber: Arc<Subscriber>,
        make: impl FnOnce(&mut Index) -> Feed,
    ) -> Self {
        Self {
            feed: hub.join(key, &subscriber, make),
            hub: Arc::clone(hub),
            subscriber,
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.hub.leave(&self.feed, &self.subscriber);
    }
}

/// What subscribers learn of one commit.
#[derive(Debug, Default)]
pub(crate) struct Committed {
    changes: Vec<Change>,
    /// Whether tables were altered or dropped.
    altered: bool,
    users: BTreeSet<UserId>,
    bytes: usize,
}

impl Committed {
    /// Takes what concerns subscribers out of the effects; `None` if nothing does.
    pub(crate) fn take(effects: &mut Effects) -> Option<Self> {
        let committed = Self {
            bytes: effects.changes.iter().map(change_bytes).sum(),
            changes: std::mem::take(&mut effects.changes),
            altered: effects.catalog.is_some(),
            users: effects.users.clone(),
        };
        let concerns =
            !committed.changes.is_empty() || committed.altered || !committed.users.is_empty();
        concerns.then_some(committed)
    }
}

fn change_bytes(change: &Change) -> usize {
    use kalam_model::ChangeKind as K;
    size_of::<Change>()
        + match &change.kind {
            K::Insert { new } => new.memory_bytes(),
            K::Update { old, new, .. } => old.memory_bytes() + new.memory_bytes(),
            K::Delete { old, .. } => old.memory_bytes(),
        }
}

/// Subscriptions and connections of a node.
pub(crate) struct Hub {
    /// Tables whose changes the writer collects. The writer holds it from the first command of a commit until the commit
    /// is handed over: whoever adds a table therefore knows that each commit after that collects its changes.
    watched: RwLock<Arc<BTreeSet<TableNumber>>>,
    /// Feeds a table has. Locked before `watched`.
    feeds_of: Mutex<BTreeMap<TableNumber, usize>>,
    index: Mutex<Index>,
    connections: Mutex<BTreeMap<u64, Connected>>,
    next_connection: AtomicU64,
    /// Bytes that wait for the router.
    waiting_bytes: AtomicUsize,
    /// What the router could not take as it came.
    lost: Mutex<Lost>,
    published: Arc<Published>,
}

/// What is left of commits that did not fit: enough to make resumes of them.
#[derive(Default)]
struct Lost {
    /// Tables with changes that were left out.
    tables: BTreeSet<TableNumber>,
    altered: bool,
    users: BTreeSet<UserId>,
}

impl Hub {
    pub(crate) fn new(published: Arc<Published>) -> Self {
        Self {
            published,
            watched: RwLock::default(),
            feeds_of: Mutex::default(),
            index: Mutex::default(),
            connections: Mutex::default(),
            next_connection: AtomicU64::new(1),
            waiting_bytes: AtomicUsize::new(0),
            lost: Mutex::default(),
        }
    }

    /// Tables to collect changes of. To be held until the commit is handed over.
    pub(crate) fn begin_commit(&self) -> RwLockReadGuard<'_, Arc<BTreeSet<TableNumber>>> {
        self.watched.read()
    }

    pub(crate) fn connect(&self, queue: &Arc<ConnQueue>, peer: Peer, now: Timestamp) -> u64 {
        let number = self.next_connection.fetch_add(1, Ordering::Relaxed);
        let connected = Connected {
            queue: Arc::clone(queue),
            user: None,
            peer,
            opened_at: now,
        };
        self.connections.lock().insert(number, connected);
        number
    }

    pub(crate) fn identify(&self, connection: u64, user: &UserId) {
        if let Some(connected) = self.connections.lock().get_mut(&connection) {
            connected.user = Some(user.clone());
        }
    }

    pub(crate) fn disconnect(&self, connection: u64) {
        self.connections.lock().remove(&connection);
    }

    /// Shows every connection.
    pub(crate) fn visit_connections(&self, mut visit: impl FnMut(u64, &Connected)) {
        for (number, connected) in &*self.connections.lock() {
            visit(*number, connected);
        }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.lock().len()
    }

    pub(crate) fn subscriptions(&self) -> usize {
        self.index.lock().subscriptions()
    }

    fn join(
        &self,
        key: &FeedKey,
        subscriber: &Arc<Subscriber>,
        make: impl FnOnce(&mut Index) -> Feed,
    ) -> Arc<Feed> {
        {
            let mut index = self.index.lock();
            if let Some(feed) = index.get(key).map(Arc::clone) {
                feed.subscribers.lock().push(Arc::clone(subscriber));
                index.count(1, 0);
                return feed;
            }
        }
        // The table first: a feed in the index promises its changes.
        self.watch(key.table);
        let mut index = self.index.lock();
        index.count(1, 0);
        if let Some(feed) = index.get(key).map(Arc::clone) {
            feed.subscribers.lock().push(Arc::clone(subscriber));
            drop(index);
            self.unwatch(key.table);
            return feed;
        }
        let feed = Arc::new(make(&mut index));
        feed.subscribers.lock().push(Arc::clone(subscriber));
        index.insert(&feed);
        feed
    }

    /// Takes a subscriber out of its feed, which ends with its last one.
    fn leave(&self, feed: &Arc<Feed>, subscriber: &Arc<Subscriber>) {
        let mut index = self.index.lock();
        let mut subscribers = feed.subscribers.lock();
        let Some(at) = subscribers
            .iter()
            .position(|other| Arc::ptr_eq(other, subscriber))
        else {
            return;
        };
        subscribers.swap_remove(at);
        index.count(0, 1);
        // Room for a thousand is worth giving back, for a few it is not.
        if subscribers.capacity() > 4 * subscribers.len().max(16) {
            let kept = subscribers.len();
            subscribers.shrink_to(kept * 2);
        }
        if !subscribers.is_empty() {
            return;
        }
        drop(subscribers);
        // A feed of an altered table has left the index already.
        if index
            .get(&feed.key)
            .is_some_and(|known| Arc::ptr_eq(known, feed))
        {
            index.remove(feed);
            drop(index);
            self.unwatch(feed.key.table);
        }
    }

    fn watch(&self, table: TableNumber) {
        let mut feeds_of = self.feeds_of.lock();
        let feeds = feeds_of.entry(table).or_default();
        *feeds += 1;
        if *feeds == 1 {
            Arc::make_mut(&mut self.watched.write()).insert(table);
        }
    }

    /// Does not wait for the writer: a table that stays watched costs the reading of old rows, until its next feed ends.
    fn unwatch(&self, table: TableNumber) {
        let mut feeds_of = self.feeds_of.lock();
        let Some(feeds) = feeds_of.get_mut(&table) else {
            return;
        };
        *feeds -= 1;
        if *feeds == 0 {
            feeds_of.remove(&table);
            if let Some(mut watched) = self.watched.try_write() {
                Arc::make_mut(&mut watched).remove(&table);
            }
        }
    }

    /// What one commit means to each subscriber, in commit order.
    pub(crate) fn route(&self, committed: Committed) {
        let lost = std::mem::take(&mut *self.lost.lock());
        if !lost.tables.is_empty() {
            self.overflow_tables(&lost.tables);
        }
        if !committed.changes.is_empty() {
            let index = self.index.lock();
            for change in committed.changes {
                route_change(&index, &Arc::new(change));
            }
        }
        if lost.altered || committed.altered {
            // As it is by this time: a feed may be of a table that is younger than this commit.
            self.end_older_feeds(&self.published.catalog());
        }
        for users in [lost.users, committed.users] {
            if !users.is_empty() {
                self.tell_users(&users);
            }
        }
    }

    fn tell_users(&self, users: &BTreeSet<UserId>) {
        for connected in self.connections.lock().values() {
            if connected
                .user
                .as_ref()
                .is_some_and(|user| users.contains(user))
            {
                connected.queue.push(Event::UserChanged);
            }
        }
    }

    fn lose(&self, committed: Committed) {
        let mut lost = self.lost.lock();
        lost.tables
            .extend(committed.changes.iter().map(|change| change.table.number));
        lost.users.extend(committed.users);
        lost.altered |= committed.altered;
    }

    fn overflow_tables(&self, tables: &BTreeSet<TableNumber>) {
        for feed in self.index.lock().feeds() {
            if tables.contains(&feed.key.table) {
                for subscriber in feed.subscribers.lock().iter() {
                    subscriber.queue.overflow(subscriber.slot);
                }
            }
        }
    }

    /// Feeds of tables that are gone or have another schema: their subscribers begin anew.
    fn end_older_feeds(&self, catalog: &Catalog) {
        let mut index = self.index.lock();
        let older: Vec<Arc<Feed>> = index
            .feeds()
            .filter(|feed| {
                catalog
                    .table_by_number(feed.key.table)
                    .is_none_or(|table| table.def.schema_version > feed.key.schema_version)
            })
            .map(Arc::clone)
            .collect();
        for feed in older {
            index.remove(&feed);
            index.forget_shapes(feed.key.table, feed.key.schema_version);
            for subscriber in feed.subscribers.lock().iter() {
                let slot = subscriber.slot;
                subscriber.queue.push(Event::TableChanged { slot });
            }
            self.unwatch(feed.key.table);
        }
    }

    /// Ends a subscription; false if there is none of that id.
    pub(crate) fn kill(&self, live_id: &str) -> bool {
        let index = self.index.lock();
        for feed in index.feeds() {
            for subscriber in feed.subscribers.lock().iter() {
                if subscriber.live_id() == live_id {
                    let slot = subscriber.slot;
                    subscriber.queue.push(Event::Killed { slot });
                    return true;
                }
            }
        }
        false
    }

    /// Shows every subscription.
    pub(crate) fn visit(&self, mut visit: impl FnMut(&Feed, &Subscriber)) {
        let index = self.index.lock();
        for feed in index.feeds() {
            for subscriber in feed.subscribers.lock().iter() {
                visit(feed, subscriber);
            }
        }
    }
}

fn route_change(index: &Index, change: &Arc<Change>) {
    index.candidates(change, |feed| match feed.judge(change) {
        Ok(None) => {}
        Ok(Some(routed)) => {
            let routed = Arc::new(routed);
            for subscriber in feed.subscribers.lock().iter() {
                subscriber.queue.push_change(subscriber.slot, &routed);
            }
        }
        // The query itself fails now: reading it again finds out how, and ends the subscription.
        Err(_) => {
            for subscriber in feed.subscribers.lock().iter() {
                subscriber.queue.overflow(subscriber.slot);
            }
        }
    });
}

/// The thread that routes commits.
pub(crate) struct Router {
    hub: Arc<Hub>,
    sender: Mutex<Option<SyncSender<Committed>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Router {
    pub(crate) fn start(hub: &Arc<Hub>) -> Result<Self, Error> {
        let (sender, receiver) = sync_channel(COMMITS_MAX);
        let theirs = Arc::clone(hub);
        let thread = std::thread::Builder::new()
            .name("kalam-router".to_owned())
            .spawn(move || run(&theirs, &receiver))
            .map_err(Error::Thread)?;
        Ok(Self {
            hub: Arc::clone(hub),
            sender: Mutex::new(Some(sender)),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Does not block (I7). Of what does not fit, the router learns only which tables it concerns.
    pub(crate) fn send(&self, committed: Committed) {
        let sender = self.sender.lock();
        let Some(sender) = &*sender else { return };
        let bytes = committed.bytes;
        let waiting = self.hub.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        let refused = if waiting + bytes > WAITING_BYTES_MAX && bytes > 0 {
            Some(committed)
        } else {
            match sender.try_send(committed) {
                Ok(()) | Err(TrySendError::Disconnected(_)) => None,
                Err(TrySendError::Full(committed)) => Some(committed),
            }
        };
        if let Some(committed) = refused {
            self.hub.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.hub.lose(committed);
            // Wakes the router if nothing else does.
            let _ = sender.try_send(Committed::default());
        }
    }

    /// Routes what waits, then ends the thread.
    pub(crate) fn close(&self) {
        self.sender.lock().take();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the router thread panicked");
        }
    }
}

fn run(hub: &Hub, receiver: &Receiver<Committed>) {
    while let Ok(committed) = receiver.recv() {
        hub.waiting_bytes
            .fetch_sub(committed.bytes, Ordering::Relaxed);
        hub.route(committed);
    }
}
