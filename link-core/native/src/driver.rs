//! One task: the socket, the timer and the session. What the session wants is done; what happens is told to it.
//!
//! Decides nothing about the protocol. The one thing of its own is that commands are not taken while much waits to be
//! sent.

mod dial;
mod feed;
mod signals;
mod socket;

use std::collections::{BTreeMap, VecDeque};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use kalam_link_core::JsonText;
use kalam_link_core::http::SqlResponse;
use kalam_link_core::ids::SubscriptionId;
use kalam_link_core::message::QueryResult;
use kalam_link_core::session::{
    ConnectionId, CredentialsReason, DisconnectReason, Input, LinkState, Output, QueryError,
    QueryId, Session, SessionError, SessionEvent, SocketQuery, Subscribe, SubscriptionEvent,
};
use kalam_link_core::time::Millis;
use rustls::ClientConfig;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::auth::{Token, Tokens};
use crate::client::Link;
use crate::error::Error;
use crate::live::BoardWriter;
use crate::subscription::MailboxWriter;
use dial::Dialled;
use feed::Feed;
pub(crate) use signals::{Signal, Signals};
use socket::{Received, Socket};

// While this many messages wait to be sent, callers wait too.
const OUTBOX_MESSAGES_MAX: usize = 64;

/// What the application wants, in order.
#[derive(Debug)]
pub(crate) enum Command {
    /// Answered when the socket is ready, or when every server was tried.
    Connect {
        reply: oneshot::Sender<Result<(), Error>>,
    },
    Subscribe {
        request: Subscribe,
        writer: MailboxWriter,
    },
    Live {
        request: Subscribe,
        writer: BoardWriter,
    },
    Query {
        query: SocketQuery,
        reply: oneshot::Sender<Result<SqlResponse, Error>>,
    },
}

/// What a driver is made of.
pub(crate) struct Parts {
    pub session: Session,
    pub tokens: Arc<Tokens>,
    pub tls: Arc<ClientConfig>,
    /// How many servers there are.
    pub addresses: usize,
    /// Rows that may wait for the reader of a subscription.
    pub buffer_rows: usize,
}

pub(crate) struct Driver {
    parts: Parts,
    clock: Clock,
    commands: mpsc::Receiver<Command>,
    signals: Arc<Signals>,
    link: watch::Sender<Link>,
    connection: Connection,
    /// The application is asked for a token.
    asking: Option<BoxFuture<'static, Result<Token, Error>>>,
    /// What the server saw last.
    given: Option<Token>,
    /// Why there was no token, which the session knows only as text.
    no_token: Option<Error>,
    /// Failures since the link was last ready.
    failures: u32,
    /// Sockets that say goodbye, each for a limited time.
    closing: JoinSet<()>,
    readers: BTreeMap<SubscriptionId, Reader>,
    replies: BTreeMap<QueryId, oneshot::Sender<Result<SqlResponse, Error>>>,
    /// Who waits for the socket.
    connects: Vec<oneshot::Sender<Result<(), Error>>>,
    /// What the session is to be told next; drained after each event.
    inputs: VecDeque<Input>,
    deadline: Option<Instant>,
}

/// The one socket.
enum Connection {
    None,
    Dialling {
        id: ConnectionId,
        dial: BoxFuture<'static, Dialled>,
    },
    Open(Socket),
}

/// Who reads a live query.
enum Reader {
    Events(Feed),
    Rows(BoardWriter),
}

/// What the driver waits for.
enum Event {
    Command(Command),
    Signals,
    Dialled(Dialled),
    Received(Received),
    Token(Result<Token, Error>),
    Timer,
    /// A socket has said goodbye.
    Goodbye,
    /// No handle is left.
    Unowned,
}

/// Whether to go on.
enum Flow {
    Continue,
    Stop,
}

/// The session's time: milliseconds since the driver began.
#[derive(Clone, Copy, Debug)]
struct Clock(Instant);

