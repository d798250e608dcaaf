//! Brings the index up to the log: all of it when somebody searches, and in the background when the log is far ahead,
//! so that nobody's search has to wait for long.

use std::sync::Arc;
use std::time::Duration;

use thrum_api::LogPosition;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use super::super::store::Cursor;
use super::error::{SearchError, log_unread};
use super::index::{Index, Indexed};
use super::thread::IndexThread;
use crate::log::{Log, LogHead};
use crate::report::Chain;

/// So many events are left to the next search, which needs some 50 ms for them.
const BEHIND_MAX: u64 = 2000;
/// The background waits until the log has not grown for this long.
const QUIET: Duration = Duration::from_secs(1);
/// A log that is never quiet is indexed after this long all the same.
const BUSY_MAX: Duration = Duration::from_secs(30);

/// Follows the log. Clones share the index.
#[derive(Clone)]
pub(super) struct Follower {
    log: Log,
    thread: Arc<IndexThread>,
    /// Held while a page is indexed.
    turn: Arc<Mutex<()>>,
}

impl Follower {
    pub(super) fn new(log: Log, thread: IndexThread) -> Self {
        Self { log, thread: Arc::new(thread), turn: Arc::default() }
    }

    pub(super) const fn log(&self) -> &Log {
        &self.log
    }

    /// The answer of an index that has everything of the log as it is now. A damaged one is made anew.
    pub(super) async fn current<T: Send + 'static>(
        &self,
        look: impl Fn(&mut Index) -> Result<T, SearchError> + Send + Clone + 'static,
    ) -> Result<T, SearchError> {
        let mut again = false;
        loop {
            let outcome = async {
                let head = self.log.head();
                while !self.page(head).await? {}
                self.thread.call(look.clone()).await
            };
            match outcome.await {
                Err(error) if error.is_damage() && !again => {
                    tracing::warn!("search.db is made anew from the log: {}", Chain(&error));
                    again = true;
                    // Not between where the index is and the page that follows it.
                    let _turn = self.turn.lock().await;
                    self.thread.call(Index::discard).await?;
                }
                Err(SearchError::MadeAnew) if !again => again = true,
                outcome => return outcome,
            }
        }
    }

    /// Indexes the next page. Answers whether that was all up to `head`.
    async fn page(&self, head: LogHead) -> Result<bool, SearchError> {
        let _turn = self.turn.lock().await;
        let at = self.position(head).await?;
        if at.position.sequence >= head.position.sequence {
            return Ok(true);
        }
        let log = self.log.reader();
        let page = self.thread.call(move |index| index.page(&log, at, head)).await?;
        self.log.quarantine_damaged(page.damaged).await;
        Ok(page.cursor.position.sequence >= head.position.sequence)
    }

    /// How far the index is: where it was, if the log still holds that event there, else at the start of a new one.
    async fn position(&self, head: LogHead) -> Result<Cursor, SearchError> {
        let stored = match self.thread.call(Index::indexed).await? {
            Indexed::UpTo(at) if at.epoch == head.epoch => return Ok(at),
            // The log began a new epoch: what was indexed of it stays valid.
            Indexed::UpTo(at) => Some(Cursor { epoch: head.epoch, ..at }),
            Indexed::Unchecked(None) => None,
            Indexed::Unchecked(Some(at)) => {
                let is_held = at.epoch == head.epoch && self.holds(at.position).await?;
                if !is_held {
                    tracing::info!("search.db was made from another log: it is made anew");
                    self.thread.call(Index::discard).await?;
                }
                is_held.then_some(at)
            }
        };
        let at = stored.unwrap_or(Cursor { epoch: head.epoch, position: LogPosition::START });
        self.thread.call(move |index| index.continue_at(at)).await?;
        Ok(at)
    }

    async fn holds(&self, position: LogPosition) -> Result<bool, SearchError> {
        let is_known = position == LogPosition::START || position.hash.is_some();
        Ok(is_known && self.log.holds(position).await.map_err(log_unread)?)
    }

    /// Indexes in the background whenever the log is far ahead. Ends with the log.
    pub(super) async fn keep_near(self) {
        let mut heads = self.log.watch();
        // Up to here there is nothing to do.
        let mut enough = BEHIND_MAX;
        loop {
            if heads.borrow_and_update().position.sequence.0 > enough {
                self.wait_for_quiet().await;
                match self.catch_up().await {
                    Err(SearchError::Stopping) => return,
                    Err(error) => tracing::warn!("messages are not indexed: {}", Chain(&error)),
                    Ok(()) => {}
                }
                enough = self.log.head().position.sequence.0.saturating_add(BEHIND_MAX);
            }
            if heads.changed().await.is_err() {
                return;
            }
        }
    }

    async fn wait_for_quiet(&self) {
        let begun = Instant::now();
        while begun.elapsed() < BUSY_MAX {
            let before = self.log.head();
            sleep(QUIET).await;
            if self.log.head() == before {
                return;
            }
        }
    }

    /// Half of the time it rests: nobody waits for it.
    async fn catch_up(&self) -> Result<(), SearchError> {
        let head = self.log.head();
        loop {
            let begun = Instant::now();
            if self.page(head).await? {
                return Ok(());
            }
            sleep(begun.elapsed()).await;
        }
    }

    pub(super) async fn close(&self) {
        self.thread.close().await;
    }
}
