//! The writer thread: owns the [`LogStore`] and commits in groups.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rusqlite::Connection;
use rusqlite::Error::SqliteFailure;
use rusqlite::ffi::{Error, SQLITE_ABORT};
use tokio::sync::{mpsc, oneshot, watch};

use super::closed;
use super::error::{Failed, LogError};
use super::store::LogStore;
use super::transaction::WriteTransaction;
use super::types::LogHead;
use super::wal::Wal;
use crate::held_files::{ChangedFile, FileChange, HeldFiles};
use crate::metrics::LogMetrics;
use crate::report::Chain;

/// Jobs in the writer's queue at most; callers wait until it has space.
pub(super) const QUEUE: usize = 256;
/// A group ends with the job that brings it over this many bytes. This limits how long a local caller
/// waits for the writes of others: this much, and one batch of a peer (a page at most), which every
/// group has.
pub(super) const GROUP_BYTES: usize = 1024 * 1024;
/// What looking up a head counts for in a group: it takes about as long as writing this much of an event.
pub(super) const HEAD_BYTES: usize = 64;
/// Pages of the WAL that are moved into the database together: 8 MiB.
const CHECKPOINT_PAGES: u64 = 2000;

/// Who waits for a job. Jobs of local callers come first in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Priority {
    Local,
    Peer,
}

type OutsideWork = Box<dyn FnOnce(&Connection) + Send>;

/// A message to the writer.
pub(super) enum Job {
    Task {
        priority: Priority,
        bytes: usize,
        task: Box<dyn Task>,
    },
    /// Work outside of a transaction.
    Outside(OutsideWork),
    /// Writes what is queued, then ends.
    Close,
}

