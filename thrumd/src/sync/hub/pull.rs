//! When to pull from a peer: one pull at a time, and one more if news came meanwhile.

use std::time::Duration;

use thrum_api::{DaemonId, Sequence};

use super::context::Context;
use super::failure::{Failure, FailureKind};
use super::messages::{Action, OperationId, PullReason};
use super::time::MonotonicTime;
use crate::backoff::Failures;

#[derive(Debug, PartialEq, Eq)]
enum Activity {
    Idle,
    Pulling(OperationId),
    ResettingCheckpoint(OperationId),
}

/// A pull that is wanted. While one is running: one more afterwards.
#[derive(Debug)]
struct Wanted {
    at: MonotonicTime,
    reason: PullReason,
}

#[derive(Debug)]
pub(super) struct PullState {
    activity: Activity,
    wanted: Option<Wanted>,
    /// Failures of pulls alone: bad answers, and failures of our own log.
    failures: Failures<MonotonicTime>,
    /// Why the last pull failed, or why the peer was not reached.
    pub(super) last_failure: Option<Failure>,
    /// The peer's log does not match our checkpoint, and was not pulled to its end since.
    pub(super) log_changed: bool,
    /// The end of the peer's log.
    peer_head: Option<Sequence>,
    checkpoint: Option<Sequence>,
    /// When the peer's log was last pulled to its end.
    pub(super) last_sync: Option<MonotonicTime>,
    /// How far the pulls that notifications asked for have used up what they may, at one per interval.
    notified_until: MonotonicTime,
}

impl PullState {
    pub(super) fn new(now: MonotonicTime) -> Self {
        Self {
            activity: Activity::Idle,
            wanted: Some(Wanted { at: now, reason: PullReason::Startup }),
            failures: Failures::default(),
            last_failure: None,
            log_changed: false,
            peer_head: None,
            checkpoint: None,
            last_sync: None,
            notified_until: MonotonicTime::default(),
        }
    }

    /// A pull is wanted from this time on.
    pub(super) fn want(&mut self, at: MonotonicTime, reason: PullReason) {
        if self.wanted.as_ref().is_none_or(|old| at < old.at) {
            self.wanted = Some(Wanted { at, reason });
        }
    }

    /// When the wanted pull can start. `retry_at`: the peer is left alone until then.
    pub(super) fn due(&self, retry_at: Option<MonotonicTime>) -> Option<MonotonicTime> {
        if self.activity != Activity::Idle {
            return None;
        }
        let gates = [self.failures.until(), retry_at];
        Some(gates.into_iter().flatten().fold(self.wanted.as_ref()?.at, MonotonicTime::max))
    }

    /// Starts the wanted pull, and returns why it is made.
    pub(super) fn start(&mut self, context: &mut Context<'_>) -> Option<PullReason> {
        let Wanted { reason, .. } = self.wanted.take()?;
        if reason == PullReason::Notified {
            self.notified_until =
                self.notified_until.max(context.now) + context.timing.notified_interval;
        }
        let (peer, operation) = (context.peer, context.operation());
        self.activity = Activity::Pulling(operation);
        context.actions.push(Action::Pull { peer, operation, reason });
        Some(reason)
    }

    /// Ends the current pull; returns false for another operation.
    pub(super) fn finish(&mut self, operation: OperationId) -> bool {
        let ours = self.activity == Activity::Pulling(operation);
        if ours {
            self.activity = Activity::Idle;
        }
        ours
    }

    /// Ignores the result of the pull in flight.
    pub(super) fn cancel(&mut self) {
        if let Activity::Pulling(_) = self.activity {
            self.activity = Activity::Idle;
        }
    }

    /// A pull went to the end of the peer's log. Returns whether it brought anything.
    pub(super) fn succeeded(
        &mut self,
        checkpoint: Sequence,
        head: Sequence,
        now: MonotonicTime,
    ) -> bool {
        self.failures.clear();
        self.log_changed = false;
        self.last_failure = None;
        let moved = self.checkpoint != Some(checkpoint);
        self.synced(checkpoint, head, now);
        moved
    }

    /// A failure that holds up pulls alone.
    pub(super) fn failed(&mut self, kind: FailureKind, context: &mut Context<'_>) {
        context.record(&mut self.failures, kind);
    }

    pub(super) fn reset_checkpoint(&mut self, context: &mut Context<'_>) {
        (self.checkpoint, self.peer_head) = (Some(Sequence::ZERO), None);
        let (peer, operation) = (context.peer, context.operation());
        self.activity = Activity::ResettingCheckpoint(operation);
        context.actions.push(Action::ResetCheckpoint { peer, operation });
    }

    pub(super) fn checkpoint_reset(&mut self, operation: OperationId, now: MonotonicTime) {
        if self.activity == Activity::ResettingCheckpoint(operation) {
            self.activity = Activity::Idle;
            self.want(now, PullReason::Retry);
        }
    }

    fn synced(&mut self, checkpoint: Sequence, head: Sequence, now: MonotonicTime) {
        self.checkpoint = Some(checkpoint);
        self.peer_head = Some(head);
        self.last_sync = Some(now);
    }

    /// A notification brought everything.
    pub(super) fn synced_by_notification(&mut self, latest: Sequence, now: MonotonicTime) {
        self.synced(latest, latest, now);
        // The pull that an earlier notification asked for would bring nothing. After a failed one it has to
        // show that pulls work again.
        let notified = |wanted: &mut Wanted| wanted.reason == PullReason::Notified;
        if !matches!(self.activity, Activity::Pulling(_)) && self.failures.count() == 0 {
            self.wanted.take_if(notified);
        }
    }

    /// A notification did not bring everything. If others created what is missing and can be reached, they
    /// get a moment to notify us themselves. A notification costs the peer next to nothing, so that the pulls that
    /// it can cause have a rate.
    pub(super) fn needed(
        &mut self,
        latest: Sequence,
        creators: &[DaemonId],
        context: &Context<'_>,
    ) {
        self.peer_head = Some(latest);
        let others = !creators.is_empty()
            && creators.iter().all(|it| *it != context.peer && context.connected.contains(it));
        let wait = if others { context.timing.triangle_wait } else { Duration::ZERO };
        let burst = context.timing.notified_interval * (context.timing.notified_burst - 1);
        let earliest = self.notified_until.before(burst);
        self.want(earliest.max(context.now + wait), PullReason::Notified);
    }

    fn is_stale(&self, context: &Context<'_>) -> bool {
        self.last_sync.is_none_or(|at| context.now.since(at) >= context.timing.cadence.recent)
    }

    pub(super) fn periodic(&mut self, context: &Context<'_>) {
        if self.is_stale(context) && !matches!(self.activity, Activity::Pulling(_)) {
            self.want(context.now, PullReason::Periodic);
        }
    }

    pub(super) fn end_backoff(&mut self) {
        self.failures.clear();
    }

    pub(super) fn failures(&self) -> u32 {
        self.failures.count()
    }

    /// How many events of the peer's log we lack.
    pub(super) fn lacking(&self) -> Option<u64> {
        self.peer_head.zip(self.checkpoint).map(|(head, at)| head.0.saturating_sub(at.0))
    }
}
