//! The quarantine: bytes that can't be stored in the log, or are damaged there, for a person to inspect.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};
use sha2::{Digest as _, Sha256};
use thrum_api::{DaemonId, EventId, Sequence, Timestamp};

use super::column::{self, Id, int, uint};
use crate::metrics::QuarantineReason;

/// What the quarantine keeps of all that peers send. Later entries are counted and dropped.
const ALL_PEERS: Usage = Usage { rows: 1000, bytes: 8 * 1024 * 1024 };
/// What it keeps of one peer, so that no peer leaves nothing to the others.
const ONE_PEER: Usage = Usage { rows: 250, bytes: 2 * 1024 * 1024 };
/// Of a larger entry only the beginning is kept.
const KEPT_BYTES: usize = 64 * 1024;

/// An entry.
pub(super) struct QuarantineEntry<'a> {
    pub(super) peer: DaemonId,
    pub(super) sequence: Sequence,
    pub(super) event_id: Option<EventId>,
    pub(super) reason: &'a str,
    pub(super) kind: QuarantineReason,
    pub(super) bytes: &'a [u8],
}

/// Rows and bytes, approximately.
#[derive(Debug, Clone, Copy, Default)]
struct Usage {
    rows: u64,
    bytes: u64,
}

impl Usage {
    fn reaches(self, max: Self) -> bool {
        self.rows >= max.rows || self.bytes >= max.bytes
    }

    fn add(&mut self, rows: u64, bytes: u64) {
        self.rows += rows;
        self.bytes += bytes;
    }
}

/// The quarantine, by how much it holds of what peers sent. That is counted here, so that a full one costs
/// nothing, however much a peer goes on sending.
#[derive(Debug, Default)]
pub(super) struct Quarantine {
    all: Usage,
    peers: BTreeMap<DaemonId, Usage>,
}

impl Quarantine {
    pub(super) fn load(conn: &Connection) -> rusqlite::Result<Self> {
        let mut quarantine = Self::default();
        let mut statement = conn.prepare_cached(
            "SELECT peer, count(*), sum(length(bytes)) FROM quarantine
             WHERE hash IS NOT NULL AND NOT seen GROUP BY peer",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            quarantine.count(column::daemon_id(row.get(0)?), uint(row.get(1)?), uint(row.get(2)?));
        }
        Ok(quarantine)
    }

    fn count(&mut self, peer: DaemonId, rows: u64, bytes: u64) {
        self.all.add(rows, bytes);
        self.peers.entry(peer).or_default().add(rows, bytes);
    }

    /// Drops what is kept of a peer that was removed. Damaged rows of our own log stay.
    pub(super) fn forget(&mut self, conn: &Connection, peer: DaemonId) -> rusqlite::Result<()> {
        conn.prepare_cached("DELETE FROM quarantine WHERE peer = ?1 AND hash IS NOT NULL")?
            .execute([peer.to_bytes()])?;
        if let Some(Usage { rows, bytes }) = self.peers.remove(&peer) {
            self.all.rows = self.all.rows.saturating_sub(rows);
            self.all.bytes = self.all.bytes.saturating_sub(bytes);
        }
        Ok(())
    }

    fn is_full(&self, peer: DaemonId) -> bool {
        self.all.reaches(ALL_PEERS) || self.peers.get(&peer).is_some_and(|it| it.reaches(ONE_PEER))
    }

    /// Keeps what a peer sent and can't be stored. The same entry is kept once: answers whether it is new.
    pub(super) fn keep(
        &mut self,
        conn: &Connection,
        now: Timestamp,
        entry: &QuarantineEntry<'_>,
    ) -> rusqlite::Result<bool> {
        if self.is_full(entry.peer) {
            // Only debug: the caller logs how many there were.
            tracing::debug!(peer = %entry.peer, sequence = %entry.sequence, "the quarantine is full");
            return Ok(false);
        }
        let kept = entry.bytes.get(..KEPT_BYTES).unwrap_or(entry.bytes);
        let hash = Sha256::new().chain_update(entry.bytes.len().to_le_bytes()).chain_update(kept);
        let is_new = insert(conn, now, entry, kept, Some(hash.finalize().as_slice()))?;
        if is_new {
            self.count(entry.peer, 1, kept.len() as u64);
        }
        Ok(is_new)
    }
}

/// Keeps all of a damaged row of our own log. It may be the only copy, so there is no limit. Answers whether it is new.
pub(super) fn keep_row(
    conn: &Connection,
    now: Timestamp,
    entry: &QuarantineEntry<'_>,
) -> rusqlite::Result<bool> {
    insert(conn, now, entry, entry.bytes, None)
}

/// Answers whether it is new.
fn insert(
    conn: &Connection,
    now: Timestamp,
    entry: &QuarantineEntry<'_>,
    kept: &[u8],
    hash: Option<&[u8]>,
) -> rusqlite::Result<bool> {
    let id: Option<Id> = entry.event_id.map(|id| id.ulid().to_bytes());
    let inserted = conn
        .prepare_cached(
            "INSERT INTO quarantine (peer, sequence, event_id, reason, size, bytes, at, hash)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (peer, hash) DO NOTHING",
        )?
        .execute(params![
            entry.peer.to_bytes(),
            int(entry.sequence.0),
            id,
            entry.reason,
            int(entry.bytes.len() as u64),
            kept,
            now.as_millis(),
            hash,
        ])?;
    Ok(inserted > 0)
}
