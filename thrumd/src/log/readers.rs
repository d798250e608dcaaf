//! A pool of read connections, used on blocking threads.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::error::LogError;
use super::schema;

/// Concurrent readers. Each caches up to 1 MiB of pages, and an idle daemon has 12 MiB in all.
const READERS: usize = 2;

/// The read connections. Opened when first needed.
pub(super) struct Readers {
    path: PathBuf,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, permits: Arc::new(Semaphore::new(READERS)), idle: Mutex::new(Vec::new()) }
    }

    /// Runs `read` in one read transaction: it sees one state of the log. `action` completes
    /// "can't ...".
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        action: &'static str,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LogError> {
        let permit =
            Arc::clone(&self.permits).acquire_owned().await.map_err(|_| LogError::Stopping)?;
        let readers = Arc::clone(self);
        let work = tokio::task::spawn_blocking(move || {
            let done = readers.in_transaction(read);
            drop(permit);
            done.map_err(|error| LogError::storage(action, &readers.path, error))
        });
        work.await.map_err(|_| LogError::Died { thread: "reader" })?
    }

    fn in_transaction<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let idle = self.idle.lock().pop();
        let mut conn = match idle {
            Some(conn) => conn,
            None => schema::open_reader(&self.path)?,
        };
        let transaction = conn.transaction()?;
        let done = read(&transaction)?;
        transaction.finish()?;
        // A connection that failed is not kept, nor one that outlived `close`.
        if !self.permits.is_closed() {
            self.idle.lock().push(conn);
        }
        Ok(done)
    }

    /// Refuses further reads and closes idle connections; running reads end by themselves.
    pub(super) fn close(&self) {
        self.permits.close();
        self.idle.lock().clear();
    }
}
