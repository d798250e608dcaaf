//! The real log, in memory, with ids and times that the seed decides.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use rusqlite::Connection;
use serde_json::value::RawValue;
use tests::harness::Origin;
use thrum_api::local::EventListParams;
use thrum_api::proof::Chain;
use thrum_api::{DaemonId, Draft, Epoch, EventId, LogPosition, Sequence, Timestamp};
use thrumd::keys::SecretKey;
use thrumd::log::{
    Applied, Batch, Environment, Failed, IncomingPage, LogError, LogHead, LogStore, LogTransaction,
    News, NewsRequest, PageAnswer, PageRequest, Waits,
};
use thrumd::proof::chain_next;
use thrumd::sync::protocol::ReplicaLog;
use ulid::Ulid;

use crate::proof;
use crate::world::Micros;

/// Ids from a counter, and the virtual time of day.
#[derive(Debug, Clone, Default)]
pub struct Ids(Arc<Mutex<(u128, Micros)>>);

impl Ids {
    pub fn draw(&self) -> Ulid {
        let mut state = self.0.lock().unwrap();
        state.0 += 1;
        Ulid::from(state.0)
    }

    /// The key of a new daemon.
    pub fn key(&self) -> Arc<SecretKey> {
        let mut seed = [0; 32];
        seed[16..].copy_from_slice(&self.draw().to_bytes());
        Arc::new(SecretKey::from_seed(&seed))
    }

    pub fn set_time(&self, now: Micros) {
        self.0.lock().unwrap().1 = now;
    }
}

impl Environment for Ids {
    fn event_id(&mut self) -> EventId {
        EventId::from_ulid(self.draw())
    }

    fn epoch(&mut self) -> Epoch {
        Epoch::from_ulid(self.draw())
    }

    fn now(&mut self) -> Timestamp {
        let millis = self.0.lock().unwrap().1 / 1000;
        Timestamp::from_millis(1_700_000_000_000 + i64::try_from(millis).unwrap())
    }
}

/// A new database in memory that outlives its first connection's statements.
fn copy(from: &Connection) -> Connection {
    static COPIES: AtomicU64 = AtomicU64::new(0);
    let name = format!("file:/copy-{}?vfs=memdb", COPIES.fetch_add(1, Ordering::Relaxed));
    let to = Connection::open(&name).unwrap();
    from.execute("VACUUM INTO ?1", [&name]).unwrap();
    to
}

/// What was found in a log, and the database's count of changes at that time.
#[derive(Default)]
struct Known<T>(Option<u64>, Arc<T>);

impl<T> Known<T> {
    /// What `find` finds, if the database has changed.
    fn update(&mut self, conn: &Connection, find: impl FnOnce() -> T) -> Arc<T> {
        let changes = Some(conn.total_changes());
        if self.0 != changes {
            *self = Self(changes, Arc::new(find()));
        }
        Arc::clone(&self.1)
    }
}

pub struct SimLog {
    store: Mutex<LogStore>,
    key: Arc<SecretKey>,
    held: Mutex<Known<BTreeSet<EventId>>>,
    chains: Mutex<Known<BTreeMap<Chain, DaemonId>>>,
    proved: Mutex<Known<BTreeSet<Chain>>>,
    /// A checkpoint that moved where it must not.
    pub fault: Mutex<Option<String>>,
}

impl SimLog {
    /// Its daemon's key.
    pub fn key(&self) -> &Arc<SecretKey> {
        &self.key
    }

    pub fn new(key: Arc<SecretKey>, ids: &Ids) -> Self {
        Self::of(LogStore::open_in_memory(Arc::clone(&key), ids.clone()).unwrap(), key)
    }

    /// Another log of the same daemon, as after its database was lost.
    pub fn begun_anew(&self, ids: &Ids) -> Self {
        Self::new(Arc::clone(&self.key), ids)
    }

    /// The log of the same daemon in a copy of this database.
    pub fn restored(&self, backup: &Connection, ids: &Ids) -> Self {
        let key = Arc::clone(&self.key);
        Self::of(LogStore::open(copy(backup), Arc::clone(&key), ids.clone()).unwrap(), key)
    }

