//! Waking idle sessions: `session.wake` waits until a session is to be woken. Each wake is in the log of thrumd.

use std::time::Duration;

use thrum_api::local::{
    BRAKE_DAEMON_MESSAGES, BRAKE_MESSAGES, BRAKE_SECONDS, SessionWakeParams, SessionWakeResult,
    Wake, WakeSender,
};
use thrum_api::{Address, DaemonId, Sequence, names};
use tokio::time::Instant;

use super::Agents;
use super::claims::Reader;
use super::error::AgentsError;
use super::inbox::{Answer, Shown};
use super::send::OutgoingMessage;
use super::sessions::book::Book;
use super::sessions::brake::{Braked, Other};
use super::sessions::calls::key;
use super::sessions::live::AgentKey;
use super::sessions::texts::Texts;
use super::sessions::waking::{Candidate, MayWake};
use super::sessions::{LocalConnection, WakeOff};
use super::store::Store;
use super::unshown::UnshownQuery;
use super::waiting::WAIT_MAX;
use crate::log::LogReader;
use crate::report::Chain;

/// Messages at most that one wake counts.
const COUNTED_MAX: usize = 100;
/// Messages at most that the log names for a wake: the newest.
const IDS_MAX: usize = 10;
/// Characters of an id that the log names.
const ID_END_CHARS: usize = 6;
/// Senders at most that a wake names.
const SENDERS_MAX: usize = 10;

impl Agents {
    /// Waits until a session is to be woken; None after the time-out. It counts as woken then. Dropping the future stops
    /// waiting.
    ///
    /// # Errors
    /// When names are invalid, when the session is not live (any more), and when the views can't be brought up to the log.
    pub async fn session_wake(
        &self,
        params: SessionWakeParams,
        connection: &LocalConnection,
    ) -> Result<SessionWakeResult, AgentsError> {
        let key = key(&params.agent, &params.project)?;
        let named = params.session.as_str();
        Texts { session: Some(named), ..Texts::default() }.check()?;
        let end = Instant::now() + Duration::from_millis(params.timeout_ms).min(WAIT_MAX);
        let waiter = self.inner.signals.waiters.register(&key.agent, Some(&key.project));
        let sessions = &self.inner.sessions;
        self.watch_waker(&key, named, connection);
        loop {
            let version = sessions.look(|book| book.version(&key));
            let at = self.inner.log.head().position.sequence;
            self.digested(at).await?;
            let may = sessions.change_quietly(|book, now| book.may_wake(&key, named, (at, now)));
            let may = match may {
                // Then there are no sessions any more.
                Err(_) if self.inner.ended.is_cancelled() => return Err(AgentsError::Stopping),
                may => may?,
            };
            // When it is, if nothing changes; None: not then.
            let mut next = None;
            if may.from.is_some() {
                let candidates = self.news(&key, &may, connection).await?;
                if let Some(oldest) = candidates.first().map(|it| it.sequence) {
                    let ready = |book: &mut Book, now| book.ready_at(&key, &may, oldest, now);
                    next = sessions.change_quietly(ready);
                }
                if next.is_some_and(|at| at <= Instant::now()) {
                    let by = (named, &may);
                    let woken = sessions
                        .change_quietly(|book, now| book.wake(&key, by, &candidates, (at, now)));
                    if !woken.is_empty() {
                        return Ok(SessionWakeResult { wake: Some(wake(&key, &may.id, &woken)) });
                    }
                    // Others may be behind those whose senders have a brake.
                    continue;
                }
            }
            if Instant::now() >= end {
                return Ok(SessionWakeResult::default());
            }
            tokio::select! {
                () = waiter.woken() => {}
                () = sessions.moved(&key, version) => {}
                () = self.inner.ended.cancelled() => return Err(AgentsError::Stopping),
                () = tokio::time::sleep_until(next.map_or(end, |next| next.min(end))) => {}
            }
        }
    }

    /// Where sessions of this machine are not woken, from now on.
    pub fn set_wake_off(&self, off: WakeOff) {
        self.inner.sessions.change(|book, now| book.set_wake_off(off, now));
    }

    /// Unread messages that a session might be woken for and that nobody else is being shown: some of the oldest.
    async fn news(
        &self,
        key: &AgentKey,
        may: &MayWake,
        connection: &LocalConnection,
    ) -> Result<Vec<Candidate>, AgentsError> {
        let held =
            self.inner.claims.of_others_in(&key.project, &Reader::agent(&key.agent), connection);
        let first_held = held.first().copied();
        let mut after = may.after;
        loop {
            let query = UnshownQuery {
                agent: key.agent.clone(),
                project: key.project.clone(),
                limit: COUNTED_MAX,
                after: Some(after),
                pending: Default::default(),
                held: held.clone(),
                held_pending: Default::default(),
            };
            let log = self.inner.log.reader();
            let answer = self.read(move |store| store.candidates(&log, &query)).await?;
            let Some(Page { candidates, last }) = self.whole(answer).await? else { continue };
            let Some(last) = last.filter(|_| candidates.is_empty()) else {
                return Ok(candidates);
            };
            // They are not looked at again. What is held may be given back.
            let is_free = first_held.is_none_or(|held| held > last);
            self.inner.sessions.change_quietly(|book, _| {
                if is_free {
                    book.pass_over(key, &may.id, last);
                }
            });
            after = last;
        }
    }

