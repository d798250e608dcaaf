//! What machines are called for people, and how they are reached, in the words of the contract.

use std::sync::Arc;
use std::time::Duration;

use thrum_api::local::PathToPeer;
use tokio::sync::watch;
use tokio::time::timeout;

use super::tailscaled::{Entry, Nodes, State};
use super::{Node, NodePath, Tailnet, Via};

/// How long somebody who asks for a machine waits for a tailnet that is on its way up.
const UP_WITHIN: Duration = Duration::from_secs(15);

impl Tailnet {
    /// Waits while the tailnet is on its way up: just after the start, or while a tailscaled of our
    /// own logs in. Not for what a person has to do.
    pub async fn settled(&self) {
        let Ok(kind) = self.tailscaled() else { return };
        let ours = matches!(self, Self::Private(_));
        let mut state = kind.state();
        let up = state.wait_for(|state| match state {
            State::Up { .. } => true,
            State::Starting => false,
            _ => !ours,
        });
        // Whoever asks next is told what the tailnet waits for.
        drop(timeout(UP_WITHIN, up).await);
    }

    /// All that the last look showed of the node. None when it isn't known, and with the loopback
    /// kind.
    pub fn entry(&self, stable_id: &str) -> Option<Entry> {
        self.tailscaled().ok()?.nodes().get(stable_id).cloned()
    }

    /// What a machine is called: the first label of its name in the tailnet, which follows renames;
    /// where its node isn't known, what it calls itself.
    pub fn name_or(&self, stable_id: Option<&str>, own: &str) -> String {
        let name = stable_id.and_then(|id| self.node(id)).map(|node| node.short_name().to_owned());
        name.filter(|name| !name.is_empty()).unwrap_or_else(|| own.to_owned())
    }

    /// Told after each look at the tailnet, whatever it showed. None with the loopback kind.
    pub fn looks(&self) -> Option<watch::Receiver<Arc<Nodes>>> {
        Some(self.tailscaled().ok()?.looks())
    }
}

impl From<NodePath> for PathToPeer {
    fn from(path: NodePath) -> Self {
        let round_trip_us = u64::try_from(path.round_trip.as_micros()).unwrap_or(u64::MAX);
        match path.via {
            Via::Direct(via) => Self { direct: true, via, round_trip_us },
            Via::Relay(via) => Self { direct: false, via, round_trip_us },
        }
    }
}

impl Node {
    /// The first label of its name.
    pub fn short_name(&self) -> &str {
        self.name.split('.').next().unwrap_or_default()
    }
}
