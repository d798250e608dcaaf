//! Messages and agents, as views that are derived from the log.
//!
//! `views.db` can be deleted at any time; it is rebuilt from the log. Only the read marks are stored
//! nowhere else: a rebuild keeps them, and without the file every message is unread again.

mod digest;
mod error;
mod follow;
mod inbox;
mod joining;
mod marks;
mod schema;
mod send;
mod store;
#[cfg(test)]
mod tests;
mod threads;
mod waiters;

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
use tokio_util::sync::CancellationToken;

pub use self::error::AgentsError;
use self::follow::{Follower, FollowerSignals, PAGE_EVENTS, Progress};
use self::inbox::InboxQuery;
use self::joining::JoinedNames;
pub use self::marks::{BACKUP_TABLE, restore_read_marks};
pub use self::schema::FILE;
use self::send::OutgoingMessage;
use self::store::Store;
use self::threads::Threads;
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
/// How long a message that is being sent waits for views that are nearly up to date, to say which recipients are
/// unknown.
const UNKNOWN_MAX: Duration = Duration::from_millis(100);

/// The views. Clones share them.
#[derive(Clone)]
pub struct Agents {
    inner: Arc<Inner>,
}

struct Inner {
    log: Log,
    /// The files of the views.
    files: HeldFiles,
    threads: Threads,
    /// None once closed.
    follower: parking_lot::Mutex<Option<JoinHandle<()>>>,
    progress: watch::Receiver<Progress>,
    signals: Arc<FollowerSignals>,
    /// Cancelled when the log is no longer followed.
    ended: CancellationToken,
    /// Held from the check whether a name is new until its event is in the log, so that two callers
    /// with the same new name don't both write that it joined.
    joining: Mutex<JoinedNames>,
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
        let threads = Threads::start(store)?;
        let (sender, progress) = watch::channel(Progress::default());
        let signals = Arc::new(FollowerSignals::default());
        let ended = CancellationToken::new();
        let follower = Follower {
            log: log.clone(),
            worker: threads.worker()?,
            reader: threads.reader()?,
            progress: sender,
            signals: Arc::clone(&signals),
        };
        let end = ended.clone().drop_guard();
        let follower = tokio::spawn(async move {
            let _end = end;
            follower.run().await;
        });
        let inner = Inner {
            log,
            files,
            threads,
            follower: parking_lot::Mutex::new(Some(follower)),
            progress,
            signals,
            ended,
            joining: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The position in the log up to which events were digested. None while the views are being opened.
    pub fn digested_up_to(&self) -> Option<Sequence> {
        self.inner.progress.borrow().digested()
    }

    /// Writes a message event (and `agent.joined` the first time that a name is used here). It doesn't wait for the
    /// views: while they are behind, it is not said which recipients are unknown, and a name may join once more.
    ///
    /// # Errors
    /// When names, text or recipients are invalid, and when the log refuses the event.
    pub async fn send(&self, params: MessageSendParams) -> Result<MessageSendResult, AgentsError> {
        let OutgoingMessage { from, project, to, draft } = OutgoingMessage::new(params)?;
        let head = self.inner.log.head().position.sequence;
        let current = self.inner.progress.borrow().has(head);
        let look = self.look_up(&project, &from, to).await?;
        let written = async {
            if look.known {
                self.append(vec![draft]).await
            } else {
                self.join(&project, &from, Some(draft)).await
            }
        };
        let unknown = async {
            if current {
                look.unknown
            } else {
                self.still_unknown(&project, look.unknown, head).await
            }
        };
        let (written, mut unknown) = tokio::join!(written, unknown);
        let written = written?;
        let written = written.last().ok_or(AgentsError::Stopping)?;
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
        self.read(move |store| store.inbox(&query)).await
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
        let waiter = self.inner.signals.waiters.register(&query.agent, query.project.as_deref());
        self.present(&query.agent, query.project.as_deref()).await?;
        let query = Arc::new(query);
        loop {
            let look = Arc::clone(&query);
            let oldest = self.read(move |store| store.oldest_unread(&look)).await?;
            if !oldest.messages.is_empty() {
                return Ok(oldest);
            }
            tokio::select! {
                () = waiter.woken() => {}
                () = self.inner.ended.cancelled() => return Err(AgentsError::Stopping),
                () = tokio::time::sleep_until(end) => return Ok(oldest),
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
        self.read(move |store| store.agents(project.as_deref())).await
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
        let Some(follower) = self.inner.follower.lock().take() else { return };
        follower.abort();
        // Aborted or ended by itself: both are fine.
        drop(follower.await);
        self.inner.threads.close().await;
    }

    /// Waits until the views hold everything up to now, and joins the reader if it is new.
    async fn present(&self, agent: &str, project: Option<&str>) -> Result<(), AgentsError> {
        self.digested(self.inner.log.head().position.sequence).await?;
        let Some(project) = project else { return Ok(()) };
        if self.knows(project, agent).await? {
            return Ok(());
        }
        let appended = self.join(project, agent, None).await?;
        let joined = appended.last().map_or(Sequence::ZERO, |event| event.sequence);
        self.digested(joined).await
    }

    /// What the views say now of a sender and of recipients. While they can't be read, nobody is known.
    async fn look_up(
        &self,
        project: &str,
        from: &str,
        to: Vec<String>,
    ) -> Result<SenderLookup, AgentsError> {
        let (within, name, names) = (project.to_owned(), from.to_owned(), to.clone());
        let look = self.read(move |store| {
            let known = store.knows(&within, &name)?;
            Ok(SenderLookup { known, unknown: store.unknown(&within, &names)? })
        });
        match look.await {
            Err(AgentsError::Stopping) => Err(AgentsError::Stopping),
            look => Ok(look.unwrap_or(SenderLookup { known: false, unknown: to })),
        }
    }

    /// Those of the names that are unknown also to views with everything up to `head`. Nobody, if those can't be
    /// had in a moment.
    async fn still_unknown(
        &self,
        project: &str,
        names: Vec<String>,
        head: Sequence,
    ) -> Vec<String> {
        let digested = self.digested_up_to().unwrap_or_default();
        if names.is_empty() || head.0.saturating_sub(digested.0) > u64::from(PAGE_EVENTS) {
            return Vec::new();
        }
        let project = project.to_owned();
        let look = async {
            self.digested(head).await?;
            self.read(move |store| store.unknown(&project, &names)).await
        };
        let looked = tokio::time::timeout(UNKNOWN_MAX, look).await;
        looked.unwrap_or(Ok(Vec::new())).unwrap_or_default()
    }

    async fn knows(&self, project: &str, agent: &str) -> Result<bool, AgentsError> {
        let (project, agent) = (project.to_owned(), agent.to_owned());
        self.read(move |store| store.knows(&project, &agent)).await
    }

    /// Writes that an agent has joined, unless it has, and `then` in the same append. As far as the views know
    /// now: an agent joins again if they are behind and this process has not written that it joined.
    async fn join(
        &self,
        project: &str,
        agent: &str,
        then: Option<Draft>,
    ) -> Result<Vec<Appended>, AgentsError> {
        let mut joined = self.inner.joining.lock().await;
        joined.forget_digested(&self.inner.progress.borrow());
        if joined.contain(project, agent) || self.knows(project, agent).await.unwrap_or(false) {
            drop(joined);
            return match then {
                Some(draft) => self.append(vec![draft]).await,
                None => Ok(Vec::new()),
            };
        }
        let mut drafts = vec![send::joined(project, agent)?];
        drafts.extend(then);
        let appended = self.append(drafts).await?;
        if let Some(event) = appended.first() {
            joined.add(project, agent, event.sequence);
        }
        Ok(appended)
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

    /// Runs a job of the thread that changes the views.
    async fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Store) -> Result<T, AgentsError> + Send + 'static,
    ) -> Result<T, AgentsError> {
        let worker = self.inner.threads.worker()?;
        self.noting_damage(worker.call(job).await)
    }

    /// Runs queries on the views as they are.
    async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Store) -> Result<T, AgentsError> + Send + 'static,
    ) -> Result<T, AgentsError> {
        let reader = self.inner.threads.reader()?;
        self.noting_damage(reader.call(job).await)
    }

    fn noting_damage<T>(&self, outcome: Result<T, AgentsError>) -> Result<T, AgentsError> {
        if outcome.as_ref().is_err_and(AgentsError::is_damage) {
            self.inner.signals.unusable.store(true, Ordering::SeqCst);
            self.inner.signals.requested.notify_one();
        }
        outcome
    }
}

/// What the views say of a message that is being sent.
struct SenderLookup {
    /// The sender was seen on this daemon.
    known: bool,
    /// Recipients that were not seen in this project on any daemon.
    unknown: Vec<String>,
}

/// How many messages an answer has at most.
fn limit(asked: Option<u32>, default: u32) -> usize {
    usize::try_from(asked.unwrap_or(default).min(MAX_MESSAGES)).unwrap_or(usize::MAX)
}

fn project(named: Option<String>) -> Result<Option<String>, AgentsError> {
    Ok(named.as_deref().map(names::project).transpose()?)
}
