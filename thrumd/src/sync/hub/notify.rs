//! When to notify a peer of our news: one notification at a time.

use thrum_api::{LogPosition, Sequence};

use super::context::Context;
use super::failure::{Failure, FailureKind};
use super::messages::{Action, NotifyRequest, OperationId};
use super::position::PeerPosition;
use super::reachability::Reachability;
use super::time::MonotonicTime;
use crate::backoff::Failures;

/// The notification that is under way.
#[derive(Debug)]
struct InFlight {
    operation: OperationId,
    /// A page was served to the peer since the notification was sent.
    page_served: bool,
}

/// Before this daemon exits, the peer is asked until it has confirmed our whole log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Draining {
    No,
    /// The peer has not answered since.
    Waiting,
    /// The peer has answered a notification since.
    Answered,
}

#[derive(Debug)]
pub(super) struct NotifyState {
    in_flight: Option<InFlight>,
    /// Our log was examined up to here: whether what is new there may wait.
    checked: Sequence,
    /// News that was examined may wait until then.
    deferred_until: Option<MonotonicTime>,
    /// News up to here was examined.
    examined: LogPosition,
    /// The end of our log that was announced to the peer.
    announced: Sequence,
    /// The last notification was not answered. The next carries no events, which may have been too large
    /// for the connection.
    without_events: bool,
    /// The peer pulled events that we relay, so that nobody else is quicker. No longer if it holds some already that a
    /// notification brings.
    takes_relayed: bool,
    /// Failures of notifications alone: bad answers, and failures of our own log.
    failures: Failures<MonotonicTime>,
    last_failure: Option<Failure>,
    /// The peer is asked what it holds, although it was sent everything.
    confirming: bool,
    draining: Draining,
}

impl NotifyState {
    pub(super) fn new() -> Self {
        Self {
            in_flight: None,
            checked: Sequence::ZERO,
            deferred_until: None,
            examined: LogPosition::START,
            announced: Sequence::ZERO,
            without_events: false,
            takes_relayed: false,
            failures: Failures::default(),
            last_failure: None,
            confirming: false,
            draining: Draining::No,
        }
    }

    /// Records that there may be news.
    pub(super) fn check(&mut self) {
        self.checked = Sequence::ZERO;
    }

    /// Whether the peer is not to be notified now, whatever our log has.
    pub(super) fn is_silent(&self, reachability: &Reachability) -> bool {
        // A peer that was not reached is tried by a pull first: one connection attempt, not two.
        self.in_flight.is_some() || reachability.is_unreachable()
    }

    /// Whether our log goes beyond what the peer was sent or notified of. Before exit, and while somebody waits for
    /// that, only what it has confirmed counts.
    fn has_news(&self, head: Sequence, position: &PeerPosition) -> bool {
        head > match self.draining {
            Draining::No if !self.confirming => self.announced.max(position.sent().sequence),
            _ => position.confirmed(),
        }
    }

    /// When to notify the peer or to examine our news.
    pub(super) fn due(
        &self,
        head: Sequence,
        position: &PeerPosition,
        reachability: &Reachability,
    ) -> Option<MonotonicTime> {
        if self.is_silent(reachability) || !self.has_news(head, position) {
            return None;
        }
        let grew = head > self.checked;
        let wish = if grew { MonotonicTime::default() } else { self.deferred_until? };
        let reading = position.reading_until().filter(|_| self.draining == Draining::No);
        let gates = [self.failures.until(), reachability.retry_at(), reading];
        Some(gates.into_iter().flatten().fold(wish, MonotonicTime::max))
    }

    pub(super) fn start(&mut self, position: &PeerPosition, context: &mut Context<'_>) {
        let due = self.deferred_until.take_if(|at| *at <= context.now).is_some();
        self.checked = context.head;
        let (peer, operation) = (context.peer, context.operation());
        self.in_flight = Some(InFlight { operation, page_served: false });
        let sent = position.sent();
        let examined = if self.examined.sequence > sent.sequence { self.examined } else { sent };
        let include_events = position.is_certain() && !self.without_events;
        let include_relayed = include_events && self.takes_relayed;
        let wanted = NotifyRequest { examined, sent, include_events, include_relayed, due };
        context.actions.push(Action::Notify { peer, operation, wanted });
    }

    pub(super) fn page_served(&mut self, relayed: bool) {
        self.takes_relayed |= relayed;
        if let Some(in_flight) = &mut self.in_flight {
            in_flight.page_served = true;
        }
    }

    /// Ends the current notification; returns whether a page was served meanwhile. None for another
    /// operation.
    pub(super) fn finish(&mut self, operation: OperationId) -> Option<bool> {
        let ours = self.in_flight.take_if(|in_flight| in_flight.operation == operation);
        ours.map(|in_flight| in_flight.page_served)
    }

    /// Ignores the result of the notification in flight.
    pub(super) fn cancel(&mut self) {
        self.in_flight = None;
    }

    pub(super) fn answered(&mut self, latest: LogPosition, known: u64, context: &Context<'_>) {
        self.takes_relayed &= known == 0;
        self.failures.clear();
        self.last_failure = None;
        self.without_events = false;
        self.confirming = false;
        self.announced = latest.sequence;
        self.examined = latest;
        // The notification included the deferred news.
        self.deferred_until = None;
        if self.draining != Draining::No {
            self.draining = Draining::Answered;
            self.deferred_until = Some(context.now + context.timing.drain_interval);
        }
    }

    pub(super) fn deferred(&mut self, until: MonotonicTime, examined: LogPosition) {
        self.examined = examined;
        self.deferred_until = Some(self.deferred_until.map_or(until, |at| at.min(until)));
    }

    /// A failure that holds up notifications alone.
    pub(super) fn failed(&mut self, failure: &Failure, context: &mut Context<'_>) {
        self.last_failure = Some(failure.clone());
        context.record(&mut self.failures, failure.kind);
    }

    /// The notification or its answer was lost.
    pub(super) fn not_delivered(&mut self, kind: FailureKind) {
        self.check();
        self.without_events |= kind == FailureKind::Unreachable;
    }

    /// Announces again everything that the peer was not sent, because a person asked for it.
    pub(super) fn notify_now(&mut self, position: &PeerPosition, now: MonotonicTime) {
        self.failures.clear();
        self.announced = position.sent().sequence;
        self.deferred_until = Some(now);
    }

    /// Asks the peer what it holds, if it was sent our whole log and has not said that it has it. Otherwise the next
    /// notification tells anyway.
    pub(super) fn confirm(&mut self, head: Sequence, position: &PeerPosition) {
        let sent_all = position.known_sent().is_some_and(|sent| sent >= head);
        if sent_all && head > position.confirmed() {
            self.confirming = true;
            self.deferred_until = Some(MonotonicTime::default());
        }
    }

    /// Begins the drain. Returns whether it was not running yet.
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
