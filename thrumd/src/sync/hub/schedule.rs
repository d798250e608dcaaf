//! When a link does what it wants to do.

use thrum_api::{DaemonId, Place, Sequence};

use super::context::Context;
use super::failure::Failure;
use super::link::Link;
use super::messages::Action;
use super::time::MonotonicTime;

impl Link {
    /// When the wanted pull can start.
    fn pull_due(&self) -> Option<MonotonicTime> {
        if self.pulling.is_some() || self.forgetting.is_some() {
            return None;
        }
        let gates = [self.line.until(), self.pull_faults.until(), self.refused];
        Some(gates.into_iter().flatten().fold(self.pull_at?, MonotonicTime::max))
    }

    /// Whether our log goes further than what the peer was told or given.
    fn has_news(&self, head: Sequence) -> bool {
        head > if self.parting { self.said } else { self.told.max(self.held.sequence) }
    }

    /// Failures of pulls, or to reach it.
    fn pull_failures(&self) -> u32 {
        self.line.count() + self.pull_faults.count()
    }

    /// Failures of notifications, while there is something to tell.
    fn tell_failures(&self, head: Sequence) -> u32 {
        if self.has_news(head) { self.tell_faults.count() } else { 0 }
    }

    pub(super) fn failures(&self, head: Sequence) -> u32 {
        self.pull_failures() + self.tell_failures(head)
    }

    /// What the failures are of.
    pub(super) fn failure(&self, head: Sequence) -> Option<&Failure> {
        let telling = self.pull_failures() == 0 && self.tell_failures(head) > 0;
        if telling { self.tell_failure.as_ref() } else { self.last_failure.as_ref() }
    }

    /// When the peer is to be told, or our news looked at.
    fn tell_due(&self, head: Sequence) -> Option<MonotonicTime> {
        // After a failure the pull tries the line first: one dial, not two.
        let silent = self.telling.is_some() || self.line.count() > 0;
        if silent || !self.has_news(head) {
            return None;
        }
        let wish = if self.unlooked { MonotonicTime::default() } else { self.tell_at? };
        let reading = self.reading_until.filter(|_| !self.parting);
        let gates = [self.tell_faults.until(), self.refused, reading];
        Some(gates.into_iter().flatten().fold(wish, MonotonicTime::max))
    }

    pub(super) fn next_wake(&self, head: Sequence) -> Option<MonotonicTime> {
        self.pull_due().into_iter().chain(self.tell_due(head)).min()
    }

    /// The next try, while something stands against it.
    pub(super) fn next_try(&self, head: Sequence) -> Option<MonotonicTime> {
        let pull = self.pull_failures() > 0 || self.refused.is_some();
        let pull = pull.then(|| self.pull_due()).flatten();
        let tell = (self.tell_failures(head) > 0).then(|| self.tell_due(head)).flatten();
        pull.into_iter().chain(tell).min()
    }

    /// Starts what is wanted and not held up.
    pub(super) fn step(&mut self, me: DaemonId, context: &mut Context<'_>, out: &mut Vec<Action>) {
        if context.enabled {
            if self.pull_due().is_some_and(|due| due <= context.now) {
                let operation = context.operation();
                self.pulling = Some(operation);
                self.pull_at = None;
                out.push(Action::Pull { peer: me, operation, reason: self.reason });
            }
            if self.tell_due(context.head).is_some_and(|due| due <= context.now) {
                self.tell(me, context, out);
            }
        }
        let state = self.state_now(context.enabled, context.head);
        if state != self.state {
            self.state = state;
            self.since = context.now;
        }
    }

    fn tell(&mut self, me: DaemonId, context: &mut Context<'_>, out: &mut Vec<Action>) {
        let due = self.tell_at.is_some_and(|at| at <= context.now);
        if due {
            self.tell_at = None;
        }
        self.unlooked = false;
        let operation = context.operation();
        self.telling = Some(operation);
        self.served_meanwhile = false;
        let sent = self.held;
        let examined = if self.seen.sequence > sent.sequence { self.seen } else { sent };
        // A peer of which we don't know what it holds may be pulling the same events just now.
        let known = self.held_known && (sent == Place::START || sent.event_id.is_some());
        let include_events = known && !self.bare;
        out.push(Action::Notify { peer: me, operation, examined, sent, include_events, due });
    }
}
