//! Conversations: single messages by their event, those of a thread, and what an answer takes over from its parent.

use rusqlite::params;
use thrum_api::event::{EventRef, MESSAGE_SENT};
use thrum_api::limits::{MESSAGE_TEXT_MAX_BYTES, REPLIES_MAX};
use thrum_api::local::{
    Message, MessageDeleteParams, MessageShowParams, MessageShowResult, MessageThreadParams,
    MessageThreadResult,
};
use thrum_api::{Address, names};

use super::directory::{find_inbox, find_project};
use super::error::{AgentsError, log_unread, views};
use super::filter::CONVERSATION_FROM;
use super::inbox::{Entry, Shown};
use super::message::message;
use super::send::{self, OutgoingMessage, Target};
use super::store::Store;
use super::{Agents, broadcasts, limit};
use crate::log::LogReader;
use crate::log::column::{int, uint};

/// Messages of a thread in one answer, unless the caller sets a limit.
const THREAD_DEFAULT_MESSAGES: u32 = 200;

const IS_UNREAD: &str = "SELECT 1 FROM deliveries WHERE inbox = ?1 AND read = 0 AND sequence = ?2";
/// `?1` project, `?2` sender, `?3` and `?4` the event.
const IS_DELETED: &str = "SELECT 1
     FROM projects p CROSS JOIN inboxes i ON i.agent = ?2 AND i.project = p.id
       CROSS JOIN deleted d ON d.event_id = ?3 AND d.origin = ?4 AND d.sender = i.id
     WHERE p.name = ?1";
const LEFT: &str =
    "SELECT count(*) FROM threads WHERE event_id = ?1 AND origin = ?2 AND sequence > ?3";

/// As in `inbox`: none may scan rows whose number grows with the log.
#[cfg(test)]
pub(super) const QUERIES: &[&str] = &[IS_UNREAD, IS_DELETED, LEFT];

impl Agents {
    /// One message.
    ///
    /// # Errors
    /// When the name is invalid, when the message is not here or was deleted, and when the views can't be brought up to
    /// the log.
    pub async fn show(&self, params: MessageShowParams) -> Result<MessageShowResult, AgentsError> {
        let agent = names::agent(&params.agent)?;
        self.digested(self.inner.log.head().position.sequence).await?;
        let log = self.inner.log.reader();
        self.read(move |store| {
            let message = store.message(&log, params.message, &agent)?;
            let root = message.thread.unwrap_or(params.message);
            let replies = store.answers_after(root, 0)?;
            Ok(MessageShowResult { message, status: None, replies })
        })
        .await
    }

    /// The messages of a conversation.
    ///
    /// # Errors
    /// As for [`Agents::show`]; of a message that is not here or was deleted, its answers are a conversation, too.
    pub async fn thread(
        &self,
        params: MessageThreadParams,
    ) -> Result<MessageThreadResult, AgentsError> {
        let agent = names::agent(&params.agent)?;
        self.digested(self.inner.log.head().position.sequence).await?;
        let log = self.inner.log.reader();
        self.read(move |store| store.thread(&log, &agent, &params)).await
    }

    /// Deletes a message that the agent has sent on this machine. Does nothing if it is deleted.
    ///
    /// # Errors
    /// As for [`Agents::show`], when it is not the agent's message of this machine, and when the log refuses the event.
    pub async fn delete(&self, params: MessageDeleteParams) -> Result<(), AgentsError> {
        let agent = names::agent(&params.agent)?;
        self.digested(self.inner.log.head().position.sequence).await?;
        let (log, of, name) = (self.inner.log.reader(), params.message, agent.clone());
        let message = match self.read(move |store| store.message(&log, of, &name)).await {
            Err(AgentsError::DeletedMessage { .. }) => return Ok(()),
            message => message?,
        };
        let is_here = message.origin_daemon == self.inner.log.daemon();
        if !is_here || message.from != agent {
            let (event_id, from) = (message.event_id, message.from);
            return Err(AgentsError::NotSender { event_id, from, is_here });
        }
        let deleted = send::deleted(message.project.as_deref(), &agent, message.event_id)?;
        self.append(vec![deleted]).await?;
        Ok(())
    }

    /// Takes over what an answer has from the message that it answers: the conversation, and without recipients whom it
    /// is for. That one is read from the log, so that this doesn't wait for the views.
    pub(super) async fn take_parent(
        &self,
        message: &mut OutgoingMessage,
    ) -> Result<(), AgentsError> {
        let Some(of) = message.reply_to else { return Ok(()) };
        let (log, agent) = (self.inner.log.reader(), message.from.clone());
        let parent = self.read(move |store| store.message(&log, of, &agent)).await?;
        // Neither the conversation nor the names of its people mean anything in another project. One without a project can
        // be answered in any.
        if parent.project.as_ref().is_some_and(|project| *project != message.project) {
            return Err(AgentsError::OtherProject { event_id: of.event_id });
        }
        message.thread = Some(parent.thread.unwrap_or(of));
        if !message.to.is_empty() || message.all {
            return Ok(());
        }
        if parent.from == message.from && parent.origin_daemon == self.inner.log.daemon() {
            // Who answers itself goes on, to the same people.
            message.all = parent.all;
            for text in &parent.to {
                message.to.push(Target::Exactly(text.parse()?));
            }
        } else {
            // Who wrote it under a former id of its machine has the successor's now.
            let of = parent.origin_daemon;
            let daemon = self.machines_now().former.get(&of).copied().unwrap_or(of);
            let (name, daemon) = (parent.from, Some(daemon));
            message.to.push(Target::Exactly(Address::Agent { name, daemon }));
        }
        Ok(())
    }
}

