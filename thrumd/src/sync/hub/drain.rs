//! The end of this daemon: whoever has not said that it holds our whole log is asked until it does.

use thrum_api::Sequence;

use super::context::Context;
use super::link::Link;
use super::time::MonotonicTime;

/// How far the parting from a peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrainState {
    /// It said that it holds our log to its end.
    Confirmed,
    /// It was asked, or is about to be, and has not answered.
    Waiting,
    /// It answers, and lacks something: it is reading our log.
    Reading,
    /// It can't be asked now.
    Unreachable,
}

impl Link {
    pub(super) fn part(&mut self) {
        if std::mem::replace(&mut self.parting, true) {
            return;
        }
        // One last try, whatever was in the way.
        self.line.clear();
        self.tell_faults.clear();
        self.reading_until = None;
        self.tell_at = Some(MonotonicTime::default());
    }

    /// A peer that still reads our log is asked again, until it holds everything.
    pub(super) fn asked_at_the_end(&mut self, context: &Context<'_>) {
        if self.parting {
            self.answered_since = true;
            self.reading_until = None;
            self.tell_at = Some(context.now + context.timing.drain_interval);
        }
    }

    pub(super) fn parting(&self, on: bool, head: Sequence) -> DrainState {
        let failed = self.line.count() + self.tell_faults.count() > 0;
        if head <= self.said {
            DrainState::Confirmed
        } else if !on || failed || self.refused.is_some() || self.facts.removed_us {
            DrainState::Unreachable
        } else if self.answered_since {
            DrainState::Reading
        } else {
            DrainState::Waiting
        }
    }
}
