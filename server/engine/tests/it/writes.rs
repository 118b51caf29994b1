//! Sequence numbers, conditional writes, repeated requests and commits that many share, through the running engine.

use std::sync::Arc;

use kalam_engine::{COMMAND_BYTES_MAX, Engine, Error};
use kalam_model::{
    Applied, Command, ErrorCode, GroupId, Rejection, RequestRecord, Scope, SeqId, TableKind,
    TableNumber, Timestamp, WriteCommand, slot_of,
};
use kalam_store::{Direction, Slice, Store, StreamScan, hot};

use crate::support::{
    Bench, alice, at, create, delete, engine, engine_on, insert, row, row_key, rows, table_write,
    update, user, write, write_rows, written,
};

#[test]
fn i1_seqs_are_consecutive_in_a_command_and_rise_when_the_clock_goes_back() {
    let (mut bench, table) = Bench::with_table(TableKind::User);
    let mut put = |time, ids: std::ops::Range<i64>| {
        let mutations = ids.map(|id| insert(id, "x")).collect();
        written(&bench.write(write(
            at(time),
            vec![table_write(table.def.number, &alice(), mutations)],
        )))
    };
    let first = put(1_000, 0..3);
    assert_eq!(first.first_seq, SeqId::at_time(at(1_000).unix_ms()));
    assert_eq!((first.last_seq.0 - first.first_seq.0, first.rows), (2, 3));
    let second = put(400, 3..4);
    assert_eq!(second.first_seq.0, first.last_seq.0 + 1);
    let third = put(2_000, 4..5);
    assert_eq!(third.first_seq, SeqId::at_time(at(2_000).unix_ms()));
}

#[tokio::test]
async fn i1_seqs_never_go_back_after_a_restart() {
    let store = Store::open_in_memory().unwrap();
    let ahead = Timestamp::from_unix_ms(Timestamp::now().unix_ms() + 3_600_000);
    let put = async |engine: &Engine, id| {
        let table = engine.catalog().tables().next().cloned().unwrap();
        let part = table_write(table.def.number, &alice(), vec![insert(id, "x")]);
        written(
            &engine
                .write(write(
                    if id == 1 { ahead } else { Timestamp::now() },
                    vec![part],
                ))
                .await
                .unwrap(),
        )
    };
    let engine = engine_on(store.clone());
    create(&engine, "t", TableKind::User).await;
    let before = put(&engine, 1).await;
    engine.close();
    drop(engine);
    let engine = engine_on(store);
    assert_eq!(put(&engine, 2).await.first_seq.0, before.last_seq.0 + 1);
}

#[tokio::test]
async fn i10_a_write_on_a_stale_version_is_rejected() {
    let engine = engine();
    let table = create(&engine, "t", TableKind::User).await;
    let first = written(&write_rows(&engine, &table, vec![insert(1, "a")]).await).last_seq;
    let second = written(&write_rows(&engine, &table, vec![update(first, 1, "b")]).await).last_seq;
    let stale = Applied::Rejected(Rejection::Stale);
    for mutation in [
        update(first, 1, "c"),
        delete(first),
        update(second, 2, "another key"),
        delete(SeqId(7)),
    ] {
        assert_eq!(write_rows(&engine, &table, vec![mutation]).await, stale);
    }
    written(&write_rows(&engine, &table, vec![delete(second)]).await);
    assert_eq!(
        write_rows(&engine, &table, vec![update(second, 1, "d")]).await,
        stale
    );
    assert_eq!(rows(engine.store(), &table, &alice()), []);
}

