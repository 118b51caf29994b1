use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::db::Store;

#[derive(Clone, Debug)]
enum Step {
    Put(Family, Vec<u8>, u8),
    Delete(Family, Vec<u8>),
    DeleteRange(Family, Vec<u8>, Vec<u8>),
    Savepoint,
    Rollback,
    Commit,
}

type Model = BTreeMap<(Family, Vec<u8>), Vec<u8>>;

fn family() -> impl Strategy<Value = Family> {
    prop_oneof![Just(Family::Rows), Just(Family::Meta)]
}

/// Few keys, so that the steps meet.
fn key() -> impl Strategy<Value = Vec<u8>> {
    vec(1_u8..5, 1..3)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (family(), key(), any::<u8>()).prop_map(|(f, k, v)| Step::Put(f, k, v)),
        3 => (family(), key()).prop_map(|(f, k)| Step::Delete(f, k)),
        2 => (family(), key(), key()).prop_map(|(f, a, b)| Step::DeleteRange(f, a, b)),
        2 => Just(Step::Savepoint),
        1 => Just(Step::Rollback),
        1 => Just(Step::Commit),
    ]
}

fn scanned(
    reader: &impl Reader,
    family: Family,
    from: &[u8],
    to: &[u8],
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    let mut visit = |key: &[u8], value: &[u8]| {
        found.push((key.to_vec(), value.to_vec()));
        Ok(ControlFlow::Continue(()))
    };
    reader.scan(family, from..to, &mut visit).unwrap();
    found
}

fn expected(model: &Model, family: Family, from: &[u8], to: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let inside =
        |(f, k): &(Family, Vec<u8>)| *f == family && from <= k.as_slice() && k.as_slice() < to;
    model
        .iter()
        .filter(|(k, _)| inside(k))
        .map(|((_, k), v)| (k.clone(), v.clone()))
        .collect()
}

/// Applies a step to the model.
fn advance(model: &mut Model, step: &Step) {
    match step {
        Step::Put(family, key, value) => {
            model.insert((*family, key.clone()), vec![*value]);
        }
        Step::Delete(family, key) => {
            model.remove(&(*family, key.clone()));
        }
        Step::DeleteRange(family, from, to) => {
            model.retain(|(f, k), _| f != family || k < from || k >= to);
        }
        Step::Savepoint | Step::Rollback | Step::Commit => {}
    }
}

/// Without the format version, which every store has.
const META_FROM: &[u8] = &[1, 0xff];

fn check(reader: &impl Reader, model: &Model, from: &[u8], to: &[u8]) {
    for family in [Family::Rows, Family::Meta] {
        assert_eq!(
            scanned(reader, family, META_FROM, &[9]),
            expected(model, family, META_FROM, &[9])
        );
        let from = from.max(META_FROM);
        assert_eq!(
            scanned(reader, family, from, to),
            expected(model, family, from, to)
        );
    }
    for first in 2..5 {
        for second in 0..5 {
            let key = if second == 0 {
                vec![first]
            } else {
                vec![first, second]
            };
            let found = reader.get(Family::Rows, &key).unwrap();
            assert_eq!(found.as_ref(), model.get(&(Family::Rows, key)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn i3_a_batch_reads_and_commits_like_a_map(
        steps in vec(step(), 1..40), from in key(), to in key(),
    ) {
        let store = Store::open_in_memory().unwrap();
        let mut batch = store.batch();
        let (mut model, mut saved, mut committed) = (Model::new(), Model::new(), Model::new());
        for step in &steps {
            advance(&mut model, step);
            match step.clone() {
                Step::Put(family, key, value) => batch.put(family, key, vec![value]),
                Step::Delete(family, key) => batch.delete(family, key),
                Step::DeleteRange(family, from, to) => batch.delete_range(family, from..to),
                Step::Savepoint => {
                    batch.savepoint();
                    saved.clone_from(&model);
                }
                Step::Rollback => {
                    batch.rollback_to_savepoint();
                    model.clone_from(&saved);
                }
                Step::Commit => {
                    std::mem::replace(&mut batch, store.batch()).commit(Sync::No).unwrap();
                    committed.clone_from(&model);
                    saved.clone_from(&model);
                }
            }
            check(&batch, &model, &from, &to);
            check(&store.snapshot(), &committed, &from, &to);
        }
        batch.commit(Sync::No).unwrap();
        check(&store.snapshot(), &model, &from, &to);
    }
}

#[test]
fn i3_a_command_sees_those_before_it_in_the_same_batch() {
    let store = Store::open_in_memory().unwrap();
    let mut batch = store.batch();
    batch.put(Family::Keys, vec![1], vec![1]);
    batch.savepoint();
    assert_eq!(batch.get(Family::Keys, &[1]).unwrap(), Some(vec![1]));
    batch.put(Family::Keys, vec![2], vec![2]);
    batch.rollback_to_savepoint();
    assert_eq!(batch.get(Family::Keys, &[2]).unwrap(), None);
    assert_eq!(store.snapshot().get(Family::Keys, &[1]).unwrap(), None);
}

#[test]
fn an_empty_batch_is_empty() {
    let store = Store::open_in_memory().unwrap();
    let mut batch = store.batch();
    assert!(batch.is_empty());
    batch.savepoint();
    batch.put(Family::Stream, vec![1], vec![]);
    assert_eq!(batch.touched().collect::<Vec<_>>(), [Family::Stream]);
    batch.rollback_to_savepoint();
    assert!(batch.is_empty());
    batch.commit(Sync::Yes).unwrap();
}
