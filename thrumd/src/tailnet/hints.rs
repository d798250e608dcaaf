//! Hints that peers may answer no more, or again. They are no proof of either.

use std::collections::BTreeSet;

use tokio::sync::watch;

/// What may have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// Our network or address changed, or we are connected to the control server again: every peer.
    OurNetwork,
    /// These nodes (stable ids) came, went, came back or moved.
    Nodes(BTreeSet<String>),
}

/// The hints that nobody has taken yet, as one. Clones share them.
#[derive(Clone, Default)]
pub struct Hints(watch::Sender<Option<Hint>>);

impl Hints {
    pub(super) fn give(&self, hint: Hint) {
        self.0.send_modify(|held| {
            *held = Some(match (held.take(), hint) {
                (None, hint) => hint,
                (Some(Hint::Nodes(nodes)), Hint::Nodes(more)) => Hint::Nodes(&nodes | &more),
                _ => Hint::OurNetwork,
            });
        });
    }

    /// Takes the next hint, once there is one. For one caller.
    pub async fn next(&self) -> Hint {
        let mut changes = self.0.subscribe();
        loop {
            if let Some(hint) = self.take() {
                return hint;
            }
            // No error: the sender is ours.
            drop(changes.changed().await);
        }
    }

    fn take(&self) -> Option<Hint> {
        let mut taken = None;
        self.0.send_if_modified(|held| {
            taken = held.take();
            false
        });
        taken
    }
}
