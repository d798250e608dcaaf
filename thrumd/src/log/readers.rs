//! The read connections, used on blocking threads.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::error::{Failed, LogError};
use super::schema;
use crate::database_files;
use crate::held_files::{ChangedFile, HeldFiles};

/// Connections that are kept for the next reads. Each caches up to 1 MiB of pages, and an idle daemon has 12 MiB in all.
const KEPT: usize = 2;

/// Who reads. Each waits for its like alone: long lists hold up neither sync nor a short question.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lane {
    /// What is exchanged with peers.
    Sync,
    /// The views, which read each new event.
    Views,
    /// Short questions, as of `status`.
    Questions,
    /// Lists of events, and copies of the log.
    Lists,
}

impl Lane {
    const ALL: [Self; 4] = [Self::Sync, Self::Views, Self::Questions, Self::Lists];

    /// How many read at a time. All of them take fewer threads than the runtime has.
    const fn width(self) -> usize {
        match self {
            Self::Sync | Self::Lists => 2,
            Self::Views | Self::Questions => 1,
        }
    }
}

/// The read connections. Opened when needed.
pub(super) struct Readers {
    path: PathBuf,
    files: HeldFiles,
    /// By lane.
    permits: [Arc<Semaphore>; Lane::ALL.len()],
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(path: PathBuf, files: HeldFiles) -> Self {
        let permits = Lane::ALL.map(|lane| Arc::new(Semaphore::new(lane.width())));
        Self { path, files, permits, idle: Mutex::new(Vec::new()) }
    }

    /// Runs `read` in one read transaction: it sees one state of the log. `action` completes
    /// "can't ...".
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        lane: Lane,
        action: &'static str,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LogError> {
        let permits = Arc::clone(&self.permits[lane as usize]);
        let permit = permits.acquire_owned().await.map_err(|_| LogError::Stopping)?;
        let readers = Arc::clone(self);
        let work = tokio::task::spawn_blocking(move || {
            let done = readers.read_here(action, read);
            drop(permit);
            done
        });
        work.await.map_err(|_| LogError::Died { thread: "reader" })?
    }

    /// As [`Self::read`], on the calling thread and at once.
    pub(super) fn read_here<T>(
        &self,
        action: &'static str,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, LogError> {
        if self.is_closed() {
            return Err(LogError::Stopping);
        }
        // What is malformed because another program wrote there needs another way out.
        self.in_transaction(read).map_err(|failed| match self.check_database() {
            Err(changed) => LogError::FilesChanged(changed),
            Ok(()) => failed.into_error(action, &self.path),
        })
    }

    fn in_transaction<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Failed> {
        let idle = self.idle.lock().pop();
        let mut conn = match idle {
            Some(conn) => conn,
            None => {
                // Of the writer's database, not of another one that is at its path now.
                self.check_database()?;
                let conn = schema::open_reader(&self.path)?;
                self.check_database()?;
                conn
            }
        };
        let transaction = conn.transaction()?;
        let done = read(&transaction)?;
        transaction.finish()?;
        // A connection that failed is not kept, nor one that outlived `close`.
        let mut idle = self.idle.lock();
        if idle.len() < KEPT && !self.is_closed() {
            idle.push(conn);
        }
        Ok(done)
    }

    /// Checks that the database at the path is the writer's, with what is beside it. Other files of the directory
    /// have nothing to do with what is read.
    fn check_database(&self) -> Result<(), ChangedFile> {
        database_files::all(&self.path).iter().try_for_each(|path| self.files.check_file(path))
    }

    fn is_closed(&self) -> bool {
        self.permits.iter().any(|permits| permits.is_closed())
    }

    /// Refuses further reads and closes idle connections; running reads end by themselves.
    pub(super) fn close(&self) {
        self.permits.iter().for_each(|permits| permits.close());
        self.idle.lock().clear();
    }
}
