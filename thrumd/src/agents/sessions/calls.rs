//! Answers the methods of sessions.

use std::time::Duration;

use thrum_api::event::Reach;
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
    /// Starts a session, joins or changes one that is live, and joins the agent if it is new here.
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
        let sessions = &self.inner.sessions;
        let at = self.inner.log.head().position.sequence;
        if params.join {
            let (named, pid) = (params.session.as_deref(), params.pid);
            let joined =
                sessions.change(|book, now| book.join(&key, named, pid, params.reach, (at, now)));
            if let Some(session) = joined {
                if params.reach == Some(Reach::Wake) {
                    self.watch_waker(&key, &session.id, connection);
                }
                return Ok(SessionResult { session });
            }
        }
        let process = match params.pid.map(Process::watch).transpose() {
            // The tool may run where its process has another id.
            Err(_) if params.join && params.connection => None,
            process => process?,
        };
        let is_unnamed = params.join && params.session.is_none();
        let id = params.session.unwrap_or_else(ids::session);
        let mut keeping = sessions.keeping(process, params.connection.then(|| connection.clone()));
        let keeper = keeping.take_keeper();
        let session = sessions.change(|book, now| {
            let session = book.start(&key, id, &change, keeper, now)?;
            if params.join {
                book.take_part(&key, &session.id, at);
            }
            if is_unnamed {
                book.is_unnamed(&key, &session.id);
            }
            Ok::<_, SessionError>(session)
        })?;
        sessions.watch(key.clone(), session.id.clone(), keeping);
        if params.join && params.reach == Some(Reach::Wake) {
            self.watch_waker(&key, &session.id, connection);
        }
        sessions.settled(&key, START_MAX).await;
        Ok(SessionResult { session })
    }

    /// A session is woken as long as a program is there that asks for that.
    pub(in crate::agents) fn watch_waker(
        &self,
        key: &AgentKey,
        id: &str,
        connection: &LocalConnection,
    ) {
        let (sessions, ended) = (self.inner.sessions.clone(), self.inner.ended.clone());
        if !sessions.change_quietly(|book, _| book.wakes(key, id, connection.id())) {
            return;
        }
        let (key, id, connection) = (key.clone(), id.to_owned(), connection.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = connection.closed() => {
                    sessions.change(|book, now| book.wakes_no_more(&key, &id, connection.id(), now));
                }
                () = ended.cancelled() => {}
            }
        });
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
