//! The writer's transaction: storing events, beginning an epoch, quarantine.

use rusqlite::{Connection, OptionalExtension, params};
use thrum_api::{DaemonId, EventHeader, EventId, Sequence, Timestamp};

use super::column::{Id, int};
use super::environment::Environment;
use super::state::State;

/// Entries that the quarantine keeps of what peers send. Later ones are logged and dropped.
const QUARANTINE_MAX_ROWS: u64 = 1000;
/// Bytes that the quarantine keeps of what peers send, approximately.
const QUARANTINE_MAX_BYTES: u64 = 8 * 1024 * 1024;
/// Of a larger entry only the beginning is kept.
const QUARANTINE_KEPT_BYTES: usize = 64 * 1024;

/// The open transaction and the writer's state.
pub(super) struct WriteTransaction<'a> {
    pub(super) conn: &'a Connection,
    pub(super) state: &'a mut State,
    pub(super) environment: &'a mut dyn Environment,
    pub(super) now: Timestamp,
}

/// The result of storing an event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stored {
    New {
        /// Another event has the same position in the same origin, or had it before its row was damaged.
        forked: bool,
    },
    /// Held already, with the same bytes.
    Same,
    /// The id is held with other bytes.
    OtherBytes,
}

/// Bytes that can't be stored in the log, or are damaged there.
pub(super) struct QuarantineEntry<'a> {
    pub(super) peer: DaemonId,
    pub(super) sequence: Sequence,
    pub(super) event_id: Option<EventId>,
    pub(super) reason: &'a str,
    pub(super) bytes: &'a [u8],
}

impl WriteTransaction<'_> {
    /// Stores an event at the next sequence, unless its id is held. `origin_sequence` fits SQLite.
    pub(super) fn store(
        &mut self,
        header: &EventHeader,
        bytes: &[u8],
        source: Option<DaemonId>,
    ) -> rusqlite::Result<Stored> {
        let origin = header.origin();
        let mut row = self.state.origin(self.conn, origin)?;
        let source_id = self.state.source(self.conn, source)?;
        let id = header.event_id.ulid().to_bytes();
        let position = header.origin_sequence.0;
        // Only a position up to `top` can be taken already.
        let forked = (position <= row.top && self.is_taken(row.id, position)?)
            || self.had_another(row.id, position, id)?;
        let inserted = self
            .conn
            .prepare_cached(
                "INSERT INTO events (sequence, event_id, origin, origin_sequence, source,
                                     timestamp, type, project, body)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                 ON CONFLICT (event_id) DO NOTHING",
            )?
            .execute(params![
                int(self.state.meta.head.sequence.next().0),
                id,
                row.id,
                int(position),
                source_id,
                header.timestamp.as_millis(),
                header.event_type,
                header.project,
                bytes,
            ])?;
        if inserted == 0 {
            let held: Option<bool> = self
                .conn
                .prepare_cached("SELECT body = ?2 FROM events WHERE event_id = ?1")?
                .query_row(params![id, bytes], |row| row.get(0))
                .optional()?;
            return Ok(if held == Some(true) { Stored::Same } else { Stored::OtherBytes });
        }
        self.state.advance(header.event_id, source);
        let was_whole = row.head == row.top;
        row.forked |= forked;
        row.top = row.top.max(position);
        if position == row.head.saturating_add(1) {
            row.head = position;
            // Later events of the origin that had arrived before this one.
            while !was_whole && row.head < row.top && self.is_taken(row.id, row.head + 1)? {
                row.head += 1;
            }
        }
        self.state.set_origin(origin, row);
        Ok(Stored::New { forked })
    }

    fn is_taken(&self, origin: i64, position: u64) -> rusqlite::Result<bool> {
        self.conn
            .prepare_cached("SELECT 1 FROM events WHERE origin = ?1 AND origin_sequence = ?2")?
            .exists(params![origin, int(position)])
    }

    /// Whether a row that was damaged held another event at this position. It may come back from a peer,
    /// and until then the events that follow it belong to its history, not to that of this event.
    fn had_another(&self, origin: i64, position: u64, event_id: Id) -> rusqlite::Result<bool> {
        if self.state.damaged_rows == 0 {
            return Ok(false);
        }
        self.conn
            .prepare_cached(
                "SELECT 1 FROM gaps
                 WHERE origin = ?1 AND origin_sequence = ?2 AND event_id != ?3",
            )?
            .exists(params![origin, int(position), event_id])
    }

    /// Begins a new epoch: events written from now on are of a new origin.
    pub(super) fn begin_epoch(&mut self) {
        let meta = self.state.meta_mut();
        let was = meta.epoch;
        meta.epoch = self.environment.epoch();
        meta.own_sequence = 0;
        tracing::warn!(%was, now = %meta.epoch, "this log was rolled back; a new epoch begins");
    }

    /// Begins a new epoch, unless this one has no event of ours. Answers whether one began.
    pub(super) fn rolled_back(&mut self) -> bool {
        let has_events = self.state.meta.own_sequence > 0;
        if has_events {
            self.begin_epoch();
        }
        has_events
    }

    /// Keeps what a peer sent and can't be stored, for a person to inspect. The same entry is kept
    /// once.
    pub(super) fn quarantine(&mut self, entry: &QuarantineEntry<'_>) -> rusqlite::Result<()> {
        let peer = entry.peer.ulid().to_bytes();
        let kept = entry.bytes.get(..QUARANTINE_KEPT_BYTES).unwrap_or(entry.bytes);
        let size = int(entry.bytes.len() as u64);
        let known = self
            .conn
            .prepare_cached(
                "SELECT 1 FROM quarantine WHERE size = ?1 AND peer = ?2 AND bytes = ?3",
            )?
            .exists(params![size, peer, kept])?;
        if known {
            return Ok(());
        }
        let full = self.state.quarantine_rows >= QUARANTINE_MAX_ROWS
            || self.state.quarantine_bytes >= QUARANTINE_MAX_BYTES;
        if full {
            // Only debug: the caller logs how many there were.
            tracing::debug!(peer = %entry.peer, sequence = %entry.sequence, "the quarantine is full");
            return Ok(());
        }
        self.insert_entry(entry, kept)
    }

    /// Keeps all of a damaged row of our own log. It may be the only copy, so there is no limit.
    pub(super) fn quarantine_row(&mut self, entry: &QuarantineEntry<'_>) -> rusqlite::Result<()> {
        self.insert_entry(entry, entry.bytes)
    }

    fn insert_entry(&mut self, entry: &QuarantineEntry<'_>, kept: &[u8]) -> rusqlite::Result<()> {
        tracing::warn!(
            peer = %entry.peer, sequence = %entry.sequence, event_id = ?entry.event_id,
            "an event was moved to quarantine: {}", entry.reason
        );
        let id: Option<Id> = entry.event_id.map(|id| id.ulid().to_bytes());
        self.conn
            .prepare_cached(
                "INSERT INTO quarantine (peer, sequence, event_id, reason, size, bytes, at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                entry.peer.ulid().to_bytes(),
                int(entry.sequence.0),
                id,
                entry.reason,
                int(entry.bytes.len() as u64),
                kept,
                self.now.as_millis()
            ])?;
        self.state.quarantine_rows += 1;
        self.state.quarantine_bytes += kept.len() as u64;
        Ok(())
    }
}
