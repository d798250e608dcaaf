//! What the rest of the daemon knows of other machines: how far each has come in this log.

use std::collections::BTreeMap;
use std::sync::Arc;

use thrum_api::{DaemonId, Sequence, Timestamp};

use super::sessions::shared::Sessions;

/// The machines at one moment.
#[derive(Debug, Clone, Default)]
pub struct Machines {
    /// The peers.
    pub peers: BTreeMap<DaemonId, PeerReach>,
    /// Daemons that no longer exist, and the successor of each.
    pub former: BTreeMap<DaemonId, DaemonId>,
    /// What the agents of this machine do, which is told to others only now and then.
    pub(super) own: Option<Sessions>,
}

impl Machines {
    /// The peers, and the daemons that no longer exist.
    pub fn new(peers: BTreeMap<DaemonId, PeerReach>, former: BTreeMap<DaemonId, DaemonId>) -> Self {
        Self { peers, former, own: None }
    }

    /// Whether anything can be heard of another daemon.
    pub(super) fn contact(&self, daemon: DaemonId) -> Contact {
        contact(daemon, self.peers.iter().map(|(peer, reach)| (*peer, reach.unreachable_since)))
    }
}

/// Whether anything can be heard of a daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contact {
    /// It can.
    Open,
    /// Neither it nor a machine that could relay can be reached.
    Cut {
        /// Since when, if that is known.
        since: Option<Timestamp>,
    },
}

/// Whether anything can be heard of a daemon other than this one, by the peers and since when each can't be reached. What
/// comes from one that is no peer comes over peers.
pub fn contact(
    daemon: DaemonId,
    peers: impl IntoIterator<Item = (DaemonId, Option<Timestamp>)>,
) -> Contact {
    let (mut last, mut is_open) = (None, false);
    for (peer, unreachable_since) in peers {
        if peer == daemon {
            return unreachable_since
                .map_or(Contact::Open, |since| Contact::Cut { since: Some(since) });
        }
        is_open |= unreachable_since.is_none();
        last = last.max(unreachable_since);
    }
    if is_open { Contact::Open } else { Contact::Cut { since: last } }
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
