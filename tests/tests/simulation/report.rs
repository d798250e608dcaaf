//! What a failed case says.

use std::collections::BTreeSet;
use std::sync::Arc;

use thrum_api::LogPosition;

use crate::world::World;

impl World {
    pub fn checkpoint(&self, node: usize, peer: usize) -> LogPosition {
        self.nodes[node].log.store().checkpoint(self.nodes[peer].id).unwrap().position
    }

    /// Who waits for what, and what happened last.
    pub fn report(&self) -> String {
        let mut text = format!(
            "{} requests, {} events received, {} of them held already, {} written\n",
            self.requests, self.received, self.duplicates, self.written
        );
        let held: Vec<Arc<_>> = self.nodes.iter().map(|node| node.log.held()).collect();
        let all: BTreeSet<_> = held.iter().flat_map(|ids| ids.iter()).collect();
        for (n, node) in self.nodes.iter().enumerate() {
            let lacks: Vec<String> = all
                .iter()
                .filter(|id| !held[n].contains(id))
                .map(|id| u128::from(id.ulid()).to_string())
                .collect();
            let kind = match (node.old, self.is_honest(n)) {
                (_, false) => ", hostile",
                (true, _) => ", of an older version",
                _ => "",
            };
            text += &format!("node {n}{kind}: {} events, lacks {lacks:?}\n", held[n].len());
            for peer in &node.peers {
                let peer_id = self.nodes[*peer].id;
                let view = node.life.as_ref().and_then(|life| life.hub.snapshot(peer_id));
                let at = self.checkpoint(n, *peer).sequence;
                let end = self.nodes[*peer].log.store().head().position.sequence;
                text += &format!("  of node {peer}: checkpoint {at} of {end}, {view:?}\n");
            }
        }
        text += &self.trace.last.iter().cloned().collect::<Vec<_>>().join("\n");
        text
    }
}