    fn of(store: LogStore, key: Arc<SecretKey>) -> Self {
        let (held, chains, proved, fault) = Default::default();
        Self { store: Mutex::new(store), key, held, chains, proved, fault }
    }

    pub fn store(&self) -> MutexGuard<'_, LogStore> {
        self.store.lock().unwrap()
    }

    pub fn backup(&self) -> Connection {
        copy(self.store().connection())
    }

    /// As after a crash: whatever is only in memory is gone.
    pub fn reopened(self, ids: &Ids) -> Self {
        let (store, key) = (self.store.into_inner().unwrap(), self.key);
        let conn = store.into_connection();
        Self::of(LogStore::open(conn, Arc::clone(&key), ids.clone()).unwrap(), key)
    }

    /// Every event that stands here undamaged.
    pub fn held(&self) -> Arc<BTreeSet<EventId>> {
        let store = self.store();
        let find = || {
            let sql = "SELECT event_id FROM events WHERE body != x'00'";
            select(store.connection(), sql).into_iter().map(|(id, _)| id).collect()
        };
        self.held.lock().unwrap().update(store.connection(), find)
    }

    /// The same events by the chains after them, each with the daemon that is said to have written it.
    pub fn chains(&self) -> Arc<BTreeMap<Chain, DaemonId>> {
        let store = self.store();
        let find = || proof::chains(store.connection());
        self.chains.lock().unwrap().update(store.connection(), find)
    }

    /// Those of them that another daemon takes from this one: its own, and those from which others follow one another
    /// up to a signed point.
    pub fn proved(&self) -> Arc<BTreeSet<Chain>> {
        let store = self.store();
        let find = || proof::proved(store.connection());
        self.proved.lock().unwrap().update(store.connection(), find)
    }

    /// The events up to a position.
    pub fn up_to(&self, position: Sequence) -> Vec<EventId> {
        let sql = format!("SELECT event_id FROM events WHERE sequence <= {}", position.0);
        select(self.store().connection(), &sql).into_iter().map(|(id, _)| id).collect()
    }

    /// Writes an event; answers its id and the chain after it.
    pub fn append(&self) -> Result<(EventId, Chain), LogError> {
        let body = RawValue::from_string("{}".to_owned()).unwrap();
        let event_type = "test.happened".to_owned();
        let draft = Draft { event_id: None, event_type, project: None, body };
        let mut store = self.store();
        let id = store.append(&[draft])?[0].event_id;
        let last = "SELECT previous, body FROM events ORDER BY sequence DESC LIMIT 1";
        let chain = store.connection().query_row(last, [], |row| {
            let body: Vec<u8> = row.get(1)?;
            Ok(chain_next(Chain(row.get(0)?), &body))
        });
        Ok((id, chain.unwrap()))
    }

    /// Applies a batch. The checkpoint must not move if it was reset since the batch was asked for, and
    /// moves back only in a log of another epoch. An event whose row is found damaged on the way resets it.
    pub fn apply(&self, batch: &Batch) -> Result<Applied, LogError> {
        let mut store = self.store();
        let before = store.checkpoint(batch.peer)?;
        let damaged = store.damaged_rows();
        let applied = store.apply(batch)?;
        let finds_damage = store.damaged_rows() != damaged;
        let after = store.checkpoint(batch.peer)?.position;
        let was_reset = before.position.sequence < batch.from.position.sequence;
        let other_log =
            batch.epoch.is_some() && before.epoch.is_some_and(|it| batch.epoch != Some(it));
        let moves_back = after.sequence < before.position.sequence && !other_log;
        let is_reset = finds_damage && after == LogPosition::START;
        if after != before.position && !is_reset && (was_reset || moves_back) {
            let text = format!("a checkpoint moved from {:?} to {after:?}", before.position);
            *self.fault.lock().unwrap() = Some(text);
        }
        Ok(applied)
    }

    /// Events of so many origins, as they came from a machine that is no peer any more.
    pub fn fill(&self, origins: u64, ids: &Ids) {
        let run = |n: u64| {
            let epoch = Epoch::from_ulid(ids.draw());
            let mut origin = Origin::of(ids.key(), epoch);
            let of = thrum_api::Origin { daemon: origin.id(), epoch };
            let event = origin.write(event_text(ids.draw(), &of, 1)).at(n + 1);
            origin.run(&[event])
        };
        let peer = ids.key().id();
        let from = self.store().checkpoint(peer).unwrap();
        let page = IncomingPage::read((0..origins).map(run).collect());
        let (epoch, checkpoint, held) = (None, None, None);
        let batch = Batch { epoch, peer, page, from, checkpoint, held, is_whole: false };
        let applied = self.store().apply(&batch).unwrap();
        assert_eq!(applied.applied as u64, origins);
    }

    /// Makes an event into something that is none; which one, if there are so many.
    pub fn damage(&self, nth: u64) -> Option<EventId> {
        let store = self.store();
        let nth = format!("FROM events ORDER BY sequence LIMIT 1 OFFSET {nth}");
        let (id, _) = *select(store.connection(), &format!("SELECT event_id {nth}")).first()?;
        let damage =
            format!("UPDATE events SET body = x'00' WHERE sequence = (SELECT sequence {nth})");
        assert_eq!(store.connection().execute(&damage, []).unwrap(), 1);
        Some(id)
    }

    /// A local reader reads everything, and finds what is damaged.
    pub fn read_all(&self) {
        let limit = Some(1000);
        let mut after = Sequence::ZERO;
        loop {
            let params = EventListParams { after, limit, ..EventListParams::default() };
            let page = self.store().list(&params).unwrap();
            let Some(last) = page.events.last() else { return };
            after = last.sequence;
        }
    }

    /// From now on the database does not grow, or does again.
    pub fn set_full(&self, full: bool) {
        let store = self.store();
        let pages: i64 =
            store.connection().query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        let max = if full { pages } else { 1 << 30 };
        let sql = format!("PRAGMA max_page_count = {max}");
        store.connection().query_row(&sql, [], |_| Ok(())).unwrap();
    }

    /// Whether this event is at this position.
    pub fn holds(&self, position: LogPosition) -> bool {
        let request = PageRequest {
            peer: self.store().daemon(),
            after: position,
            limit: 1,
            have: Vec::new(),
        };
        matches!(self.store().page(&request), Ok(PageAnswer::Page(_)))
    }

    /// How many heads this log sends.
    pub fn heads_sent(&self) -> u64 {
        self.store().heads(Sequence::ZERO).unwrap().len() as u64
    }

    pub fn count(&self, sql: &str) -> u64 {
        let count: i64 = self.store().connection().query_row(sql, [], |row| row.get(0)).unwrap();
        u64::try_from(count).unwrap()
    }
}

