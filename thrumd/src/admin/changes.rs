//! `GET /changes`: what has changed, as server-sent events, so that nobody has to ask again and again.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use thrum_api::local::Change;
use thrum_api::{Epoch, RpcError};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::network_changes::{Flags, NetworkChanges};
use super::{AdminContext, errors};
use crate::agents::{ViewChange, ViewChanges};
use crate::log::LogHead;

/// Between two events at least. The first one after a quiet time comes at once.
const PAUSE: Duration = Duration::from_millis(50);

/// Follows what changes. It only goes on when its reader has taken what came before: a slow one gets fewer events, and no
/// more than one is kept for it.
pub struct ChangeStream {
    context: Arc<AdminContext>,
    head: watch::Receiver<LogHead>,
    views: ViewChanges,
    /// Counts the changes of the paired machines.
    peers: watch::Receiver<u64>,
    known_peers: u64,
    network: Option<NetworkChanges>,
    /// The epoch of the log that was told. None: nothing was.
    told: Option<Epoch>,
    /// When the next event may be told.
    earliest: Instant,
}

impl ChangeStream {
    /// Follows everything from now on.
    ///
    /// # Errors
    /// When the daemon stops.
    pub fn new(context: Arc<AdminContext>) -> Result<Self, RpcError> {
        let peers = context.registry.watch();
        let known_peers = *peers.borrow();
        Ok(Self {
            head: context.log.watch(),
            views: context.agents.changes().map_err(errors::agents)?,
            peers,
            known_peers,
            network: context.network.available().map(NetworkChanges::new),
            told: None,
            earliest: Instant::now(),
            context,
        })
    }

    /// The changes as bytes of a response. Ends when the daemon stops.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        stream::unfold(self, |mut changes| async {
            let change = changes.next().await?;
            let json = serde_json::to_string(&change).unwrap_or_default();
            Some((Ok(Bytes::from(format!("data: {json}\n\n"))), changes))
        })
    }

    pub(super) async fn next(&mut self) -> Option<Change> {
        let stop = self.context.stop.clone();
        tokio::select! {
            biased;
            () = stop.cancelled() => None,
            change = self.change() => Some(change),
        }
    }

    /// The next change.
    async fn change(&mut self) -> Change {
        loop {
            self.changed().await;
            // What comes meanwhile is told with it.
            sleep_until(self.earliest).await;
            if let Some(change) = self.take() {
                self.earliest = Instant::now() + PAUSE;
                return change;
            }
        }
    }

    /// Returns when something may have changed.
    async fn changed(&mut self) {
        let Some(epoch) = self.told else { return };
        let known = self.known_peers;
        let network = async {
            match &mut self.network {
                Some(network) => network.changed().await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = self.views.changed() => {}
            () = network => {}
            Ok(_) = self.peers.wait_for(|count| *count != known) => {}
            Ok(_) = self.head.wait_for(|head| head.epoch != epoch) => {}
        }
    }

    /// What has changed since the last time; None if nothing has.
    fn take(&mut self) -> Option<Change> {
        let head = *self.head.borrow();
        let peers = *self.peers.borrow();
        let ViewChange { read_seq, has_moved, agents, deliveries, follows, replaced } =
            self.views.take();
        let mut flags = self.network.as_mut().map(NetworkChanges::take).unwrap_or_default();
        flags.agents |= agents;
        // The sessions of a recipient say why it has not read a message yet.
        flags.deliveries |= deliveries | agents;
        flags.status |= follows;
        // Names of machines stand in everything.
        if replaced || peers != self.known_peers || self.told != Some(head.epoch) {
            flags = Flags::ALL;
        }
        self.known_peers = peers;
        self.told = Some(head.epoch);
        let Flags { status, agents, deliveries } = flags;
        let head_seq = head.position.sequence;
        let change = Change { epoch: head.epoch, read_seq, head_seq, status, agents, deliveries };
        (has_moved || flags != Flags::default()).then_some(change)
    }
}
