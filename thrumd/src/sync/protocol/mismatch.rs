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

/// What is lacking here after a pull to the end of a peer's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lacking {
    /// Nothing that the peer's heads name.
    Nothing,
    /// Events that its heads name.
    Events,
    /// Events that were not taken, because the peer introduced too many origins.
    Withheld,
}

/// When a peer's log was last read from its start because of a mismatch.
#[derive(Debug, Clone, Copy, Default)]
pub struct CheckpointMismatch {
    readings: Failures<MonotonicTime>,
}

impl CheckpointMismatch {
    /// Called when a pull reached the end of the log. Returns whether to read the log from its start.
    pub fn after_pull(&mut self, lacking: Lacking, now: MonotonicTime) -> bool {
        // What was withheld a moment ago would be again.
        let waits = lacking == Lacking::Withheld && self.readings.count() == 0;
        if lacking == Lacking::Nothing {
            self.readings.clear();
            return false;
        }
        self.readings.record(now, &PAUSE, 0) && !waits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_without_effect_become_rarer() {
        let mut mismatch = CheckpointMismatch::default();
        let minutes = |n: u64| MonotonicTime(Duration::from_secs(60 * n));
        let times = |mismatch: &mut CheckpointMismatch, lacking| -> Vec<u64> {
            (0..200).filter(|n| mismatch.after_pull(lacking, minutes(*n))).collect()
        };
        assert_eq!(times(&mut mismatch, Lacking::Events), [0, 10, 30, 70, 150]);
        assert!(!mismatch.after_pull(Lacking::Nothing, minutes(200)));
        assert!(mismatch.after_pull(Lacking::Events, minutes(200)));
        // Nothing changes so soon about what was withheld.
        let mut mismatch = CheckpointMismatch::default();
        assert_eq!(times(&mut mismatch, Lacking::Withheld), [10, 30, 70, 150]);
    }
}
