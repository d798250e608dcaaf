//! What changes in messages and agents, for those who show them: nothing has to be asked again while nothing changes.

use std::future::pending;
use std::sync::Arc;

use thrum_api::Sequence;
use tokio::sync::watch;

use super::Agents;
use super::error::AgentsError;
use super::follow::{FollowerSignals, Progress};
use super::touched::ChangeCounts;

/// What has changed in the views.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ViewChange {
    /// Up to where they have read the log.
    pub read_seq: Sequence,
    /// That is another position than before.
    pub has_moved: bool,
    /// What is told of agents and groups.
    pub agents: bool,
    /// What is told of messages that are known.
    pub deliveries: bool,
    /// They follow the log no longer, or again.
    pub follows: bool,
    /// They were made anew, so that anything may have changed.
    pub replaced: bool,
}

/// Follows the changes. While there is one, the views digest new events at once.
pub struct ViewChanges {
    progress: watch::Receiver<Progress>,
    /// Of marks that were made here.
    marks: watch::Receiver<u64>,
    /// Of sessions of this machine.
    sessions: watch::Receiver<u64>,
    told: State,
    signals: Arc<FollowerSignals>,
}

/// The state that is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    digested: Sequence,
    /// Not how often: who is told of a failure asks again, and that fails again.
    has_failed: bool,
    counts: ChangeCounts,
    marks: u64,
    sessions: u64,
}

impl Agents {
    /// Follows what changes from now on.
    ///
    /// # Errors
    /// When the daemon stops.
    pub fn changes(&self) -> Result<ViewChanges, AgentsError> {
        if self.inner.ended.is_cancelled() {
            return Err(AgentsError::Stopping);
        }
        let signals = Arc::clone(&self.inner.signals);
        signals.change_readers.add();
        let (progress, marks) = (self.inner.progress.clone(), signals.marks.subscribe());
        let sessions = self.inner.sessions.changes();
        let told = State::of(&progress, &marks, &sessions);
        // What came before may not be digested.
        signals.requested.notify_one();
        Ok(ViewChanges { progress, marks, sessions, told, signals })
    }
}

impl State {
    fn of(
        progress: &watch::Receiver<Progress>,
        marks: &watch::Receiver<u64>,
        sessions: &watch::Receiver<u64>,
    ) -> Self {
        let now = progress.borrow();
        Self {
            digested: now.digested().unwrap_or_default(),
            has_failed: now.has_failed(),
            counts: now.changes,
            marks: *marks.borrow(),
            sessions: *sessions.borrow(),
        }
    }
}

impl ViewChanges {
    /// Returns when something has changed since the last [`Self::take`]; never once the daemon stops. Dropping the future
    /// loses nothing.
    pub async fn changed(&mut self) {
        loop {
            if self.now() != self.told {
                return;
            }
            let changed = tokio::select! {
                changed = self.progress.changed() => changed,
                changed = self.marks.changed() => changed,
                changed = self.sessions.changed() => changed,
            };
            if changed.is_err() {
                return pending().await;
            }
        }
    }

    /// What has changed since the last time.
    pub fn take(&mut self) -> ViewChange {
        let (before, now) = (self.told, self.now());
        self.told = now;
        let of_agents =
            now.counts.agents != before.counts.agents || now.sessions != before.sessions;
        let of_deliveries =
            now.counts.deliveries != before.counts.deliveries || now.marks != before.marks;
        let is_back = now.digested < before.digested;
        ViewChange {
            read_seq: now.digested,
            has_moved: now.digested != before.digested,
            agents: of_agents,
            deliveries: of_deliveries,
            follows: now.has_failed != before.has_failed,
            replaced: now.counts.replaced != before.counts.replaced || is_back,
        }
    }

    fn now(&self) -> State {
        State::of(&self.progress, &self.marks, &self.sessions)
    }
}

impl Drop for ViewChanges {
    fn drop(&mut self) {
        self.signals.change_readers.remove();
    }
}
