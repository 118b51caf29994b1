//! The thread of the subscribers: readiness in, reads and writes out.

use std::io::{ErrorKind, Read as _};
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use hdrhistogram::Histogram;

use super::connection::{Connection, Phase, Tally};
use super::{Command, Opened, Progress, Received, Reply, Script};
use crate::bench::Failure;
use crate::bench::epoll::{Epoll, Event, Events, connect};
use crate::bench::frame;
use crate::bench::marker::now_ns;

/// Events that are taken at once.
const EVENTS: usize = 1_024;

/// Bytes that are read at once.
const READ_BYTES: usize = 256 * 1_024;

/// Token of the socket that commands come by.
const WAKE: u64 = u64::MAX;

/// Sockets with the same source address: fewer than there are ports, so that those that ended lately do not matter.
const SOCKETS_PER_SOURCE: usize = 8_000;

/// Source addresses, from 127.0.0.1 on.
const SOURCES: usize = 200;

/// Connections of a task that may be reset before they are upgraded.
const REDIALS_MAX: usize = 100;

/// Sockets that are on their way to being live.
struct Task {
    script: Script,
    kind: Kind,
    next: usize,
    end: usize,
    pending: usize,
    pending_max: usize,
    begun_ns: u64,
    redials: usize,
    each: Histogram<u64>,
    answers: [Vec<u8>; 2],
    reply: Reply<Opened>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Open,
    Subscribe,
}

pub struct Thread {
    epoll: Epoll,
    woken: UnixStream,
    commands: Receiver<Command>,
    progress: Arc<Progress>,
    connections: Vec<Connection>,
    tally: Tally,
    task: Option<Task>,
    buffer: Vec<u8>,
    /// Sockets since the start.
    opened: usize,
}

impl Thread {
    pub fn new(
        woken: UnixStream,
        commands: Receiver<Command>,
        progress: Arc<Progress>,
    ) -> Result<Self, Failure> {
        woken.set_nonblocking(true)?;
        let epoll = Epoll::new()?;
        epoll.add(woken.as_fd(), WAKE)?;
        Ok(Self {
            epoll,
            woken,
            commands,
            progress,
            connections: Vec::new(),
            tally: Tally::new()?,
            task: None,
            buffer: vec![0; READ_BYTES],
            opened: 0,
        })
    }

    /// Until the driver's half is dropped, or something fails.
    pub fn run(&mut self) -> Result<(), Failure> {
        let mut events = Events::new(EVENTS);
        loop {
            self.epoll.wait(&mut events)?;
            let mut woken = false;
            for event in events.iter() {
                if event.token == WAKE {
                    woken = true;
                } else if let Err(failure) = self.ready(event) {
                    return self.end(failure, event.token);
                }
            }
            // After the events: they may be about sockets that a command closes.
            if woken && !self.commands()? {
                return Ok(());
            }
        }
    }

    fn end(&mut self, failure: Failure, socket: u64) -> Result<(), Failure> {
        let text = format!("socket {socket}: {failure}");
        if let Some(task) = self.task.take() {
            let _ = task.reply.send(Err(text.clone().into()));
        }
        Err(text.into())
    }

    /// False when there will be no more.
    fn commands(&mut self) -> Result<bool, Failure> {
        while matches!(self.woken.read(&mut self.buffer), Ok(bytes) if bytes > 0) {}
        loop {
            match self.commands.try_recv() {
                Ok(command) => self.command(command)?,
                Err(TryRecvError::Empty) => return Ok(true),
                Err(TryRecvError::Disconnected) => return Ok(false),
            }
        }
    }

    fn command(&mut self, command: Command) -> Result<(), Failure> {
        match command {
            Command::Open {
                script,
                sockets,
                pending_max,
                reply,
            } => {
                let begin = self.connections.len();
                let range = (begin, begin + sockets);
                self.begin(Kind::Open, script, range, pending_max, reply)?;
            }
            Command::Subscribe {
                script,
                pending_max,
                reply,
            } => {
                let range = (0, self.connections.len());
                self.begin(Kind::Subscribe, script, range, pending_max, reply)?;
            }
            Command::Take(reply) => {
                let tally = std::mem::replace(&mut self.tally, Tally::new()?);
                let changes = self.connections.iter_mut();
                let received = Received {
                    changes: changes
                        .map(|connection| std::mem::take(&mut connection.changes))
                        .collect(),
                    latency: tally.latency,
                    pings: tally.pings,
                    sample: tally.sample,
                };
                let _ = reply.send(Ok(received));
            }
            Command::Close(reply) => {
                self.connections = Vec::new();
                let _ = reply.send(Ok(()));
            }
        }
        Ok(())
    }

    fn begin(
        &mut self,
        kind: Kind,
        script: Script,
        (next, end): (usize, usize),
        pending_max: usize,
        reply: Reply<Opened>,
    ) -> Result<(), Failure> {
        self.tally.rows = 0;
        self.tally.last_seq = u64::MAX;
        self.task = Some(Task {
            script,
            kind,
            next,
            end,
            pending: 0,
            pending_max,
            begun_ns: now_ns(),
            redials: 0,
            each: Histogram::new(3)?,
            answers: Default::default(),
            reply,
        });
        self.advance()
    }

