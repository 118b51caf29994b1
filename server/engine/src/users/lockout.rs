//! Locks a name after repeated failed logins. Kept in memory: a restart forgives, an attacker cannot restart the server.

use std::collections::BTreeMap;

use kalam_model::{Timestamp, UserId};
use parking_lot::Mutex;

use crate::error::Error;

/// Failures in a row before a name is locked.
const FAILURES_MAX: u32 = 5;

const SECOND_US: i64 = 1_000_000;

/// The first lock; each further failure doubles it.
const LOCK_FIRST_S: i64 = 15 * 60;

const LOCK_LONGEST_S: i64 = 24 * 60 * 60;

/// Names with failures that are remembered. More than that is an attack on many names; the oldest are forgotten.
const NAMES_MAX: usize = 10_000;

/// What is known about the failed logins of a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoginState {
    pub failed_attempts: u32,
    pub locked_until: Option<Timestamp>,
}

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    last: Timestamp,
    locked_until: Timestamp,
}

#[derive(Default)]
pub(super) struct Lockout {
    names: Mutex<BTreeMap<UserId, Failures>>,
}

impl Lockout {
    /// Refuses while the name is locked.
    pub(super) fn check(&self, id: &UserId, now: Timestamp) -> Result<(), Error> {
        match self.state(id, now).locked_until {
            Some(until) => {
                let left_s = (until.0 - now.0 + SECOND_US - 1) / SECOND_US;
                Err(Error::AccountLocked {
                    retry_after_s: u64::try_from(left_s).unwrap_or(1),
                })
            }
            None => Ok(()),
        }
    }

    pub(super) fn state(&self, id: &UserId, now: Timestamp) -> LoginState {
        match self.names.lock().get(id) {
            Some(failures) => LoginState {
                failed_attempts: failures.count,
                locked_until: (failures.locked_until > now).then_some(failures.locked_until),
            },
            None => LoginState::default(),
        }
    }

    pub(super) fn fail(&self, id: &UserId, now: Timestamp) {
        let mut names = self.names.lock();
        if names.len() >= NAMES_MAX && !names.contains_key(id) {
            forget_oldest(&mut names);
        }
        let failures = names.entry(id.clone()).or_insert(Failures {
            count: 0,
            last: now,
            locked_until: Timestamp(0),
        });
        failures.count = failures.count.saturating_add(1);
        failures.last = now;
        if let Some(doublings) = failures.count.checked_sub(FAILURES_MAX) {
            let seconds = (LOCK_FIRST_S << doublings.min(16)).min(LOCK_LONGEST_S);
            failures.locked_until = Timestamp(now.0.saturating_add(seconds * SECOND_US));
        }
    }

    pub(super) fn forget(&self, id: &UserId) {
        self.names.lock().remove(id);
    }
}

/// Forgets the older half, so that the work is rare.
fn forget_oldest(names: &mut BTreeMap<UserId, Failures>) {
    let mut times = names
        .values()
        .map(|failures| failures.last)
        .collect::<Vec<_>>();
    times.sort_unstable();
    let middle = times[times.len() / 2];
    names.retain(|_, failures| failures.last > middle);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * SECOND_US)
    }

    #[test]
    fn five_failures_lock_a_name_and_further_ones_double_the_time() {
        let lockout = Lockout::default();
        let alice = UserId::new("alice").unwrap();
        for _ in 0..4 {
            lockout.fail(&alice, at(0));
            assert!(lockout.check(&alice, at(0)).is_ok());
        }
        lockout.fail(&alice, at(0));
        assert!(matches!(
            lockout.check(&alice, at(1)),
            Err(Error::AccountLocked { retry_after_s: 899 })
        ));
        assert!(lockout.check(&alice, at(900)).is_ok());
        assert!(lockout.check(&UserId::new("bob").unwrap(), at(1)).is_ok());
        lockout.fail(&alice, at(900));
        assert!(matches!(
            lockout.check(&alice, at(900)),
            Err(Error::AccountLocked {
                retry_after_s: 1_800
            })
        ));
        lockout.forget(&alice);
        assert_eq!(lockout.state(&alice, at(900)), LoginState::default());
    }

    #[test]
    fn memory_is_bounded() {
        let lockout = Lockout::default();
        for n in 0..NAMES_MAX + 10 {
            lockout.fail(
                &UserId::new(format!("user{n}")).unwrap(),
                at(i64::try_from(n).unwrap()),
            );
        }
        assert!(lockout.names.lock().len() <= NAMES_MAX);
        assert_eq!(
            lockout
                .state(&UserId::new("user10009").unwrap(), at(0))
                .failed_attempts,
            1
        );
    }
}
