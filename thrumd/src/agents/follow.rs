//! Follows the log: told of new events, reads them in pages, has them digested, and says how far
//! it is. At once while someone waits for news, else when a burst is over or a reader asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use thrum_api::local::EventListParams;
use thrum_api::{Place, Sequence};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::error::AgentsError;
use super::store::{Cursor, Worker};
use crate::log::{Log, LogError, LogHead};
use crate::report::Chain;

/// Events in one transaction of the views. A reader waits for at most one such.
const PAGE_EVENTS: u32 = 500;
/// A burst is over when the log has not grown for this long. Digesting it meanwhile would take the
/// time and the disk of those who write.
const QUIET: Duration = Duration::from_millis(100);
/// A burst that is longer is not waited for: a reader should not find too much left to digest.
const BURST_MAX: Duration = Duration::from_secs(2);
/// After a failure it is tried again so soon while someone waits for news, and ever later.
const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// How far the views are.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    /// Everything up to here is digested. None until it is known that the tables are of this log.
    digested: Option<Sequence>,
    /// Raised with every failure.
    failures: u64,
    /// Why the last attempt failed; None while it goes on.
    failure: Option<Arc<AgentsError>>,
}

impl Progress {
    /// Whether everything up to `target` is digested.
    pub(super) fn has(&self, target: Sequence) -> bool {
        self.digested >= Some(target)
    }

    /// Whether the last attempt failed.
    #[cfg(test)]
    pub(super) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }
}

/// What readers and the follower share.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    /// A reader wants what is there to be digested now, and a failed attempt to be made again.
    pub(super) now: Notify,
    /// Readers that wait for news.
    waiting: AtomicUsize,
    /// The file is damaged: it is to be replaced before the next attempt.
    pub(super) damaged: AtomicBool,
    /// Events that the views could not digest.
    pub(super) undigested: AtomicU64,
}

/// While it lives, new events are digested at once.
pub(super) struct Waiting<'a>(&'a Wishes);

