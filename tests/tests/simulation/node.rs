//! One daemon: a disk, and while it lives a hub and what is under way.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use rusqlite::Connection;
use thrum_api::peer::Run;
use thrum_api::{DaemonId, Epoch, EventId, LogPosition, Token};
use thrumd::peer::{Pairing, Peer, Registry};
use thrumd::sync::hub::{Hub, OperationId};
use thrumd::sync::pairings::{KnownTokens, Pairings};
use thrumd::sync::protocol::{Pull, Rereads};
use thrumd::tailnet::Caller;

use crate::log::SimLog;
use crate::world::{Internal, Micros};

pub struct Node {
    pub id: DaemonId,
    pub number: usize,
    /// The epoch of its log at the beginning of the day.
    pub first_epoch: Epoch,
    pub log: SimLog,
    pub registry: Registry,
    pub backup: Option<Connection>,
    /// Acknowledged here and not lost with the disk.
    pub acknowledged: BTreeSet<EventId>,
    pub life: Option<Life>,
    /// Counts lives: what an earlier one started means nothing to a later one.
    pub lives: u64,
    /// The nodes that it is paired with when all is well.
    pub peers: Vec<usize>,
    /// Runs an older version.
    pub old: bool,
    /// Its disk was lost, restored or damaged at some time.
    pub disk_changed: bool,
    /// Its machine sleeps until then.
    pub asleep: Option<Micros>,
    /// What goes on when it wakes.
    pub postponed: Vec<Internal>,
}

pub struct Life {
    pub hub: Hub,
    pub pulls: BTreeMap<OperationId, Pulling>,
    pub calls: BTreeMap<u64, Call>,
    pub tokens: KnownTokens,
    /// The joining side of pairings.
    pub pairings: Pairings,
    /// The accepting side, and the number of the last session.
    pub pairing: Pairing,
    pub session: Option<u64>,
    /// A person waits for a join.
    pub joining: bool,
    pub rereads: BTreeMap<usize, Rereads>,
    /// Damaged rows that were found.
    pub damaged_rows: u64,
}

pub struct Pulling {
    pub peer: usize,
    pub token: Token,
    pub pull: Pull<Vec<Run>>,
}

/// A request on its way.
#[derive(Debug, Clone)]
pub struct Call {
    pub peer: usize,
    pub what: Asked,
}

#[derive(Debug, Clone)]
pub enum Asked {
    Page(OperationId),
    Notified(OperationId, LogPosition),
    Goodbye,
    Pair,
    /// The first request with a new token, and how often it was tried.
    Confirm(Token, u32),
    /// The hostile node asks, and does not care what the answer is.
    Nothing,
}

impl Node {
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 9100 + u16::try_from(self.number).unwrap()))
    }

    pub fn caller(&self) -> Caller {
        Caller { address: self.address(), node: None }
    }

    /// This node as another one stores it.
    pub fn as_peer(&self, token: Token, unconfirmed: bool) -> Peer {
        Peer {
            daemon_id: self.id,
            name: format!("node-{}", self.number),
            address: self.address().to_string(),
            node: None,
            token,
            paired_at: thrum_api::Timestamp::from_millis(0),
            unconfirmed,
            removed_us: false,
            by_policy: None,
            former: Vec::new(),
        }
    }
}
