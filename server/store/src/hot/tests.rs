use std::collections::BTreeMap;

use kalam_link_core::Value;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::db::Store;
use crate::testing::{commit, user};

const TABLE: TableNumber = TableNumber(7);

fn slice(name: &str) -> Slice {
    Slice::new(TABLE, &user(name))
}

fn row_key(number: i64) -> RowKey {
    key::encode_key(&[&Value::BigInt(number)]).unwrap()
}

fn scanned(
    snapshot: &Snapshot,
    slice: &Slice,
    seqs: impl RangeBounds<SeqId>,
    direction: Direction,
) -> Vec<(u64, Vec<u8>)> {
    let mut scan = Scan::new(snapshot, slice, seqs, direction);
    let mut found = Vec::new();
    while let Some((seq, row)) = scan.next().unwrap() {
        found.push((seq.0, row.to_vec()));
    }
    assert_eq!(scan.next().unwrap(), None);
    found
}

fn all_seqs(snapshot: &Snapshot, slice: &Slice) -> Vec<u64> {
    let rows = scanned(snapshot, slice, .., Direction::Forward);
    rows.into_iter().map(|(seq, _)| seq).collect()
}

/// Inserts rows with these sequence numbers, which are also their keys.
fn insert_all(store: &Store, slice: &Slice, seqs: &[u64]) {
    commit(store, |batch| {
        for seq in seqs {
            insert(
                batch,
                slice,
                SeqId(*seq),
                &row_key(*seq as i64),
                seq.to_be_bytes().to_vec(),
            );
        }
    });
}

#[derive(Clone, Debug)]
enum Step {
    Insert(usize, i64),
    Replace(usize, i64),
    Remove(usize, i64),
}

