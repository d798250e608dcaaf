//! Marks messages read by their reader.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;
use thrum_api::event::Route;
use thrum_api::local::{MarkReadParams, MessageRef};
use thrum_api::{DaemonId, Sequence, Timestamp, names};

use super::claims::Reader;
use super::directory::{find_inbox, find_project, project_name};
use super::error::{self, AgentsError, views};
use super::inbox::count_down;
use super::marks::{ReadMark, route_name};
use super::message::message;
use super::sessions::brake::Other;
use super::sessions::live::AgentKey;
use super::sessions::shared::Sessions;
use super::store::Store;
use super::waiters::News;
use super::{Agents, broadcasts, marks};
use crate::clock;
use crate::log::column::int;
use crate::log::{FoundEvent, LogError, LogReader};

const DELIVERED: &str =
    "SELECT 1 FROM deliveries WHERE inbox = ?1 AND read IN (0, 1) AND sequence = ?2";

/// As in `inbox`: none may scan rows whose number grows with the log.
#[cfg(test)]
pub(super) const QUERIES: &[&str] = &[DELIVERED];

/// Who reads, and how.
pub(super) struct Reading {
    pub(super) agent: String,
    pub(super) route: Route,
    /// The session that the messages were shown to.
    pub(super) session: Option<String>,
    pub(super) at: Timestamp,
    /// Messages that the session was woken for.
    pub(super) woken: BTreeSet<Sequence>,
}

/// What was marked.
#[derive(Debug, Default)]
pub(super) struct Marked {
    /// Another daemon has to be told of one.
    pub(super) owes: bool,
    /// Those that the agent had not read before.
    pub(super) new: BTreeSet<Sequence>,
}

impl Agents {
    /// Marks messages read by their reader, all or none. With a session: it was shown them, and the other live sessions of
    /// that agent are to be.
    ///
    /// # Errors
    /// When the name of reader or session is invalid, when an id alone could be two messages of its inboxes, and when the
    /// views can't be brought up to the log.
    pub async fn mark_read(&self, params: MarkReadParams) -> Result<(), AgentsError> {
        let mut reading = Reading {
            agent: names::agent(&params.agent)?,
            route: params.route.unwrap_or(Route::Other),
            session: marks::session(params.session)?,
            at: clock::now(),
            woken: BTreeSet::new(),
        };
        self.inner.log.files().check().map_err(|changed| {
            let source = Box::new(LogError::FilesChanged(changed));
            AgentsError::Log { doing: "mark messages read", source }
        })?;
        self.digested(self.inner.log.head().position.sequence).await?;
        let (log, sessions) = (self.inner.log.reader(), self.inner.sessions.clone());
        // An origin may give one id to many messages: these are looked up once.
        let mut named = BTreeSet::new();
        let mut messages = params.messages;
        messages.retain(|message| named.insert((message.event_id, message.origin_daemon)));
        let (agent, session) = (reading.agent.clone(), reading.session.clone());
        let mark = move |store: &mut Store| {
            let ids = messages.iter().map(|message| message.event_id);
            let found = log.find(ids).map_err(error::log_unread)?;
            let meant: Vec<FoundEvent> = meant(&messages, &found).cloned().collect();
            let by_hook = matches!(reading.route, Route::Hook | Route::Mcp);
            if let Some(session) = reading.session.as_ref().filter(|_| by_hook) {
                reading.woken = woken(&sessions, &reading.agent, session, &meant);
            }
            let marked = store.mark_read(&reading, &messages, &found)?;
            let by_hook = by_hook || reading.route == Route::Wake;
            let senders = match by_hook && reading.session.is_some() {
                true => senders(&log, &marked.new).map_err(error::log_unread)?,
                false => BTreeMap::new(),
            };
            Ok((marked, meant, senders))
        };
        let (marked, meant, senders) = self.call(mark).await?;
        if !marked.new.is_empty() {
            self.inner.signals.marks.send_modify(|count| *count = count.wrapping_add(1));
        }
        if let Some(session) = session {
            self.was_shown(&agent, &session, &marked, &meant);
        }
        for (project, others) in senders {
            self.count_messages(&AgentKey { project, agent: agent.clone() }, others);
        }
        let read = meant.iter().map(|event| event.sequence);
        self.inner.claims.read(&Reader::agent(&agent), read);
        if marked.owes {
            self.inner.signals.receipts.notify_one();
        }
        // A file that was removed meanwhile is made anew, with these marks.
        self.digested(self.inner.log.head().position.sequence).await
    }

