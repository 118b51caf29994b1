//! What any server of sockets can do at best: a process that writes bytes which it was given, with plain blocking calls,
//! and decides nothing. Its clients cannot tell it from the server under test.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::bench::Failure;
use crate::bench::epoll::widen_backlog;
use crate::bench::frame;
use crate::bench::process::{cpu_of, free_port};
use crate::bench::socket::{ANSWER, ID_DIGITS, QUESTION};

/// First argument that makes the program this process; two ports follow.
pub const MODE: &str = "floor-sockets";

/// Threads that accept.
const ACCEPTORS: usize = 2;

/// What the driver asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The bytes answer an upgrade.
    AnswerUpgrade,
    /// The bytes answer the first message; the socket is a subscriber then.
    AnswerSubscribe,
    /// The bytes answer each message, with its id put in; the socket is no subscriber.
    AnswerQuery,
    /// Write the bytes to every subscriber, by this many threads.
    WriteAll { threads: u32 },
    /// Write the bytes to one subscriber.
    WriteOne { index: u32 },
    /// Close the connection of every subscriber: nobody here notices that a client has gone, and those that come and
    /// go would use up the descriptors of the process.
    Forget,
}

impl Order {
    const fn encode(self) -> (u8, u32) {
        match self {
            Self::AnswerUpgrade => (0, 0),
            Self::AnswerSubscribe => (1, 0),
            Self::AnswerQuery => (2, 0),
            Self::WriteAll { threads } => (3, threads),
            Self::WriteOne { index } => (4, index),
            Self::Forget => (5, 0),
        }
    }

    const fn decode(kind: u8, argument: u32) -> Option<Self> {
        Some(match kind {
            0 => Self::AnswerUpgrade,
            1 => Self::AnswerSubscribe,
            2 => Self::AnswerQuery,
            3 => Self::WriteAll { threads: argument },
            4 => Self::WriteOne { index: argument },
            5 => Self::Forget,
            _ => return None,
        })
    }
}

/// Bytes before those of an order: kind, argument and length.
const HEAD_BYTES: usize = 9;

/// The process as the driver has it; ends when dropped.
pub struct FloorSockets {
    child: Child,
    pub port: u16,
    control_port: u16,
}

impl FloorSockets {
    /// Starts it with what it answers.
    pub async fn start(answers: &[(Order, &[u8])]) -> Result<Self, Failure> {
        let (port, control_port) = (free_port()?, free_port()?);
        let child = Command::new(std::env::current_exe()?)
            .args(["bench", MODE, &port.to_string(), &control_port.to_string()])
            .stdout(Stdio::null())
            .spawn()?;
        let process = Self {
            child,
            port,
            control_port,
        };
        let mut control = process.control().await?;
        for (order, bytes) in answers {
            control.give(*order, bytes).await?;
        }
        Ok(process)
    }

    /// A way to give orders. Each has a thread of the process.
    pub async fn control(&self) -> Result<Control, Failure> {
        let mut tries = 0;
        loop {
            match tokio::net::TcpStream::connect(("127.0.0.1", self.control_port)).await {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(Control { stream });
                }
                Err(error) if tries > 2_000 => return Err(error.into()),
                Err(_) => tries += 1,
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    pub fn cpu(&self) -> Result<Duration, Failure> {
        cpu_of(self.child.id())
    }
}

impl Drop for FloorSockets {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Gives orders to the process.
pub struct Control {
    stream: tokio::net::TcpStream,
}

impl Control {
    /// Returns when the order is done.
    pub async fn give(&mut self, order: Order, bytes: &[u8]) -> Result<(), Failure> {
        let (kind, argument) = order.encode();
        let mut message = vec![kind];
        message.extend_from_slice(&argument.to_be_bytes());
        message.extend_from_slice(&u32::try_from(bytes.len())?.to_be_bytes());
        message.extend_from_slice(bytes);
        self.stream.write_all(&message).await?;
        self.stream.read_u8().await?;
        Ok(())
    }
}

#[derive(Clone, Default)]
struct Answers {
    upgrade: Arc<[u8]>,
    subscribe: Arc<[u8]>,
    query: Option<Arc<[u8]>>,
}

#[derive(Default)]
struct Shared {
    answers: Mutex<Answers>,
    subscribers: Mutex<Arc<Vec<Arc<TcpStream>>>>,
    /// Accepted since the list of subscribers was last made.
    joined: Mutex<Vec<Arc<TcpStream>>>,
}

impl Shared {
    /// Everybody. The list is shared, so that those who write do not wait for each other.
    fn subscribers(&self) -> Arc<Vec<Arc<TcpStream>>> {
        let mut subscribers = lock(&self.subscribers);
        let mut joined = lock(&self.joined);
        if !joined.is_empty() {
            let known = subscribers.iter().cloned();
            *subscribers = Arc::new(known.chain(joined.drain(..)).collect());
        }
        Arc::clone(&subscribers)
    }

    fn forget(&self) {
        *lock(&self.subscribers) = Arc::default();
        lock(&self.joined).clear();
    }
}

/// The process.
pub fn serve(port: u16, control_port: u16) -> Result<(), Failure> {
    let shared = Arc::new(Shared::default());
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    widen_backlog(&listener)?;
    for _ in 0..ACCEPTORS {
        let (listener, shared) = (listener.try_clone()?, Arc::clone(&shared));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                match stream {
                    // A client that went away is no subscriber.
                    Ok(stream) => drop(admit(stream, &shared)),
                    Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                    // The clients are told at once instead of waiting for an answer.
                    Err(error) => {
                        eprintln!("the floor cannot accept: {error}");
                        std::process::exit(1);
                    }
                }
            }
        });
    }
    for stream in TcpListener::bind(("127.0.0.1", control_port))?.incoming() {
        let (stream, shared) = (stream?, Arc::clone(&shared));
        std::thread::spawn(move || obey(stream, &shared));
    }
    Ok(())
}