    /// Counts messages between an agent and others, as the brake does. Whoever is no longer woken for another one is told,
    /// and so is that one.
    pub(super) fn count_messages(&self, key: &AgentKey, others: Vec<Other>) {
        let here = self.inner.log.daemon();
        let is_self = |other: &Other| other.agent == key.agent && other.daemon == here;
        for other in others.into_iter().filter(|other| !is_self(other)) {
            let with = (&other, other.daemon != here);
            let count = |book: &mut Book, now| book.count_message(key, with, now);
            if let Some(braked) = self.inner.sessions.change_quietly(count) {
                self.tell_of_brake(key, other, braked);
            }
        }
    }

    fn tell_of_brake(&self, key: &AgentKey, other: Other, braked: Braked) {
        let Other { agent: name, daemon } = &other;
        let minutes = BRAKE_SECONDS / 60;
        let (row, ends) = match braked {
            Braked::Agent => (
                format!(
                    "{BRAKE_MESSAGES} messages within {minutes} minutes, without a prompt of a person or other work between"
                ),
                "when it works on something else",
            ),
            Braked::Daemon => (
                format!(
                    "{BRAKE_DAEMON_MESSAGES} messages with agents of that machine within {minutes} minutes, without a prompt of a person between"
                ),
                "when a person writes a prompt there",
            ),
        };
        let machine = match *daemon == self.inner.log.daemon() {
            true => String::new(),
            false => {
                let told = self.told_name(*daemon).map_or_else(|| daemon.to_string(), |(it, _)| it);
                format!(" on {told}")
            }
        };
        let whose = if braked == Braked::Daemon { "agents" } else { name };
        let notice = format!(
            "Messages of {whose}{machine} no longer wake you: {row}. They are shown with your next prompt or step. \
             {name} has been told so."
        );
        tracing::info!(
            agent = key.agent,
            project = key.project,
            other = name,
            "the brake is on: {row}"
        );
        self.inner.sessions.change_quietly(|book, _| book.notify(key, notice));
        let text = format!(
            "Written by thrum: your messages no longer wake {}. There were {row}. It sees them at its next prompt or \
             step. This ends {ends}, or {minutes} minutes after the last message.",
            key.agent
        );
        let (agents, key) = (self.clone(), key.clone());
        tokio::spawn(async move {
            let to = Address::Agent { name: other.agent, daemon: Some(other.daemon) };
            let draft = OutgoingMessage::automatic(&key.agent, &key.project, text);
            let sent = match draft.into_draft(vec![to]) {
                Ok(draft) => agents.append(vec![draft]).await.map(|_| ()),
                Err(error) => Err(error),
            };
            if let Err(error) = sent {
                tracing::warn!("an agent could not be told of the brake: {}", Chain(&error));
            }
        });
    }
}

/// The answer for messages, which is in the log.
fn wake(key: &AgentKey, session: &str, messages: &[Candidate]) -> Wake {
    let mut from: Vec<WakeSender> = Vec::new();
    for Candidate { from: agent, origin, .. } in messages {
        let sender = WakeSender { agent: agent.clone(), daemon_id: *origin, machine: None };
        if from.len() < SENDERS_MAX && !from.contains(&sender) {
            from.push(sender);
        }
    }
    let senders: Vec<String> =
        from.iter().map(|it| format!("{}@{}", it.agent, it.daemon_id)).collect();
    let ids = messages.iter().rev().take(IDS_MAX).map(|it| end_of_id(&it.event_id.to_string()));
    let ids: Vec<String> = ids.collect();
    tracing::info!(
        agent = key.agent,
        project = key.project,
        session,
        "woken for {} messages ({}) from {}",
        messages.len(),
        ids.join(", "),
        senders.join(", ")
    );
    Wake {
        session: session.to_owned(),
        from,
        messages: u64::try_from(messages.len()).unwrap_or(u64::MAX),
        urgent: messages.iter().any(|message| message.urgent),
    }
}

/// The end of an id, by which a person finds the message.
fn end_of_id(id: &str) -> String {
    id.get(id.len().saturating_sub(ID_END_CHARS)..).unwrap_or(id).to_owned()
}

/// Some of the oldest unread messages.
struct Page {
    /// Those that somebody might be woken for.
    candidates: Vec<Candidate>,
    /// Up to where they are. None: there are none.
    last: Option<Sequence>,
}

impl Store {
    /// Unread messages, and who might be woken for them.
    fn candidates(
        &self,
        log: &LogReader,
        query: &UnshownQuery,
    ) -> Result<Answer<Page>, AgentsError> {
        let entries = self.unread_entries_after(query)?;
        let mut shown = Shown::new(query.limit);
        shown.add(log, &entries)?;
        let is_other = |from: &str, origin: DaemonId| {
            !(origin == self.daemon && names::agent(from).as_ref() == Ok(&query.agent))
        };
        Ok(shown.answer(|messages| {
            let last = messages.last().map(|message| message.sequence);
            let others = messages.into_iter().filter(|it| is_other(&it.from, it.origin_daemon));
            let by_people = others.filter(|message| !message.automatic);
            let candidate = |message: thrum_api::local::Message| Candidate {
                sequence: message.sequence,
                event_id: message.event_id,
                from: message.from,
                origin: message.origin_daemon,
                urgent: message.urgent,
            };
            Page { candidates: by_people.map(candidate).collect(), last }
        }))
    }
}
