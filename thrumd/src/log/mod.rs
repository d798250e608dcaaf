//! The log: every event this daemon holds, in the order in which it committed them.
//!
//! One writer thread owns the write connection and gives sequences inside the transaction, so a
//! reader never sees a gap that fills in later. An acknowledged append is on disk.

mod append;
mod apply;
mod column;
mod error;
mod heads;
mod list;
mod lock;
mod page;
mod readers;
mod schema;
mod state;
mod types;
mod write;
mod writer;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use thrum_api::local::{Appended, EventListParams, EventListResult};
use thrum_api::{DaemonId, Draft, Head, Place, Sequence};
use tokio::sync::{mpsc, watch};

pub use error::{LogError, LogErrorKind, SqliteError};
pub use lock::Lock;
pub use types::{
    Applied, Batch, Checkpoint, Incoming, LogHead, LogStats, Missing, News, Opened, Page,
    PageAnswer, PageRequest,
};

use crate::report::Chain;

use error::Failed;
use readers::Readers;
use write::Write;
use writer::{Asked, Job, Rank, Writer};

/// The log. Clones share it.
#[derive(Clone)]
pub struct Log {
    inner: Arc<Inner>,
}

struct Inner {
    daemon: DaemonId,
    path: PathBuf,
    jobs: mpsc::Sender<Job>,
    head: watch::Receiver<LogHead>,
    readers: Arc<Readers>,
    losses: watch::Sender<()>,
    /// Until it was joined by `close`.
    writer: Mutex<Option<JoinHandle<Result<(), LogError>>>>,
}

impl Log {
    /// Opens `log.db` in `state_dir` for `daemon`, makes or migrates it and starts the writer.
    /// `expected` says that this daemon had a database before (from identity.json).
    ///
    /// # Errors
    /// When another process has the directory (looked at first), the database is damaged or of a
    /// later version, or the disk refuses. Nothing is ever replaced.
    pub fn open(
        state_dir: &Path,
        daemon: DaemonId,
        expected: bool,
    ) -> Result<(Self, Opened), LogError> {
        Self::open_locked(Lock::take(state_dir)?, state_dir, daemon, expected)
    }

    /// The same for a directory that the caller has taken already, before it looked into any other
    /// file there.
    ///
    /// # Errors
    /// As for [`Log::open`].
    pub fn open_locked(
        lock: Lock,
        state_dir: &Path,
        daemon: DaemonId,
        expected: bool,
    ) -> Result<(Self, Opened), LogError> {
        let path = state_dir.join(schema::DATABASE);
        let is_there = std::fs::metadata(&path).is_ok_and(|file| file.len() > 0);
        let conn = schema::open_writer(&path)?;
        let (writer, head) = Writer::new(conn, path.clone(), daemon)
            .map_err(|source| schema::opening(&path, source))?;
        let (jobs, queue) = mpsc::channel(writer::QUEUE);
        let thread = std::thread::Builder::new()
            .name("thrum-log".to_owned())
            // The lock goes when the connection is closed, not before.
            .spawn(move || {
                let ended = writer.run(queue);
                drop(lock);
                ended
            })
            .map_err(|source| LogError::File {
                action: "start the writer of",
                path: path.clone(),
                source,
            })?;
        let readers = Arc::new(Readers::new(path.clone()));
        let writer = Mutex::new(Some(thread));
        let losses = watch::Sender::new(());
        let inner = Arc::new(Inner { daemon, path, jobs, head, readers, losses, writer });
        Ok((Self { inner }, Opened { database_was_lost: expected && !is_there }))
    }

    /// The daemon whose log it is.
    pub fn daemon(&self) -> DaemonId {
        self.inner.daemon
    }

    /// How far the log goes now.
    pub fn head(&self) -> LogHead {
        *self.inner.head.borrow()
    }

    /// Told after each commit that added events or changed the epoch. The newest value only.
    pub fn watch(&self) -> watch::Receiver<LogHead> {
        self.inner.head.clone()
    }

    /// Told after events were found damaged and set aside: peers may have them.
    pub fn losses(&self) -> watch::Receiver<()> {
        self.inner.losses.subscribe()
    }

    /// Writes events of this daemon, all or none; on disk when it returns. A draft whose id was
    /// written before, with the same content, is not written again and answers the first place.
    ///
    /// # Errors
    /// When a draft can't be an event, an id is another event's, or the disk refuses.
    pub async fn append(&self, drafts: Vec<Draft>) -> Result<Vec<Appended>, LogError> {
        append::check(&drafts)?;
        if drafts.is_empty() {
            return Ok(Vec::new());
        }
        let bytes = drafts.iter().map(|draft| draft.body.get().len()).sum();
        self.write(Rank::Local, "write events", bytes, move |write| append::append(write, &drafts))
            .await
    }

    /// Takes over a peer's events and moves its checkpoint, in one transaction. What is no event,
    /// or has the id of another one, is set aside and doesn't stop the rest.
    ///
    /// # Errors
    /// When the disk refuses; then nothing of the batch is there.
    pub async fn apply(&self, batch: Batch) -> Result<Applied, LogError> {
        let bytes = batch.events.iter().map(|event| event.bytes.get().len()).sum();
        let action = "take over a peer's events";
        self.write(Rank::Peer, action, bytes, move |write| Ok(apply::apply(write, &batch)?)).await
    }

