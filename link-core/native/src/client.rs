//! The application's handle. It holds no state of the protocol: commands go to the driver, which answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kalam_link_core::http::{HealthResponse, SqlRequest, SqlResponse};
use kalam_link_core::ids::{Role, SubscriptionId, UserId};
use kalam_link_core::message::{Params, SubscribeOptions};
use kalam_link_core::session::{Delivery, NetworkHint, QueryId, SocketQuery, Subscribe};
use serde_json::Value as Json;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::auth::Tokens;
use crate::builder::ClientBuilder;
use crate::driver::{Command, Driver, Parts, Signal, Signals};
use crate::error::Error;
use crate::http::{Http, accept, millis};
use crate::live::{Board, BoardWriter, Live};
use crate::stream::{QueryStream, StreamFormat};
use crate::subscription::{Mailbox, MailboxWriter, Subscription};

// Callers wait while the driver has this many to take.
const COMMANDS_MAX: usize = 64;

/// A connection to KalamDB. Clones share it; it ends with [`close`](Self::close), or when the last clone and the last
/// [`Subscription`] or [`Live`] is gone.
#[derive(Clone, Debug)]
pub struct Client {
    shared: Arc<Shared>,
}

/// What the handles of one client have in common. When it is dropped, the channel of commands closes and with it the
/// driver ends.
#[derive(Debug)]
pub(crate) struct Shared {
    http: Arc<Http>,
    tokens: Arc<Tokens>,
    commands: mpsc::Sender<Command>,
    pub signals: Arc<Signals>,
    link: watch::Receiver<Link>,
    request_timeout: Duration,
    /// The last number given to a query or subscription.
    numbers: AtomicU64,
}

/// Where the socket stands.
#[derive(Clone, Debug)]
pub enum Link {
    /// Not needed so far, or closed.
    Offline,
    Connecting,
    Ready {
        user: UserId,
        role: Role,
    },
    /// Lost, or not to be had: another try follows.
    Waiting {
        error: Error,
        retry_at: Instant,
        /// Failures since the socket was last ready.
        failures: u32,
    },
    /// Given up; the next use of the socket begins anew.
    Failed {
        error: Error,
    },
}

/// How a statement goes to the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    #[default]
    Http,
    /// Saves the overhead of a request each. Without a `request_id`, a statement that was sent ends with the connection.
    Socket,
}

impl Client {
    /// Begins to describe a client of the server at `url`: `http://host:8080`, `https://…`, or the address of its socket.
    pub fn builder(url: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(url)
    }

    /// A client with default settings whose socket is open.
    pub async fn connect(url: impl Into<String>, auth: crate::Auth) -> Result<Self, Error> {
        Self::builder(url).auth(auth).connect().await
    }

    pub(crate) fn start(
        http: Arc<Http>,
        tokens: Arc<Tokens>,
        parts: Parts,
        request_timeout: Duration,
        runtime: &Handle,
    ) -> Self {
        let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
        let (sender, link) = watch::channel(Link::Offline);
        let signals = Arc::new(Signals::default());
        let driver = Driver::new(parts, receiver, Arc::clone(&signals), sender);
        // Owned by the channel of commands: it ends with it, and `close` waits for that.
        runtime.spawn(driver.run());
        Self {
            shared: Arc::new(Shared {
                http,
                tokens,
                commands,
                signals,
                link,
                request_timeout,
                numbers: AtomicU64::new(0),
            }),
        }
    }

    /// Signs in unless that has happened, and gives the token in use. None: the client has no credentials.
    pub async fn sign_in(&self) -> Result<Option<String>, Error> {
        let token = self.shared.tokens.any().await?;
        Ok(token.map(|token| token.as_str().to_owned()))
    }

    /// Address of the server that answered last, else of the first one.
    #[must_use]
    pub fn address(&self) -> &str {
        self.shared.http.address()
    }

    /// Asks a server how it is, without credentials.
    pub async fn health(&self) -> Result<HealthResponse, Error> {
        self.shared.http.health().await
    }

    /// Runs one SELECT and gives the bytes of its answer as they come, without the limits on the size of a result. An
    /// answer that breaks off ends with an error: whoever reads to the end without one has all of it.
    pub async fn query_stream(
        &self,
        request: SqlRequest,
        format: StreamFormat,
    ) -> Result<QueryStream, Error> {
        let Shared { http, tokens, .. } = &*self.shared;
        http.sql_stream(&request, format, tokens).await
    }

    /// Runs one or several statements over HTTP. `params` are the values of `$1`, `$2`, …
    pub async fn query(
        &self,
        sql: impl Into<String>,
        params: &[Json],
    ) -> Result<SqlResponse, Error> {
        self.request(request(sql, params), Transport::Http).await
    }

