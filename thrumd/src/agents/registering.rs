//! Agents of this machine: announced with what they are for, and removed from the lists.

use thrum_api::limits::ABOUT_MAX_CHARS;
use thrum_api::local::{Agent, AgentRegisterParams, AgentRemoveParams};
use thrum_api::visible::is_invisible;
use thrum_api::{DaemonId, names};
use tokio::sync::MutexGuard;

use super::error::AgentsError;
use super::joining::JoinedNames;
use super::{Agents, send};

impl Agents {
    /// Announces an agent of this machine, unless it is known with the same text. Answers it, and the other daemons that
    /// have an agent of this name.
    ///
    /// # Errors
    /// When a name or the text is invalid, when the views can't be brought up to the log, and when the log refuses the
    /// event.
    pub async fn register(
        &self,
        params: AgentRegisterParams,
    ) -> Result<(Agent, Vec<DaemonId>), AgentsError> {
        let (name, project) = (names::agent(&params.agent)?, names::project(&params.project)?);
        let about = params.about.as_deref().map(about).transpose()?;
        let mut joined = self.once_known(&project, &name).await?;
        let (is_known, before) = self.named(&project, &name).await?;
        let own = before.iter().find(|agent| self.is_own(agent));
        let had = own.and_then(|agent| agent.about.clone()).unwrap_or_default();
        if !is_known || about.as_ref().is_some_and(|about| *about != had) {
            let draft = send::joined(&project, &self.announced(&name, about))?;
            let appended = self.append(vec![draft]).await?;
            let at = appended.last().ok_or(AgentsError::Stopping)?.sequence;
            joined.add(&project, &name, at);
            drop(joined);
            self.digested(at).await?;
        }
        let (_, agents) = self.named(&project, &name).await?;
        let (mut own, others): (Vec<_>, Vec<_>) =
            agents.into_iter().partition(|agent| self.is_own(agent));
        let own = own.pop().ok_or_else(|| AgentsError::NoAgent { name, project })?;
        let others = others.into_iter().filter(|agent| !agent.removed);
        Ok((own, others.map(|agent| agent.daemon_id).collect()))
    }

    /// Removes an agent of this machine from the lists, until it does something again.
    ///
    /// # Errors
    /// When there is no such agent of this machine, and else as for [`Agents::register`].
    pub async fn remove(&self, params: AgentRemoveParams) -> Result<(), AgentsError> {
        let (name, project) = (names::agent(&params.agent)?, names::project(&params.project)?);
        self.digested(self.inner.log.head().position.sequence).await?;
        let (is_known, _) = self.named(&project, &name).await?;
        if !is_known {
            return Err(AgentsError::NoAgent { name, project });
        }
        let appended = self.append(vec![send::removed(&project, &name)?]).await?;
        let at = appended.last().ok_or(AgentsError::Stopping)?.sequence;
        self.digested(at).await
    }

    /// What has joined, locked when the views hold all that was told of this name here. It is not locked while they
    /// digest, which may take minutes: every send of a new name would stop.
    async fn once_known(
        &self,
        project: &str,
        name: &str,
    ) -> Result<MutexGuard<'_, JoinedNames>, AgentsError> {
        let mut target = self.inner.log.head().position.sequence;
        loop {
            self.digested(target).await?;
            let mut joined = self.inner.joining.lock().await;
            let views = self.inner.progress.borrow().clone();
            joined.forget_digested(&views);
            match joined.at(project, name).filter(|at| !views.has(*at)) {
                // Another caller was faster.
                Some(at) => target = at,
                None => return Ok(joined),
            }
        }
    }

    /// Whether an agent of this name is used on this machine, and all agents of this name.
    async fn named(&self, project: &str, name: &str) -> Result<(bool, Vec<Agent>), AgentsError> {
        let (project, name) = (project.to_owned(), name.to_owned());
        self.read(move |store| {
            let is_known = store.last_seen(&project, &name)?.is_some();
            Ok((is_known, store.agents_named(&project, &name)?))
        })
        .await
    }

    fn is_own(&self, agent: &Agent) -> bool {
        agent.daemon_id == self.inner.log.daemon()
    }
}

/// What an agent is for, checked: one line without invisible characters.
fn about(text: &str) -> Result<String, AgentsError> {
    let text = text.trim();
    let chars = text.chars().count();
    if chars > ABOUT_MAX_CHARS {
        return Err(AgentsError::About(format!(
            "has {chars} characters; at most {ABOUT_MAX_CHARS} are allowed"
        )));
    }
    match text.chars().find(|c| is_invisible(*c)) {
        Some(character) => Err(AgentsError::About(format!("must not contain {character:?}"))),
        None => Ok(text.to_owned()),
    }
}
