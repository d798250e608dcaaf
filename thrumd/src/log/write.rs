//! What a job can do inside the writer's transaction.

use rusqlite::{Connection, OptionalExtension, params};
use thrum_api::{DaemonId, EventHeader, EventId, Sequence, Timestamp};

use super::column::{Id, int};
use super::state::State;
use crate::ids;

/// Rows that the quarantine takes of what peers send. What comes later is reported and not kept.
const QUARANTINE_MAX_ROWS: u64 = 1000;
/// Bytes that the quarantine takes of what peers send, about at most.
const QUARANTINE_MAX_BYTES: u64 = 8 * 1024 * 1024;
/// Of a larger find only the beginning is kept.
const QUARANTINE_KEPT_BYTES: usize = 64 * 1024;

/// The open transaction, and what the writer knows.
pub(super) struct Write<'a> {
    pub(super) conn: &'a Connection,
    pub(super) state: &'a mut State,
    pub(super) now: Timestamp,
}

/// What became of an event that was to be stored.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stored {
    /// New here.
    New {
        /// Another event stands at its place of its origin.
        forked: bool,
    },
    /// Held already, with these very bytes.
    Same,
    /// The id is held with other bytes.
    OtherBytes,
}

/// Something that can't be stored in the log.
pub(super) struct Find<'a> {
    pub(super) peer: DaemonId,
    pub(super) sequence: Sequence,
    pub(super) event_id: Option<EventId>,
    pub(super) reason: &'a str,
    pub(super) bytes: &'a [u8],
}

impl Write<'_> {
    /// Stores an event at the next place, unless its id is held. `origin_sequence` fits SQLite.
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
        let place = header.origin_sequence.0;
        // Only a place up to `top` can be taken already.
        let forked = place <= row.top && self.place_is_taken(row.id, place)?;
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
                int(place),
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
        row.top = row.top.max(place);
        if place == row.head.saturating_add(1) {
            row.head = place;
            // What came early and waited for this one.
            while !was_whole && row.head < row.top && self.place_is_taken(row.id, row.head + 1)? {
                row.head += 1;
            }
        }
        self.state.set_origin(origin, row);
        Ok(Stored::New { forked })
    }

    fn place_is_taken(&self, origin: i64, place: u64) -> rusqlite::Result<bool> {
        self.conn
            .prepare_cached("SELECT 1 FROM events WHERE origin = ?1 AND origin_sequence = ?2")?
            .exists(params![origin, int(place)])
    }

    /// Begins a new epoch: what is written from now on is of a new origin.
    pub(super) fn begin_epoch(&mut self) {
        let meta = self.state.meta_mut();
        let was = meta.epoch;
        meta.epoch = ids::epoch();
        meta.own_sequence = 0;
        tracing::warn!(%was, now = %meta.epoch, "this log was rolled back; a new epoch begins");
    }

    /// Keeps what a peer sent and can't be stored, for a person to look at. The same find is kept
    /// once.
    pub(super) fn set_aside(&mut self, find: &Find<'_>) -> rusqlite::Result<()> {
        let peer = find.peer.ulid().to_bytes();
        let kept = find.bytes.get(..QUARANTINE_KEPT_BYTES).unwrap_or(find.bytes);
        let size = int(find.bytes.len() as u64);
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
            // Not louder: whoever applies the batch tells how many there were.
            tracing::debug!(peer = %find.peer, sequence = %find.sequence, "the quarantine is full");
            return Ok(());
        }
        self.keep(find, kept)
    }

    /// Keeps all of a row of our own log. This may be the only copy, so no bound holds.
    pub(super) fn set_row_aside(&mut self, find: &Find<'_>) -> rusqlite::Result<()> {
        self.keep(find, find.bytes)
    }

    fn keep(&mut self, find: &Find<'_>, kept: &[u8]) -> rusqlite::Result<()> {
        tracing::warn!(
            peer = %find.peer, sequence = %find.sequence, event_id = ?find.event_id,
            "an event was set aside: {}", find.reason
        );
        let id: Option<Id> = find.event_id.map(|id| id.ulid().to_bytes());
        self.conn
            .prepare_cached(
                "INSERT INTO quarantine (peer, sequence, event_id, reason, size, bytes, at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                find.peer.ulid().to_bytes(),
                int(find.sequence.0),
                id,
                find.reason,
                int(find.bytes.len() as u64),
                kept,
                self.now.as_millis()
            ])?;
        self.state.quarantine_rows += 1;
        self.state.quarantine_bytes += kept.len() as u64;
        Ok(())
    }
}
