//! A link in memory between a [`Session`] and any peer, on a virtual clock, with delays and cuts that follow from a seed.
//!
//! Frames of one connection arrive in order and whole, or not at all. A cut loses what is in flight; either side may
//! learn of it late, so that the peer can still hold an old connection while a new one is in use.

mod faults;

use std::collections::{BTreeMap, VecDeque};

pub use faults::Faults;

use crate::codec::Frame;
use crate::message::Credentials;
use crate::random::Random;
use crate::session::{ConnectionId, Dial, Input, LinkState, Output, Session, SessionEvent};
use crate::time::Millis;

// A test that needs more steps between two points in time goes round in circles.
const STEPS_MAX: usize = 1_000_000;

/// The other end: the server, or what stands for it. Connections have the session's numbers.
pub trait Peer {
    fn opened(&mut self, connection: ConnectionId, now: Millis);
    fn frame(&mut self, connection: ConnectionId, frame: Frame, now: Millis);
    /// The client closed, or the peer learned of a cut. Nothing more is taken for this connection.
    fn closed(&mut self, connection: ConnectionId, now: Millis);
    /// What the peer sends on this connection, in order. Called until it is empty.
    fn poll(&mut self, connection: ConnectionId, now: Millis) -> Vec<PeerOutput>;
    /// When the peer wants to be polled although nothing arrived.
    fn deadline(&self) -> Option<Millis> {
        None
    }
}

/// What a peer does.
#[derive(Clone, Debug, PartialEq)]
pub enum PeerOutput {
    Frame(Frame),
    Close { code: u16, reason: String },
}

/// A session, its peer, and what is between them.
#[derive(Debug)]
pub struct Wire<P> {
    pub session: Session,
    pub peer: P,
    /// What the application answers whenever it is asked.
    pub credentials: Input,
    pub faults: Faults,
    now: Millis,
    random: Random,
    connections: BTreeMap<ConnectionId, Connection>,
    /// What the application was told, in order.
    events: VecDeque<SessionEvent>,
}

#[derive(Debug, Default)]
struct Connection {
    to_peer: Lane<ToPeer>,
    to_client: Lane<ToClient>,
    /// Whether the peer knows of it.
    peer_open: bool,
    /// Nothing goes through any more.
    is_cut: bool,
}

#[derive(Debug)]
enum ToPeer {
    Opened,
    Frame(Frame),
    Closed,
}

#[derive(Debug)]
enum ToClient {
    Opened,
    Failed,
    Frame(Frame),
    Closed { code: Option<u16>, reason: String },
}

/// One direction: what arrives when, in order.
#[derive(Debug)]
struct Lane<T> {
    queue: VecDeque<(Millis, T)>,
}

impl<T> Default for Lane<T> {
    fn default() -> Self {
        Self {
            queue: VecDeque::new(),
        }
    }
}

impl<T> Lane<T> {
    fn push(&mut self, at: Millis, item: T) {
        let at = self.queue.back().map_or(at, |(last, _)| at.max(*last));
        self.queue.push_back((at, item));
    }

    fn due(&self) -> Option<Millis> {
        self.queue.front().map(|(at, _)| *at)
    }

    fn pop(&mut self, now: Millis) -> Option<T> {
        (self.due()? <= now).then(|| self.queue.pop_front().map(|(_, item)| item))?
    }
}

impl<P: Peer> Wire<P> {
    /// A link without faults.
    pub fn new(session: Session, peer: P, seed: u64) -> Self {
        Self {
            session,
            peer,
            credentials: Input::Credentials(Credentials::Jwt {
                token: "token".into(),
            }),
            faults: Faults::none(),
            now: Millis(0),
            random: Random::new(seed),
            connections: BTreeMap::new(),
            events: VecDeque::new(),
        }
    }

    #[must_use]
    pub fn now(&self) -> Millis {
        self.now
    }

    /// What happened since the last call.
    pub fn take_events(&mut self) -> Vec<SessionEvent> {
        self.events.drain(..).collect()
    }

    /// Feeds the session and does what it asks.
    pub fn input(&mut self, input: Input) {
        self.session.handle_input(input, self.now);
        for _ in 0..STEPS_MAX {
            match self.session.poll_output(self.now) {
                Output::Wait(_) => return,
                Output::Dial(dial) => self.dial(&dial),
                Output::Send { connection, frame } => {
                    let at = self.arrival();
                    if let Some(link) = self.connections.get_mut(&connection)
                        && !link.is_cut
                    {
                        link.to_peer.push(at, ToPeer::Frame(frame));
                    }
                }
                Output::Close { connection, .. } => {
                    let at = self.arrival();
                    if let Some(link) = self.connections.get_mut(&connection) {
                        link.to_peer.push(at, ToPeer::Closed);
                    }
                }
                Output::NeedCredentials(_) => {
                    let answer = self.credentials.clone();
                    self.session.handle_input(answer, self.now);
                }
                Output::Event(event) => self.events.push_back(event),
            }
        }
        panic!("the session does not come to an end");
    }

    fn dial(&mut self, dial: &Dial) {
        let at = self.arrival();
        let mut link = Connection::default();
        if self.faults.refuses(&mut self.random) {
            link.to_client.push(at, ToClient::Failed);
        } else {
            link.to_peer.push(at, ToPeer::Opened);
        }
        self.connections.retain(|_, old| {
            old.peer_open || old.to_peer.due().is_some() || old.to_client.due().is_some()
        });
        self.connections.insert(dial.connection, link);
    }

