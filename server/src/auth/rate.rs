//! How many statements a second one user may run.

use std::num::NonZeroU32;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use kalam_link_core::{ErrorCode, UserId};

use crate::http::Failure;

/// Counts the statements of each user.
pub(crate) struct RateLimit {
    limiter: DefaultKeyedRateLimiter<UserId>,
    clock: DefaultClock,
    per_second: NonZeroU32,
}

impl RateLimit {
    pub(crate) fn new(per_second: NonZeroU32) -> Self {
        Self {
            limiter: RateLimiter::keyed(Quota::per_second(per_second)),
            clock: DefaultClock::default(),
            per_second,
        }
    }

    /// Counts `statements` of `user`, all or none of them.
    pub(crate) fn check(&self, user: &UserId, statements: u32) -> Result<(), Failure> {
        let Some(statements) = NonZeroU32::new(statements) else {
            return Ok(());
        };
        let wait = match self.limiter.check_key_n(user, statements) {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(until)) => until
                .wait_time_from(self.clock.now())
                .as_secs()
                .saturating_add(1),
            Err(_) => 1,
        };
        let message = format!("more than {} statements a second", self.per_second);
        Err(Failure::new(ErrorCode::RateLimitExceeded, message).with_retry_after(wait))
    }

    /// Forgets users that have not been seen for a while.
    pub(crate) fn tidy(&self) {
        self.limiter.retain_recent();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_user_has_a_limit_of_their_own() {
        let limit = RateLimit::new(NonZeroU32::new(3).unwrap());
        let (alice, bob) = (UserId::new("alice").unwrap(), UserId::new("bob").unwrap());
        assert!(limit.check(&alice, 0).is_ok());
        assert!(limit.check(&alice, 3).is_ok());
        let refused = limit.check(&alice, 1).unwrap_err();
        assert_eq!(
            (refused.error.code, refused.retry_after_s),
            (ErrorCode::RateLimitExceeded, Some(1))
        );
        assert!(limit.check(&bob, 1).is_ok());
        assert!(limit.check(&bob, 4).is_err());
        limit.tidy();
    }
}
