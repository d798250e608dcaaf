//! The thread that owns `views.db`: callers hand it jobs, one after the other.

use std::path::PathBuf;
use std::thread::JoinHandle;

use rusqlite::{Connection, OptionalExtension};
use thrum_api::{DaemonId, Epoch, EventId, Place, Sequence};
use tokio::sync::{mpsc, oneshot};
use ulid::Ulid;

use super::error::{AgentsError, views};
use super::schema;

/// Jobs that may wait; a caller beyond that waits before its job does.
const QUEUE_JOBS: usize = 64;

/// The views as tables.
pub(super) struct Store {
    path: PathBuf,
    /// Whose agents are local.
    pub(super) daemon: DaemonId,
    /// Who this daemon was before: the agents that the log has under those are local too.
    pub(super) former: Vec<DaemonId>,
    pub(super) connection: Connection,
    /// The damaged file was moved aside, and there is no new one yet.
    gone: bool,
}

/// How far the views have digested which log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) epoch: Epoch,
    pub(super) place: Place,
}

impl Store {
    pub(super) fn open(
        path: PathBuf,
        daemon: DaemonId,
        former: Vec<DaemonId>,
    ) -> Result<Self, AgentsError> {
        let connection = schema::open(&path)?;
        Ok(Self { path, daemon, former, connection, gone: false })
    }

    /// Where the views stand; None if they begin.
    pub(super) fn cursor(&self) -> Result<Option<Cursor>, AgentsError> {
        self.connection
            .query_row("SELECT epoch, sequence, event_id FROM cursor", [], |row| {
                let event_id: Option<[u8; 16]> = row.get(2)?;
                Ok(Cursor {
                    epoch: Epoch::from_ulid(Ulid::from_bytes(row.get(0)?)),
                    place: Place {
                        sequence: position(row.get(1)?),
                        event_id: event_id.map(|id| EventId::from_ulid(Ulid::from_bytes(id))),
                    },
                })
            })
            .optional()
            .map_err(views("read how far the log was followed"))
    }

    /// Forgets everything that is derived. Read marks stay.
    pub(super) fn reset(&mut self) -> Result<(), AgentsError> {
        let doing = views("begin anew");
        let transaction = self.connection.transaction().map_err(&doing)?;
        schema::reset(&transaction).map_err(&doing)?;
        transaction.commit().map_err(&doing)
    }

    /// Puts a new file in the place of a damaged one. After a failure there is none, and it is to be
    /// called again.
    pub(super) fn replace_damaged(&mut self) -> Result<(), AgentsError> {
        let nothing = Connection::open_in_memory().map_err(views("let go of the damaged file"))?;
        // Closing a damaged database may fail; the file is given up anyway.
        drop(std::mem::replace(&mut self.connection, nothing));
        self.gone = self.gone || schema::move_aside(&self.path)?;
        self.connection = schema::make(&self.path)?;
        self.gone = false;
        Ok(())
    }

    /// How many events could not be digested.
    pub(super) fn undigested(&self) -> Result<u64, AgentsError> {
        self.connection
            .query_row("SELECT COUNT(*) FROM skipped", [], |row| row.get::<_, i64>(0))
            .map(|count| u64::try_from(count).unwrap_or(0))
            .map_err(views("count what was skipped"))
    }
}

/// A stored number as a position.
pub(super) fn position(stored: i64) -> Sequence {
    Sequence(u64::try_from(stored).unwrap_or(0))
}

/// A position as SQLite stores it.
pub(super) fn stored(position: Sequence) -> i64 {
    i64::try_from(position.0).unwrap_or(i64::MAX)
}

type Job = Box<dyn FnOnce(&mut Store) + Send>;

/// Hands jobs to the thread. Clones share it; it ends when the last one is gone.
#[derive(Clone)]
pub(super) struct Worker {
    jobs: mpsc::Sender<Job>,
}

impl Worker {
    pub(super) fn start(mut store: Store) -> Result<(Self, JoinHandle<()>), AgentsError> {
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE_JOBS);
        let work = move || {
            while let Some(job) = queue.blocking_recv() {
                job(&mut store);
            }
        };
        let thread = std::thread::Builder::new()
            .name("views".to_owned())
            .spawn(work)
            .map_err(AgentsError::Thread)?;
        Ok((Self { jobs }, thread))
    }

    /// Runs a job. A caller that goes away meanwhile doesn't stop it.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Store) -> Result<T, AgentsError> + Send + 'static,
    ) -> Result<T, AgentsError> {
        let (answer, answered) = oneshot::channel();
        let job = move |store: &mut Store| {
            // The caller may have gone.
            drop(answer.send(job(store)));
        };
        self.jobs.send(Box::new(job)).await.map_err(|_| AgentsError::Stopping)?;
        answered.await.map_err(|_| AgentsError::Stopping)?
    }
}
