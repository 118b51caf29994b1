//! The server's side: tables in a store in memory, what is committed to them, and connections whose jobs and answers
//! take their time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kalam_engine::Applier;
use kalam_engine::live::{
    Bounds, Conn, ConnOptions, Identity, Live, LoadJob, Loaded, Output, Peer,
};
use kalam_link_core::Role;
use kalam_link_core::codec::{Frame, decode_client, decode_server};
use kalam_link_core::message::{
    BatchStatus, ChangeReason, ChangeType, Serialization, ServerMessage,
};
use kalam_link_core::session::ConnectionId;
use kalam_link_core::testing::{self, PeerOutput};
use kalam_link_core::time::Millis;
use kalam_model::{
    AccessLevel, Applied, Caller, ColumnDef, ColumnId, Command, DataType, MetaCommand, Mutation,
    Namespace, Row, Scope, SeqId, TableDef, TableKind, TableNumber, Timestamp, Value,
};
use kalam_store::{Direction, HotScan, Slice, Store, StreamScan, Sync, row_codec, stream};

use super::queries::{Item, Name};
use crate::support::{Random, START_MS, alice, altered, table_def, table_write, user, write};

/// Lifetime of an event.
const TTL_SECONDS: u32 = 5;

/// Bounds that a few writes reach.
const OPTIONS: ConnOptions = ConnOptions {
    auth_timeout_ms: 3_000,
    subscriptions_max: 100,
    messages_per_second: None,
    ping_after_ms: 30_000,
    ping_timeout_ms: 10_000,
    load_timeout_ms: 2_000,
    batch_rows: 3,
    waiting: Bounds {
        changes: 8,
        bytes: 1 << 20,
    },
};

/// What is done wrong on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    PublishBeforeCommit,
    /// Deletes are left out of what was missed.
    LostDeleteOnResume,
    /// A load says that it goes one further than it does.
    SnapshotOffByOne,
    /// What did not fit into the queue is not read from storage.
    DropOnOverflow,
    /// A row that does not match any more is no change.
    NewRowOnly,
}

pub struct World {
    pub store: Store,
    applier: Applier,
    live: Arc<Live>,
    options: Arc<ConnOptions>,
    connections: BTreeMap<ConnectionId, Connection>,
    tables: BTreeMap<Name, TableNumber>,
    /// How often each was altered, and its tombstones purged.
    history: BTreeMap<Name, (u64, u64)>,
    /// When the session's clock began.
    base: Timestamp,
    random: Random,
    bug: Option<Bug>,
    /// How long jobs may take.
    pub delay_ms_max: u64,
    pub overflows: u64,
}

struct Connection {
    conn: Conn,
    jobs: Vec<Job>,
    ready: Vec<PeerOutput>,
    /// Its socket takes nothing before this.
    stalled_until: Millis,
    closed: bool,
}

struct Job {
    due: Millis,
    step: Step,
    by_overflow: bool,
}

enum Step {
    Run { job: LoadJob, took_ms: u64 },
    Give(Loaded),
}

/// Where an output comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    Message,
    Events,
    Loaded { by_overflow: bool },
}

fn definition(name: &str, kind: TableKind) -> TableDef {
    let mut def = table_def(name, kind);
    def.columns[1].name = "room".to_owned();
    def.columns.push(ColumnDef {
        id: ColumnId(3),
        name: "n".to_owned(),
        data_type: DataType::BigInt,
        ..def.columns[1].clone()
    });
    def.next_column = ColumnId(4);
    if kind == TableKind::Shared {
        def.options.access_level = AccessLevel::Public;
    }
    if kind == TableKind::Stream {
        def.options.ttl_seconds = Some(TTL_SECONDS);
    }
    def
}

impl World {
    pub fn new(seed: u64, bug: Option<Bug>) -> Self {
        let store = Store::open_in_memory().unwrap();
        let applier = Applier::load(&store).unwrap();
        let live = Live::detached(store.clone(), &applier);
        let mut world = Self {
            store,
            applier,
            live,
            options: Arc::new(OPTIONS),
            connections: BTreeMap::new(),
            tables: BTreeMap::new(),
            history: BTreeMap::new(),
            base: Timestamp::from_unix_ms(START_MS),
            random: Random(seed),
            bug,
            delay_ms_max: 0,
            overflows: 0,
        };
        let name = Namespace::default_namespace();
        let at = world.base;
        world.commit(
            vec![Command::Meta(MetaCommand::CreateNamespace { name, at })],
            Millis(0),
        );
        for (name, text, kind) in [
            (Name::Notes, "notes", TableKind::User),
            (Name::Board, "board", TableKind::Shared),
            (Name::Events, "events", TableKind::Stream),
        ] {
            let table = definition(text, kind);
            let created = Command::Meta(MetaCommand::CreateTable { table });
            let number = world.define(created);
            world.tables.insert(name, number);
        }
        world
    }

