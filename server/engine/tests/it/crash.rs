//! What is on disk when the process dies, or the power does.

use std::fs;
use std::path::Path;

use kalam_engine::{Durability, Engine, EngineOptions, Error};
use kalam_model::{GroupId, SeqId, TableKind};
use kalam_store::{Store, StoreOptions, meta};

use crate::support::{
    Random, alice, create, delete, dump, insert, rows, update, user, write_rows, written,
};

fn open(dir: &Path, durability: Durability) -> std::sync::Arc<Engine> {
    let store = Store::open(dir, &StoreOptions::default()).unwrap();
    Engine::open(
        store,
        EngineOptions {
            durability,
            ..EngineOptions::default()
        },
    )
    .unwrap()
}

/// A copy of the files as they are at this moment, as a dead process leaves them.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != "LOCK" {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

fn log_of(dir: &Path) -> std::path::PathBuf {
    let logs = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    logs.filter(|path| path.extension().is_some_and(|end| end == "log"))
        .max()
        .unwrap()
}

#[tokio::test]
async fn i12_what_was_answered_is_there_after_the_process_died() {
    for durability in [Durability::Sync, Durability::Relaxed { window_ms: 60_000 }] {
        let dir = tempfile::tempdir().unwrap();
        let live = dir.path().join("live");
        let engine = open(&live, durability);
        let table = create(&engine, "t", TableKind::User).await;
        for id in 0..10 {
            written(&write_rows(&engine, &table, vec![insert(id, "a")]).await);
            let dead = dir.path().join(format!("dead{id}"));
            copy(&live, &dead);
            let again = open(&dead, durability);
            let found = rows(again.store(), &table, &alice());
            assert_eq!(found.len(), usize::try_from(id).unwrap() + 1);
            let next = written(&write_rows(&again, &table, vec![insert(99, "b")]).await);
            assert!(next.first_seq > found.last().unwrap().0);
        }
    }
}

/// What a relaxed run loses with the machine, subscribers may have seen.
#[tokio::test]
async fn i6_the_resume_floor_rises_after_an_unclean_relaxed_run() {
    let relaxed = Durability::Relaxed { window_ms: 60_000 };
    let dir = tempfile::tempdir().unwrap();
    let live = dir.path().join("live");
    let engine = open(&live, relaxed);
    let table = create(&engine, "t", TableKind::User).await;
    let first = written(&write_rows(&engine, &table, vec![insert(1, "a")]).await);
    assert_eq!(floor(&engine), SeqId::ZERO, "a first start");

    for next in [relaxed, Durability::Sync] {
        let dead = dir.path().join(format!("dead before {next:?}"));
        copy(&live, &dead);
        let again = open(&dead, next);
        let risen = floor(&again);
        assert!(risen > first.last_seq, "{next:?}: {risen}");
        let second = written(&write_rows(&again, &table, vec![insert(2, "b")]).await);
        assert!(second.first_seq > risen, "{next:?}");
        again.close();
        drop(again);
        let third = open(&dead, relaxed);
        assert_eq!(floor(&third), risen, "{next:?}: it ended in order");
    }

    engine.close();
    drop(engine);
    assert_eq!(floor(&open(&live, relaxed)), SeqId::ZERO, "an end in order");
}

/// What was acknowledged after a sync is there: whoever saw it goes on.
#[tokio::test]
async fn i6_the_resume_floor_stays_after_an_unclean_run_that_synced() {
    let dir = tempfile::tempdir().unwrap();
    let live = dir.path().join("live");
    let engine = open(&live, Durability::Sync);
    let table = create(&engine, "t", TableKind::User).await;
    written(&write_rows(&engine, &table, vec![insert(1, "a")]).await);
    let dead = dir.path().join("dead");
    copy(&live, &dead);
    assert_eq!(floor(&open(&dead, Durability::Sync)), SeqId::ZERO);
}

