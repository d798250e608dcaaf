//! The driver: the task that owns the hub, passes inputs to it and starts the actions that it returns.
//!
//! It waits only for the next input. Slow actions run in separate tasks, which report back. The only timer
//! is the hub's next wake-up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use thrum_api::local::PeerState;
use thrum_api::{DaemonId, Token};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::hub::{Action, Hub, Input, LinkSnapshot, MonotonicTime, PullReason, PullResult, Timing};
use super::pairings::KnownTokens;
use super::shared::{Message, Shared, Snapshots, chain};
use super::sleep::{self, Sleep};
use super::state_line::state_line;
use super::{notify, progress, pull};
use crate::clock;
use crate::log_rate_limit::LogRateLimiter;
use crate::peer::Peer;
use crate::tailnet::{Hint, Presence};

/// Actions that are started before others have their turn: news for hundreds of peers must not hold up a local call.
const ACTIONS_AT_ONCE: usize = 8;

/// Messages that are handled before it waits for everything anew, which costs as much as one of them.
const MESSAGES_AT_ONCE: usize = 32;

pub(super) struct Driver {
    shared: Arc<Shared>,
    hub: Hub,
    timing: Timing,
    begun: Instant,
    sleep: Sleep,
    /// The start of the scheduler was logged.
    announced: bool,
    tokens: KnownTokens,
    /// The state of each peer that was logged last.
    logged: BTreeMap<DaemonId, PeerState>,
    /// A peer that is lost and found again and again must not fill the log.
    state_lines: LogRateLimiter<DaemonId>,
    /// Former ids of peers, whose checkpoints were reset.
    former: BTreeSet<DaemonId>,
}

