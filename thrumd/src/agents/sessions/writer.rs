//! Stores the sessions that processes keep, and writes what is to be told into the log: many agents in one append. It sleeps
//! while nothing changes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use thrum_api::event::{AGENT_SESSIONS, AgentJoined, AgentSessions};
use thrum_api::{Draft, Sequence};
use tokio::sync::{Mutex, watch};

use super::book::{Due, ToKeep};
use super::live::AgentKey;
use super::shared::Sessions;
use crate::agents::error::{AgentsError, views};
use crate::agents::follow::{self, FollowerSignals, Progress};
use crate::agents::joining::JoinedNames;
use crate::agents::send::{self, draft};
use crate::agents::store::Store;
use crate::agents::threads::{Reader, Worker};
use crate::backoff::ExponentialBackoff;
use crate::clock;
use crate::log::{Log, LogError};
use crate::report::Chain;

/// Agents in one append.
const BATCH: usize = 256;
/// After the log refused an append.
const RETRY: ExponentialBackoff =
    ExponentialBackoff::new(Duration::from_secs(5), Duration::from_secs(60), 0);

/// The task that stores and tells.
pub struct Writer {
    pub log: Log,
    pub worker: Worker,
    pub reader: Reader,
    pub progress: watch::Receiver<Progress>,
    pub signals: Arc<FollowerSignals>,
    pub joining: Arc<Mutex<JoinedNames>>,
    pub sessions: Sessions,
    /// The name of this machine.
    pub name: Arc<str>,
    /// Stored sessions whose process has ended.
    pub dead: BTreeSet<(AgentKey, String)>,
}

impl Writer {
    /// Runs until it is dropped or the log ends.
    pub async fn run(self) {
        tokio::join!(self.take_over(), self.write_all());
    }

    /// Finds out what was told before the start, once the views have all of it.
    async fn take_over(&self) {
        let mut progress = self.progress.clone();
        loop {
            let head = self.log.head().position.sequence;
            match self.told_before(&mut progress, head).await {
                Ok(()) => return,
                Err(AgentsError::Stopping) => return,
                // The follower has logged it, and tries again.
                Err(_) => {
                    if progress.changed().await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    async fn told_before(
        &self,
        progress: &mut watch::Receiver<Progress>,
        head: Sequence,
    ) -> Result<(), AgentsError> {
        follow::digested(progress, &self.signals, head).await?;
        let told = self.reader.call(Store::told_here).await?;
        self.sessions.change(|book, now| book.told_before(told, &self.dead, now));
        Ok(())
    }

    async fn write_all(&self) {
        let mut failures = 0;
        loop {
            // First: a restart is to find all of what others were told.
            self.save().await;
            loop {
                let due = self.sessions.change_quietly(|book, now| book.take_due(BATCH, now));
                if due.is_empty() {
                    break;
                }
                match self.write(&due).await {
                    Ok(()) => {
                        failures = 0;
                        self.sessions.change_quietly(|book, _| book.written(&due));
                    }
                    Err(AgentsError::Stopping) => return,
                    Err(error) => {
                        failures += 1;
                        tracing::warn!("can't tell what sessions do: {}", Chain(&error));
                        let delay = RETRY.delay(failures, 0);
                        let failed = |book: &mut super::book::Book, now: super::book::Now| {
                            book.failed(&due, now.at + delay, now);
                        };
                        self.sessions.change_quietly(failed);
                    }
                }
                self.sessions.has_settled();
            }
            self.sessions.has_settled();
            let next = self.sessions.look(super::book::Book::next_due);
            tokio::select! {
                () = self.sessions.changed() => {}
                () = self.signals.replaced.notified() => {
                    self.sessions.change_quietly(|book, _| book.none_is_saved());
                }
                () = clock::sleep_until(next) => {}
            }
        }
    }

    async fn save(&self) {
        let unsaved = self.sessions.change_quietly(|book, _| book.take_unsaved());
        if unsaved.is_empty() {
            return;
        }
        let agents = unsaved.clone();
        if let Err(error) = self.worker.call(move |store| store.save_sessions(&agents)).await {
            if error.is_damage() {
                self.signals.unusable.store(true, Ordering::SeqCst);
                self.signals.requested.notify_one();
            }
            tracing::warn!("can't store which sessions are live: {}", Chain(&error));
            self.sessions.change_quietly(|book, _| book.not_saved(unsaved));
        }
    }

    /// Writes what is due, and first that those agents have joined who are new here.
    async fn write(&self, due: &[Due]) -> Result<(), AgentsError> {
        let mut joined = self.joining.lock().await;
        joined.forget_digested(&self.progress.borrow());
        let keys: Vec<AgentKey> = due.iter().map(|due| due.key.clone()).collect();
        // While the views can't be read, nobody is known.
        let known = self.reader.call(move |store| store.known_here(&keys)).await;
        let known = known.unwrap_or_else(|_| vec![false; due.len()]);
        let mut drafts = Vec::new();
        let mut new = Vec::new();
        for (Due { key, sessions }, known) in due.iter().zip(known) {
            // What says that an agent is gone makes nobody known who was removed.
            let is_new = !known && !sessions.is_empty();
            if is_new && !joined.contain(&key.project, &key.agent) {
                new.push((key, drafts.len()));
                drafts.push(send::joined(&key.project, &self.announced(&key.agent))?);
            }
            drafts.push(told(key, sessions.clone())?);
        }
        let appended = self.log.append(drafts).await.map_err(refused)?;
        for (key, place) in new {
            if let Some(event) = appended.get(place) {
                joined.add(&key.project, &key.agent, event.sequence);
            }
        }
        Ok(())
    }

    fn announced(&self, agent: &str) -> AgentJoined {
        let machine = Some(self.name.to_string());
        AgentJoined { agent: agent.to_owned(), machine, about: None }
    }
}

/// The event `agent.sessions`.
fn told(
    key: &AgentKey,
    sessions: Vec<thrum_api::event::SessionInfo>,
) -> Result<Draft, AgentsError> {
    draft(AGENT_SESSIONS, Some(&key.project), &AgentSessions { agent: key.agent.clone(), sessions })
}

fn refused(source: LogError) -> AgentsError {
    match source {
        LogError::Stopping => AgentsError::Stopping,
        source => AgentsError::Log { doing: "write to the log", source: Box::new(source) },
    }
}

impl Store {
    /// Stores which sessions of these agents processes keep.
    fn save_sessions(&mut self, agents: &[ToKeep]) -> Result<(), AgentsError> {
        let doing = views("store live sessions");
        let transaction = self.connection.transaction().map_err(&doing)?;
        super::kept::save(&transaction, agents).map_err(&doing)?;
        transaction.commit().map_err(&doing)
    }

    /// Which of these agents were ever seen on this daemon.
    fn known_here(&self, agents: &[AgentKey]) -> Result<Vec<bool>, AgentsError> {
        let known = |key: &AgentKey| Ok(self.last_seen(&key.project, &key.agent)?.is_some());
        agents.iter().map(known).collect()
    }
}
