//! The log: every event this daemon holds, in the order in which it committed them.
//!
//! One writer thread owns the write connection and assigns sequences inside the transaction, so a
//! reader never sees a gap that is filled later. An acknowledged append is on disk.

mod append;
mod apply;
mod availability;
mod batcher;
mod blocks;
mod changes;
mod check;
mod closed;
pub(crate) mod column;
mod copy;
mod damage;
mod direct;
mod environment;
mod error;
mod figures;
mod group;
mod hash;
mod heads;
mod incoming;
mod introductions;
mod judging;
mod list;
mod lock;
mod lookup;
mod news;
mod observed;
mod origins;
mod page;
mod portable;
mod quarantine;
mod readers;
mod reading;
mod recent;
mod review;
mod runs;
mod scan;
mod schema;
mod seal;
mod served;
mod state;
mod store;
mod transaction;
mod types;
mod wal;
mod writer;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Instant;

use parking_lot::Mutex;
use thrum_api::local::{Appended, EventListParams, EventListResult};
use thrum_api::{DaemonId, Draft, Head, LogPosition, Sequence};
use tokio::sync::{mpsc, oneshot, watch};

pub(crate) use check::{check, check_indexes, holds_all};
pub(crate) use closed::{keep_wal, note as note_closed};
pub(crate) use direct::{FoundEvent, LogReader, StoredEvent};
pub use environment::Environment;
pub(crate) use error::LogErrorKind;
pub use error::{Failed, LogError};
pub use incoming::IncomingPage;
pub use judging::LogTransaction;
pub(crate) use lock::Lock;
pub(crate) use schema::{DATABASE, SCHEMA_VERSION};
pub(crate) use seal::seal;
pub use store::LogStore;
pub use types::{
    Applied, Batch, Checkpoint, LastSync, LogHead, News, NewsRequest, PageAnswer, PageRequest,
    Urgency, Waits,
};
pub(crate) use types::{LogStats, WriteFailure};

use crate::database_files;
use crate::held_files::HeldFiles;
use crate::keys::SecretKey;
use crate::metrics::{LogMetrics, WriteFailureReason};

use batcher::Batcher;
use readers::{Lane, Readers};
use recent::Recent;
use runs::Signer;
use transaction::WriteTransaction;
use types::Failures;
use writer::{ClosureTask, Job, Priority, Watched, Writer};

/// The log. Clones share it. Every call that can fail does so when the disk fails or the log is closed;
/// other reasons are in its documentation.
#[derive(Clone)]
pub(crate) struct Log {
    inner: Arc<Inner>,
}

struct Inner {
    key: Arc<SecretKey>,
    daemon: DaemonId,
    path: PathBuf,
    files: HeldFiles,
    /// That of the writer, which has it until the database is closed.
    lock: Weak<Lock>,
    jobs: mpsc::Sender<Job>,
    head: watch::Receiver<LogHead>,
    readers: Arc<Readers>,
    recent: Arc<Mutex<Recent>>,
    news: Batcher<(NewsRequest, Waits), News>,
    damaged_rows: watch::Receiver<u64>,
    /// Copies that the writer makes of a log whose file is gone, which may take long.
    copying: Arc<AtomicUsize>,
    /// Why writes fail, until one succeeds.
    failure: Failures,
    /// Whether they still fail is being found out.
    probing: AtomicBool,
    metrics: Arc<LogMetrics>,
    /// None after `close` has joined it.
    writer: Mutex<Option<JoinHandle<Result<bool, LogError>>>>,
}

impl Log {
    #[cfg(test)]
    pub fn open(
        state_dir: &Path,
        key: Arc<SecretKey>,
        expected: bool,
    ) -> Result<(Self, bool), LogError> {
        Self::open_locked(Lock::take(state_dir)?, state_dir, key, expected)
    }

