//! The synchronous core of the log: one SQLite connection and the state of its writer.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use thrum_api::local::{Appended, EventListParams, EventListResult};
use thrum_api::{DaemonId, Draft, Head, Sequence};

use super::append;
use super::apply;
use super::closed::Before;
use super::damage;
use super::environment::{Environment, System};
use super::error::{Failed, LogError};
use super::heads;
use super::judging::LogTransaction;
use super::list;
use super::lookup::{self, ReadResult};
use super::news;
use super::page;
use super::recent::Recent;
use super::runs::Signer;
use super::schema;
use super::state::State;
use super::transaction::WriteTransaction;
use super::types::{
    Applied, Batch, Checkpoint, LogHead, News, NewsRequest, PageAnswer, PageRequest, Waits,
};
use super::wal;
use crate::held_files::HeldFiles;
use crate::keys::SecretKey;
use crate::message_id;
use crate::metrics::LogMetrics;
use crate::report::Chain;

/// The log without threads: each call is done, and committed, when it returns. [`super::Log`] runs it
/// on its writer thread; a simulation runs it directly, on a database in memory.
pub struct LogStore {
    conn: Connection,
    path: PathBuf,
    key: Arc<SecretKey>,
    daemon: DaemonId,
    environment: Box<dyn Environment>,
    state: State,
    /// The last transaction failed: `state` is ahead of the database.
    stale: bool,
    /// As of the last commit, as is the next one.
    head: LogHead,
    damaged_rows: u64,
    recent: Arc<Mutex<Recent>>,
    metrics: Arc<LogMetrics>,
}

