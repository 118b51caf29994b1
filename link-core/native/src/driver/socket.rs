//! An open socket: frames in, frames out, both at once.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::Read as _;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use flate2::read::GzDecoder;
use futures::{Sink, SinkExt as _, StreamExt as _};
use kalam_link_core::codec::{Frame, is_gzip};
use kalam_link_core::session::ConnectionId;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};

use super::dial::Stream;

/// Largest message that is taken, also after it is inflated.
pub(super) const MESSAGE_BYTES_MAX: usize = 64 << 20;

// How long a goodbye may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) struct Socket {
    pub connection: ConnectionId,
    stream: Stream,
    /// Not yet with the stream. Bounded by what the session has open, since the driver stops taking commands.
    outbox: VecDeque<Message>,
    written: Written,
}

/// Whether the stream holds bytes that the peer may not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    Flushed,
    Buffered,
}

/// What came in.
#[derive(Debug)]
pub(super) enum Received {
    Frame(Frame),
    Closed { code: Option<u16>, reason: String },
}

impl Socket {
    pub fn new(connection: ConnectionId, stream: Stream) -> Self {
        Self {
            connection,
            stream,
            outbox: VecDeque::new(),
            written: Written::Flushed,
        }
    }

    /// Messages that are not sent.
    pub fn waiting(&self) -> usize {
        self.outbox.len()
    }

    /// Sent while [`receive`](Self::receive) is awaited.
    pub fn send(&mut self, frame: Frame) {
        self.outbox.push_back(match frame {
            Frame::Text(text) => Message::text(text),
            Frame::Binary(bytes) => Message::binary(bytes),
        });
    }

    /// Sends what waits, and returns what comes. Can be given up and called again at any time.
    pub async fn receive(&mut self) -> Received {
        poll_fn(|context| self.poll_receive(context)).await
    }

    /// Ends the connection politely, with what waits sent before.
    pub async fn close(mut self, why: Option<(u16, &'static str)>) {
        let frame = why.map(|(code, reason)| CloseFrame {
            code: code.into(),
            reason: reason.into(),
        });
        let goodbye = async {
            poll_fn(|context| self.poll_send(context)).await?;
            (*self.stream).close(frame).await?;
            while self.stream.next().await.is_some_and(|item| item.is_ok()) {}
            Ok::<(), SocketError>(())
        };
        // The connection is given up in any case.
        let _ = timeout(CLOSE_TIMEOUT, goodbye).await;
    }

    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Received> {
        if let Poll::Ready(Err(error)) = self.poll_send(context) {
            return Poll::Ready(broken(&error));
        }
        loop {
            match ready!(self.stream.poll_next_unpin(context)) {
                Some(Ok(Message::Text(text))) => {
                    return Poll::Ready(Received::Frame(Frame::Text(text.as_str().to_owned())));
                }
                Some(Ok(Message::Binary(bytes))) => return Poll::Ready(binary(bytes.into())),
                Some(Ok(Message::Close(frame))) => {
                    return Poll::Ready(Received::Closed {
                        code: frame.as_ref().map(|frame| frame.code.into()),
                        reason: frame.map_or_else(String::new, |frame| frame.reason.to_string()),
                    });
                }
                // The library answers pings.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Err(error)) => return Poll::Ready(broken(&error)),
                None => {
                    return Poll::Ready(Received::Closed {
                        code: None,
                        reason: "the server ended the connection".to_owned(),
                    });
                }
            }
        }
    }

    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<Result<(), SocketError>> {
        while !self.outbox.is_empty() {
            ready!(self.stream.poll_ready_unpin(context))?;
            if let Some(message) = self.outbox.pop_front() {
                self.written = Written::Buffered;
                self.stream.start_send_unpin(message)?;
            }
        }
        if self.written == Written::Buffered {
            ready!(std::pin::Pin::new(&mut self.stream).poll_flush(context))?;
            self.written = Written::Flushed;
        }
        Poll::Ready(Ok(()))
    }
}

fn broken(error: &SocketError) -> Received {
    Received::Closed {
        code: None,
        reason: error.to_string(),
    }
}

fn binary(bytes: Vec<u8>) -> Received {
    if !is_gzip(&bytes) {
        return Received::Frame(Frame::Binary(bytes));
    }
    let mut inflated = Vec::new();
    let limit = MESSAGE_BYTES_MAX as u64 + 1;
    match GzDecoder::new(&bytes[..])
        .take(limit)
        .read_to_end(&mut inflated)
    {
        Ok(_) if inflated.len() <= MESSAGE_BYTES_MAX => Received::Frame(Frame::Binary(inflated)),
        Ok(_) => Received::Closed {
            code: None,
            reason: format!("a message inflates to more than {MESSAGE_BYTES_MAX} bytes"),
        },
        Err(error) => Received::Closed {
            code: None,
            reason: format!("a message cannot be inflated: {error}"),
        },
    }
}
