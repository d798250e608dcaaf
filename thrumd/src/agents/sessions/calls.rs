//! Answers the methods of sessions.

use std::time::Duration;

use thrum_api::local::{SessionEndParams, SessionResult, SessionStartParams, SessionUpdateParams};
use thrum_api::names;

use super::super::Agents;
use super::super::error::AgentsError;
use super::change::Change;
use super::connection::LocalConnection;
use super::error::SessionError;
use super::live::AgentKey;
use super::process::Process;
use super::texts::Texts;
use crate::ids;

/// How long the start of a session waits until it is stored and told.
const START_MAX: Duration = Duration::from_secs(1);

impl Agents {
    /// Starts a session, or changes one that is live, and joins the agent if it is new here.
    ///
    /// # Errors
    /// When names or texts are invalid, when nothing that lives keeps it, and when there are too many.
    pub async fn session_start(
        &self,
        params: SessionStartParams,
        connection: &LocalConnection,
    ) -> Result<SessionResult, AgentsError> {
        let key = key(&params.agent, &params.project)?;
        let change = Change::of_start(&params)?;
        if params.pid.is_none() && !params.connection {
            return Err(SessionError::NoKeeper.into());
        }
        let id = params.session.unwrap_or_else(ids::session);
        let sessions = &self.inner.sessions;
        let process = params.pid.map(Process::watch).transpose()?;
        let connection = params.connection.then(|| connection.clone());
        let mut keeping = sessions.keeping(process, connection);
        let keeper = keeping.take_keeper();
        let session =
            sessions.change(|book, now| book.start(&key, id.clone(), &change, keeper, now))?;
        sessions.watch(key.clone(), id, keeping);
        sessions.settled(&key, START_MAX).await;
        Ok(SessionResult { session })
    }

    /// Changes a session.
    ///
    /// # Errors
    /// When names or texts are invalid, and when there is no such session or it is unclear which is meant.
    pub fn session_update(
        &self,
        params: &SessionUpdateParams,
    ) -> Result<SessionResult, AgentsError> {
        let key = key(&params.agent, &params.project)?;
        let change = Change::of_update(params)?;
        let id = params.session.as_deref();
        let session =
            self.inner.sessions.change(|book, now| book.update(&key, id, &change, now))?;
        Ok(SessionResult { session })
    }

    /// Ends a session.
    ///
    /// # Errors
    /// As for [`Agents::session_update`].
    pub fn session_end(&self, params: &SessionEndParams) -> Result<(), AgentsError> {
        let key = key(&params.agent, &params.project)?;
        let id = params.session.as_deref();
        Texts { session: id, ..Texts::default() }.check()?;
        Ok(self.inner.sessions.change(|book, now| book.end(&key, id, now))?)
    }

    /// From now on nothing is told of sessions: the daemon stops, which ends connections although nobody is gone.
    pub fn freeze_sessions(&self) {
        self.inner.sessions.change_quietly(|book, _| book.freeze());
    }
}

/// The key of an agent, by names as callers give them.
pub fn key(agent: &str, project: &str) -> Result<AgentKey, AgentsError> {
    Ok(AgentKey { project: names::project(project)?, agent: names::agent(agent)? })
}
