//! What the log says when the state of a peer has changed.

use thrum_api::DaemonId;
use thrum_api::local::PeerState;

use super::hub::Failure;
use crate::message_id;

/// The line for a peer whose state was `old`, with its message id. None in most cases, so `name`, which depends on the
/// names of all peers, is called only for a line.
pub(super) fn state_line(
    id: DaemonId,
    name: &dyn Fn() -> String,
    old: Option<PeerState>,
    state: PeerState,
    failure: Option<&Failure>,
) -> Option<(&'static str, String)> {
    Some(match state {
        PeerState::BackingOff | PeerState::NeverReached if let Some(failure) = failure => {
            let why = &failure.text;
            let line = format!("sync: can't sync with {} ({id}), trying again: {why}", name());
            (message_id::PEER_LOST, line)
        }
        PeerState::RemovedUs => (
            message_id::REMOVED_BY_PEER,
            format!("sync: {} ({id}) has removed this machine; pair again to sync", name()),
        ),
        PeerState::LogChanged => (
            message_id::LOG_REPLACED,
            format!("sync: the log of {} ({id}) was replaced; reading it from its start", name()),
        ),
        _ if matches!(old, Some(PeerState::BackingOff | PeerState::RemovedUs)) => {
            (message_id::PEER_BACK, format!("sync: {} ({id}) answers again", name()))
        }
        _ => return None,
    })
}