impl Store {
    /// A message of the log, as the agent sees it.
    pub(super) fn message(
        &self,
        log: &LogReader,
        of: EventRef,
        agent: &str,
    ) -> Result<Message, AgentsError> {
        let event_id = of.event_id;
        let found = log.find([event_id]).map_err(log_unread)?.into_iter().flatten();
        let found = found.filter(|event| event.origin == of.origin_daemon);
        let mut shown = None;
        log.each_at(found.map(|event| event.sequence), |_, event| {
            let event = event.filter(|event| event.event_type == MESSAGE_SENT.as_bytes());
            shown = event.and_then(|event| message(event, true));
            shown.is_none()
        })
        .map_err(log_unread)?;
        // A larger one is in no inbox either.
        let shown = shown.filter(|message| message.text.len() <= MESSAGE_TEXT_MAX_BYTES);
        let mut shown = shown.ok_or(AgentsError::NoMessage { event_id })?;
        if self.is_deleted(&shown).map_err(views("look for a deleted message"))? {
            return Err(AgentsError::DeletedMessage { event_id });
        }
        shown.read = !self.is_unread(agent, &shown).map_err(views("look into an inbox"))?;
        Ok(shown)
    }

    fn is_deleted(&self, message: &Message) -> rusqlite::Result<bool> {
        let project = message.project.as_deref().unwrap_or_default();
        let (id, origin) = (message.event_id.ulid().to_bytes(), message.origin_daemon.to_bytes());
        self.connection.prepare_cached(IS_DELETED)?.exists(params![
            project,
            message.from,
            id,
            origin
        ])
    }

    /// Whether the agent has still to read this message. It has not if the message is not for it.
    pub(super) fn is_unread(&self, agent: &str, message: &Message) -> rusqlite::Result<bool> {
        let project = message.project.as_deref().unwrap_or_default();
        let Some(project) = find_project(&self.connection, project)? else { return Ok(false) };
        let Some(inbox) = find_inbox(&self.connection, project, agent)? else { return Ok(false) };
        let sequence = int(message.sequence.0);
        if self.connection.prepare_cached(IS_UNREAD)?.exists([inbox, sequence])? {
            return Ok(true);
        }
        match broadcasts::number(&self.connection, sequence)? {
            Some(number) => broadcasts::is_unread(&self.connection, inbox, number),
            None => Ok(false),
        }
    }

    /// A page of a conversation. Nothing follows answers from one to the next, so that circles do no harm.
    pub(super) fn thread(
        &self,
        log: &LogReader,
        agent: &str,
        params: &MessageThreadParams,
    ) -> Result<MessageThreadResult, AgentsError> {
        let doing = views("read a conversation");
        let asked = self.message(log, params.message, agent);
        let root = match &asked {
            Ok(message) => message.thread.unwrap_or(params.message),
            // Which it is is told below.
            Err(_) => params.message,
        };
        let first = if root == params.message { asked } else { self.message(log, root, agent) };
        let first = match first {
            Err(AgentsError::NoMessage { .. } | AgentsError::DeletedMessage { .. })
                if self.answers_after(root, 0)? > 0 =>
            {
                None
            }
            first => Some(first?),
        };
        let after = params.after.map_or(0, |after| int(after.0));
        // The first message may have come after its answers: a page goes on after its last one, which must be an answer.
        let room = limit(params.limit, THREAD_DEFAULT_MESSAGES).max(2);
        let mut shown = Shown::new(room);
        let own = first.as_ref().map(|first| first.sequence);
        if let Some(first) = first.filter(|_| params.after.is_none()) {
            shown.takes(first);
        }
        let (id, origin) = (root.event_id.ulid().to_bytes(), root.origin_daemon.to_bytes());
        let room = i64::try_from(room).unwrap_or(i64::MAX);
        let entries: Vec<Entry> = self
            .connection
            .prepare_cached(CONVERSATION_FROM)
            .and_then(|mut query| {
                query
                    .query_map(params![id, origin, after, room], |row| {
                        Ok(Entry { inbox: 0, sequence: row.get(0)?, read: true })
                    })?
                    .collect()
            })
            .map_err(&doing)?;
        shown.add(log, &entries)?;
        let mut messages = shown.messages;
        for message in &mut messages {
            message.read = !self.is_unread(agent, message).map_err(&doing)?;
        }
        let last = messages.last().filter(|message| Some(message.sequence) != own);
        let left = self.answers_after(root, last.map_or(after, |last| int(last.sequence.0)))?;
        Ok(MessageThreadResult { thread: root, messages, left })
    }

    /// How many answers of a conversation are after a position.
    pub(super) fn answers_after(&self, root: EventRef, after: i64) -> Result<u64, AgentsError> {
        let (id, origin) = (root.event_id.ulid().to_bytes(), root.origin_daemon.to_bytes());
        self.connection
            .prepare_cached(LEFT)
            .and_then(|mut query| {
                query.query_row(params![id, origin, after], |row| row.get(0).map(uint))
            })
            .map_err(views("count the messages of a conversation"))
    }

    /// How many answers a conversation has, counted up to [`REPLIES_MAX`]: a list counts those of many, and some are long.
    pub(super) fn replies(&self, root: EventRef) -> Result<u64, AgentsError> {
        let (id, origin) = (root.event_id.ulid().to_bytes(), root.origin_daemon.to_bytes());
        let count = || {
            let mut query = self.connection.prepare_cached(CONVERSATION_FROM)?;
            let mut rows = query.query(params![id, origin, 0, int(REPLIES_MAX)])?;
            let mut count = 0;
            while rows.next()?.is_some() {
                count += 1;
            }
            Ok(count)
        };
        count().map_err(views("count the messages of a conversation"))
    }
}
