//! Locks by key for conditional writes. Striped: two keys may share a lock, which costs a wait and nothing else.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use kalam_model::RowKey;
use kalam_store::Slice;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// A power of two, many times the number of statements that run at once.
const STRIPES: usize = 1_024;

/// Holds the locks of some keys.
#[must_use]
pub struct KeyGuard {
    _stripes: Vec<OwnedMutexGuard<()>>,
}

pub(crate) struct KeyLocks {
    stripes: Vec<Arc<Mutex<()>>>,
}

impl KeyLocks {
    pub(crate) fn new() -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| Arc::default()).collect(),
        }
    }

    /// In ascending order of stripe, so that two statements never wait for each other.
    pub(crate) async fn lock<'a>(
        &self,
        keys: impl IntoIterator<Item = (&'a Slice, &'a RowKey)>,
    ) -> KeyGuard {
        let wanted = keys
            .into_iter()
            .map(|(slice, key)| stripe(slice, key))
            .collect::<BTreeSet<_>>();
        let mut stripes = Vec::with_capacity(wanted.len());
        for stripe in wanted {
            stripes.push(Arc::clone(&self.stripes[stripe]).lock_owned().await);
        }
        KeyGuard { _stripes: stripes }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "only the low bits count")]
fn stripe(slice: &Slice, key: &RowKey) -> usize {
    let mut hasher = DefaultHasher::new();
    slice.prefix().hash(&mut hasher);
    key.hash(&mut hasher);
    hasher.finish() as usize % STRIPES
}

#[cfg(test)]
mod tests {
    use super::*;
    use kalam_model::{Scope, TableNumber};
    use std::time::Duration;

    #[tokio::test]
    async fn a_key_is_locked_once_and_many_keys_do_not_deadlock() {
        let locks = Arc::new(KeyLocks::new());
        let slice = Slice::new(TableNumber(1), &Scope::Shared);
        let keys = (0..2_000_u32)
            .map(|n| RowKey(n.to_be_bytes().to_vec()))
            .collect::<Vec<_>>();
        let one = locks.lock([(&slice, &keys[7])]).await;
        let again =
            tokio::time::timeout(Duration::from_millis(20), locks.lock([(&slice, &keys[7])])).await;
        assert!(again.is_err());
        drop(one);
        let mut tasks = tokio::task::JoinSet::new();
        for turn in 0..8 {
            let (locks, slice, mut keys) = (Arc::clone(&locks), slice.clone(), keys.clone());
            keys.rotate_left(turn * 200);
            tasks
                .spawn(async move { drop(locks.lock(keys.iter().map(|key| (&slice, key))).await) });
        }
        tasks.join_all().await;
    }
}
