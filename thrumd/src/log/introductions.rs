//! How many new origins a peer may introduce. It can make any number of keys, and of epochs of each, so
//! this is a rate and never a loss: the events of further origins stay with the peer, and are taken later.

use rusqlite::{Connection, OptionalExtension, params};
use thrum_api::local::unsigned;
use thrum_api::{DaemonId, Timestamp};

use super::column::{self, int, uint};
use crate::message_id;

/// New origins from a peer at once. The log of an honest one may hold years of machines that were used once.
pub(super) const AT_ONCE: u64 = 10_000;
/// Beyond these, what only epochs of the peer itself may use: others that it relays can't use that up.
pub(super) const RESERVED: u64 = 1_000;
/// One more can come after each of these intervals: a thousand an hour.
const INTERVAL_MILLIS: u64 = 3600;

/// Whose origin a peer introduces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Introduced {
    /// An epoch of the peer.
    ByItself,
    /// An epoch of another daemon.
    Relayed,
}

/// What a peer introduced lately, during one batch.
pub(super) struct Introductions {
    now: Timestamp,
    recent: u64,
    /// Up to when intervals were subtracted from `recent`.
    at: u64,
    /// Since when the peer has events of further origins.
    withheld: Option<Timestamp>,
    /// Since when it brings events that no signature proves.
    refused: Option<Timestamp>,
    changed: bool,
}

impl Introductions {
    pub(super) fn load(
        conn: &Connection,
        peer: DaemonId,
        now: Timestamp,
    ) -> rusqlite::Result<Self> {
        let stored = conn
            .prepare_cached(
                "SELECT introduced, introduced_at, withheld_at, refused_at FROM checkpoints WHERE peer = ?1",
            )?
            .query_row([peer.to_bytes()], |row| {
                let at = |column| row.get::<_, Option<i64>>(column);
                Ok((uint(row.get(0)?), uint(row.get(1)?), at(2)?, at(3)?))
            })
            .optional()?;
        let (introduced, at, withheld, refused) = stored.unwrap_or_default();
        let millis = u64::try_from(now.as_millis()).unwrap_or(0);
        // A clock that was set back starts the interval again.
        let from = at.min(millis);
        let intervals = (millis - from) / INTERVAL_MILLIS;
        Ok(Self {
            now,
            recent: introduced.saturating_sub(intervals),
            at: from + intervals * INTERVAL_MILLIS,
            withheld: withheld.map(Timestamp::from_millis),
            refused: refused.map(Timestamp::from_millis),
            changed: from < at,
        })
    }

    /// Whether a new origin is taken; counts it.
    pub(super) fn admits(&mut self, introduced: Introduced) -> bool {
        let max = match introduced {
            Introduced::Relayed => AT_ONCE,
            Introduced::ByItself => AT_ONCE + RESERVED,
        };
        let admitted = self.recent < max;
        if admitted {
            self.recent += 1;
        }
        self.changed |= admitted;
        admitted
    }

    /// Events of the batch were not taken, because they are of more new origins than the peer may introduce.
    pub(super) fn withhold(&mut self, peer: DaemonId) {
        if self.withheld.is_none() {
            tracing::warn!(
                about = %peer,
                "{peer} brings events of too many new machines at once; those of further ones wait there"
            );
            self.withheld = Some(self.now);
            self.changed = true;
        }
    }

    /// Events of the batch were not taken, because no signature of their origins proves them.
    pub(super) fn refuse(&mut self, peer: DaemonId) {
        if self.refused.is_none() {
            tracing::warn!(about = %peer, journal.message_id = message_id::UNSIGNED, "{}: they are not taken", unsigned(peer));
            self.refused = Some(self.now);
            self.changed = true;
        }
    }

    /// All that the peer has was taken.
    pub(super) fn took_all(&mut self) {
        self.changed |= self.withheld.take().is_some() | self.refused.take().is_some();
    }

    /// Stores them beside the checkpoint.
    pub(super) fn save(&self, conn: &Connection, peer: DaemonId) -> rusqlite::Result<()> {
        if self.changed {
            conn.prepare_cached(
                "UPDATE checkpoints
                 SET introduced = ?2, introduced_at = ?3, withheld_at = ?4, refused_at = ?5
                 WHERE peer = ?1",
            )?
            .execute(params![
                peer.to_bytes(),
                int(self.recent),
                int(self.at),
                self.withheld.map(Timestamp::as_millis),
                self.refused.map(Timestamp::as_millis)
            ])?;
        }
        Ok(())
    }
}

/// Adds what a peer introduced to what its successor did, so that a new id brings no new allowance.
pub(super) fn pass_on(conn: &Connection, from: DaemonId, to: DaemonId) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "INSERT INTO checkpoints (peer, sequence, introduced, introduced_at)
         SELECT ?2, 0, introduced, introduced_at FROM checkpoints WHERE peer = ?1
         ON CONFLICT (peer) DO UPDATE SET introduced = introduced + excluded.introduced,
         introduced_at = max(introduced_at, excluded.introduced_at)",
    )?
    .execute([from.to_bytes(), to.to_bytes()])
    .map(drop)
}

/// The peers with events of too many new origins, and since when.
pub(super) fn withheld(conn: &Connection) -> rusqlite::Result<Vec<(DaemonId, Timestamp)>> {
    since(conn, "SELECT peer, withheld_at FROM checkpoints WHERE withheld_at NOT NULL")
}

/// The peers that bring events which no signature proves, and since when.
pub(super) fn refused(conn: &Connection) -> rusqlite::Result<Vec<(DaemonId, Timestamp)>> {
    since(conn, "SELECT peer, refused_at FROM checkpoints WHERE refused_at NOT NULL")
}

fn since(conn: &Connection, query: &str) -> rusqlite::Result<Vec<(DaemonId, Timestamp)>> {
    conn.prepare_cached(query)?
        .query_map([], |row| {
            Ok((column::daemon_id(row.get(0)?), Timestamp::from_millis(row.get(1)?)))
        })?
        .collect()
}