    /// Opens `log.db` in `state_dir` for the daemon with this key, creates or migrates it and starts the writer. The
    /// caller has locked the directory before it read any other file there. `expected` says that this
    /// daemon had a database before (from identity.json). Answers whether it is gone: then a new epoch
    /// began.
    ///
    /// # Errors
    /// When the database is damaged or of a later version, or the disk fails. Nothing is ever replaced.
    pub fn open_locked(
        lock: Lock,
        state_dir: &Path,
        key: Arc<SecretKey>,
        expected: bool,
    ) -> Result<(Self, bool), LogError> {
        let path = state_dir.join(schema::DATABASE);
        let is_there = std::fs::metadata(&path).is_ok_and(|file| file.len() > 0);
        if !is_there && let Some(kept) = closed::keep_wal(&path)? {
            let path = path.display();
            tracing::warn!("{path} was gone: its WAL is kept as {}", kept.display());
        }
        let files = lock.files();
        let store = LogStore::open_file(&path, Arc::clone(&key), &files)?;
        // The database itself is held already.
        let beside = database_files::all(&path).into_iter().skip(1);
        files.hold_paths(beside).map_err(|source| LogError::File {
            action: "look at",
            path: path.clone(),
            source,
        })?;
        let (recent, metrics) = (store.recent(), store.metrics());
        let (writer, Watched { head, damaged_rows }) = Writer::new(store, files.clone());
        let (jobs, queue) = mpsc::channel(writer::QUEUE);
        let lock = Arc::new(lock);
        let held = Arc::clone(&lock);
        let thread = std::thread::Builder::new()
            .name("thrum-log".to_owned())
            // The lock is released after the connection is closed.
            .spawn(move || {
                let ended = writer.run(queue);
                drop(held);
                ended
            })
            .map_err(|source| LogError::File {
                action: "start the writer of",
                path: path.clone(),
                source,
            })?;
        let readers = Arc::new(Readers::new(path.clone(), files.clone()));
        let inner = Arc::new(Inner {
            daemon: key.id(),
            key,
            path,
            files,
            lock: Arc::downgrade(&lock),
            jobs,
            head,
            readers,
            recent,
            news: Batcher::default(),
            damaged_rows,
            copying: Arc::default(),
            failure: Failures::default(),
            probing: AtomicBool::new(false),
            metrics,
            writer: Mutex::new(Some(thread)),
        });
        Ok((Self { inner }, expected && !is_there))
    }

    /// The daemon whose log it is.
    pub fn daemon(&self) -> DaemonId {
        self.inner.daemon
    }

    /// The key of that daemon.
    pub fn key(&self) -> &SecretKey {
        &self.inner.key
    }

    /// The files of the state directory that this daemon holds.
    pub fn files(&self) -> &HeldFiles {
        &self.inner.files
    }

    /// The lock of the state directory; None when the log is closed. It stays locked while this is kept.
    pub fn lock(&self) -> Option<Arc<Lock>> {
        self.inner.lock.upgrade()
    }

    /// The end of the log now.
    pub fn head(&self) -> LogHead {
        *self.inner.head.borrow()
    }

    /// Notified after each commit that added events or changed the epoch. The newest value only.
    pub fn watch(&self) -> watch::Receiver<LogHead> {
        self.inner.head.clone()
    }

    /// Notified after each commit that moved damaged rows to quarantine, wherever they were found: peers may have good
    /// copies.
    pub fn damaged_rows(&self) -> watch::Receiver<u64> {
        self.inner.damaged_rows.clone()
    }

    /// Writes events of this daemon, all or none; on disk when it returns. A draft whose id was
    /// written before, with the same content, is not written again: the answer is the first one's.
    ///
    /// # Errors
    /// When a draft can't be an event, an id belongs to another event, or the disk fails.
    pub async fn append(&self, drafts: Vec<Draft>) -> Result<Vec<Appended>, LogError> {
        append::check(&drafts)?;
        if drafts.is_empty() {
            return Ok(Vec::new());
        }
        let bytes = drafts.iter().map(|draft| draft.body.get().len()).sum();
        let work = move |write: &mut WriteTransaction<'_>| append::append(write, &drafts);
        let asked = Instant::now();
        let written = self.write(Priority::Local, "write events", bytes, work).await?;
        self.inner.metrics.append.observe(asked.elapsed());
        Ok(written)
    }

    /// Stores a peer's events and moves its checkpoint, in one transaction. What is not an event,
    /// or has the id of another one, goes to quarantine and doesn't stop the rest.
    ///
    /// # Errors
    /// When the disk fails or has little space left; then nothing of the batch is stored.
    pub async fn apply(&self, batch: Batch) -> Result<Applied, LogError> {
        let bytes = batch.bytes();
        self.check_space(bytes)?;
        let work = move |write: &mut WriteTransaction<'_>| Ok(apply::apply(write, &batch)?);
        self.write(Priority::Peer, "store a peer's events", bytes, work).await
    }

    /// Refuses events of a peer while little space is left: they must not take the space of what is written here.
    fn check_space(&self, bytes: usize) -> Result<(), LogError> {
        if let Some(space) = self.space().filter(|space| bytes > 0 && space.is_in_reserve()) {
            let warning = space.warning(self.directory()).unwrap_or_default();
            self.inner.metrics.write_failures.inc(WriteFailureReason::Reserve);
            return Err(LogError::Reserve { path: self.inner.path.clone(), warning });
        }
        Ok(())
    }

    /// A page for a puller. Damaged rows go to quarantine instead.
    pub async fn page(&self, request: PageRequest) -> Result<PageAnswer, LogError> {
        let (key, daemon) = (Arc::clone(&self.inner.key), self.inner.daemon);
        let read = move |conn: &_| page::page(conn, &Signer { key: &key, daemon }, &request);
        self.scan(Lane::Sync, "read a page", read).await
    }

