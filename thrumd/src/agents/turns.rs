//! Sessions of tools that have hooks: at which point of a turn each is, and the messages that it was not shown yet.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use thrum_api::local::{
    HOOK_DEFAULT_MESSAGES, HookPoint, Message, SessionHookParams, SessionMessagesParams,
    SessionMessagesResult,
};
use thrum_api::{Sequence, Timestamp};
use tokio::time::Instant;

use super::claims::Reader;
use super::error::AgentsError;
use super::sending::SEEN_AGAIN_AFTER_MILLIS;
use super::sessions::LocalConnection;
use super::sessions::calls::key;
use super::sessions::change::Change;
use super::sessions::hooks::{Hook, MayShow};
use super::sessions::live::AgentKey;
use super::sessions::process::Process;
use super::sessions::shared::Keeping;
use super::sessions::texts::Texts;
use super::sessions::waits::Wait;
use super::unshown::UnshownQuery;
use super::waiting::WAIT_MAX;
use super::{Agents, limit};
use crate::clock;
use crate::report::Chain;

/// Messages in one answer at most.
const SHOWN_MAX: usize = 100;

/// What a session is shown now.
struct ToShow {
    messages: Vec<Message>,
    left: u64,
    seen: Option<Timestamp>,
}

impl Agents {
    /// A hook of a session runs: notes what the session does, and answers messages that it was not shown yet.
    ///
    /// # Errors
    /// When names or texts are invalid, and when the views can't be brought up to the log.
    pub async fn session_hook(
        &self,
        params: SessionHookParams,
        connection: &LocalConnection,
    ) -> Result<SessionMessagesResult, AgentsError> {
        let key = key(&params.agent, &params.project)?;
        let change = Change::of_hook(&params)?;
        let at = self.inner.log.head().position.sequence;
        let (point, work, room) = (params.point, params.work, connection.room());
        let hook = Hook { point, change: &change, work, at, room };
        let may_show = self.hook_in_book(&key, &params, &hook);
        if params.point == HookPoint::SessionEnd {
            return Ok(SessionMessagesResult::default());
        }
        let most = most(params.limit);
        let shown = self.to_show(&key, &may_show, most, at, connection).await;
        if params.point == HookPoint::Stop {
            let answered = shown.as_ref().is_ok_and(|shown| !shown.messages.is_empty());
            let id = &may_show.id;
            self.inner.sessions.change(|book, now| book.stopped(&key, id, answered, at, now));
        }
        let ToShow { messages, left, seen } = shown?;
        self.join_aside(&key, seen);
        // At other points nobody would see them.
        let sees =
            matches!(params.point, HookPoint::Prompt | HookPoint::Step) || !messages.is_empty();
        let notices = if sees { self.notices(&key) } else { Vec::new() };
        Ok(SessionMessagesResult { messages, left, notices })
    }

    /// Messages that a session was not shown yet; there are none after the time-out. Dropping the future stops waiting.
    /// Meanwhile the session waits.
    ///
    /// # Errors
    /// As for [`Agents::session_hook`].
    pub async fn session_messages(
        &self,
        params: SessionMessagesParams,
        connection: &LocalConnection,
    ) -> Result<SessionMessagesResult, AgentsError> {
        let key = key(&params.agent, &params.project)?;
        Texts { session: Some(&params.session), ..Texts::default() }.check()?;
        let most = most(params.limit);
        let end = Instant::now() + Duration::from_millis(params.timeout_ms).min(WAIT_MAX);
        let waiter = self.inner.signals.waiters.register(&key.agent, Some(&key.project));
        self.inner.sessions.change(|book, _| book.has_woken_up(&key, &params.session));
        let mut waits = None;
        loop {
            let named = &params.session;
            let id = self.inner.sessions.look(|book| book.id_of(&key, named).to_owned());
            let may_show = MayShow { id, after: Some(Sequence::default()) };
            let head = self.inner.log.head().position.sequence;
            let ToShow { messages, left, seen } =
                self.to_show(&key, &may_show, most, head, connection).await?;
            self.join_aside(&key, seen);
            if !messages.is_empty() || Instant::now() >= end {
                let notices = self.notices(&key);
                return Ok(SessionMessagesResult { messages, left, notices });
            }
            if waits.is_none() {
                let (sessions, id) = (&self.inner.sessions, &may_show.id);
                waits = Wait::begin(sessions, key.clone(), Some(id), connection);
            }
            tokio::select! {
                () = waiter.woken() => {}
                () = self.inner.ended.cancelled() => return Err(AgentsError::Stopping),
                () = tokio::time::sleep_until(end) => {}
            }
        }
    }

    /// What is to be said to a session of the agent, once.
    fn notices(&self, key: &AgentKey) -> Vec<String> {
        self.inner.sessions.change_quietly(|book, _| book.take_notices(key))
    }