    /// A session's clock begins at 0: the world's goes on from where it is.
    pub fn begin(&mut self, elapsed: Millis) {
        self.connections.clear();
        self.base = self.time(elapsed).plus_ms(1);
        self.delay_ms_max = self.random.below(30);
    }

    fn time(&self, now: Millis) -> Timestamp {
        self.base.plus_ms(now.0)
    }

    /// A definition in both groups, in one commit.
    fn define(&mut self, command: Command) -> TableNumber {
        let live = Arc::clone(&self.live);
        let guard = live.begin_commit(&mut self.applier);
        let mut batch = self.store.batch();
        let applied = self.applier.apply(&mut batch, command).unwrap();
        let Applied::Table(table) = applied else {
            panic!("not defined: {applied:?}")
        };
        let number = table.number;
        self.applier
            .apply(&mut batch, Command::PutSchema { table })
            .unwrap();
        let effects = self.applier.finish(&mut batch);
        batch.commit(Sync::No).unwrap();
        self.live.committed(effects);
        drop(guard);
        number
    }

    fn commit(&mut self, commands: Vec<Command>, now: Millis) {
        let live = Arc::clone(&self.live);
        let guard = live.begin_commit(&mut self.applier);
        let mut batch = self.store.batch();
        for command in commands {
            let applied = self.applier.apply(&mut batch, command).unwrap();
            assert!(!matches!(applied, Applied::Rejected(_)), "{applied:?}");
        }
        let effects = self.applier.finish(&mut batch);
        if self.bug == Some(Bug::PublishBeforeCommit) {
            drop(guard);
            self.live.committed(effects);
            self.run_everything(now);
            batch.commit(Sync::No).unwrap();
            return;
        }
        batch.commit(Sync::No).unwrap();
        self.live.committed(effects);
    }

    /// Every job that waits, whenever it was to run.
    fn run_everything(&mut self, now: Millis) {
        let connections: Vec<ConnectionId> = self.connections.keys().copied().collect();
        for connection in connections {
            if let Some(link) = self.connections.get_mut(&connection) {
                for job in &mut link.jobs {
                    job.due = now;
                }
            }
            self.step(connection, now);
        }
    }

    fn table(&self, name: Name) -> Arc<kalam_engine::Table> {
        let catalog = self.applier.catalog();
        Arc::clone(catalog.table_by_number(self.tables[&name]).unwrap())
    }

    fn scope(name: Name) -> Scope {
        match name {
            Name::Board => Scope::Shared,
            Name::Notes | Name::Events => alice(),
        }
    }

    /// The visible rows, in commit order, to a clock that is late.
    pub fn rows(&self, name: Name, now: Millis, late_ms: u64) -> Vec<(SeqId, Item)> {
        let table = self.table(name);
        let slice = Slice::new(table.def.number, &Self::scope(name));
        let snapshot = self.store.snapshot();
        let mut found = Vec::new();
        let mut take = |seq, bytes: &[u8]| {
            let row = row_codec::decode(&table.layouts, bytes).unwrap();
            found.push((seq, item(&row)));
        };
        if name == Name::Events {
            let floor = stream::visible_floor(TTL_SECONDS, self.time(now).minus_ms(late_ms));
            let mut scan = StreamScan::new(&snapshot, &slice, floor, Direction::Forward).unwrap();
            while let Some((seq, bytes)) = scan.next().unwrap() {
                take(seq, bytes);
            }
        } else {
            let mut scan = HotScan::new(&snapshot, &slice, .., Direction::Forward);
            while let Some((seq, bytes)) = scan.next().unwrap() {
                take(seq, bytes);
            }
        }
        found
    }

    /// One command with a few changes of one table.
    pub fn write(&mut self, name: Name, changes: u64, now: Millis) {
        let table = self.table(name);
        let present = self.rows(name, now, 0);
        let ids: BTreeSet<i64> = (0..changes)
            .map(|_| i64::try_from(self.random.below(9)).unwrap())
            .collect();
        let mut mutations = Vec::new();
        for id in ids {
            let row = self.row(id, table.def.columns.len());
            let mut old = present.iter().rev().filter(|(_, item)| item.id == id);
            mutations.push(match old.next() {
                Some((old_seq, _)) if self.random.below(3) == 0 => {
                    let (old_seq, old) = (*old_seq, None);
                    Mutation::Delete { old_seq, old }
                }
                Some((old_seq, _)) if name != Name::Events => {
                    let (old_seq, old) = (*old_seq, None);
                    Mutation::Update { old_seq, old, row }
                }
                _ => Mutation::Insert { row },
            });
        }
        let mut part = table_write(table.def.number, &Self::scope(name), mutations);
        part.schema_version = table.def.schema_version;
        let command = write(self.time(now), vec![part]);
        self.commit(vec![Command::Write(command)], now);
    }

