//! Redis as far as messages go: PUBLISH to a channel, and one subscriber, in RESP 2.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::bench::Failure;
use crate::bench::marker::{Marker, find, leading_number, now_ns};

const CHANNEL: &str = "kalam-bench";

/// Pause after a round, so that rounds meet an idle server.
const PAUSE: Duration = Duration::from_millis(10);

/// A server that answers.
pub struct Redis {
    port: u16,
    pub process: u32,
}

impl Redis {
    pub async fn open(port: u16) -> Result<Self, Failure> {
        const PROCESS: &[u8] = b"process_id:";
        let mut connection = Connection::connect(port).await?;
        connection.send(&["INFO", "server"]).await?;
        let answer = connection
            .read_until(|answer| find(answer, b"executable:").is_some())
            .await?;
        let at = find(&answer, PROCESS).ok_or("no `process_id` in INFO")?;
        let process = leading_number(&answer[at + PROCESS.len()..]).ok_or("malformed INFO")?;
        Ok(Self {
            port,
            process: u32::try_from(process)?,
        })
    }

    /// Time from PUBLISH to the arrival of the message, in µs.
    pub async fn rounds(
        &self,
        duration: Duration,
        last: &mut Histogram<u64>,
    ) -> Result<(), Failure> {
        let mut subscriber = Connection::connect(self.port).await?;
        subscriber.send(&["SUBSCRIBE", CHANNEL]).await?;
        subscriber
            .read_until(|answer| answer.ends_with(b":1\r\n"))
            .await?;
        let mut publisher = Connection::connect(self.port).await?;
        let begun = Instant::now();
        while begun.elapsed() < duration {
            let sent_ns = now_ns();
            let marker = Marker { sent_ns, target: 0 };
            let publish = async {
                publisher
                    .send(&["PUBLISH", CHANNEL, &marker.text()])
                    .await?;
                publisher
                    .read_until(|answer| answer.ends_with(b"\r\n"))
                    .await
            };
            let arrival = async {
                let whole =
                    |message: &[u8]| Marker::find(message).is_some() && message.ends_with(b"\r\n");
                subscriber.read_until(whole).await?;
                Ok::<_, Failure>(now_ns())
            };
            let (_, arrived_ns) = tokio::try_join!(publish, arrival)?;
            last.record((arrived_ns - sent_ns) / 1_000)?;
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }
}

struct Connection {
    stream: TcpStream,
}

impl Connection {
    async fn connect(port: u16) -> Result<Self, Failure> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream })
    }

    async fn send(&mut self, words: &[&str]) -> Result<(), Failure> {
        let mut command = format!("*{}\r\n", words.len());
        for word in words {
            command.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        Ok(self.stream.write_all(command.as_bytes()).await?)
    }

    /// Reads until `is_whole` says that the answer is there.
    async fn read_until(&mut self, is_whole: impl Fn(&[u8]) -> bool) -> Result<Vec<u8>, Failure> {
        let mut answer = Vec::new();
        while !is_whole(&answer) {
            if self.stream.read_buf(&mut answer).await? == 0 {
                return Err("the connection was closed".into());
            }
            if answer.starts_with(b"-") {
                return Err(String::from_utf8_lossy(&answer).trim_end().into());
            }
        }
        Ok(answer)
    }
}
