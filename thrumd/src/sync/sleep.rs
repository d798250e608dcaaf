//! Whether this machine has slept. Its clock for time-outs stands still meanwhile, so that what was
//! heard of a peer an hour ago seems to be of a moment ago. No timer tells of it: it is asked for
//! whenever something else happens, such as the tailnet's news that the network is another one.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Less is no sleep, but two clocks that are not read at the same moment.
const LEAST: Duration = Duration::from_secs(2);

/// The clock that goes on while the machine sleeps.
#[cfg(target_os = "linux")]
const THROUGH: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const THROUGH: ClockId = ClockId::Monotonic;

/// Time since some fixed moment, with that in which the machine slept.
pub(super) fn clock() -> Duration {
    let now = clock_gettime(THROUGH);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    Duration::from_secs(seconds)
        + Duration::from_nanos(u64::try_from(now.tv_nsec).unwrap_or_default())
}

/// What was asleep up to the last look.
#[derive(Debug, Default)]
pub(super) struct Sleep {
    asleep: Duration,
}

impl Sleep {
    /// Whether the machine has slept since the last look. `through` is how much time has gone by, and
    /// `awake` how much of that by the clock that stands still, both since one moment.
    pub(super) fn woke(&mut self, through: Duration, awake: Duration) -> bool {
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
    fn each_sleep_is_told_once() {
        let seconds = Duration::from_secs;
        let mut sleep = Sleep::default();
        assert!(!sleep.woke(seconds(100), seconds(100)));
        assert!(
            !sleep.woke(seconds(101), seconds(100)),
            "the clocks were read one after the other"
        );
        assert!(sleep.woke(seconds(3700), seconds(101)));
        assert!(!sleep.woke(seconds(3701), seconds(102)));
        assert!(sleep.woke(seconds(3800), seconds(110)));
        assert!(!sleep.woke(seconds(3900), seconds(300)), "they drift");
    }

    #[test]
    fn the_clock_goes_on() {
        let before = clock();
        assert!(clock() >= before && before > Duration::ZERO);
    }
}
