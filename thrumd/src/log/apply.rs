//! Storing a peer's events.

use rusqlite::{Connection, params};
use thrum_api::{DaemonId, EventHeader, Hlc, Sequence, Timestamp};

use super::column::{self, Id, int};
use super::damage;
use super::introductions::{self, Introduced, Introductions};
use super::lookup;
use super::quarantine::QuarantineEntry;
use super::state::State;
use super::transaction::{Event, Stored, WriteTransaction};
use super::types::{Applied, Batch};

/// A remote clock further ahead than this (milliseconds) doesn't advance ours.
const CLOCK_TRUST_MILLIS: u64 = 24 * 60 * 60 * 1000;

/// Stores a batch and moves the checkpoint, in the open transaction.
pub(super) fn apply(write: &mut WriteTransaction<'_>, batch: &Batch) -> rusqlite::Result<Applied> {
    let mut applied = Applied::default();
    let mut introductions = Introductions::load(write.conn, batch.peer, write.now)?;
    for run in &batch.page.refused {
        applied.refused += run.events;
        let Some(event) = &run.event else { continue };
        write.quarantine(&QuarantineEntry {
            peer: batch.peer,
            sequence: event.sequence,
            event_id: None,
            reason: &run.reason,
            kind: run.kind,
            bytes: event.event.get().as_bytes(),
        })?;
    }
    write.state.group.make_room(batch.page.events.len(), batch.bytes());
    for event in &batch.page.events {
        let (header, bytes) = (&event.header, event.bytes.get().as_bytes());
        let origin = header.origin();
        // Behind events that were not taken, only the first event of an origin introduces it: the ones before this may
        // be among those, and an origin with a gap has no head.
        let is_behind = batch.from.is_withheld || applied.withheld > 0 || applied.refused > 0;
        let has_start = header.origin_sequence.0 == 1 || !is_behind;
        if write.state.known_origin(write.conn, origin)?.is_none()
            && !(has_start
                && (origin.daemon == write.state.meta.daemon
                    || introductions.admits(introduced(batch.peer, origin.daemon))))
        {
            applied.withheld += 1;
            continue;
        }
        let (previous, chain) = (event.previous, event.chain);
        let (point, source) = (event.point.as_ref(), Some(batch.peer));
        let event = Event { header, bytes, previous, chain, point, source };
        // A row whose bytes were changed on the disk must not be taken for another history.
        for sequence in write.contradicted_by(&event)? {
            damage::quarantine(write, sequence)?;
        }
        match write.store(&event)? {
            Stored::New { forked } => {
                applied.applied += 1;
                // Own events that come back after a rollback did not take that long to arrive.
                if origin.daemon != write.state.meta.daemon {
                    write.state.observed.arrived.push(header.timestamp);
                }
                observe(write, header.hlc);
                if is_unknown_own(write, header, forked)? {
                    applied.new_epoch |= write.rolled_back();
                } else if is_of_clone(write, header)? {
                    write.note_clone();
                }
            }
            Stored::Same | Stored::TooManyForks => applied.skipped += 1,
        }
    }
    let moved = move_checkpoint(write, batch)?;
    match (applied.withheld, applied.refused) {
        // If a notification came further meanwhile, something of that may be withheld.
        (0, 0) if batch.is_whole && moved => introductions.took_all(),
        (0, 0) => {}
        (withheld, refused) => {
            if withheld > 0 {
                introductions.withhold(batch.peer);
            }
            if refused > 0 {
                introductions.refuse(batch.peer);
            }
        }
    }
    introductions.save(write.conn, batch.peer)?;
    tell_held(write, batch.peer)?;
    Ok(applied)
}

/// Has notifications to the peer say up to where we hold its log now.
fn tell_held(write: &mut WriteTransaction<'_>, peer: DaemonId) -> rusqlite::Result<()> {
    let held = lookup::held_of(write.conn, peer)?;
    write.state.changes.hold(peer, held);
    Ok(())
}

fn introduced(peer: DaemonId, of: DaemonId) -> Introduced {
    if of == peer { Introduced::ByItself } else { Introduced::Relayed }
}

/// Whether the event is of our present origin but was never written here: our log was rolled back. One
/// that was lost to damage and reappears is known.
fn is_unknown_own(
    write: &WriteTransaction<'_>,
    header: &EventHeader,
    forked: bool,
) -> rusqlite::Result<bool> {
    let meta = &write.state.meta;
    if header.origin() != meta.own_origin() {
        return Ok(false);
    }
    let beyond_ours = header.origin_sequence.0 > meta.own_sequence;
    Ok(beyond_ours || forked || !was_damaged(write.conn, header)?)
}

/// Whether another machine wrote this event with our key: it is of a time when we have been running in the present epoch,
/// and was not written here. What a rolled-back log lost is older. A clock that was set back can deceive this, so only a
/// warning depends on it.
fn is_of_clone(write: &WriteTransaction<'_>, header: &EventHeader) -> rusqlite::Result<bool> {
    let State { meta, loaded_at, .. } = &*write.state;
    let millis = meta.epoch.ulid().timestamp_ms();
    let began = Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX));
    let is_recent = header.timestamp > began.max(*loaded_at);
    Ok(header.origin_daemon == meta.daemon && is_recent && !was_damaged(write.conn, header)?)
}

