//! The stack: Node, PostgreSQL and `ws`, as people build it. The script is `stack.mjs`.

use bytes::Bytes;
use hyper::StatusCode;
use serde_json::{Value as Json, json};

use super::{Durability, RANGE, Work, parent_of, spread, spread_range};
use crate::bench::Failure;
use crate::bench::client::Client;
use crate::bench::marker::TEXT;

/// The server's program, to be run by Node.
pub const SCRIPT: &str = include_str!("stack.mjs");

/// A script that answers.
pub struct Stack {
    pub port: u16,
    pub node: u32,
    pub postmaster: u32,
}

impl Stack {
    pub async fn open(port: u16, rows: u64) -> Result<Self, Failure> {
        let mut client = Client::connect(port).await?;
        let fill = json!({"rows": rows, "body": TEXT}).to_string();
        let answer = call(&mut client, "POST", "/fill", fill.into()).await?;
        let processes: Json = serde_json::from_slice(&answer)?;
        let process = |name: &str| -> Result<u32, Failure> {
            let pid = processes[name].as_u64();
            let pid =
                pid.ok_or_else(|| format!("it is not the script of this version: {processes}"))?;
            Ok(u32::try_from(pid)?)
        };
        Ok(Self {
            port,
            node: process("node")?,
            postmaster: parent_of(process("backend")?)?,
        })
    }

    pub async fn worker(&self, work: Work, rows: u64) -> Result<StackWorker, Failure> {
        Ok(StackWorker {
            client: Client::connect(self.port).await?,
            work,
            rows,
        })
    }

    pub async fn row(&self, id: u64) -> Result<[String; 3], Failure> {
        let mut client = Client::connect(self.port).await?;
        let answer = call(&mut client, "GET", &format!("/big/{id}"), Bytes::new()).await?;
        let row: Json = serde_json::from_slice(&answer)?;
        let text = |name: &str| match &row[name] {
            Json::String(text) => text.clone(),
            other => other.to_string(),
        };
        Ok([text("conversation_id"), text("author"), text("body")])
    }

    /// Sends a row to everybody who reads the feed.
    pub async fn feed(client: &mut Client, row: Bytes) -> Result<(), Failure> {
        call(client, "POST", "/feed", row).await?;
        Ok(())
    }
}

async fn call(
    client: &mut Client,
    method: &str,
    path: &str,
    body: Bytes,
) -> Result<Bytes, Failure> {
    let (status, answer) = client.send(method, path, body).await?;
    match status {
        StatusCode::OK => Ok(answer),
        _ => Err(format!(
            "{method} {path}: {status}: {}",
            String::from_utf8_lossy(&answer)
        )
        .into()),
    }
}

/// The body of a row.
pub fn row(id: u64, conversation: u64, author: u64, body: &str) -> Bytes {
    json!({
        "id": id.to_string(),
        "conversation_id": conversation.to_string(),
        "author": format!("author-{author}"),
        "body": body,
    })
    .to_string()
    .into()
}

/// One connection.
pub struct StackWorker {
    client: Client,
    work: Work,
    rows: u64,
}

impl StackWorker {
    pub async fn operate(&mut self, n: u64) -> Result<(), Failure> {
        let Self { work, rows, .. } = *self;
        let message = |id: u64| row(id, id % 100, id % 50, TEXT);
        let (method, path, body) = match work {
            Work::Insert(durability) => {
                let durability = match durability {
                    Durability::Relaxed => "relaxed",
                    Durability::Sync => "sync",
                };
                let path = format!("/messages?durability={durability}");
                ("POST", path, message(n))
            }
            Work::Get => ("GET", format!("/big/{}", spread(n, rows)), Bytes::new()),
            Work::Update => {
                let body = json!({"body": format!("{TEXT} {n}")}).to_string();
                ("PATCH", format!("/big/{}", spread(n, rows)), body.into())
            }
            Work::ComeAndGo if n.is_multiple_of(2) => {
                ("POST", "/big".to_owned(), message(rows + n / 2))
            }
            Work::ComeAndGo => ("DELETE", format!("/big/{}", rows + n / 2), Bytes::new()),
            Work::UpdateRange => {
                let first = spread_range(n, rows);
                let path = format!("/big?from={first}&to={}", first + RANGE);
                let body = json!({"author": format!("author-{n}")}).to_string();
                ("PATCH", path, body.into())
            }
        };
        call(&mut self.client, method, &path, body).await?;
        Ok(())
    }
}