impl LogStore {
    /// Opens a new log in memory.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn open_in_memory(
        key: Arc<SecretKey>,
        environment: impl Environment + 'static,
    ) -> Result<Self, LogError> {
        let conn = Connection::open_in_memory()
            .map_err(|source| schema::open_error(Path::new(IN_MEMORY), source))?;
        Self::open(conn, key, environment)
    }

    /// Opens the log in this database, for example in a copy of another one's.
    ///
    /// # Errors
    /// When the database is of a later version, or SQLite fails.
    pub fn open(
        conn: Connection,
        key: Arc<SecretKey>,
        environment: impl Environment + 'static,
    ) -> Result<Self, LogError> {
        Self::load(conn, Path::new(IN_MEMORY), key, Box::new(environment))
    }

    /// Opens the log in this file, with random ids and the machine's clock, and holds the file. One that was not
    /// closed in order is checked first, which may take long. One that is not the log that was open last
    /// begins a new epoch: positions in the present one were given already.
    ///
    /// # Errors
    /// As [`Self::open`], and when the file was replaced meanwhile.
    pub(crate) fn open_file(
        path: &Path,
        key: Arc<SecretKey>,
        files: &HeldFiles,
    ) -> Result<Self, LogError> {
        let before = Before::look(path);
        let conn = schema::open_writer(path, files)?;
        before.check(path)?;
        let open = || {
            let mut store = Self::load(conn, path, key, Box::new(System))?;
            if !store.state.epoch_is_new && before.is_another(store.head) {
                tracing::warn!(
                    "{} may not be the log that was open last: another is in its place, or its WAL was removed",
                    path.display()
                );
                store.begin_epoch()?;
            }
            Ok(store)
        };
        // What was checked is what is used.
        files.writing(open).map_err(LogError::FilesChanged)?
    }

    /// Prepares the database, loads the state and stores a first or new epoch, if one began.
    fn load(
        mut conn: Connection,
        path: &Path,
        key: Arc<SecretKey>,
        mut environment: Box<dyn Environment>,
    ) -> Result<Self, LogError> {
        schema::prepare(&mut conn, path)?;
        wal::follow(&conn);
        let failed = |source| schema::open_error(path, source);
        let daemon = key.id();
        let state = State::load(&conn, daemon, &mut *environment).map_err(failed)?;
        let (path, head) = (path.to_owned(), state.meta.log_head());
        let damaged_rows = state.damaged_rows;
        let recent = Arc::new(Mutex::new(Recent::new(&state, Arc::clone(&key))));
        let mut store = Self {
            conn,
            path,
            key,
            daemon,
            environment,
            state,
            stale: false,
            head,
            damaged_rows,
            recent,
            metrics: Arc::default(),
        };
        store.transaction(|_| Ok(())).map_err(failed)?;
        Ok(store)
    }

    /// Closes the database and leaves the WAL: the path of the database names another file by now, or that is another
    /// program's.
    pub(super) fn abandon(self) -> Result<(), LogError> {
        let kept = self.conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        let closed = kept.and_then(|_| self.conn.close().map_err(|(_, error)| error));
        closed.map_err(|error| LogError::storage("close the log", &self.path, error))
    }

    /// Moves the WAL into the database and closes it.
    pub(crate) fn close(self) -> Result<(), LogError> {
        let checkpoint = self.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        let closed = checkpoint.and_then(|()| self.conn.close().map_err(|(_, error)| error));
        closed.map_err(|error| LogError::storage("close the log", &self.path, error))
    }

    /// Gives the database back, for example to open it again: all that was acknowledged is in it.
    pub fn into_connection(self) -> Connection {
        self.conn
    }

    /// The connection: for copies, and for tests that damage rows or make the database full.
    pub fn connection(&self) -> &Connection {
        &self.conn
    }

    /// The database file, for errors.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The daemon whose log it is.
    pub fn daemon(&self) -> DaemonId {
        self.daemon
    }

    /// The newest events.
    pub(super) fn recent(&self) -> Arc<Mutex<Recent>> {
        Arc::clone(&self.recent)
    }

    /// The instruments of the log.
    pub(super) fn metrics(&self) -> Arc<LogMetrics> {
        Arc::clone(&self.metrics)
    }

    /// The end of the log.
    pub fn head(&self) -> LogHead {
        self.head
    }

    /// As [`super::Log::append`], with its errors.
    pub fn append(&mut self, drafts: &[Draft]) -> Result<Vec<Appended>, LogError> {
        append::check(drafts)?;
        self.write("write events", |write| append::append(write, drafts))
    }

    /// As [`super::Log::apply`], with its errors.
    pub fn apply(&mut self, batch: &Batch) -> Result<Applied, LogError> {
        self.write("store a peer's events", |write| Ok(apply::apply(write, batch)?))
    }

    /// As [`super::Log::page`], with its errors.
    pub fn page(&mut self, request: &PageRequest) -> Result<PageAnswer, LogError> {
        let key = Arc::clone(&self.key);
        let signer = Signer { key: &key, daemon: self.daemon };
        self.scan("read a page", |conn| page::page(conn, &signer, request))
    }

    /// As [`super::Log::heads`], with its errors.
    pub fn heads(&self, since: Sequence) -> Result<Vec<Head>, LogError> {
        self.read("read the heads", |conn| heads::heads(conn, since))
    }

    /// As [`super::Log::news`], with its errors.
    pub fn news(&mut self, request: NewsRequest, waits: Waits) -> Result<News, LogError> {
        let known = self.recent.lock().news(request, &waits);
        let key = Arc::clone(&self.key);
        let signer = Signer { key: &key, daemon: self.daemon };
        let read = |conn: &Connection| news::one(conn, &signer, request, waits);
        match known {
            Some(news) => {
                debug_assert!(self.says_the_same(&news, read), "{news:?}");
                Ok(news)
            }
            None => self.scan("read the news", read),
        }
    }

    /// As [`super::Log::judge`], with its errors.
    pub fn judge<T>(
        &mut self,
        work: impl FnOnce(&mut LogTransaction<'_, '_>) -> Result<T, Failed>,
    ) -> Result<T, LogError> {
        self.write("take a peer's news", |write| work(&mut LogTransaction(write)))
    }

    /// Begins a new epoch, unless the present one began when the log was opened. Positions in it may have been given
    /// to events that are not here.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn begin_epoch(&mut self) -> Result<(), LogError> {
        self.write("begin a new epoch", |write| {
            if !write.state.epoch_is_new {
                write.begin_epoch();
            }
            Ok(())
        })
    }

    /// As [`super::Log::checkpoint`], with its errors.
    pub fn checkpoint(&self, peer: DaemonId) -> Result<Checkpoint, LogError> {
        self.read("read a checkpoint", |conn| lookup::checkpoint(conn, peer))
    }

    /// As [`super::Log::reset_checkpoint`], with its errors.
    pub fn reset_checkpoint(&mut self, peer: DaemonId) -> Result<(), LogError> {
        self.write("reset a checkpoint", |write| Ok(apply::reset_checkpoint(write, peer)?))
    }

    /// As [`super::Log::list`], with its errors.
    pub fn list(&mut self, params: &EventListParams) -> Result<EventListResult, LogError> {
        self.scan("list events", |conn| list::list(conn, params))
    }

    /// How many damaged rows were ever moved to quarantine. When it grows, peers may have good copies.
    pub fn damaged_rows(&self) -> u64 {
        self.damaged_rows
    }

    /// Whether this is the news that the database has, unless there is damage that was not found yet.
    fn says_the_same(
        &self,
        news: &News,
        read: impl FnOnce(&Connection) -> rusqlite::Result<ReadResult<News>>,
    ) -> bool {
        read(&self.conn).is_ok_and(|read| {
            !read.damaged.is_empty() || format!("{:?}", read.answer) == format!("{news:?}")
        })
    }

    /// Reads; `action` completes "can't ...".
    fn read<T>(
        &self,
        action: &'static str,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, LogError> {
        read(&self.conn).map_err(|error| LogError::storage(action, &self.path, error))
    }

    /// Reads events and moves rows that are found damaged to quarantine. The reader gets the others
    /// even if that fails: the next one finds the rows again.
    fn scan<T>(
        &mut self,
        action: &'static str,
        read: impl FnOnce(&Connection) -> rusqlite::Result<ReadResult<T>>,
    ) -> Result<T, LogError> {
        let found = self.read(action, read)?;
        for sequence in found.damaged {
            let work = |write: &mut WriteTransaction<'_>| Ok(damage::quarantine(write, sequence)?);
            if let Err(error) = self.write(damage::ACTION, work) {
                tracing::error!(journal.message_id = message_id::DAMAGED, %sequence, error = %Chain(&error), "a damaged event stays in the log");
            }
        }
        Ok(found.answer)
    }

    /// Writes in a separate transaction; `action` completes "can't ...".
    fn write<T>(
        &mut self,
        action: &'static str,
        work: impl FnOnce(&mut WriteTransaction<'_>) -> Result<T, Failed>,
    ) -> Result<T, LogError> {
        let done = self.transaction(|write| Failed::split(work(write)));
        done.map_err(|error| LogError::storage(action, &self.path, error))?
    }

    /// Runs `work` in one transaction and commits it; rolls back what failed.
    pub(super) fn transaction<T>(
        &mut self,
        work: impl FnOnce(&mut WriteTransaction<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let outcome = self.attempt(work);
        match &outcome {
            Ok(_) => {
                self.head = self.state.meta.log_head();
                self.damaged_rows = self.state.damaged_rows;
                self.recent.lock().update(&mut self.state);
                self.state.observed.tell(&self.metrics, self.environment.now());
            }
            Err(_) => self.stale = true,
        }
        // SQLite has rolled back by itself after some errors.
        if outcome.is_err()
            && !self.conn.is_autocommit()
            && let Err(error) = self.conn.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "can't roll back");
        }
        outcome
    }

    fn attempt<T>(
        &mut self,
        work: impl FnOnce(&mut WriteTransaction<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        if self.stale {
            self.state = State::load(&self.conn, self.daemon, &mut *self.environment)?;
            self.stale = false;
        }
        self.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let now = self.environment.now();
        let mut write = WriteTransaction {
            conn: &self.conn,
            state: &mut self.state,
            environment: &mut *self.environment,
            now,
        };
        let done = work(&mut write)?;
        self.state.save(&self.conn)?;
        self.conn.prepare_cached("COMMIT")?.execute([])?;
        Ok(done)
    }
}

/// Stands for the path of a database that has no file.
const IN_MEMORY: &str = ":memory:";