fn step() -> impl Strategy<Value = Step> {
    let target = (0_usize..3, 0_i64..6);
    prop_oneof![
        target
            .clone()
            .prop_map(|(slice, key)| Step::Insert(slice, key)),
        target
            .clone()
            .prop_map(|(slice, key)| Step::Replace(slice, key)),
        target.prop_map(|(slice, key)| Step::Remove(slice, key)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn i5_hot_rows_are_a_map_with_one_version_per_key(
        steps in vec(step(), 1..60), from in 0_u64..40, length in 0_u64..40,
    ) {
        let store = Store::open_in_memory().unwrap();
        let slices = ["ann", "bob"].map(slice);
        let slices = [&slices[0], &slices[1], &Slice::new(TableNumber(8), &user("ann"))];
        // slice, key -> seq
        let mut model: BTreeMap<(usize, i64), u64> = BTreeMap::new();
        let mut deletes: Vec<(usize, Tombstone)> = Vec::new();
        let mut batch = store.batch();
        for (index, step) in steps.into_iter().enumerate() {
            let seq = SeqId(index as u64 + 1);
            let bytes = seq.0.to_be_bytes().to_vec();
            match step {
                Step::Insert(at, number) => {
                    let key = row_key(number);
                    let live = live_seq(&batch, slices[at], &key).unwrap();
                    prop_assert_eq!(live.map(|seq| seq.0), model.get(&(at, number)).copied());
                    if live.is_none() {
                        insert(&mut batch, slices[at], seq, &key, bytes);
                        model.insert((at, number), seq.0);
                    }
                }
                Step::Replace(at, number) => {
                    if let Some(old) = model.get_mut(&(at, number)) {
                        replace(&mut batch, slices[at], SeqId(*old), seq, &row_key(number), bytes);
                        *old = seq.0;
                    }
                }
                Step::Remove(at, number) => {
                    if let Some(old) = model.remove(&(at, number)) {
                        let key = row_key(number);
                        remove(&mut batch, slices[at], SeqId(old), seq, &key);
                        deletes.push((at, Tombstone { seq, old_seq: SeqId(old), key }));
                    }
                }
            }
        }
        batch.commit(crate::Sync::No).unwrap();
        let snapshot = store.snapshot();
        for (at, slice) in slices.iter().enumerate() {
            let mut expected: Vec<_> = model
                .iter()
                .filter(|((owner, _), seq)| *owner == at && (from..from + length).contains(*seq))
                .map(|(_, seq)| (*seq, seq.to_be_bytes().to_vec()))
                .collect();
            expected.sort();
            let seqs = SeqId(from)..SeqId(from + length);
            prop_assert_eq!(&scanned(&snapshot, slice, seqs.clone(), Direction::Forward), &expected);
            expected.reverse();
            prop_assert_eq!(&scanned(&snapshot, slice, seqs, Direction::Reverse), &expected);
            let expected: Vec<_> =
                deletes.iter().filter(|(owner, _)| *owner == at).map(|(_, t)| t.clone()).collect();
            prop_assert_eq!(tombstones(&snapshot, slice, .., usize::MAX).unwrap(), expected);
        }
    }
}

#[test]
fn i8_a_scan_stays_in_its_slice() {
    let store = Store::open_in_memory().unwrap();
    for (name, seq) in [("a", 1), ("aa", 2), ("b", 3), ("a0", 4)] {
        insert_all(&store, &slice(name), &[seq]);
    }
    let snapshot = store.snapshot();
    assert_eq!(all_seqs(&snapshot, &slice("a")), [1]);
    assert_eq!(
        scanned(&snapshot, &slice("a"), .., Direction::Reverse).len(),
        1
    );
    assert_eq!(get(&snapshot, &slice("a"), SeqId(2)).unwrap(), None);
    assert_eq!(live_seq(&snapshot, &slice("a"), &row_key(2)).unwrap(), None);
}

#[test]
fn i4_a_snapshot_sees_no_later_commit() {
    let store = Store::open_in_memory().unwrap();
    let ann = slice("ann");
    insert_all(&store, &ann, &[1, 2]);
    let before = store.snapshot();
    let mut open = Scan::new(&before, &ann, .., Direction::Forward);
    assert_eq!(open.next().unwrap().map(|(seq, _)| seq), Some(SeqId(1)));
    commit(&store, |batch| {
        remove(batch, &ann, SeqId(2), SeqId(3), &row_key(2));
        insert(batch, &ann, SeqId(4), &row_key(4), vec![]);
    });
    store.flush().unwrap();
    drop(store);
    assert_eq!(open.next().unwrap().map(|(seq, _)| seq), Some(SeqId(2)));
    assert_eq!(open.next().unwrap(), None);
    assert_eq!(all_seqs(&before, &ann), [1, 2]);
    assert_eq!(tombstones(&before, &ann, .., usize::MAX).unwrap(), []);
}

#[test]
fn a_scan_outlives_store_and_snapshot() {
    let store = Store::open_in_memory().unwrap();
    insert_all(&store, &slice("ann"), &[1, 2, 3]);
    let snapshot = store.snapshot();
    let mut scan = Scan::new(&snapshot, &slice("ann"), SeqId(2).., Direction::Forward);
    drop((snapshot, store));
    let seqs = std::thread::spawn(move || {
        let mut seqs = Vec::new();
        while let Some((seq, _)) = scan.next().unwrap() {
            seqs.push(seq.0);
        }
        seqs
    });
    assert_eq!(seqs.join().unwrap(), [2, 3]);
}

#[test]
fn old_tombstones_are_purged_and_others_stay() {
    let store = Store::open_in_memory().unwrap();
    let (ann, bob) = (slice("ann"), slice("bob"));
    let other = Slice::new(TableNumber(8), &user("ann"));
    commit(&store, |batch| {
        for slice in [&ann, &bob, &other] {
            for seq in [10, 20, 30] {
                remove(
                    batch,
                    slice,
                    SeqId(seq - 1),
                    SeqId(seq),
                    &row_key(seq as i64),
                );
            }
        }
    });
    let mut batch = store.batch();
    assert_eq!(purge_tombstones(&mut batch, TABLE, SeqId(20)).unwrap(), 2);
    batch.commit(crate::Sync::No).unwrap();
    let left = |slice: &Slice| {
        tombstones(&store.snapshot(), slice, .., usize::MAX)
            .unwrap()
            .len()
    };
    assert_eq!([left(&ann), left(&bob), left(&other)], [2, 2, 3]);
    assert_eq!(
        purge_tombstones(&mut store.batch(), TABLE, SeqId(20)).unwrap(),
        0
    );
}

#[test]
fn a_dropped_table_leaves_nothing_and_others_stay() {
    let store = Store::open_in_memory().unwrap();
    let names: Vec<String> = (0..40).map(|number| format!("user{number}")).collect();
    let neighbours = [TableNumber(6), TableNumber(8)];
    for name in &names {
        insert_all(&store, &slice(name), &[1, 2]);
        for table in neighbours {
            insert_all(&store, &Slice::new(table, &user(name)), &[1]);
        }
    }
    let statistics = table_statistics(&store.snapshot(), Family::Rows, TABLE).unwrap();
    assert_eq!((statistics.rows, statistics.scopes), (80, 40));
    commit(&store, |batch| {
        remove(batch, &slice("user1"), SeqId(1), SeqId(3), &row_key(1));
        drop_table(batch, TABLE).unwrap();
    });
    let snapshot = store.snapshot();
    for family in [Family::Rows, Family::Keys, Family::Tombstones] {
        assert_eq!(table_statistics(&snapshot, family, TABLE).unwrap().rows, 0);
    }
    for table in neighbours {
        assert_eq!(
            table_statistics(&snapshot, Family::Rows, table)
                .unwrap()
                .rows,
            40
        );
    }
}

proptest! {
    #[test]
    fn a_range_of_keys_has_the_keys_between_its_bounds(
        keys in proptest::collection::btree_set(-20_i64..20, 0..20),
        bounds in vec((0..4_u8, -22_i64..22), 0..4),
    ) {
        let store = Store::open_in_memory().unwrap();
        commit(&store, |batch| {
            for (seq, number) in keys.iter().enumerate() {
                insert(batch, &slice("ann"), SeqId(seq as u64), &row_key(*number), vec![0]);
            }
        });
        insert_all(&store, &slice("anna"), &[1, 2]);
        let mut range = KeyRange::default();
        for (bound, number) in &bounds {
            let number = row_key(*number);
            match bound {
                0 => range.at_least(&number),
                1 => range.above(&number),
                2 => range.below(&number),
                _ => range.at_most(&number),
            }
        }
        let passes = |key: i64| bounds.iter().all(|(bound, number)| match bound {
            0 => key >= *number,
            1 => key > *number,
            2 => key < *number,
            _ => key <= *number,
        });
        let wanted = (0..).zip(&keys).filter(|(_, key)| passes(**key));
        let wanted: Vec<SeqId> = wanted.map(|(seq, _)| SeqId(seq)).collect();
        let snapshot = store.snapshot();
        let found = seqs_of_keys(&snapshot, &slice("ann"), &range, wanted.len()).unwrap();
        if let Some(fewer) = wanted.len().checked_sub(1) {
            prop_assert_eq!(seqs_of_keys(&snapshot, &slice("ann"), &range, fewer).unwrap(), None);
        }
        prop_assert_eq!(found, Some(wanted));
    }
}

#[test]
fn a_corrupt_key_entry_is_an_error() {
    for bytes in [
        &[][..],
        &[1],
        &[2, 0, 0, 0, 0, 0, 0, 0, 1],
        &[1, 0, 0, 0, 0, 0, 0, 0, 1, 0],
    ] {
        assert_eq!(
            decode_seq(bytes).unwrap_err().code(),
            kalam_link_core::ErrorCode::DataCorrupt
        );
    }
}

#[test]
fn every_row_of_a_table_is_visited_until_the_visitor_breaks() {
    let store = Store::open_in_memory().unwrap();
    for name in ["ann", "bob", "cy"] {
        insert_all(&store, &slice(name), &[1, 2]);
        insert_all(&store, &Slice::new(TableNumber(8), &user(name)), &[1]);
    }
    let visited = |stop_after: usize| {
        let mut rows = 0;
        let mut visit = |_: &[u8]| {
            rows += 1;
            Ok(if rows == stop_after {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        };
        visit_table(&store.snapshot(), Family::Rows, TABLE, &mut visit).unwrap();
        rows
    };
    assert_eq!([visited(100), visited(3), visited(1)], [6, 3, 1]);
}
