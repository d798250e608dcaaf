//! The ids of projects and inboxes, each looked up once a page.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};
use thrum_api::names::{self, NameError};

use super::failure::Failure;

const FIND_PROJECT: &str = "SELECT id FROM projects WHERE name = ?";
pub(super) const FIND_INBOX: &str = "SELECT id FROM inboxes WHERE agent = ? AND project = ?";

/// As in `inbox`: none may scan rows whose number grows with the log.
#[cfg(test)]
pub(super) const QUERIES: &[&str] = &[FIND_PROJECT, FIND_INBOX];

/// The name of a project as in an event, checked; the empty name for events without one.
pub(super) fn project_name(stored: Option<&[u8]>) -> Result<String, Failure> {
    let Some(bytes) = stored else { return Ok(String::new()) };
    let text = str::from_utf8(bytes).map_err(|_| Failure::Damaged)?;
    Ok(names::project(text)?)
}

/// Ids by the names as events have them: the same project or agent may be written in several ways.
pub(super) struct Directory<'a> {
    connection: &'a Connection,
    projects: HashMap<Vec<u8>, Project>,
    without_project: Option<Project>,
}

/// A project that was looked up, and those of its inboxes that were.
pub(super) struct Project {
    pub(super) id: i64,
    inboxes: HashMap<String, i64>,
}

impl<'a> Directory<'a> {
    pub(super) fn new(connection: &'a Connection) -> Self {
        Self { connection, projects: HashMap::new(), without_project: None }
    }

    /// The project of an event. A new one gets an id.
    pub(super) fn project(&mut self, name: Option<&[u8]>) -> Result<&mut Project, Failure> {
        let connection = self.connection;
        let look = || {
            let id = project_id(connection, &project_name(name)?)?;
            Ok::<_, Failure>(Project { id, inboxes: HashMap::new() })
        };
        match name {
            None => match &mut self.without_project {
                Some(project) => Ok(project),
                none => Ok(none.insert(look()?)),
            },
            Some(bytes) => {
                // Nearly always it is known: no copy of the name is made for that.
                if !self.projects.contains_key(bytes) {
                    self.projects.insert(bytes.to_vec(), look()?);
                }
                self.projects.get_mut(bytes).ok_or(Failure::Damaged)
            }
        }
    }
}

impl Project {
    /// Checks the names of agents before the first of them is stored.
    pub(super) fn check<'n>(
        &self,
        agents: impl IntoIterator<Item = &'n str>,
    ) -> Result<(), NameError> {
        for agent in agents {
            if !self.inboxes.contains_key(agent) {
                names::agent(agent)?;
            }
        }
        Ok(())
    }

    /// The id of an inbox. A new one gets one.
    pub(super) fn inbox(&mut self, connection: &Connection, agent: &str) -> Result<i64, Failure> {
        if let Some(id) = self.inboxes.get(agent) {
            return Ok(*id);
        }
        let name = names::agent(agent)?;
        let id = match find_inbox(connection, self.id, &name)? {
            Some(id) => id,
            None => connection
                .prepare_cached(
                    "INSERT INTO inboxes (project, agent, unread) VALUES (?, ?, 0) RETURNING id",
                )?
                .query_row(params![self.id, name], |row| row.get(0))?,
        };
        self.inboxes.insert(agent.to_owned(), id);
        Ok(id)
    }
}

fn project_id(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    match find_project(connection, name)? {
        Some(id) => Ok(id),
        None => connection
            .prepare_cached("INSERT INTO projects (name, broadcasts) VALUES (?, 0) RETURNING id")?
            .query_row([name], |row| row.get(0)),
    }
}

/// The id of a project, by its checked name.
pub(super) fn find_project(connection: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    connection.prepare_cached(FIND_PROJECT)?.query_row([name], |row| row.get(0)).optional()
}

/// The id of an inbox, by checked names.
pub(super) fn find_inbox(
    connection: &Connection,
    project: i64,
    agent: &str,
) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached(FIND_INBOX)?
        .query_row(params![agent, project], |row| row.get(0))
        .optional()
}