    /// Starts what may be started, and ends the task when everything has ended.
    fn advance(&mut self) -> Result<(), Failure> {
        while let Some(task) = &mut self.task
            && task.next < task.end
            && task.pending < task.pending_max
        {
            let socket = task.next;
            task.next += 1;
            task.pending += 1;
            match task.kind {
                Kind::Open => self.connect(socket)?,
                Kind::Subscribe => {
                    self.connections[socket].begun_ns = now_ns();
                    self.subscribe(socket)?;
                }
            }
        }
        if let Some(task) = self.task.take_if(|task| task.pending == 0) {
            let elapsed = Duration::from_nanos(now_ns() - task.begun_ns);
            let _ = task.reply.send(Ok(Opened {
                elapsed,
                each: task.each,
                rows: self.tally.rows,
                last_seq: self.tally.last_seq,
                answers: task.answers,
            }));
        }
        Ok(())
    }

    fn connect(&mut self, socket: usize) -> Result<(), Failure> {
        let stream = self.dial(socket)?;
        self.connections.push(Connection::new(stream));
        Ok(())
    }

    fn dial(&mut self, socket: usize) -> Result<TcpStream, Failure> {
        let task = self.task.as_ref().ok_or("no task")?;
        let source = u8::try_from(1 + self.opened / SOCKETS_PER_SOURCE % SOURCES)?;
        self.opened += 1;
        let stream = connect(Ipv4Addr::new(127, 0, 0, source), task.script.port)?;
        self.epoll.add(stream.as_fd(), socket as u64)?;
        Ok(stream)
    }

    /// When thousands come at once the kernel resets one now and then, before the server has seen it.
    fn redial(&mut self, socket: usize) -> Result<(), Failure> {
        let task = self.task.as_mut().ok_or("reset without a task")?;
        task.redials += 1;
        if task.redials > REDIALS_MAX {
            return Err(format!("{REDIALS_MAX} connections were reset").into());
        }
        let stream = self.dial(socket)?;
        let begun_ns = self.connections[socket].begun_ns;
        self.connections[socket] = Connection::new(stream);
        self.connections[socket].begun_ns = begun_ns;
        Ok(())
    }

    /// Sends the messages of a socket's subscriptions.
    fn subscribe(&mut self, socket: usize) -> Result<(), Failure> {
        let task = self.task.as_ref().ok_or("no task")?;
        let connection = &mut self.connections[socket];
        let count = task.script.subscriptions;
        connection.phase = if count == 0 {
            Phase::Live
        } else {
            Phase::Loading { left: count }
        };
        connection.say((0..count).map(|number| (task.script.message)(socket, number)))
    }

    fn ready(&mut self, event: Event) -> Result<(), Failure> {
        let socket = usize::try_from(event.token)?;
        let connection = &mut self.connections[socket];
        if connection.phase == Phase::Connecting {
            if let Some(error) = connection.stream.take_error()? {
                return Err(format!("cannot connect: {error}").into());
            }
            if !event.writable {
                return Ok(());
            }
            let task = self.task.as_ref().ok_or("connected without a task")?;
            let authorizations = &task.script.authorizations;
            let request = frame::upgrade(&authorizations[socket % authorizations.len()]);
            connection.phase = Phase::Upgrading;
            connection.send(request.as_bytes())?;
        } else if event.writable {
            connection.flush()?;
        }
        if event.readable {
            self.read(socket, event)?;
        }
        Ok(())
    }

    fn read(&mut self, socket: usize, event: Event) -> Result<(), Failure> {
        loop {
            let connection = &mut self.connections[socket];
            let before = connection.phase;
            let bytes = match connection.stream.read(&mut self.buffer) {
                Ok(0) => return Err(format!("closed by the server while {before:?}").into()),
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error)
                    if error.kind() == ErrorKind::ConnectionReset && before == Phase::Upgrading =>
                {
                    return self.redial(socket);
                }
                Err(error) => return Err(format!("{error} while {before:?}").into()),
            };
            if socket == 0
                && before != Phase::Live
                && let Some(task) = &mut self.task
            {
                let part = usize::from(matches!(before, Phase::Loading { .. }));
                task.answers[part].extend_from_slice(&self.buffer[..bytes]);
            }
            connection.receive(&self.buffer[..bytes], &mut self.tally, &self.progress)?;
            let after = connection.phase;
            if after == (Phase::Loading { left: 0 }) {
                self.subscribe(socket)?;
            }
            if self.connections[socket].phase == Phase::Live && before != Phase::Live {
                self.live(socket)?;
            }
            // A socket that gave less than there is room for is empty, and says when it is not any more.
            if bytes < self.buffer.len() && !event.ended {
                return Ok(());
            }
        }
    }

    /// A socket has all that it asked for.
    fn live(&mut self, socket: usize) -> Result<(), Failure> {
        let begun_ns = self.connections[socket].begun_ns;
        if let Some(task) = &mut self.task {
            task.pending -= 1;
            task.each.record((now_ns() - begun_ns) / 1_000)?;
        }
        self.advance()
    }
}
