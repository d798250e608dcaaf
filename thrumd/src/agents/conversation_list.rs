//! The conversations of a project or of all of them, that with the newest message first: for pages and dashboards.

use std::collections::BTreeSet;

use rusqlite::params;
use serde::Deserialize;
use thrum_api::event::EventRef;
use thrum_api::local::{Conversation, ConversationListParams, ConversationListResult, Message};
use thrum_api::{DaemonId, Sequence, names};

use super::bitmaps::{self, ALL_PROJECTS};
use super::delivery::Summarizer;
use super::error::{AgentsError, log_unread, views};
use super::filter::CONVERSATION_NEWEST;
use super::message_list::{Found, ListQuery, Listed, Page, Place, page_limit};
use super::reach::Machines;
use super::store::Store;
use super::{Agents, project};
use crate::log::column::{int, uint};
use crate::log::{LogHead, LogReader, StoredEvent};

/// Conversations in an answer, unless the caller sets a limit.
const LIST_DEFAULT: u32 = 20;
/// Conversations in an answer at most.
const LIST_MAX: u32 = 100;
/// Messages that one call looks at to find conversations.
const EXAMINED_MAX: usize = 4000;
/// Messages that are looked at together at most.
const CHUNK_MAX: usize = 500;
/// Of a conversation, answers that are looked at to find the newest one of the list.
const ANSWERS_MAX: i64 = 1000;

/// A conversation that is to be shown.
struct Candidate {
    root: EventRef,
    /// Where its newest message is.
    last: i64,
    /// Where its first one is, if it is here.
    first: Option<i64>,
}

/// A message that was looked at: which conversation it belongs to.
struct Examined {
    sequence: i64,
    root: EventRef,
    is_answer: bool,
}

#[derive(Deserialize)]
struct Head {
    origin_daemon: DaemonId,
    body: HeadBody,
}

#[derive(Deserialize)]
struct HeadBody {
    #[serde(default)]
    reply_to: Option<EventRef>,
    #[serde(default)]
    thread: Option<EventRef>,
}

impl Agents {
    /// Conversations of a project or of all, that with the newest message first.
    ///
    /// # Errors
    /// When a name is invalid, and when the views can't be brought up to the log.
    pub async fn conversation_list(
        &self,
        params: ConversationListParams,
    ) -> Result<ConversationListResult, AgentsError> {
        let query = ListQuery {
            agent: params.agent.as_deref().map(names::agent).transpose()?,
            project: project(params.project)?,
            from: Place::Before(params.before.map_or(i64::MAX, |before| int(before.0))),
            limit: page_limit(params.limit, LIST_DEFAULT, LIST_MAX),
        };
        let (log, machines) = (self.inner.log.reader(), self.machines_now());
        self.listed(move |store, head| store.conversation_list(&log, &query, &machines, head)).await
    }
}

