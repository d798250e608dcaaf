//! Digests what agents do: that they are on a machine, and that they were removed from it.

use std::collections::hash_map::Entry;

use rusqlite::{OptionalExtension, params};
use serde::Deserialize;
use thrum_api::event::{AgentJoined, AgentRemoved};
use thrum_api::limits::ABOUT_MAX_CHARS;
use thrum_api::visible::is_invisible;
use thrum_api::{DaemonId, names};

use super::super::broadcasts;
use super::super::failure::Failure;
use super::{Page, Seen, parsed};
use crate::log::StoredEvent;
use crate::log::column::int;

#[derive(Deserialize)]
struct ParsedJoined {
    origin_daemon: DaemonId,
    body: AgentJoined,
}

#[derive(Deserialize)]
struct ParsedRemoved {
    origin_daemon: DaemonId,
    body: AgentRemoved,
}

impl Page<'_> {
    pub(super) fn joined(&mut self, event: &StoredEvent<'_>) -> Result<(), Failure> {
        let ParsedJoined { origin_daemon, body } = parsed(event)?;
        let AgentJoined { agent, machine, about } = body;
        let machine = machine.map(|name| names::daemon(&name)).transpose()?;
        if about.as_ref().is_some_and(|text| !is_about(text)) {
            return Err(Failure::undigestible("what the agent is for is too long or not visible"));
        }
        let inbox = self.directory.project(event.project)?.inbox(self.connection, &agent)?;
        self.note_seen(inbox, origin_daemon, event)?;
        if let Some(name) = machine {
            self.name_machine(origin_daemon, name)?;
        }
        if let (Some(about), Some(seen)) = (about, self.seen.get_mut(&(inbox, origin_daemon))) {
            seen.about = Some(about);
            self.touched.agents = true;
        }
        Ok(())
    }

    /// Removes an agent from the lists, until it does something again.
    pub(super) fn removed(&mut self, event: &StoredEvent<'_>) -> Result<(), Failure> {
        let ParsedRemoved { origin_daemon, body } = parsed(event)?;
        let inbox = self.directory.project(event.project)?.inbox(self.connection, &body.agent)?;
        // What this daemon lost and a peer brings back says nothing of the agents that are here now.
        if origin_daemon == self.daemon && !event.is_own {
            return Ok(());
        }
        let seen = self.seen((inbox, origin_daemon), event)?;
        (seen.at, seen.removed) = (seen.at.max(event.timestamp), true);
        if event.is_own {
            self.begun.remove(&inbox);
            broadcasts::end(self.connection, inbox)?;
            self.arrivals.agent_changed(inbox);
        }
        Ok(())
    }

    /// Notes that an agent was seen. That it is one of this machine counts at once, for messages to all that follow in
    /// the same page; the rest is written at the page's end.
    pub(super) fn note_seen(
        &mut self,
        inbox: i64,
        origin: DaemonId,
        event: &StoredEvent<'_>,
    ) -> rusqlite::Result<()> {
        let seen = self.seen((inbox, origin), event)?;
        let begins = seen.removed || (event.is_own && !seen.here);
        // Messages to all from before are not for it.
        if begins {
            seen.first = int(event.sequence.0);
        }
        (seen.at, seen.removed) = (seen.at.max(event.timestamp), false);
        // The daemon that the event names doesn't count: what this one lost and a peer brings back was written by
        // agents that were here once.
        if event.is_own {
            seen.here = true;
            if self.begun.insert(inbox) {
                broadcasts::begin(self.connection, inbox)?;
                self.arrivals.agent_changed(inbox);
            }
        }
        self.touched.agents |= begins;
        Ok(())
    }

    /// What is known of an agent, from before this page and of this page.
    fn seen(
        &mut self,
        of: (i64, DaemonId),
        event: &StoredEvent<'_>,
    ) -> rusqlite::Result<&mut Seen> {
        match self.seen.entry(of) {
            Entry::Occupied(seen) => Ok(seen.into_mut()),
            Entry::Vacant(seen) => {
                let (inbox, origin) = of;
                let known = self
                    .connection
                    .prepare_cached(
                        "SELECT first, here, removed FROM agents WHERE inbox = ? AND origin = ?",
                    )?
                    .query_row(params![inbox, origin.to_bytes()], |row| {
                        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                    })
                    .optional()?;
                self.touched.agents |= known.is_none();
                let new = (int(event.sequence.0), false, false);
                let (first, here, removed) = known.unwrap_or(new);
                Ok(seen.insert(Seen { first, at: event.timestamp, here, about: None, removed }))
            }
        }
    }

    /// Notes how a daemon calls itself.
    fn name_machine(&mut self, daemon: DaemonId, name: String) -> rusqlite::Result<()> {
        let changed = self
            .connection
            .prepare_cached(
                "INSERT INTO machines (origin, name) VALUES (?, ?)
                 ON CONFLICT (origin) DO UPDATE SET name = excluded.name
                 WHERE name <> excluded.name",
            )?
            .execute(params![daemon.to_bytes(), name])?;
        if changed > 0 {
            self.machines.push((daemon, name));
            self.touched.agents = true;
        }
        Ok(())
    }
}

/// Whether a text can say on one line what an agent is for.
fn is_about(text: &str) -> bool {
    text.chars().count() <= ABOUT_MAX_CHARS && !text.contains(is_invisible)
}
