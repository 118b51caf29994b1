//! What the tests share: small tables, rows, commands, and the whole database as text.

use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::sync::Arc;

use kalam_engine::{Applier, Engine, EngineOptions, Table};
use kalam_model::{
    AccessLevel, Applied, ColumnDef, ColumnId, Command, DataType, MetaCommand, Mutation, Namespace,
    Row, RowKey, Scope, SeqId, TableDef, TableId, TableKind, TableNumber, TableOptions, TableWrite,
    Timestamp, UserId, Value, WriteCommand, WriteOutcome,
};
use kalam_store::{Direction, Family, HotScan, Reader as _, Slice, Store, Sync, key, row_codec};

/// 2026-01-01T00:00:00Z.
pub const START_MS: u64 = 1_767_225_600_000;

pub fn at(offset_ms: u64) -> Timestamp {
    Timestamp::from_unix_ms(START_MS + offset_ms)
}

pub fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

pub fn alice() -> Scope {
    Scope::User(user("alice"))
}

/// `id BIGINT PRIMARY KEY, body TEXT` in the default namespace.
pub fn table_def(name: &str, kind: TableKind) -> TableDef {
    let column = |id, name: &str, data_type, nullable| ColumnDef {
        id: ColumnId(id),
        name: name.to_owned(),
        data_type,
        nullable,
        default: None,
        max_chars: None,
        initial: Value::Null,
        comment: None,
    };
    let ttl_seconds = (kind == TableKind::Stream).then_some(30);
    TableDef {
        number: TableNumber(0),
        id: TableId::new(Namespace::default_namespace(), name).unwrap(),
        kind,
        columns: vec![
            column(1, "id", DataType::BigInt, false),
            column(2, "body", DataType::Text, true),
        ],
        primary_key: vec![ColumnId(1)],
        options: TableOptions {
            ttl_seconds,
            access_level: AccessLevel::Private,
            ..TableOptions::default()
        },
        schema_version: 1,
        next_column: ColumnId(3),
        comment: None,
        created_at: at(0),
        updated_at: at(0),
    }
}

/// The next version, with one more column.
pub fn altered(def: &TableDef, column: &str) -> TableDef {
    let mut def = def.clone();
    let id = def.next_column;
    def.columns.push(ColumnDef {
        id,
        name: column.to_owned(),
        data_type: DataType::Int,
        nullable: true,
        default: None,
        max_chars: None,
        initial: Value::Int(5),
        comment: None,
    });
    def.next_column = ColumnId(id.0 + 1);
    def.schema_version += 1;
    def
}

pub fn row(id: i64, body: &str) -> Row {
    Row(vec![Value::BigInt(id), Value::Text(body.to_owned())])
}

pub fn row_key(id: i64) -> RowKey {
    key::encode_key(&[&Value::BigInt(id)]).unwrap()
}

pub fn insert(id: i64, body: &str) -> Mutation {
    Mutation::Insert { row: row(id, body) }
}

pub fn update(old_seq: SeqId, id: i64, body: &str) -> Mutation {
    Mutation::Update {
        old_seq,
        old: None,
        row: row(id, body),
    }
}

pub fn delete(old_seq: SeqId) -> Mutation {
    Mutation::Delete { old_seq, old: None }
}

pub fn table_write(table: TableNumber, scope: &Scope, mutations: Vec<Mutation>) -> TableWrite {
    TableWrite {
        table,
        schema_version: 1,
        scope: scope.clone(),
        manifest_version: None,
        mutations,
    }
}

pub fn write(time: Timestamp, writes: Vec<TableWrite>) -> WriteCommand {
    WriteCommand {
        time,
        writes,
        request: None,
    }
}

/// An engine in memory.
pub fn engine() -> Arc<Engine> {
    engine_on(Store::open_in_memory().unwrap())
}

pub fn engine_on(store: Store) -> Arc<Engine> {
    Engine::open(store, EngineOptions::default()).unwrap()
}

pub async fn create(engine: &Engine, name: &str, kind: TableKind) -> Arc<Table> {
    engine.create_table(table_def(name, kind)).await.unwrap()
}

/// One write to alice's slice of a table.
pub async fn write_rows(engine: &Engine, table: &Table, mutations: Vec<Mutation>) -> Applied {
    let scope = if table.def.has_one_scope() {
        Scope::Shared
    } else {
        alice()
    };
    let mut part = table_write(table.def.number, &scope, mutations);
    part.schema_version = table.def.schema_version;
    engine
        .write(write(Timestamp::now(), vec![part]))
        .await
        .unwrap()
}

pub fn written(applied: &Applied) -> WriteOutcome {
    match applied {
        Applied::Written(outcome) => *outcome,
        other => panic!("not written: {other:?}"),
    }
}

/// The rows of a slice, in commit order.
pub fn rows(store: &Store, table: &Table, scope: &Scope) -> Vec<(SeqId, Row)> {
    let snapshot = store.snapshot();
    let mut scan = HotScan::new(
        &snapshot,
        &Slice::new(table.def.number, scope),
        ..,
        Direction::Forward,
    );
    let mut found = Vec::new();
    while let Some((seq, bytes)) = scan.next().unwrap() {
        found.push((seq, row_codec::decode(&table.layouts, bytes).unwrap()));
    }
    found
}

/// Everything that is stored, as text.
pub fn dump(store: &Store) -> String {
    let snapshot = store.snapshot();
    let mut text = String::new();
    for family in Family::ALL {
        snapshot
            .scan(family, &[][..]..&[0xff; 300][..], &mut |key, value| {
                writeln!(text, "{} {} {}", family.name(), hex(key), hex(value)).unwrap();
                Ok(ControlFlow::Continue(()))
            })
            .unwrap();
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An applier without threads: the test decides what goes into one commit.
pub struct Bench {
    pub store: Store,
    pub applier: Applier,
}

impl Bench {
    pub fn new() -> Self {
        Self::on(Store::open_in_memory().unwrap())
    }

    pub fn on(store: Store) -> Self {
        let applier = Applier::load(&store).unwrap();
        Self { store, applier }
    }

    /// With the default namespace and one table of a kind, known to both groups.
    pub fn with_table(kind: TableKind) -> (Self, Arc<Table>) {
        let mut bench = Self::new();
        bench.commit([Command::Meta(MetaCommand::CreateNamespace {
            name: Namespace::default_namespace(),
            at: at(0),
        })]);
        let table = bench.create_table(table_def("t", kind));
        (bench, table)
    }

    pub fn create_table(&mut self, def: TableDef) -> Arc<Table> {
        let applied = self.commit([Command::Meta(MetaCommand::CreateTable { table: def })]);
        let [Applied::Table(def)] = &applied[..] else {
            panic!("not created: {applied:?}")
        };
        self.commit([Command::PutSchema { table: def.clone() }]);
        Arc::clone(self.applier.catalog().table_by_number(def.number).unwrap())
    }

    /// All commands in one commit.
    pub fn commit(&mut self, commands: impl IntoIterator<Item = Command>) -> Vec<Applied> {
        let mut batch = self.store.batch();
        let applied = commands
            .into_iter()
            .map(|command| self.applier.apply(&mut batch, command).unwrap())
            .collect();
        let _effects = self.applier.finish(&mut batch);
        batch.commit(Sync::No).unwrap();
        applied
    }

    pub fn write(&mut self, command: WriteCommand) -> Applied {
        self.commit([Command::Write(command)]).remove(0)
    }
}

/// Numbers from a seed.
pub struct Random(pub u64);

impl Random {
    /// SplitMix64.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}
