//! When to notify a peer of our news: one notification at a time.

use thrum_api::{Place, Sequence};

use super::context::Context;
use super::failure::{Failure, FailureKind};
use super::messages::{Action, OperationId};
use super::position::PeerPosition;
use super::reachability::Reachability;
use super::time::MonotonicTime;
use crate::backoff::Failures;

/// The notification that is under way.
#[derive(Debug)]
struct InFlight {
    operation: OperationId,
    /// The peer came for a page since it was sent.
    page_served: bool,
}

/// Before this daemon exits, the peer is asked until it has confirmed our whole log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Draining {
    No,
    /// It has not answered since.
    Waiting,
    /// It has answered a notification since.
    Answered,
}

#[derive(Debug)]
pub(super) struct NotifyState {
    in_flight: Option<InFlight>,
    /// Our log grew, and it was not examined yet whether that news may wait.
    needs_check: bool,
    /// News that was examined may wait until then.
    deferred_until: Option<MonotonicTime>,
    /// News up to here was examined.
    examined: Place,
    /// The peer was told that our log goes to here.
    announced: Sequence,
    /// The last notification was not answered: the next carries no events, which may have been too much
    /// for the line.
    without_events: bool,
    /// Notifications that were answered, but badly, or that our own log failed.
    failures: Failures<MonotonicTime>,
    last_failure: Option<Failure>,
    draining: Draining,
}

impl NotifyState {
    pub(super) fn new() -> Self {
        Self {
            in_flight: None,
            needs_check: true,
            deferred_until: None,
            examined: Place::START,
            announced: Sequence::ZERO,
            without_events: false,
            failures: Failures::default(),
            last_failure: None,
            draining: Draining::No,
        }
    }

    /// There may be news.
    pub(super) fn check(&mut self) {
        self.needs_check = true;
    }

    /// Whether our log goes further than what the peer was sent or told. Before exit only what it has
    /// confirmed counts.
    fn has_news(&self, head: Sequence, position: &PeerPosition) -> bool {
        head > match self.draining {
            Draining::No => self.announced.max(position.sent().sequence),
            Draining::Waiting | Draining::Answered => position.confirmed(),
        }
    }

    /// When the peer is to be notified, or our news to be examined.
    pub(super) fn due(
        &self,
        head: Sequence,
        position: &PeerPosition,
        reachability: &Reachability,
    ) -> Option<MonotonicTime> {
        // A peer that was not reached is tried by a pull first: one connection attempt, not two.
        let silent = self.in_flight.is_some() || reachability.is_unreachable();
        if silent || !self.has_news(head, position) {
            return None;
        }
        let wish = if self.needs_check { MonotonicTime::default() } else { self.deferred_until? };
        let reading = position.reading_until().filter(|_| self.draining == Draining::No);
        let gates = [self.failures.until(), reachability.retry_at(), reading];
        Some(gates.into_iter().flatten().fold(wish, MonotonicTime::max))
    }

    pub(super) fn start(&mut self, position: &PeerPosition, context: &mut Context<'_>) {
        let due = self.deferred_until.take_if(|at| *at <= context.now).is_some();
        self.needs_check = false;
        let (peer, operation) = (context.peer, context.operation());
        self.in_flight = Some(InFlight { operation, page_served: false });
        let sent = position.sent();
        let examined = if self.examined.sequence > sent.sequence { self.examined } else { sent };
        let include_events = position.is_certain() && !self.without_events;
        context.actions.push(Action::Notify {
            peer,
            operation,
            examined,
            sent,
            include_events,
            due,
        });
    }

    pub(super) fn page_served(&mut self) {
        if let Some(in_flight) = &mut self.in_flight {
            in_flight.page_served = true;
        }
    }

    /// A notification ended. If it is the one that we wait for: whether a page was served meanwhile.
    pub(super) fn finish(&mut self, operation: OperationId) -> Option<bool> {
        let ours = self.in_flight.take_if(|in_flight| in_flight.operation == operation);
        ours.map(|in_flight| in_flight.page_served)
    }

    /// The result of a notification that is under way doesn't matter any more.
    pub(super) fn cancel(&mut self) {
        self.in_flight = None;
    }

    pub(super) fn answered(&mut self, latest: Place, context: &Context<'_>) {
        self.failures.clear();
        self.last_failure = None;
        self.without_events = false;
        self.announced = latest.sequence;
        self.examined = latest;
        // Deferred news went along.
        self.deferred_until = None;
        if self.draining != Draining::No {
            self.draining = Draining::Answered;
            self.deferred_until = Some(context.now + context.timing.drain_interval);
        }
    }

    pub(super) fn deferred(&mut self, until: MonotonicTime, examined: Place) {
        self.examined = examined;
        self.deferred_until = Some(self.deferred_until.map_or(until, |at| at.min(until)));
    }

    /// A failure that holds up notifications alone.
    pub(super) fn failed(&mut self, failure: &Failure, context: &mut Context<'_>) {
        self.last_failure = Some(failure.clone());
        context.record(&mut self.failures, failure.kind);
    }

    /// The notification did not arrive, or its answer did not.
    pub(super) fn not_delivered(&mut self, kind: FailureKind) {
        self.needs_check = true;
        self.without_events |= kind == FailureKind::Unreachable;
    }

    /// A person asks for it: whatever the peer was not sent is announced again.
    pub(super) fn notify_now(&mut self, position: &PeerPosition, now: MonotonicTime) {
        self.failures.clear();
        self.announced = position.sent().sequence;
        self.deferred_until = Some(now);
    }

    /// This daemon is about to exit. Answers whether that is new.
    pub(super) fn drain(&mut self) -> bool {
        let begins = self.draining == Draining::No;
        if begins {
            self.draining = Draining::Waiting;
            self.failures.clear();
            self.deferred_until = Some(MonotonicTime::default());
        }
        begins
    }

    pub(super) fn draining(&self) -> Draining {
        self.draining
    }

    /// Failures in a row, whether or not there is news.
    pub(super) fn failures(&self) -> u32 {
        self.failures.count()
    }

    /// Failures in a row, and the last one, while there is news.
    pub(super) fn failing(
        &self,
        head: Sequence,
        position: &PeerPosition,
    ) -> Option<(u32, Option<&Failure>)> {
        let failing = self.failures.count() > 0 && self.has_news(head, position);
        failing.then(|| (self.failures.count(), self.last_failure.as_ref()))
    }
}