    fn row(&mut self, id: i64, columns: usize) -> Row {
        let room = match self.random.below(4) {
            0 => Value::Null,
            1 => Value::Text("b".to_owned()),
            _ => Value::Text("a".to_owned()),
        };
        let n = match self.random.below(12) {
            0 => Value::Null,
            n => Value::BigInt(i64::try_from(n).unwrap()),
        };
        let mut values = vec![Value::BigInt(id), room, n];
        values.resize(columns, Value::Null);
        Row(values)
    }

    /// How often a table was altered, and its tombstones purged.
    pub fn history(&self, name: Name) -> (u64, u64) {
        self.history.get(&name).copied().unwrap_or_default()
    }

    /// Adds a column.
    pub fn alter(&mut self, name: Name) {
        self.history.entry(name).or_default().0 += 1;
        let def = &self.table(name).def;
        let table = altered(def, &format!("extra{}", def.schema_version));
        self.define(Command::Meta(MetaCommand::AlterTable { table }));
    }

    /// Forgets every delete of a table.
    pub fn purge(&mut self, name: Name, now: Millis) {
        self.history.entry(name).or_default().1 += 1;
        let (table, below) = (self.tables[&name], SeqId(self.applier.last_seq().0 + 1));
        self.commit(vec![Command::PurgeTombstones { table, below }], now);
    }

    /// Every connection is gone, and everything in memory.
    pub fn restart(&mut self) {
        for link in self.connections.values_mut() {
            link.close(1_001, "restart");
            link.jobs.clear();
        }
        self.applier = Applier::load(&self.store).unwrap();
        self.live = Live::detached(self.store.clone(), &self.applier);
        self.connections.retain(|_, link| link.closed);
    }

    /// The sockets take nothing for a while.
    pub fn stall(&mut self, until: Millis) {
        for link in self.connections.values_mut() {
            link.stalled_until = until;
        }
    }

    pub fn is_busy(&self) -> bool {
        self.connections
            .values()
            .any(|link| !link.jobs.is_empty() || !link.ready.is_empty())
    }

    /// What is due on one connection.
    fn step(&mut self, connection: ConnectionId, now: Millis) {
        let Some(link) = self.connections.get_mut(&connection) else {
            return;
        };
        if link.closed || link.stalled_until > now {
            return;
        }
        if let Some(at) = link.jobs.iter().position(|job| job.due <= now) {
            let job = link.jobs.remove(at);
            self.work(connection, job, now);
        }
        self.step_on(connection, now);
    }

    /// One job goes on.
    fn work(&mut self, connection: ConnectionId, job: Job, now: Millis) {
        let time = self.time(now);
        let Some(link) = self.connections.get_mut(&connection) else {
            return;
        };
        let by_overflow = job.by_overflow;
        match job.step {
            Step::Run { job, took_ms } => link.jobs.push(Job {
                due: now.plus_ms(took_ms),
                step: Step::Give(job.run()),
                by_overflow,
            }),
            Step::Give(loaded) => {
                link.conn.loaded(loaded, time);
                self.drain(connection, Cause::Loaded { by_overflow }, now);
            }
        }
    }

    fn step_on(&mut self, connection: ConnectionId, now: Millis) {
        let time = self.time(now);
        if let Some(link) = self.connections.get_mut(&connection) {
            link.conn.take_events(time);
            self.drain(connection, Cause::Events, now);
        }
        if let Some(link) = self.connections.get_mut(&connection)
            && link.conn.deadline().is_some_and(|due| due <= time)
        {
            link.conn.timer(time);
            self.drain(connection, Cause::Message, now);
        }
    }

