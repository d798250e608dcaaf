//! Search in messages: a full-text index of those that are here, in `search.db`.
//!
//! The index is derived from the log and can be deleted at any time. It is brought up to the log when somebody
//! searches, and by itself only when it is far behind. It has a thread of its own, so that neither the views nor
//! their readers wait for it.

mod error;
mod facets;
mod follow;
mod index;
mod pages;
mod query;
mod snippet;
#[cfg(test)]
mod tests;
mod thread;
mod words;

use std::path::PathBuf;
use std::sync::Arc;

use thrum_api::local::{MessageSearchResult, SearchHit};
use thrum_api::{Sequence, Timestamp};
use tokio::task::JoinHandle;

pub use self::error::SearchError;
use self::follow::Follower;
use self::index::Index;
pub use self::query::Sender;
use self::query::{Found, IndexQuery};
use self::thread::IndexThread;
use crate::log::Log;

/// The file in the state directory.
const FILE: &str = "search.db";
/// Messages in one answer, unless the caller sets a limit.
const DEFAULT_MESSAGES: u32 = 20;
/// Messages in one answer, at most.
const MAX_MESSAGES: u32 = 200;

/// What is looked for.
#[derive(Debug, Clone, Default)]
pub struct SearchQuery {
    /// As a person typed them.
    pub words: String,
    /// Only messages of this project, by its checked name.
    pub project: Option<String>,
    /// Only messages of this agent.
    pub from: Option<Sender>,
    /// Only messages that were sent since.
    pub since: Option<Timestamp>,
    /// Only messages before this position in the log.
    pub before: Option<Sequence>,
    pub limit: Option<u32>,
}

/// The search. Clones share it.
#[derive(Clone)]
pub struct Search {
    inner: Arc<Inner>,
}

struct Inner {
    follower: Follower,
    /// None once closed.
    watching: parking_lot::Mutex<Option<JoinHandle<()>>>,
}

impl Search {
    /// Starts the thread of the index. Its file is opened when it is needed first. Must be called within a tokio
    /// runtime.
    ///
    /// # Errors
    /// When the thread can't be started.
    pub fn start(state_dir: PathBuf, log: Log) -> Result<Self, SearchError> {
        let thread = IndexThread::start(Index::new(state_dir.join(FILE)))?;
        let follower = Follower::new(log, thread);
        let watching = tokio::spawn(follower.clone().keep_near());
        let watching = parking_lot::Mutex::new(Some(watching));
        Ok(Self { inner: Arc::new(Inner { follower, watching }) })
    }

    /// The newest messages with all of these words, including those that were committed before the call.
    ///
    /// # Errors
    /// When there is nothing to look for, and when the index or the log can't be used.
    pub async fn search(&self, query: SearchQuery) -> Result<MessageSearchResult, SearchError> {
        let limit = query.limit.unwrap_or(DEFAULT_MESSAGES).clamp(1, MAX_MESSAGES);
        let query = Arc::new(IndexQuery {
            words: words::expression(&query.words)?,
            project: query.project,
            from: query.from,
            since: query.since.unwrap_or(Timestamp::from_millis(i64::MIN)),
            before: query.before,
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
        });
        let follower = &self.inner.follower;
        let log = follower.log().reader();
        let look = move |index: &mut Index| index.search(&log, &query);
        let Found { hits, next_before, damaged } = follower.current(look).await?;
        follower.log().quarantine_damaged(damaged).await;
        let hits = hits.into_iter().map(|(message, snippet)| SearchHit { message, snippet });
        Ok(MessageSearchResult { hits: hits.collect(), next_before })
    }

    /// Ends the thread. Calls that wait end with [`SearchError::Stopping`].
    pub async fn close(&self) {
        let Some(watching) = self.inner.watching.lock().take() else { return };
        watching.abort();
        // Aborted or ended by itself: both are fine.
        drop(watching.await);
        self.inner.follower.close().await;
    }
}
