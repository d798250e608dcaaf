//! Taking over a peer's events.

use rusqlite::{OptionalExtension, params};
use thrum_api::limits::EVENT_MAX_BYTES;
use thrum_api::{DaemonId, EventHeader, Hlc, Sequence};

use super::column::{self, Id, int, uint};
use super::heads::was_set_aside;
use super::state::OWN_SOURCE;
use super::types::{Applied, Batch};
use super::write::{Find, Stored, Write};
use crate::report::brief;

/// A remote clock further ahead than this (milliseconds) doesn't pull ours along.
const CLOCK_TRUST_MILLIS: u64 = 24 * 60 * 60 * 1000;

/// Reads the header of what may be an event, or says why it is none.
pub(super) fn check(text: &str) -> Result<EventHeader, String> {
    if text.len() > EVENT_MAX_BYTES {
        return Err(format!("{} bytes; an event has at most {EVENT_MAX_BYTES}", text.len()));
    }
    // Serde would take an array of the members' values as well.
    if !text.starts_with('{') {
        return Err("no JSON object".to_owned());
    }
    let header: EventHeader =
        serde_json::from_str(text).map_err(|error| brief(&error.to_string()))?;
    if header.origin_sequence.0 == 0 || i64::try_from(header.origin_sequence.0).is_err() {
        return Err(format!("no origin_sequence: {}", header.origin_sequence));
    }
    Ok(header)
}

/// Stores a batch and moves the checkpoint, in the open transaction.
pub(super) fn apply(write: &mut Write<'_>, batch: &Batch) -> rusqlite::Result<Applied> {
    let mut applied = Applied::default();
    for event in &batch.events {
        let bytes = event.bytes.get().as_bytes();
        let find = |event_id, reason| Find {
            peer: batch.peer,
            sequence: event.sequence,
            event_id,
            reason,
            bytes,
        };
        let header = match &event.header {
            Ok(header) => header,
            Err(reason) => {
                write.set_aside(&find(None, reason))?;
                applied.quarantined += 1;
                continue;
            }
        };
        match write.store(header, bytes, Some(batch.peer))? {
            Stored::New { forked } => {
                applied.applied += 1;
                observe(write, header.hlc);
                if never_written(write, header, forked)? {
                    write.begin_epoch();
                    applied.new_epoch = true;
                }
            }
            Stored::Same => applied.skipped += 1,
            Stored::OtherBytes => {
                let reason = "its id is held with other bytes; the first stays";
                write.set_aside(&find(Some(header.event_id), reason))?;
                applied.quarantined += 1;
            }
        }
    }
    note_sync(write, batch)?;
    Ok(applied)
}

/// Whether it is of our present origin and new to it: our log was rolled back. What was set aside
/// and comes back is not new.
fn never_written(write: &Write<'_>, header: &EventHeader, forked: bool) -> rusqlite::Result<bool> {
    let meta = &write.state.meta;
    if header.origin() != meta.own_origin() {
        return Ok(false);
    }
    let beyond_ours = header.origin_sequence.0 > meta.own_sequence;
    Ok(beyond_ours || forked || !was_set_aside(write.conn, header.event_id)?)
}

fn observe(write: &mut Write<'_>, remote: Hlc) {
    let now = u64::try_from(write.now.as_millis()).unwrap_or(0);
    let meta = write.state.meta_mut();
    if remote > meta.hlc && remote.millis() <= now.saturating_add(CLOCK_TRUST_MILLIS) {
        meta.hlc = remote;
    }
}

fn note_sync(write: &Write<'_>, batch: &Batch) -> rusqlite::Result<()> {
    let peer = batch.peer.ulid().to_bytes();
    let now = write.now.as_millis();
    if let Some(place) = batch.checkpoint
        && moves(write, batch, place.sequence)?
    {
        let id: Option<Id> = place.event_id.map(|id| id.ulid().to_bytes());
        let epoch: Option<Id> = batch.epoch.map(|epoch| epoch.ulid().to_bytes());
        write
            .conn
            .prepare_cached(
                "INSERT INTO checkpoints (peer, sequence, event_id, last_sync, epoch)
                 VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (peer) DO UPDATE SET
                 sequence = excluded.sequence, event_id = excluded.event_id,
                 last_sync = excluded.last_sync, epoch = coalesce(excluded.epoch, epoch)",
            )?
            .execute(params![peer, int(place.sequence.0), id, now, epoch])?;
    } else {
        write
            .conn
            .prepare_cached(
                "INSERT INTO checkpoints (peer, sequence, event_id, last_sync)
                 VALUES (?1, 0, NULL, ?2) ON CONFLICT (peer) DO UPDATE SET
                 last_sync = excluded.last_sync",
            )?
            .execute(params![peer, now])?;
    }
    Ok(())
}