fn floor(engine: &Engine) -> SeqId {
    meta::RESUME_FLOOR
        .get(&engine.snapshot(), &GroupId::LOCAL)
        .unwrap()
        .unwrap_or_default()
}

#[tokio::test]
async fn i3_a_cut_log_gives_the_state_after_a_whole_number_of_commands() {
    let dir = tempfile::tempdir().unwrap();
    let live = dir.path().join("live");
    let engine = open(&live, Durability::Relaxed { window_ms: 60_000 });
    let mut states = vec![dump(engine.store())];
    let mut note = |engine: &Engine| states.push(dump(engine.store()));
    let users = create(&engine, "t", TableKind::User).await;
    note(&engine);
    let shared = create(&engine, "s", TableKind::Shared).await;
    note(&engine);
    for turn in 0..12 {
        let old = written(
            &write_rows(
                &engine,
                &users,
                vec![insert(turn, "a"), insert(turn + 100, "b")],
            )
            .await,
        );
        note(&engine);
        write_rows(
            &engine,
            &users,
            vec![update(old.first_seq, turn, "c"), delete(old.last_seq)],
        )
        .await;
        note(&engine);
        write_rows(&engine, &shared, vec![insert(turn, "d")]).await;
        note(&engine);
    }
    engine.audit(audit_record()).await.unwrap();
    note(&engine);
    engine.drop_table(&shared).await.unwrap();
    note(&engine);

    let log_bytes = fs::metadata(log_of(&live)).unwrap().len();
    let mut random = Random(3);
    let mut seen = std::collections::BTreeSet::new();
    for cut in 0..24 {
        let dead = dir.path().join(format!("dead{cut}"));
        copy(&live, &dead);
        let log = fs::OpenOptions::new()
            .write(true)
            .open(log_of(&dead))
            .unwrap();
        log.set_len(random.below(log_bytes)).unwrap();
        let store = Store::open(&dead, &StoreOptions::default()).unwrap();
        let found = dump(&store);
        let state = states.iter().position(|state| *state == found);
        // Cut within the engine's start: nothing but the format, and the mark of a relaxed run.
        let empty = found.lines().count() <= 2;
        assert!(
            state.is_some() || empty,
            "the state after no whole number of commands:\n{found}"
        );
        seen.extend(state);
    }
    assert!(seen.len() > 5, "the cuts fell into few states: {seen:?}");
}

fn audit_record() -> kalam_model::AuditRecord {
    kalam_model::AuditRecord {
        at: kalam_model::Timestamp::now(),
        actor: user("root"),
        as_user: None,
        action: "TEST".to_owned(),
        target: "t".to_owned(),
        result: "ok".to_owned(),
        details: None,
        request_id: None,
    }
}

/// A sync that fails poisons the engine; one that never comes leaves the loss window open.
#[tokio::test]
async fn i12_relaxed_syncs_behind_the_writes() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path(), Durability::Relaxed { window_ms: 1 });
    let table = create(&engine, "t", TableKind::User).await;
    for id in 0..20 {
        written(&write_rows(&engine, &table, vec![insert(id, "a")]).await);
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    engine.close();
    let refused = engine.put_setting("a", "b").await.unwrap_err();
    assert!(matches!(refused, Error::ShuttingDown), "{refused:?}");
}

#[tokio::test]
async fn a_closed_engine_gives_its_folder_free() {
    let dir = tempfile::tempdir().unwrap();
    for turn in 0..3 {
        let engine = open(dir.path(), Durability::Sync);
        if turn == 0 {
            create(&engine, "t", TableKind::User).await;
        }
        let table = engine.catalog().tables().next().cloned().unwrap();
        written(&write_rows(&engine, &table, vec![insert(turn, "a")]).await);
        engine.close();
        drop(engine);
    }
    let engine = open(dir.path(), Durability::Sync);
    let table = engine.catalog().tables().next().cloned().unwrap();
    assert_eq!(rows(engine.store(), &table, &alice()).len(), 3);
}
