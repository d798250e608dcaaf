//! Indexes pages of the log: messages, and which of them were deleted.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension, params};
use serde::Deserialize;
use thrum_api::event::{MESSAGE_DELETED, MESSAGE_SENT, MessageDeleted};
use thrum_api::limits::RECIPIENTS_MAX;
use thrum_api::local::Message;
use thrum_api::{DaemonId, EventId, LogPosition, Sequence, names};

use super::super::directory::project_name;
use super::super::message::message;
use super::super::store::Cursor;
use super::error::{SearchError, index, log_unread};
use super::facets::{self, Facet, Facets};
use super::index::Index;
use super::snippet::plain;
use crate::log::column::{Daemon, Id, int};
use crate::log::{LogHead, LogReader, StoredEvent};

/// Events in one transaction. A search waits for one at most.
const PAGE_EVENTS: usize = 1000;
const DOING: &str = "index messages";
const PLACE: &str = "SELECT project, sender, origin FROM messages WHERE sequence = ?";

/// A page that was indexed.
pub(super) struct IndexedPage {
    pub(super) cursor: Cursor,
    /// Rows of the log that were found damaged.
    pub(super) damaged: Vec<Sequence>,
}

impl Index {
    /// Indexes the events that follow the cursor. Without any, the remaining positions no longer hold one.
    pub(super) fn page(
        &mut self,
        log: &LogReader,
        after: Cursor,
        head: LogHead,
    ) -> Result<IndexedPage, SearchError> {
        self.change(DOING, after, |connection| {
            let mut page = Page::new(connection).map_err(index(DOING))?;
            let mut position = head.position;
            let mut failure = None;
            log.each_after(after.position.sequence, PAGE_EVENTS, |event| {
                position = LogPosition { sequence: event.sequence, hash: event.hash };
                failure = page.take(event).err();
                failure.is_none()
            })
            .map_err(log_unread)?;
            if let Some(failure) = failure {
                return Err(index(DOING)(failure));
            }
            page.delete(log)?;
            let cursor = Cursor { epoch: head.epoch, position };
            Ok((cursor, IndexedPage { cursor, damaged: page.damaged }))
        })
    }
}

#[derive(Deserialize)]
struct Deletion {
    origin_daemon: DaemonId,
    body: MessageDeleted,
}

/// Whose a message is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    project: i64,
    sender: i64,
    origin: i64,
}

struct Page<'a> {
    connection: &'a Connection,
    facets: Facets,
    /// Whether any message was ever deleted: nearly always none was.
    has_deletions: bool,
    /// The messages that are to be removed, and who says so of them.
    deleted: BTreeMap<(EventId, DaemonId), BTreeSet<Place>>,
    damaged: Vec<Sequence>,
}

impl<'a> Page<'a> {
    fn new(connection: &'a Connection) -> rusqlite::Result<Self> {
        let has_deletions = connection.prepare_cached("SELECT 1 FROM deleted")?.exists([])?;
        let (facets, deleted, damaged) = Default::default();
        Ok(Self { connection, facets, has_deletions, deleted, damaged })
    }

    fn take(&mut self, event: &StoredEvent<'_>) -> rusqlite::Result<()> {
        if event.event_type == MESSAGE_SENT.as_bytes() {
            match message(event, false) {
                Some(message) => self.message(&message)?,
                None if event.is_damaged() => self.damaged.push(event.sequence),
                None => {}
            }
        } else if event.event_type == MESSAGE_DELETED.as_bytes() {
            match serde_json::from_slice(event.json) {
                Ok(deletion) => self.deletion(event, deletion)?,
                Err(_) if event.is_damaged() => self.damaged.push(event.sequence),
                Err(_) => {}
            }
        }
        Ok(())
    }

    fn message(&mut self, message: &Message) -> rusqlite::Result<()> {
        // As in the views: such a message is in no inbox.
        let is_to_nobody = message.to.is_empty() && !message.all;
        if is_to_nobody || message.to.len() > RECIPIENTS_MAX {
            return Ok(());
        }
        let project = message.project.as_deref().unwrap_or_default();
        let origin = message.origin_daemon.to_bytes();
        let place = self.place(project, &message.from, origin)?;
        let id = message.event_id.ulid().to_bytes();
        if self.has_deletions && self.is_deleted(id, place)? {
            return Ok(());
        }
        let Place { project, sender, origin } = place;
        let sequence = int(message.sequence.0);
        let words = [project, sender, origin].map(facets::word).join(" ");
        self.connection
            .prepare_cached("INSERT INTO words (rowid, text, facets) VALUES (?, ?, ?)")?
            .execute(params![sequence, plain(&message.text), words])?;
        self.connection
            .prepare_cached(
                "INSERT INTO messages (sequence, project, sender, origin, timestamp)
                 VALUES (?, ?, ?, ?, ?)",
            )?
            .execute(params![sequence, project, sender, origin, message.timestamp.as_millis()])?;
        Ok(())
    }

    fn deletion(&mut self, event: &StoredEvent<'_>, deletion: Deletion) -> rusqlite::Result<()> {
        let Deletion { origin_daemon: origin, body } = deletion;
        let (Ok(project), Ok(from)) = (project_name(event.project), names::agent(&body.from))
        else {
            return Ok(());
        };
        let place = self.place(&project, &from, origin.to_bytes())?;
        let id: Id = body.event_id.ulid().to_bytes();
        let new = self
            .connection
            .prepare_cached(
                "INSERT OR IGNORE INTO deleted (event_id, origin, project, sender)
                 VALUES (?, ?, ?, ?)",
            )?
            .execute(params![id, place.origin, place.project, place.sender])?;
        self.has_deletions = true;
        if new > 0 {
            self.deleted.entry((body.event_id, origin)).or_default().insert(place);
        }
        Ok(())
    }

