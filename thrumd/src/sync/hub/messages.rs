//! Inputs and actions of the hub.

use std::collections::BTreeMap;
use std::time::Duration;

use thrum_api::{DaemonId, LogPosition, Sequence};

use super::failure::Failure;

/// What the registry knows of the pairing with a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PairingState {
    /// Counts the pairings with this peer since start. Another number means that it was paired again.
    pub generation: u32,
    /// The peer has not accepted our token yet.
    pub unconfirmed: bool,
    /// The peer is known to have removed us.
    pub removed_us: bool,
}

/// Why a pull is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullReason {
    /// The daemon started, the peer is new, or sync was turned on.
    Startup,
    /// A notification did not bring everything.
    Notified,
    /// The peer was not synced for a while.
    Periodic,
    /// A back-off is over, or an obstacle is gone.
    Retry,
    /// A person or a change of the network asked for it.
    Requested,
    /// A kept connection was closed, or the tailnet says something about the peer's node: does the peer still answer?
    /// Asked over a new connection.
    Probe,
}

/// The id of an action in flight. It identifies results of an earlier pairing, which are ignored.
pub type OperationId = u64;

/// An input: something that happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// Sync was turned on or off, or the tailnet came or went.
    Enable(bool),
    /// The complete set of peers.
    Peers(BTreeMap<DaemonId, PairingState>),
    /// The end of our log.
    Head(Sequence),
    /// The peer made a request with a valid token.
    RequestReceived(DaemonId),
    /// A connection to the peer that was kept open has ended: its process or its machine may have, too.
    ConnectionClosed(DaemonId),
    /// The peer's node came, went or moved in the tailnet.
    NodeChanged(DaemonId),
    /// The connectivity of the peer was checked for a person.
    Checked {
        /// The peer.
        peer: DaemonId,
        /// What keeps it from answering, if anything does.
        result: Result<(), Failure>,
    },
    /// The peer notified us that it removed us.
    RemovedByPeer(DaemonId),
    /// A notification was processed, and nothing up to this position of the peer's log is missing here.
    Synced {
        /// The peer.
        peer: DaemonId,
        /// Our checkpoint, which is the end of the peer's log.
        latest: Sequence,
    },
    /// A notification did not bring everything: a pull is needed.
    PullNeeded {
        /// The peer.
        peer: DaemonId,
        /// The end of its log.
        latest: Sequence,
        /// Which daemons created the missing events; empty if unknown.
        creators: Vec<DaemonId>,
    },
    /// A notification brought events that their origins did not sign. The rest of it was stored.
    NotificationRefused {
        /// The peer.
        peer: DaemonId,
        /// What it brought.
        failure: Failure,
    },
    /// The peer was sent a page of our log, or an error because its checkpoint is not of our log.
    PageServed {
        /// The peer.
        peer: DaemonId,
        /// Where it continues.
        next: LogPosition,
        /// More pages follow.
        more: bool,
        /// It held events that we relay.
        relayed: bool,
    },
    /// A pull ended.
    PullFinished {
        /// The peer.
        peer: DaemonId,
        /// From the action.
        operation: OperationId,
        /// How it ended.
        result: PullResult,
    },
    /// The checkpoint was reset.
    CheckpointReset {
        /// The peer.
        peer: DaemonId,
        /// From the action.
        operation: OperationId,
    },
    /// A notification ended.
    NotifyFinished {
        /// The peer.
        peer: DaemonId,
        /// From the action.
        operation: OperationId,
        /// How it ended.
        result: NotifyResult,
    },
    /// A person asked for a sync now, with one peer or with all.
    SyncNow(Option<DaemonId>),
    /// Somebody waits to hear how far the peer holds our log: one that was sent it to its end is asked, if it has not
    /// said so.
    Confirm(DaemonId),
    /// This daemon is about to exit: peers that have not confirmed our whole log are notified.
    Drain,
    /// Our network changed: no connection was kept.
    NetworkChanged,
    /// The time of `next_wake` has come.
    Tick,
}

impl Input {
    /// The peer that it is about; None if it is about all.
    pub fn peer(&self) -> Option<DaemonId> {
        match self {
            Self::RequestReceived(peer)
            | Self::ConnectionClosed(peer)
            | Self::NodeChanged(peer)
            | Self::Checked { peer, .. }
            | Self::RemovedByPeer(peer)
            | Self::Confirm(peer)
            | Self::Synced { peer, .. }
            | Self::PullNeeded { peer, .. }
            | Self::NotificationRefused { peer, .. }
            | Self::PageServed { peer, .. }
            | Self::PullFinished { peer, .. }
            | Self::CheckpointReset { peer, .. }
            | Self::NotifyFinished { peer, .. } => Some(*peer),
            Self::SyncNow(peer) => *peer,
            Self::Enable(_)
            | Self::Peers(_)
            | Self::Head(_)
            | Self::Drain
            | Self::NetworkChanged
            | Self::Tick => None,
        }
    }
}

/// How a pull ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullResult {
    /// Everything was applied.
    Done {
        /// The new checkpoint.
        checkpoint: Sequence,
        /// The end of the peer's log when the last page was read.
        head: Sequence,
    },
    /// The checkpoint is not, or no longer, of the peer's log.
    OtherLog,
    /// It failed. What was applied before stays applied.
    Failed(Failure),
}

/// How a notification ended.
#[derive(Debug, Clone)]
pub enum NotifyResult {
    /// The peer answered.
    Answered {
        /// The end of our log that was announced.
        latest: LogPosition,
        /// The position in our log that the peer confirmed.
        confirmed: Sequence,
        /// How many of the events in the notification the peer held already.
        known: u64,
    },
    /// Not sent: the news may wait for more.
    Deferred {
        /// How long it may wait.
        delay: Duration,
        /// News up to here was examined.
        examined: LogPosition,
    },
    /// It failed.
    Failed(Failure),
}

/// Where a notification begins, and what it may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotifyRequest {
    /// News up to here was examined before.
    pub examined: LogPosition,
    /// The peer was sent our log up to here.
    pub sent: LogPosition,
    /// The notification may carry our own events after `sent`: that position and its event are known for
    /// certain, and the last notification was answered.
    pub include_events: bool,
    /// Among them those that we relay: the peer gets them from us.
    pub include_relayed: bool,
    /// Don't wait for more news.
    pub due: bool,
}

/// An action: something that the driver has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Pull from the checkpoint to the end (`protocol::Pull`), then report `PullFinished`.
    Pull {
        /// The peer.
        peer: DaemonId,
        /// To be reported back.
        operation: OperationId,
        /// For the log line.
        reason: PullReason,
    },
    /// Read our news after `examined`. If it may wait (`notify_delay`) and isn't `due`, report `Deferred`.
    /// Otherwise notify the peer of what follows `sent`. Then report `NotifyFinished`.
    Notify {
        /// The peer.
        peer: DaemonId,
        /// To be reported back.
        operation: OperationId,
        /// What to read and to send.
        wanted: NotifyRequest,
    },
    /// Set the checkpoint for this peer to the start, then report `CheckpointReset`.
    ResetCheckpoint {
        /// The peer.
        peer: DaemonId,
        /// To be reported back.
        operation: OperationId,
    },
    /// Store whether the peer removed us.
    MarkRemoved {
        /// The peer.
        peer: DaemonId,
        /// Whether it did.
        removed: bool,
    },
    /// The peer accepted our token: the pairing is confirmed.
    ConfirmPairing(DaemonId),
    /// The peer refused the token of a pairing that was never confirmed: remove the peer.
    DropPairing(DaemonId),
}
