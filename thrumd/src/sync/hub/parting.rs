//! The end of this daemon: whoever has not said that it holds our whole log is asked until it does.

use thrum_api::Sequence;

use super::link::Link;
use super::{Around, Moment};

/// How far the parting from a peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parting {
    /// It said that it holds our log to its end.
    Done,
    /// It was asked, or is about to be, and has not answered.
    Asked,
    /// It answers, and lacks something: it is reading our log.
    Reading,
    /// It can't be asked now.
    Away,
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
        self.tell_at = Some(Moment::default());
    }

    /// A peer that still reads our log is asked again, until it holds everything.
    pub(super) fn asked_at_the_end(&mut self, around: &Around<'_>) {
        if self.parting {
            self.answered_since = true;
            self.reading_until = None;
            self.tell_at = Some(around.now.after(around.rules.parting_every));
        }
    }

    pub(super) fn parting(&self, on: bool, head: Sequence) -> Parting {
        let failed = self.line.failures() + self.tell_faults.failures() > 0;
        if head <= self.said {
            Parting::Done
        } else if !on || failed || self.refused.is_some() || self.facts.removed_us {
            Parting::Away
        } else if self.answered_since {
            Parting::Reading
        } else {
            Parting::Asked
        }
    }
}