    /// As [`query`](Self::query), over the socket.
    pub async fn query_over_socket(
        &self,
        sql: impl Into<String>,
        params: &[Json],
    ) -> Result<SqlResponse, Error> {
        self.request(request(sql, params), Transport::Socket).await
    }

    /// Runs statements with everything that can be said about them.
    pub async fn request(
        &self,
        request: SqlRequest,
        transport: Transport,
    ) -> Result<SqlResponse, Error> {
        match transport {
            Transport::Http => self.shared.http.sql(&request, &self.shared.tokens).await,
            Transport::Socket => self.request_over_socket(request).await,
        }
    }

    async fn request_over_socket(&self, request: SqlRequest) -> Result<SqlResponse, Error> {
        let (reply, answer) = oneshot::channel();
        let query = SocketQuery {
            id: QueryId(self.shared.number()),
            sql: request.sql,
            params: request.params.as_deref().map(Params::of),
            namespace: request.namespace_id,
            request_id: request.request_id,
        };
        let waiting = Waiting {
            id: Some(query.id),
            signals: &self.shared.signals,
        };
        let answered = async {
            self.shared.send(Command::Query { query, reply }).await?;
            answer.await.map_err(|_| Error::Closed)?
        };
        let timeout = self.shared.request_timeout;
        let response =
            tokio::time::timeout(timeout, answered)
                .await
                .map_err(|_| Error::Timeout {
                    timeout_ms: millis(timeout),
                })?;
        waiting.answered();
        accept(response?)
    }

    /// Follows a query, event by event. Whatever is wrong with it shows as the stream's last item.
    pub async fn subscribe(
        &self,
        sql: impl Into<String>,
        params: &[Json],
        options: SubscribeOptions,
    ) -> Result<Subscription, Error> {
        let mailbox = Arc::new(Mailbox::default());
        let writer = MailboxWriter(Arc::clone(&mailbox));
        let request = self.live_query(sql, params, options, Delivery::Events);
        let id = request.id.clone();
        // Before the command is sent: dropping this future must not leave a subscription behind.
        let subscription = Subscription::new(id, mailbox, Arc::clone(&self.shared));
        let command = Command::Subscribe { request, writer };
        self.shared.send(command).await?;
        Ok(subscription)
    }

    /// Follows a query, as the rows that it has.
    pub async fn live(&self, sql: impl Into<String>, params: &[Json]) -> Result<Live, Error> {
        let board = Arc::new(Board::default());
        let writer = BoardWriter(Arc::clone(&board));
        let options = SubscribeOptions::default();
        let request = self.live_query(sql, params, options, Delivery::Rows);
        let id = request.id.clone();
        let live = Live::new(id, board, Arc::clone(&self.shared));
        self.shared.send(Command::Live { request, writer }).await?;
        Ok(live)
    }

    fn live_query(
        &self,
        sql: impl Into<String>,
        params: &[Json],
        options: SubscribeOptions,
        delivery: Delivery,
    ) -> Subscribe {
        Subscribe {
            id: SubscriptionId::new(format!("q{}", self.shared.number())),
            sql: sql.into(),
            params: Params::some(params),
            options,
            delivery,
        }
    }

    /// Where the socket stands, and when that changes.
    #[must_use]
    pub fn link(&self) -> watch::Receiver<Link> {
        self.shared.link.clone()
    }

    /// What the platform knows about the network; shortens the wait for a lost connection.
    pub fn network(&self, hint: NetworkHint) {
        self.shared.signals.send(Signal::Network(hint));
    }

    /// Ends all subscriptions and queries, says goodbye to the server, and returns when that is done.
    pub async fn close(&self) {
        self.shared.signals.send(Signal::Close);
        let mut link = self.link();
        while link.changed().await.is_ok() {}
    }

    /// Cuts the connection as a broken network would.
    #[doc(hidden)]
    pub fn break_connection(&self) {
        self.shared.signals.send(Signal::Break);
    }

    /// Opens the socket. Each server is tried once.
    pub(crate) async fn connected(&self) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        self.shared.send(Command::Connect { reply }).await?;
        answer.await.map_err(|_| Error::Closed)?
    }
}

impl Shared {
    async fn send(&self, command: Command) -> Result<(), Error> {
        self.commands.send(command).await.map_err(|_| Error::Closed)
    }

    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// Cancels a query whose caller does not wait any more.
struct Waiting<'a> {
    /// None once there is an answer.
    id: Option<QueryId>,
    signals: &'a Signals,
}

impl Waiting<'_> {
    fn answered(mut self) {
        self.id = None;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.signals.send(Signal::QueryOver(id));
        }
    }
}

fn request(sql: impl Into<String>, params: &[Json]) -> SqlRequest {
    SqlRequest {
        sql: sql.into(),
        params: (!params.is_empty()).then(|| params.to_vec()),
        ..SqlRequest::default()
    }
}