    fn place(&mut self, project: &str, sender: &str, origin: Daemon) -> rusqlite::Result<Place> {
        let mut number = |facet, value| self.facets.number(self.connection, facet, value);
        Ok(Place {
            project: number(Facet::Project, project.as_bytes())?,
            sender: number(Facet::Sender, sender.as_bytes())?,
            origin: number(Facet::Origin, &origin)?,
        })
    }

    fn is_deleted(&self, id: Id, place: Place) -> rusqlite::Result<bool> {
        let Place { project, sender, origin } = place;
        self.connection
            .prepare_cached(
                "SELECT 1 FROM deleted
                 WHERE event_id = ? AND origin = ? AND project = ? AND sender = ?",
            )?
            .exists(params![id, origin, project, sender])
    }

    /// Removes messages that are indexed already. Their ids stand in the log alone. An origin may have given one id to
    /// many events, and many senders may say that they have deleted it: each event is looked at once.
    fn delete(&self, log: &LogReader) -> Result<(), SearchError> {
        for ((event_id, origin), places) in &self.deleted {
            let found = log.find([*event_id]).map_err(log_unread)?.into_iter().flatten();
            for event in found.filter(|event| event.origin == *origin) {
                self.delete_message(int(event.sequence.0), places).map_err(index(DOING))?;
            }
        }
        Ok(())
    }

    /// Removes a message if it is of one of these.
    fn delete_message(&self, sequence: i64, places: &BTreeSet<Place>) -> rusqlite::Result<()> {
        let place = self
            .connection
            .prepare_cached(PLACE)?
            .query_row([sequence], |row| {
                Ok(Place { project: row.get(0)?, sender: row.get(1)?, origin: row.get(2)? })
            })
            .optional()?;
        if place.is_some_and(|place| places.contains(&place)) {
            self.connection
                .prepare_cached("DELETE FROM messages WHERE sequence = ?")?
                .execute([sequence])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tempfile::TempDir;
    use thrum_api::Epoch;
    use ulid::Ulid;

    use super::*;
    use crate::keys::SecretKey;
    use crate::testing::statement_runs;

    #[test]
    fn each_message_of_an_id_is_looked_at_once_however_many_have_deleted_it() {
        const MESSAGES: usize = 300;
        const DELETIONS: usize = 200;
        let directory = TempDir::new().unwrap();
        let (log, rows) = LogReader::of_new_log(directory.path());
        let daemon = SecretKey::from_seed(&[2; 32]).id();
        let id = EventId::from_ulid(Ulid::from(7_u128));
        rows.execute(
            "INSERT INTO origins (id, daemon_id, epoch, head, chain, top, forked, last, recent)
             VALUES (1, ?1, zeroblob(16), 0, zeroblob(32), 0, 0, 0, 0)",
            [daemon.to_bytes()],
        )
        .unwrap();
        let message = |_| (MESSAGE_SENT, json!({ "from": "a", "to": ["x"], "text": "word" }));
        let deletion = |n| {
            let from = if n == 0 { "a".to_owned() } else { format!("a{n}") };
            (MESSAGE_DELETED, json!({ "from": from, "event_id": id }))
        };
        let events = (0..MESSAGES).map(message).chain((0..DELETIONS).map(deletion));
        for (number, (event_type, body)) in (1_i64..).zip(events) {
            let event = json!({
                "event_id": id, "origin_daemon": daemon, "origin_sequence": number,
                "origin_epoch": Epoch::from_ulid(Ulid::from(9_u128)), "hlc": "0192f3a1b2c3-0004",
                "timestamp": "2020-06-24T16:00:00.123Z", "type": event_type, "body": body,
            });
            let json = serde_json::to_vec(&event).unwrap();
            let is_message = event_type == MESSAGE_SENT;
            let other = EventId::from_ulid(Ulid::from(u128::from(1000 + number.unsigned_abs())));
            let id = if is_message { id } else { other }.ulid().to_bytes();
            rows.execute(
                "INSERT INTO events (sequence, event_id, origin, origin_sequence, previous,
                                     source, timestamp, type, project, body, hash)
                 VALUES (?1, ?2, 1, ?1, zeroblob(32), 1, 0, ?3, NULL, ?4, 0)",
                params![number, id, event_type, json],
            )
            .unwrap();
        }
        let mut search = Index::new(directory.path().join("search.db"));
        let epoch = Epoch::from_ulid(Ulid::from(9_u128));
        let end = Sequence((MESSAGES + DELETIONS) as u64);
        let head = LogHead { epoch, position: LogPosition { sequence: end, ..LogPosition::START } };
        let start = Cursor { epoch, position: LogPosition::START };
        search.continue_at(start).unwrap();
        search.page(&log, start, head).unwrap();
        let connection = search.connection().unwrap();
        assert_eq!(statement_runs(connection, PLACE), MESSAGES);
        let count = "SELECT count(*) FROM messages";
        assert_eq!(connection.query_row(count, [], |row| row.get::<_, i64>(0)), Ok(0));
    }
}
