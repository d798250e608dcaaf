//! One daemon: a disk, and while it lives a hub and what is under way.

use std::collections::{BTreeMap, BTreeSet};

use thrum_api::{DaemonId, EventId, Place};
use thrumd::sync::hub::{Hub, OperationId, PullPipeline};

use crate::log::{Served, SimLog};

pub struct Node {
    pub id: DaemonId,
    pub log: SimLog,
    pub backup: Option<SimLog>,
    /// Acknowledged here and not lost with the disk.
    pub acknowledged: BTreeSet<EventId>,
    pub life: Option<Life>,
    /// Counts lives: what an earlier one started means nothing to a later one.
    pub lives: u64,
    pub peers: Vec<usize>,
}

pub struct Life {
    pub hub: Hub,
    pub flights: BTreeMap<usize, (OperationId, PullPipeline<Vec<Served>>)>,
    pub calls: BTreeMap<u64, Call>,
}

/// A request on its way.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    pub peer: usize,
    pub operation: OperationId,
    pub what: Asked,
}

#[derive(Debug, Clone, Copy)]
pub enum Asked {
    Page,
    Told { latest: Place },
}