    /// A session was shown messages. Before they are claimed no more: another session of the agent that looks then finds
    /// each of them unread or still to be shown to it.
    fn was_shown(&self, agent: &str, session: &str, marked: &Marked, meant: &[FoundEvent]) {
        let mut shown: BTreeMap<String, BTreeSet<Sequence>> = BTreeMap::new();
        for event in meant {
            if let Ok(project) = project_name(event.project.as_deref()) {
                shown.entry(project).or_default().insert(event.sequence);
            }
        }
        let mut news = News::default();
        for (project, sequences) in shown {
            let key = AgentKey { project, agent: agent.to_owned() };
            let new: BTreeSet<Sequence> = sequences.intersection(&marked.new).copied().collect();
            let (id, others) = self
                .inner
                .sessions
                .change_quietly(|book, _| book.was_shown(&key, session, &sequences, &new));
            self.inner.claims.read(&Reader::session(&key, &id), sequences);
            if others {
                news.add_agent(agent, &key.project);
            }
        }
        self.inner.signals.waiters.wake(&news);
    }
}

/// Those of these messages that a session was woken for.
fn woken(
    sessions: &Sessions,
    agent: &str,
    session: &str,
    messages: &[FoundEvent],
) -> BTreeSet<Sequence> {
    let is_woken = |event: &&FoundEvent| {
        let project = project_name(event.project.as_deref());
        project.is_ok_and(|project| {
            let key = AgentKey { project, agent: agent.to_owned() };
            sessions.look(|book| book.was_woken_for(&key, session, event.sequence))
        })
    };
    messages.iter().filter(is_woken).map(|event| event.sequence).collect()
}

/// Who wrote these messages, by project. Those that daemons wrote don't count.
fn senders(
    log: &LogReader,
    messages: &BTreeSet<Sequence>,
) -> Result<BTreeMap<String, Vec<Other>>, LogError> {
    let mut senders: BTreeMap<String, Vec<Other>> = BTreeMap::new();
    log.each_at(messages.iter().copied(), |_, event| {
        let message = event.and_then(|event| message(event, true)).filter(|it| !it.automatic);
        if let Some(message) = message {
            let other = Other { agent: message.from, daemon: message.origin_daemon };
            senders.entry(message.project.unwrap_or_default()).or_default().push(other);
        }
        true
    })?;
    Ok(senders)
}

impl Store {
    /// Marks messages read by an agent, all or none. `found`: for each of them, the events with its id. Messages that it
    /// did not get or has read cost no write.
    pub(super) fn mark_read(
        &mut self,
        reading: &Reading,
        messages: &[MessageRef],
        found: &[Vec<FoundEvent>],
    ) -> Result<Marked, AgentsError> {
        let here = self.daemon;
        let mut marked = Marked::default();
        let doing = views("mark messages read");
        let transaction = self.connection.transaction().map_err(&doing)?;
        for (message, with_id) in messages.iter().zip(found) {
            let mut delivered = Vec::new();
            let mut daemons = BTreeSet::new();
            for event in of_origin(message, with_id) {
                if let Some(delivery) = find(&transaction, &reading.agent, event).map_err(&doing)? {
                    delivered.push(delivery);
                    daemons.insert(event.origin);
                }
            }
            // Whoever gave an id alone meant one of them. If both were marked, nobody might ever read the other one.
            if daemons.len() > 1 {
                let (agent, daemons) = (reading.agent.clone(), daemons.len());
                return Err(AgentsError::AmbiguousId {
                    agent,
                    event_id: message.event_id,
                    daemons,
                });
            }
            for delivery in delivered {
                let told = mark(&transaction, here, reading, &delivery).map_err(&doing)?;
                let Some(told) = told else { continue };
                marked.owes |= !told;
                marked.new.insert(delivery.event.sequence);
            }
        }
        transaction.commit().map_err(&doing)?;
        Ok(marked)
    }
}

