//! The thread of the index, which runs jobs one after the other.

use std::thread::JoinHandle;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use super::error::SearchError;
use super::index::Index;

/// Jobs in the queue at most; further callers wait until it has space.
const QUEUE_JOBS: usize = 64;

type Job = Box<dyn FnOnce(&mut Index) + Send>;

/// The thread, until it is closed.
pub(super) struct IndexThread(Mutex<Option<(mpsc::Sender<Job>, JoinHandle<()>)>>);

impl IndexThread {
    pub(super) fn start(mut index: Index) -> Result<Self, SearchError> {
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE_JOBS);
        let work = move || {
            while let Some(job) = queue.blocking_recv() {
                job(&mut index);
            }
        };
        let thread = std::thread::Builder::new()
            .name("search".to_owned())
            .spawn(work)
            .map_err(SearchError::Thread)?;
        Ok(Self(Mutex::new(Some((jobs, thread)))))
    }

    /// Runs a job. A caller that stops waiting doesn't stop it.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Index) -> Result<T, SearchError> + Send + 'static,
    ) -> Result<T, SearchError> {
        let jobs = self.0.lock().as_ref().map(|(jobs, _)| jobs.clone());
        let jobs = jobs.ok_or(SearchError::Stopping)?;
        let (answer, answered) = oneshot::channel();
        // The caller may have stopped waiting.
        let job = move |index: &mut Index| drop(answer.send(job(index)));
        jobs.send(Box::new(job)).await.map_err(|_| SearchError::Stopping)?;
        drop(jobs);
        answered.await.map_err(|_| SearchError::Stopping)?
    }

    /// Ends the thread when its jobs are done.
    pub(super) async fn close(&self) {
        let Some((jobs, thread)) = self.0.lock().take() else { return };
        drop(jobs);
        if !matches!(tokio::task::spawn_blocking(move || thread.join()).await, Ok(Ok(()))) {
            tracing::warn!("the thread of the search did not end in order");
        }
    }
}
