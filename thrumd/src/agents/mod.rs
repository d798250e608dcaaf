//! Messages and agents, as views that are derived from the log.
//!
//! `views.db` can be deleted at any time; it is rebuilt from the log. Only the read marks are stored
//! nowhere else: a rebuild keeps them, and without the file every message is unread again.

mod digest;
mod error;
mod follow;
mod inbox;
mod marks;
mod schema;
mod send;
mod store;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rusqlite::Connection;
use thrum_api::local::{
    Agent, AgentListParams, Appended, InboxParams, InboxResult, MarkReadParams, MessageSendParams,
    MessageSendResult, WaitParams, WaitResult,
};
use thrum_api::{DaemonId, Draft, Sequence, names};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

pub use self::error::AgentsError;
use self::follow::{Follower, FollowerSignals, Progress};
use self::inbox::InboxQuery;
pub use self::marks::{BACKUP_TABLE, restore_read_marks};
pub use self::schema::FILE;
use self::send::OutgoingMessage;
use self::store::{Store, Worker};
use crate::held_files::HeldFiles;
use crate::log::{Log, LogError};

/// Messages in an inbox, unless the caller sets a limit.
const INBOX_DEFAULT_MESSAGES: u32 = 20;
/// Messages in one answer to a wait, unless the caller sets a limit.
const WAIT_DEFAULT_MESSAGES: u32 = 50;
/// Messages in one answer, at most.
const MAX_MESSAGES: u32 = 1000;
/// How long one call of `wait` lasts, at most.
const WAIT_MAX: Duration = Duration::from_secs(3600);

/// The views. Clones share them.
#[derive(Clone)]
pub struct Agents {
    inner: Arc<Inner>,
}

struct Inner {
    log: Log,
    /// The files of the views.
    files: HeldFiles,
    /// None once closed.
    running: Mutex<Option<Running>>,
    worker: parking_lot::Mutex<Option<Worker>>,
    progress: watch::Receiver<Progress>,
    signals: Arc<FollowerSignals>,
    /// Held from the check whether a name is new until its event is in the log, so that two callers
    /// with the same new name don't both write that it joined.
    joining: Mutex<()>,
}

/// The task and the thread that `close` ends.
struct Running {
    follower: JoinHandle<()>,
    thread: std::thread::JoinHandle<()>,
}

