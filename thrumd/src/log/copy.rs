//! Copies the database while it is used, by SQLite's backup API.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ffi};
use tokio::sync::oneshot;

use super::readers::Lane;
use super::writer::Job;
use super::{Log, LogError};

/// The action of an error.
const ACTION: &str = "copy the log";

impl Log {
    /// Copies the database into another one. Of a file that was removed or replaced, the copy is made by the
    /// writer, which still has it open; writes, which are refused then anyway, wait for that.
    pub async fn copy(&self, mut to: Connection) -> Result<Connection, LogError> {
        if !self.inner.files.differ() {
            let read = move |from: &_| copy(from, &mut to).map(|()| to);
            return self.read(Lane::Lists, ACTION, read).await;
        }
        let copying = Copying::begin(&self.inner.copying);
        let (reply, answer) = oneshot::channel();
        // The caller may have stopped waiting.
        let work = move |from: &_| {
            drop(reply.send(copy(from, &mut to).map(|()| to)));
            drop(copying);
        };
        let job = Job::Outside(Box::new(work));
        self.inner.jobs.send(job).await.map_err(|_| LogError::Stopping)?;
        let done = answer.await.map_err(|_| LogError::Died { thread: "writer" })?;
        done.map_err(|error| LogError::storage(ACTION, &self.inner.path, error))
    }
}

/// The writer copies, or is about to, as long as this lives. It is the job's: the copy goes on when its caller has
/// gone.
struct Copying(Arc<AtomicUsize>);

impl Copying {
    fn begin(copies: &Arc<AtomicUsize>) -> Self {
        copies.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(copies))
    }
}

impl Drop for Copying {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Copies one state of the database, in one step: with pauses, every write in between would begin the copy
/// anew.
fn copy(from: &Connection, to: &mut Connection) -> rusqlite::Result<()> {
    match Backup::new(from, to)?.step(-1)? {
        StepResult::Done => Ok(()),
        // Another program has locked it; SQLite has waited for that already.
        _ => Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_BUSY), None)),
    }
}
