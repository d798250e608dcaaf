//! Waiting for messages.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use thrum_api::local::{Message, WaitParams, WaitResult};
use thrum_api::{Sequence, names};

use super::claims::Reader;
use super::error::AgentsError;
use super::filter::Filter;
use super::inbox::InboxQuery;
use super::sessions::LocalConnection;
use super::sessions::live::AgentKey;
use super::sessions::texts::Texts;
use super::sessions::waits::Wait;
use super::store::Store;
use super::{Agents, limit, project};

/// Messages in one answer to a wait, unless the caller sets a limit.
const WAIT_DEFAULT_MESSAGES: u32 = 50;
/// How long one call of `wait` lasts, at most.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(3600);

impl Agents {
    /// Waits for unread messages; there are none after the time-out. Dropping the future stops waiting. Meanwhile the
    /// agent has a session that waits.
    ///
    /// # Errors
    /// As for [`Agents::inbox`].
    pub async fn wait_on(
        &self,
        connection: &LocalConnection,
        params: WaitParams,
    ) -> Result<WaitResult, AgentsError> {
        self.wait_as(Some(connection), params).await
    }

    /// As [`Agents::wait_on`], for nobody who would be listed.
    #[cfg(test)]
    pub(super) async fn wait(&self, params: WaitParams) -> Result<WaitResult, AgentsError> {
        self.wait_as(None, params).await
    }

    async fn wait_as(
        &self,
        connection: Option<&LocalConnection>,
        params: WaitParams,
    ) -> Result<WaitResult, AgentsError> {
        Texts { session: params.session.as_deref(), ..Texts::default() }.check()?;
        let session = params.session.clone();
        let claimer = connection.filter(|_| params.claim);
        let query = InboxQuery {
            agent: names::agent(&params.agent)?,
            project: project(params.project)?,
            unread_only: true,
            read_only: false,
            // An answer without messages means that the time has passed.
            limit: limit(params.limit, WAIT_DEFAULT_MESSAGES).max(1),
            filter: Filter::new(params.from.as_deref(), None, params.thread, params.any)?,
        };
        let end =
            tokio::time::Instant::now() + Duration::from_millis(params.timeout_ms).min(WAIT_MAX);
        let waiter = self.inner.signals.waiters.register(&query.agent, query.project.as_deref());
        self.present(&query.agent, query.project.as_deref()).await?;
        let query = Arc::new(query);
        // An agent is one of a project.
        let as_session = || {
            let (project, agent) = (query.project.clone()?, query.agent.clone());
            Some((AgentKey { project, agent }, connection?))
        };
        let mut waits = None;
        loop {
            let (log, look) = (self.inner.log.reader(), Arc::clone(&query));
            let held = claimer
                .map(|claimer| self.inner.claims.of_others(&Reader::agent(&query.agent), claimer));
            let except = held.clone().unwrap_or_default();
            let read = move |store: &Store| match held {
                Some(held) => store.oldest_unread_except(&log, &look, &held),
                None => store.oldest_unread(&log, &look),
            };
            let answer = self.read(read).await?;
            let Some(mut oldest) = self.whole(answer).await? else { continue };
            if !oldest.messages.is_empty() {
                if let Some(claimer) = claimer {
                    self.claim(&Reader::agent(&query.agent), claimer, &mut oldest.messages);
                    oldest.messages = self.still_unread(&query, except, oldest.messages).await?;
                    if oldest.messages.is_empty() {
                        // Another one was faster.
                        continue;
                    }
                }
                return Ok(oldest);
            }
            // It goes on behind what it has seen, and so comes to the end, however much there is.
            if query.filter.as_ref().is_some_and(Filter::has_more) {
                continue;
            }
            if waits.is_none() && tokio::time::Instant::now() < end {
                waits = as_session().and_then(|(key, connection)| {
                    Wait::begin(&self.inner.sessions, key, session.as_deref(), connection)
                });
            }
            tokio::select! {
                () = waiter.woken() => {}
                () = self.inner.ended.cancelled() => return Err(AgentsError::Stopping),
                () = tokio::time::sleep_until(end) => return Ok(oldest),
            }
        }
    }

    /// Claims messages for a connection. When it ends, those that are not read are for others.
    pub(super) fn claim(
        &self,
        reader: &Reader,
        connection: &LocalConnection,
        messages: &mut Vec<Message>,
    ) {
        let claims = &self.inner.claims;
        if !claims.take(reader, connection, messages) {
            return;
        }
        let (claims, connection) = (claims.clone(), connection.clone());
        let signals = Arc::clone(&self.inner.signals);
        let ended = self.inner.ended.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = connection.closed() => signals.waiters.wake(&claims.release(&connection)),
                () = ended.cancelled() => {}
            }
        });
    }

    /// Those of the claimed messages that are unread still. Another one may have claimed and read one of them between the
    /// look and the claim.
    async fn still_unread(
        &self,
        query: &Arc<InboxQuery>,
        except: BTreeSet<Sequence>,
        claimed: Vec<Message>,
    ) -> Result<Vec<Message>, AgentsError> {
        let (log, look) = (self.inner.log.reader(), Arc::clone(query));
        let read = move |store: &Store| store.oldest_unread_except(&log, &look, &except);
        let now = self.read(read).await?.result.messages;
        let unread: BTreeSet<Sequence> = now.iter().map(|message| message.sequence).collect();
        let is_unread = |message: &Message| unread.contains(&message.sequence);
        let (unread, read): (Vec<_>, Vec<_>) = claimed.into_iter().partition(is_unread);
        let read = read.iter().map(|message| message.sequence);
        self.inner.claims.read(&Reader::agent(&query.agent), read);
        Ok(unread)
    }

    /// Waits until the views hold everything up to now, and joins the agent if it is new or has not been seen for long.
    async fn present(&self, agent: &str, project: Option<&str>) -> Result<(), AgentsError> {
        self.digested(self.inner.log.head().position.sequence).await?;
        let Some(project) = project else { return Ok(()) };
        let appended = self.join(project, agent, None).await?;
        let Some(joined) = appended.last() else { return Ok(()) };
        self.digested(joined.sequence).await
    }
}
