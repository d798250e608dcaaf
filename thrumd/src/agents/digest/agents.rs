//! Digests what agents do: that they are on a machine.

use serde::Deserialize;
use thrum_api::DaemonId;
use thrum_api::event::AgentJoined;

use super::super::broadcasts;
use super::super::failure::Failure;
use super::{Page, Seen, parsed};
use crate::log::StoredEvent;

#[derive(Deserialize)]
struct ParsedJoined {
    origin_daemon: DaemonId,
    body: AgentJoined,
}

impl Page<'_> {
    pub(super) fn joined(&mut self, event: &StoredEvent<'_>) -> Result<(), Failure> {
        let ParsedJoined { origin_daemon, body } = parsed(event)?;
        let inbox = self.directory.project(event.project)?.inbox(self.connection, &body.agent)?;
        Ok(self.note_seen(inbox, origin_daemon, event)?)
    }

    /// Notes that an agent was seen. That it is one of this machine counts at once, for messages to all that follow in
    /// the same page; the rest is written at the page's end.
    pub(super) fn note_seen(
        &mut self,
        inbox: i64,
        origin: DaemonId,
        event: &StoredEvent<'_>,
    ) -> rusqlite::Result<()> {
        let at = event.timestamp;
        let seen = self.seen.entry((inbox, origin)).or_insert(Seen { at, here: false });
        seen.at = seen.at.max(at);
        // The daemon that the event names doesn't count: what this one lost and a peer brings back was written by
        // agents that were here once.
        if event.is_own && !std::mem::replace(&mut seen.here, true) {
            broadcasts::begin(self.connection, inbox)?;
        }
        Ok(())
    }
}
