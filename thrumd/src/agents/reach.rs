//! What the rest of the daemon knows of other machines: how far each has come in this log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use thrum_api::{DaemonId, Sequence, Timestamp};

use super::sessions::shared::Sessions;

/// The machines at one moment.
#[derive(Debug, Clone, Default)]
pub struct Machines {
    /// The peers.
    pub peers: BTreeMap<DaemonId, PeerReach>,
    /// Daemons that no longer exist: each has a successor.
    pub former: BTreeSet<DaemonId>,
    /// What the agents of this machine do, which is told to others only now and then.
    pub(super) own: Option<Sessions>,
}

impl Machines {
    /// The peers, and the daemons that no longer exist.
    pub fn new(peers: BTreeMap<DaemonId, PeerReach>, former: BTreeSet<DaemonId>) -> Self {
        Self { peers, former, own: None }
    }
}

/// How far a peer has come in this log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerReach {
    /// It has the log on its disk up to here.
    pub confirmed: Sequence,
    /// It was sent the log up to here; None: unknown.
    pub sent: Option<Sequence>,
    /// Since when it can't be reached, if it can't.
    pub unreachable_since: Option<Timestamp>,
}

impl PeerReach {
    /// How many events of a log with this head it lacks, if that is known.
    pub(super) fn lacks(&self, head: Sequence) -> Option<u64> {
        let lacks = head.0.saturating_sub(self.sent?.0);
        // What it was sent and has not confirmed may be on its way to its disk.
        Some(lacks).filter(|lacks| *lacks > 0)
    }
}

/// Tells how it is with the machines now.
pub type MachinesNow = Arc<dyn Fn() -> Machines + Send + Sync>;
