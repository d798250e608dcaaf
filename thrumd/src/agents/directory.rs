//! The ids of projects and inboxes, each looked up once a page.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};
use thrum_api::names;

use super::failure::Failure;

/// The name of a project as in an event, checked; the empty name for events without one.
pub(super) fn project_name(stored: Option<&[u8]>) -> Result<String, Failure> {
    let Some(bytes) = stored else { return Ok(String::new()) };
    let text = str::from_utf8(bytes).map_err(|_| Failure::Damaged)?;
    Ok(names::project(text)?)
}

/// Ids by the names as events have them: the same project or agent may be written in several ways.
pub(super) struct Directory<'a> {
    connection: &'a Connection,
    projects: HashMap<Option<Vec<u8>>, Project>,
}

/// A project that was looked up.
struct Project {
    id: i64,
    inboxes: HashMap<String, i64>,
}

impl<'a> Directory<'a> {
    pub(super) fn new(connection: &'a Connection) -> Self {
        Self { connection, projects: HashMap::new() }
    }

    /// Checks names before the first of them is stored.
    pub(super) fn check<'n>(
        &self,
        project: Option<&[u8]>,
        agents: impl IntoIterator<Item = &'n str>,
    ) -> Result<(), Failure> {
        let known = self.projects.get(&project.map(<[u8]>::to_vec));
        if known.is_none() {
            project_name(project)?;
        }
        for agent in agents {
            if !known.is_some_and(|known| known.inboxes.contains_key(agent)) {
                names::agent(agent)?;
            }
        }
        Ok(())
    }

    /// The id of a project. A new one gets one.
    pub(super) fn project(&mut self, name: Option<&[u8]>) -> Result<i64, Failure> {
        Ok(self.entry(name)?.id)
    }

    /// The id of an inbox. A new one gets one.
    pub(super) fn inbox(&mut self, project: Option<&[u8]>, agent: &str) -> Result<i64, Failure> {
        let connection = self.connection;
        let project = self.entry(project)?;
        if let Some(id) = project.inboxes.get(agent) {
            return Ok(*id);
        }
        let name = names::agent(agent)?;
        let id = match find_inbox(connection, project.id, &name)? {
            Some(id) => id,
            None => connection
                .prepare_cached(
                    "INSERT INTO inboxes (project, agent, unread) VALUES (?, ?, 0) RETURNING id",
                )?
                .query_row(params![project.id, name], |row| row.get(0))?,
        };
        project.inboxes.insert(agent.to_owned(), id);
        Ok(id)
    }

    fn entry(&mut self, project: Option<&[u8]>) -> Result<&mut Project, Failure> {
        let key = project.map(<[u8]>::to_vec);
        let id = match self.projects.get(&key) {
            Some(project) => project.id,
            None => self.stored(&project_name(project)?)?,
        };
        Ok(self.projects.entry(key).or_insert_with(|| Project { id, inboxes: HashMap::new() }))
    }

    fn stored(&self, name: &str) -> rusqlite::Result<i64> {
        let known = self
            .connection
            .prepare_cached("SELECT id FROM projects WHERE name = ?")?
            .query_row([name], |row| row.get(0))
            .optional()?;
        match known {
            Some(id) => Ok(id),
            None => self
                .connection
                .prepare_cached(
                    "INSERT INTO projects (name, broadcasts) VALUES (?, 0) RETURNING id",
                )?
                .query_row([name], |row| row.get(0)),
        }
    }
}

/// The id of an inbox, by checked names.
pub(super) fn find_inbox(
    connection: &Connection,
    project: i64,
    agent: &str,
) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT id FROM inboxes WHERE agent = ? AND project = ?")?
        .query_row(params![agent, project], |row| row.get(0))
        .optional()
}
