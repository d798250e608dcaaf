//! How long to leave a peer alone after a failure.

use std::time::Duration;

use super::Moment;

/// Why numbers make no ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LadderError {
    /// Nothing would ever be waited for.
    #[error("the first delay of a back-off must not be zero")]
    Zero,
    /// The first delay is longer than the longest.
    #[error("the first delay of a back-off ({first:?}) must not exceed the longest ({max:?})")]
    Order {
        /// The first delay.
        first: Duration,
        /// The longest delay.
        max: Duration,
    },
    /// More than all of a delay can't be drawn.
    #[error("the jitter of a back-off is a share from 0 to 100 percent, not {percent}")]
    Jitter {
        /// What was asked for.
        percent: u8,
    },
}

/// Delays that double from `first` to `max`, each with a random part so that daemons which lost
/// the same peer at the same time don't come back at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ladder {
    first: Duration,
    max: Duration,
    jitter_percent: u8,
}

impl Ladder {
    /// 1 s to 5 min, a quarter of it random: what docs/protocol.md says.
    pub const STANDARD: Self =
        Self { first: Duration::from_secs(1), max: Duration::from_secs(300), jitter_percent: 25 };

    /// To 30 s: a disk that has room again is not seen in another way.
    pub const OWN: Self =
        Self { first: Duration::from_secs(1), max: Duration::from_secs(30), jitter_percent: 25 };

    /// A ladder of these numbers.
    ///
    /// # Errors
    /// When `first` is zero or exceeds `max`, or the jitter exceeds 100 percent.
    pub fn new(first: Duration, max: Duration, jitter_percent: u8) -> Result<Self, LadderError> {
        if first.is_zero() {
            return Err(LadderError::Zero);
        }
        if first > max {
            return Err(LadderError::Order { first, max });
        }
        if jitter_percent > 100 {
            return Err(LadderError::Jitter { percent: jitter_percent });
        }
        Ok(Self { first, max, jitter_percent })
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

/// Failures in a row of one thing, and when it may be tried again.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Backoff {
    failures: u32,
    until: Option<Moment>,
}

impl Backoff {
    /// Counts a failure. One that comes while the last one is still waited for is the same
    /// trouble seen by a second request, and isn't counted.
    pub(super) fn fail(&mut self, now: Moment, ladder: &Ladder, draw: u64) {
        if self.until.is_some_and(|until| until > now) {
            return;
        }
        self.failures = self.failures.saturating_add(1);
        self.until = Some(now.after(ladder.delay(self.failures, draw)));
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Not before this moment.
    pub(super) fn until(&self) -> Option<Moment> {
        self.until
    }
}