#[tokio::test]
async fn i10_a_write_on_another_manifest_or_schema_is_rejected() {
    let engine = engine();
    let table = create(&engine, "t", TableKind::User).await;
    let part = table_write(table.def.number, &alice(), vec![insert(1, "a")]);
    let answer = async |part| {
        engine
            .write(write(Timestamp::now(), vec![part]))
            .await
            .unwrap()
    };
    let mut other = part.clone();
    other.manifest_version = Some(1);
    assert_eq!(answer(other).await, Applied::Rejected(Rejection::Stale));
    let mut other = part.clone();
    other.schema_version = 2;
    let changed = Rejection::SchemaChanged {
        table: table.def.number,
    };
    assert_eq!(answer(other).await, Applied::Rejected(changed));
    let mut other = part.clone();
    other.table = TableNumber(77);
    assert_eq!(
        answer(other).await,
        Applied::Rejected(Rejection::NoSuchTable {
            table: TableNumber(77)
        })
    );
    let mut known = part;
    known.manifest_version = Some(0);
    written(&answer(known).await);
}

#[test]
fn a_delete_leaves_a_tombstone_with_its_own_seq() {
    let (mut bench, table) = Bench::with_table(TableKind::User);
    let mut put = |mutation| {
        written(&bench.write(write(
            at(5),
            vec![table_write(table.def.number, &alice(), vec![mutation])],
        )))
        .last_seq
    };
    let old = put(insert(1, "a"));
    let removed = put(delete(old));
    let slice = Slice::new(table.def.number, &alice());
    let found = hot::tombstones(&bench.store.snapshot(), &slice, .., usize::MAX).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].seq, found[0].old_seq, &found[0].key),
        (removed, old, &row_key(1))
    );
    bench.commit([Command::PurgeTombstones {
        table: table.def.number,
        below: SeqId(removed.0 + 1),
    }]);
    assert_eq!(
        hot::tombstones(&bench.store.snapshot(), &slice, .., usize::MAX).unwrap(),
        []
    );
}

fn request(id: &str, hash: u64) -> RequestRecord {
    let slot = slot_of(TableNumber(1), &alice());
    RequestRecord {
        slot,
        user: user("alice"),
        id: id.to_owned(),
        hash,
        answer: b"answer".to_vec(),
    }
}

#[tokio::test]
async fn i3_a_repeated_request_is_answered_and_not_applied_again() {
    let store = Store::open_in_memory().unwrap();
    let engine = engine_on(store.clone());
    let table = create(&engine, "t", TableKind::User).await;
    let command = |id, hash| WriteCommand {
        request: Some(request(id, hash)),
        ..write(
            Timestamp::now(),
            vec![table_write(
                table.def.number,
                &alice(),
                vec![insert(1, "a")],
            )],
        )
    };
    let outcome = written(&engine.write(command("r1", 1)).await.unwrap());
    let again = Applied::Replayed {
        outcome,
        answer: b"answer".to_vec(),
    };
    assert_eq!(engine.write(command("r1", 1)).await.unwrap(), again);
    assert_eq!(
        engine.write(command("r1", 2)).await.unwrap(),
        Applied::Rejected(Rejection::RequestMismatch)
    );
    assert!(matches!(
        engine.write(command("r2", 1)).await.unwrap(),
        Applied::Rejected(Rejection::DuplicateKey { mutation: 0, .. })
    ));
    drop(engine);
    let engine = engine_on(store);
    assert_eq!(engine.write(command("r1", 1)).await.unwrap(), again);
    let purge = Command::PurgeRequests {
        before: Timestamp::from_unix_ms(Timestamp::now().unix_ms() + 1_000),
    };
    engine.propose(GroupId::LOCAL, purge).await.unwrap();
    assert!(matches!(
        engine.write(command("r1", 1)).await.unwrap(),
        Applied::Rejected(_)
    ));
}

