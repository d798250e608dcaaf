//! Damaged rows: events whose bytes in the database are not those that were written.

use rusqlite::{Connection, OptionalExtension, params};
use thrum_api::proof::Chain;
use thrum_api::{LogHash, Sequence};

use super::column::{self, Id, int, uint};
use super::hash;
use super::lookup::{self, raw};
use super::observed::Quarantined;
use super::origins;
use super::quarantine::{self, QuarantineEntry};
use super::served::RowCheck;
use super::state::{Meta, OWN_SOURCE};
use super::transaction::WriteTransaction;
use crate::message_id;
use crate::metrics::QuarantineReason;
use crate::proof::{chain_next, chain_start};

/// Completes "can't ..." in errors.
pub(super) const ACTION: &str = "move a damaged event to quarantine";

/// Moves a damaged row to quarantine. Its position stays empty. The peers' logs are pulled from their
/// start again (cheap, because of `have`), so that a good copy comes back, at a new position.
pub(super) fn quarantine(
    write: &mut WriteTransaction<'_>,
    sequence: Sequence,
) -> rusqlite::Result<()> {
    // The hash before it, and its own, may be all that was changed.
    mend_hash(write, Sequence(sequence.0.saturating_sub(1)))?;
    mend_hash(write, sequence)?;
    let found = write
        .conn
        .prepare_cached(
            "SELECT event_id, origin, origin_sequence, source, body, hash, previous FROM events
             WHERE sequence = ?1",
        )?
        .query_row([int(sequence.0)], |row| {
            let id: Id = row.get(0)?;
            let body: Vec<u8> = row.get(4)?;
            let hash: i64 = row.get(5)?;
            let position: (i64, i64) = (row.get(1)?, row.get(2)?);
            let previous = column::chain(row.get(6)?);
            Ok((id, position, row.get::<_, i64>(3)?, body, (hash, previous)))
        })
        .optional()?;
    let Some((id, (origin, origin_sequence), source, body, (hash, previous))) = found else {
        return Ok(());
    };
    let is_whole = RowCheck::new(write.conn).is_whole(
        sequence,
        chain_next(previous, &body),
        column::hash(hash),
    )?;
    if raw(&body).is_some() && is_whole {
        return Ok(());
    }
    let of = origins::by_id(write.conn, origin)?;
    let of = match of {
        // As this transaction has changed it: it may have forked just now.
        Some((of, _)) => write.state.known_origin(write.conn, of)?.map(|row| (of, row)),
        None => None,
    };
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
        kind: QuarantineReason::Damaged,
        bytes: &body,
    };
    if quarantine::keep_row(write.conn, write.now, &entry)? {
        write.state.observed.quarantined.push(Quarantined::of(&entry));
    }
    // What is appended next goes on from the hash of the log, not from one that may have changed with the row.
    let Meta { head, hash: hash_of_log, .. } = write.state.meta;
    let hash_after = if head.sequence == sequence { column::hash_int(hash_of_log) } else { hash };
    write.conn.execute("DELETE FROM events WHERE sequence = ?1", [int(sequence.0)])?;
    write.conn.execute("DELETE FROM points WHERE sequence = ?1", [int(sequence.0)])?;
    write.conn.execute(
        "INSERT INTO gaps (sequence, event_id, origin, origin_sequence, hash)
         VALUES (?1, ?2, ?3, ?4, ?5)",
        params![int(sequence.0), id, origin, origin_sequence, hash_after],
    )?;
    write.state.damaged_rows += 1;
    if let Some((origin, mut row)) = of {
        let top: Option<i64> = write.conn.query_row(
            "SELECT max(origin_sequence) FROM events WHERE origin = ?1",
            [row.id],
            |row| row.get(0),
        )?;
        let mut before = uint(origin_sequence).saturating_sub(1);
        // What was signed together with it can't be proved any more: a head that covers it would keep peers from sending
        // it with a proof.
        while origin.daemon != write.state.meta.daemon && before > 0 {
            let found = write
                .conn
                .query_row(
                    "SELECT signature NOT NULL FROM events LEFT JOIN points USING (sequence)
                     WHERE origin = ?1 AND origin_sequence = ?2",
                    params![row.id, int(before)],
                    |row| row.get(0),
                )
                .optional()?;
            match found {
                Some(false) => before -= 1,
                _ => break,
            }
        }
        if before < row.head {
            // Not the chain that the damaged row tells, whose own bytes may be whole.
            let chain = lookup::chain_at(write.conn, row.id, before)?;
            (row.head, row.chain) =
                chain.map_or((0, chain_start(&origin)), |chain| (before, chain));
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

/// Puts the hash of the log after a row right, if it alone was changed: what is before and after the row agree on another.
fn mend_hash(write: &WriteTransaction<'_>, sequence: Sequence) -> rusqlite::Result<()> {
    let Some(before) = lookup::hash_before(write.conn, sequence)? else { return Ok(()) };
    let Some((chain, found)) = chain_and_hash(write.conn, sequence)? else { return Ok(()) };
    let right = hash::next(before, chain);
    if right == found {
        return Ok(());
    }
    let is_agreed = match write.state.meta.head.sequence == sequence {
        true => write.state.meta.hash == right,
        false => chain_and_hash(write.conn, sequence.next())?
            .is_some_and(|(chain, after)| hash::next(right, chain) == after),
    };
    if is_agreed {
        tracing::warn!(journal.message_id = message_id::DAMAGED, %sequence, "the hash of an event had changed on the disk, and was put right");
        write.conn.execute(
            "UPDATE events SET hash = ?2 WHERE sequence = ?1",
            params![int(sequence.0), column::hash_int(right)],
        )?;
    }
    Ok(())
}

/// The chain that a row leads to, and its hash of the log.
fn chain_and_hash(
    conn: &Connection,
    sequence: Sequence,
) -> rusqlite::Result<Option<(Chain, LogHash)>> {
    conn.prepare_cached("SELECT previous, body, hash FROM events WHERE sequence = ?1")?
        .query_row([int(sequence.0)], |row| {
            let chain = chain_next(column::chain(row.get(0)?), row.get_ref(1)?.as_blob()?);
            Ok((chain, column::hash(row.get(2)?)))
        })
        .optional()
}
