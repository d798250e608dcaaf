//! The writer's transaction: storing events, beginning an epoch.

use rusqlite::{Connection, OptionalExtension, params};
use thrum_api::{DaemonId, EventHeader, Head, OriginSequence, Timestamp};

use super::changes::RecentEvent;
use super::column::{Id, hash_int, int};
use super::environment::Environment;
use super::hash;
use super::heads;
use super::lookup::raw;
use super::origins::OriginRow;
use super::quarantine::QuarantineEntry;
use super::state::State;

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
                                     timestamp, type, project, body, hash)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
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
                hash_int(hash::next(self.state.meta.hash, header.event_id)),
            ])?;
        if inserted == 0 {
            let held: Option<bool> = self
                .conn
                .prepare_cached("SELECT body = ?2 FROM events WHERE event_id = ?1")?
                .query_row(params![id, bytes], |row| row.get(0))
                .optional()?;
            return Ok(if held == Some(true) { Stored::Same } else { Stored::OtherBytes });
        }
        row.last = self.state.advance(header.event_id, source);
        let (event_type, project) = (&header.event_type, header.project.as_deref());
        self.state.block.add(self.conn, row.last, event_type, project)?;
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
        self.tell(header, bytes, source, row);
        Ok(Stored::New { forked })
    }

    /// Has those who are told of news from memory be told of the event that was stored last.
    fn tell(
        &mut self,
        header: &EventHeader,
        bytes: &[u8],
        source: Option<DaemonId>,
        row: OriginRow,
    ) {
        let (origin, position) = (header.origin(), self.state.meta.head);
        let head = (row.head == row.top && !row.forked).then_some(Head {
            origin_daemon: origin.daemon,
            origin_epoch: origin.epoch,
            origin_sequence: OriginSequence(row.head),
            event_id: header.event_id,
        });
        self.state.changes.add(bytes.len(), || {
            // Where the origin goes on with events that came before this one, the last of them is its head.
            let knows_head = head.is_none() || row.head == header.origin_sequence.0;
            let (event_type, project) = (header.event_type.clone(), header.project.clone());
            let event = raw(bytes).filter(|_| knows_head)?;
            Some(RecentEvent { position, origin, head, source, event_type, project, event })
        });
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
        tracing::warn!(%was, now = %meta.epoch, "a new epoch of this log begins");
        self.state.epoch_is_new = true;
    }

    /// Begins a new epoch if this head of a peer shows that the log was rolled back. Without one, the peer's checkpoint
    /// may: then unless this epoch has no event of ours. Answers whether one began.
    pub(super) fn rolled_back(&mut self, shown_by: Option<&Head>) -> rusqlite::Result<bool> {
        let begins = match shown_by {
            Some(head) => heads::shows_rollback(self.conn, &self.state.meta, head)?,
            None => self.state.meta.own_sequence > 0,
        };
        if begins {
            self.begin_epoch();
        }
        Ok(begins)
    }

    /// Keeps what a peer sent and can't be stored, for a person to inspect.
    pub(super) fn quarantine(&mut self, entry: &QuarantineEntry<'_>) -> rusqlite::Result<()> {
        self.state.quarantine.keep(self.conn, self.now, entry)
    }
}