/// Whether a row that held this event was found damaged and moved to quarantine.
fn was_damaged(conn: &Connection, event: &EventHeader) -> rusqlite::Result<bool> {
    conn.prepare_cached(
        "SELECT 1 FROM gaps JOIN origins ON origins.id = gaps.origin
         WHERE daemon_id = ?1 AND epoch = ?2 AND origin_sequence = ?3 AND event_id = ?4",
    )?
    .exists(params![
        event.origin_daemon.to_bytes(),
        event.origin_epoch.ulid().to_bytes(),
        int(event.origin_sequence.0),
        event.event_id.ulid().to_bytes(),
    ])
}

fn observe(write: &mut WriteTransaction<'_>, remote: Hlc) {
    let now = u64::try_from(write.now.as_millis()).unwrap_or(0);
    let meta = write.state.meta_mut();
    if remote > meta.hlc && remote.millis() <= now.saturating_add(CLOCK_TRUST_MILLIS) {
        meta.hlc = remote;
    }
}

/// Moves the checkpoint and stores the time of this sync.
/// Answers whether it moved.
fn move_checkpoint(write: &WriteTransaction<'_>, batch: &Batch) -> rusqlite::Result<bool> {
    let peer = batch.peer.to_bytes();
    let now = write.now.as_millis();
    if let Some(position) = batch.checkpoint
        && let Some(held) = moves(write, batch, position.sequence)?
    {
        let epoch: Option<Id> = batch.epoch.map(|epoch| epoch.ulid().to_bytes());
        let hash = position.hash.map(column::hash_int);
        write
            .conn
            .prepare_cached(
                "INSERT INTO checkpoints (peer, sequence, hash, last_sync, epoch, held)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (peer) DO UPDATE SET
                 sequence = excluded.sequence, hash = excluded.hash,
                 last_sync = excluded.last_sync, epoch = coalesce(excluded.epoch, epoch),
                 held = excluded.held",
            )?
            .execute(params![peer, int(position.sequence.0), hash, now, epoch, int(held.0)])?;
        Ok(true)
    } else {
        write
            .conn
            .prepare_cached(
                "INSERT INTO checkpoints (peer, sequence, last_sync)
                 VALUES (?1, 0, ?2) ON CONFLICT (peer) DO UPDATE SET
                 last_sync = excluded.last_sync",
            )?
            .execute(params![peer, now])?;
        Ok(false)
    }
}

/// Up to where the peer held our log at the new checkpoint; None if the checkpoint stays. It does if it was reset since
/// the peer was asked: to move it would undo the reset. Nor does it move back, as when a notification advanced it while
/// a pull fetched this batch; only a log of another epoch starts from its beginning.
fn moves(
    write: &WriteTransaction<'_>,
    batch: &Batch,
    position: Sequence,
) -> rusqlite::Result<Option<Sequence>> {
    let checkpoint = lookup::checkpoint(write.conn, batch.peer)?;
    let (now, epoch) = (checkpoint.position.sequence, checkpoint.epoch);
    let was_reset =
        write.state.damaged_rows != batch.from.damaged_rows || now < batch.from.position.sequence;
    let same_log = batch.epoch.is_none() || epoch.is_none() || batch.epoch == epoch;
    let moves_back = position < now;
    if was_reset || (same_log && moves_back) {
        return Ok(None);
    }
    // What the peer held at an earlier position it holds at a later one.
    let known = if moves_back { Sequence::ZERO } else { checkpoint.held };
    let head = write.state.meta.head.sequence;
    Ok(Some(batch.held.map_or(known, |held| held.min(head))))
}

/// As [`reset_checkpoint`], and drops what the quarantine keeps of the peer.
pub(super) fn forget_peer(
    write: &mut WriteTransaction<'_>,
    peer: DaemonId,
) -> rusqlite::Result<()> {
    reset_checkpoint(write, peer)?;
    write.state.quarantine.forget(write.conn, peer)
}

/// Drops everything that is kept of a peer's log, except how many origins it introduced: that counts for the id
/// that it has now.
pub(super) fn forget_former_peer(
    write: &mut WriteTransaction<'_>,
    peer: DaemonId,
    now: DaemonId,
) -> rusqlite::Result<()> {
    introductions::pass_on(write.conn, peer, now)?;
    write
        .conn
        .prepare_cached("DELETE FROM checkpoints WHERE peer = ?1")?
        .execute([peer.to_bytes()])?;
    tell_held(write, peer)?;
    tell_held(write, now)?;
    write.state.quarantine.forget(write.conn, peer)
}

/// Resets the checkpoint for a peer's log, but not the time of the last sync.
pub(super) fn reset_checkpoint(
    write: &mut WriteTransaction<'_>,
    peer: DaemonId,
) -> rusqlite::Result<()> {
    write
        .conn
        .prepare_cached(
            "UPDATE checkpoints
             SET sequence = 0, hash = NULL, epoch = NULL, held = 0
             WHERE peer = ?1",
        )?
        .execute([peer.to_bytes()])?;
    tell_held(write, peer)
}
