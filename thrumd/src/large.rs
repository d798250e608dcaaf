//! Work on large JSON, which must not hold everything else up: the runtime has one worker.

use serde::Serialize;
use thrum_api::envelope::{self, Request, RequestId};
use thrum_api::{Method, RpcError};
use tokio::runtime::{Handle, RuntimeFlavor};

/// Parsing this much takes a fraction of a millisecond. For less, waking another thread would cost more than it saves.
const LARGE_BYTES: usize = 64 * 1024;

/// Does work on this many bytes. If they are many, another thread is the runtime's worker meanwhile.
pub fn by_size<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    // The other kind of runtime, which tests use, has no other thread.
    let can_move = Handle::try_current()
        .is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread);
    if bytes <= LARGE_BYTES || !can_move { work() } else { tokio::task::block_in_place(work) }
}

/// Parses a request.
///
/// # Errors
/// See [`Request::parse`].
pub fn request(body: &[u8]) -> Result<Request<'_>, RpcError> {
    by_size(body.len(), || Request::parse(body))
}

/// Parses the params of a request.
///
/// # Errors
/// See [`Request::params`].
pub fn params<M: Method>(request: &Request<'_>) -> Result<M::Params, RpcError> {
    let bytes = request.params.map_or(0, |params| params.get().len());
    by_size(bytes, || request.params::<M>())
}

/// The bytes of a response, whose size is known once it is written: begins anew when it turns out large.
pub fn response<R: Serialize>(id: Option<&RequestId>, result: &R) -> Vec<u8> {
    envelope::response_within(LARGE_BYTES, id, Ok(result))
        .unwrap_or_else(|| by_size(usize::MAX, || envelope::response(id, Ok(result))))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    /// Whether other tasks run while it works, within this time.
    async fn leaves_the_worker(
        within: Duration,
        work: impl FnOnce(&dyn Fn()) + Send + 'static,
    ) -> bool {
        let (ran, other) = mpsc::channel();
        // Tasks run on the worker; the test itself does not.
        let working = tokio::spawn(async move {
            let others_run = std::cell::Cell::new(false);
            work(&|| {
                let ran = ran.clone();
                tokio::spawn(async move { ran.send(()).is_ok() });
                others_run.set(other.recv_timeout(within).is_ok());
            });
            others_run.get()
        });
        working.await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn large_work_leaves_the_worker_to_others() {
        let limit = Duration::from_secs(60);
        assert!(leaves_the_worker(limit, |work| by_size(LARGE_BYTES + 1, work)).await);
        // However long it would wait: the only worker is here.
        let moment = Duration::from_millis(100);
        let small = leaves_the_worker(moment, |work| by_size(LARGE_BYTES, work)).await;
        assert!(!small, "a hop costs more");
    }

    #[tokio::test]
    async fn a_runtime_of_one_thread_does_it_at_once() {
        assert_eq!(by_size(LARGE_BYTES + 1, || 7), 7);
    }

    #[test]
    fn a_response_is_the_same_whatever_its_size() {
        for bytes in [0, LARGE_BYTES - 100, LARGE_BYTES, 3 * LARGE_BYTES] {
            let (id, result) = (RequestId::Number(1), "x".repeat(bytes));
            assert_eq!(response(Some(&id), &result), envelope::response(Some(&id), Ok(&result)));
        }
    }
}
