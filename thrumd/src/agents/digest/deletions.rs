//! Digests deletions: a message that its sender has deleted leaves inboxes and conversations.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::params;
use serde::Deserialize;
use thrum_api::event::MessageDeleted;
use thrum_api::{DaemonId, EventId, names};

use super::super::bitmaps;
use super::super::broadcasts;
use super::super::directory::{find_inbox, find_project, project_name};
use super::super::error::{AgentsError, log_unread, views};
use super::super::failure::Failure;
use super::super::inbox::count_down;
use super::message::{ParsedMessage, row};
use super::recipients::Recipient;
use super::{Deletion, Page, parsed};
use crate::log::column::int;
use crate::log::{LogReader, StoredEvent};

const EVER_HERE: &str =
    "SELECT id FROM inboxes INDEXED BY inboxes_here WHERE project = ?1 AND was_here";

/// As in `inbox`: none may scan rows whose number grows with the log.
#[cfg(test)]
pub(in super::super) const QUERIES: &[&str] = &[EVER_HERE];

#[derive(Deserialize)]
struct ParsedDeleted {
    origin_daemon: DaemonId,
    body: MessageDeleted,
}

impl Page<'_> {
    /// Notes the deletion. It counts for a message of the same daemon and sender only, and those that come later have
    /// to be told apart by that, too.
    pub(super) fn deleted(&mut self, event: &StoredEvent<'_>) -> Result<(), Failure> {
        let ParsedDeleted { origin_daemon: origin, body } = parsed(event)?;
        let project = self.directory.project(event.project)?;
        project.check([body.from.as_str()])?;
        let sender = project.inbox(self.connection, &body.from)?;
        self.note_seen(sender, origin, event)?;
        let new = self
            .connection
            .prepare_cached(
                "INSERT OR IGNORE INTO deleted (event_id, origin, sender) VALUES (?, ?, ?)",
            )?
            .execute(params![body.event_id.ulid().to_bytes(), origin.to_bytes(), sender])?;
        self.has_deleted = true;
        if new > 0 {
            self.deletions.push(Deletion { event_id: body.event_id, origin, sender });
        }
        Ok(())
    }

    /// Whether the sender has deleted this message already.
    pub(super) fn is_deleted(
        &self,
        event: &StoredEvent<'_>,
        origin: DaemonId,
        sender: i64,
    ) -> rusqlite::Result<bool> {
        let Some(id) = event.event_id.filter(|_| self.has_deleted) else { return Ok(false) };
        self.connection
            .prepare_cached(
                "SELECT 1 FROM deleted WHERE event_id = ? AND origin = ? AND sender = ?",
            )?
            .exists(params![id.ulid().to_bytes(), origin.to_bytes(), sender])
    }

    /// Removes the messages that the events of this page have deleted, as far as they came before. An origin may have
    /// given one id to many events, and many senders may say that they have deleted it: each event is looked at once.
    pub(super) fn remove_deleted(&mut self, log: &LogReader) -> Result<(), AgentsError> {
        let mut senders: BTreeMap<(EventId, DaemonId), BTreeSet<i64>> = BTreeMap::new();
        for Deletion { event_id, origin, sender } in std::mem::take(&mut self.deletions) {
            senders.entry((event_id, origin)).or_default().insert(sender);
        }
        for ((event_id, origin), senders) in senders {
            let found = log.find([event_id]).map_err(log_unread)?.into_iter().flatten();
            let places = found.filter(|event| event.origin == origin).map(|event| event.sequence);
            let mut outcome = Ok(());
            log.each_at(places.collect::<Vec<_>>(), |_, event| {
                outcome = event.map_or(Ok(()), |event| self.remove_message(event, &senders));
                outcome.is_ok()
            })
            .map_err(log_unread)?;
            outcome.map_err(views("remove a deleted message"))?;
        }
        Ok(())
    }

    /// Removes a message from wherever it may be, if it is of one of these senders.
    fn remove_message(
        &self,
        event: &StoredEvent<'_>,
        senders: &BTreeSet<i64>,
    ) -> rusqlite::Result<()> {
        // One that could not be digested is nowhere.
        let Ok(message) = ParsedMessage::parse(event) else { return Ok(()) };
        let body = &message.body;
        let (Ok(named), Ok(project)) = (body.recipients(self.daemon), project_name(event.project))
        else {
            return Ok(());
        };
        let Some(project) = find_project(self.connection, &project)? else { return Ok(()) };
        let sender = find_inbox(self.connection, project, &name(&body.from))?;
        if !sender.is_some_and(|sender| senders.contains(&sender)) {
            return Ok(());
        }
        let sequence = int(event.sequence.0);
        bitmaps::remove(self.connection, project, sequence)?;
        if let Some(parent) = body.reply_to {
            self.connection
                .prepare_cached(
                    "DELETE FROM replies WHERE event_id = ? AND origin = ? AND sequence = ?",
                )?
                .execute(row(parent, sequence))?;
        }
        if let Some(root) = body.thread() {
            self.connection
                .prepare_cached(
                    "DELETE FROM threads WHERE event_id = ? AND origin = ? AND sequence = ?",
                )?
                .execute(row(root, sequence))?;
        }
        let mut inboxes = BTreeSet::new();
        let mut has_group = false;
        for recipient in &named {
            match recipient {
                Recipient::Anywhere(agent) | Recipient::Here(agent) => {
                    inboxes.extend(find_inbox(self.connection, project, &name(agent))?);
                }
                Recipient::Group(_) => has_group = true,
                Recipient::Elsewhere => {}
            }
        }
        let number = broadcasts::number(self.connection, sequence)?;
        // Who was a member when it came may have left the group since, and who was an agent of this machine may be
        // none any more.
        if has_group || number.is_some() {
            for inbox in self.ever_here(project)? {
                if let Some(number) = number {
                    broadcasts::settle(self.connection, inbox, number)?;
                }
                inboxes.insert(inbox);
            }
        }
        for inbox in inboxes {
            self.remove_delivery(inbox, sequence)?;
        }
        Ok(())
    }

    fn remove_delivery(&self, inbox: i64, sequence: i64) -> rusqlite::Result<()> {
        let mut delete = self.connection.prepare_cached(
            "DELETE FROM deliveries WHERE inbox = ? AND read = ? AND sequence = ?",
        )?;
        if delete.execute(params![inbox, false, sequence])? > 0 {
            count_down(self.connection, inbox)?;
        }
        delete.execute(params![inbox, true, sequence])?;
        Ok(())
    }

    /// The inboxes of a project that are or were those of agents of this machine. No others got messages to groups and
    /// to all.
    fn ever_here(&self, project: i64) -> rusqlite::Result<Vec<i64>> {
        self.connection.prepare_cached(EVER_HERE)?.query_map([project], |row| row.get(0))?.collect()
    }
}

/// The name under which an inbox is stored. What is none has no inbox.
fn name(text: &str) -> String {
    names::agent(text).unwrap_or_default()
}