    /// Heads that are safe to send as `have`, of the origins with events after a position: no forked origin. At most
    /// 1000, those with the latest events.
    pub async fn heads(&self, since: Sequence) -> Result<Vec<Head>, LogError> {
        self.read(Lane::Sync, "read the heads", move |conn| heads::heads(conn, since)).await
    }

    /// Has the writer decide on a peer's news and store them, in one transaction. `bytes`: of the events that it may
    /// store; `heads`: that it may look up. `work` runs again if the transaction failed because of others.
    ///
    /// # Errors
    /// When the disk fails or has little space left for the events.
    pub async fn judge<T: Send + 'static>(
        &self,
        bytes: usize,
        heads: usize,
        mut work: impl FnMut(&mut LogTransaction<'_, '_>) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, LogError> {
        self.check_space(bytes)?;
        let work = move |write: &mut WriteTransaction<'_>| work(&mut LogTransaction(write));
        let size = bytes + heads * writer::HEAD_BYTES;
        self.write(Priority::Peer, "take a peer's news", size, work).await
    }

    /// The checkpoint for a peer's log.
    pub async fn checkpoint(&self, peer: DaemonId) -> Result<Checkpoint, LogError> {
        let read = move |conn: &_| lookup::checkpoint(conn, peer);
        self.read(Lane::Sync, "read a checkpoint", read).await
    }

    /// Resets the checkpoint: the peer's log is pulled from its start again.
    pub async fn reset_checkpoint(&self, peer: DaemonId) -> Result<(), LogError> {
        let work =
            move |write: &mut WriteTransaction<'_>| Ok(apply::reset_checkpoint(write, peer)?);
        self.write(Priority::Peer, "reset a checkpoint", 0, work).await
    }

    /// Forgets a peer that was removed: its checkpoint, and what the quarantine keeps of it.
    pub async fn forget_peer(&self, peer: DaemonId) -> Result<(), LogError> {
        let work = move |write: &mut WriteTransaction<'_>| Ok(apply::forget_peer(write, peer)?);
        self.write(Priority::Peer, "forget a peer", 0, work).await
    }

    /// As [`Self::forget_peer`], of a peer that has another id now: how many origins it introduced counts for that
    /// one.
    pub async fn forget_former_peer(&self, peer: DaemonId, now: DaemonId) -> Result<(), LogError> {
        let work = move |write: &mut WriteTransaction<'_>| {
            Ok(apply::forget_former_peer(write, peer, now)?)
        };
        self.write(Priority::Peer, "forget a peer", 0, work).await
    }

    /// Events after a position, for local readers: at most 4 MiB. At most 20,000 rows are read, so it
    /// may be empty although there are more; for the newest ones, all rows are.
    ///
    /// # Errors
    /// When events before a position are asked for that are not to be the newest, and when the log can't be read.
    pub async fn list(&self, params: EventListParams) -> Result<EventListResult, LogError> {
        if params.before.is_some() && !params.newest {
            return Err(LogError::BeforeWithoutNewest);
        }
        let read = move |conn: &_| list::list(conn, &params);
        self.scan(Lane::Lists, "list events", read).await
    }

    /// Whether this log holds that event at that position, or held it before its row was damaged. For the views.
    pub async fn holds(&self, position: LogPosition) -> Result<bool, LogError> {
        let read = move |conn: &_| lookup::holds(conn, &state::Meta::expect(conn)?, position);
        self.read(Lane::Views, "look for an event", read).await
    }

    /// Writes what is queued, checkpoints the WAL and ends the writer thread. Answers whether the WAL was left, because
    /// log.db is not this log's file any more. The second call does nothing.
    ///
    /// # Errors
    /// When the checkpoint fails; what was acknowledged is safe in the WAL then.
    pub async fn close(&self) -> Result<bool, LogError> {
        self.inner.readers.close();
        // Fails only when the writer has ended already; joining it tells why.
        drop(self.inner.jobs.send(Job::Close).await);
        let writer = self.inner.writer.lock().take();
        let Some(writer) = writer else { return Ok(false) };
        let died = LogError::Died { thread: "writer" };
        match tokio::task::spawn_blocking(move || writer.join()).await {
            Ok(Ok(ended)) => ended,
            _ => Err(died),
        }
    }

    /// Has the writer do something and waits for its commit. Once queued it is done, even if the
    /// caller stops waiting.
    async fn write<T: Send + 'static>(
        &self,
        priority: Priority,
        action: &'static str,
        bytes: usize,
        work: impl FnMut(&mut WriteTransaction<'_>) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, LogError> {
        let (reply, answer) = oneshot::channel();
        let task = Box::new(ClosureTask { action, work, result: None, reply });
        let job = Job::Task { priority, bytes, task };
        self.inner.jobs.send(job).await.map_err(|_| LogError::Stopping)?;
        let outcome = answer.await.map_err(|_| LogError::Died { thread: "writer" })?;
        self.note(action, &outcome);
        outcome
    }
}
