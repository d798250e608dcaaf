//! When a peer's log is read from its start because events of it were withheld: they were of too many new origins, and
//! lie before the checkpoint.

use std::time::Duration;

use crate::backoff::{ExponentialBackoff, Failures};
use crate::sync::hub::MonotonicTime;

/// Back-off between reads of a log from its start. Each one without effect doubles the delay.
const PAUSE: ExponentialBackoff =
    ExponentialBackoff::new(Duration::from_secs(600), Duration::from_secs(24 * 3600), 0);

/// When a peer's log was last read from its start because of withheld events.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rereads {
    failures: Failures<MonotonicTime>,
}

impl Rereads {
    /// Called when a pull reached the end of the log. Returns whether to read the log from its start.
    pub fn after_pull(&mut self, is_withheld: bool, now: MonotonicTime) -> bool {
        if !is_withheld {
            self.failures.clear();
            return false;
        }
        // What was withheld a moment ago would be again.
        let is_first = self.failures.count() == 0;
        self.failures.record(now, &PAUSE, 0) && !is_first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_without_effect_become_rarer() {
        let mut rereads = Rereads::default();
        let minutes = |n: u64| MonotonicTime(Duration::from_secs(60 * n));
        let times = |rereads: &mut Rereads| -> Vec<u64> {
            (0..200).filter(|n| rereads.after_pull(true, minutes(*n))).collect()
        };
        // Nothing changes so soon about what was withheld.
        assert_eq!(times(&mut rereads), [10, 30, 70, 150]);
        assert!(!rereads.after_pull(false, minutes(200)));
        assert!(!rereads.after_pull(true, minutes(200)));
        assert!(rereads.after_pull(true, minutes(210)));
    }
}
