use kalam_link_core::SeqId;

use super::*;
use crate::db::Store;
use crate::testing::commit;

fn record(user: &str, id: &str) -> RequestRecord {
    let user = UserId::new(user).unwrap();
    RequestRecord {
        slot: Slot(3),
        user,
        id: id.to_owned(),
        hash: 42,
        answer: vec![1, 2],
    }
}

#[test]
fn a_request_is_remembered_until_it_is_purged() {
    let store = Store::open_in_memory().unwrap();
    let outcome = WriteOutcome {
        first_seq: SeqId(5),
        last_seq: SeqId(6),
        rows: 2,
    };
    let (old, new) = (record("ann", "r1"), record("ann", "r2"));
    commit(&store, |batch| {
        put(batch, &old, Timestamp(100), outcome);
        put(batch, &new, Timestamp(200), outcome);
    });
    let find = |request: &RequestRecord| {
        get(&store.snapshot(), request.slot, &request.user, &request.id).unwrap()
    };
    let stored = StoredRequest {
        time: Timestamp(100),
        hash: 42,
        outcome,
        answer: vec![1, 2],
    };
    assert_eq!(find(&old), Some(stored));
    commit(&store, |batch| {
        assert_eq!(purge(batch, Timestamp(200)).unwrap(), 1)
    });
    assert_eq!(find(&old), None);
    assert!(find(&new).is_some());
    commit(&store, |batch| {
        assert_eq!(purge(batch, Timestamp(200)).unwrap(), 0)
    });
}

#[test]
fn i8_requests_of_users_do_not_mix() {
    let store = Store::open_in_memory().unwrap();
    commit(&store, |batch| {
        put(
            batch,
            &record("ann", "bx"),
            Timestamp(1),
            WriteOutcome::default(),
        )
    });
    let other = record("annb", "x");
    assert_eq!(
        get(&store.snapshot(), other.slot, &other.user, &other.id).unwrap(),
        None
    );
}
