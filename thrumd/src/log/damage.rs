//! Damaged rows: events whose bytes in the database are no longer a JSON object.

use rusqlite::{OptionalExtension, params};
use thrum_api::Sequence;

use super::column::{self, Id, int, uint};
use super::lookup::{self, raw};
use super::origins;
use super::quarantine::{self, QuarantineEntry};
use super::state::OWN_SOURCE;
use super::transaction::WriteTransaction;
use crate::proof::chain_next;

/// Completes "can't ..." in errors.
pub(super) const ACTION: &str = "move a damaged event to quarantine";

/// Moves a damaged row to quarantine. Its position stays empty. The peers' logs are pulled from their
/// start again (cheap, because of `have`), so that a good copy comes back, at a new position.
pub(super) fn quarantine(
    write: &mut WriteTransaction<'_>,
    sequence: Sequence,
) -> rusqlite::Result<()> {
    let found = write
        .conn
        .prepare_cached(
            "SELECT event_id, origin, origin_sequence, source, body, hash, previous FROM events
             WHERE sequence = ?1",
        )?
        .query_row([int(sequence.0)], |row| {
            let id: Id = row.get(0)?;
            let body: Vec<u8> = row.get(4)?;
            let hash: Option<i64> = row.get(5)?;
            let position: (i64, i64) = (row.get(1)?, row.get(2)?);
            let previous = column::chain(row.get(6)?);
            Ok((id, position, row.get::<_, i64>(3)?, body, (hash, previous)))
        })
        .optional()?;
    let Some((id, (origin, origin_sequence), source, body, (hash, previous))) = found else {
        return Ok(());
    };
    let of = origins::by_id(write.conn, origin)?;
    let of = match of {
        // As this transaction has changed it: it may have forked just now.
        Some((of, _)) => write.state.known_origin(write.conn, of)?.map(|row| (of, row)),
        None => None,
    };
    let said = match &of {
        Some((_, row)) => lookup::chain_said(write.conn, row, uint(origin_sequence))?,
        None => None,
    };
    let is_changed = said.is_some_and(|chain| chain != chain_next(previous, &body));
    if raw(&body).is_some() && !is_changed {
        return Ok(());
    }
    let source: Option<column::Daemon> = match source {
        OWN_SOURCE => None,
        source => write.conn.query_row(
            "SELECT daemon_id FROM sources WHERE id = ?1",
            [source],
            |row| row.get(0),
        )?,
    };
    let entry = QuarantineEntry {
        peer: source.map_or(write.state.meta.daemon, column::daemon_id),
        sequence,
        event_id: Some(column::event_id(id)),
        reason: match raw(&body) {
            None => "its bytes in the database are not a JSON object any more",
            Some(_) => {
                "its bytes in the database are not those any more that its origin has written"
            }
        },
        bytes: &body,
    };
    quarantine::keep_row(write.conn, write.now, &entry)?;
    write.conn.execute("DELETE FROM events WHERE sequence = ?1", [int(sequence.0)])?;
    write.conn.execute("DELETE FROM points WHERE sequence = ?1", [int(sequence.0)])?;
    write.conn.execute(
        "INSERT INTO gaps (sequence, event_id, origin, origin_sequence, hash)
         VALUES (?1, ?2, ?3, ?4, ?5)",
        params![int(sequence.0), id, origin, origin_sequence, hash],
    )?;
    write.state.damaged_rows += 1;
    if let Some((origin, mut row)) = of {
        let top: Option<i64> = write.conn.query_row(
            "SELECT max(origin_sequence) FROM events WHERE origin = ?1",
            [row.id],
            |row| row.get(0),
        )?;
        let (mut before, mut previous) = (uint(origin_sequence).saturating_sub(1), previous);
        // What was signed together with it can't be proved any more: a head that covers it would keep peers from sending
        // it with a proof.
        while origin.daemon != write.state.meta.daemon && before > 0 {
            let found = write
                .conn
                .query_row(
                    "SELECT events.previous, signature NOT NULL FROM events LEFT JOIN points USING (sequence)
                     WHERE origin = ?1 AND origin_sequence = ?2",
                    params![row.id, int(before)],
                    |row| Ok((column::chain(row.get(0)?), row.get::<_, bool>(1)?)),
                )
                .optional()?;
            match found {
                Some((before_it, false)) => (before, previous) = (before - 1, before_it),
                _ => break,
            }
        }
        if before < row.head {
            (row.head, row.chain) = (before, previous);
        }
        row.top = top.map_or(0, uint);
        write.state.set_origin(origin, row);
    }
    write.conn.execute(
        "UPDATE checkpoints
         SET sequence = 0, hash = NULL, epoch = NULL, held = 0",
        [],
    )?;
    Ok(())
}
