//! The follower of the log: reads new events in pages, has them digested, and publishes its progress.
//! It works at once while a reader waits for news, else when a burst is over or a reader asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use thrum_api::{LogPosition, Sequence};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::error::{AgentsError, log_unread};
use super::machines::Machines;
use super::store::{Cursor, Store};
use super::threads::{Reader, Worker};
use super::touched::{ChangeCounts, ChangeReaders, Touched};
use super::waiters::{News, Waiters};
use crate::backoff::ExponentialBackoff;
use crate::log::{Log, LogHead};
use crate::message_id;
use crate::report::Chain;

/// A burst is over when the log has not grown for this long. Digesting during a burst would compete
/// with its writers for the CPU and the disk.
pub(super) const QUIET: Duration = Duration::from_millis(100);
/// A longer burst is digested meanwhile, so that a reader never finds too much left to digest.
pub(super) const BURST_MAX: Duration = Duration::from_secs(2);
/// Between failures, while a reader waits for news.
const RETRY: ExponentialBackoff =
    ExponentialBackoff::new(Duration::from_millis(250), Duration::from_secs(30), 0);

/// How far the views have followed the log.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    /// Everything up to here is digested. None until the tables are known to be of this log.
    digested: Option<Sequence>,
    /// Counts all failures.
    failures: u64,
    /// Why the last attempt failed; None if it didn't.
    failure: Option<Arc<AgentsError>>,
    /// What was changed by that.
    pub(super) changes: ChangeCounts,
}

impl Progress {
    /// Whether everything up to `target` is digested.
    pub(super) fn has(&self, target: Sequence) -> bool {
        self.digested >= Some(target)
    }

    /// Everything up to here is digested. None until the tables are known to be of this log.
    pub(super) const fn digested(&self) -> Option<Sequence> {
        self.digested
    }

    /// Whether the last attempt failed.
    pub(super) const fn has_failed(&self) -> bool {
        self.failure.is_some()
    }
}

/// Signals between readers and the follower.
#[derive(Debug, Default)]
pub(super) struct FollowerSignals {
    /// A reader needs the log to be digested now, even after a failure.
    pub(super) requested: Notify,
    /// Readers that wait for news: while there are any, new events are digested at once.
    pub(super) waiters: Waiters,
    /// Likewise, those who follow what changes.
    pub(super) change_readers: ChangeReaders,
    /// Counts the calls that have marked messages read here.
    pub(super) marks: watch::Sender<u64>,
    /// Other daemons may have to be told how far their messages got.
    pub(super) receipts: Notify,
    /// The file is damaged, or its path names another one: the next attempt opens it anew first.
    pub(super) unusable: AtomicBool,
    /// The file was opened anew: what it had of live sessions may be lost.
    pub(super) replaced: Notify,
    /// The names of daemons, as the views have them.
    pub(super) machines: Machines,
}

impl FollowerSignals {
    fn is_unusable(&self) -> bool {
        self.unusable.load(Ordering::SeqCst)
    }

    /// Whether a reader waits for news.
    fn is_awaited(&self) -> bool {
        !self.waiters.is_empty() || !self.change_readers.is_empty()
    }
}

/// Waits until everything up to `target` is digested.
///
/// # Errors
/// When the follower has stopped, or its next attempt fails too.
pub(super) async fn digested(
    progress: &mut watch::Receiver<Progress>,
    signals: &FollowerSignals,
    target: Sequence,
) -> Result<(), AgentsError> {
    let before = {
        let now = progress.borrow();
        if now.has(target) && !signals.is_unusable() {
            return Ok(());
        }
        signals.requested.notify_one();
        now.failures
    };
    let reached = progress
        .wait_for(|now| (now.has(target) && !signals.is_unusable()) || now.failures > before)
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
    pub(super) reader: Reader,
    pub(super) progress: watch::Sender<Progress>,
    pub(super) signals: Arc<FollowerSignals>,
}

impl Follower {
    /// Runs until it is dropped or the log ends.
    pub(super) async fn run(self) {
        let mut heads = self.log.watch();
        let mut cursor = None;
        let mut replaced = false;
        let mut failures = 0;
        loop {
            let head = *heads.borrow_and_update();
            match self.catch_up(&mut cursor, head).await {
                Ok(()) => {
                    replaced = false;
                    failures = 0;
                    self.progress.send_if_modified(|now| now.failure.take().is_some());
                }
                Err(AgentsError::Stopping) => return,
                Err(error) => {
                    // It is unknown what was done: read the stored cursor again.
                    cursor = None;
                    warn!(
                        journal.message_id = message_id::VIEWS_FAIL,
                        "the views can't follow the log: {}",
                        Chain(&error)
                    );
                    if error.is_damage() && !replaced {
                        // Only once without a request: a disk that damages each new file would be
                        // filled with files that were moved aside.
                        replaced = true;
                        self.signals.unusable.store(true, Ordering::SeqCst);
                        continue;
                    }
                    self.failed(error);
                    failures += 1;
                }
            }
            // A request starts another attempt at once; readers that only wait need a retry.
            let retries = failures > 0 && self.signals.is_awaited();
            tokio::select! {
                changed = heads.changed() => match changed {
                    Ok(()) => self.wait_for_burst_end(&heads).await,
                    Err(_) => return,
                },
                () = self.signals.requested.notified() => {}
                () = sleep(RETRY.delay(failures, 0)), if retries => {}
            }
        }
    }

