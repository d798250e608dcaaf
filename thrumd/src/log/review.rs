//! The quarantine as a person sees it: its entries, and dropping them once they were seen.

use rusqlite::{Connection, params};
use thrum_api::local::{QuarantineEntry, QuarantineListResult};
use thrum_api::{Sequence, Timestamp};

use super::column::{self, int, uint};
use super::quarantine::Quarantine;
use super::transaction::WriteTransaction;

/// How many entries one answer has.
const LISTED_MAX: usize = 1000;
/// How many bytes of each one it has.
const EXCERPT_BYTES: i64 = 200;

/// The entries that nobody has cleared. The machines have no names yet.
pub(super) fn list(conn: &Connection) -> rusqlite::Result<QuarantineListResult> {
    let mut entries: Vec<QuarantineEntry> = conn
        .prepare_cached(
            "SELECT id, peer, sequence, event_id, reason, size, substr(bytes, 1, ?1), at
             FROM quarantine WHERE NOT seen ORDER BY id LIMIT ?2",
        )?
        .query_map(params![EXCERPT_BYTES, int(LISTED_MAX as u64 + 1)], |row| {
            let bytes: Vec<u8> = row.get(6)?;
            Ok(QuarantineEntry {
                id: uint(row.get(0)?),
                daemon_id: column::daemon_id(row.get(1)?),
                machine: None,
                sequence: Sequence(uint(row.get(2)?)),
                event_id: row.get::<_, Option<_>>(3)?.map(column::event_id),
                reason: row.get(4)?,
                size_bytes: uint(row.get(5)?),
                excerpt: String::from_utf8_lossy(&bytes).into_owned(),
                at: Timestamp::from_millis(row.get(7)?),
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    let more_available = entries.len() > LISTED_MAX;
    entries.truncate(LISTED_MAX);
    Ok(QuarantineListResult { entries, more_available })
}

/// Drops the entries up to this one. What a peer sent is remembered by its hash, so that it does not come back
/// when that peer's log is read again. Answers how many there were.
pub(super) fn clear(write: &mut WriteTransaction<'_>, through: u64) -> rusqlite::Result<u64> {
    let damaged = write
        .conn
        .prepare_cached("DELETE FROM quarantine WHERE id <= ?1 AND hash IS NULL")?
        .execute([int(through)])?;
    let sent = write
        .conn
        .prepare_cached("UPDATE quarantine SET seen = 1, bytes = x'' WHERE id <= ?1 AND NOT seen")?
        .execute([int(through)])?;
    write.state.quarantine = Quarantine::load(write.conn)?;
    Ok((damaged + sent) as u64)
}