/// Work inside the group's transaction, answered after its commit.
pub(super) trait Task: Send {
    /// Does the work; again in a separate transaction if the group's failed. A refusal becomes the answer:
    /// only SQLite can fail a group.
    fn run(&mut self, write: &mut WriteTransaction<'_>) -> Result<(), rusqlite::Error>;
    /// Answers the caller, if it still waits.
    fn answer(self: Box<Self>, failure: Option<Failed>, path: &Path);
}

/// A task made of a closure.
pub(super) struct ClosureTask<T, F> {
    /// Completes "can't ...".
    pub(super) action: &'static str,
    pub(super) work: F,
    pub(super) result: Option<Result<T, LogError>>,
    pub(super) reply: oneshot::Sender<Result<T, LogError>>,
}

impl<T, F> Task for ClosureTask<T, F>
where
    T: Send,
    F: FnMut(&mut WriteTransaction<'_>) -> Result<T, Failed> + Send,
{
    fn run(&mut self, write: &mut WriteTransaction<'_>) -> Result<(), rusqlite::Error> {
        self.result = Some(Failed::split((self.work)(write))?);
        Ok(())
    }

    fn answer(self: Box<Self>, failure: Option<Failed>, path: &Path) {
        let answer = match (failure, self.result) {
            (Some(failed), _) => Err(failed.into_error(self.action, path)),
            (None, Some(result)) => result,
            (None, None) => Err(LogError::Stopping),
        };
        // The caller may have stopped waiting; the work is done all the same.
        drop(self.reply.send(answer));
    }
}

/// Tasks that were taken from the queue and are not done yet.
#[derive(Default)]
struct Waiting {
    local: VecDeque<(usize, Box<dyn Task>)>,
    peers: VecDeque<(usize, Box<dyn Task>)>,
    outside: Vec<OutsideWork>,
}

impl Waiting {
    fn len(&self) -> usize {
        self.local.len() + self.peers.len() + self.outside.len()
    }

    fn next_group(&mut self) -> Vec<Box<dyn Task>> {
        let mut group = Vec::new();
        let mut size = 0;
        let mut fill = |tasks: &mut VecDeque<(usize, Box<dyn Task>)>, up_to: usize| {
            while size < up_to
                && let Some((bytes, task)) = tasks.pop_front()
            {
                size += bytes;
                group.push(task);
            }
        };
        // However much is written locally, every group has one batch of a peer.
        let mut peer: VecDeque<_> = self.peers.pop_front().into_iter().collect();
        fill(&mut self.local, GROUP_BYTES);
        fill(&mut peer, usize::MAX);
        fill(&mut self.peers, GROUP_BYTES);
        group
    }
}

/// The writer.
pub(super) struct Writer {
    store: LogStore,
    files: HeldFiles,
    wal: Wal,
    head: watch::Sender<LogHead>,
    damaged_rows: watch::Sender<u64>,
    metrics: Arc<LogMetrics>,
}

/// What others watch of the log, as of the last commit.
pub(super) struct Watched {
    pub(super) head: watch::Receiver<LogHead>,
    /// How many damaged rows were ever moved to quarantine.
    pub(super) damaged_rows: watch::Receiver<u64>,
}

impl Writer {
    pub(super) fn new(store: LogStore, files: HeldFiles) -> (Self, Watched) {
        let (head, head_watcher) = watch::channel(store.head());
        let (damaged_rows, damage_watcher) = watch::channel(store.damaged_rows());
        let wal = Wal::of(store.path());
        let watched = Watched { head: head_watcher, damaged_rows: damage_watcher };
        let metrics = store.metrics();
        (Self { store, files, wal, head, damaged_rows, metrics }, watched)
    }

    /// Runs jobs until it gets `Close` or every sender is dropped. Then closes the database; answers as
    /// [`super::Log::close`].
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) -> Result<bool, LogError> {
        closed::note_open(self.store.path(), self.store.head());
        let mut waiting = Waiting::default();
        loop {
            if waiting.len() == 0 {
                match jobs.blocking_recv() {
                    Some(job) => take(job, &mut waiting, &mut jobs),
                    None => break,
                }
            }
            while waiting.len() < QUEUE
                && let Ok(job) = jobs.try_recv()
            {
                take(job, &mut waiting, &mut jobs);
            }
            self.metrics.writer.begin();
            self.wal.look(&self.files);
            self.commit(waiting.next_group());
            self.checkpoint();
            self.metrics.writer.end();
            for work in std::mem::take(&mut waiting.outside) {
                work(self.store.connection());
            }
        }
        self.close()
    }

    fn close(self) -> Result<bool, LogError> {
        let Self { store, files, mut wal, .. } = self;
        let (path, head) = (store.path().to_owned(), store.head());
        // First: without a WAL and without a note, the log would seem to be another one.
        closed::note(&path, head, false);
        let same = !files.differ();
        let change = files.database_change().filter(|change| *change != FileChange::Hidden);
        // Theirs otherwise, and in the right place.
        let wal_is_ours = wal.is_ours(&files);
        // SQLite removes the WAL.
        files.release();
        let Some(change) = change else {
            store.close()?;
            if same {
                closed::note(&path, head, true);
            }
            return Ok(false);
        };
        // The file may be only somewhere else.
        if change != FileChange::Overwritten
            && let Err(error) = wal.shorten(store.connection())
        {
            tracing::debug!(%error, "the WAL alone has its events");
        }
        if let Err(error) = store.abandon() {
            tracing::error!("the log was not closed cleanly: {}", Chain(&error));
        }
        Ok(wal_is_ours)
    }

    /// Commits a group and answers. One task's failure doesn't fail the others: the group is rolled
    /// back and each task gets a transaction of its own. Nothing is committed to files that nobody can find: what
    /// happened to them before a caller asked is noticed before it is answered.
    fn commit(&mut self, mut group: Vec<Box<dyn Task>>) {
        if let Err(changed) = self.files.check_again() {
            return self.refuse(group, &changed);
        }
        let begun = Instant::now();
        let done = self.store.transaction(|write| {
            for task in &mut group {
                task.run(write)?;
            }
            // Once, because it takes as long as a part of the commit.
            self.files.check().map_err(|_| SqliteFailure(Error::new(SQLITE_ABORT), None))
        });
        match done {
            Ok(()) => {
                let took = begun.elapsed();
                self.wal.written();
                let (now, damaged_rows) = (self.store.head(), self.store.damaged_rows());
                self.damaged_rows.send_if_modified(|known| {
                    std::mem::replace(known, damaged_rows) != damaged_rows
                });
                let mut grown = false;
                // A caller finds the new head; those who watch it are woken after the callers.
                self.head.send_if_modified(|head| {
                    grown = std::mem::replace(head, now) != now;
                    false
                });
                if grown {
                    self.metrics.commit.observe(took);
                }
                for task in group {
                    task.answer(None, self.store.path());
                }
                if grown {
                    self.head.send_modify(|_| {});
                }
            }
            Err(error) => {
                self.wal.given_up();
                match self.files.check() {
                    Err(changed) => self.refuse(group, &changed),
                    Ok(()) if group.len() > 1 => {
                        for task in group {
                            self.commit(vec![task]);
                        }
                    }
                    Ok(()) => {
                        if let Some(task) = group.pop() {
                            task.answer(Some(error.into()), self.store.path());
                        }
                    }
                }
            }
        }
    }

    /// Moves a long WAL into the database, when the callers are answered. Not into a file of another program.
    fn checkpoint(&mut self) {
        if self.wal.pages() < CHECKPOINT_PAGES {
            return;
        }
        // What fails here fails the next write, too, or only makes the WAL longer.
        let shorten = || self.wal.shorten(self.store.connection());
        if let Ok(Err(error)) = self.files.writing(shorten) {
            tracing::debug!(%error, "the WAL stays long");
        }
    }

    fn refuse(&self, group: Vec<Box<dyn Task>>, changed: &ChangedFile) {
        for task in group {
            task.answer(Some(changed.clone().into()), self.store.path());
        }
    }
}

fn take(job: Job, waiting: &mut Waiting, jobs: &mut mpsc::Receiver<Job>) {
    match job {
        Job::Task { priority: Priority::Local, bytes, task } => {
            waiting.local.push_back((bytes, task))
        }
        Job::Task { priority: Priority::Peer, bytes, task } => {
            waiting.peers.push_back((bytes, task))
        }
        Job::Outside(work) => waiting.outside.push(work),
        // What is queued is still received; nothing more can be sent.
        Job::Close => jobs.close(),
    }
}