impl Agents {
    /// Opens `views.db` in `state_dir` and starts following the log. A damaged file is moved aside.
    /// `former` are earlier ids of this daemon. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the file can't be opened or the thread can't be started.
    pub fn open(state_dir: &Path, log: Log, former: Vec<DaemonId>) -> Result<Self, AgentsError> {
        let store = Store::open(state_dir.join(FILE), log.daemon(), former)?;
        let files = store.files.clone();
        let (worker, thread) = Worker::start(store)?;
        let (sender, progress) = watch::channel(Progress::default());
        let signals = Arc::new(FollowerSignals::default());
        let follower = Follower {
            log: log.clone(),
            worker: worker.clone(),
            progress: sender,
            signals: Arc::clone(&signals),
        };
        let follower = tokio::spawn(follower.run());
        let inner = Inner {
            log,
            files,
            running: Mutex::new(Some(Running { follower, thread })),
            worker: parking_lot::Mutex::new(Some(worker)),
            progress,
            signals,
            joining: Mutex::new(()),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Writes a message event (and `agent.joined` the first time that a name is used here).
    ///
    /// # Errors
    /// When names, text or recipients are invalid, and when the log refuses the event.
    pub async fn send(&self, params: MessageSendParams) -> Result<MessageSendResult, AgentsError> {
        let OutgoingMessage { from, project, to, draft } = OutgoingMessage::new(params)?;
        let look = |project: String, from: String, to: Vec<String>| {
            self.call(move |store| {
                Ok((store.knows(&project, &from)?, store.unknown(&project, &to)?))
            })
        };
        let (mut known, mut unknown) = look(project.clone(), from.clone(), to.clone()).await?;
        if !known || !unknown.is_empty() {
            // The views may not have digested it yet.
            self.digested(self.inner.log.head().position.sequence).await?;
            (known, unknown) = look(project.clone(), from.clone(), to).await?;
        }
        let appended = if known {
            self.append(vec![draft]).await?
        } else {
            self.join(&project, &from, Some(draft)).await?
        };
        let written = appended.last().ok_or(AgentsError::Stopping)?;
        // The first message of an agent may be to itself.
        unknown.retain(|name| *name != from);
        Ok(MessageSendResult { event_id: written.event_id, sequence: written.sequence, unknown })
    }

    /// Messages for an agent, including everything that was committed before the call.
    ///
    /// # Errors
    /// When the reader's name is invalid, and when the views can't be brought up to the log.
    pub async fn inbox(&self, params: InboxParams) -> Result<InboxResult, AgentsError> {
        let query = InboxQuery {
            agent: names::agent(&params.agent)?,
            project: project(params.project)?,
            unread_only: params.unread_only,
            read_only: params.read_only,
            limit: limit(params.limit, INBOX_DEFAULT_MESSAGES),
        };
        self.present(&query.agent, query.project.as_deref()).await?;
        self.call(move |store| store.inbox(&query)).await
    }

    /// Waits for unread messages; there are none after the time-out. Dropping the future stops waiting.
    ///
    /// # Errors
    /// As for [`Agents::inbox`].
    pub async fn wait(&self, params: WaitParams) -> Result<WaitResult, AgentsError> {
        let query = InboxQuery {
            agent: names::agent(&params.agent)?,
            project: project(params.project)?,
            unread_only: true,
            read_only: false,
            // An answer without messages means that the time has passed.
            limit: limit(params.limit, WAIT_DEFAULT_MESSAGES).max(1),
        };
        let end =
            tokio::time::Instant::now() + Duration::from_millis(params.timeout_ms).min(WAIT_MAX);
        let mut progress = self.inner.progress.clone();
        let _waiting = self.inner.signals.wait();
        self.present(&query.agent, query.project.as_deref()).await?;
        let query = Arc::new(query);
        loop {
            progress.mark_unchanged();
            let query = Arc::clone(&query);
            let oldest = self.call(move |store| store.oldest_unread(&query)).await?;
            if !oldest.messages.is_empty() {
                return Ok(oldest);
            }
            match tokio::time::timeout_at(end, progress.changed()).await {
                Ok(changed) => changed.map_err(|_| AgentsError::Stopping)?,
                Err(_) => return Ok(oldest),
            }
        }
    }

    /// Marks messages read by their reader.
    ///
    /// # Errors
    /// When the reader's name is invalid, and when the views can't be brought up to the log.
    pub async fn mark_read(&self, params: MarkReadParams) -> Result<(), AgentsError> {
        let agent = names::agent(&params.agent)?;
        self.inner.log.files().check().map_err(|changed| {
            let source = Box::new(LogError::FilesChanged(changed));
            AgentsError::Log { doing: "mark messages read", source }
        })?;
        self.digested(self.inner.log.head().position.sequence).await?;
        self.call(move |store| store.mark_read(&agent, &params.event_ids)).await?;
        // A file that was removed meanwhile is made anew, with these marks.
        self.digested(self.inner.log.head().position.sequence).await
    }

    /// Agents that were seen here or on a peer. The caller adds the names of their machines.
    ///
    /// # Errors
    /// When the project's name is invalid, and when the views can't be brought up to the log.
    pub async fn list(&self, params: AgentListParams) -> Result<Vec<Agent>, AgentsError> {
        let project = project(params.project)?;
        self.digested(self.inner.log.head().position.sequence).await?;
        self.call(move |store| store.agents(project.as_deref())).await
    }

    /// Copies which messages were read into a backup, which has the table for them.
    ///
    /// # Errors
    /// When a database can't be read or written.
    pub async fn copy_read_marks(&self, mut to: Connection) -> Result<Connection, AgentsError> {
        self.call(move |store| marks::copy(&store.connection, &mut to).map(|()| to)).await
    }

    /// Stops following the log. Calls that wait end with [`AgentsError::Stopping`].
    pub async fn close(&self) {
        let Some(Running { follower, thread }) = self.inner.running.lock().await.take() else {
            return;
        };
        follower.abort();
        // Aborted or ended by itself: both are fine.
        drop(follower.await);
        drop(self.inner.worker.lock().take());
        if tokio::task::spawn_blocking(move || thread.join()).await.is_err() {
            tracing::warn!("the thread of the views did not end");
        }
    }

    /// Waits until the views hold everything up to now, and joins the reader if it is new.
    async fn present(&self, agent: &str, project: Option<&str>) -> Result<(), AgentsError> {
        self.digested(self.inner.log.head().position.sequence).await?;
        let Some(project) = project else { return Ok(()) };
        let (within, name) = (project.to_owned(), agent.to_owned());
        if self.call(move |store| store.knows(&within, &name)).await? {
            return Ok(());
        }
        let appended = self.join(project, agent, None).await?;
        let joined = appended.last().map_or(Sequence::ZERO, |event| event.sequence);
        self.digested(joined).await
    }

    /// Writes that an agent has joined, unless it has, and `then` in the same append.
    async fn join(
        &self,
        project: &str,
        agent: &str,
        then: Option<Draft>,
    ) -> Result<Vec<Appended>, AgentsError> {
        let _held = self.inner.joining.lock().await;
        self.digested(self.inner.log.head().position.sequence).await?;
        let (within, name) = (project.to_owned(), agent.to_owned());
        let mut drafts = Vec::new();
        if !self.call(move |store| store.knows(&within, &name)).await? {
            drafts.push(send::joined(project, agent)?);
        }
        drafts.extend(then);
        if drafts.is_empty() { Ok(Vec::new()) } else { self.append(drafts).await }
    }

    async fn append(&self, drafts: Vec<Draft>) -> Result<Vec<Appended>, AgentsError> {
        let refused =
            |source| AgentsError::Log { doing: "write to the log", source: Box::new(source) };
        self.inner.log.append(drafts).await.map_err(refused)
    }

    async fn digested(&self, target: Sequence) -> Result<(), AgentsError> {
        // While the log's files are gone, too, what is held can still be read.
        if self.inner.files.differ() && self.inner.log.files().check().is_ok() {
            self.inner.signals.unusable.store(true, Ordering::SeqCst);
        }
        let mut progress = self.inner.progress.clone();
        follow::digested(&mut progress, &self.inner.signals, target).await
    }

    async fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Store) -> Result<T, AgentsError> + Send + 'static,
    ) -> Result<T, AgentsError> {
        let worker = self.inner.worker.lock().clone().ok_or(AgentsError::Stopping)?;
        let outcome = worker.call(job).await;
        if outcome.as_ref().is_err_and(AgentsError::is_damage) {
            self.inner.signals.unusable.store(true, Ordering::SeqCst);
            self.inner.signals.requested.notify_one();
        }
        outcome
    }
}

/// How many messages an answer has at most.
fn limit(asked: Option<u32>, default: u32) -> usize {
    usize::try_from(asked.unwrap_or(default).min(MAX_MESSAGES)).unwrap_or(usize::MAX)
}

fn project(named: Option<String>) -> Result<Option<String>, AgentsError> {
    Ok(named.as_deref().map(names::project).transpose()?)
}
