//! How long to wait before the next try, and when to stop trying.

use super::BackoffOptions;
use crate::random::Random;

// Doubling more often than this is above every sensible maximum.
const DOUBLINGS_MAX: u32 = 20;

/// Failures in a row, and the random numbers that spread the clients of a server which comes back.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    options: BackoffOptions,
    random: Random,
    failures: u32,
}

impl Backoff {
    pub(super) fn new(options: BackoffOptions, seed: u64) -> Self {
        Self {
            options,
            random: Random::new(seed),
            failures: 0,
        }
    }

    /// From the next failure on.
    pub(super) fn set_options(&mut self, options: BackoffOptions) {
        self.options = options;
    }

    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// A connection held.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// One more failure: the delay before the next try, or none when that was the last. With several addresses the
    /// bound doubles once all of them were tried.
    pub(super) fn fail(&mut self, addresses: usize) -> Option<u64> {
        self.failures = self.failures.saturating_add(1);
        if self
            .options
            .attempts_max
            .is_some_and(|most| self.failures >= most)
        {
            return None;
        }
        let addresses = u32::try_from(addresses.max(1)).unwrap_or(u32::MAX);
        let doublings = ((self.failures - 1) / addresses).min(DOUBLINGS_MAX);
        let bound = self
            .options
            .delay_first_ms
            .saturating_mul(1 << doublings)
            .min(self.options.delay_max_ms);
        Some(self.random.up_to(bound))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn delays_are_spread_below_a_bound_that_doubles_up_to_a_maximum() {
        let options = BackoffOptions {
            delay_first_ms: 100,
            delay_max_ms: 1_000,
            attempts_max: None,
        };
        let mut largest = [0; 8];
        for seed in 0..400 {
            let mut backoff = Backoff::new(options, seed);
            for most in &mut largest {
                *most = backoff.fail(1).unwrap().max(*most);
            }
        }
        for (most, bound) in largest.into_iter().zip([100, 200, 400, 800, 1_000, 1_000]) {
            assert!(
                (bound * 9 / 10..=bound).contains(&most),
                "{most} of {bound}"
            );
        }
    }

    #[test]
    fn each_address_is_tried_before_the_bound_doubles() {
        let options = BackoffOptions {
            delay_first_ms: 1,
            delay_max_ms: u64::MAX,
            attempts_max: None,
        };
        let mut backoff = Backoff::new(options, 1);
        for _ in 0..3 {
            assert!(backoff.fail(3).unwrap() <= 1);
        }
        assert!(backoff.fail(3).unwrap() <= 2);
    }

    #[test]
    fn the_last_attempt_has_no_delay() {
        let options = BackoffOptions {
            attempts_max: Some(2),
            ..BackoffOptions::default()
        };
        let mut backoff = Backoff::new(options, 1);
        assert!(backoff.fail(1).is_some());
        assert_eq!(backoff.fail(1), None);
        backoff.reset();
        assert!(backoff.fail(1).is_some());
    }
}
