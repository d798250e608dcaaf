//! Checkpoint mismatch: a checkpoint that matches a restored log by chance.
//!
//! A peer that was restored from an older copy, and has never written an event itself, may get the event of
//! our checkpoint back at the same position, but after other events than before. Its log matches then, and
//! the events that we lack are not after the checkpoint. Its heads show them.

use std::time::Duration;

use crate::backoff::{ExponentialBackoff, Failures};
use crate::sync::hub::MonotonicTime;

/// Back-off between reads of a log from its start. Events in our quarantine stay missing whatever is read,
/// so each read without effect doubles the delay.
const PAUSE: ExponentialBackoff =
    ExponentialBackoff::new(Duration::from_secs(600), Duration::from_secs(24 * 3600), 0);

/// When a peer's log was last read from its start because of a mismatch.
#[derive(Debug, Clone, Copy, Default)]
pub struct CheckpointMismatch {
    readings: Failures<MonotonicTime>,
}

impl CheckpointMismatch {
    /// Called when a pull reached the end of the log; `is_missing` says whether the peer's heads name
    /// missing events. Returns whether to read the log from its start.
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
    fn reads_without_effect_become_rarer() {
        let mut mismatch = CheckpointMismatch::default();
        let minutes = |n: u64| MonotonicTime(Duration::from_secs(60 * n));
        let times: Vec<u64> = (0..200).filter(|n| mismatch.after_pull(true, minutes(*n))).collect();
        assert_eq!(times, [0, 10, 30, 70, 150]);
        assert!(!mismatch.after_pull(false, minutes(200)));
        assert!(mismatch.after_pull(true, minutes(200)));
    }
}
