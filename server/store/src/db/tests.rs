use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use kalam_link_core::ErrorCode;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Every key of every family.
type Contents = BTreeMap<(Family, Vec<u8>), Vec<u8>>;

fn contents(store: &Store) -> Contents {
    let snapshot = store.snapshot();
    let mut found = Contents::new();
    for family in Family::ALL {
        let mut visit = |key: &[u8], value: &[u8]| {
            found.insert((family, key.to_vec()), value.to_vec());
            Ok(ControlFlow::Continue(()))
        };
        snapshot.scan(family, &[]..&[0xff], &mut visit).unwrap();
    }
    found
}

/// Copies the files of a database, again if background work changed them meanwhile.
fn copy_folder(from: &Path, to: &Path) {
    loop {
        let before = listing(from);
        let _ = fs::remove_dir_all(to);
        fs::create_dir_all(to).unwrap();
        let copied = before
            .iter()
            .all(|(name, _)| fs::copy(from.join(name), to.join(name)).is_ok());
        if copied && listing(from) == before {
            return;
        }
    }
}

fn listing(dir: &Path) -> BTreeMap<String, u64> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    entries
        .filter_map(|entry| {
            Some((
                entry.file_name().into_string().unwrap(),
                entry.metadata().ok()?.len(),
            ))
        })
        .collect()
}

/// The log that is written to: log names rise.
fn newest_log(dir: &Path) -> PathBuf {
    let name = listing(dir)
        .into_keys()
        .filter(|name| name.ends_with(".log"))
        .max()
        .unwrap();
    dir.join(name)
}

#[derive(Clone, Debug)]
struct Commit {
    /// Keys that are put (or deleted, if the value is none) in each of three families.
    writes: Vec<(u8, Option<u16>)>,
    sync: bool,
    flush: bool,
    /// Where the log of a copy taken after this commit is cut.
    cut: Option<u16>,
}

fn commit() -> impl Strategy<Value = Commit> {
    let write = (any::<u8>(), proptest::option::of(any::<u16>()));
    (
        vec(write, 1..20),
        any::<bool>(),
        proptest::bool::weighted(0.1),
        proptest::option::of(any::<u16>()),
    )
        .prop_map(|(writes, sync, flush, cut)| Commit {
            writes,
            sync,
            flush,
            cut,
        })
}

fn apply(store: &Store, commit: &Commit, number: usize) {
    let mut batch = store.batch();
    for (key, value) in &commit.writes {
        for family in [Family::Rows, Family::Keys, Family::Tombstones] {
            match value {
                Some(value) => batch.put(
                    family,
                    vec![*key],
                    vec![*value as u8; usize::from(*value) % 900],
                ),
                None => batch.delete_range(family, vec![*key]..vec![key.saturating_add(3)]),
            }
        }
    }
    batch.put(Family::Meta, vec![200], number.to_be_bytes().to_vec());
    batch
        .commit(if commit.sync { Sync::Yes } else { Sync::No })
        .unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn i3_a_crash_leaves_a_whole_number_of_commits(commits in vec(commit(), 1..25)) {
        let home = tempfile::tempdir().unwrap();
        let (dir, copy) = (home.path().join("data"), home.path().join("copy"));
        let options = StoreOptions::default();
        let store = Store::open(&dir, &options).unwrap();
        let mut states = vec![contents(&store)];
        let mut in_files = 0;
        for (index, commit) in commits.iter().enumerate() {
            apply(&store, commit, index + 1);
            states.push(contents(&store));
            if commit.flush {
                store.flush().unwrap();
                in_files = index + 1;
            }
            let Some(cut) = commit.cut else { continue };
            copy_folder(&dir, &copy);
            let log = fs::OpenOptions::new().write(true).open(newest_log(&copy)).unwrap();
            let length = log.metadata().unwrap().len();
            log.set_len(length * u64::from(cut) / u64::from(u16::MAX)).unwrap();
            let survived = contents(&Store::open(&copy, &options).unwrap());
            let number = states.iter().rposition(|state| *state == survived);
            let number = number.expect("the state after some commit");
            prop_assert!(number >= in_files || states[in_files] == survived);
            if cut == u16::MAX {
                prop_assert_eq!(&survived, &states[index + 1]);
            }
        }
    }
}

#[test]
fn i12_a_commit_without_sync_survives_a_crash_of_the_process() {
    let home = tempfile::tempdir().unwrap();
    let (dir, copy) = (home.path().join("data"), home.path().join("copy"));
    let store = Store::open(&dir, &StoreOptions::default()).unwrap();
    for number in 0..50 {
        let writes = vec![(number, Some(u16::from(number)))];
        apply(
            &store,
            &Commit {
                writes,
                sync: false,
                flush: false,
                cut: None,
            },
            usize::from(number),
        );
    }
    copy_folder(&dir, &copy);
    let again = Store::open(&copy, &StoreOptions::default()).unwrap();
    assert_eq!(contents(&again), contents(&store));
}

#[test]
fn a_store_is_there_after_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("some/where");
    let before = {
        let store = Store::open(&dir, &StoreOptions::default()).unwrap();
        apply(
            &store,
            &Commit {
                writes: vec![(1, Some(5))],
                sync: true,
                flush: false,
                cut: None,
            },
            1,
        );
        store.sync_wal().unwrap();
        contents(&store)
    };
    let store = Store::open(&dir, &StoreOptions::default()).unwrap();
    assert_eq!(contents(&store), before);
    assert!(store.statistics().rows > 0);
}

#[test]
fn a_folder_is_opened_once() {
    let home = tempfile::tempdir().unwrap();
    let _store = Store::open(home.path(), &StoreOptions::default()).unwrap();
    let second = Store::open(home.path(), &StoreOptions::default());
    assert!(matches!(second.err(), Some(Error::InUse { .. })));
}

#[test]
fn i11_a_folder_of_a_newer_version_is_refused() {
    let home = tempfile::tempdir().unwrap();
    {
        let store = Store::open(home.path(), &StoreOptions::default()).unwrap();
        let mut batch = store.batch();
        meta::put_format_version(&mut batch, FORMAT_VERSION + 1);
        batch.commit(Sync::Yes).unwrap();
    }
    let again = Store::open(home.path(), &StoreOptions::default());
    assert!(matches!(again.err(), Some(Error::NewerVersion { .. })));
}

#[test]
fn i11_a_folder_with_families_of_a_newer_version_is_refused() {
    let home = tempfile::tempdir().unwrap();
    {
        let mut settings = Options::default();
        settings.create_if_missing(true);
        settings.create_missing_column_families(true);
        Database::open_cf(&settings, home.path(), ["rows", "later"]).unwrap();
    }
    let error = Store::open(home.path(), &StoreOptions::default())
        .err()
        .unwrap();
    assert!(matches!(error, Error::NewerVersion { .. }), "{error:?}");
    assert_eq!(error.code(), ErrorCode::StorageUnavailable);
}

#[test]
fn a_file_in_the_place_of_the_folder_is_an_error() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    fs::write(&file, "x").unwrap();
    let error = Store::open(&file, &StoreOptions::default()).err().unwrap();
    assert!(matches!(error, Error::Folder { .. }));
}