    /// Returns when the log has been quiet for a moment, or a reader needs its events.
    pub(super) async fn wait_for_burst_end(&self, heads: &watch::Receiver<LogHead>) {
        let begun = Instant::now();
        while !self.signals.is_awaited() && begun.elapsed() < BURST_MAX {
            let before = *heads.borrow();
            tokio::select! {
                () = sleep(QUIET) => {}
                () = self.signals.requested.notified() => return,
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
        if self.signals.is_unusable() {
            *cursor = None;
            // First, so that a reader never takes what was digested into the old file for what is in the new.
            self.progress.send_modify(|now| now.digested = None);
            // After a failure the file is gone: only a new one helps.
            self.reader.replace(&self.worker).await?;
            self.signals.unusable.store(false, Ordering::SeqCst);
            self.signals.replaced.notify_one();
        }
        let mut is_anew = false;
        let mut at = match *cursor {
            Some(at) => at,
            None => {
                let at = self.begin(head).await?;
                self.signals.machines.replace(self.worker.call(|store| store.machines()).await?);
                // After a failed commit, or in another file, there may be what nobody was told of.
                self.signals.waiters.wake_all();
                is_anew = true;
                at
            }
        };
        if at.epoch != head.epoch {
            // The log began a new epoch: what was digested of it stays valid.
            at.epoch = head.epoch;
            self.worker.call(move |store| store.move_cursor(at)).await?;
        }
        *cursor = Some(at);
        // Told after a success alone: who is told asks again, and that is another attempt.
        let is_done = at.position.sequence >= head.position.sequence;
        let replaced = is_done && std::mem::take(&mut is_anew);
        self.reached(at.position.sequence, Touched { replaced, ..Touched::default() });
        while at.position.sequence < head.position.sequence {
            let log = self.log.reader();
            let end = head.position;
            let digested = self.worker.call(move |store| store.digest(&log, at, end)).await;
            let digested = match digested {
                Err(AgentsError::Log { source, .. }) => {
                    return Err(log_unread(self.log.explained(*source).await));
                }
                done => done?,
            };
            at = digested.cursor;
            *cursor = Some(at);
            self.signals.machines.add(digested.machines);
            let replaced = std::mem::take(&mut is_anew);
            self.reached(at.position.sequence, Touched { replaced, ..digested.touched });
            if digested.owes {
                self.signals.receipts.notify_one();
            }
            self.log.quarantine_damaged(digested.damaged).await;
            self.wake(digested.news).await?;
        }
        Ok(())
    }

    /// Wakes those who got messages. A failure is followed by waking everyone.
    async fn wake(&self, news: News) -> Result<(), AgentsError> {
        let waiters = &self.signals.waiters;
        waiters.wake(&news);
        if news.projects.is_empty() {
            return Ok(());
        }
        // Those who register later look for themselves.
        let names = waiters.in_all_projects();
        if !names.is_empty() {
            let readers = move |store: &mut Store| store.readers_of(&news.projects, &names);
            waiters.wake(&self.worker.call(readers).await?);
        }
        Ok(())
    }

    /// Where to continue: at the stored cursor if the log still holds that event there, else at the
    /// start, with empty tables.
    async fn begin(&self, head: LogHead) -> Result<Cursor, AgentsError> {
        let stored = self.worker.call(|store| store.cursor()).await?;
        if let Some(stored) = stored
            && stored.epoch == head.epoch
            && self.holds(stored.position).await?
        {
            return Ok(stored);
        }
        if stored.is_some() {
            info!("the views were made from another log: they are rebuilt");
        }
        self.worker.call(|store| store.reset()).await?;
        Ok(Cursor { epoch: head.epoch, position: LogPosition::START })
    }

    /// Whether that is a position of the log.
    async fn holds(&self, position: LogPosition) -> Result<bool, AgentsError> {
        let known = position == LogPosition::START || position.hash.is_some();
        Ok(known && self.log.holds(position).await.map_err(log_unread)?)
    }

    /// Whoever is told of a new position is told of what was changed, too.
    fn reached(&self, sequence: Sequence, touched: Touched) {
        self.progress.send_if_modified(|now| {
            let before = (now.digested.replace(sequence), now.changes);
            now.changes.add(touched);
            before != (now.digested, now.changes)
        });
    }
}