/// The events that a reader means by these messages. `found`: for each of them, the events with its id.
pub(super) fn meant<'a>(
    messages: &'a [MessageRef],
    found: &'a [Vec<FoundEvent>],
) -> impl Iterator<Item = &'a FoundEvent> {
    messages.iter().zip(found).flat_map(|(message, with_id)| of_origin(message, with_id))
}

/// Those of these events that are of the message's daemon, or all if it names none.
fn of_origin<'a>(
    message: &'a MessageRef,
    with_id: &'a [FoundEvent],
) -> impl Iterator<Item = &'a FoundEvent> {
    let is_meant = |event: &&FoundEvent| message.origin_daemon.is_none_or(|of| of == event.origin);
    with_id.iter().filter(is_meant)
}

/// A message in an inbox.
struct Delivery<'a> {
    inbox: i64,
    event: &'a FoundEvent,
}

/// Where the agent has this message; None if it did not get it.
fn find<'a>(
    connection: &Connection,
    agent: &str,
    event: &'a FoundEvent,
) -> rusqlite::Result<Option<Delivery<'a>>> {
    // An event with a name that is none was not digested.
    let Ok(project) = project_name(event.project.as_deref()) else {
        return Ok(None);
    };
    let Some(project) = find_project(connection, &project)? else { return Ok(None) };
    let Some(inbox) = find_inbox(connection, project, agent)? else { return Ok(None) };
    let sequence = int(event.sequence.0);
    let is_there = connection.prepare_cached(DELIVERED)?.exists([inbox, sequence])?
        || match broadcasts::number(connection, sequence)? {
            Some(number) => broadcasts::is_unread(connection, inbox, number)?,
            None => false,
        };
    Ok(is_there.then_some(Delivery { inbox, event }))
}

/// Marks it read, unless it is. Answers whether its daemon knows already.
fn mark(
    connection: &Connection,
    here: DaemonId,
    reading: &Reading,
    delivery: &Delivery<'_>,
) -> rusqlite::Result<Option<bool>> {
    let Delivery { inbox, event } = *delivery;
    if !is_read_now(connection, inbox, int(event.sequence.0))? {
        return Ok(None);
    }
    // The marks themselves tell it of messages that were sent here.
    let told = event.origin == here;
    let project = event.project.as_deref().map(|name| project_name(Some(name)));
    let route = match reading.woken.contains(&event.sequence) {
        true => Route::Wake,
        false => reading.route,
    };
    let mark = ReadMark {
        agent: reading.agent.clone(),
        origin: event.origin.to_bytes(),
        event_id: event.event_id.ulid().to_bytes(),
        project: project.and_then(Result::ok).unwrap_or_default(),
        at: reading.at.as_millis(),
        route: route_name(route).to_owned(),
        session: reading.session.clone(),
        told,
    };
    mark.store(connection)?;
    Ok(Some(told))
}

/// Makes an unread message a read one. False if the inbox does not have it, or it was read before.
fn is_read_now(connection: &Connection, inbox: i64, sequence: i64) -> rusqlite::Result<bool> {
    let moved = connection
        .prepare_cached(
            "UPDATE deliveries SET read = 1 WHERE inbox = ? AND read = 0 AND sequence = ?",
        )?
        .execute([inbox, sequence])?;
    if moved > 0 {
        count_down(connection, inbox)?;
        return Ok(true);
    }
    let Some(number) = broadcasts::number(connection, sequence)? else { return Ok(false) };
    let settled = broadcasts::settle(connection, inbox, number)?;
    if settled {
        connection
            .prepare_cached("INSERT INTO deliveries (inbox, read, sequence) VALUES (?, 1, ?)")?
            .execute([inbox, sequence])?;
    }
    Ok(settled)
}