impl Wishes {
    /// Take it before looking at how far log and views are: what comes later is digested at once.
    pub(super) fn wait(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        Waiting(self)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Waits until everything up to `target` is digested.
///
/// # Errors
/// When the follower has stopped, or fails although it was asked to try again.
pub(super) async fn digested(
    progress: &mut watch::Receiver<Progress>,
    wishes: &Wishes,
    target: Sequence,
) -> Result<(), AgentsError> {
    let before = {
        let now = progress.borrow();
        if now.has(target) {
            return Ok(());
        }
        wishes.now.notify_one();
        now.failures
    };
    let reached = progress
        .wait_for(|now| now.has(target) || now.failures > before)
        .await
        .map_err(|_| AgentsError::Stopping)?;
    match &reached.failure {
        Some(cause) if !reached.has(target) => Err(AgentsError::Behind(Arc::clone(cause))),
        _ => Ok(()),
    }
}

/// The task that follows the log.
pub(super) struct Follower {
    pub(super) log: Log,
    pub(super) worker: Worker,
    pub(super) progress: watch::Sender<Progress>,
    pub(super) wishes: Arc<Wishes>,
}

impl Follower {
    /// Follows until it is dropped or the log ends.
    pub(super) async fn run(self) {
        let mut heads = self.log.watch();
        let mut cursor = None;
        let mut replaced = false;
        let mut retry = None;
        loop {
            let head = *heads.borrow_and_update();
            match self.catch_up(&mut cursor, head).await {
                Ok(()) => {
                    replaced = false;
                    retry = None;
                    self.progress.send_if_modified(|now| now.failure.take().is_some());
                }
                Err(AgentsError::Stopping) => return,
                Err(error) => {
                    // What was done of it is not known: look at the stored cursor again.
                    cursor = None;
                    warn!("the views can't follow the log: {}", Chain(&error));
                    if error.is_damage() && !replaced {
                        // Once without being asked; a disk that damages a new file at once would
                        // be filled with files that were moved aside.
                        replaced = true;
                        self.wishes.damaged.store(true, Ordering::Relaxed);
                        continue;
                    }
                    self.failed(error);
                    let later = |pause: Duration| (2 * pause).min(RETRY_MAX);
                    retry = Some(retry.map_or(RETRY_FIRST, later));
                }
            }
            // Who asks has it tried again; who waits would wait for ever.
            let pause = retry.filter(|_| self.wishes.waiting.load(Ordering::SeqCst) > 0);
            tokio::select! {
                changed = heads.changed() => match changed {
                    Ok(()) => self.let_burst_pass(&heads).await,
                    Err(_) => return,
                },
                () = self.wishes.now.notified() => {}
                () = sleep(pause.unwrap_or_default()), if pause.is_some() => {}
            }
        }
    }

    /// Returns when the log has been quiet for a moment, or someone wants to know what came.
    pub(super) async fn let_burst_pass(&self, heads: &watch::Receiver<LogHead>) {
        let begun = Instant::now();
        while self.wishes.waiting.load(Ordering::SeqCst) == 0 && begun.elapsed() < BURST_MAX {
            let before = *heads.borrow();
            tokio::select! {
                () = sleep(QUIET) => {}
                () = self.wishes.now.notified() => return,
            }
            if *heads.borrow() == before {
                return;
            }
        }
    }

    fn failed(&self, error: AgentsError) {
        self.progress.send_modify(|now| {
            now.failures += 1;
            now.failure = Some(Arc::new(error));
        });
    }

    /// Digests everything up to `head`.
    async fn catch_up(
        &self,
        cursor: &mut Option<Cursor>,
        head: LogHead,
    ) -> Result<(), AgentsError> {
        if self.wishes.damaged.swap(false, Ordering::Relaxed) {
            *cursor = None;
            self.progress.send_modify(|now| now.digested = None);
            if let Err(error) = self.worker.call(|store| store.replace_damaged()).await {
                // There is no file now: nothing but a new one helps.
                self.wishes.damaged.store(true, Ordering::Relaxed);
                return Err(error);
            }
        }
        let mut at = match *cursor {
            Some(at) => at,
            None => self.begin(head).await?,
        };
        if at.epoch != head.epoch {
            // The log that we follow began a new epoch: what we digested of it stays true.
            at.epoch = head.epoch;
            self.worker.call(move |store| store.move_cursor(at)).await?;
        }
        *cursor = Some(at);
        self.reached(at.place.sequence);
        while at.place.sequence < head.place.sequence {
            let page = self.page(at.place.sequence, PAGE_EVENTS).await?;
            if page.events.is_empty() {
                // Places that hold no event any more.
                let more = page.more_available && page.next > at.place.sequence;
                at.place =
                    if more { Place { sequence: page.next, event_id: None } } else { head.place };
            } else {
                let digested =
                    self.worker.call(move |store| store.digest(&page.events, at)).await?;
                at = digested.cursor;
                self.wishes.undigested.fetch_add(digested.skipped, Ordering::Relaxed);
            }
            *cursor = Some(at);
            self.reached(at.place.sequence);
        }
        Ok(())
    }

    /// Where to go on: at the stored cursor if the log still holds that event there, else at 0 with
    /// empty tables.
    async fn begin(&self, head: LogHead) -> Result<Cursor, AgentsError> {
        let stored = self.worker.call(|store| store.cursor()).await?;
        if let Some(stored) = stored
            && stored.epoch == head.epoch
            && self.holds(stored.place).await?
        {
            let undigested = self.worker.call(|store| store.undigested()).await?;
            self.wishes.undigested.store(undigested, Ordering::Relaxed);
            return Ok(stored);
        }
        if stored.is_some() {
            info!("the log is not the one that the views were made of: making them anew");
        }
        self.worker.call(|store| store.reset()).await?;
        self.wishes.undigested.store(0, Ordering::Relaxed);
        Ok(Cursor { epoch: head.epoch, place: Place::START })
    }

    /// Whether the log has that event at that place.
    async fn holds(&self, place: Place) -> Result<bool, AgentsError> {
        let known = place == Place::START || place.event_id.is_some();
        Ok(known && self.log.holds(place).await.map_err(refused)?)
    }

    async fn page(
        &self,
        after: Sequence,
        limit: u32,
    ) -> Result<thrum_api::local::EventListResult, AgentsError> {
        let params = EventListParams { after, limit: Some(limit), ..EventListParams::default() };
        self.log.list(params).await.map_err(refused)
    }

    fn reached(&self, sequence: Sequence) {
        self.progress.send_if_modified(|now| {
            let before = now.digested.replace(sequence);
            before != now.digested
        });
    }
}

fn refused(source: LogError) -> AgentsError {
    match source {
        LogError::Stopping => AgentsError::Stopping,
        source => AgentsError::Log { doing: "read events of the log", source: Box::new(source) },
    }
}
