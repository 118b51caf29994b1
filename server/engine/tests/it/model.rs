//! Apply against a naive map: random schedules of commits, each of several commands that fight for few keys.

use std::collections::BTreeMap;
use std::sync::Arc;

use kalam_engine::Table;
use kalam_model::{
    Applied, Command, Mutation, Rejection, Row, Scope, SeqId, TableKind, Value, WriteCommand,
    WriteOutcome,
};
use kalam_store::{Slice, hot};

use crate::support::{
    Bench, Random, at, delete, insert, row, row_key, rows, table_write, update, user, write,
};

const SCHEDULES: u64 = 10_000;
const KEYS: u64 = 4;

/// One slice: key to version.
type Naive = BTreeMap<i64, (SeqId, Row)>;

#[derive(Clone, Default)]
struct Model {
    slices: BTreeMap<Scope, Naive>,
    last: SeqId,
}

impl Model {
    /// The same rules as apply, on maps.
    fn apply(&mut self, command: &WriteCommand) -> Applied {
        let mut next = self.clone();
        let first = self.last.next(command.time.unix_ms());
        let mut seq = first;
        let mut index = 0;
        for part in &command.writes {
            let slice = next.slices.entry(part.scope.clone()).or_default();
            for mutation in &part.mutations {
                let accepted = match mutation {
                    Mutation::Insert { row } => insert_naive(slice, row, seq),
                    Mutation::Update { old_seq, row, .. } => {
                        update_naive(slice, *old_seq, row, seq)
                    }
                    Mutation::Delete { old_seq, .. } => delete_naive(slice, *old_seq),
                };
                match accepted {
                    Ok(()) => {}
                    Err(None) => return Applied::Rejected(Rejection::Stale),
                    Err(Some(())) => {
                        return Applied::Rejected(Rejection::DuplicateKey {
                            table: part.table,
                            mutation: index,
                        });
                    }
                }
                seq.0 += 1;
                index += 1;
            }
        }
        if index == 0 {
            return Applied::Written(WriteOutcome::default());
        }
        next.last = SeqId(seq.0 - 1);
        *self = next;
        Applied::Written(WriteOutcome {
            first_seq: first,
            last_seq: self.last,
            rows: index,
        })
    }
}

/// `Err(Some)` is a duplicate, `Err(None)` a stale version.
fn insert_naive(slice: &mut Naive, row: &Row, seq: SeqId) -> Result<(), Option<()>> {
    if slice.contains_key(&id(row)) {
        return Err(Some(()));
    }
    slice.insert(id(row), (seq, row.clone()));
    Ok(())
}

fn update_naive(
    slice: &mut Naive,
    old_seq: SeqId,
    row: &Row,
    seq: SeqId,
) -> Result<(), Option<()>> {
    match slice.get_mut(&id(row)) {
        Some(version) if version.0 == old_seq => {
            *version = (seq, row.clone());
            Ok(())
        }
        _ => Err(None),
    }
}

fn delete_naive(slice: &mut Naive, old_seq: SeqId) -> Result<(), Option<()>> {
    let found = slice
        .iter()
        .find(|(_, version)| version.0 == old_seq)
        .map(|(id, _)| *id)
        .ok_or(None)?;
    slice.remove(&found);
    Ok(())
}

fn id(row: &Row) -> i64 {
    match row.0[0] {
        Value::BigInt(id) => id,
        ref other => panic!("not a key: {other:?}"),
    }
}

/// A version that may be live, stale or never have been.
fn some_seq(random: &mut Random, slice: &Naive, key: i64, model: &Model) -> SeqId {
    match (slice.get(&key), random.below(5)) {
        (Some((seq, _)), 0..=3) => *seq,
        _ => SeqId(model.last.0.saturating_sub(random.below(4))),
    }
}

fn random_command(
    random: &mut Random,
    table: &Table,
    scopes: &[Scope; 2],
    model: &Model,
    time: u64,
) -> WriteCommand {
    let empty = Naive::new();
    let parts = (0..=random.below(2)).map(|_| {
        let scope = &scopes[random.below(2) as usize];
        let slice = model.slices.get(scope).unwrap_or(&empty);
        let mutations = (0..1 + random.below(3)).map(|_| {
            let key = i64::try_from(random.below(KEYS)).unwrap();
            let body = format!("{}", random.below(100));
            match random.below(4) {
                0 | 1 => insert(key, &body),
                2 => update(some_seq(random, slice, key, model), key, &body),
                _ => delete(some_seq(random, slice, key, model)),
            }
        });
        table_write(table.def.number, scope, mutations.collect())
    });
    write(at(time), parts.collect())
}

fn assert_same(bench: &Bench, table: &Arc<Table>, scope: &Scope, naive: &Naive, seed: u64) {
    let mut expected = naive.values().cloned().collect::<Vec<_>>();
    expected.sort_by_key(|(seq, _)| *seq);
    assert_eq!(
        rows(&bench.store, table, scope),
        expected,
        "rows after schedule {seed}"
    );
    let snapshot = bench.store.snapshot();
    let slice = Slice::new(table.def.number, scope);
    for key in 0..i64::try_from(KEYS).unwrap() {
        let live = hot::live_seq(&snapshot, &slice, &row_key(key)).unwrap();
        assert_eq!(
            live,
            naive.get(&key).map(|(seq, _)| *seq),
            "key {key} after schedule {seed}"
        );
    }
}

#[test]
fn i5_apply_does_what_a_naive_map_does() {
    let (mut bench, table) = Bench::with_table(TableKind::User);
    let mut last = SeqId::ZERO;
    for seed in 0..SCHEDULES {
        let mut random = Random(seed);
        let scopes = ["a", "b"].map(|name| Scope::User(user(&format!("{name}{seed}"))));
        let mut model = Model {
            last,
            ..Model::default()
        };
        for _ in 0..1 + random.below(2) {
            let mut commands = Vec::new();
            let mut expected = Vec::new();
            for _ in 0..1 + random.below(4) {
                // Clocks of several writers do not agree.
                let time = seed + random.below(20);
                let command = random_command(&mut random, &table, &scopes, &model, time);
                expected.push(model.apply(&command));
                commands.push(Command::Write(command));
            }
            let applied = bench.commit(commands);
            assert_eq!(applied, expected, "answers of schedule {seed}");
        }
        for scope in &scopes {
            assert_same(
                &bench,
                &table,
                scope,
                model.slices.get(scope).unwrap_or(&Naive::new()),
                seed,
            );
        }
        last = model.last;
    }
}

#[test]
fn i5_of_two_inserts_of_a_key_in_one_commit_exactly_one_wins() {
    let (mut bench, table) = Bench::with_table(TableKind::User);
    let scope = Scope::User(user("alice"));
    let command = |body| {
        Command::Write(write(
            at(1),
            vec![table_write(table.def.number, &scope, vec![insert(1, body)])],
        ))
    };
    let applied = bench.commit([command("first"), command("second")]);
    assert!(matches!(applied[0], Applied::Written(_)));
    let duplicate = Rejection::DuplicateKey {
        table: table.def.number,
        mutation: 0,
    };
    assert_eq!(applied[1], Applied::Rejected(duplicate));
    let stored = rows(&bench.store, &table, &scope);
    assert_eq!(
        stored.into_iter().map(|(_, row)| row).collect::<Vec<_>>(),
        [row(1, "first")]
    );
}
