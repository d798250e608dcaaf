//! The writer's transaction: storing events, beginning an epoch.

use std::cmp::Ordering;

use rusqlite::{Connection, OptionalExtension, params};
use thrum_api::proof::{Chain, Signature};
use thrum_api::{DaemonId, EventHeader, Head, OriginSequence, Sequence, Timestamp};

use super::changes::{RecentEvent, RecentProof};
use super::column::{self, Id, hash_int, int, uint};
use super::environment::Environment;
use super::hash;
use super::lookup::{self, raw};
use super::observed::{Fork, Quarantined};
use super::origins::OriginRow;
use super::quarantine::QuarantineEntry;
use super::state::State;
use crate::message_id;
use crate::proof::{chain_next, chain_start};

/// How many events at one position of an origin are kept. A log that was restored, or copied, makes two or three.
const FORKS_MAX: u64 = 64;

/// How soon after one epoch that a peer's events began, another one can begin: two machines with one key would begin
/// them without end.
const EPOCH_PAUSE_MILLIS: u64 = 10 * 60 * 1000;

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
        /// Another event has the same position in the same origin, or had it before its row was damaged; or the one
        /// before or after is of another history.
        forked: bool,
    },
    /// Held already: the same bytes at the same position of the same history.
    Same,
    /// Not stored: its origin has forked at this position too often.
    TooManyForks,
}

/// An event to be stored, which its origin has written.
pub(super) struct Event<'a> {
    pub(super) header: &'a EventHeader,
    pub(super) bytes: &'a [u8],
    /// The chain of its origin before it, and after it.
    pub(super) previous: Chain,
    pub(super) chain: Chain,
    /// The origin's signature on `chain`, if another daemon is the origin.
    pub(super) point: Option<&'a Signature>,
    /// Whom it came from; None if it is written here.
    pub(super) source: Option<DaemonId>,
}

