//! How it stands with a peer, for `status`.

use thrum_api::Sequence;
use thrum_api::local::PeerState;

use super::drain::DrainState;
use super::failure::Failure;
use super::link::Link;
use super::time::MonotonicTime;

/// What the hub knows of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkSnapshot {
    /// How it stands.
    pub state: PeerState,
    /// Since when.
    pub since: MonotonicTime,
    /// When the peer's log was last taken over to its end.
    pub last_sync: Option<MonotonicTime>,
    /// Places of its log that we have not taken over.
    pub we_lack: Option<u64>,
    /// Places of our log that it has not been given.
    pub they_lack: Option<u64>,
    /// How far the parting from it is, once `Input::Drain` was given.
    pub drain: DrainState,
    /// When we try again, if something stands against it now.
    pub next_try: Option<MonotonicTime>,
    /// Failures in a row.
    pub failures: u32,
    /// What they are, or what the last one was.
    pub last_failure: Option<Failure>,
}

impl Link {
    fn lacks(&self, head: Sequence) -> (Option<u64>, Option<u64>) {
        let we =
            self.their_head.zip(self.taken).map(|(head, taken)| head.0.saturating_sub(taken.0));
        // Of an empty log nothing can be lacking, whether the peer said what it holds or not.
        let known = self.held_known || head == Sequence::ZERO;
        let they = known.then(|| head.0.saturating_sub(self.held.sequence.0));
        (we, they)
    }

    pub(super) fn state_now(&self, on: bool, head: Sequence) -> PeerState {
        let failing = self.failures(head) > 0;
        if !on {
            PeerState::Off
        } else if self.refused.is_some() || self.facts.removed_us {
            PeerState::RemovedUs
        } else if !self.ever_reached {
            PeerState::NeverReached
        } else if failing {
            PeerState::BackingOff
        } else if self.log_changed {
            PeerState::LogChanged
        } else if self.lacks(head) == (Some(0), Some(0)) {
            PeerState::InSync
        } else {
            PeerState::CatchingUp
        }
    }

    pub(super) fn snapshot(&self, on: bool, head: Sequence) -> LinkSnapshot {
        let (we_lack, they_lack) = self.lacks(head);
        LinkSnapshot {
            state: self.state,
            since: self.since,
            last_sync: self.last_sync,
            we_lack,
            they_lack,
            drain: self.parting(on, head),
            next_try: self.next_try(head).filter(|_| on),
            failures: self.failures(head),
            last_failure: self.failure(head).cloned(),
        }
    }
}