    /// A page for a puller. Moves a row that is not JSON to quarantine instead of serving it.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn page(&self, request: PageRequest) -> Result<PageAnswer, LogError> {
        let read = move |conn: &_| page::page(conn, &request);
        let page = self.inner.readers.read("read a page", read).await?;
        self.set_damaged_aside(page.damaged).await;
        Ok(page.answer)
    }

    /// All heads that are safe to send as `have`: no forked origin. At most 1000.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn heads(&self) -> Result<Vec<Head>, LogError> {
        self.inner.readers.read("read the heads", heads::heads).await
    }

    /// What to tell a peer which holds our log up to `after`.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn news(&self, peer: DaemonId, after: Place) -> Result<News, LogError> {
        let read = move |conn: &_| heads::news(conn, peer, after);
        let news = self.inner.readers.read("read the news", read).await?;
        self.set_damaged_aside(news.damaged).await;
        Ok(news.answer)
    }

    /// What of these heads is not held here.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn missing(&self, heads: Vec<Head>) -> Result<Missing, LogError> {
        let read = move |conn: &_| heads::missing(conn, &heads);
        self.inner.readers.read("compare heads", read).await
    }

    /// Whether a peer's head names an event of ours that we never wrote: then our log was rolled
    /// back. One that we lost to damage is none.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn shows_rollback(&self, head: Head) -> Result<bool, LogError> {
        let read = move |conn: &_| heads::shows_rollback(conn, &head);
        self.inner.readers.read("compare a head", read).await
    }

    /// Begins a new epoch, unless this one has no event of ours yet. Called when a peer's
    /// checkpoint or heads show that our log was rolled back. Answers whether one began.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn rolled_back(&self) -> Result<bool, LogError> {
        let work = |write: &mut Write<'_>| Ok(apply::rolled_back(write));
        self.write(Rank::Local, "begin a new epoch", 0, work).await
    }

    /// The checkpoint for a peer's log.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn checkpoint(&self, peer: DaemonId) -> Result<Checkpoint, LogError> {
        let read = move |conn: &_| heads::checkpoint(conn, peer);
        self.inner.readers.read("read a checkpoint", read).await
    }

    /// Forgets the checkpoint: the peer's log is taken over from its start again.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn reset_checkpoint(&self, peer: DaemonId) -> Result<(), LogError> {
        let work = move |write: &mut Write<'_>| Ok(apply::reset_checkpoint(write, peer)?);
        self.write(Rank::Peer, "reset a checkpoint", 0, work).await
    }

    /// Events after a place, for local readers: at most 4 MiB of them. At most 20,000 rows are
    /// looked at, so it may be empty and still have more; the newest ones are looked for to the end.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn list(&self, params: EventListParams) -> Result<EventListResult, LogError> {
        let read = move |conn: &_| list::list(conn, &params);
        let list = self.inner.readers.read("list events", read).await?;
        self.set_damaged_aside(list.damaged).await;
        Ok(list.answer)
    }

    /// Whether this log gave that place to that event, even if its row was set aside since.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn holds(&self, place: Place) -> Result<bool, LogError> {
        let read = move |conn: &_| page::holds(conn, &state::Meta::expect(conn)?, place);
        self.inner.readers.read("look for an event", read).await
    }

    /// Figures for `status`.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn stats(&self) -> Result<LogStats, LogError> {
        let path = self.inner.path.clone();
        let read = move |conn: &_| list::stats(conn, &path);
        self.inner.readers.read("read the figures of the log", read).await
    }

    /// Crosses the writer thread and comes back: proof that it moves (watchdog). Writes nothing.
    ///
    /// # Errors
    /// When the writer has ended.
    pub async fn pulse(&self) -> Result<(), LogError> {
        self.write(Rank::Local, "reach the writer", 0, |_: &mut Write<'_>| Ok(())).await
    }

    /// Writes what is queued, checkpoints the WAL and ends the writer thread. Again: does nothing.
    ///
    /// # Errors
    /// When the disk refuses the checkpoint; what was acknowledged is safe in the WAL then.
    pub async fn close(&self) -> Result<(), LogError> {
        self.inner.readers.close();
        // Refused only when the writer has ended already; joining it tells how.
        drop(self.inner.jobs.send(Job::Close).await);
        let writer = self.inner.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(writer) = writer else { return Ok(()) };
        let died = LogError::Died { thread: "writer" };
        match tokio::task::spawn_blocking(move || writer.join()).await {
            Ok(Ok(ended)) => ended,
            _ => Err(died),
        }
    }

    /// The reader gets the rest even if the disk has no room for the quarantine: the next reader
    /// finds the row again.
    async fn set_damaged_aside(&self, damaged: Vec<Sequence>) {
        let mut lost = false;
        for sequence in damaged {
            let work = move |write: &mut Write<'_>| Ok(apply::set_damaged_aside(write, sequence)?);
            let done = self.write(Rank::Peer, "set a damaged event aside", 0, work).await;
            match done {
                Ok(()) => lost = true,
                Err(error) => {
                    tracing::error!(%sequence, error = %Chain(&error), "a damaged event stays");
                }
            }
        }
        if lost {
            self.inner.losses.send_replace(());
        }
    }

    /// Has the writer do something and waits for its commit. Once queued it is done, even if the
    /// caller goes.
    async fn write<T: Send + 'static>(
        &self,
        rank: Rank,
        action: &'static str,
        bytes: usize,
        work: impl FnMut(&mut Write<'_>) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, LogError> {
        let (task, answer) = Asked::new(action, work);
        let job = Job::Task { rank, bytes, task: Box::new(task) };
        self.inner.jobs.send(job).await.map_err(|_| LogError::Stopping)?;
        answer.await.map_err(|_| LogError::Died { thread: "writer" })?
    }
}
