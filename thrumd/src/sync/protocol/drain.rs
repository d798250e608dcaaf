//! How long the end of a daemon waits for peers to confirm its log.

use std::time::Duration;

use crate::sync::hub::DrainState;

/// How long to wait for a first answer.
const FIRST_ANSWER: Duration = Duration::from_millis(1500);
/// How long to wait for a peer that answers and still reads. The service allows its end 5 s in all.
const READING: Duration = Duration::from_secs(2);

/// Whether the end still waits for a peer in this state.
pub fn waits(state: DrainState, elapsed: Duration) -> bool {
    match state {
        DrainState::Waiting => elapsed < FIRST_ANSWER,
        DrainState::Reading => elapsed < READING,
        DrainState::Confirmed | DrainState::Unreachable => false,
    }
}