/// The bytes of an event, as any program could write them.
pub fn event_text(id: Ulid, of: &thrum_api::Origin, place: u64) -> String {
    let (daemon, epoch) = (of.daemon, of.epoch);
    format!(
        r#"{{"event_id":"{id}","origin_daemon":"{daemon}","origin_epoch":"{epoch}","origin_sequence":{place},"hlc":"0192f3a1b2c3-0004","timestamp":"2026-11-24T16:00:00.123Z","type":"test.happened","body":{{}}}}"#
    )
}

fn select(conn: &Connection, sql: &str) -> Vec<(EventId, [u8; 16])> {
    let mut statement = conn.prepare_cached(sql).unwrap();
    let rows = statement.query_map([], |row| row.get::<_, [u8; 16]>(0)).unwrap();
    rows.map(|bytes| bytes.unwrap())
        .map(|bytes| (EventId::from_ulid(Ulid::from_bytes(bytes)), bytes))
        .collect()
}

type Answer<T> = Result<T, LogError>;

impl ReplicaLog for SimLog {
    fn daemon(&self) -> DaemonId {
        self.store().daemon()
    }

    fn head(&self) -> LogHead {
        self.store().head()
    }

    async fn page(&self, request: PageRequest) -> Answer<PageAnswer> {
        self.store().page(&request)
    }

    async fn news(&self, request: NewsRequest, waits: Waits) -> Answer<News> {
        self.store().news(request, waits)
    }

    async fn judge<T: Send + 'static>(
        &self,
        _bytes: usize,
        _heads: usize,
        work: impl FnMut(&mut LogTransaction<'_, '_>) -> Result<T, Failed> + Send + 'static,
    ) -> Answer<T> {
        self.store().judge(work)
    }
}
