//! A commit that fails: nothing more is accepted, and what was answered before is there (I12).

use std::path::Path;
use std::process::Command;

use kalam_engine::{Durability, Engine, EngineOptions, Error};
use kalam_model::{Applied, TableKind, Timestamp};
use kalam_store::{Store, StoreOptions};

use crate::support::{alice, create, insert, rows, table_write, write, written};

/// Tells the test that it runs as its own child, and where the data is.
const CHILD_DIR: &str = "KALAM_TEST_FAILURE_DIR";

const ROW_BYTES: usize = 10_000;

fn open(dir: &Path) -> std::sync::Arc<Engine> {
    let store = Store::open(dir, &StoreOptions::default()).unwrap();
    Engine::open(
        store,
        EngineOptions {
            durability: Durability::Sync,
            ..EngineOptions::default()
        },
    )
    .unwrap()
}

/// Limits the size of files, so that the log cannot grow: the limit holds for a whole process.
fn limit_file_size(bytes: u64) {
    let limit = libc::rlimit {
        rlim_cur: bytes,
        rlim_max: bytes,
    };
    // SAFETY: both calls only change settings of this process, and the structure outlives its call.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit), 0);
    }
}

/// Writes until a commit fails; prints how many were answered with success.
async fn child(dir: &Path) {
    let engine = open(dir);
    let table = create(&engine, "t", TableKind::User).await;
    limit_file_size(300_000);
    let body = "x".repeat(ROW_BYTES);
    let put = async |id| {
        let part = table_write(table.def.number, &alice(), vec![insert(id, &body)]);
        engine.write(write(Timestamp::now(), vec![part])).await
    };
    let mut accepted = 0;
    let failed = loop {
        match put(accepted).await {
            Ok(Applied::Written(_)) => accepted += 1,
            Ok(other) => panic!("{other:?}"),
            Err(error) => break error,
        }
        assert!(accepted < 1_000, "the limit had no effect");
    };
    assert!(
        matches!(failed, Error::StorageUnavailable { .. }),
        "{failed:?}"
    );
    assert!(!engine.is_accepting_writes());
    for id in [accepted, 5_000] {
        assert!(matches!(
            put(id).await,
            Err(Error::StorageUnavailable { .. })
        ));
    }
    assert_eq!(
        rows(engine.store(), &table, &alice()).len(),
        usize::try_from(accepted).unwrap()
    );
    println!("accepted={accepted}.");
}

#[tokio::test]
async fn i12_after_a_failed_commit_nothing_is_accepted_and_nothing_answered_is_lost() {
    if let Some(dir) = std::env::var_os(CHILD_DIR) {
        return child(Path::new(&dir)).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let name =
        "failure::i12_after_a_failed_commit_nothing_is_accepted_and_nothing_answered_is_lost";
    let output = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(CHILD_DIR, dir.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let accepted = text
        .split("accepted=")
        .nth(1)
        .and_then(|rest| rest.split('.').next())
        .unwrap();
    let accepted = accepted.parse::<usize>().unwrap();

    let engine = open(dir.path());
    let table = engine.catalog().tables().next().cloned().unwrap();
    let found = rows(engine.store(), &table, &alice()).len();
    // The one whose commit failed may or may not be there.
    assert!(
        found == accepted || found == accepted + 1,
        "{found} rows, {accepted} were accepted"
    );
    assert!(found > 5);
    let part = table_write(table.def.number, &alice(), vec![insert(9_000, "b")]);
    written(
        &engine
            .write(write(Timestamp::now(), vec![part]))
            .await
            .unwrap(),
    );
}
