//! What a daemon signs of its log before it loses its key. Then its events are as those of another daemon: they are proved
//! by the points that are stored beside them.

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use thrum_api::limits::UNSIGNED_MAX_EVENTS;
use thrum_api::proof::Chain;
use thrum_api::{DaemonId, Origin, OriginSequence, Sequence};

use super::column::{self, uint};
use super::error::LogError;
use super::group;
use super::lock::Lock;
use super::schema::DATABASE;
use super::served::RowCheck;
use super::store::LogStore;
use crate::keys::SecretKey;
use crate::proof::{chain_next, point_message};

/// After so many bytes a stretch ends.
const BYTES_MAX: usize = 64 * 1024;

/// Signs all that the daemon with this key has written, before it gets another one. The caller has locked the directory.
///
/// # Errors
/// When the database is damaged or of another version, or the disk fails.
pub(crate) fn seal(lock: &Lock, state_dir: &Path, key: Arc<SecretKey>) -> Result<u64, LogError> {
    let path = state_dir.join(DATABASE);
    if !std::fs::metadata(&path).is_ok_and(|file| file.len() > 0) {
        return Ok(0);
    }
    let store = LogStore::open_file(&path, Arc::clone(&key), &lock.files())?;
    let signed = store.connection().unchecked_transaction().and_then(|transaction| {
        let points = sign_all(&transaction, &key, key.id())?;
        transaction.commit()?;
        Ok(points)
    });
    let points = signed.map_err(|error| LogError::storage("sign the events", &path, error))?;
    store.close()?;
    Ok(points)
}

/// The last event of a stretch of the log, and how long that is.
#[derive(Clone, Copy)]
struct Stretch {
    sequence: Sequence,
    place: u64,
    chain: Chain,
    events: usize,
    bytes: usize,
}

impl Stretch {
    /// Whether this event belongs to it. Pages end where it does, so that it is much shorter than a page.
    fn is_followed_by(&self, sequence: Sequence, place: u64, previous: Chain) -> bool {
        (sequence, place, previous) == (self.sequence.next(), self.place + 1, self.chain)
            && self.events < UNSIGNED_MAX_EVENTS
            && self.bytes < BYTES_MAX
    }
}

/// Signs the events of all epochs of this daemon: the last one of each stretch of the log. Answers how many points.
fn sign_all(conn: &Connection, key: &SecretKey, daemon: DaemonId) -> rusqlite::Result<u64> {
    let mut origins = conn.prepare("SELECT id, epoch FROM origins WHERE daemon_id = ?1")?;
    let origins: Vec<(i64, Origin)> = origins
        .query_map([daemon.to_bytes()], |row| {
            Ok((row.get(0)?, Origin { daemon, epoch: column::epoch(row.get(1)?) }))
        })?
        .collect::<rusqlite::Result<_>>()?;
    let mut points = 0;
    for (id, origin) in origins {
        let mut events = conn.prepare(
            "SELECT sequence, origin_sequence, previous, body, hash FROM events WHERE origin = ?1
             ORDER BY sequence",
        )?;
        let mut rows = events.query([id])?;
        let mut last: Option<Stretch> = None;
        let mut ends = Vec::new();
        let mut check = RowCheck::new(conn);
        while let Some(found) = rows.next()? {
            let (sequence, place) = (Sequence(uint(found.get(0)?)), uint(found.get(1)?));
            let previous = column::chain(found.get(2)?);
            let body = found.get_ref(3)?.as_blob()?;
            let chain = chain_next(previous, body);
            // Bytes that were changed on the disk must not become what was written.
            if !check.is_whole(sequence, chain, column::hash(found.get(4)?))? {
                continue;
            }
            let goes_on = last.take_if(|it| !it.is_followed_by(sequence, place, previous));
            ends.extend(goes_on);
            let (events, bytes) = last.map_or((0, 0), |it| (it.events, it.bytes));
            let (events, bytes) = (events + 1, bytes + body.len());
            last = Some(Stretch { sequence, place, chain, events, bytes });
        }
        ends.extend(last);
        for Stretch { sequence, place, chain, .. } in ends {
            let signature = key.sign(&point_message(&origin, OriginSequence(place), chain));
            points += 1;
            group::keep(conn, sequence, &signature)?;
        }
    }
    Ok(points)
}
