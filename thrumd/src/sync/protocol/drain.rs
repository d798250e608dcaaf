//! How long the end of a daemon waits for peers to confirm its log.

use std::time::Duration;

use crate::stop_limits::DRAIN;
use crate::sync::hub::DrainState;

/// How long to wait for a first answer.
const FIRST_ANSWER: Duration = Duration::from_millis(1500);

/// Whether the end still waits for a peer in this state.
pub fn waits(state: DrainState, elapsed: Duration) -> bool {
    match state {
        DrainState::Waiting => elapsed < FIRST_ANSWER,
        DrainState::Reading => elapsed < DRAIN,
        DrainState::Confirmed | DrainState::Unreachable => false,
    }
}
