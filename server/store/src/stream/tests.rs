use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::db::Store;
use crate::testing::{commit, user};

const TABLE: TableNumber = TableNumber(7);

fn seq_at(milliseconds: u64) -> SeqId {
    SeqId::at_time(SEQ_EPOCH_MS + milliseconds)
}

fn scanned(snapshot: &Snapshot, slice: &Slice, floor: SeqId, direction: Direction) -> Vec<SeqId> {
    let mut scan = Scan::new(snapshot, slice, floor, direction).unwrap();
    let mut seqs = Vec::new();
    while let Some((seq, row)) = scan.next().unwrap() {
        assert_eq!(row, seq.0.to_be_bytes());
        seqs.push(seq);
    }
    assert_eq!(scan.next().unwrap(), None);
    seqs
}

fn check_scans(store: &Store, slice: &Slice, floor: SeqId, mut expected: Vec<SeqId>) {
    let snapshot = store.snapshot();
    assert_eq!(
        scanned(&snapshot, slice, floor, Direction::Forward),
        expected
    );
    expected.reverse();
    assert_eq!(
        scanned(&snapshot, slice, floor, Direction::Reverse),
        expected
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Each event: milliseconds since the one before, whose it is, and the table's TTL then.
    #[test]
    fn rows_come_in_seq_order_whatever_the_ttl_was(
        events in vec((0_u64..4_000, 0_usize..4, proptest::sample::select(vec![1_u32, 5, 60, 3_600])), 1..60),
        floor in 0_u64..100_000, removed in any::<prop::sample::Index>(),
    ) {
        let store = Store::open_in_memory().unwrap();
        let slices = ["ann", "ann2", "bob", "cy"].map(|name| Slice::new(TABLE, &user(name)));
        let mut rows: Vec<(usize, SeqId)> = Vec::new();
        let mut time = 0;
        commit(&store, |batch| {
            for (pause, owner, ttl) in &events {
                time += pause;
                let last = rows.last().map_or(SeqId::ZERO, |(_, seq)| *seq);
                let seq = last.next(SEQ_EPOCH_MS + time);
                append(batch, &slices[*owner], *ttl, seq, seq.0.to_be_bytes().to_vec());
                rows.push((*owner, seq));
            }
        });
        let floor = seq_at(floor);
        let of = |rows: &[(usize, SeqId)], at: usize| -> Vec<SeqId> {
            rows.iter().filter(|(owner, seq)| *owner == at && *seq >= floor).map(|(_, seq)| *seq).collect()
        };
        for (at, slice) in slices.iter().enumerate() {
            check_scans(&store, slice, floor, of(&rows, at));
        }
        let (owner, seq) = rows.remove(removed.index(rows.len()));
        assert_eq!(get(&store.snapshot(), &slices[owner], seq).unwrap().unwrap(), seq.0.to_be_bytes());
        commit(&store, |batch| assert!(remove(batch, &slices[owner], seq).unwrap()));
        assert_eq!(get(&store.snapshot(), &slices[owner], seq).unwrap(), None);
        commit(&store, |batch| assert!(!remove(batch, &slices[owner], seq).unwrap()));
        commit(&store, |batch| expire(batch, TABLE, floor).unwrap());
        for (at, slice) in slices.iter().enumerate() {
            check_scans(&store, slice, floor, of(&rows, at));
        }
    }
}

#[test]
fn expired_buckets_are_gone_and_others_stay() {
    let store = Store::open_in_memory().unwrap();
    let ann = Slice::new(TABLE, &user("ann"));
    let other = Slice::new(TableNumber(8), &user("ann"));
    commit(&store, |batch| {
        for second in 0..100 {
            let seq = seq_at(second * 1_000);
            append(batch, &ann, 30, seq, seq.0.to_be_bytes().to_vec());
            append(batch, &other, 30, seq, seq.0.to_be_bytes().to_vec());
        }
    });
    commit(&store, |batch| {
        expire(batch, TABLE, seq_at(50_000)).unwrap()
    });
    let left = scanned(&store.snapshot(), &ann, SeqId::ZERO, Direction::Forward);
    assert!(
        (50..=52).contains(&left.len()),
        "whole buckets: {}",
        left.len()
    );
    assert_eq!(
        scanned(&store.snapshot(), &other, SeqId::ZERO, Direction::Forward).len(),
        100
    );
    // Nothing is left to delete: no range delete is written.
    let mut again = store.batch();
    expire(&mut again, TABLE, seq_at(50_000)).unwrap();
    assert!(again.is_empty());
}

#[test]
fn a_ttl_has_at_most_64_buckets() {
    for ttl in [1, 2, 5, 30, 60, 3_600, 86_400, 30 * 86_400, u32::MAX] {
        let width_ms = 1_u64 << exponent_of(ttl);
        let buckets = (u64::from(ttl) * 1_000).div_ceil(width_ms);
        assert!((1..=64).contains(&buckets), "{ttl}: {buckets}");
        assert!(bucket_end_ms(ttl, seq_at(5)) > SEQ_EPOCH_MS + 5);
    }
}

#[test]
fn expired_rows_are_below_the_floor() {
    let now = Timestamp::from_unix_ms(SEQ_EPOCH_MS + 60_000);
    assert_eq!(visible_floor(30, now), seq_at(30_000));
    assert_eq!(visible_floor(3_600, now), SeqId::ZERO);
}
