//! Origins that the hostile machine makes up. Whatever is here is validly signed with its key.

use std::sync::Arc;

use tests::harness::{Origin as Writer, Written};
use thrum_api::peer::Run;
use thrum_api::{Epoch, Origin};
use thrumd::keys::SecretKey;
use ulid::Ulid;

use crate::log::{Ids, event_text};

/// As many events as one of them has at most, so that no position has more histories than are kept.
const EVENTS_MAX: usize = 12;

/// An origin and all that it has written.
#[derive(Clone)]
pub struct Line {
    pub of: Origin,
    writer: Writer,
    events: Vec<Written>,
}

impl Line {
    pub fn new(key: Arc<SecretKey>, ids: &Ids) -> Self {
        let epoch = Epoch::from_ulid(ids.draw());
        let of = Origin { daemon: key.id(), epoch };
        Self { of, writer: Writer::of(key, epoch), events: Vec::new() }
    }

    /// Writes an event with this id, unless there are enough.
    pub fn write(&mut self, id: Ulid) {
        if self.events.len() < EVENTS_MAX {
            let text = event_text(id, &self.of, self.events.len() as u64 + 1);
            self.events.push(self.writer.write(text));
        }
    }

    /// How many events it has.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// A run of the last so many of its events.
    pub fn last(&self, count: usize) -> Run {
        let from = self.events.len().saturating_sub(count.max(1));
        self.writer.run(&self.events[from..])
    }
}

/// Those that go on all day.
#[derive(Default)]
pub struct Lines {
    /// Two histories of one origin.
    pub forked: Option<[Line; 2]>,
    /// One whose first events nobody gets.
    pub headless: Option<Line>,
    /// One whose events have the ids of others.
    pub borrower: Option<Line>,
}

impl Lines {
    pub fn forked(&mut self, key: &Arc<SecretKey>, ids: &Ids) -> &mut [Line; 2] {
        self.forked.get_or_insert_with(|| {
            let mut line = Line::new(Arc::clone(key), ids);
            line.write(ids.draw());
            [line.clone(), line]
        })
    }

    pub fn headless(&mut self, key: &Arc<SecretKey>, ids: &Ids) -> &mut Line {
        self.headless.get_or_insert_with(|| {
            let mut line = Line::new(Arc::clone(key), ids);
            line.write(ids.draw());
            line.write(ids.draw());
            line
        })
    }

    pub fn borrower(&mut self, key: &Arc<SecretKey>, ids: &Ids) -> &mut Line {
        self.borrower.get_or_insert_with(|| Line::new(Arc::clone(key), ids))
    }
}
