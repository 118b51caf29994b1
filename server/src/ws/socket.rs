//! The task of a socket: carries bytes, messages, events and time into its `Conn`, and what that wants out of it.
//!
//! There are no decisions here about what messages mean. There is one place where the task waits ([`Socket::poll`]),
//! whose state is a few words: a server has many sockets that only wait.

use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use kalam_engine::live::{Conn, Output, Peer};
use kalam_link_core::codec::{Frame, decode_client};
use kalam_link_core::message::{ClientMessage, Compression, Credentials, Protocol, Query};
use kalam_model::Timestamp;
use kalam_query::RequestMeta;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::WaitForCancellationFuture;

use super::answer::answer;
use super::frames::{Incoming, Kind, Reader, Violation, close, close_payload};
use super::gzip;
use super::jobs::{Done, Jobs};
use super::outbox::{Outbox, SLICES_MAX};
use super::{Opening, Sockets};
use crate::auth::Proof;
use crate::http::Failure;
use crate::http::edge::is_sound_id;
use crate::shutdown::Lifecycle;

/// Bytes on their way out from which on nothing new is begun for the socket: a slow reader holds up only itself (I7).
const CONGESTED_BYTES: usize = 64 * 1024;

/// Rounds of work before other tasks get their turn.
const ROUNDS_MAX: usize = 64;

/// Time for the peer of a closed socket to take what was sent and to close its end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The same while the server stops.
const CLOSE_TIMEOUT_STOPPING: Duration = Duration::from_secs(1);

/// Bytes that are read and thrown away after the close, so that a peer which is still sending gets to read why.
const DISCARD_BYTES_MAX: usize = 16 << 20;

/// A time that does not come, for a connection that waits for none.
const NEVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Deadlines that have passed already are looked at again after this.
const ALARM_MIN: Duration = Duration::from_millis(1);

struct Socket {
    stream: TcpStream,
    reader: Reader,
    outbox: Outbox,
    conn: Conn,
    jobs: Jobs,
    sockets: Arc<Sockets>,
    address: IpAddr,
    /// What the upgrade asked for without saying who it is.
    asked: Option<Box<Protocol>>,
    /// Session of the token that authenticated it.
    session: Option<Box<str>>,
    /// Whether all that was read has been looked at.
    hungry: bool,
    /// Whether the system took no more when something was sent last.
    blocked: bool,
    stopping: bool,
    ended: Option<Ended>,
}

/// How a socket ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// A close frame is in the outbox; the peer gets to read what is there.
    Closed,
    /// The connection is gone, or the server does not wait any longer.
    Gone,
}

/// What a socket waits for beside its stream and its jobs.
struct Waits<'a, 's, E, N> {
    lifecycle: &'s Lifecycle,
    /// The stop of the server, then its end.
    stop: Pin<&'a mut WaitForCancellationFuture<'s>>,
    /// Something for the connection, and how to wait for the next.
    event: Pin<&'a mut E>,
    next_event: N,
    alarm: Pin<&'a mut Sleep>,
    /// What the alarm is set to.
    alarm_at: Option<Timestamp>,
}

impl Opening {
    /// The life of the socket on `stream`. `read` is what came behind the request.
    pub(crate) fn run(
        self,
        stream: TcpStream,
        read: &[u8],
    ) -> impl Future<Output = ()> + Send + use<> {
        let mut socket = self.socket(stream);
        socket.reader.feed(read);
        // A block, not a function: what it captures is kept once, not once more as its argument.
        async move {
            let sockets = Arc::clone(&socket.sockets);
            let ended = socket.live(&sockets.lifecycle).await;
            let timeout = if socket.stopping {
                CLOSE_TIMEOUT_STOPPING
            } else {
                CLOSE_TIMEOUT
            };
            let (stream, outbox) = socket.into_remains();
            if ended == Ended::Closed {
                let finished = tokio::time::timeout(timeout, finish(stream, outbox));
                tokio::select! {
                    _ = Box::pin(finished) => {}
                    () = sockets.lifecycle.aborted() => {}
                }
            }
        }
    }

