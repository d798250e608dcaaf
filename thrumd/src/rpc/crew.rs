//! The tasks of the peer surface: counted until they have ended, and no panic goes unseen.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Spawns and counts tasks. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Crew {
    tasks: TaskTracker,
    panicked: CancellationToken,
}

impl Crew {
    /// Runs a piece of work in a task of its own: it goes on when nobody waits for it any more.
    /// None if it panicked.
    pub(super) fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<Option<T>> {
        let panicked = self.panicked.clone();
        self.tasks.spawn(async move {
            let outcome = AssertUnwindSafe(work).catch_unwind().await;
            outcome
                .inspect_err(|payload| {
                    let text = payload.downcast_ref::<&str>().copied();
                    let text = text.or(payload.downcast_ref::<String>().map(String::as_str));
                    tracing::error!("a task of the peer surface panicked: {}", text.unwrap_or("?"));
                    panicked.cancel();
                })
                .ok()
        })
    }

    /// Returns when a task has panicked.
    pub(super) async fn panicked(&self) {
        self.panicked.cancelled().await;
    }

    /// Whether a task has panicked.
    pub(super) fn has_panicked(&self) -> bool {
        self.panicked.is_cancelled()
    }

    /// Waits for every task to end, at most this long. Whether they did.
    pub(super) async fn ended(&self, within: Duration) -> bool {
        self.tasks.close();
        tokio::time::timeout(within, self.tasks.wait()).await.is_ok()
    }
}