    fn drain(&mut self, connection: ConnectionId, cause: Cause, now: Millis) {
        let (time, bug) = (self.time(now), self.bug);
        let Some(link) = self.connections.get_mut(&connection) else {
            return;
        };
        while let Some(output) = link.conn.poll_output() {
            match output {
                Output::Send(frame) | Output::SendPlain(frame) => {
                    if let Some(frame) = distorted(frame, cause, bug) {
                        link.ready.push(PeerOutput::Frame(frame));
                    }
                }
                Output::Authenticate(_) => link.conn.authenticated(identity(), time),
                Output::Recheck(_) => link.conn.rechecked(Some(identity())),
                Output::Load(job) => {
                    let by_overflow = cause == Cause::Events;
                    self.overflows += u64::from(by_overflow);
                    let took_ms = self.random.below(self.delay_ms_max + 1);
                    link.jobs.push(Job {
                        due: now.plus_ms(self.random.below(self.delay_ms_max + 1)),
                        step: Step::Run { job, took_ms },
                        by_overflow,
                    });
                }
                Output::Query(query) => panic!("nobody asked: {query:?}"),
                // Answered by the peer's socket without its knowledge.
                Output::Ping => link.conn.heard(time),
                Output::Close { code, reason } => link.close(code, &reason),
            }
        }
    }
}

impl Connection {
    fn close(&mut self, code: u16, reason: &str) {
        if !self.closed {
            self.closed = true;
            let reason = reason.to_owned();
            self.ready.push(PeerOutput::Close { code, reason });
        }
    }
}

fn identity() -> Identity {
    Identity {
        caller: Caller::new(user("alice"), Role::User),
        user_version: 1,
        expires_at: None,
    }
}

fn item(row: &Row) -> Item {
    let number = |value: &Value| match value {
        Value::BigInt(number) => Some(*number),
        _ => None,
    };
    Item {
        id: number(&row.0[0]).unwrap(),
        room: match &row.0[1] {
            Value::Text(room) => Some(room.clone()),
            _ => None,
        },
        n: number(&row.0[2]),
    }
}

/// The frame as a server with that bug would send it.
fn distorted(frame: Frame, cause: Cause, bug: Option<Bug>) -> Option<Frame> {
    let Some(bug) = bug else { return Some(frame) };
    let Ok(mut message) = decode_server(&frame, Serialization::Json) else {
        return Some(frame);
    };
    let loaded = matches!(cause, Cause::Loaded { .. });
    match (bug, &mut message) {
        (Bug::LostDeleteOnResume, ServerMessage::Change(change)) if loaded => {
            (change.change_type != ChangeType::Delete).then_some(frame)
        }
        (Bug::DropOnOverflow, ServerMessage::Change(_)) => {
            (cause != Cause::Loaded { by_overflow: true }).then_some(frame)
        }
        (Bug::NewRowOnly, ServerMessage::Change(change)) => {
            (change.reason != Some(ChangeReason::LeftFilter)).then_some(frame)
        }
        (Bug::SnapshotOffByOne, ServerMessage::InitialDataBatch { batch_control, .. })
            if batch_control.status == BatchStatus::Ready =>
        {
            batch_control.last_seq_id = batch_control.last_seq_id.map(|seq| SeqId(seq.0 + 1));
            Some(Frame::json(&message))
        }
        _ => Some(frame),
    }
}

impl testing::Peer for World {
    fn opened(&mut self, connection: ConnectionId, now: Millis) {
        let peer = Peer {
            client_addr: None,
            transport: "websocket",
        };
        let conn = self.live.connect(peer, &self.options, self.time(now));
        let link = Connection {
            conn,
            jobs: Vec::new(),
            ready: Vec::new(),
            stalled_until: now,
            closed: false,
        };
        self.connections.insert(connection, link);
    }

    fn frame(&mut self, connection: ConnectionId, frame: Frame, now: Millis) {
        let time = self.time(now);
        if let Some(link) = self.connections.get_mut(&connection)
            && !link.closed
        {
            link.conn.heard(time);
            let message = decode_client(&frame, link.conn.serialization()).unwrap();
            link.conn.handle_message(message, time);
            self.drain(connection, Cause::Message, now);
        }
    }

    fn closed(&mut self, connection: ConnectionId, _: Millis) {
        self.connections.remove(&connection);
    }

    fn poll(&mut self, connection: ConnectionId, now: Millis) -> Vec<PeerOutput> {
        self.step(connection, now);
        let Some(link) = self.connections.get_mut(&connection) else {
            return Vec::new();
        };
        if link.stalled_until > now && !link.closed {
            return Vec::new();
        }
        let ready = std::mem::take(&mut link.ready);
        if link.closed {
            self.connections.remove(&connection);
        }
        ready
    }

    fn deadline(&self) -> Option<Millis> {
        let of_conn = |link: &Connection| {
            let due = link.conn.deadline()?;
            Some(Millis(due.unix_ms().saturating_sub(self.base.unix_ms())))
        };
        let open = self.connections.values().filter(|link| !link.closed);
        open.filter_map(|link| {
            let due = link
                .jobs
                .iter()
                .map(|job| job.due)
                .chain(of_conn(link))
                .min();
            due.map(|due| due.max(link.stalled_until))
        })
        .min()
    }
}
