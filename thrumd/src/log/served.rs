//! Events as they are read to be served, and whether their rows are as they were written.

use rusqlite::{Connection, Row};
use thrum_api::proof::{Chain, Signature};
use thrum_api::{LogHash, Sequence, SequencedEvent};

use super::column::{self, uint};
use super::hash;
use super::lookup::{self, raw};
use crate::proof::chain_next;

/// The query for the events of which this is true, with the columns that [`ServedEvent::read`] needs.
macro_rules! served_where {
    ($condition:literal) => {
        concat!(
            "SELECT events.sequence, origin, origin_sequence, previous, body, source, signature, hash
             FROM events LEFT JOIN points USING (sequence) WHERE ",
            $condition
        )
    };
}
pub(super) use served_where;

/// The events after a position of the log, `?1`.
pub(super) const SERVED_AFTER: &str =
    served_where!("events.sequence > ?1 ORDER BY events.sequence");

/// An event that is to be served.
pub(super) struct ServedEvent {
    /// The row of its origin.
    pub(super) origin: i64,
    pub(super) place: u64,
    pub(super) previous: Chain,
    /// The chain after it.
    pub(super) chain: Chain,
    /// The row of the source that it came from.
    pub(super) source: i64,
    pub(super) point: Option<Signature>,
    pub(super) event: SequencedEvent,
}

impl ServedEvent {
    /// Reads a row with these columns; None if it is damaged: to sign such an event would make a second history.
    pub(super) fn read(row: &Row<'_>, check: &mut RowCheck<'_>) -> rusqlite::Result<Option<Self>> {
        let sequence = Sequence(uint(row.get(0)?));
        let body = row.get_ref(4)?.as_blob()?;
        let previous = column::chain(row.get(3)?);
        let chain = chain_next(previous, body);
        let is_whole = check.is_whole(sequence, chain, column::hash(row.get(7)?))?;
        let Some(event) = raw(body).filter(|_| is_whole) else { return Ok(None) };
        Ok(Some(Self {
            origin: row.get(1)?,
            place: uint(row.get(2)?),
            previous,
            chain,
            source: row.get(5)?,
            point: row.get::<_, Option<_>>(6)?.map(column::signature),
            event: SequencedEvent { sequence, event },
        }))
    }
}

/// Tells which rows are not as they were written: the hash of the log after a row comes from the hash before it and from
/// the row's own bytes. Rows that are read in the order of the log cost no look-up.
pub(super) struct RowCheck<'a> {
    conn: &'a Connection,
    /// The row that was read last, and the hash of the log after it.
    last: (Sequence, LogHash),
}

impl<'a> RowCheck<'a> {
    pub(super) fn new(conn: &'a Connection) -> Self {
        Self { conn, last: (Sequence::ZERO, hash::FIRST) }
    }

    /// Whether the row at this position, whose bytes lead to this chain, has the hash that it was given.
    pub(super) fn is_whole(
        &mut self,
        sequence: Sequence,
        chain: Chain,
        found: LogHash,
    ) -> rusqlite::Result<bool> {
        let (last, after) = self.last;
        let before = match last.next() == sequence {
            true => Some(after),
            false => lookup::hash_before(self.conn, sequence)?,
        };
        self.last = (sequence, found);
        Ok(before.is_none_or(|before| hash::next(before, chain) == found))
    }
}
