//! What the log takes from outside: new ids and the time.

use thrum_api::{Epoch, EventId, Timestamp};

use crate::{clock, ids};

/// New ids and the time. Injected, so that a simulation decides them by its seed.
pub trait Environment: Send {
    /// The id of a new event.
    fn event_id(&mut self) -> EventId;
    /// The epoch of a log that begins now.
    fn epoch(&mut self) -> Epoch;
    /// The wall clock now.
    fn now(&mut self) -> Timestamp;
}

/// Random ids and the machine's clock.
pub(super) struct System;

impl Environment for System {
    fn event_id(&mut self) -> EventId {
        ids::event()
    }

    fn epoch(&mut self) -> Epoch {
        ids::epoch()
    }

    fn now(&mut self) -> Timestamp {
        clock::now()
    }
}
