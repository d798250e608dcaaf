//! The requests that were read and not answered yet, and what becomes of the messages in an answer: they are marked as read
//! when it was written, and only then.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rmcp::model::RequestId;
use thrum_api::event::Route;
use thrum_api::local::{MarkReadParams, MessageMarkRead, MessageRef};
use tokio::sync::Notify;

use crate::client::Client;

/// Most requests that are read before some are answered. A client that floods waits.
const MAX: usize = 256;

/// Messages that are to be marked as read, by the connection to which they were handed out: they are claimed for it, and
/// are unread again if it ends before.
pub struct Mark {
    /// The connection.
    pub client: Client,
    /// The reader.
    pub agent: String,
    /// Its session.
    pub session: String,
    /// The messages.
    pub messages: Vec<MessageRef>,
}

impl Mark {
    /// Marks them. If it fails, they are shown again: better than not at all.
    pub async fn mark(mut self) {
        let params = MarkReadParams {
            agent: self.agent,
            messages: self.messages,
            route: Some(Route::Mcp),
            session: Some(self.session),
        };
        drop(self.client.call_again::<MessageMarkRead>(&params).await);
    }
}

/// The requests in flight.
#[derive(Clone, Default)]
pub struct InFlight {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    requests: Mutex<HashMap<RequestId, Option<Mark>>>,
    fewer: Notify,
}

impl InFlight {
    /// Returns when there is room for another request.
    pub async fn room(&self) {
        loop {
            let fewer = self.shared.fewer.notified();
            if self.requests().len() < MAX {
                return;
            }
            fewer.await;
        }
    }

    /// A request was read.
    pub fn begin(&self, id: &RequestId) {
        self.requests().insert(id.clone(), None);
    }

    /// What to do when the answer to a request was written. Nothing if the request was cancelled: then no answer is written.
    pub fn when_written(&self, id: &RequestId, mark: Mark) {
        if let Some(entry) = self.requests().get_mut(id) {
            *entry = Some(mark);
        }
    }

    /// A request is answered now, or was cancelled. Returns what to do after its answer was written.
    pub fn end(&self, id: &RequestId) -> Option<Mark> {
        let mark = self.requests().remove(id).flatten();
        self.shared.fewer.notify_one();
        mark
    }

    fn requests(&self) -> MutexGuard<'_, HashMap<RequestId, Option<Mark>>> {
        self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_client_that_floods_waits_until_something_was_answered() {
        let in_flight = InFlight::default();
        let id = |n: usize| RequestId::Number(i64::try_from(n).unwrap());
        for n in 0..MAX {
            in_flight.room().await;
            in_flight.begin(&id(n));
        }
        let full = tokio::time::timeout(Duration::from_millis(20), in_flight.room()).await;
        assert!(full.is_err());
        let waiting = in_flight.clone();
        let waiting = tokio::spawn(async move { waiting.room().await });
        tokio::task::yield_now().await;
        in_flight.end(&id(7));
        waiting.await.unwrap();
    }
}
