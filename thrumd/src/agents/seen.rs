//! Queries about agents: which ones there are, and when they were last seen.

use rusqlite::{OptionalExtension, Row, params};
use thrum_api::Timestamp;
use thrum_api::local::{Agent, AgentState};

use super::error::{AgentsError, views};
use super::store::Store;
use crate::log::column::daemon_id;

/// `?1` project, `?2` name, `?3` daemon.
const LAST_SEEN_HERE: &str = "SELECT a.last_seen
     FROM projects p CROSS JOIN inboxes i ON i.agent = ?2 AND i.project = p.id
       CROSS JOIN agents a ON a.inbox = i.id AND a.origin = ?3 AND a.here AND NOT a.removed
     WHERE p.name = ?1";
/// Everything that is listed of an agent.
macro_rules! agents {
    ($from:literal) => {
        concat!("SELECT p.name, i.agent, a.origin, a.last_seen, a.about, a.removed ", $from)
    };
}
const AGENTS_OF: &str = agents!(
    "
     FROM projects p CROSS JOIN inboxes i INDEXED BY inboxes_by_project ON i.project = p.id
       CROSS JOIN agents a ON a.inbox = i.id
     WHERE p.name = ?1 AND (a.last_seen >= ?2 OR EXISTS (SELECT 1 FROM presence o
         WHERE o.inbox = a.inbox AND o.origin = a.origin AND o.sessions <> '[]'))
       AND (?3 OR NOT a.removed)
     ORDER BY i.agent, i.id, a.origin"
);
/// `?1` since when, `?2` whether also those that were removed.
const AGENTS: &str = agents!(
    "
     FROM projects p CROSS JOIN inboxes i INDEXED BY inboxes_by_project ON i.project = p.id
       CROSS JOIN agents a ON a.inbox = i.id
     WHERE (a.last_seen >= ?1 OR EXISTS (SELECT 1 FROM presence o
         WHERE o.inbox = a.inbox AND o.origin = a.origin AND o.sessions <> '[]'))
       AND (?2 OR NOT a.removed)
     ORDER BY p.name, i.agent, a.origin"
);
/// `?2` name: the agents of this name, on any daemon.
const NAMED: &str = agents!(
    "
     FROM projects p CROSS JOIN inboxes i ON i.agent = ?2 AND i.project = p.id
       CROSS JOIN agents a ON a.inbox = i.id
     WHERE p.name = ?1 ORDER BY a.origin"
);

/// As in `inbox`: none may scan rows whose number grows with the log.
#[cfg(test)]
pub(super) const QUERIES: &[&str] = &[LAST_SEEN_HERE, AGENTS_OF, NAMED];

impl Store {
    /// When the agent was last seen on this daemon, if it was: under its present id, by an event that was written here.
    pub(super) fn last_seen(
        &self,
        project: &str,
        name: &str,
    ) -> Result<Option<Timestamp>, AgentsError> {
        let origin = self.daemon.to_bytes();
        let at = self
            .connection
            .prepare_cached(LAST_SEEN_HERE)
            .and_then(|mut query| {
                query.query_row(params![project, name, origin], |row| row.get(0)).optional()
            })
            .map_err(views("look for an agent"))?;
        Ok(at.map(Timestamp::from_millis))
    }

    /// The agents of this name in the project, on any daemon, also those that were removed.
    pub(super) fn agents_named(
        &self,
        project: &str,
        name: &str,
    ) -> Result<Vec<Agent>, AgentsError> {
        self.connection
            .prepare_cached(NAMED)
            .and_then(|mut query| query.query_map([project, name], agent)?.collect())
            .map_err(views("look for an agent"))
    }

    /// Agents that were seen since, or have a session, by project, name and daemon; `removed`: also those that were removed.
    pub(super) fn agents(
        &self,
        project: Option<&str>,
        since: Timestamp,
        removed: bool,
    ) -> Result<Vec<Agent>, AgentsError> {
        let doing = views("list agents");
        let since = since.as_millis();
        let rows = match project {
            Some(project) => self.connection.prepare_cached(AGENTS_OF).and_then(|mut query| {
                query.query_map(params![project, since, removed], agent)?.collect()
            }),
            None => self
                .connection
                .prepare_cached(AGENTS)
                .and_then(|mut query| query.query_map(params![since, removed], agent)?.collect()),
        };
        rows.map_err(&doing)
    }
}

fn agent(row: &Row<'_>) -> rusqlite::Result<Agent> {
    Ok(Agent {
        project: Some(row.get::<_, String>(0)?).filter(|name| !name.is_empty()),
        name: row.get(1)?,
        daemon_id: daemon_id(row.get(2)?),
        machine: None,
        about: row.get::<_, Option<String>>(4)?.filter(|text| !text.is_empty()),
        state: AgentState::Gone,
        since: Timestamp::from_millis(row.get(3)?),
        sessions: Vec::new(),
        last_seen: Timestamp::from_millis(row.get(3)?),
        removed: row.get(5)?,
        former: false,
    })
}
