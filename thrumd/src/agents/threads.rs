//! The two threads of the views, each with a connection of its own on which it runs jobs one after the other: the
//! worker digests and marks messages read, the reader reads. Reading does not wait for what is being digested.

use std::thread::JoinHandle;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use super::error::{AgentsError, views};
use super::store::Store;

/// Jobs in the queue of a thread at most; further callers wait until it has space.
const QUEUE_JOBS: usize = 64;

type Job = Box<dyn FnOnce(&mut Store) + Send>;

/// Sends jobs to the thread. Clones share it; it ends when the last one is dropped.
#[derive(Clone)]
pub(super) struct Worker {
    jobs: mpsc::Sender<Job>,
}

impl Worker {
    pub(super) fn start(
        name: &str,
        mut store: Store,
    ) -> Result<(Self, JoinHandle<()>), AgentsError> {
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE_JOBS);
        let work = move || {
            while let Some(job) = queue.blocking_recv() {
                job(&mut store);
            }
        };
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(work)
            .map_err(AgentsError::Thread)?;
        Ok((Self { jobs }, thread))
    }

    /// Runs a job. A caller that stops waiting doesn't stop the job.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Store) -> Result<T, AgentsError> + Send + 'static,
    ) -> Result<T, AgentsError> {
        let (job, answered) = with_answer(job);
        self.jobs.send(job).await.map_err(|_| AgentsError::Stopping)?;
        answered.await.map_err(|_| AgentsError::Stopping)?
    }

    /// As [`Worker::call`], from another thread than those of the runtime.
    fn call_blocking<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Store) -> Result<T, AgentsError> + Send + 'static,
    ) -> Result<T, AgentsError> {
        let (job, answered) = with_answer(job);
        self.jobs.blocking_send(job).map_err(|_| AgentsError::Stopping)?;
        answered.blocking_recv().map_err(|_| AgentsError::Stopping)?
    }
}

fn with_answer<T: Send + 'static>(
    job: impl FnOnce(&mut Store) -> Result<T, AgentsError> + Send + 'static,
) -> (Job, oneshot::Receiver<Result<T, AgentsError>>) {
    let (answer, answered) = oneshot::channel();
    let job = move |store: &mut Store| {
        // The caller may have stopped waiting.
        drop(answer.send(job(store)));
    };
    (Box::new(job), answered)
}

/// The thread that reads. It sees what was committed before a job begins.
#[derive(Clone)]
pub(super) struct Reader(Worker);

impl Reader {
    pub(super) fn start(store: Store) -> Result<(Self, JoinHandle<()>), AgentsError> {
        let (worker, thread) = Worker::start("views-reader", store)?;
        Ok((Self(worker), thread))
    }

    /// Runs a job whose queries all see the same state of the views.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Store) -> Result<T, AgentsError> + Send + 'static,
    ) -> Result<T, AgentsError> {
        let read = move |store: &mut Store| {
            let doing = views("read the views");
            let snapshot = store.connection.unchecked_transaction().map_err(&doing)?;
            let outcome = job(store);
            snapshot.finish().map_err(&doing)?;
            outcome
        };
        self.0.call(read).await
    }

    /// Has the worker open the file anew, as [`Store::replace`]. The own connection is closed meanwhile, and no
    /// query runs: closing the last connection to an old file would remove the WAL of the new one.
    pub(super) async fn replace(&self, worker: &Worker) -> Result<(), AgentsError> {
        let worker = worker.clone();
        let replace = move |store: &mut Store| {
            store.reopen_for_reading(|| worker.call_blocking(Store::replace))
        };
        self.0.call(replace).await
    }
}

/// Both threads, until they are closed.
pub(super) struct Threads(Mutex<Option<Running>>);

struct Running {
    worker: Worker,
    reader: Reader,
    worker_thread: JoinHandle<()>,
    reader_thread: JoinHandle<()>,
}

impl Threads {
    pub(super) fn start(store: Store) -> Result<Self, AgentsError> {
        let reading = store.for_reader()?;
        let (worker, worker_thread) = Worker::start("views", store)?;
        let (reader, reader_thread) = Reader::start(reading)?;
        Ok(Self(Mutex::new(Some(Running { worker, reader, worker_thread, reader_thread }))))
    }

    pub(super) fn worker(&self) -> Result<Worker, AgentsError> {
        let running = self.0.lock();
        running.as_ref().map(|running| running.worker.clone()).ok_or(AgentsError::Stopping)
    }

    pub(super) fn reader(&self) -> Result<Reader, AgentsError> {
        let running = self.0.lock();
        running.as_ref().map(|running| running.reader.clone()).ok_or(AgentsError::Stopping)
    }

    /// Ends the threads when their jobs are done.
    pub(super) async fn close(&self) {
        let Some(running) = self.0.lock().take() else { return };
        let Running { worker, reader, worker_thread, reader_thread } = running;
        let end = move || {
            // The reader first: only the last connection that is closed can remove the WAL, and a reader can't.
            drop(reader);
            let read = reader_thread.join();
            drop(worker);
            read.and(worker_thread.join())
        };
        if !matches!(tokio::task::spawn_blocking(end).await, Ok(Ok(()))) {
            tracing::warn!("a thread of the views did not end in order");
        }
    }
}
