//! Reads of events on the calling thread: for the views, which have threads of their own and need no copy of an event.

use std::sync::Arc;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};
use thrum_api::event::EventRef;
use thrum_api::{DaemonId, EventId, LogHash, Origin, OriginSequence, Sequence};

use super::column::{daemon_id, event_id, hash, int, uint};
use super::error::LogError;
use super::lookup::raw;
use super::readers::Readers;
use super::scan::LIST_MAX_BYTES;
use crate::held_files::HeldFiles;

/// Reads events of the log. Clones share its connections.
#[derive(Clone)]
pub(crate) struct LogReader {
    pub(super) readers: Arc<Readers>,
    pub(super) files: HeldFiles,
}

/// An event as it is in the database. Its columns may be damaged.
pub(crate) struct StoredEvent<'a> {
    pub sequence: Sequence,
    /// The hash of the log up to here.
    pub hash: Option<LogHash>,
    pub event_id: Option<EventId>,
    /// It was written here, not brought by a peer.
    pub is_own: bool,
    pub event_type: &'a [u8],
    pub project: Option<&'a [u8]>,
    /// Milliseconds since 1970, by the origin's clock.
    pub timestamp: i64,
    /// The event's own bytes.
    pub json: &'a [u8],
}

impl StoredEvent<'_> {
    /// Whether its bytes are not a JSON object any more.
    pub fn is_damaged(&self) -> bool {
        raw(self.json).is_none()
    }
}

/// Where an event is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundEvent {
    pub event_id: EventId,
    /// The daemon that created it. Others may have given the same id.
    pub origin: DaemonId,
    pub sequence: Sequence,
    pub project: Option<Vec<u8>>,
}

const AFTER: &str = "SELECT sequence, event_id, type, project, timestamp, body, hash, source
     FROM events
     WHERE sequence > ?1 ORDER BY sequence LIMIT ?2";
const AT: &str = "SELECT sequence, event_id, type, project, timestamp, body, hash, source
     FROM events
     WHERE sequence = ?1";
const NAME_AT: &str = "SELECT event_id, daemon_id
     FROM events CROSS JOIN origins ON origins.id = events.origin
     WHERE sequence = ?1";
const FIND: &str = "SELECT sequence, project, daemon_id
     FROM events CROSS JOIN origins ON origins.id = events.origin
     WHERE event_id = ?1 ORDER BY sequence";
const HELD: &str = "SELECT head FROM origins WHERE daemon_id = ?1 AND epoch = ?2";

impl LogReader {
    /// A reader of a new log in this directory, and the connection that writes to it.
    #[cfg(test)]
    pub fn of_new_log(directory: &std::path::Path) -> (Self, Connection) {
        let (path, files) = (directory.join(super::schema::DATABASE), HeldFiles::new(directory));
        let mut writer = super::schema::open_writer(&path, &HeldFiles::new(directory)).unwrap();
        super::schema::prepare(&mut writer, &path).unwrap();
        (Self { readers: Arc::new(Readers::new(path, files.clone())), files }, writer)
    }

    /// Hands the events after a position to `take`, until it answers false: at most `limit`, and no more once
    /// they have 4 MiB.
    ///
    /// # Errors
    /// When the log can't be read, or what is read is not what this daemon wrote: what was handed out must not be
    /// used then.
    pub fn each_after(
        &self,
        after: Sequence,
        limit: usize,
        mut take: impl FnMut(&StoredEvent<'_>) -> bool,
    ) -> Result<(), LogError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.read("read events", |conn| {
            let mut statement = conn.prepare_cached(AFTER)?;
            let mut rows = statement.query([int(after.0), limit])?;
            let mut bytes = 0;
            while let Some(row) = rows.next()? {
                let event = stored(row)?;
                bytes += event.json.len();
                if !take(&event) || bytes >= LIST_MAX_BYTES {
                    break;
                }
            }
            Ok(())
        })
    }