impl Clock {
    fn now(self) -> Millis {
        Millis(u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn instant(self, at: Millis) -> Instant {
        // A point that never comes, for what an instant cannot hold.
        const FAR: Duration = Duration::from_secs(365 * 24 * 3_600);
        let after = Duration::from_millis(at.0);
        self.0
            .checked_add(after)
            .unwrap_or_else(|| Instant::now() + FAR)
    }
}

impl Driver {
    pub fn new(
        parts: Parts,
        commands: mpsc::Receiver<Command>,
        signals: Arc<Signals>,
        link: watch::Sender<Link>,
    ) -> Self {
        Self {
            parts,
            clock: Clock(Instant::now()),
            commands,
            signals,
            link,
            connection: Connection::None,
            asking: None,
            given: None,
            no_token: None,
            failures: 0,
            closing: JoinSet::new(),
            readers: BTreeMap::new(),
            replies: BTreeMap::new(),
            connects: Vec::new(),
            inputs: VecDeque::new(),
            deadline: None,
        }
    }

    pub async fn run(mut self) {
        loop {
            let event = self.next_event().await;
            if let Flow::Stop = self.take(event) {
                break;
            }
            self.settle();
        }
        self.stop().await;
    }

    async fn next_event(&mut self) -> Event {
        let has_room = match &self.connection {
            Connection::Open(socket) => socket.waiting() < OUTBOX_MESSAGES_MAX,
            Connection::None | Connection::Dialling { .. } => true,
        };
        let (connection, asking, deadline) =
            (&mut self.connection, &mut self.asking, self.deadline);
        let network = async {
            match connection {
                Connection::None => pending().await,
                Connection::Dialling { dial, .. } => Event::Dialled(dial.await),
                Connection::Open(socket) => Event::Received(socket.receive().await),
            }
        };
        let token = async {
            match asking {
                None => pending().await,
                Some(asking) => asking.await,
            }
        };
        let timer = async {
            match deadline {
                None => pending().await,
                Some(deadline) => sleep_until(deadline).await,
            }
        };
        tokio::select! {
            command = self.commands.recv(), if has_room => {
                command.map_or(Event::Unowned, Event::Command)
            }
            () = self.signals.wait() => Event::Signals,
            event = network => event,
            token = token => Event::Token(token),
            () = timer => Event::Timer,
            Some(_) = self.closing.join_next() => Event::Goodbye,
        }
    }

    fn take(&mut self, event: Event) -> Flow {
        match event {
            Event::Command(command) => self.command(command),
            Event::Signals => {
                for signal in self.signals.take() {
                    if let Flow::Stop = self.signal(signal) {
                        return Flow::Stop;
                    }
                }
            }
            Event::Dialled(dialled) => self.dialled(dialled),
            Event::Received(received) => self.received(received),
            Event::Token(token) => self.token(token),
            Event::Timer => {
                self.deadline = None;
                self.inputs.push_back(Input::Timer);
            }
            Event::Goodbye => {}
            Event::Unowned => return Flow::Stop,
        }
        Flow::Continue
    }

    fn command(&mut self, command: Command) {
        if let LinkState::Offline | LinkState::Closed = self.parts.session.state() {
            self.inputs.push_back(Input::Connect);
        }
        match command {
            Command::Connect { reply } => {
                self.connects.push(reply);
                if self.parts.session.state() == LinkState::Ready {
                    self.connected(&Ok(()));
                }
            }
            Command::Subscribe { request, writer } => {
                if !writer.is_abandoned() {
                    let feed = Feed::new(request.clone(), writer, self.parts.buffer_rows);
                    self.readers
                        .insert(request.id.clone(), Reader::Events(feed));
                    self.inputs.push_back(Input::Subscribe(request));
                }
            }
            Command::Live { request, writer } => {
                if !writer.is_abandoned() {
                    self.readers
                        .insert(request.id.clone(), Reader::Rows(writer));
                    self.inputs.push_back(Input::Subscribe(request));
                }
            }
            Command::Query { query, reply } => {
                if !reply.is_closed() {
                    self.replies.insert(query.id, reply);
                    self.inputs.push_back(Input::Query(query));
                }
            }
        }
    }

    fn signal(&mut self, signal: Signal) -> Flow {
        match signal {
            Signal::SubscriptionOver(id) => {
                if self.readers.remove(&id).is_some() {
                    self.inputs.push_back(Input::Unsubscribe { id });
                }
            }
            Signal::QueryOver(id) => {
                if self.replies.remove(&id).is_some() {
                    self.inputs.push_back(Input::CancelQuery { id });
                }
            }
            Signal::Drained(id) => {
                if let Some(Reader::Events(feed)) = self.readers.get_mut(&id) {
                    self.inputs.extend(feed.drained());
                }
            }
            Signal::Network(hint) => self.inputs.push_back(Input::Network(hint)),
            Signal::Break => self.break_connection(),
            Signal::Close => return Flow::Stop,
        }
        Flow::Continue
    }

    fn dialled(&mut self, dialled: Dialled) {
        let Connection::Dialling { id, .. } = self.connection else {
            return;
        };
        match dialled {
            Ok(stream) => {
                self.connection = Connection::Open(Socket::new(id, stream));
                self.inputs.push_back(Input::Opened { connection: id });
            }
            Err(failure) => {
                self.connection = Connection::None;
                self.inputs.push_back(Input::Failed {
                    connection: id,
                    status: failure.status,
                    message: failure.message,
                });
            }
        }
    }

    fn received(&mut self, received: Received) {
        let Connection::Open(socket) = &self.connection else {
            return;
        };
        let connection = socket.connection;
        match received {
            Received::Frame(frame) => self.inputs.push_back(Input::Frame { connection, frame }),
            Received::Closed { code, reason } => {
                if let Some(socket) = self.take_socket(connection) {
                    // Answers the server's goodbye.
                    self.closing.spawn(socket.close(None));
                }
                self.inputs.push_back(Input::Closed {
                    connection,
                    code,
                    reason,
                });
            }
        }
    }

    fn token(&mut self, token: Result<Token, Error>) {
        self.asking = None;
        self.inputs.push_back(match token {
            Ok(token) => {
                self.no_token = None;
                self.given = Some(token.clone());
                Input::Credentials(token.into())
            }
            Err(error) => {
                let input = Input::CredentialsFailed {
                    failure: error.credentials_failure(),
                    message: error.to_string(),
                };
                self.no_token = Some(error);
                input
            }
        });
    }

    /// Tells the session what has happened, and does what it wants.
    fn settle(&mut self) {
        while let Some(input) = self.inputs.pop_front() {
            let now = self.clock.now();
            self.parts.session.handle_input(input, now);
            loop {
                match self.parts.session.poll_output(now) {
                    Output::Wait(deadline) => {
                        self.deadline = deadline.map(|at| self.clock.instant(at));
                        break;
                    }
                    output => self.perform(output),
                }
            }
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Dial(dial) => {
                tracing::debug!(url = %dial.url, attempt = dial.attempt, "connecting");
                self.link.send_replace(Link::Connecting);
                self.connection = Connection::Dialling {
                    id: dial.connection,
                    dial: dial::dial(dial, Arc::clone(&self.parts.tls)).boxed(),
                };
            }
            Output::Send { connection, frame } => {
                if let Connection::Open(socket) = &mut self.connection
                    && socket.connection == connection
                {
                    socket.send(frame);
                }
            }
            Output::Close {
                connection,
                code,
                reason,
            } => {
                if let Some(socket) = self.take_socket(connection) {
                    self.closing.spawn(socket.close(Some((code, reason))));
                }
            }
            Output::NeedCredentials(reason) => self.ask(reason),
            Output::Event(event) => self.event(event),
            Output::Wait(_) => {}
        }
    }

    fn ask(&mut self, reason: CredentialsReason) {
        let tokens = Arc::clone(&self.parts.tokens);
        self.asking = Some(tokens.for_socket(reason, self.given.clone()).boxed());
    }

    /// The socket, if it is open; one that is about to be is given up.
    fn take_socket(&mut self, connection: ConnectionId) -> Option<Socket> {
        match std::mem::replace(&mut self.connection, Connection::None) {
            Connection::Open(socket) if socket.connection == connection => Some(socket),
            Connection::Dialling { id, .. } if id == connection => None,
            other => {
                self.connection = other;
                None
            }
        }
    }

    fn break_connection(&mut self) {
        let message = "cut".to_owned();
        match std::mem::replace(&mut self.connection, Connection::None) {
            Connection::None => {}
            Connection::Dialling { id, .. } => self.inputs.push_back(Input::Failed {
                connection: id,
                status: None,
                message,
            }),
            Connection::Open(socket) => self.inputs.push_back(Input::Closed {
                connection: socket.connection,
                code: None,
                reason: message,
            }),
        }
    }

    fn event(&mut self, event: SessionEvent) {
        match event {
            SessionEvent::Connected { user, role, .. } => {
                tracing::debug!(%user, %role, "connected");
                self.failures = 0;
                self.link.send_replace(Link::Ready { user, role });
                self.connected(&Ok(()));
            }
            SessionEvent::Disconnected { reason, retry_at } => self.disconnected(reason, retry_at),
            SessionEvent::Failed(error) => self.failed(error),
            SessionEvent::Subscription { id, event } => self.subscription_event(id, event),
            SessionEvent::Query { id, outcome } => {
                if let Some(reply) = self.replies.remove(&id) {
                    // Nobody may wait any more.
                    let response = outcome.and_then(|text| read_answer(&text));
                    let _ = reply.send(response.map_err(|error| self.unanswered(error)));
                }
            }
            SessionEvent::ServerRefused { code, message } => {
                tracing::warn!(code = code.as_str(), %message, "the server refused a message");
            }
        }
    }

    /// What the caller of a query is told: if the session failed before it was sent, why.
    fn unanswered(&self, error: QueryError) -> Error {
        match (&error, &*self.link.borrow()) {
            (QueryError::NotSent, Link::Failed { error }) => error.clone(),
            _ => Error::from(error),
        }
    }

    /// Tells those who wait for the socket.
    fn connected(&mut self, result: &Result<(), Error>) {
        for reply in self.connects.drain(..) {
            // Nobody may wait any more.
            let _ = reply.send(result.clone());
        }
    }

    fn disconnected(&mut self, reason: DisconnectReason, retry_at: Option<Millis>) {
        tracing::debug!(%reason, "disconnected");
        self.failures = self.failures.saturating_add(1);
        // The session tries once more, with other credentials.
        let is_about_credentials = matches!(
            reason,
            DisconnectReason::Refused { .. } | DisconnectReason::Expired
        );
        let error = match (reason, &self.no_token) {
            (DisconnectReason::NoCredentials { .. }, Some(error)) => error.clone(),
            (reason, _) => Error::from(reason),
        };
        if !is_about_credentials && self.failures as usize >= self.parts.addresses {
            self.connected(&Err(error.clone()));
        }
        let failures = self.failures;
        let clock = self.clock;
        self.link.send_replace(match retry_at {
            Some(at) => Link::Waiting {
                error,
                retry_at: clock.instant(at),
                failures,
            },
            None if is_about_credentials => Link::Connecting,
            None => Link::Offline,
        });
    }

    fn failed(&mut self, error: SessionError) {
        let error = match (error, &self.no_token) {
            (SessionError::NoCredentials { .. }, Some(error)) => error.clone(),
            (error, _) => Error::from(error),
        };
        for (id, reader) in std::mem::take(&mut self.readers) {
            reader.end(&error);
            self.inputs.push_back(Input::Unsubscribe { id });
        }
        self.connected(&Err(error.clone()));
        self.link.send_replace(Link::Failed { error });
    }

    fn subscription_event(&mut self, id: SubscriptionId, event: SubscriptionEvent) {
        let Some(reader) = self.readers.get_mut(&id) else {
            return;
        };
        if let Reader::Rows(board) = reader
            && let SubscriptionEvent::RowsChanged | SubscriptionEvent::Ended(_) = event
            && let Some(rows) = self.parts.session.rows(&id)
        {
            board.update(rows);
        }
        match (event, reader) {
            (SubscriptionEvent::Ended(error), reader) => {
                reader.end(&Error::from(error));
                self.readers.remove(&id);
                // The session keeps rows for those who come for them.
                self.inputs.push_back(Input::Unsubscribe { id });
            }
            (event, Reader::Events(feed)) => self.inputs.extend(feed.take(event)),
            (_, Reader::Rows(_)) => {}
        }
    }

    /// Ends everything and says goodbye.
    async fn stop(mut self) {
        self.commands.close();
        self.connects.clear();
        self.inputs.push_back(Input::Disconnect);
        self.settle();
        // Dropping what is left tells its owners, commands that nobody took included.
        self.readers.clear();
        self.replies.clear();
        while self.commands.try_recv().is_ok() {}
        while self.closing.join_next().await.is_some() {}
        self.link.send_replace(Link::Offline);
    }
}

impl Reader {
    fn end(&self, error: &Error) {
        match self {
            Self::Events(feed) => feed.end(error.clone()),
            Self::Rows(board) => board.end(error.clone()),
        }
    }
}

fn read_answer(text: &JsonText) -> Result<SqlResponse, QueryError> {
    let answer: QueryResult = serde_json::from_str(text.as_str())?;
    Ok(answer.into_response())
}