    fn socket(self, stream: TcpStream) -> Socket {
        let now = Timestamp::now();
        let peer = Peer {
            client_addr: Some(self.peer.to_string().into_boxed_str()),
            transport: "websocket",
        };
        let live = self.sockets.engine.live();
        let mut conn = live.connect(peer, &self.sockets.options, now);
        let (mut asked, mut session) = (self.protocol.map(Box::new), None);
        if let Some(proof) = self.proof {
            session = proof.session;
            conn.upgraded(proof.identity, asked.take().map(|asked| *asked), now);
        }
        Socket {
            stream,
            reader: Reader::default(),
            outbox: Outbox::default(),
            conn,
            jobs: Jobs::default(),
            address: self.peer.ip(),
            sockets: self.sockets,
            asked,
            session,
            hungry: false,
            blocked: false,
            stopping: false,
            ended: None,
        }
    }
}

/// Lets the peer read what is there and close its end. A connection that is closed while bytes come in is reset, and
/// with it goes what the peer has not read yet.
async fn finish(mut stream: TcpStream, mut outbox: Outbox) -> io::Result<()> {
    while !outbox.is_empty() {
        stream.writable().await?;
        match write_some(&stream, &mut outbox) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
    }
    stream.shutdown().await?;
    let mut discarded = 0;
    while discarded < DISCARD_BYTES_MAX {
        stream.readable().await?;
        let mut scratch = [0; 4_096];
        match stream.try_read(&mut scratch) {
            Ok(0) => break,
            Ok(read) => discarded += read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Sends what goes with one call; at least a byte.
fn write_some(stream: &TcpStream, outbox: &mut Outbox) -> io::Result<usize> {
    let mut slices = [IoSlice::new(&[]); SLICES_MAX];
    let count = outbox.slices(&mut slices);
    let written = stream.try_write_vectored(&slices[..count])?;
    if written == 0 {
        return Err(io::ErrorKind::WriteZero.into());
    }
    outbox.advance(written);
    Ok(written)
}

impl Socket {
    /// What is left to be sent. Subscriptions and jobs end here.
    fn into_remains(self) -> (TcpStream, Outbox) {
        (self.stream, self.outbox)
    }

    async fn live(&mut self, lifecycle: &Lifecycle) -> Ended {
        let queue = Arc::clone(self.conn.queue());
        let next_event = || queue.notified();
        let mut waits = Waits {
            lifecycle,
            stop: pin!(lifecycle.stopping()),
            event: pin!(next_event()),
            next_event,
            alarm: pin!(sleep(NEVER)),
            alarm_at: None,
        };
        std::future::poll_fn(|cx| self.poll(cx, &mut waits)).await
    }

    /// Does what can be done, then waits for more. What the rounds make leaves together after them.
    fn poll<E, N>(&mut self, cx: &mut Context<'_>, waits: &mut Waits<'_, '_, E, N>) -> Poll<Ended>
    where
        E: Future<Output = ()>,
        N: Fn() -> E,
    {
        for _ in 0..ROUNDS_MAX {
            self.drain(CONGESTED_BYTES);
            if self.ended.is_none() && self.work(cx, waits) {
                continue;
            }
            let room_made = self.flush(cx);
            if let Some(ended) = self.ended {
                return Poll::Ready(ended);
            }
            if !self.ring(cx, waits) && !room_made {
                return Poll::Pending;
            }
        }
        self.flush(cx);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Takes what there is from each source, once. False if there was nothing.
    fn work<E, N>(&mut self, cx: &mut Context<'_>, waits: &mut Waits<'_, '_, E, N>) -> bool
    where
        E: Future<Output = ()>,
        N: Fn() -> E,
    {
        let mut worked = self.stop(cx, waits);
        if self.ended.is_some() || self.is_congested() {
            return worked;
        }
        if let Poll::Ready(done) = self.jobs.poll_done(cx) {
            self.done(done);
            self.drain(CONGESTED_BYTES);
            worked = true;
        }
        if self.ended.is_none() && waits.event.as_mut().poll(cx).is_ready() {
            waits.event.set((waits.next_event)());
            self.conn.take_events(Timestamp::now());
            self.drain(CONGESTED_BYTES);
            worked = true;
        }
        worked | (self.may_read() && self.read(cx))
    }

    fn is_congested(&self) -> bool {
        self.outbox.bytes() >= CONGESTED_BYTES
    }

    /// A server that stops lets statements end, then says goodbye.
    fn stop<E, N>(&mut self, cx: &mut Context<'_>, waits: &mut Waits<'_, '_, E, N>) -> bool {
        let mut stepped = false;
        if waits.stop.as_mut().poll(cx).is_ready() {
            if self.stopping {
                self.ended = Some(Ended::Gone);
                return true;
            }
            self.stopping = true;
            stepped = true;
            waits.stop.set(waits.lifecycle.aborted());
        }
        if self.stopping && !self.jobs.has_queries() && !self.is_congested() {
            self.close(close::GOING_AWAY, "the server is stopping");
            return true;
        }
        stepped
    }

    /// Tells the connection that its time has come, and sets the alarm to the next. False if it has not.
    fn ring<E, N>(&mut self, cx: &mut Context<'_>, waits: &mut Waits<'_, '_, E, N>) -> bool {
        let rang = waits.alarm_at.is_some() && waits.alarm.as_mut().poll(cx).is_ready();
        if rang {
            waits.alarm_at = None;
            if !self.jobs.takes_more() {
                // Nothing is read at present: that the peer is not heard is not its fault.
                self.conn.heard(Timestamp::now());
            }
            self.conn.timer(Timestamp::now());
            // Whatever waits before it: the end of a connection must get out.
            self.drain(usize::MAX);
        }
        let Some(deadline) = self.conn.deadline() else {
            return rang;
        };
        // A later deadline is seen when the alarm rings: most deadlines move with every message.
        if waits.alarm_at.is_none_or(|at| deadline < at) {
            waits.alarm.as_mut().reset(Instant::now() + until(deadline));
            waits.alarm_at = Some(deadline);
            return rang || waits.alarm.as_mut().poll(cx).is_ready();
        }
        rang
    }

    /// Sends until the system takes no more. True if the socket is not congested any more.
    fn flush(&mut self, cx: &mut Context<'_>) -> bool {
        let was_congested = self.is_congested();
        while !self.outbox.is_empty() {
            match write_some(&self.stream, &mut self.outbox) {
                Ok(written) => {
                    self.sockets.metrics.socket_bytes_out(written);
                    if std::mem::take(&mut self.blocked) {
                        // There is room again because the peer has acknowledged what it got before: a slow reader
                        // is not a dead one.
                        self.conn.heard(Timestamp::now());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.blocked = true;
                    match self.stream.poll_write_ready(cx) {
                        Poll::Ready(Ok(())) => {}
                        Poll::Ready(Err(_)) => self.ended = Some(Ended::Gone),
                        Poll::Pending => break,
                    }
                }
                Err(_) => self.ended = Some(Ended::Gone),
            }
            if self.ended == Some(Ended::Gone) {
                break;
            }
        }
        was_congested && !self.is_congested()
    }

    fn may_read(&self) -> bool {
        self.ended.is_none() && !self.stopping && !self.is_congested() && self.jobs.takes_more()
    }

    /// Reads once and takes the messages that are there. False if there was nothing to read.
    fn read(&mut self, cx: &mut Context<'_>) -> bool {
        if self.hungry {
            match self.poll_read(cx) {
                Poll::Pending => return false,
                Poll::Ready(Err(_) | Ok(0)) => {
                    self.ended = Some(Ended::Gone);
                    return true;
                }
                Poll::Ready(Ok(_)) => {
                    self.conn.heard(Timestamp::now());
                    self.hungry = false;
                }
            }
        }
        while self.may_read() {
            match self.reader.next(self.bytes_max()) {
                Ok(Some(incoming)) => {
                    self.take(incoming);
                    self.drain(CONGESTED_BYTES);
                }
                Ok(None) => {
                    self.hungry = true;
                    break;
                }
                Err(violation) => self.fail(violation),
            }
        }
        true
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        // First, so that a socket which only waits makes no room.
        ready!(self.stream.poll_read_ready(cx))?;
        pin!(self.stream.read_buf(self.reader.room())).poll(cx)
    }

    fn bytes_max(&self) -> usize {
        if self.conn.is_authenticated() {
            self.sockets.message_bytes_max
        } else {
            self.sockets.unauthenticated_bytes_max
        }
    }

    fn take(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Message(frame) => self.message(&frame),
            Incoming::Ping(payload) => self.outbox.push(Kind::Pong, payload),
            Incoming::Pong => {}
            Incoming::Close(code) => {
                let payload = code.map_or_else(Vec::new, |code| close_payload(code, ""));
                self.outbox.push(Kind::Close, payload);
                self.ended = Some(Ended::Closed);
            }
        }
    }

    fn message(&mut self, frame: &Frame) {
        self.sockets.metrics.socket_message_in();
        match decode_client(frame, self.conn.serialization()) {
            Ok(mut message) => {
                if let ClientMessage::Authenticate(authenticate) = &mut message {
                    let asked = self.asked.take().map(|asked| *asked);
                    authenticate.protocol = authenticate.protocol.take().or(asked);
                }
                self.conn.handle_message(message, Timestamp::now());
            }
            Err(error) => self.conn.handle_bad_message(&error),
        }
    }

    fn fail(&mut self, violation: Violation) {
        if violation == Violation::TooLarge {
            self.conn.handle_oversized();
            self.drain(usize::MAX);
        }
        if self.ended.is_none() {
            self.close(violation.close_code(), violation.reason());
        }
    }

    fn close(&mut self, code: u16, reason: &str) {
        self.outbox.push(Kind::Close, close_payload(code, reason));
        self.ended = Some(Ended::Closed);
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Authenticated(result) => self.proved(result),
            Done::Loaded(loaded) => self.conn.loaded(loaded, Timestamp::now()),
            Done::Answered(frame) => self.conn.send(frame),
            Done::Panicked => {
                self.sockets.metrics.panicked();
                tracing::error!("a job of a socket panicked");
                self.close(close::INTERNAL, "internal error");
            }
        }
    }

    /// Does what the connection wants, until so many bytes wait to leave.
    fn drain(&mut self, bytes_max: usize) {
        while self.ended.is_none()
            && self.outbox.bytes() < bytes_max
            && let Some(output) = self.conn.poll_output()
        {
            self.carry_out(output);
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Send(frame) => self.send(frame, self.conn.compression()),
            Output::SendPlain(frame) => self.send(frame, Compression::None),
            Output::Authenticate(credentials) => self.authenticate(credentials),
            Output::Recheck(user) => {
                let account = self.sockets.auth.account(&user, self.session.as_deref());
                self.conn.rechecked(account);
            }
            Output::Load(job) => self.jobs.load(job, Arc::clone(&self.sockets.loads)),
            Output::Query(query) => self.query(query),
            Output::Ping => self.outbox.push(Kind::Ping, Vec::new()),
            Output::Close { code, reason } => self.close(code, &reason),
        }
    }

    fn send(&mut self, frame: Frame, compression: Compression) {
        self.sockets.metrics.socket_message_out();
        let compressed = match compression {
            Compression::None => None,
            Compression::Gzip => gzip::gzip(frame.as_bytes()),
        };
        match (compressed, frame) {
            (Some(bytes), _) | (None, Frame::Binary(bytes)) => {
                self.outbox.push(Kind::Binary, bytes);
            }
            (None, Frame::Text(text)) => self.outbox.push(Kind::Text, text.into_bytes()),
        }
    }

    fn authenticate(&mut self, credentials: Credentials) {
        match credentials {
            Credentials::Jwt { token } => self.proved(self.sockets.auth.proof_of_token(&token)),
            Credentials::Basic { username, password } => {
                let auth = Arc::clone(&self.sockets.auth);
                self.jobs
                    .login(async move { auth.proof_of_password(&username, &password).await });
            }
        }
    }

    fn proved(&mut self, proof: Result<Proof, Failure>) {
        match proof {
            Ok(proof) => {
                self.session = proof.session;
                self.conn.authenticated(proof.identity, Timestamp::now());
            }
            Err(failure) => self.conn.auth_refused(&failure.error.message),
        }
    }

    fn query(&mut self, query: Query) {
        let Some(caller) = self.conn.caller().cloned() else {
            return;
        };
        let meta = RequestMeta {
            x_request_id: is_sound_id(query.id.as_bytes()).then(|| query.id.clone()),
            client_ip: Some(self.address.to_string()),
            ws_origin: None,
        };
        let statements = self.sockets.statements.clone();
        let serialization = self.conn.serialization();
        self.jobs
            .query(answer(statements, caller, query, meta, serialization));
    }
}

/// The time from now to `deadline`, by the clock of this machine.
fn until(deadline: Timestamp) -> Duration {
    let micros = deadline.0.saturating_sub(Timestamp::now().0);
    Duration::from_micros(u64::try_from(micros).unwrap_or(0)).clamp(ALARM_MIN, NEVER)
}