fn admit(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let answers = lock(&shared.answers).clone();
    let mut request = Vec::new();
    let mut buffer = [0; 4_096];
    while !request.ends_with(b"\r\n\r\n") {
        let bytes = stream.read(&mut buffer)?;
        if bytes == 0 {
            return Ok(());
        }
        request.extend_from_slice(&buffer[..bytes]);
    }
    stream.write_all(&answers.upgrade)?;
    if let Some(answer) = answers.query {
        std::thread::spawn(move || answer_queries(stream, &answer));
        return Ok(());
    }
    if stream.read(&mut buffer)? > 0 {
        stream.write_all(&answers.subscribe)?;
        lock(&shared.joined).push(Arc::new(stream));
    }
    Ok(())
}

/// Answers each message with the same bytes but for its id.
fn answer_queries(mut stream: TcpStream, answer: &[u8]) -> Result<(), Failure> {
    let id_at = answer
        .windows(ANSWER.len())
        .position(|bytes| bytes == ANSWER.as_bytes())
        .ok_or("the answer has no id")?
        + ANSWER.len();
    let mut buffer = vec![0; 64 * 1_024];
    let (mut received, mut out) = (Vec::new(), Vec::new());
    loop {
        let bytes = stream.read(&mut buffer)?;
        if bytes == 0 {
            return Ok(());
        }
        received.extend_from_slice(&buffer[..bytes]);
        let mut taken = 0;
        while let Some(question) = frame::first(&received[taken..])? {
            taken += question.bytes;
            let id = question
                .payload
                .get(QUESTION.len()..QUESTION.len() + ID_DIGITS)
                .ok_or("the question has no id")?;
            let begin = out.len() + id_at;
            out.extend_from_slice(answer);
            out[begin..begin + ID_DIGITS].copy_from_slice(id);
        }
        received.drain(..taken);
        stream.write_all(&out)?;
        out.clear();
    }
}

fn obey(mut stream: TcpStream, shared: &Shared) -> Result<(), Failure> {
    stream.set_nodelay(true)?;
    loop {
        let mut head = [0; HEAD_BYTES];
        stream.read_exact(&mut head)?;
        let [kind, a0, a1, a2, a3, l0, l1, l2, l3] = head;
        let argument = u32::from_be_bytes([a0, a1, a2, a3]);
        let mut bytes = vec![0; u32::from_be_bytes([l0, l1, l2, l3]) as usize];
        stream.read_exact(&mut bytes)?;
        match Order::decode(kind, argument).ok_or("an unknown order")? {
            Order::AnswerUpgrade => lock(&shared.answers).upgrade = bytes.into(),
            Order::AnswerSubscribe => lock(&shared.answers).subscribe = bytes.into(),
            Order::AnswerQuery => lock(&shared.answers).query = Some(bytes.into()),
            Order::WriteAll { threads } => write_all(&shared.subscribers(), &bytes, threads)?,
            Order::WriteOne { index } => {
                let subscribers = shared.subscribers();
                let one = subscribers.get(index as usize);
                (&**one.ok_or("no such subscriber")?).write_all(&bytes)?;
            }
            Order::Forget => shared.forget(),
        }
        stream.write_all(&[0])?;
    }
}

fn write_all(subscribers: &[Arc<TcpStream>], bytes: &[u8], threads: u32) -> Result<(), Failure> {
    let write = |part: &[Arc<TcpStream>]| {
        part.iter()
            .try_for_each(|subscriber| (&**subscriber).write_all(bytes))
    };
    if threads <= 1 {
        return Ok(write(subscribers)?);
    }
    std::thread::scope(|scope| {
        let part = subscribers.len().div_ceil(threads as usize).max(1);
        let writers: Vec<_> = subscribers
            .chunks(part)
            .map(|part| scope.spawn(move || write(part)))
            .collect();
        for writer in writers {
            writer.join().map_err(|_| "a writer panicked")??;
        }
        Ok(())
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
