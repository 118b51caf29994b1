//! The scenarios with live queries: what they have in common.

mod connects;
mod fan_out;
mod memory;
mod pipeline;
mod routes;
mod writers;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use serde_json::json;
use tempfile::TempDir;

use crate::bench::Failure;
use crate::bench::accounts::Accounts;
use crate::bench::client::{Client, body};
use crate::bench::floor::sockets::Order;
use crate::bench::marker::{Marker, now_ns};
use crate::bench::plan::Plan;
use crate::bench::process::ServerProcess;
use crate::bench::swarm::{MakeMessage, Opened, Script};

/// Ours and the floor take turns, so that a machine that becomes slower does it to both.
const TURNS: u32 = 2;

/// Sockets that are on their way at the same time where nothing else is said: as fast as it goes, without a queue.
const PENDING_MAX: usize = 64;

/// Runs the wanted scenarios.
pub async fn run(plan: &Plan) -> Result<(), Failure> {
    if plan.wants("S1") {
        fan_out::one(plan).await?;
    }
    if plan.wants("S2") {
        for subscribers in [100, 1_000] {
            fan_out::many(plan, plan.sockets(subscribers)).await?;
        }
    }
    if plan.wants("S3") {
        fan_out::crowd(plan, plan.sockets(10_000)).await?;
    }
    if plan.wants("S4") {
        routes::users(plan).await?;
    }
    if plan.wants("S5") {
        routes::conversations(plan).await?;
    }
    if plan.wants("S6") {
        connects::first(plan).await?;
    }
    if plan.wants("S7") {
        connects::again(plan).await?;
    }
    if plan.wants("M1") {
        memory::sockets(plan).await?;
    }
    if plan.wants("M2") {
        memory::subscriptions(plan).await?;
    }
    if plan.wants("W2") {
        pipeline::run(plan).await?;
    }
    Ok(())
}

/// The tables that are subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Table {
    /// Everybody reads all of it.
    Feed,
    /// Everybody has rows of their own.
    Inbox,
}

impl Table {
    const fn insert(self) -> &'static str {
        match self {
            Self::Feed => {
                "INSERT INTO bench.feed (id, conversation_id, author, body) VALUES ($1, $2, $3, $4)"
            }
            Self::Inbox => {
                "INSERT INTO bench.inbox (id, conversation_id, author, body) VALUES ($1, $2, $3, $4)"
            }
        }
    }
}

/// Parameters of a row that is sent to whom it is for at this moment.
fn row(id: u64, marker: Marker) -> serde_json::Value {
    json!([
        id.to_string(),
        marker.target.to_string(),
        format!("author-{}", id % 50),
        marker.text()
    ])
}

/// Numbers that no row has yet.
#[derive(Clone, Default)]
struct Ids(Arc<AtomicU64>);

impl Ids {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// A server with the tables.
struct Stage {
    server: ServerProcess,
    root: Client,
    accounts: Accounts,
    ids: Ids,
    /// Removed when the server has ended.
    _folder: TempDir,
}

impl Stage {
    async fn start(plan: &Plan) -> Result<Self, Failure> {
        const COLUMNS: &str = "id BIGINT PRIMARY KEY, conversation_id BIGINT, author TEXT, body TEXT, \
             created_at TIMESTAMP DEFAULT NOW()";
        // As many descriptors as a process may have here.
        const CONNECTIONS_MAX: &str = "20000";
        let folder = tempfile::tempdir()?;
        let subscriptions_max = plan.subscriptions.max(100).to_string();
        let settings = [
            ("KALAMDB_SERVER_CONNECTIONS_MAX", CONNECTIONS_MAX),
            ("KALAMDB_WEBSOCKET_SUBSCRIPTIONS_MAX", &subscriptions_max),
        ];
        let server =
            ServerProcess::start_with(&plan.server, folder.path(), &plan.durability, &settings)
                .await?;
        let mut root = Client::sign_in(server.port).await?;
        for sql in [
            "CREATE NAMESPACE bench",
            &format!(
                "CREATE TABLE bench.feed ({COLUMNS}) WITH (TYPE='SHARED', ACCESS_LEVEL='PUBLIC')"
            ),
            &format!("CREATE TABLE bench.inbox ({COLUMNS}) WITH (TYPE='USER')"),
        ] {
            root.sql(sql, json!(null)).await?;
        }
        Ok(Self {
            accounts: Accounts::of(&root)?,
            server,
            root,
            ids: Ids::default(),
            _folder: folder,
        })
    }

    /// What sockets say that belong to as many users.
    async fn script(
        &mut self,
        users: usize,
        subscriptions: usize,
        message: MakeMessage,
    ) -> Result<Script, Failure> {
        let authorizations = self.accounts.create(&mut self.root, users).await?;
        Ok(Script {
            port: self.server.port,
            authorizations: authorizations.into(),
            subscriptions,
            message,
        })
    }

    /// A fresh connection: the server closes those that say nothing for long.
    async fn client(&self) -> Result<Client, Failure> {
        self.root.another(self.server.port).await
    }

    /// Rows of the feed by one request each.
    async fn insert(&self, rows: u64, target: u64) -> Result<(), Failure> {
        let mut client = self.client().await?;
        for _ in 0..rows {
            let marker = Marker {
                sent_ns: now_ns(),
                target,
            };
            client
                .sql_body(row_body(Table::Feed, self.ids.next(), marker))
                .await?;
        }
        Ok(())
    }
}

fn row_body(table: Table, id: u64, marker: Marker) -> Bytes {
    body(table.insert(), row(id, marker))
}

/// What the floor answers so that its clients take it for the server that gave these answers.
fn floor_answers(opened: &Opened) -> [(Order, &[u8]); 2] {
    let [upgrade, subscribe] = &opened.answers;
    [
        (Order::AnswerUpgrade, upgrade),
        (Order::AnswerSubscribe, subscribe),
    ]
}