#[test]
fn i3_a_request_repeated_in_the_same_commit_is_applied_once() {
    let (mut bench, table) = Bench::with_table(TableKind::User);
    let command = Command::Write(WriteCommand {
        request: Some(request("r1", 1)),
        ..write(
            at(1),
            vec![table_write(
                table.def.number,
                &alice(),
                vec![insert(1, "a")],
            )],
        )
    });
    let applied = bench.commit([command.clone(), command]);
    let outcome = written(&applied[0]);
    assert_eq!(
        applied[1],
        Applied::Replayed {
            outcome,
            answer: b"answer".to_vec()
        }
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn i12_commits_that_many_share_answer_everybody() {
    let engine = engine();
    let table = create(&engine, "t", TableKind::Shared).await;
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..16_i64 {
        let (engine, table) = (Arc::clone(&engine), Arc::clone(&table));
        tasks.spawn(async move {
            let mut wins = 0;
            for turn in 0..100 {
                // Half of the keys are fought for by two writers.
                let id =
                    (writer / 2) * 1_000 + turn * 2 + if turn % 2 == 0 { writer % 2 } else { 0 };
                match write_rows(&engine, &table, vec![insert(id, "x")]).await {
                    Applied::Written(outcome) => wins += outcome.rows,
                    Applied::Rejected(Rejection::DuplicateKey { .. }) => {}
                    other => panic!("{other:?}"),
                }
            }
            wins
        });
    }
    let wins = tasks.join_all().await.into_iter().sum::<u64>();
    assert_eq!(wins, 8 * 150);
    let stored = rows(engine.store(), &table, &Scope::Shared);
    assert_eq!(stored.len(), 8 * 150);
    assert!(stored.is_sorted_by(|a, b| a.0 < b.0));
}

#[tokio::test]
async fn i12_a_write_goes_on_when_nobody_waits_for_it() {
    let engine = engine();
    let table = create(&engine, "t", TableKind::User).await;
    let part = table_write(table.def.number, &alice(), vec![insert(1, "a")]);
    let proposal = engine.write(write(Timestamp::now(), vec![part]));
    let _ = tokio::time::timeout(std::time::Duration::ZERO, proposal).await;
    // Whatever is ordered after it sees it.
    let applied = write_rows(&engine, &table, vec![insert(1, "b")]).await;
    assert!(matches!(
        applied,
        Applied::Rejected(Rejection::DuplicateKey { .. })
    ));
}

#[tokio::test]
async fn a_command_over_the_limit_is_refused() {
    let engine = engine();
    let table = create(&engine, "t", TableKind::User).await;
    let body = "x".repeat(COMMAND_BYTES_MAX);
    let part = table_write(table.def.number, &alice(), vec![insert(1, &body)]);
    let refused = engine
        .write(write(Timestamp::now(), vec![part]))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), ErrorCode::StatementTooLarge);
}

#[tokio::test]
async fn a_stream_takes_the_same_key_twice_and_loses_expired_rows() {
    let engine = engine();
    let table = create(&engine, "events", TableKind::Stream).await;
    let first = written(&write_rows(&engine, &table, vec![insert(1, "a"), insert(1, "b")]).await);
    assert_eq!(
        write_rows(&engine, &table, vec![update(first.last_seq, 1, "c")]).await,
        Applied::Rejected(Rejection::Malformed {
            table: table.def.number
        })
    );
    written(&write_rows(&engine, &table, vec![delete(first.last_seq)]).await);
    let stale = Applied::Rejected(Rejection::Stale);
    assert_eq!(
        write_rows(&engine, &table, vec![delete(first.last_seq)]).await,
        stale
    );
    let slice = Slice::new(table.def.number, &alice());
    let count = || {
        let snapshot = engine.snapshot();
        let mut scan = StreamScan::new(&snapshot, &slice, SeqId::ZERO, Direction::Forward).unwrap();
        std::iter::from_fn(|| scan.next().unwrap().map(|(seq, _)| seq)).count()
    };
    assert_eq!(count(), 1);
    let below = SeqId::at_time(Timestamp::now().unix_ms() + 120_000);
    engine
        .propose(
            GroupId::LOCAL,
            Command::ExpireStream {
                table: table.def.number,
                below,
            },
        )
        .await
        .unwrap();
    assert_eq!(count(), 0);
}