impl Store {
    /// A page of conversations. A message tells which one it belongs to, so they are found by walking through messages;
    /// one that goes on later than this page is on an earlier one.
    pub(super) fn conversation_list(
        &self,
        log: &LogReader,
        query: &ListQuery,
        machines: &Machines,
        head: LogHead,
    ) -> Result<Listed<ConversationListResult>, AgentsError> {
        let doing = views("list conversations");
        let mut result = ConversationListResult { conversations: Vec::new(), next: None };
        let mut damaged = Vec::new();
        let Some(list) = self.list_of(query.project.as_deref()).map_err(&doing)? else {
            return Ok(Listed { result, damaged });
        };
        let (mut from, mut examined) = (query.from, 0);
        let (mut seen, mut candidates) = (BTreeSet::new(), Vec::new());
        // Most conversations are short: as many messages as there may be conversations, and then more.
        let mut chunk = query.limit + 1;
        'walk: loop {
            let places = self.places(list, from, chunk).map_err(&doing)?;
            for message in examine(log, &places, &mut damaged)? {
                if !seen.insert(message.root) {
                    continue;
                }
                let Some(candidate) = self.candidate(log, list, &message)? else { continue };
                if candidates.len() == query.limit {
                    result.next = candidates.last().map(|it: &Candidate| Sequence(uint(it.last)));
                    break 'walk;
                }
                candidates.push(candidate);
            }
            examined += places.len();
            let Some(last) = places.last().filter(|_| places.len() == chunk) else { break };
            if examined >= EXAMINED_MAX {
                result.next = Some(Sequence(uint(*last)));
                break;
            }
            from = Place::Before(*last);
            chunk = (2 * chunk).min(CHUNK_MAX);
        }
        let mut page = Page::with_texts();
        let mut summarizer = Summarizer::new(self, log, machines, head.position.sequence);
        for candidate in candidates {
            let Candidate { root, last, first } = candidate;
            // Both or none of them.
            let places: Vec<i64> =
                [last].into_iter().chain(first.filter(|it| *it != last)).collect();
            self.read_page(log, &places, usize::MAX, &mut page)?;
            if page.is_full {
                result.next = result.conversations.last().map(|it| it.last.message.sequence);
                break;
            }
            let mut messages = page.messages.drain(..);
            let first_shown = |message: &Message| Some(int(message.sequence.0)) == first;
            let Some(found) = messages.next() else { continue };
            let own = Some(found.shown.clone()).filter(first_shown);
            let mut first = messages.next().map(|Found { shown, .. }| shown).or(own);
            drop(messages);
            if let Some(first) = &mut first {
                self.note_read(query.agent.as_deref(), first)?;
            }
            let last = self.with_delivery(&mut summarizer, query.agent.as_deref(), found)?;
            let replies = self.replies(root)?;
            result.conversations.push(Conversation { thread: root, first, last, replies });
        }
        damaged.append(&mut page.damaged);
        Ok(Listed { result, damaged })
    }

    /// The conversation of a message, if that is its newest one in the list.
    fn candidate(
        &self,
        log: &LogReader,
        list: i64,
        message: &Examined,
    ) -> Result<Option<Candidate>, AgentsError> {
        let doing = views("list conversations");
        let Examined { sequence, root, is_answer } = *message;
        for at in self.answers_after_in(root, list, sequence).map_err(&doing)? {
            // Nobody comes to one that the log has lost.
            if !examine(log, &[at], &mut Vec::new())?.is_empty() {
                return Ok(None);
            }
        }
        if !is_answer {
            return Ok(Some(Candidate { root, last: sequence, first: Some(sequence) }));
        }
        let found = log.find([root.event_id]).map_err(log_unread)?.into_iter().flatten();
        let mut first = None;
        for event in found.filter(|event| event.origin == root.origin_daemon) {
            let at = int(event.sequence.0);
            // The first message may have come after its answers. What others name as such may be an answer, though.
            if at > sequence && bitmaps::has(&self.connection, list, at).map_err(&doing)? {
                let itself = examine(log, &[at], &mut Vec::new())?;
                if itself.iter().any(|message| message.root == root) {
                    return Ok(None);
                }
            }
            // A deleted one is in no list.
            if bitmaps::has(&self.connection, ALL_PROJECTS, at).map_err(&doing)? {
                first = Some(at);
            }
        }
        Ok(Some(Candidate { root, last: sequence, first }))
    }

    /// Where the answers of a conversation after a position are that are in the list, the newest first. Others may have
    /// written many into other projects.
    fn answers_after_in(
        &self,
        root: EventRef,
        list: i64,
        sequence: i64,
    ) -> rusqlite::Result<Vec<i64>> {
        let (id, origin) = (root.event_id.ulid().to_bytes(), root.origin_daemon.to_bytes());
        let mut query = self.connection.prepare_cached(CONVERSATION_NEWEST)?;
        let mut rows = query.query(params![id, origin, ANSWERS_MAX])?;
        let mut answers = Vec::new();
        while let Some(row) = rows.next()? {
            let at = row.get(0)?;
            if at <= sequence {
                break;
            }
            if list == ALL_PROJECTS || bitmaps::has(&self.connection, list, at)? {
                answers.push(at);
            }
        }
        Ok(answers)
    }
}

/// Looks which conversations the messages at these positions belong to.
fn examine(
    log: &LogReader,
    places: &[i64],
    damaged: &mut Vec<Sequence>,
) -> Result<Vec<Examined>, AgentsError> {
    let mut examined = Vec::new();
    log.each_at(places.iter().map(|place| Sequence(uint(*place))), |sequence, event| {
        match event.and_then(|event| examined_one(sequence, event)) {
            Some(message) => examined.push(message),
            None if event.is_some_and(|event| event.is_damaged()) => damaged.push(sequence),
            None => {}
        }
        true
    })
    .map_err(log_unread)?;
    Ok(examined)
}

fn examined_one(sequence: Sequence, event: &StoredEvent<'_>) -> Option<Examined> {
    let Head { origin_daemon, body } = serde_json::from_slice(event.json).ok()?;
    let itself = EventRef { event_id: event.event_id?, origin_daemon };
    let root = body.thread.or(body.reply_to).unwrap_or(itself);
    Some(Examined { sequence: int(sequence.0), root, is_answer: root != itself })
}
