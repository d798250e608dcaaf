//! The writer's state, cached from the database: high-water marks, sources, recent origins. Loaded at start
//! and after a failed transaction; saved with every transaction that changed it.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension, params};
use thrum_api::proof::Chain;
use thrum_api::{DaemonId, Epoch, Hlc, LogHash, LogPosition, Origin, Sequence, Timestamp};

use super::blocks::WrittenBlock;
use super::changes::Changes;
use super::column::{self, int, uint};
use super::environment::Environment;
use super::group::Group;
use super::hash;
use super::observed::Observed;
use super::origins::{self, OriginRow};
use super::quarantine::Quarantine;
use super::types::LogHead;
use crate::proof::chain_start;

/// How many origins are cached after a transaction.
const ORIGINS_CACHED: usize = 256;

/// The source of events that were written here.
pub(super) const OWN_SOURCE: i64 = 0;

/// The row `meta`.
#[derive(Debug, Clone)]
pub(super) struct Meta {
    pub(super) daemon: DaemonId,
    pub(super) epoch: Epoch,
    /// Last `origin_sequence` given in this epoch.
    pub(super) own_sequence: u64,
    /// The chain of this epoch there.
    pub(super) own_chain: Chain,
    pub(super) head: LogPosition,
    /// The hash at `head`, also of a log without events.
    pub(super) hash: LogHash,
    /// Sequence of the last event that was written here. It is in this row because each append
    /// writes the row anyway.
    pub(super) own_last: Sequence,
    pub(super) floor: Sequence,
    pub(super) hlc: Hlc,
    /// When an event came that another machine wrote with the key of this daemon.
    pub(super) cloned_at: Option<Timestamp>,
}

impl Meta {
    pub(super) fn read(conn: &Connection) -> rusqlite::Result<Option<Self>> {
        conn.prepare_cached(
            "SELECT daemon_id, epoch, own_sequence, head, own_chain, own_last, floor, hlc, hash,
                    cloned_at
             FROM meta",
        )?
        .query_row([], |row| {
            let sequence: i64 = row.get(3)?;
            let hash: i64 = row.get(8)?;
            let head_hash = (sequence > 0).then_some(hash);
            Ok(Self {
                daemon: column::daemon_id(row.get(0)?),
                epoch: column::epoch(row.get(1)?),
                own_sequence: uint(row.get(2)?),
                own_chain: column::chain(row.get(4)?),
                head: column::position(sequence, head_hash),
                hash: column::hash(hash),
                own_last: Sequence(uint(row.get(5)?)),
                floor: Sequence(uint(row.get(6)?)),
                hlc: Hlc::from_bits(uint(row.get(7)?)),
                cloned_at: row.get::<_, Option<i64>>(9)?.map(Timestamp::from_millis),
            })
        })
        .optional()
    }

    /// The same for a reader: the writer has created the row.
    pub(super) fn expect(conn: &Connection) -> rusqlite::Result<Self> {
        Self::read(conn)?.ok_or(rusqlite::Error::QueryReturnedNoRows)
    }

    fn write(&self, conn: &Connection) -> rusqlite::Result<()> {
        conn.prepare_cached(
            "INSERT OR REPLACE INTO meta
             (one, daemon_id, epoch, own_sequence, head, own_chain, own_last, floor, hlc, hash,
              cloned_at)
             VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            self.daemon.to_bytes(),
            self.epoch.ulid().to_bytes(),
            int(self.own_sequence),
            int(self.head.sequence.0),
            self.own_chain.0,
            int(self.own_last.0),
            int(self.floor.0),
            int(self.hlc.to_bits()),
            column::hash_int(self.hash),
            self.cloned_at.map(Timestamp::as_millis),
        ])?;
        Ok(())
    }

    pub(super) fn log_head(&self) -> LogHead {
        LogHead { epoch: self.epoch, position: self.head }
    }

    /// The origin of events that are written here now.
    pub(super) fn own_origin(&self) -> Origin {
        Origin { daemon: self.daemon, epoch: self.epoch }
    }
}

/// How many damaged rows were moved to quarantine.
pub(super) fn count_gaps(conn: &Connection) -> rusqlite::Result<u64> {
    conn.prepare_cached("SELECT count(*) FROM gaps")?.query_row([], |row| row.get(0)).map(uint)
}

#[derive(Debug)]
struct SourceRow {
    id: i64,
    last: Sequence,
}

/// The writer's state.
#[derive(Debug)]
pub(super) struct State {
    pub(super) meta: Meta,
    /// When this was loaded. What this daemon has written since then is in the log.
    pub(super) loaded_at: Timestamp,
    /// The epoch began since this was loaded.
    pub(super) epoch_is_new: bool,
    /// When events of a peer began an epoch, since this was loaded.
    pub(super) epoch_began: Option<Timestamp>,
    /// Origins of recent transactions. All of them would be too many: a peer can invent them.
    origins: BTreeMap<Origin, OriginRow>,
    /// Peers that events came from.
    sources: BTreeMap<DaemonId, SourceRow>,
    /// Damaged rows that were moved to quarantine.
    pub(super) damaged_rows: u64,
    pub(super) quarantine: Quarantine,
    pub(super) block: WrittenBlock,
    /// The signed points of the newest events.
    pub(super) group: Group,
    /// For those who are told of what is new.
    pub(super) changes: Changes,
    /// For those who measure what was committed.
    pub(super) observed: Observed,
    meta_changed: bool,
    changed_origins: BTreeSet<Origin>,
    changed_sources: BTreeSet<DaemonId>,
}

