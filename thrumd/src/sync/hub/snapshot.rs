//! The state of a link at one moment, for `status` and for the drain before exit.

use thrum_api::Sequence;
use thrum_api::local::PeerState;

use super::failure::{Failure, FailureKind};
use super::time::MonotonicTime;

/// How far the drain has come: before exit a peer is asked until it has confirmed our whole log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrainState {
    /// The peer confirmed our log to its end.
    Confirmed,
    /// The peer was asked, or is about to be, and has not answered.
    Waiting,
    /// The peer answers, and still lacks something: it is reading our log.
    Reading,
    /// The peer can't be asked now.
    Unreachable,
}

/// What the hub knows of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkSnapshot {
    /// The state.
    pub state: PeerState,
    /// When that state began.
    pub since: MonotonicTime,
    /// When the peer's log was last pulled to its end.
    pub last_sync: Option<MonotonicTime>,
    /// How many events of the peer's log we lack.
    pub we_lack: Option<u64>,
    /// How many events of our log the peer was not sent.
    pub they_lack: Option<u64>,
    /// The peer was sent our log up to here; None: unknown.
    pub sent: Option<Sequence>,
    /// The peer has our log on its disk up to here, as it said.
    pub confirmed: Sequence,
    /// It can't be reached, or sync with it is off.
    pub unreachable: bool,
    /// How far the drain has come, once `Input::Drain` was given.
    pub drain: DrainState,
    /// When the next attempt is due, while the peer is held up.
    pub next_try: Option<MonotonicTime>,
    /// Failures in a row.
    pub failures: u32,
    /// The last failure.
    pub last_failure: Option<Failure>,
}

impl LinkSnapshot {
    /// Whether nobody here knows what the peer's agents do.
    pub fn is_silent(&self) -> bool {
        match self.state {
            PeerState::InSync | PeerState::CatchingUp | PeerState::LogChanged => false,
            // At the start nothing was tried yet; and our own log says nothing of the peer.
            PeerState::BackingOff | PeerState::NeverReached => {
                let failure = self.last_failure.as_ref();
                self.failures > 0 && failure.is_none_or(|it| it.kind != FailureKind::Local)
            }
            PeerState::RemovedUs | PeerState::Off => true,
        }
    }
}
