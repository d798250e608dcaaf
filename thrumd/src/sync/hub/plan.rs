//! When a link does what it wants to do.

use thrum_api::{DaemonId, Place, Sequence};

use super::link::Link;
use super::{Action, Around, Moment};

impl Link {
    /// When the wanted pull can start.
    fn pull_due(&self) -> Option<Moment> {
        if self.pulling.is_some() || self.forgetting.is_some() {
            return None;
        }
        let gates = [self.line.until(), self.pull_faults.until(), self.refused];
        Some(gates.into_iter().flatten().fold(self.pull_at?, Moment::max))
    }

    /// When the peer is to be told, or our news looked at.
    fn tell_due(&self, head: Sequence) -> Option<Moment> {
        // After a failure the pull tries the line first: one dial, not two.
        let silent = self.telling.is_some() || self.line.failures() > 0;
        let known = if self.parting { self.said } else { self.told.max(self.held.sequence) };
        if silent || head <= known {
            return None;
        }
        let wish = if self.unlooked { Moment::default() } else { self.tell_at? };
        let reading = self.reading_until.filter(|_| !self.parting);
        let gates = [self.tell_faults.until(), self.refused, reading];
        Some(gates.into_iter().flatten().fold(wish, Moment::max))
    }

    pub(super) fn next_wake(&self, head: Sequence) -> Option<Moment> {
        self.pull_due().into_iter().chain(self.tell_due(head)).min()
    }

    /// The next try, while something stands against it.
    pub(super) fn next_try(&self) -> Option<Moment> {
        let failing = self.line.failures() + self.pull_faults.failures() > 0;
        (failing || self.refused.is_some()).then(|| self.pull_due()).flatten()
    }

    /// Starts what is wanted and not held up.
    pub(super) fn step(&mut self, me: DaemonId, around: &mut Around<'_>, out: &mut Vec<Action>) {
        if around.on {
            if self.pull_due().is_some_and(|due| due <= around.now) {
                let ticket = around.ticket();
                self.pulling = Some(ticket);
                self.pull_at = None;
                out.push(Action::Pull { peer: me, ticket, why: self.why });
            }
            if self.tell_due(around.head).is_some_and(|due| due <= around.now) {
                self.tell(me, around, out);
            }
        }
        let state = self.state_now(around.on, around.head);
        if state != self.state {
            self.state = state;
            self.since = around.now;
        }
    }

    fn tell(&mut self, me: DaemonId, around: &mut Around<'_>, out: &mut Vec<Action>) {
        let due = self.tell_at.is_some_and(|at| at <= around.now);
        if due {
            self.tell_at = None;
        }
        self.unlooked = false;
        let ticket = around.ticket();
        self.telling = Some(ticket);
        self.served_meanwhile = false;
        let held = self.held;
        let unseen = if self.seen.sequence > held.sequence { self.seen } else { held };
        // A peer of which we don't know what it holds may be pulling the same events just now.
        let window = self.held_known && (held == Place::START || held.event_id.is_some());
        out.push(Action::Tell { peer: me, ticket, unseen, held, window, due });
    }
}
