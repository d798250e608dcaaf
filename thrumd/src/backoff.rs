//! Exponential back-off: how long to wait after a failure.

use std::ops::Add;
use std::time::Duration;

/// Delays that double from `first` to `max`. A share of each may be random, so that daemons which lost
/// the same peer at the same time don't retry at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExponentialBackoff {
    first: Duration,
    max: Duration,
    jitter_percent: u8,
}

impl ExponentialBackoff {
    /// Creates a back-off. Every one is a `const`, so that invalid numbers don't compile.
    ///
    /// # Panics
    /// When `first` is zero or exceeds `max`, or the jitter exceeds 100 percent.
    pub const fn new(first: Duration, max: Duration, jitter_percent: u8) -> Self {
        assert!(!first.is_zero(), "the first delay must not be zero");
        assert!(first.as_nanos() <= max.as_nanos(), "the first delay must not exceed the longest");
        assert!(jitter_percent <= 100, "the jitter must be between 0 and 100 percent");
        Self { first, max, jitter_percent }
    }

    /// The delay after this many failures in a row (from 1). `draw` is any random number.
    /// Never below `first` unless `max` itself is near it, never above `max`.
    pub fn delay(&self, failures: u32, draw: u64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let step = self.first.saturating_mul(1 << doublings).min(self.max);
        let spread = step / 100 * u32::from(self.jitter_percent);
        let lowest = step.min(self.max.saturating_sub(spread));
        lowest + spread / 1000 * u32::try_from(draw % 1000).unwrap_or(0)
    }
}

/// Counts consecutive failures of one operation and tells when to retry. `T` is a point in time.
#[derive(Debug, Clone, Copy)]
pub struct Failures<T> {
    count: u32,
    until: Option<T>,
}

impl<T> Default for Failures<T> {
    fn default() -> Self {
        Self { count: 0, until: None }
    }
}

impl<T: Copy + Ord + Add<Duration, Output = T>> Failures<T> {
    /// Counts a failure; returns whether it counted. A failure before the retry is due is the same failure
    /// seen by a second request, and doesn't count.
    pub fn record(&mut self, now: T, backoff: &ExponentialBackoff, draw: u64) -> bool {
        if self.until.is_some_and(|until| until > now) {
            return false;
        }
        self.count = self.count.saturating_add(1);
        self.until = Some(now + backoff.delay(self.count, draw));
        true
    }

    /// Forgets the failures: the operation succeeded, or they no longer matter.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The number of consecutive failures.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// When the next attempt may be made.
    pub fn until(&self) -> Option<T> {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn invalid_numbers_are_refused() {
        for (first, max, jitter) in
            [(Duration::ZERO, MINUTE, 0), (MINUTE, SECOND, 0), (SECOND, MINUTE, 101)]
        {
            let created = std::panic::catch_unwind(|| ExponentialBackoff::new(first, max, jitter));
            assert!(created.is_err(), "{first:?} {max:?} {jitter}");
        }
    }

    #[test]
    fn every_delay_is_between_the_first_and_the_longest() {
        let backoff = ExponentialBackoff::new(SECOND, 5 * MINUTE, 25);
        for failures in [1, 2, 3, 9, 10, 33, u32::MAX] {
            for draw in [0, 1, 500, 999, u64::MAX] {
                let delay = backoff.delay(failures, draw);
                assert!(delay >= SECOND, "{failures} {draw}: {delay:?}");
                assert!(delay <= 5 * MINUTE, "{failures} {draw}: {delay:?}");
            }
        }
        assert_ne!(backoff.delay(3, 1), backoff.delay(3, 900));
    }

    #[test]
    fn without_jitter_delays_double_to_the_longest() {
        let backoff = ExponentialBackoff::new(SECOND, 5 * SECOND, 0);
        let delays = [1, 2, 3, 4, 5].map(|failures| backoff.delay(failures, 999).as_secs());
        assert_eq!(delays, [1, 2, 4, 5, 5]);
    }

    #[test]
    fn failures_during_the_wait_are_not_counted() {
        let backoff = ExponentialBackoff::new(SECOND, MINUTE, 0);
        let mut failures = Failures::default();
        assert!(failures.record(Duration::ZERO, &backoff, 0));
        for early in [0, 1, 500, 999] {
            assert!(!failures.record(Duration::from_millis(early), &backoff, 0));
        }
        assert_eq!((failures.count(), failures.until()), (1, Some(SECOND)));
        assert!(failures.record(SECOND, &backoff, 0));
        assert_eq!((failures.count(), failures.until()), (2, Some(3 * SECOND)));
        failures.clear();
        assert_eq!((failures.count(), failures.until()), (0, None));
    }
}
