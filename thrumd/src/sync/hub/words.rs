//! What the hub is told and what it answers.

use std::collections::BTreeMap;
use std::time::Duration;

use thrum_api::{DaemonId, Place, Sequence};

use super::PullEnd;

/// What kind of failure it was: each has its own consequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Not reached, cut off, or what answers there is no thrumd. Backs off; anything heard from
    /// the peer ends it.
    Line,
    /// It refused our token.
    Refused,
    /// It answered with an error or with something that can't be, as another program at its port
    /// would, too: that confirms no pairing. Backs off for that one kind of request, until it works
    /// again.
    Faulty,
    /// Our own log failed. Backs off like `Faulty`, and for 30 s at most.
    Ours,
}

/// A failure, with words for `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which kind.
    pub trouble: Trouble,
    /// What happened.
    pub text: String,
}

impl Failure {
    /// A failure that the peer's answer is to blame for.
    pub fn faulty(text: String) -> Self {
        Self { trouble: Trouble::Faulty, text }
    }

    /// A failure of our own log.
    pub fn ours(text: String) -> Self {
        Self { trouble: Trouble::Ours, text }
    }
}

/// What the hub knows of a peer from the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Which pairing with it this is, counted since start; another one means that it was paired
    /// again.
    pub pairing: u32,
    /// It has not accepted our token yet.
    pub unconfirmed: bool,
    /// It is known to have removed us.
    pub removed_us: bool,
}

/// Why a pull is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The daemon started, the peer is new, or sync was turned on.
    Start,
    /// A notification.
    Told,
    /// Nothing was heard for a while.
    Periodic,
    /// A failure is over, or its time.
    Retry,
    /// A person or a change of the network asked.
    Asked,
}

/// Names one pull or one telling, so that the end of one that was begun for an earlier pairing
/// changes nothing.
pub type Ticket = u64;

/// What happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// Sync was turned on or off, or the tailnet came or went.
    Enable(bool),
    /// The peers that there are now.
    Peers(BTreeMap<DaemonId, Facts>),
    /// Our log ends here now.
    Head(Sequence),
    /// A peer made a request with the right token.
    Heard(DaemonId),
    /// A peer said that it removed us.
    Goodbye(DaemonId),
    /// A notification was dealt with: nothing of the peer's log up to here is missing any more.
    Synced {
        /// The peer.
        peer: DaemonId,
        /// The checkpoint, and the end of the peer's log.
        latest: Sequence,
    },
    /// A notification did not bring everything.
    Lacking {
        /// The peer.
        peer: DaemonId,
        /// Where its log ends.
        latest: Sequence,
        /// Who created what is missing; empty if that isn't known.
        from: Vec<DaemonId>,
    },
    /// A peer was given a page of our log, or was told that its place is not of our log.
    Served {
        /// The peer.
        peer: DaemonId,
        /// Where it will go on.
        next: Place,
        /// It has to come again.
        more: bool,
    },
    /// A pull is over.
    PullEnded {
        /// The peer.
        peer: DaemonId,
        /// Of the action.
        ticket: Ticket,
        /// How.
        end: PullEnd,
    },
    /// The checkpoint is forgotten.
    Forgotten {
        /// The peer.
        peer: DaemonId,
        /// Of the action.
        ticket: Ticket,
    },
    /// A telling is over.
    TellEnded {
        /// The peer.
        peer: DaemonId,
        /// Of the action.
        ticket: Ticket,
        /// How.
        end: TellEnd,
    },
    /// A person wants everything now, with one peer or all.
    SyncNow(Option<DaemonId>),
    /// This daemon is about to end: who has not said that it holds our whole log is asked.
    Part,
    /// The network changed, the machine woke, or a node came online.
    Hint,
    /// Time went by.
    Tick,
}

/// How a telling ended.
#[derive(Debug, Clone)]
pub enum TellEnd {
    /// The peer answered.
    Told {
        /// Where our log ended when it was told.
        latest: Place,
        /// Up to here the peer holds our log.
        held: Sequence,
    },
    /// The news can wait this long for more.
    Later {
        /// From now.
        delay: Duration,
        /// Everything up to here was looked at.
        seen: Place,
    },
    /// It failed.
    Failed(Failure),
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Pull from the checkpoint to the end (`Flight`), then `PullEnded`.
    Pull {
        /// The peer.
        peer: DaemonId,
        /// To be given back.
        ticket: Ticket,
        /// For the log line.
        why: Why,
    },
    /// Read our news after `unseen`; if it can wait (`patience`) and isn't `due`, answer `Later`.
    /// Else notify, from `held` on. Then `TellEnded`.
    Tell {
        /// The peer.
        peer: DaemonId,
        /// To be given back.
        ticket: Ticket,
        /// News up to here was looked at before.
        unseen: Place,
        /// The peer holds our log up to here.
        held: Place,
        /// Our own events after it can go along: that place is known for certain, with the event
        /// there, and the last notification was answered.
        window: bool,
        /// Notify in any case.
        due: bool,
    },
    /// Set the checkpoint for this peer to the start, then `Forgotten`.
    ForgetCheckpoint {
        /// The peer.
        peer: DaemonId,
        /// To be given back.
        ticket: Ticket,
    },
    /// Remember whether the peer removed us.
    MarkRemoved {
        /// The peer.
        peer: DaemonId,
        /// It did.
        removed: bool,
    },
    /// The peer accepted our token: the pairing counts.
    Confirm(DaemonId),
    /// The peer refused the token of a pairing that was never confirmed: there is no such peer.
    Drop(DaemonId),
}