impl WriteTransaction<'_> {
    /// Stores an event at the next sequence, unless it is held. `origin_sequence` fits SQLite.
    pub(super) fn store(&mut self, event: &Event<'_>) -> rusqlite::Result<Stored> {
        let Event { header, bytes, source, .. } = *event;
        let origin = header.origin();
        let mut row = self.state.origin(self.conn, origin)?;
        let id = header.event_id.ulid().to_bytes();
        let position = header.origin_sequence.0;
        // Only a position up to `top` can be taken already.
        let is_taken = position <= row.top && self.is_taken(row.id, position)?;
        if is_taken && self.is_held(row.id, event)? {
            self.prove_again(row, event)?;
            return Ok(Stored::Same);
        }
        // What is written here is stored in any case: it will be acknowledged.
        let is_foreign = source.is_some();
        if is_foreign && is_taken && row.forked && self.has_too_many(row.id, position)? {
            return Ok(Stored::TooManyForks);
        }
        self.gaps_changed(row.id, position)?;
        let forked =
            is_taken || self.had_another(row.id, position, id)? || !self.continues(&row, event)?;
        let source_id = self.state.source(self.conn, source)?;
        let hash = hash::next(self.state.meta.hash, event.chain);
        self.conn
            .prepare_cached(
                "INSERT INTO events (sequence, event_id, origin, origin_sequence, previous, source,
                                     timestamp, type, project, body, hash)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?
            .execute(params![
                int(self.state.meta.head.sequence.next().0),
                id,
                row.id,
                int(position),
                event.previous.0,
                source_id,
                header.timestamp.as_millis(),
                header.event_type,
                header.project,
                bytes,
                hash_int(hash),
            ])?;
        row.last = self.state.advance(hash, source);
        let (event_type, project) = (&header.event_type, header.project.as_deref());
        self.state.block.add(self.conn, row.last, event_type, project)?;
        let was_whole = row.head == row.top;
        if forked && !row.forked {
            let (source, event_id) = (source.unwrap_or(origin.daemon), header.event_id);
            let fork = Fork { origin: origin.daemon, source, event_id };
            self.state.observed.forks.push(fork);
        }
        row.forked |= forked;
        row.top = row.top.max(position);
        if self.has_gaps(row.id)? && origin.daemon != self.state.meta.daemon {
            if event.point.is_some() {
                self.advance_to_point(&mut row, Some((position, event.chain)))?;
            }
        } else if position == row.head.saturating_add(1) {
            row.head = position;
            row.chain = event.chain;
            // Later events of the origin that had arrived before this one.
            while !was_whole
                && row.head < row.top
                && let Some(chain) = lookup::chain_at(self.conn, row.id, row.head + 1)?
            {
                row.head += 1;
                row.chain = chain;
            }
        }
        self.state.set_origin(origin, row);
        if origin.daemon == self.state.meta.daemon {
            // One of ours can be signed at any time.
            self.state.group.make_room(1, bytes.len());
        } else {
            self.state.group.add(self.conn, &row, (position, row.last), event.point)?;
        }
        self.state.group.count(bytes.len());
        self.tell(event, row);
        Ok(Stored::New { forked })
    }

    /// What was signed together with a damaged event may be proved again: peers look once more.
    fn gaps_changed(&self, origin: i64, position: u64) -> rusqlite::Result<()> {
        if self.state.damaged_rows > 0 {
            self.conn
                .prepare_cached(
                    "UPDATE gaps SET version = version + 1
                     WHERE origin = ?1 AND origin_sequence >= ?2",
                )?
                .execute(params![origin, int(position)])?;
        }
        Ok(())
    }

    /// Takes the proof of an event that is held and could not be proved since others were damaged.
    fn prove_again(&mut self, mut row: OriginRow, event: &Event<'_>) -> rusqlite::Result<()> {
        if self.state.damaged_rows == 0 || event.header.origin_daemon == self.state.meta.daemon {
            return Ok(());
        }
        let position = event.header.origin_sequence.0;
        if let Some(point) = event.point {
            let new = self
                .conn
                .prepare_cached(
                    "INSERT OR IGNORE INTO points (sequence, signature)
                     SELECT sequence, ?4 FROM events
                     WHERE origin = ?1 AND origin_sequence = ?2 AND previous = ?3 AND body = ?5",
                )?
                .execute(params![row.id, int(position), event.previous.0, point.0, event.bytes])?;
            if new > 0 {
                self.gaps_changed(row.id, position)?;
            }
            if row.head < row.top {
                self.advance_to_point(&mut row, None)?;
                self.state.set_origin(event.header.origin(), row);
            }
        }
        Ok(())
    }

    /// Whether events of this origin were damaged.
    fn has_gaps(&self, origin: i64) -> rusqlite::Result<bool> {
        if self.state.damaged_rows == 0 {
            return Ok(false);
        }
        self.conn.prepare_cached("SELECT 1 FROM gaps WHERE origin = ?1")?.exists([origin])
    }

    /// Moves the head of an origin over the events that are held, to the last signed point. A head that covers what can't
    /// be proved would keep peers from sending it with a proof. `new`: position and chain of an event whose point is about
    /// to be stored.
    fn advance_to_point(
        &self,
        row: &mut OriginRow,
        new: Option<(u64, Chain)>,
    ) -> rusqlite::Result<()> {
        let (mut position, mut chain) = (row.head, row.chain);
        loop {
            let next = self
                .conn
                .prepare_cached(
                    "SELECT body, signature NOT NULL FROM events LEFT JOIN points USING (sequence)
                     WHERE origin = ?1 AND origin_sequence = ?2 AND previous = ?3
                     ORDER BY signature IS NULL",
                )?
                .query_row(params![row.id, int(position + 1), chain.0], |row| {
                    let body = row.get_ref(0)?.as_blob()?;
                    Ok((chain_next(chain, body), row.get::<_, bool>(1)?))
                })
                .optional()?;
            let Some((after, is_signed)) = next else { return Ok(()) };
            (position, chain) = (position + 1, after);
            if is_signed || new == Some((position, chain)) {
                (row.head, row.chain) = (position, chain);
            }
        }
    }

    /// Has those who are told of news from memory be told of the event that was stored last.
    fn tell(&mut self, event: &Event<'_>, row: OriginRow) {
        let Event { header, bytes, source, previous, chain, point } = *event;
        let (origin, position) = (header.origin(), self.state.meta.head);
        let head = (row.head == row.top && !row.forked).then_some(Head {
            origin_daemon: origin.daemon,
            origin_epoch: origin.epoch,
            origin_sequence: OriginSequence(row.head),
            chain: row.chain,
        });
        self.state.changes.add(bytes.len(), || {
            let (event_type, project) = (header.event_type.clone(), header.project.clone());
            let place = header.origin_sequence;
            let (event, point) = (raw(bytes)?, point.copied());
            let proof = RecentProof { place, previous, chain, point };
            Some(RecentEvent { position, origin, head, source, event_type, project, event, proof })
        });
    }

    /// The events of an origin that never forked with which this one makes a fork: at its position, or beside it.
    pub(super) fn contradicted_by(&mut self, event: &Event<'_>) -> rusqlite::Result<Vec<Sequence>> {
        let position = event.header.origin_sequence.0;
        let row = self.state.known_origin(self.conn, event.header.origin())?;
        let Some(row) = row.filter(|row| !row.forked) else { return Ok(Vec::new()) };
        let is_next = position.saturating_sub(1) == row.top;
        let goes_on = position > row.top
            && (!is_next || (row.top == row.head && event.previous == row.chain));
        if goes_on || self.is_held(row.id, event)? {
            return Ok(Vec::new());
        }
        let mut beside = self.conn.prepare_cached(
            "SELECT sequence, origin_sequence, previous, body FROM events
             WHERE origin = ?1 AND origin_sequence BETWEEN ?2 - 1 AND ?2 + 1",
        )?;
        let mut rows = beside.query(params![row.id, int(position)])?;
        let mut contradicted = Vec::new();
        while let Some(row) = rows.next()? {
            let (place, previous) = (uint(row.get(1)?), column::chain(row.get(2)?));
            let agrees = match place.cmp(&position) {
                Ordering::Less => {
                    chain_next(previous, row.get_ref(3)?.as_blob()?) == event.previous
                }
                Ordering::Equal => false,
                Ordering::Greater => previous == event.chain,
            };
            if !agrees {
                contradicted.push(Sequence(uint(row.get(0)?)));
            }
        }
        Ok(contradicted)
    }

    /// Whether so many events are at this position of an origin that further ones are not taken: each one would have to
    /// be compared with all of them.
    fn has_too_many(&self, origin: i64, position: u64) -> rusqlite::Result<bool> {
        self.conn
            .prepare_cached(
                "SELECT 1 FROM events WHERE origin = ?1 AND origin_sequence = ?2 LIMIT 1 OFFSET ?3",
            )?
            .exists(params![origin, int(position), int(FORKS_MAX - 1)])
    }

    /// Whether the log holds this event: with these bytes, in this history.
    fn is_held(&self, origin: i64, event: &Event<'_>) -> rusqlite::Result<bool> {
        self.conn
            .prepare_cached(
                "SELECT 1 FROM events
                 WHERE origin = ?1 AND origin_sequence = ?2 AND previous = ?3 AND body = ?4",
            )?
            .exists(params![
                origin,
                int(event.header.origin_sequence.0),
                event.previous.0,
                event.bytes
            ])
    }

    /// Whether the events before and after it, as far as they are held, are of the same history.
    fn continues(&self, row: &OriginRow, event: &Event<'_>) -> rusqlite::Result<bool> {
        let position = event.header.origin_sequence.0;
        let before = match position.saturating_sub(1) {
            before if before == row.head => Some(row.chain),
            before => lookup::chain_at(self.conn, row.id, before)?,
        };
        if before.is_some_and(|before| before != event.previous) {
            return Ok(false);
        }
        if position >= row.top {
            return Ok(true);
        }
        let mut after = self.conn.prepare_cached(
            "SELECT previous FROM events WHERE origin = ?1 AND origin_sequence = ?2",
        )?;
        let after = after
            .query_row(params![row.id, int(position + 1)], |row| row.get(0).map(column::chain))
            .optional()?;
        Ok(after.is_none_or(|after| after == event.chain))
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
        meta.own_chain = chain_start(&meta.own_origin());
        tracing::warn!(journal.message_id = message_id::NEW_EPOCH, %was, now = %meta.epoch, "a new epoch of this log begins");
        self.state.epoch_is_new = true;
    }

    /// A run that our key has signed shows that our log was rolled back, or that another machine has our key: begins a
    /// new epoch, unless the present one began a moment ago. Answers whether one began.
    pub(super) fn rolled_back(&mut self) -> bool {
        let since = self.state.epoch_began.map(|at| self.now.millis_since(at));
        if since.is_some_and(|millis| millis < EPOCH_PAUSE_MILLIS) {
            self.note_clone();
            return false;
        }
        self.begin_epoch();
        self.state.epoch_began = Some(self.now);
        tracing::warn!(
            "a peer knows more of this log than we do: it was restored from an older copy; \
             a new epoch begins, and the peers send what is missing"
        );
        true
    }

    /// Another machine writes with our key.
    pub(super) fn note_clone(&mut self) {
        let now = self.now;
        let is_news = self.state.meta.cloned_at.is_none_or(|at| now.millis_since(at) > 3_600_000);
        if is_news {
            tracing::warn!(
                journal.message_id = message_id::KEY_COPIED,
                "another machine writes with the key of this daemon: its state directory was copied"
            );
            self.state.meta_mut().cloned_at = Some(now);
        }
    }

    /// Keeps what a peer sent and can't be stored, for a person to inspect.
    pub(super) fn quarantine(&mut self, entry: &QuarantineEntry<'_>) -> rusqlite::Result<()> {
        if self.state.quarantine.keep(self.conn, self.now, entry)? {
            self.state.observed.quarantined.push(Quarantined::of(entry));
        }
        Ok(())
    }
}