    /// Hands the events at these positions to `take`, until it answers false. At a position that holds none
    /// (any more) that is None.
    ///
    /// # Errors
    /// As [`Self::each_after`].
    pub fn each_at(
        &self,
        sequences: impl IntoIterator<Item = Sequence>,
        mut take: impl FnMut(Sequence, Option<&StoredEvent<'_>>) -> bool,
    ) -> Result<(), LogError> {
        self.read("read events", |conn| {
            let mut statement = conn.prepare_cached(AT)?;
            for sequence in sequences {
                let mut rows = statement.query([int(sequence.0)])?;
                let event = rows.next()?.map(stored).transpose()?;
                if !take(sequence, event.as_ref()) {
                    break;
                }
            }
            Ok(())
        })
    }

    /// The names of the events at these positions, without their bodies. What the log does not hold (any more) is left out.
    ///
    /// # Errors
    /// As [`Self::each_after`].
    pub fn names_at(
        &self,
        sequences: impl IntoIterator<Item = Sequence>,
    ) -> Result<Vec<(Sequence, EventRef)>, LogError> {
        self.read("read events", |conn| {
            let mut statement = conn.prepare_cached(NAME_AT)?;
            let mut names = Vec::new();
            for sequence in sequences {
                let name = statement.query_row([int(sequence.0)], |row| {
                    let (event_id, origin_daemon) = (event_id(row.get(0)?), daemon_id(row.get(1)?));
                    Ok(EventRef { event_id, origin_daemon })
                });
                if let Some(name) = name.optional()? {
                    names.push((sequence, name));
                }
            }
            Ok(names)
        })
    }

    /// The events that the log holds with each of these ids, in its order. An id is unique for its origin only, so that one
    /// may have several.
    ///
    /// # Errors
    /// As [`Self::each_after`].
    pub fn find(
        &self,
        ids: impl IntoIterator<Item = EventId>,
    ) -> Result<Vec<Vec<FoundEvent>>, LogError> {
        self.read("look for events", |conn| {
            let mut statement = conn.prepare_cached(FIND)?;
            let mut found = Vec::new();
            for event_id in ids {
                let with_id = statement.query_map([event_id.ulid().to_bytes()], |row| {
                    let sequence = Sequence(uint(row.get(0)?));
                    let project = bytes(row.get_ref(1)?).map(<[u8]>::to_vec);
                    let origin = daemon_id(row.get(2)?);
                    Ok(FoundEvent { event_id, origin, sequence, project })
                })?;
                found.push(with_id.collect::<rusqlite::Result<_>>()?);
            }
            Ok(found)
        })
    }

    /// Up to where the log holds the events of each of these origins without a hole.
    ///
    /// # Errors
    /// As [`Self::each_after`].
    pub fn held_up_to(&self, origins: &[Origin]) -> Result<Vec<OriginSequence>, LogError> {
        self.read("look for origins", |conn| {
            let mut statement = conn.prepare_cached(HELD)?;
            let held = |origin: &Origin| {
                let key = params![origin.daemon.to_bytes(), origin.epoch.ulid().to_bytes()];
                let head = statement.query_row(key, |row| row.get(0)).optional()?;
                Ok(OriginSequence(head.map_or(0, uint)))
            };
            origins.iter().map(held).collect()
        })
    }

    fn read<T>(
        &self,
        action: &'static str,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, LogError> {
        let done = self.readers.read_here(action, read)?;
        match self.files.overwritten() {
            Some(changed) => Err(LogError::Unreadable(changed)),
            None => Ok(done),
        }
    }
}

fn stored<'a>(row: &'a Row<'_>) -> rusqlite::Result<StoredEvent<'a>> {
    let id: Option<[u8; 16]> = bytes(row.get_ref(1)?).and_then(|id| id.try_into().ok());
    Ok(StoredEvent {
        sequence: Sequence(uint(row.get(0)?)),
        hash: match row.get_ref(6)? {
            ValueRef::Integer(stored) => Some(hash(stored)),
            _ => None,
        },
        event_id: id.map(event_id),
        is_own: matches!(row.get_ref(7)?, ValueRef::Integer(0)),
        event_type: bytes(row.get_ref(2)?).unwrap_or_default(),
        project: bytes(row.get_ref(3)?),
        timestamp: match row.get_ref(4)? {
            ValueRef::Integer(millis) => millis,
            _ => 0,
        },
        json: bytes(row.get_ref(5)?).unwrap_or_default(),
    })
}

/// The bytes of a text, which may be no text any more, or of a blob.
fn bytes(value: ValueRef<'_>) -> Option<&[u8]> {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(bytes),
        _ => None,
    }
}
