//! Detects that this machine has slept. The clock for time-outs stops during sleep, so a peer last heard an
//! hour ago seems to have been heard a moment ago. No timer reports a sleep; the driver checks whenever
//! something else happens, such as a network change.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A shorter difference is not a sleep, but two clocks that were not read at the same moment.
const LEAST: Duration = Duration::from_secs(2);

/// The clock that runs on while the machine sleeps.
#[cfg(target_os = "linux")]
const THROUGH_SLEEP: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const THROUGH_SLEEP: ClockId = ClockId::Monotonic;

/// Reads the time since a fixed moment, including sleep.
pub(super) type Clock = fn() -> Duration;

/// The system's [`Clock`].
pub(super) fn system_clock() -> Duration {
    let now = clock_gettime(THROUGH_SLEEP);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    Duration::from_secs(seconds)
        + Duration::from_nanos(u64::try_from(now.tv_nsec).unwrap_or_default())
}

/// How long the machine has slept since the daemon began.
#[derive(Debug)]
pub(super) struct Sleep {
    clock: Clock,
    begun: Duration,
    asleep: Duration,
}

impl Sleep {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, begun: clock(), asleep: Duration::ZERO }
    }

    /// Whether the machine has slept since the last call. `awake` is the time since `new`, by the clock that
    /// stands still during sleep.
    pub(super) fn woke(&mut self, awake: Duration) -> bool {
        let through = (self.clock)().saturating_sub(self.begun);
        self.has_slept(through, awake)
    }

    fn has_slept(&mut self, through: Duration, awake: Duration) -> bool {
        let asleep = through.saturating_sub(awake);
        let more = asleep.saturating_sub(self.asleep) >= LEAST;
        if more {
            self.asleep = asleep;
        }
        more
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sleep_is_reported_once() {
        let seconds = Duration::from_secs;
        let mut sleep = Sleep::new(|| Duration::ZERO);
        assert!(!sleep.has_slept(seconds(100), seconds(100)));
        assert!(
            !sleep.has_slept(seconds(101), seconds(100)),
            "the clocks were read one after the other"
        );
        assert!(sleep.has_slept(seconds(3700), seconds(101)));
        assert!(!sleep.has_slept(seconds(3701), seconds(102)));
        assert!(sleep.has_slept(seconds(3800), seconds(110)));
        assert!(!sleep.has_slept(seconds(3900), seconds(300)), "they drift");
    }

    #[test]
    fn the_clock_goes_on() {
        let before = system_clock();
        assert!(system_clock() >= before && before > Duration::ZERO);
    }
}
