//! The writer thread: owns the write connection, commits in groups.

use std::collections::VecDeque;
use std::path::PathBuf;

use rusqlite::Connection;
use thrum_api::DaemonId;
use tokio::sync::{mpsc, oneshot, watch};

use super::error::{Failed, LogError};
use super::state::State;
use super::types::LogHead;
use super::write::Write;
use crate::clock;

/// Jobs that wait for the writer, at most; callers wait for room.
pub(super) const QUEUE: usize = 256;
/// A group ends after the job that brings it over this many bytes: a local caller waits for the bytes
/// of others no longer than for that, and for one batch of a peer (a page at most), which always
/// goes along.
const GROUP_BYTES: usize = 1024 * 1024;

/// Who waits for a job. Local callers come first in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rank {
    Local,
    Peer,
}

/// What the writer is asked to do.
pub(super) enum Job {
    Task {
        rank: Rank,
        bytes: usize,
        task: Box<dyn Task>,
    },
    /// Writes what is queued, then ends.
    Close,
}

/// A piece of work inside the group's transaction, answered after its commit.
pub(super) trait Task: Send {
    /// Does it. May be done again in a transaction of its own if the group's failed. Refusals are
    /// kept as the answer: only SQLite can fail a group.
    fn run(&mut self, write: &mut Write<'_>) -> Result<(), rusqlite::Error>;
    /// Tells the caller, who may have gone.
    fn answer(self: Box<Self>, failure: Option<rusqlite::Error>, path: &std::path::Path);
}

/// A task made of a closure.
pub(super) struct Asked<T, F> {
    action: &'static str,
    work: F,
    result: Option<Result<T, LogError>>,
    reply: oneshot::Sender<Result<T, LogError>>,
}

impl<T, F> Asked<T, F>
where
    T: Send,
    F: FnMut(&mut Write<'_>) -> Result<T, Failed> + Send,
{
    /// `action` completes "can't ...".
    pub(super) fn new(
        action: &'static str,
        work: F,
    ) -> (Self, oneshot::Receiver<Result<T, LogError>>) {
        let (reply, answer) = oneshot::channel();
        (Self { action, work, result: None, reply }, answer)
    }
}

impl<T, F> Task for Asked<T, F>
where
    T: Send,
    F: FnMut(&mut Write<'_>) -> Result<T, Failed> + Send,
{
    fn run(&mut self, write: &mut Write<'_>) -> Result<(), rusqlite::Error> {
        self.result = Some(match (self.work)(write) {
            Ok(done) => Ok(done),
            Err(Failed::Refused(error)) => Err(error),
            Err(Failed::Sqlite(error)) => return Err(error),
        });
        Ok(())
    }

    fn answer(self: Box<Self>, failure: Option<rusqlite::Error>, path: &std::path::Path) {
        let answer = match (failure, self.result) {
            (Some(error), _) => Err(LogError::storage(self.action, path, error)),
            (None, Some(result)) => result,
            (None, None) => Err(LogError::Stopping),
        };
        // The caller may have hung up; what was asked is done all the same.
        drop(self.reply.send(answer));
    }
}

/// Jobs taken from the queue and not done yet.
#[derive(Default)]
struct Waiting {
    local: VecDeque<(usize, Box<dyn Task>)>,
    peers: VecDeque<(usize, Box<dyn Task>)>,
}

impl Waiting {
    fn len(&self) -> usize {
        self.local.len() + self.peers.len()
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
        // However much is written here, one batch of a peer goes along.
        let mut peer: VecDeque<_> = self.peers.pop_front().into_iter().collect();
        fill(&mut self.local, GROUP_BYTES);
        fill(&mut peer, usize::MAX);
        fill(&mut self.peers, GROUP_BYTES);
        group
    }
}

/// The writer.
pub(super) struct Writer {
    conn: Connection,
    path: PathBuf,
    daemon: DaemonId,
    state: State,
    /// The last transaction failed: `state` is ahead of the database.
    stale: bool,
    head: watch::Sender<LogHead>,
}

impl Writer {
    /// Reads the state and stores a first or new epoch, if one began.
    pub(super) fn new(
        conn: Connection,
        path: PathBuf,
        daemon: DaemonId,
    ) -> rusqlite::Result<(Self, watch::Receiver<LogHead>)> {
        let state = State::load(&conn, daemon)?;
        let (head, watcher) = watch::channel(state.meta.log_head());
        let mut writer = Self { conn, path, daemon, state, stale: false, head };
        writer.transaction(&mut [])?;
        Ok((writer, watcher))
    }

    /// Works until it is told to close or nobody is left to ask. Then moves the WAL into the
    /// database.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) -> Result<(), LogError> {
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
            self.commit(waiting.next_group());
        }
        let checkpoint = self.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        let closed = checkpoint.and_then(|()| self.conn.close().map_err(|(_, error)| error));
        closed.map_err(|error| LogError::storage("close the log", &self.path, error))
    }

    /// Commits a group and answers. One job's failure doesn't fail the others: the group is
    /// taken back and each job gets a transaction of its own.
    fn commit(&mut self, mut group: Vec<Box<dyn Task>>) {
        match self.transaction(&mut group) {
            Ok(()) => {
                let now = self.state.meta.log_head();
                let mut grown = false;
                // A caller finds the head moved; those who follow it are woken after the callers.
                self.head.send_if_modified(|head| {
                    grown = std::mem::replace(head, now) != now;
                    false
                });
                for task in group {
                    task.answer(None, &self.path);
                }
                if grown {
                    self.head.send_modify(|_| {});
                }
            }
            Err(_) if group.len() > 1 => {
                for task in group {
                    self.commit(vec![task]);
                }
            }
            Err(error) => {
                if let Some(task) = group.pop() {
                    task.answer(Some(error), &self.path);
                }
            }
        }
    }

    fn transaction(&mut self, group: &mut [Box<dyn Task>]) -> rusqlite::Result<()> {
        let outcome = self.attempt(group);
        if outcome.is_err() {
            self.stale = true;
            // SQLite has rolled back by itself after some errors.
            if !self.conn.is_autocommit()
                && let Err(error) = self.conn.execute_batch("ROLLBACK")
            {
                tracing::error!(%error, "can't roll back");
            }
        }
        outcome
    }

    fn attempt(&mut self, group: &mut [Box<dyn Task>]) -> rusqlite::Result<()> {
        if self.stale {
            self.state = State::load(&self.conn, self.daemon)?;
            self.stale = false;
        }
        self.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let mut write = Write { conn: &self.conn, state: &mut self.state, now: clock::now() };
        for task in group {
            task.run(&mut write)?;
        }
        self.state.save(&self.conn)?;
        self.conn.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }
}

fn take(job: Job, waiting: &mut Waiting, jobs: &mut mpsc::Receiver<Job>) {
    match job {
        Job::Task { rank: Rank::Local, bytes, task } => waiting.local.push_back((bytes, task)),
        Job::Task { rank: Rank::Peer, bytes, task } => waiting.peers.push_back((bytes, task)),
        // What is queued still comes out; nothing more goes in.
        Job::Close => jobs.close(),
    }
}
