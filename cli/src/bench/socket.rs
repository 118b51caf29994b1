//! One WebSocket that runs statements by `query`.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::bench::Failure;
use crate::bench::frame::{self, Side};
use crate::bench::marker::{find, leading_number};

/// How an answer begins, up to the digits of its id.
pub const ANSWER: &str = r#"{"type":"query_result","id":""#;

/// How a question begins, up to the digits of its id.
pub const QUESTION: &str = r#"{"type":"query","id":""#;

/// Digits of an id.
pub const ID_DIGITS: usize = 4;

/// An authenticated socket.
pub struct Socket {
    stream: TcpStream,
    /// Received bytes from `taken` on are still to be looked at.
    received: Vec<u8>,
    taken: usize,
    out: Vec<u8>,
}

impl Socket {
    pub async fn connect(port: u16, authorization: &str) -> Result<Self, Failure> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let mut socket = Self {
            stream,
            received: Vec::with_capacity(64 * 1_024),
            taken: 0,
            out: Vec::new(),
        };
        let request = frame::upgrade(authorization);
        socket.stream.write_all(request.as_bytes()).await?;
        socket.taken = loop {
            socket.read().await?;
            if let Some(head) = frame::upgraded(&socket.received)? {
                break head;
            }
        };
        let authenticated = loop {
            if let Some(message) = socket.next()? {
                break message.starts_with(br#"{"type":"auth_success","#);
            }
            socket.read().await?;
        };
        if authenticated {
            Ok(socket)
        } else {
            Err("the socket is not authenticated".into())
        }
    }

    /// Puts a statement by. `tail` is what follows the id in the message: its SQL and parameters.
    pub fn ask(&mut self, id: usize, tail: &str) {
        let message = format!("{QUESTION}{id:0ID_DIGITS$}\",{tail}}}");
        frame::append(&mut self.out, Side::Client, frame::TEXT, message.as_bytes());
    }

    /// Sends what was put by.
    pub async fn flush(&mut self) -> Result<(), Failure> {
        self.stream.write_all(&self.out).await?;
        self.out.clear();
        Ok(())
    }

    /// The ids of the answers that came, at least one. Each must be a success.
    pub async fn answers(&mut self, ids: &mut Vec<usize>) -> Result<(), Failure> {
        ids.clear();
        loop {
            while let Some(message) = self.next()? {
                let id = message
                    .strip_prefix(ANSWER.as_bytes())
                    .and_then(leading_number)
                    .filter(|_| find(message, br#""status":"success""#).is_some())
                    .ok_or_else(|| format!("refused: {}", String::from_utf8_lossy(message)))?;
                ids.push(usize::try_from(id)?);
            }
            if !ids.is_empty() {
                return Ok(());
            }
            self.read().await?;
        }
    }

    /// Runs one statement.
    pub async fn run(&mut self, tail: &str) -> Result<(), Failure> {
        self.ask(0, tail);
        self.flush().await?;
        self.answers(&mut Vec::new()).await
    }

    /// The next message, if it is there. Pings are answered with the next flush.
    fn next(&mut self) -> Result<Option<&[u8]>, Failure> {
        while let Some(received) = frame::first(&self.received[self.taken..])? {
            let payload = self.taken + received.bytes - received.payload.len();
            self.taken += received.bytes;
            match received.opcode {
                frame::TEXT => return Ok(Some(&self.received[payload..self.taken])),
                frame::PING => frame::append(
                    &mut self.out,
                    Side::Client,
                    frame::PONG,
                    &self.received[payload..self.taken],
                ),
                frame::CLOSE => return Err("the server closes the socket".into()),
                _ => {}
            }
        }
        Ok(None)
    }

    async fn read(&mut self) -> Result<(), Failure> {
        self.received.drain(..self.taken);
        self.taken = 0;
        match self.stream.read_buf(&mut self.received).await? {
            0 => Err("the server has closed the socket".into()),
            _ => Ok(()),
        }
    }
}
