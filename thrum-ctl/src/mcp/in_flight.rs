//! The requests that were read and not answered yet, and what becomes of the messages in an answer: they are marked as read
//! when it was written, and only then.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rmcp::model::RequestId;
use thrum_api::event::Route;
use thrum_api::local::{MarkReadParams, MessageMarkRead, MessageRef};
use tokio::sync::oneshot;

use crate::client::Client;

/// Most requests in flight. More are refused: a client that floods is read on, because the end of its input ends the server.
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
    /// Who goes on with the connection, if there is more on it.
    pub back: Option<oneshot::Sender<Client>>,
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
        let marked = self.client.call_again::<MessageMarkRead>(&params).await;
        if let (Ok(_), Some(back)) = (marked, self.back) {
            drop(back.send(self.client));
        }
    }
}

/// The requests in flight.
#[derive(Clone, Default)]
pub struct InFlight {
    requests: Arc<Mutex<HashMap<RequestId, Option<Mark>>>>,
}

impl InFlight {
    /// Whether there is no room for another request.
    pub fn is_full(&self) -> bool {
        self.requests().len() >= MAX
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
        self.requests().remove(id).flatten()
    }

    fn requests(&self) -> MutexGuard<'_, HashMap<RequestId, Option<Mark>>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_floods_is_refused_until_something_was_answered() {
        let in_flight = InFlight::default();
        let id = |n: usize| RequestId::Number(i64::try_from(n).unwrap());
        for n in 0..MAX {
            assert!(!in_flight.is_full());
            in_flight.begin(&id(n));
        }
        assert!(in_flight.is_full());
        in_flight.end(&id(7));
        assert!(!in_flight.is_full());
    }
}
