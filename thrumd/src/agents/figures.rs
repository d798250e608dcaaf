//! Figures of the agents of this machine, for `/metrics`.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::Row;
use thrum_api::local::AgentState;
use thrum_api::{Sequence, Timestamp};
use tokio::time::timeout;

use super::Agents;
use super::error::{AgentsError, views};
use super::store::Store;
use crate::log::column::uint;

/// How long figures may wait for the queries of others.
const UNREAD_LIMIT: Duration = Duration::from_millis(250);

/// How many messages each agent of this machine has not read, with where the oldest of those that name it and of those to
/// all are. A row for each agent of this machine, so it is no query for a reader.
const UNREAD_HERE: &str = "SELECT i.unread + p.broadcasts - i.settled,
      (SELECT sequence FROM deliveries WHERE inbox = i.id AND read = 0
       ORDER BY sequence LIMIT 1),
      (SELECT sequence FROM broadcasts WHERE i.settled < p.broadcasts
         AND project = i.project AND number = 1 + coalesce(
           (SELECT last FROM settled_broadcasts WHERE inbox = i.id AND first = 1), 0))
     FROM inboxes i INDEXED BY inboxes_here CROSS JOIN projects p ON p.id = i.project
     WHERE i.was_here AND i.settled IS NOT NULL AND (i.unread > 0 OR i.settled < p.broadcasts)";

/// Figures of the agents of this machine.
#[derive(Debug, Default)]
pub struct AgentFigures {
    /// How many with a session there are of each state.
    pub by_state: BTreeMap<AgentState, u64>,
    /// Their sessions.
    pub sessions: u64,
    /// Calls that wait for messages.
    pub waiters: u64,
    /// What they have not read; None if the views can't be read now, or not soon.
    pub unread: Option<Unread>,
}

/// Messages that were not read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unread {
    /// How many there are.
    pub messages: u64,
    /// Where the oldest is.
    oldest: Option<Sequence>,
    /// When that was written, by the clock of its origin.
    pub oldest_at: Option<Timestamp>,
}

impl Agents {
    /// Figures of the agents of this machine, as the views are: that waits for nothing long.
    pub async fn figures(&self) -> AgentFigures {
        let mut figures =
            AgentFigures { waiters: self.inner.signals.waiters.count(), ..AgentFigures::default() };
        let shown = self.inner.sessions.look(|book| book.shown(None));
        for agent in shown.agents.values().filter(|agent| !agent.sessions.is_empty()) {
            *figures.by_state.entry(AgentState::of(&agent.sessions)).or_default() += 1;
            figures.sessions += u64::try_from(agent.sessions.len()).unwrap_or(u64::MAX);
        }
        figures.unread = timeout(UNREAD_LIMIT, self.unread()).await.ok().flatten();
        figures
    }

    async fn unread(&self) -> Option<Unread> {
        let mut unread = self.read(Store::unread_here).await.ok()?;
        if let Some(oldest) = unread.oldest {
            unread.oldest_at = self.inner.log.written_at(oldest).await.ok().flatten();
        }
        Some(unread)
    }
}

impl Store {
    /// What agents of this machine have not read.
    pub(super) fn unread_here(&self) -> Result<Unread, AgentsError> {
        let doing = views("count unread messages");
        let mut inboxes = self.connection.prepare_cached(UNREAD_HERE).map_err(&doing)?;
        let read = |row: &Row<'_>| {
            let oldest: [Option<i64>; 2] = [row.get(1)?, row.get(2)?];
            Ok((uint(row.get(0)?), oldest.into_iter().flatten().min()))
        };
        let mut unread = Unread::default();
        for inbox in inboxes.query_map([], read).map_err(&doing)? {
            let (messages, oldest) = inbox.map_err(&doing)?;
            let oldest = oldest.map(|sequence| Sequence(uint(sequence)));
            unread.messages += messages;
            unread.oldest = [unread.oldest, oldest].into_iter().flatten().min();
        }
        Ok(unread)
    }
}
