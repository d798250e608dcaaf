//! How long the drain waits for peers to confirm the log.

use std::time::Duration;

use crate::stop_limits::DRAIN;
use crate::sync::hub::DrainState;

/// Time limit for the first answer.
const FIRST_ANSWER: Duration = Duration::from_millis(1500);

/// Whether the drain still waits for a peer in this state.
pub fn waits(state: DrainState, elapsed: Duration) -> bool {
    match state {
        DrainState::Waiting => elapsed < FIRST_ANSWER,
        DrainState::Reading => elapsed < DRAIN,
        DrainState::Confirmed | DrainState::Unreachable => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_reads_has_the_whole_drain_and_a_silent_one_less() {
        let just_before = |limit: Duration| limit - Duration::from_millis(1);
        for (state, limit) in [(DrainState::Waiting, FIRST_ANSWER), (DrainState::Reading, DRAIN)] {
            assert!(waits(state, just_before(limit)) && !waits(state, limit), "{state:?}");
        }
        assert!(FIRST_ANSWER < DRAIN);
        assert!(!waits(DrainState::Confirmed, Duration::ZERO));
        assert!(!waits(DrainState::Unreachable, Duration::ZERO));
    }
}
