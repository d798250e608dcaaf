//! Figures of the log, for `status` and for `/metrics`. What they cost does not grow with the log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rusqlite::{Connection, OptionalExtension, params};
use thrum_api::{DaemonId, Sequence, Timestamp};

use super::column::{daemon_id, int, uint};
use super::readers::Lane;
use super::types::{LastSync, LogStats, WriteFailure};
use super::{Log, LogError, closed, list};
use crate::metrics::LogMetrics;

/// How many events of a peer may stand before the first one that it lacks; then the lag is not known.
const OWN_EVENTS_MAX: i64 = 64;

/// The first event after a position that came from elsewhere than the peer.
const LACKING: &str = "SELECT timestamp FROM events
     WHERE sequence > ?1 AND sequence <= ?1 + ?3
       AND source IS NOT (SELECT id FROM sources WHERE daemon_id = ?2)
     ORDER BY sequence LIMIT 1";
const END: &str = "SELECT max(sequence) FROM events";
const LAST_SYNCS: &str = "SELECT peer, sequence, last_sync, held FROM checkpoints";
const WRITTEN: &str = "SELECT timestamp FROM events WHERE sequence = ?1";

impl Log {
    /// The instruments of the log.
    pub fn metrics(&self) -> &Arc<LogMetrics> {
        &self.inner.metrics
    }

    /// Figures for `status`.
    pub async fn stats(&self) -> Result<LogStats, LogError> {
        let path = self.inner.path.clone();
        let read = move |conn: &_| list::stats(conn, &path);
        self.read(Lane::Questions, "read the figures of the log", read).await
    }

    /// Bytes of the WAL; 0 if there is none.
    pub fn wal_bytes(&self) -> u64 {
        std::fs::metadata(closed::wal(&self.inner.path)).map_or(0, |file| file.len())
    }

    /// What is known of the logs of all peers, read at once.
    pub async fn last_syncs(&self) -> Result<BTreeMap<DaemonId, LastSync>, LogError> {
        self.read(Lane::Questions, "read the checkpoints", |conn| {
            let mut peers = conn.prepare_cached(LAST_SYNCS)?;
            let peers = peers.query_map([], |row| {
                let at: Option<i64> = row.get(2)?;
                let last = LastSync {
                    checkpoint: Sequence(uint(row.get(1)?)),
                    at: at.map(Timestamp::from_millis),
                    held: Sequence(uint(row.get(3)?)),
                };
                Ok((daemon_id(row.get(0)?), last))
            })?;
            peers.collect()
        })
        .await
    }

    /// When the oldest event was written, by the clock of its origin, that each of these peers lacks: the first one after
    /// this position that did not come from it. None if there is none up to the end of the log. A peer is left out if so many
    /// of its own stand there that this was not found out.
    pub async fn oldest_lacking(
        &self,
        peers: Vec<(DaemonId, Sequence)>,
    ) -> Result<BTreeMap<DaemonId, Option<Timestamp>>, LogError> {
        let read = move |conn: &Connection| {
            let end: Option<i64> = conn.prepare_cached(END)?.query_row([], |row| row.get(0))?;
            let mut first = conn.prepare_cached(LACKING)?;
            let mut oldest = BTreeMap::new();
            for (peer, after) in &peers {
                let of = params![int(after.0), peer.to_bytes(), OWN_EVENTS_MAX];
                let found = first.query_row(of, |row| row.get(0)).optional()?;
                let looked = int(after.0).saturating_add(OWN_EVENTS_MAX);
                if found.is_some() || end.is_none_or(|end| end <= looked) {
                    oldest.insert(*peer, found.map(Timestamp::from_millis));
                }
            }
            Ok(oldest)
        };
        self.read(Lane::Questions, "look what peers lack", read).await
    }

    /// When the event at this position was written, by the clock of its origin.
    pub async fn written_at(&self, sequence: Sequence) -> Result<Option<Timestamp>, LogError> {
        let read = move |conn: &Connection| {
            let mut at = conn.prepare_cached(WRITTEN)?;
            at.query_row([int(sequence.0)], |row| row.get(0).map(Timestamp::from_millis)).optional()
        };
        self.read(Lane::Questions, "look when an event was written", read).await
    }

    /// Why writes to the log failed last, without waiting for the writer as [`Self::write_failure`] does. A small write
    /// is tried meanwhile, so that the next call knows whether they still fail.
    pub fn known_write_failure(&self) -> Option<WriteFailure> {
        let failure = self.failure();
        if failure.is_some() && !self.inner.probing.swap(true, Ordering::Relaxed) {
            let log = self.clone();
            tokio::spawn(async move {
                drop(log.write_failure().await);
                log.inner.probing.store(false, Ordering::Relaxed);
            });
        }
        failure
    }
}
