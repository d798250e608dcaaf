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
