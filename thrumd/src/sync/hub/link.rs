//! The link to one peer: routes inputs to the parts of its state and combines their results.

use thrum_api::Sequence;
use thrum_api::local::PeerState;

use super::context::Context;
use super::failure::{Failure, FailureKind};
use super::messages::{Input, NotifyResult, PairingState, PullReason, PullResult};
use super::notify::{Draining, NotifyState};
use super::position::PeerPosition;
use super::pull::PullState;
use super::reachability::Reachability;
use super::schedule::Waiting;
use super::snapshot::{DrainState, LinkSnapshot};
use super::time::MonotonicTime;

#[derive(Debug)]
pub(super) struct Link {
    reachability: Reachability,
    pull: PullState,
    notify: NotifyState,
    /// How far the peer has come in our log.
    position: PeerPosition,
    state: PeerState,
    since: MonotonicTime,
}

impl Link {
    pub(super) fn new(pairing: PairingState, now: MonotonicTime) -> Self {
        Self {
            reachability: Reachability::new(pairing),
            pull: PullState::new(now),
            notify: NotifyState::new(),
            position: PeerPosition::unknown(),
            state: PeerState::Off,
            since: now,
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.reachability.is_connected()
    }

    /// Processes an input about this peer or about all.
    pub(super) fn handle(&mut self, input: &Input, context: &mut Context<'_>) {
        let now = context.now;
        match input {
            Input::Enable(_) => {
                self.pull.want(now, PullReason::Startup);
                self.notify.check();
            }
            Input::Peers(peers) => {
                let Some(pairing) = peers.get(&context.peer) else { return };
                if pairing.generation != self.reachability.pairing.generation {
                    // Paired again: nothing that is known or under way with the old token counts.
                    *self = Self::new(*pairing, now);
                }
                self.reachability.pairing = *pairing;
            }
            Input::RequestReceived(_) => {
                if self.reachability.request_received(context) {
                    self.pull.want(now, PullReason::Retry);
                    self.notify.check();
                }
            }
            Input::Checked { result: Ok(()), .. } => {
                if !self.reachability.is_connected() {
                    self.reachability.reached();
                    self.pull.want(now, PullReason::Retry);
                    self.notify.check();
                }
            }
            Input::Checked { result: Err(failure), .. } => self.pull_failed(failure, context),
            Input::ConnectionClosed(_) => {
                self.pull.want(self.reachability.next_probe(context), PullReason::Probe);
            }
            Input::NodeChanged(_) => {
                self.reachability.node_changed(context);
                self.pull.want(self.reachability.next_probe(context), PullReason::Probe);
            }
            Input::RemovedByPeer(_) => {
                // Answers in flight were sent before the removal.
                self.pull.cancel();
                self.notify.cancel();
                self.token_refused(context);
            }
            Input::Synced { latest, .. } => {
                self.reachability.exchanged(context);
                self.pull.synced_by_notification(*latest, now);
            }
            Input::PullNeeded { latest, creators, .. } => {
                self.pull.needed(*latest, creators, context);
            }
            Input::NotificationRefused { failure, .. } => {
                // Like a bad page. It says nothing of whether the peer answers and accepts our token.
                self.pull.last_failure = Some(failure.clone());
                self.pull.failed(failure.kind, context);
                self.pull.want(now, PullReason::Retry);
            }
            Input::PageServed { next, more, relayed, .. } => {
                self.position.page_served(*next, *more, context);
                self.notify.page_served(*relayed);
            }
            Input::PullFinished { operation, result, .. } => {
                if self.pull.finish(*operation) {
                    self.pull_finished(result, context);
                }
            }
            Input::CheckpointReset { operation, .. } => {
                self.pull.checkpoint_reset(*operation, now);
            }
            Input::NotifyFinished { operation, result, .. } => {
                if let Some(page_served) = self.notify.finish(*operation) {
                    self.notify_finished(result, page_served, context);
                }
            }
            Input::SyncNow(_) => {
                self.reachability.end_wait();
                self.pull.end_backoff();
                self.pull.want(now, PullReason::Requested);
                self.position.stopped_reading();
                self.notify.notify_now(&self.position, now);
            }
            Input::Confirm(_) => self.notify.confirm(context.head, &self.position),
            Input::Drain => {
                // One last try, whatever failed before.
                if self.notify.drain() {
                    self.reachability.end_backoff();
                }
            }
            Input::NetworkChanged => {
                self.reachability.end_backoff();
                self.pull.want(now, PullReason::Requested);
            }
            Input::Head(_) | Input::Tick => {}
        }
    }

    pub(super) fn periodic(&mut self, context: &Context<'_>) {
        self.pull.periodic(context);
    }

    fn pull_finished(&mut self, result: &PullResult, context: &mut Context<'_>) {
        match result {
            PullResult::Done { checkpoint, head } => {
                let news = self.pull.succeeded(*checkpoint, *head, context.now);
                self.reachability.answered(news, context);
            }
            PullResult::OtherLog => {
                self.reachability.answered(false, context);
                if std::mem::replace(&mut self.pull.log_changed, true) {
                    // Again, before it was pulled to its end: this must not go on without a pause.
                    let text = "its log changed again before it was read to its end".to_owned();
                    self.pull_failed(&Failure::bad_answer(text), context);
                }
                // A peer that lost its log has lost its checkpoint for ours as well.
                self.position.forget();
                self.pull.reset_checkpoint(context);
            }
            PullResult::Failed(failure) => self.pull_failed(failure, context),
        }
    }

    fn pull_failed(&mut self, failure: &Failure, context: &mut Context<'_>) {
        self.pull.last_failure = Some(failure.clone());
        match failure.kind {
            FailureKind::Unreachable => self.reachability.not_reached(context),
            FailureKind::TokenRefused => self.reachability.token_refused(context),
            FailureKind::BadAnswer => {
                self.reachability.reached();
                self.pull.failed(failure.kind, context);
            }
            FailureKind::Local => self.pull.failed(failure.kind, context),
        }
        self.pull.want(context.now, PullReason::Retry);
    }

    fn notify_finished(
        &mut self,
        result: &NotifyResult,
        page_served: bool,
        context: &mut Context<'_>,
    ) {
        match result {
            NotifyResult::Answered { latest, confirmed, known } => {
                self.reachability.answered(true, context);
                self.notify.answered(*latest, *known, context);
                self.position.answered(*latest, *confirmed, page_served);
            }
            NotifyResult::Deferred { delay, examined } => {
                self.notify.deferred(context.now + *delay, *examined);
            }
            NotifyResult::Failed(failure) => {
                self.notify.not_delivered(failure.kind);
                match failure.kind {
                    // Counts like a failed pull.
                    FailureKind::Unreachable | FailureKind::TokenRefused => {
                        self.pull_failed(failure, context);
                    }
                    FailureKind::BadAnswer | FailureKind::Local => {
                        self.notify.failed(failure, context);
                    }
                }
            }
        }
    }

    fn token_refused(&mut self, context: &mut Context<'_>) {
        self.reachability.token_refused(context);
        self.pull.want(context.now, PullReason::Retry);
    }

    fn pull_due(&self) -> Option<MonotonicTime> {
        self.pull.due(self.reachability.retry_at())
    }

    fn notify_due(&self, head: Sequence) -> Option<MonotonicTime> {
        self.notify.due(head, &self.position, &self.reachability)
    }

    /// What it waits for.
    pub(super) fn waiting(&self, head: Sequence) -> Waiting {
        Waiting {
            until: self.pull_due().into_iter().chain(self.notify_due(head)).min(),
            for_news: !self.notify.is_silent(&self.reachability),
        }
    }

    /// Starts what is due.
    pub(super) fn step(&mut self, context: &mut Context<'_>) {
        let is_due = |due: Option<MonotonicTime>, now| due.is_some_and(|due| due <= now);
        if context.enabled {
            if is_due(self.pull_due(), context.now) {
                let reason = self.pull.start(context);
                self.reachability.pulling(reason, context);
            }
            if is_due(self.notify_due(context.head), context.now) {
                self.notify.start(&self.position, context);
            }
        }
        let state = self.state(context.enabled, context.head);
        if state != self.state {
            (self.state, self.since) = (state, context.now);
        }
    }

    /// Failures of pulls, or to reach the peer.
    fn pull_failures(&self) -> u32 {
        self.reachability.failures() + self.pull.failures()
    }

    fn failures(&self, head: Sequence) -> u32 {
        let notify = self.notify.failing(head, &self.position);
        self.pull_failures() + notify.map_or(0, |(failures, _)| failures)
    }

    fn last_failure(&self, head: Sequence) -> Option<&Failure> {
        match self.notify.failing(head, &self.position) {
            Some((_, failure)) if self.pull_failures() == 0 => failure,
            _ => self.pull.last_failure.as_ref(),
        }
    }

    /// When the next attempt is due, while the peer is held up.
    fn next_try(&self, head: Sequence) -> Option<MonotonicTime> {
        let pull = self.pull_failures() > 0 || self.reachability.is_token_refused();
        let pull = pull.then(|| self.pull_due()).flatten();
        let notify = self.notify.failing(head, &self.position).is_some();
        let notify = notify.then(|| self.notify_due(head)).flatten();
        pull.into_iter().chain(notify).min()
    }

    fn state(&self, enabled: bool, head: Sequence) -> PeerState {
        if !enabled {
            PeerState::Off
        } else if self.reachability.has_removed_us() {
            PeerState::RemovedUs
        } else if !self.reachability.ever_reached {
            PeerState::NeverReached
        } else if self.failures(head) > 0 {
            PeerState::BackingOff
        } else if self.pull.log_changed {
            PeerState::LogChanged
        } else if (self.pull.lacking(), self.position.lacking(head)) == (Some(0), Some(0)) {
            PeerState::InSync
        } else {
            PeerState::CatchingUp
        }
    }

    /// Whether the peer gets news now, as far as is known.
    fn is_reachable(&self, enabled: bool) -> bool {
        enabled && self.reachability.is_connected() && !self.reachability.has_removed_us()
    }

    fn drain_state(&self, enabled: bool, head: Sequence) -> DrainState {
        let failing = self.reachability.is_unreachable() || self.notify.failures() > 0;
        if head <= self.position.confirmed() {
            DrainState::Confirmed
        } else if !enabled || failing || self.reachability.has_removed_us() {
            DrainState::Unreachable
        } else if self.notify.draining() == Draining::Answered {
            DrainState::Reading
        } else {
            DrainState::Waiting
        }
    }

    /// `head_since`: when our log last grew. That may change the state of a link that was not stepped.
    pub(super) fn snapshot(
        &self,
        enabled: bool,
        head: Sequence,
        head_since: MonotonicTime,
    ) -> LinkSnapshot {
        let state = self.state(enabled, head);
        LinkSnapshot {
            state,
            since: if state == self.state { self.since } else { head_since },
            last_sync: self.pull.last_sync,
            we_lack: self.pull.lacking(),
            they_lack: self.position.lacking(head),
            sent: self.position.known_sent(),
            confirmed: self.position.confirmed(),
            unreachable: !self.is_reachable(enabled),
            drain: self.drain_state(enabled, head),
            next_try: self.next_try(head).filter(|_| enabled),
            failures: self.failures(head),
            last_failure: self.last_failure(head).cloned(),
        }
    }
}
