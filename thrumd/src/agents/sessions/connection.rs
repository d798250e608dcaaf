//! Connections of local programs: what lasts as long as one is bound to its identity.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio_util::sync::CancellationToken;

/// The identity of a connection. Clones share it.
#[derive(Debug, Clone)]
pub struct LocalConnection {
    id: u64,
    closed: CancellationToken,
}

impl LocalConnection {
    /// A new connection.
    pub fn new() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self { id: LAST.fetch_add(1, Ordering::Relaxed), closed: CancellationToken::new() }
    }

    /// Tells all that is bound to it that it has ended. Not called when the daemon stops: then nobody is gone.
    pub fn close(&self) {
        self.closed.cancel();
    }

    /// Returns when it has ended.
    pub(crate) async fn closed(&self) {
        self.closed.cancelled().await;
    }

    /// Tells it from all others of this process.
    pub(crate) const fn id(&self) -> u64 {
        self.id
    }
}
