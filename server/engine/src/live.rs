//! Live queries: from a committed change to everybody whose query's result it changes.
//!
//! ```text
//! writer ─ commit ─> Router ─> Hub ─> Index: which feeds? ─> Feed: what does it mean? ─> queue of each subscriber
//!                                                                                              │
//! socket <─ frames ─ Conn <───────────────────────────── events ────────────────────────────────┘
//!                      └── LoadJob: rows at a snapshot, what was missed
//! ```
//!
//! A subscription joins its feed before it takes its snapshot, so that no change falls between the two (I6). Nothing
//! here opens a socket: the server drives a [`Conn`] for each.

mod conn;
mod feed;
mod hub;
mod index;
mod info;
mod job;
mod load;
mod queue;
mod window;

use std::sync::Arc;

use kalam_link_core::UserId;
use kalam_link_core::message::LiveErrorCode;
use kalam_model::{Caller, Timestamp};
use kalam_store::Store;

pub use conn::{Conn, ConnOptions, Identity, Output};
pub use info::{LiveInfo, SessionInfo};
pub use job::{LoadJob, Loaded};
pub use queue::{Bounds, ConnQueue, Peer};
pub use window::check_limit;

use feed::{Feed, Subscriber};
use hub::{Committed, Hub, Router};

use crate::apply::Applier;
use crate::catalog::Catalog;
use crate::error::Error;
use crate::published::{Effects, Published};

/// Live queries of a node.
pub struct Live {
    pub(crate) hub: Arc<Hub>,
    pub(crate) store: Store,
    published: Arc<Published>,
    /// None: commits are routed where they are published.
    router: Option<Router>,
}

impl Live {
    pub(crate) fn start(store: Store, published: Arc<Published>) -> Result<Arc<Self>, Error> {
        let hub = Arc::new(Hub::new(Arc::clone(&published)));
        let router = Router::start(&hub)?;
        Ok(Arc::new(Self {
            hub,
            store,
            published,
            router: Some(router),
        }))
    }

    /// Without a thread and an engine: whoever applies commands calls [`committed`](Self::committed) after each commit.
    /// For simulations.
    #[must_use]
    pub fn detached(store: Store, applier: &Applier) -> Arc<Self> {
        let published = Arc::new(Published::new(applier.catalog(), applier.last_seq()));
        Arc::new(Self {
            hub: Arc::new(Hub::new(Arc::clone(&published))),
            store,
            published,
            router: None,
        })
    }

    /// A connection that somebody opened.
    #[must_use]
    pub fn connect(
        self: &Arc<Self>,
        peer: Peer,
        options: &Arc<ConnOptions>,
        now: Timestamp,
    ) -> Conn {
        Conn::new(Arc::clone(self), peer, Arc::clone(options), now)
    }

    /// Lets the applier collect what subscribers are to learn of its next commit. Hold the guard until
    /// [`committed`](Self::committed) has returned.
    pub fn begin_commit<'a>(&'a self, applier: &mut Applier) -> CommitGuard<'a> {
        let watched = self.hub.begin_commit();
        applier.watch(Arc::clone(&watched));
        CommitGuard { _watched: watched }
    }

    /// Publishes a commit: after it, never before. Does not block (I7).
    pub fn committed(&self, mut effects: Effects) {
        let committed = Committed::take(&mut effects);
        self.published.publish(effects);
        let Some(committed) = committed else { return };
        match &self.router {
            Some(router) => router.send(committed),
            None => self.hub.route(committed),
        }
    }

    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        self.published.catalog()
    }

    /// What a subscriber whose table has changed is told, if it cannot go on with it.
    pub(crate) fn lost_right(
        &self,
        feed: &Feed,
        caller: Option<&Caller>,
    ) -> Option<(LiveErrorCode, String)> {
        let id = &feed.table.def.id;
        let catalog = self.catalog();
        let Some(table) = catalog.table_by_number(feed.key.table) else {
            return Some((LiveErrorCode::NotFound, format!("table not found: `{id}`")));
        };
        let readable = caller.is_some_and(|caller| caller.may_read(&table.def).is_ok());
        (!readable).then(|| {
            (
                LiveErrorCode::Unauthorized,
                format!("no permission to read `{id}` any more"),
            )
        })
    }

    /// Every subscription, for those who may see them.
    #[must_use]
    pub fn list(&self) -> Vec<LiveInfo> {
        self.listed(|_| true)
    }

    /// The subscriptions of one user.
    #[must_use]
    pub fn list_of(&self, user: &UserId) -> Vec<LiveInfo> {
        self.listed(|subscriber| subscriber.user == *user)
    }

    fn listed(&self, wanted: impl Fn(&Subscriber) -> bool) -> Vec<LiveInfo> {
        let mut heard = std::collections::BTreeMap::new();
        self.hub.visit_connections(|number, connected| {
            heard.insert(number, (connected.queue.heard_ms(), connected.queue.len()));
        });
        let mut found = Vec::new();
        self.hub.visit(|feed, subscriber| {
            if !wanted(subscriber) {
                return;
            }
            let (heard_ms, waiting) = heard
                .get(&subscriber.connection)
                .copied()
                .unwrap_or_default();
            found.push(LiveInfo {
                live_id: subscriber.live_id(),
                connection_id: subscriber.connection.to_string(),
                subscription_id: subscriber.id.to_string(),
                namespace_id: feed.table.def.id.namespace.to_string(),
                table_name: feed.table.def.id.name.to_string(),
                user_id: subscriber.user.clone(),
                query: feed.sql.to_string(),
                options: serde_json::to_string(&subscriber.options)
                    .expect("options are plain data"),
                status: subscriber.status().as_str(),
                created_at_ms: subscriber.created_at.unix_ms(),
                last_update_ms: subscriber.updated_ms(),
                changes: subscriber.changes(),
                last_ping_at_ms: Some(heard_ms).filter(|ms| *ms > 0),
                queue_depth: waiting as u64,
                last_seq: subscriber.last_seq(),
            });
        });
        found
    }

    /// Every connection.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionInfo> {
        let mut found = Vec::new();
        self.hub.visit_connections(|number, connected| {
            found.push(SessionInfo {
                session_id: number.to_string(),
                user_id: connected.user.clone(),
                state: if connected.user.is_some() {
                    "active"
                } else {
                    "authenticating"
                },
                client_addr: connected.peer.client_addr.as_deref().map(str::to_owned),
                transport: connected.peer.transport,
                opened_at_ms: connected.opened_at.unix_ms(),
                last_seen_at_ms: connected.queue.heard_ms(),
            });
        });
        found
    }

    /// Ends a subscription; false if there is none of that id.
    #[must_use]
    pub fn kill(&self, live_id: &str) -> bool {
        self.hub.kill(live_id)
    }

    /// Open connections.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.hub.connections()
    }

    /// Subscriptions of all connections.
    #[must_use]
    pub fn subscriptions(&self) -> usize {
        self.hub.subscriptions()
    }

    pub(crate) fn close(&self) {
        if let Some(router) = &self.router {
            router.close();
        }
    }
}

/// A commit is under way; see [`Live::begin_commit`].
pub struct CommitGuard<'a> {
    _watched:
        parking_lot::RwLockReadGuard<'a, Arc<std::collections::BTreeSet<kalam_model::TableNumber>>>,
}
