//! Checkpoints that match their peer's log by chance.
//!
//! A peer that was restored from an older copy, and has written nothing itself since its log began, may
//! get the event of our checkpoint back at the very place where it stood, behind others than we took
//! over. Its log matches then, and what we lack is not after the checkpoint. Its heads tell.

use std::time::Duration;

use crate::backoff::{ExponentialBackoff, Failures};
use crate::sync::hub::MonotonicTime;

/// How long after a log was read from its start that is not done again, at first. What is in quarantine
/// here stays missing, and reading does not change that: each reading without effect doubles it.
const PAUSE: ExponentialBackoff =
    ExponentialBackoff::constant(Duration::from_secs(600), Duration::from_secs(24 * 3600), 0);

/// When a peer's log was last read from its start because a pull had left something out.
#[derive(Debug, Clone, Copy, Default)]
pub struct CheckpointMismatch {
    readings: Failures<MonotonicTime>,
}

impl CheckpointMismatch {
    /// A pull reached the end of the log, and something of the peer's heads `is_missing` or not.
    /// Whether the log is to be read from its start.
    pub fn after_pull(&mut self, is_missing: bool, now: MonotonicTime) -> bool {
        if !is_missing {
            self.readings.clear();
            return false;
        }
        self.readings.record(now, &PAUSE, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_come_is_asked_for_less_and_less_often() {
        let mut mismatch = CheckpointMismatch::default();
        let minutes = |n: u64| MonotonicTime(Duration::from_secs(60 * n));
        let times: Vec<u64> = (0..200).filter(|n| mismatch.after_pull(true, minutes(*n))).collect();
        assert_eq!(times, [0, 10, 30, 70, 150]);
        assert!(!mismatch.after_pull(false, minutes(200)));
        assert!(mismatch.after_pull(true, minutes(200)));
    }
}