/// Whether the checkpoint moves there. Not if it was reset since the peer was asked: that would
/// undo the reset. And not back, where a notification took over more of the peer's log while a pull
/// brought this batch; only a log of another epoch begins again.
fn moves(write: &Write<'_>, batch: &Batch, place: Sequence) -> rusqlite::Result<bool> {
    let held = write
        .conn
        .prepare_cached("SELECT sequence, epoch FROM checkpoints WHERE peer = ?1")?
        .query_row([batch.peer.ulid().to_bytes()], |row| {
            Ok((Sequence(uint(row.get(0)?)), row.get::<_, Option<Id>>(1)?.map(column::epoch)))
        })
        .optional()?;
    let (held, epoch) = held.unwrap_or((Sequence::ZERO, None));
    let was_reset = write.state.gaps != batch.from.set_aside || held < batch.from.place.sequence;
    let same_log = batch.epoch.is_none() || epoch.is_none() || batch.epoch == epoch;
    let is_overtaken = same_log && place < held;
    Ok(!was_reset && !is_overtaken)
}

/// Forgets how far a peer's log was taken over, but not when it was last heard.
pub(super) fn reset_checkpoint(write: &Write<'_>, peer: DaemonId) -> rusqlite::Result<()> {
    write
        .conn
        .prepare_cached(
            "UPDATE checkpoints SET sequence = 0, event_id = NULL, epoch = NULL WHERE peer = ?1",
        )?
        .execute([peer.ulid().to_bytes()])?;
    Ok(())
}

/// Begins a new epoch, unless this one has no event of ours.
pub(super) fn rolled_back(write: &mut Write<'_>) -> bool {
    let written = write.state.meta.own_sequence > 0;
    if written {
        write.begin_epoch();
    }
    written
}

/// Moves a row that is no JSON object any more to quarantine, all of it. Its place stays empty. The peers'
/// logs are taken over from their start again (cheap, because of `have`), so that a good copy
/// comes back and gets a new place.
pub(super) fn set_damaged_aside(write: &mut Write<'_>, sequence: Sequence) -> rusqlite::Result<()> {
    let found = write
        .conn
        .prepare_cached(
            "SELECT event_id, origin, origin_sequence, source, body FROM events
             WHERE sequence = ?1",
        )?
        .query_row([int(sequence.0)], |row| {
            let id: Id = row.get(0)?;
            let body: Vec<u8> = row.get(4)?;
            Ok((id, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?, row.get::<_, i64>(3)?, body))
        })
        .optional()?;
    let Some((id, origin, origin_sequence, source, body)) = found else { return Ok(()) };
    if super::page::raw(&body).is_some() {
        return Ok(());
    }
    let source: Option<Id> = match source {
        OWN_SOURCE => None,
        source => write.conn.query_row(
            "SELECT daemon_id FROM sources WHERE id = ?1",
            [source],
            |row| row.get(0),
        )?,
    };
    write.set_row_aside(&Find {
        peer: source.map_or(write.state.meta.daemon, column::daemon_id),
        sequence,
        event_id: Some(column::event_id(id)),
        reason: "its bytes in the database are no JSON object any more",
        bytes: &body,
    })?;
    write.conn.execute("DELETE FROM events WHERE sequence = ?1", [int(sequence.0)])?;
    write.conn.execute(
        "INSERT INTO gaps (sequence, event_id) VALUES (?1, ?2)",
        params![int(sequence.0), id],
    )?;
    write.state.gaps += 1;
    if let Some((origin, mut row)) = write.state.origin_by_id(origin) {
        let top: Option<i64> = write.conn.query_row(
            "SELECT max(origin_sequence) FROM events WHERE origin = ?1",
            [row.id],
            |row| row.get(0),
        )?;
        row.head = row.head.min(uint(origin_sequence).saturating_sub(1));
        row.top = top.map_or(0, uint);
        write.state.set_origin(origin, row);
    }
    write.conn.execute("UPDATE checkpoints SET sequence = 0, event_id = NULL, epoch = NULL", [])?;
    Ok(())
}
