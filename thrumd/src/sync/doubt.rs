//! Checkpoints that are of their peer's log by chance.
//!
//! A peer that was restored from an older copy, and has written nothing itself since its log began, may
//! get the event of our checkpoint back at the very place where it stood, with others before it than we
//! took over. Its log matches then, and what we lack is not after the checkpoint. Its heads tell.

use std::time::Duration;

use tokio::time::Instant;

/// How long after a log was read from its start that is not done again, at first. What is set aside
/// here is lacking for good, and reading changes nothing about that: each reading in vain doubles it.
const PAUSE: Duration = Duration::from_secs(600);
/// At most.
const PAUSE_MAX: Duration = Duration::from_secs(24 * 3600);

/// When a log was last read from its start because a pull had left something out.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Doubt {
    last: Option<(Instant, Duration)>,
}

impl Doubt {
    /// A pull brought all that the peer's heads speak of.
    pub(super) fn settled(&mut self) {
        self.last = None;
    }

    /// A pull left something out. Whether the log is to be read from its start.
    pub(super) fn arises(&mut self, now: Instant) -> bool {
        let pause = match self.last {
            Some((then, pause)) if now.duration_since(then) < pause => return false,
            Some((_, pause)) => (pause * 2).min(PAUSE_MAX),
            None => PAUSE,
        };
        self.last = Some((now, pause));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_come_is_asked_for_less_and_less_often() {
        let (mut doubt, start) = (Doubt::default(), Instant::now());
        let minutes = |n: u64| start + Duration::from_secs(60 * n);
        let times: Vec<u64> = (0..200).filter(|n| doubt.arises(minutes(*n))).collect();
        assert_eq!(times, [0, 10, 30, 70, 150]);
        doubt.settled();
        assert!(doubt.arises(minutes(200)));
    }
}