    fn arrival(&mut self) -> Millis {
        self.now
            .plus_ms(self.random.up_to(self.faults.delay_ms_max))
    }

    /// Takes up what the peer has to send, after the test changed it.
    pub fn poll_peer(&mut self) {
        let open: Vec<ConnectionId> = self
            .connections
            .iter()
            .filter(|(_, link)| link.peer_open)
            .map(|(connection, _)| *connection)
            .collect();
        for connection in open {
            loop {
                let outputs = self.peer.poll(connection, self.now);
                if outputs.is_empty() {
                    break;
                }
                for output in outputs {
                    self.peer_output(connection, output);
                }
            }
        }
    }

    fn peer_output(&mut self, connection: ConnectionId, output: PeerOutput) {
        let at = self.arrival();
        let Some(link) = self.connections.get_mut(&connection) else {
            return;
        };
        let item = match output {
            PeerOutput::Frame(frame) => ToClient::Frame(frame),
            PeerOutput::Close { code, reason } => {
                link.peer_open = false;
                let code = Some(code);
                ToClient::Closed { code, reason }
            }
        };
        if !link.is_cut {
            link.to_client.push(at, item);
        }
    }

    /// Cuts the connection in use, if there is one. What is in flight is lost; each side learns of it sooner or later.
    pub fn cut(&mut self) {
        let Some((_, link)) = self.connections.last_key_value() else {
            return;
        };
        if link.is_cut {
            return;
        }
        let client_at = self.faults.notice(&mut self.random, self.now);
        let peer_at = self.faults.notice(&mut self.random, self.now);
        let Some(mut link) = self.connections.last_entry() else {
            return;
        };
        let link = link.get_mut();
        link.is_cut = true;
        link.to_client.queue.clear();
        link.to_peer.queue.clear();
        let (code, reason) = (None, "cut".to_owned());
        link.to_client
            .push(client_at, ToClient::Closed { code, reason });
        if link.peer_open {
            link.to_peer.push(peer_at, ToPeer::Closed);
        }
    }

    /// Lets `ms` pass.
    pub fn advance_ms(&mut self, ms: u64) {
        let until = self.now.plus_ms(ms);
        for _ in 0..STEPS_MAX {
            self.poll_peer();
            let due = self.next_due();
            match due {
                Some(due) if due <= until => {
                    self.now = due.max(self.now);
                    self.step();
                }
                _ => {
                    self.now = until;
                    return;
                }
            }
        }
        panic!("time stands still");
    }

    /// Without further faults, until everything has arrived that was sent. False: the session did not become ready
    /// within `most_ms`.
    pub fn settle(&mut self, most_ms: u64) -> bool {
        self.faults = Faults::none();
        let until = self.now.plus_ms(most_ms);
        while self.now < until {
            self.advance_ms(1);
            let in_flight = self.connections.values().any(|link| {
                !link.is_cut && (link.to_peer.due().is_some() || link.to_client.due().is_some())
            });
            let in_use = self
                .connections
                .last_key_value()
                .is_some_and(|(_, link)| !link.is_cut);
            if !in_flight && in_use && self.session.state() == LinkState::Ready {
                return true;
            }
        }
        false
    }

    fn next_due(&mut self) -> Option<Millis> {
        let session = match self.session.poll_output(self.now) {
            Output::Wait(deadline) => deadline,
            output => panic!("the session was not drained: {output:?}"),
        };
        self.connections
            .values()
            .flat_map(|link| [link.to_peer.due(), link.to_client.due()])
            .chain([session, self.peer.deadline()])
            .flatten()
            .min()
    }

    /// One arrival or one deadline.
    fn step(&mut self) {
        let now = self.now;
        let due = |link: &Connection| link.to_peer.due().is_some_and(|at| at <= now);
        if let Some((&connection, link)) = self.connections.iter_mut().find(|(_, link)| due(link)) {
            if let Some(item) = link.to_peer.pop(now) {
                self.arrive_at_peer(connection, item);
            }
        } else if let Some((connection, item)) = self
            .connections
            .iter_mut()
            .find_map(|(connection, link)| Some((*connection, link.to_client.pop(now)?)))
        {
            self.arrive_at_client(connection, item);
        } else {
            self.input(Input::Timer);
        }
        if self.faults.cuts(&mut self.random) {
            self.cut();
        }
    }

    fn arrive_at_peer(&mut self, connection: ConnectionId, item: ToPeer) {
        let at = self.arrival();
        let Some(link) = self.connections.get_mut(&connection) else {
            return;
        };
        match item {
            ToPeer::Opened => {
                link.peer_open = true;
                link.to_client.push(at, ToClient::Opened);
                self.peer.opened(connection, self.now);
            }
            ToPeer::Frame(frame) if link.peer_open => {
                self.peer.frame(connection, frame, self.now);
            }
            ToPeer::Closed if link.peer_open => {
                link.peer_open = false;
                self.peer.closed(connection, self.now);
            }
            ToPeer::Frame(_) | ToPeer::Closed => {}
        }
    }

    fn arrive_at_client(&mut self, connection: ConnectionId, item: ToClient) {
        self.input(match item {
            ToClient::Opened => Input::Opened { connection },
            ToClient::Failed => Input::Failed {
                connection,
                status: None,
                message: "refused".into(),
            },
            ToClient::Frame(frame) => Input::Frame { connection, frame },
            ToClient::Closed { code, reason } => Input::Closed {
                connection,
                code,
                reason,
            },
        });
    }
}