impl Driver {
    pub(super) fn new(shared: Arc<Shared>, timing: Timing, through: sleep::Clock) -> Self {
        // Two daemons must not have the same jitter; nothing else depends on the seed.
        let id = shared.log.daemon().to_bytes();
        let seed = id.into_iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(byte));
        Self {
            shared,
            hub: Hub::new(timing, seed),
            timing,
            begun: Instant::now(),
            sleep: Sleep::new(through),
            announced: false,
            tokens: KnownTokens::default(),
            logged: BTreeMap::new(),
            state_lines: LogRateLimiter::new(2),
            former: BTreeSet::new(),
        }
    }

    pub(super) async fn run(mut self, mut inputs: mpsc::Receiver<Message>) {
        let shared = Arc::clone(&self.shared);
        let mut log = shared.log.watch();
        let mut damaged_rows = shared.log.damaged_rows();
        let mut peers = shared.registry.watch();
        let hints = shared.tailnet.hints();
        let mut presence = shared.tailnet.presence();
        let mut enabled = shared.enabled.subscribe();
        self.peers().await;
        let head = log.borrow_and_update().position.sequence;
        self.input(Input::Head(head)).await;
        self.enable(&enabled, &presence).await;
        let mut messages = Vec::with_capacity(MESSAGES_AT_ONCE);
        loop {
            let wake = self.hub.next_wake().map(|moment| self.begun + moment.0);
            tokio::select! {
                () = shared.stop.cancelled() => return,
                1.. = inputs.recv_many(&mut messages, MESSAGES_AT_ONCE) => {
                    for message in messages.drain(..) {
                        self.message(message).await;
                    }
                }
                peers = shared.client.connections_closed() => {
                    for peer in peers {
                        self.input(Input::ConnectionClosed(peer)).await;
                    }
                }
                Ok(()) = log.changed() => {
                    let head = log.borrow_and_update().position.sequence;
                    self.input(Input::Head(head)).await;
                }
                Ok(()) = damaged_rows.changed() => {
                    damaged_rows.mark_unchanged();
                    self.input(Input::SyncNow(None)).await;
                }
                Ok(()) = peers.changed() => {
                    peers.mark_unchanged();
                    self.peers().await;
                }
                hint = hints.next() => self.hint(hint).await,
                Ok(()) = presence.changed() => {
                    presence.mark_unchanged();
                    self.enable(&enabled, &presence).await;
                }
                Ok(()) = enabled.changed() => {
                    enabled.mark_unchanged();
                    self.enable(&enabled, &presence).await;
                }
                () = clock::sleep_until(wake) => self.input(Input::Tick).await,
            }
        }
    }

    async fn message(&mut self, message: Message) {
        match message {
            Message::Input(input) => self.input(input).await,
            Message::Peers => self.peers().await,
            // The caller may have stopped waiting.
            Message::Snapshots(answer) => drop(answer.send(self.snapshots())),
        }
    }

    fn now(&self) -> MonotonicTime {
        MonotonicTime(self.begun.elapsed())
    }

    async fn hint(&mut self, hint: Hint) {
        match hint {
            Hint::OurNetwork => {
                // Connections may be dead, and the kernel finds out later.
                self.shared.client.keep_connections(|_| false);
                self.input(Input::NetworkChanged).await;
            }
            Hint::Nodes(nodes) => {
                let is_there =
                    |peer: &Peer| peer.node.as_ref().is_some_and(|it| nodes.contains(it));
                for peer in self.shared.registry.all().into_iter().filter(is_there) {
                    self.input(Input::NodeChanged(peer.daemon_id)).await;
                }
            }
        }
    }

    async fn enable(
        &mut self,
        enabled: &watch::Receiver<bool>,
        presence: &watch::Receiver<Presence>,
    ) {
        let on = *enabled.borrow() && matches!(*presence.borrow(), Presence::Up { .. });
        if on && !self.announced {
            self.announced = true;
            let cadence = self.timing.cadence;
            tracing::info!(
                "periodic_sync: starting with interval={}, recent_threshold={}",
                clock::format_duration(cadence.interval),
                clock::format_duration(cadence.recent)
            );
        }
        self.input(Input::Enable(on)).await;
    }

    async fn peers(&mut self) {
        let peers = self.tokens.update(&self.shared.pairings.settled());
        self.shared.traffic.lock().retain(|peer, _| peers.contains_key(peer));
        self.shared.client.keep_connections(|peer| peers.contains_key(peer));
        self.logged.retain(|peer, _| peers.contains_key(peer));
        self.shared.peer_states.send_modify(|states| {
            states.retain(|peer, _| peers.contains_key(peer));
        });
        self.input(Input::Peers(peers)).await;
        self.forget_former();
    }

    /// Forgets the logs of ids that peers had formerly.
    fn forget_former(&mut self) {
        let former = self.shared.registry.former();
        for (id, now) in former.iter().map(|(id, now)| (*id, *now)) {
            if self.former.contains(&id) {
                continue;
            }
            let shared = Arc::clone(&self.shared);
            self.spawn(async move {
                if let Err(error) = shared.log.forget_former_peer(id, now).await {
                    tracing::warn!(about = %id, "can't forget the former peer {id}: {}", chain(&error));
                }
                None
            });
        }
        self.former = former.into_keys().collect();
    }

    fn snapshots(&self) -> Snapshots {
        let peers = self.shared.registry.all();
        let ids = peers.iter().map(|peer| peer.daemon_id);
        let links = ids.filter_map(|peer| Some((peer, self.hub.snapshot(peer)?))).collect();
        Snapshots { elapsed: self.begun.elapsed(), links }
    }

    /// Publishes how it is with a peer, if that is new.
    fn publish(&self, peer: DaemonId) {
        let Some(snapshot) = self.hub.snapshot(peer) else { return };
        let elapsed = self.begun.elapsed();
        self.shared.progress.send_if_modified(|all| progress::note(all, peer, &snapshot, elapsed));
    }

    fn publish_all(&self) {
        let elapsed = self.begun.elapsed();
        let peers = self.shared.registry.all().into_iter().map(|peer| peer.daemon_id);
        let snapshots: BTreeMap<_, _> =
            peers.filter_map(|peer| Some((peer, self.hub.snapshot(peer)?))).collect();
        self.shared.progress.send_if_modified(|all| {
            let before = all.len();
            all.retain(|peer, _| snapshots.contains_key(peer));
            let mut is_new = all.len() != before;
            for (peer, snapshot) in &snapshots {
                is_new |= progress::note(all, *peer, snapshot, elapsed);
            }
            is_new
        });
    }

    async fn input(&mut self, input: Input) {
        // First, whatever woke the driver: no request must go over a connection from before a sleep.
        if self.sleep.woke(self.begun.elapsed()) {
            self.shared.client.keep_connections(|_| false);
            self.handle(Input::SyncNow(None)).await;
        }
        self.handle(input).await;
    }

    async fn handle(&mut self, input: Input) {
        let about = match &input {
            Input::PullFinished { peer, .. }
            | Input::NotifyFinished { peer, .. }
            | Input::Checked { peer, .. }
            | Input::NotificationRefused { peer, .. }
            | Input::PageServed { peer, .. }
            | Input::RequestReceived(peer)
            | Input::RemovedByPeer(peer) => Some(*peer),
            _ => None,
        };
        let syncs = match &input {
            Input::PullFinished { peer, .. } | Input::Synced { peer, .. } => Some(*peer),
            _ => None,
        };
        let now = self.now();
        let published = input.peer();
        // That our log has grown is told to who follows it.
        let concerns_all = matches!(
            input,
            Input::Enable(_) | Input::Peers(_) | Input::NetworkChanged | Input::SyncNow(None)
        );
        for (number, action) in self.hub.handle(now, input).into_iter().enumerate() {
            if number > 0 && number % ACTIONS_AT_ONCE == 0 {
                tokio::task::yield_now().await;
            }
            self.act(action);
        }
        if let Some(peer) = syncs
            && self.hub.snapshot(peer).is_some_and(|link| link.last_sync == Some(now))
        {
            self.shared.traffic(peer, |traffic| traffic.last_sync = Some(clock::now()));
        }
        match published {
            Some(peer) => self.publish(peer),
            None if concerns_all => self.publish_all(),
            None => {}
        }
        if let Some((peer, snapshot)) = about.and_then(|id| Some((id, self.hub.snapshot(id)?))) {
            self.shared.peer_states.send_if_modified(|states| {
                states.insert(peer, snapshot.state) != Some(snapshot.state)
            });
            self.log_state_change(peer, snapshot);
        }
    }

    /// Logs one line when a peer's state is another one than the log says.
    fn log_state_change(&mut self, id: DaemonId, snapshot: LinkSnapshot) {
        let old = self.logged.get(&id).copied();
        if old == Some(snapshot.state) {
            return;
        }
        let name = || self.name(id);
        let line = state_line(id, &name, old, snapshot.state, snapshot.last_failure.as_ref());
        // A line that is left out comes with a later input, if the state is still another one then.
        if line.is_some() && !self.state_lines.allows(id) {
            return;
        }
        self.logged.insert(id, snapshot.state);
        let Some((message_id, line)) = line else { return };
        let name = self.name(id);
        if snapshot.state == PeerState::RemovedUs {
            tracing::warn!(about = %id, journal.message_id = message_id, journal.peer = name, "{line}");
        } else {
            tracing::info!(about = %id, journal.message_id = message_id, journal.peer = name, "{line}");
        }
    }

    fn name(&self, id: DaemonId) -> String {
        let peer = self.shared.registry.get(id);
        peer.map_or_else(|| id.to_string(), |peer| self.shared.name_of(&peer))
    }

    fn act(&self, action: Action) {
        let shared = Arc::clone(&self.shared);
        match action {
            Action::Pull { peer, operation, reason } => self.spawn(async move {
                if reason == PullReason::Probe {
                    // What is known of its other connections is older.
                    shared.client.keep_connections(|it| *it != peer);
                }
                let result = pull::pull(&shared, peer, reason).await;
                if reason == PullReason::Startup && matches!(result, PullResult::Done { .. }) {
                    // Nothing waits for it.
                    let asking = Arc::clone(&shared);
                    shared.spawn(async move { pull::fetch_peer_info(&asking, peer).await });
                }
                Some(Input::PullFinished { peer, operation, result })
            }),
            Action::Notify { peer, operation, wanted } => {
                let timing = self.timing;
                self.spawn(async move {
                    let result = notify::notify(&shared, peer, wanted, &timing).await;
                    Some(Input::NotifyFinished { peer, operation, result })
                });
            }
            Action::ResetCheckpoint { peer, operation } => self.spawn(async move {
                if let Err(error) = shared.log.reset_checkpoint(peer).await {
                    tracing::warn!(about = %peer, "can't reset the checkpoint for {peer}: {}", chain(&error));
                }
                Some(Input::CheckpointReset { peer, operation })
            }),
            Action::MarkRemoved { peer, removed } => {
                self.with_token(peer, move |token| async move {
                    shared.pairings.mark_removed(peer, token, removed).await;
                })
            }
            Action::ConfirmPairing(peer) => self.with_token(peer, move |token| async move {
                let _lock = shared.pairings.join_lock().await;
                shared.pairings.confirm(peer, token).await;
            }),
            Action::DropPairing(peer) => self.with_token(peer, move |token| async move {
                let _lock = shared.pairings.join_lock().await;
                tracing::warn!(about = %peer, "[pairing] {peer} does not accept our token: it was never paired");
                shared.pairings.undo(peer, token).await;
            }),
        }
    }

    /// Acts on the token that the hub knows, which the registry may have replaced meanwhile.
    fn with_token<F>(&self, peer: DaemonId, work: impl FnOnce(Token) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Some(token) = self.tokens.token(peer) else { return };
        let work = work(token);
        self.spawn(async move {
            work.await;
            None
        });
    }

    fn spawn(&self, work: impl Future<Output = Option<Input>> + Send + 'static) {
        let shared = Arc::clone(&self.shared);
        // On the heap, so that it is not moved again and again on its way into the task.
        let work = Box::pin(work);
        self.shared.spawn(async move {
            if let Some(input) = work.await {
                shared.post(Message::Input(input)).await;
            }
        });
    }
}
