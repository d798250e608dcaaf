//! Indexes pages of the log: messages, and which of them were deleted.

use rusqlite::{Connection, params};
use serde::Deserialize;
use thrum_api::event::{MESSAGE_DELETED, MESSAGE_SENT, MessageDeleted};
use thrum_api::limits::RECIPIENTS_MAX;
use thrum_api::local::Message;
use thrum_api::{DaemonId, LogPosition, Sequence, names};

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
        self.change(DOING, |connection| {
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

/// A message that is to be removed.
struct Deleted {
    message: MessageDeleted,
    origin: DaemonId,
    place: Place,
}

/// Whose a message is.
#[derive(Clone, Copy)]
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
    deleted: Vec<Deleted>,
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
        self.connection
            .prepare_cached(
                "INSERT OR IGNORE INTO deleted (event_id, origin, project, sender)
                 VALUES (?, ?, ?, ?)",
            )?
            .execute(params![id, place.origin, place.project, place.sender])?;
        self.has_deletions = true;
        self.deleted.push(Deleted { message: body, origin, place });
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

    /// Removes messages that are indexed already. Their ids stand in the log alone.
    fn delete(&mut self, log: &LogReader) -> Result<(), SearchError> {
        let ids = self.deleted.iter().map(|deleted| deleted.message.event_id);
        let found = log.find(ids).map_err(log_unread)?;
        for (deleted, found) in self.deleted.iter().zip(found) {
            let Place { project, sender, origin } = deleted.place;
            for event in found.iter().filter(|event| event.origin == deleted.origin) {
                self.connection
                    .prepare_cached(
                        "DELETE FROM messages
                         WHERE sequence = ? AND project = ? AND sender = ? AND origin = ?",
                    )
                    .and_then(|mut delete| {
                        delete.execute([int(event.sequence.0), project, sender, origin])
                    })
                    .map_err(index(DOING))?;
            }
        }
        Ok(())
    }
}