#[tokio::test]
async fn locked_keys_let_read_modify_write_go_through_without_conflicts() {
    let engine = engine();
    let table = create(&engine, "t", TableKind::Shared).await;
    write_rows(&engine, &table, vec![insert(1, "0")]).await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (engine, table) = (Arc::clone(&engine), Arc::clone(&table));
        tasks.spawn(async move {
            let slice = Slice::new(table.def.number, &Scope::Shared);
            for _ in 0..20 {
                let _guard = engine.lock_keys([(&slice, &row_key(1))]).await;
                let _gate = engine.table_gate_read(&table).await;
                let (seq, old) = rows(engine.store(), &table, &Scope::Shared).remove(0);
                let kalam_model::Value::Text(count) = &old.0[1] else {
                    panic!("{old:?}")
                };
                let count = count.parse::<u32>().unwrap() + 1;
                written(
                    &write_rows(&engine, &table, vec![update(seq, 1, &count.to_string())]).await,
                );
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(
        rows(engine.store(), &table, &Scope::Shared)[0].1,
        row(1, "160")
    );
}

#[tokio::test]
async fn after_close_writes_are_refused_and_what_waited_is_there() {
    let store = Store::open_in_memory().unwrap();
    let engine = engine_on(store.clone());
    let table = create(&engine, "t", TableKind::User).await;
    write_rows(&engine, &table, vec![insert(1, "a")]).await;
    assert!(engine.is_accepting_writes());
    engine.close();
    engine.close();
    assert!(!engine.is_accepting_writes());
    let part = table_write(table.def.number, &alice(), vec![insert(2, "b")]);
    let refused = engine.write(write(Timestamp::now(), vec![part])).await;
    assert!(matches!(refused, Err(Error::ShuttingDown)));
    assert_eq!(rows(&store, &table, &alice()).len(), 1);
}

#[test]
fn i12_only_what_expires_by_itself_goes_without_an_fsync() {
    let (mut bench, table) = Bench::with_table(TableKind::User);
    let events = bench.create_table(crate::support::table_def("events", TableKind::Stream));
    let mut needs_sync = |command| {
        let mut batch = bench.store.batch();
        bench.applier.apply(&mut batch, command).unwrap();
        let needs = bench.applier.finish(&mut batch).needs_sync();
        batch.commit(kalam_store::Sync::No).unwrap();
        needs
    };
    let row_of = |table: TableNumber| {
        write(
            at(1),
            vec![table_write(table, &alice(), vec![insert(1, "a")])],
        )
    };
    assert!(needs_sync(Command::Write(row_of(table.def.number))));
    assert!(
        !needs_sync(Command::Write(row_of(table.def.number))),
        "a duplicate writes nothing"
    );
    assert!(!needs_sync(Command::Write(row_of(events.def.number))));
    let repeatable = WriteCommand {
        request: Some(request("r1", 1)),
        ..row_of(events.def.number)
    };
    assert!(needs_sync(Command::Write(repeatable)));
    let mut both = row_of(events.def.number);
    both.writes.push(table_write(
        table.def.number,
        &alice(),
        vec![insert(2, "b")],
    ));
    assert!(needs_sync(Command::Write(both)));
    let below = SeqId::at_time(at(90_000).unix_ms());
    assert!(!needs_sync(Command::ExpireStream {
        table: events.def.number,
        below
    }));
    let setting = kalam_model::MetaCommand::PutSetting {
        name: "a".to_owned(),
        value: "b".to_owned(),
    };
    assert!(needs_sync(Command::Meta(setting)));
}

/// The writer never waits for tasks that wait for room in its queue: the runtime may be the one that closes it.
#[tokio::test]
async fn closing_does_not_wait_for_writers_that_wait() {
    let engine = engine();
    let table = create(&engine, "t", TableKind::User).await;
    let mut tasks = tokio::task::JoinSet::new();
    for id in 0..3_000 {
        let (engine, table) = (Arc::clone(&engine), Arc::clone(&table));
        tasks.spawn(async move {
            let part = table_write(table.def.number, &alice(), vec![insert(id, "a")]);
            engine.write(write(Timestamp::now(), vec![part])).await
        });
    }
    tokio::task::yield_now().await;
    engine.close();
    let answers = tasks.join_all().await;
    let accepted = answers.iter().filter(|answer| answer.is_ok()).count();
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer, Ok(Applied::Written(_)) | Err(Error::ShuttingDown)))
    );
    assert_eq!(rows(engine.store(), &table, &alice()).len(), accepted);
}
