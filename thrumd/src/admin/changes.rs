//! `GET /changes`: what has changed, as server-sent events, so that nobody has to ask again and again.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use thrum_api::local::{Change, Problem};
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
    /// Count the changes of the paired machines, and of problems.
    peers: Counter,
    problems: [Counter; 4],
    /// That `metrics_listen` can't be used, and whether that was told.
    metrics: (watch::Receiver<Option<Problem>>, bool),
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
        let (log, files) = (&context.log, context.log.files());
        let cleared = context.quarantine_cleared.subscribe();
        let problems = [log.failure_notices(), log.damaged_rows(), files.notices(), cleared];
        Ok(Self {
            head: context.log.watch(),
            views: context.agents.changes().map_err(errors::agents)?,
            peers: Counter::new(context.registry.watch()),
            problems: problems.map(Counter::new),
            metrics: (context.metrics_problem.subscribe(), false),
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
        let [writes, rows, files, cleared] = &mut self.problems;
        let (metrics, was_problem) = &mut self.metrics;
        let network = async {
            match &mut self.network {
                Some(network) => network.changed().await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = self.views.changed() => {}
            () = network => {}
            () = self.peers.changed() => {}
            () = writes.changed() => {}
            () = rows.changed() => {}
            () = files.changed() => {}
            () = cleared.changed() => {}
            Ok(_) = metrics.wait_for(|problem| problem.is_some() != *was_problem) => {}
            Ok(_) = self.head.wait_for(|head| head.epoch != epoch) => {}
        }
    }

    /// What has changed since the last time; None if nothing has.
    fn take(&mut self) -> Option<Change> {
        let head = *self.head.borrow();
        let peers = self.peers.take();
        let ViewChange { read_seq, has_moved, agents, deliveries, follows, replaced } =
            self.views.take();
        let mut flags = self.network.as_mut().map(|it| it.take(has_moved)).unwrap_or_default();
        flags.agents |= agents;
        // The sessions of a recipient say why it has not read a message yet.
        flags.deliveries |= deliveries | agents;
        let problems = self.problems.each_mut().map(Counter::take);
        let (metrics, was_problem) = &mut self.metrics;
        let is_problem = metrics.borrow().is_some();
        let of_metrics = std::mem::replace(was_problem, is_problem) != is_problem;
        flags.status |= follows || of_metrics || problems.contains(&true);
        // Names of machines stand in everything.
        if replaced || peers || self.told != Some(head.epoch) {
            flags = Flags::ALL;
        }
        self.told = Some(head.epoch);
        let Flags { status, agents, deliveries } = flags;
        let head_seq = head.position.sequence;
        let change = Change { epoch: head.epoch, read_seq, head_seq, status, agents, deliveries };
        (has_moved || flags != Flags::default()).then_some(change)
    }
}

/// Counts the changes of something.
struct Counter {
    now: watch::Receiver<u64>,
    told: u64,
}

impl Counter {
    fn new(now: watch::Receiver<u64>) -> Self {
        let told = *now.borrow();
        Self { now, told }
    }

    /// Returns when there was a change since the last [`Self::take`].
    async fn changed(&mut self) {
        let told = self.told;
        if self.now.wait_for(|count| *count != told).await.is_err() {
            // The daemon stops.
            pending().await
        }
    }

    /// Whether there was one.
    fn take(&mut self) -> bool {
        let now = *self.now.borrow();
        std::mem::replace(&mut self.told, now) != now
    }
}
