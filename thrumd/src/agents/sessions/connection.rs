//! Connections of local programs: what lasts as long as one is bound to its identity.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio_util::sync::CancellationToken;

use super::room::SessionRoom;

/// The identity of a connection. Clones share it.
#[derive(Debug, Clone)]
pub struct LocalConnection {
    id: u64,
    closed: CancellationToken,
    room: Option<SessionRoom>,
}

impl LocalConnection {
    /// A new connection.
    pub fn new() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let id = LAST.fetch_add(1, Ordering::Relaxed);
        Self { id, closed: CancellationToken::new(), room: None }
    }

    /// The same one, whose sessions have places in a room.
    pub fn within(self, room: SessionRoom) -> Self {
        Self { room: Some(room), ..self }
    }

    pub(in crate::agents) const fn room(&self) -> Option<&SessionRoom> {
        self.room.as_ref()
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