impl State {
    /// Loads it. Begins the first epoch in a new database, and another one when the daemon has a new
    /// identity, because its events are then of another origin.
    pub(super) fn load(
        conn: &Connection,
        daemon: DaemonId,
        environment: &mut dyn Environment,
    ) -> rusqlite::Result<Self> {
        let stored = Meta::read(conn)?;
        let meta_changed = stored.as_ref().is_none_or(|meta| meta.daemon != daemon);
        let meta = match stored {
            Some(meta) if meta.daemon == daemon => meta,
            Some(meta) => {
                tracing::warn!(was = %meta.daemon, now = %daemon, "the log has a new identity");
                let origin = Origin { daemon, epoch: environment.epoch() };
                Meta {
                    daemon,
                    epoch: origin.epoch,
                    own_sequence: 0,
                    own_chain: chain_start(&origin),
                    cloned_at: None,
                    ..meta
                }
            }
            None => {
                let epoch = environment.epoch();
                Meta {
                    daemon,
                    epoch,
                    own_sequence: 0,
                    own_chain: chain_start(&Origin { daemon, epoch }),
                    head: LogPosition::START,
                    hash: hash::FIRST,
                    own_last: Sequence::ZERO,
                    floor: Sequence::ZERO,
                    hlc: Hlc::default(),
                    cloned_at: None,
                }
            }
        };
        let sources = conn
            .prepare_cached("SELECT daemon_id, id, last FROM sources")?
            .query_map([], |row| {
                let daemon = row.get(0)?;
                let source = SourceRow { id: row.get(1)?, last: Sequence(uint(row.get(2)?)) };
                Ok((column::daemon_id(daemon), source))
            })?
            .collect::<rusqlite::Result<_>>()?;
        Ok(Self {
            meta,
            loaded_at: environment.now(),
            epoch_is_new: meta_changed,
            epoch_began: None,
            origins: BTreeMap::new(),
            sources,
            damaged_rows: count_gaps(conn)?,
            quarantine: Quarantine::load(conn)?,
            block: WrittenBlock::default(),
            group: Group::default(),
            changes: Changes::default(),
            observed: Observed::default(),
            meta_changed,
            changed_origins: BTreeSet::new(),
            changed_sources: BTreeSet::new(),
        })
    }

    /// Writes what changed, in the transaction that changed it.
    pub(super) fn save(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        if self.meta_changed {
            self.meta.write(conn)?;
            self.meta_changed = false;
        }
        for origin in std::mem::take(&mut self.changed_origins) {
            if let Some(row) = self.origins.get_mut(&origin) {
                origins::update(conn, row)?;
            }
        }
        if self.origins.len() > ORIGINS_CACHED {
            self.origins.clear();
        }
        for source in std::mem::take(&mut self.changed_sources) {
            if let Some(row) = self.sources.get(&source) {
                conn.prepare_cached("UPDATE sources SET last = ?2 WHERE id = ?1")?
                    .execute(params![row.id, int(row.last.0)])?;
            }
        }
        Ok(())
    }

    /// The high-water marks, for a change.
    pub(super) fn meta_mut(&mut self) -> &mut Meta {
        self.meta_changed = true;
        &mut self.meta
    }

    /// An origin, if an event of it was ever stored.
    pub(super) fn known_origin(
        &mut self,
        conn: &Connection,
        origin: Origin,
    ) -> rusqlite::Result<Option<OriginRow>> {
        if let Some(row) = self.origins.get(&origin) {
            return Ok(Some(*row));
        }
        let row = origins::find(conn, origin)?;
        if let Some(row) = row {
            self.origins.insert(origin, row);
        }
        Ok(row)
    }

    /// An origin, inserted if it is new.
    pub(super) fn origin(
        &mut self,
        conn: &Connection,
        origin: Origin,
    ) -> rusqlite::Result<OriginRow> {
        if let Some(row) = self.known_origin(conn, origin)? {
            return Ok(row);
        }
        let row = origins::insert(conn, origin)?;
        self.origins.insert(origin, row);
        Ok(row)
    }

    /// Changes an origin.
    pub(super) fn set_origin(&mut self, origin: Origin, row: OriginRow) {
        self.origins.insert(origin, row);
        self.changed_origins.insert(origin);
    }

    /// The id of a source, inserted if it is new. None is this daemon.
    pub(super) fn source(
        &mut self,
        conn: &Connection,
        daemon: Option<DaemonId>,
    ) -> rusqlite::Result<i64> {
        let Some(daemon) = daemon else { return Ok(OWN_SOURCE) };
        if let Some(row) = self.sources.get(&daemon) {
            return Ok(row.id);
        }
        conn.prepare_cached("INSERT INTO sources (daemon_id, last) VALUES (?1, 0)")?
            .execute([daemon.to_bytes()])?;
        let id = conn.last_insert_rowid();
        self.sources.insert(daemon, SourceRow { id, last: Sequence::ZERO });
        Ok(id)
    }

    /// Gives the next sequence to an event from this source, with which the log has this hash.
    pub(super) fn advance(&mut self, hash: LogHash, source: Option<DaemonId>) -> Sequence {
        let meta = self.meta_mut();
        let sequence = meta.head.sequence.next();
        meta.hash = hash;
        meta.head = LogPosition { sequence, hash: Some(hash) };
        let Some(source) = source else {
            meta.own_last = sequence;
            return sequence;
        };
        if let Some(row) = self.sources.get_mut(&source) {
            row.last = sequence;
            self.changed_sources.insert(source);
        }
        sequence
    }
}