    /// What a hook says, in the book. The process of a session that is not live is watched, if it can be.
    fn hook_in_book(&self, key: &AgentKey, params: &SessionHookParams, hook: &Hook<'_>) -> MayShow {
        let (sessions, id) = (&self.inner.sessions, params.session.as_str());
        let is_to_watch = |pid: &u32| {
            params.point != HookPoint::SessionEnd
                && sessions.look(|book| book.hook_needs_process(key, id, *pid))
        };
        let process = params.pid.filter(is_to_watch).map(Process::watch);
        let process = process.and_then(|process| {
            process
                .inspect_err(|error| tracing::debug!("no session of a hook: {}", Chain(error)))
                .ok()
        });
        let mut keeping = process.map(|process| sessions.keeping(Some(process), None));
        let keeper = keeping.as_mut().map(Keeping::take_keeper);
        let may_show = sessions.change(|book, now| book.hook(key, id, hook, keeper, now));
        if let Some(keeping) = keeping {
            sessions.watch(key.clone(), may_show.id.clone(), keeping);
        }
        may_show
    }

    /// Claims messages for a connection that a session may be shown.
    async fn to_show(
        &self,
        key: &AgentKey,
        MayShow { id, after }: &MayShow,
        most: usize,
        head: Sequence,
        connection: &LocalConnection,
    ) -> Result<ToShow, AgentsError> {
        self.digested(head).await?;
        let (of_agent, of_session) = (Reader::agent(&key.agent), Reader::session(key, id));
        let (claims, sessions) = (&self.inner.claims, &self.inner.sessions);
        loop {
            let query = Arc::new(UnshownQuery {
                agent: key.agent.clone(),
                project: key.project.clone(),
                limit: most,
                after: *after,
                held: claims.of_others_in(&key.project, &of_agent, connection),
                held_pending: claims.of_others(&of_session, connection),
                pending: sessions.look(|book| book.pending(key, id)),
            });
            let (log, look) = (self.inner.log.reader(), Arc::clone(&query));
            let answer = self.read(move |store| store.unshown(&log, &look)).await?;
            let Some(shown) = self.whole(answer).await? else { continue };
            if !shown.gone.is_empty() {
                sessions.change_quietly(|book, _| book.not_pending(key, id, &shown.gone));
            }
            let (left, seen) = (shown.left, shown.seen);
            if shown.messages.is_empty() {
                return Ok(ToShow { messages: Vec::new(), left, seen });
            }
            let found = shown.messages.len();
            let (mut read, mut unread): (Vec<_>, Vec<_>) =
                shown.messages.into_iter().partition(|message| message.read);
            self.claim(&of_agent, connection, &mut unread);
            self.claim(&of_session, connection, &mut read);
            // Another caller may have claimed one of them and marked it read between the look and the claim.
            let still = self.still_to_show(key, id, &query, (&unread, &read)).await?;
            let is_shown = |message: &Message| still.contains(&message.sequence);
            for (reader, messages) in [(&of_agent, &mut unread), (&of_session, &mut read)] {
                let over = messages.iter().filter(|message| !is_shown(message));
                claims.read(reader, over.map(|message| message.sequence).collect::<Vec<_>>());
                messages.retain(is_shown);
            }
            let mut messages = unread;
            messages.append(&mut read);
            messages.sort_unstable_by_key(|message| message.sequence);
            if messages.len() == found {
                return Ok(ToShow { messages, left, seen });
            }
            // What another one was faster with may be to be shown to this session in its turn. Its own come again.
        }
    }

    /// Those of the claimed messages, unread ones and read ones, that the session was not shown still.
    async fn still_to_show(
        &self,
        key: &AgentKey,
        id: &str,
        query: &Arc<UnshownQuery>,
        (unread, read): (&[Message], &[Message]),
    ) -> Result<BTreeSet<Sequence>, AgentsError> {
        let mut still = BTreeSet::new();
        if !unread.is_empty() {
            let claimed: Vec<Sequence> = unread.iter().map(|message| message.sequence).collect();
            let query = Arc::clone(query);
            still.extend(self.read(move |store| store.unread_of(&query, &claimed)).await?);
        }
        let pending = self.inner.sessions.look(|book| book.pending(key, id));
        let read = read.iter().map(|message| message.sequence);
        still.extend(read.filter(|sequence| pending.contains(sequence)));
        Ok(still)
    }

    /// Joins the agent if it is new or has not been seen for long, without waiting until that is written: a hook keeps its
    /// tool waiting.
    fn join_aside(&self, key: &AgentKey, seen: Option<Timestamp>) {
        if seen.is_some_and(|at| clock::now().millis_since(at) < SEEN_AGAIN_AFTER_MILLIS) {
            return;
        }
        let (agents, key) = (self.clone(), key.clone());
        tokio::spawn(async move {
            if let Err(error) = agents.join(&key.project, &key.agent, None).await {
                tracing::debug!("an agent could not join: {}", Chain(&error));
            }
        });
    }
}

fn most(asked: Option<u32>) -> usize {
    // An answer without messages means that there are none.
    limit(asked, HOOK_DEFAULT_MESSAGES).clamp(1, SHOWN_MAX)
}
