//! Queries about what agents do, as their daemons told.

use std::collections::HashMap;

use rusqlite::Row;
use thrum_api::event::SessionInfo;
use thrum_api::local::{Agent, AgentState};
use thrum_api::{DaemonId, Timestamp};

use super::error::{AgentsError, views};
use super::sessions::book::Shown;
use super::sessions::live::AgentKey;
use super::sessions::restart::Told;
use super::store::Store;
use crate::log::column::daemon_id;

const TOLD_OF: &str = "SELECT p.name, i.agent, o.origin, o.at, o.sessions
     FROM projects p CROSS JOIN inboxes i INDEXED BY inboxes_by_project ON i.project = p.id
       CROSS JOIN presence o ON o.inbox = i.id
     WHERE p.name = ?1";
const TOLD: &str = "SELECT p.name, i.agent, o.origin, o.at, o.sessions
     FROM presence o CROSS JOIN inboxes i ON i.id = o.inbox CROSS JOIN projects p ON p.id = i.project";
const TOLD_HERE: &str = "SELECT p.name, i.agent, o.origin, o.at, o.sessions
     FROM presence o CROSS JOIN inboxes i ON i.id = o.inbox CROSS JOIN projects p ON p.id = i.project
     WHERE o.origin = ?1";

/// As in `inbox`: none may scan rows whose number grows with the log.
#[cfg(test)]
pub(super) const QUERIES: &[&str] = &[TOLD_OF];

/// What was told of agents, by agent and daemon.
pub(super) type Presence = HashMap<(AgentKey, DaemonId), Told>;

impl Store {
    /// What was told of the agents of a project, or of all.
    pub(super) fn presence(&self, project: Option<&str>) -> Result<Presence, AgentsError> {
        let (connection, read) = (&self.connection, |row: &Row<'_>| told(row));
        let rows: rusqlite::Result<Vec<_>> = match project {
            Some(project) => connection
                .prepare_cached(TOLD_OF)
                .and_then(|mut query| query.query_map([project], read)?.collect()),
            None => connection
                .prepare_cached(TOLD)
                .and_then(|mut query| query.query_map([], read)?.collect()),
        };
        let rows = rows.map_err(views("look what agents do"))?;
        Ok(rows.into_iter().map(|(of, told)| ((told.key.clone(), of), told)).collect())
    }

    /// Adds to each agent what it does: to those of this daemon what it has in its book, to others what was told of them.
    pub(super) fn add_presence(
        &self,
        agents: &mut [Agent],
        project: Option<&str>,
        own: &Shown,
    ) -> Result<(), AgentsError> {
        let mut presence = self.presence(project)?;
        for agent in agents {
            let project = agent.project.clone().unwrap_or_default();
            let key = AgentKey { project, agent: agent.name.clone() };
            let of = (key, agent.daemon_id);
            let told = presence.remove(&of);
            let (told_at, told) = told.map(|told| (told.at, told.sessions)).unzip();
            match own.agents.get(&of.0).filter(|_| agent.daemon_id == self.daemon) {
                Some(live) => fill(agent, live.sessions.clone(), live.gone_at.or(told_at)),
                None if agent.daemon_id == self.daemon && own.is_complete => {
                    fill(agent, Vec::new(), told_at);
                }
                None => fill(agent, told.unwrap_or_default(), told_at),
            }
        }
        Ok(())
    }

    /// What this daemon told last, of each of its agents.
    pub(super) fn told_here(&self) -> Result<Vec<Told>, AgentsError> {
        let own = self.daemon.to_bytes();
        let rows: rusqlite::Result<Vec<_>> = self
            .connection
            .prepare(TOLD_HERE)
            .and_then(|mut query| query.query_map([own], told)?.collect());
        let rows = rows.map_err(views("look what was told of sessions"))?;
        Ok(rows.into_iter().map(|(_, told)| told).collect())
    }
}

fn told(row: &Row<'_>) -> rusqlite::Result<(DaemonId, Told)> {
    let key = AgentKey { project: row.get(0)?, agent: row.get(1)? };
    let at = Timestamp::from_millis(row.get(3)?);
    // It was checked when it was digested.
    let sessions = serde_json::from_str(row.get_ref(4)?.as_str()?).unwrap_or_default();
    Ok((daemon_id(row.get(2)?), Told { key, at, sessions }))
}

/// Adds to an agent what it does. `gone_at`: when its last session ended, if it has none.
fn fill(agent: &mut Agent, sessions: Vec<SessionInfo>, gone_at: Option<Timestamp>) {
    agent.state = AgentState::of(&sessions);
    let of_state = sessions
        .iter()
        .filter(|session| AgentState::of(std::slice::from_ref(session)) == agent.state);
    agent.since =
        of_state.map(|session| session.since).min().or(gone_at).unwrap_or(agent.last_seen);
    agent.sessions = sessions;
}
