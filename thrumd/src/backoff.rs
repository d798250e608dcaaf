//! Exponential back-off: how long to wait after a failure.

use std::ops::Add;
use std::time::Duration;

/// Why these numbers are not a valid back-off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBackoff {
    /// The first delay is zero.
    #[error("the first delay of a back-off must not be zero")]
    Zero,
    /// The first delay is longer than the longest.
    #[error("the first delay of a back-off must not exceed its longest delay")]
    Order,
    /// The random share is more than the whole.
    #[error("the jitter of a back-off must be between 0 and 100 percent")]
    Jitter,
}

/// Delays that double from `first` to `max`. A share of each may be random, so that daemons which lost
/// the same peer at the same time don't retry at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExponentialBackoff {
    first: Duration,
    max: Duration,
    jitter_percent: u8,
}

impl ExponentialBackoff {
    /// Creates a back-off.
    ///
    /// # Errors
    /// When `first` is zero or exceeds `max`, or the jitter exceeds 100 percent.
    pub const fn new(
        first: Duration,
        max: Duration,
        jitter_percent: u8,
    ) -> Result<Self, InvalidBackoff> {
        if first.is_zero() {
            return Err(InvalidBackoff::Zero);
        }
        if first.as_nanos() > max.as_nanos() {
            return Err(InvalidBackoff::Order);
        }
        if jitter_percent > 100 {
            return Err(InvalidBackoff::Jitter);
        }
        Ok(Self { first, max, jitter_percent })
    }

    /// A back-off for a `const`: invalid numbers don't compile.
    #[expect(clippy::panic, reason = "evaluated by the compiler")]
    pub const fn constant(first: Duration, max: Duration, jitter_percent: u8) -> Self {
        match Self::new(first, max, jitter_percent) {
            Ok(backoff) => backoff,
            Err(_) => panic!("not a valid back-off"),
        }
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
        assert_eq!(ExponentialBackoff::new(Duration::ZERO, MINUTE, 0), Err(InvalidBackoff::Zero));
        assert_eq!(ExponentialBackoff::new(MINUTE, SECOND, 0), Err(InvalidBackoff::Order));
        assert_eq!(ExponentialBackoff::new(SECOND, MINUTE, 101), Err(InvalidBackoff::Jitter));
    }

    #[test]
    fn every_delay_is_between_the_first_and_the_longest() {
        let backoff = ExponentialBackoff::constant(SECOND, 5 * MINUTE, 25);
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
        let backoff = ExponentialBackoff::constant(SECOND, 5 * SECOND, 0);
        let delays = [1, 2, 3, 4, 5].map(|failures| backoff.delay(failures, 999).as_secs());
        assert_eq!(delays, [1, 2, 4, 5, 5]);
    }

    #[test]
    fn failures_during_the_wait_are_not_counted() {
        let backoff = ExponentialBackoff::constant(SECOND, MINUTE, 0);
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
