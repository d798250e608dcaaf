//! Messages and agents, as views that are derived from the log.
//!
//! `views.db` can be deleted at any time; it is rebuilt from the log. Only the read marks are stored
//! nowhere else: a rebuild keeps them, and without the file every message is unread again.

mod bitmaps;
mod broadcasts;
mod changes;
mod claims;
mod conversation;
mod conversation_list;
mod delivery;
mod digest;
mod directory;
mod error;
mod failure;
mod figures;
mod filter;
mod finding;
mod follow;
mod groups;
mod inbox;
mod joining;
mod machines;
mod marks;
mod matching;
mod message;
mod message_list;
mod naming;
mod presence;
mod reach;
mod reading;
mod receipts;
mod recipients;
mod registering;
mod reporting;
mod schema;
mod search;
mod seen;
mod send;
mod sending;
mod sessions;
mod store;
#[cfg(test)]
mod tests;
mod threads;
mod touched;
mod turns;
mod unshown;
mod waiters;
mod waiting;
mod waking;
mod within;

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use rusqlite::Connection;
use thrum_api::local::{Agent, AgentListParams, InboxParams, InboxResult};
use thrum_api::{DaemonId, Sequence, Timestamp, names};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use self::changes::{ViewChange, ViewChanges};
use self::claims::Claims;
pub use self::delivery::Delivery;
pub use self::error::AgentsError;
pub use self::figures::AgentFigures;
use self::filter::Filter;
use self::follow::{Follower, FollowerSignals, Progress};
use self::inbox::{Answer, InboxQuery};
use self::joining::JoinedNames;
pub use self::marks::{BACKUP_TABLE, restore_read_marks};
pub use self::reach::{Contact, Machines, MachinesNow, PeerReach, contact};
use self::receipts::ReceiptWriter;
pub use self::schema::FILE;
pub use self::search::{Search, SearchError, SearchQuery, Sender};
use self::sessions::shared::Sessions;
use self::sessions::writer::Writer;
pub use self::sessions::{LocalConnection, SessionRoom, WakeOff};
use self::store::Store;
use self::threads::Threads;
use crate::clock;
use crate::held_files::HeldFiles;
use crate::log::Log;
use crate::log::column::uint;

/// Messages in an inbox, unless the caller sets a limit.
const INBOX_DEFAULT_MESSAGES: u32 = 20;
/// Messages in one answer, at most.
const MAX_MESSAGES: u32 = 1000;
/// An agent that was not seen for this long is not listed: 30 days.
pub const LISTED_MILLIS: i64 = 30 * 24 * 3600 * 1000;

/// What the views need from the rest of the daemon.
pub struct AgentsParts {
    /// The folder of `views.db`.
    pub state_dir: PathBuf,
    pub log: Log,
    /// The name of this machine, for those who are no peers of it.
    pub name: Arc<str>,
    /// Whether a daemon is a peer: it knows by itself which events of it are here.
    pub is_peer: Arc<dyn Fn(DaemonId) -> bool + Send + Sync>,
    /// Where sessions are not woken.
    pub wake_off: WakeOff,
}

/// The views. Clones share them.
#[derive(Clone)]
pub struct Agents {
    inner: Arc<Inner>,
}

struct Inner {
    log: Log,
    name: Arc<str>,
    /// The files of the views.
    files: HeldFiles,
    threads: Threads,
    /// None once closed.
    tasks: parking_lot::Mutex<Option<Tasks>>,
    progress: watch::Receiver<Progress>,
    signals: Arc<FollowerSignals>,
    /// Cancelled when the log is no longer followed.
    ended: CancellationToken,
    /// How it is with other machines.
    machines: OnceLock<MachinesNow>,
    /// Held from the check whether a name is new until its event is in the log, so that two callers
    /// with the same new name don't both write that it joined.
    joining: Arc<Mutex<JoinedNames>>,
    /// What the agents of this machine do.
    sessions: Sessions,
    /// Messages that were handed to one of several callers.
    claims: Claims,
    /// Stores and tells that. None once closed.
    writer: parking_lot::Mutex<Option<JoinHandle<()>>>,
}

/// What runs until the views are closed.
struct Tasks {
    follower: JoinHandle<()>,
    receipts: JoinHandle<()>,
    /// Ends the writer of receipts.
    closing: CancellationToken,
}

impl Agents {
    /// Opens `views.db` and starts following the log. A damaged file is moved aside.
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the file can't be opened or the thread can't be started.
    pub fn open(parts: AgentsParts) -> Result<Self, AgentsError> {
        let AgentsParts { state_dir, log, name, is_peer, wake_off } = parts;
        let store = Store::open(state_dir.join(FILE), log.daemon())?;
        let files = store.files.clone();
        let sessions = Sessions::starting();
        sessions.change_quietly(|book, now| book.set_wake_off(wake_off, now));
        let dead = sessions.restore(store.kept_sessions()?);
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
        let closing = CancellationToken::new();
        let receipts = ReceiptWriter {
            log: log.clone(),
            is_peer,
            worker: threads.worker()?,
            reader: threads.reader()?,
            progress: progress.clone(),
            signals: Arc::clone(&signals),
        };
        let receipts = tokio::spawn(receipts.run(closing.clone()));
        let tasks = Tasks { follower, receipts, closing };
        let joining = Arc::<Mutex<JoinedNames>>::default();
        let writer = Writer {
            log: log.clone(),
            worker: threads.worker()?,
            reader: threads.reader()?,
            progress: progress.clone(),
            signals: Arc::clone(&signals),
            joining: Arc::clone(&joining),
            sessions: sessions.clone(),
            name: Arc::clone(&name),
            dead,
        };
        let writer = tokio::spawn(writer.run());
        let inner = Inner {
            log,
            name,
            files,
            threads,
            tasks: parking_lot::Mutex::new(Some(tasks)),
            progress,
            signals,
            ended,
            machines: OnceLock::new(),
            joining,
            sessions,
            claims: Claims::default(),
            writer: parking_lot::Mutex::new(Some(writer)),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The position in the log up to which events were digested. None while the views are being opened.
    pub fn digested_up_to(&self) -> Option<Sequence> {
        self.inner.progress.borrow().digested()
    }

    /// Messages for an agent, including everything that was committed before the call. With a filter it looks through the
    /// oldest 10,000 unread messages and the newest 10,000 read ones.
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
            filter: Filter::new(params.from.as_deref(), params.since, params.thread, false)?,
        };
        let query = Arc::new(query);
        loop {
            self.digested(self.inner.log.head().position.sequence).await?;
            let (log, query) = (self.inner.log.reader(), Arc::clone(&query));
            let answer = self.read(move |store| store.inbox(&log, &query)).await?;
            if let Some(inbox) = self.whole(answer).await? {
                return Ok(inbox);
            }
        }
    }

    /// Agents that were seen here or on a peer in the last 30 days, or ever. The caller adds the names of their
    /// machines.
    ///
    /// # Errors
    /// When the project's name is invalid, and when the views can't be brought up to the log.
    pub async fn list(&self, params: AgentListParams) -> Result<Vec<Agent>, AgentsError> {
        let project = project(params.project)?;
        self.digested(self.inner.log.head().position.sequence).await?;
        let since = if params.all { i64::MIN } else { clock::now().as_millis() - LISTED_MILLIS };
        let since = Timestamp::from_millis(since);
        let all = params.all;
        let own = self.inner.sessions.look(|book| book.shown(project.as_deref()));
        let look = move |store: &Store| {
            let mut agents = store.agents(project.as_deref(), since, all)?;
            store.add_presence(&mut agents, project.as_deref(), &own)?;
            Ok(agents)
        };
        self.read(look).await
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
        let tasks = self.inner.tasks.lock().take();
        let Some(Tasks { follower, receipts, closing }) = tasks else { return };
        // It notes what it has told before it ends, so that nobody is told twice.
        closing.cancel();
        drop(receipts.await);
        follower.abort();
        // Aborted or ended by itself: both are fine.
        drop(follower.await);
        self.inner.sessions.close();
        let writer = self.inner.writer.lock().take();
        if let Some(writer) = writer {
            writer.abort();
            drop(writer.await);
        }
        self.inner.threads.close().await;
    }

    /// The result of an answer, if the log holds everything that is in it. Otherwise what is lost is removed from the
    /// inboxes, and the reader has to be asked again.
    async fn whole<T>(&self, answer: Answer<T>) -> Result<Option<T>, AgentsError> {
        let Answer { result, mut lost, damaged } = answer;
        if lost.is_empty() {
            return Ok(Some(result));
        }
        self.inner.log.quarantine_damaged(damaged).await;
        // What was not read this time, as after another program wrote to the database, stays in the inbox.
        let positions = lost.iter().map(|entry| Sequence(uint(entry.sequence))).collect();
        let gone = self.inner.log.without_event(positions).await.unwrap_or_default();
        lost.retain(|entry| gone.contains(&Sequence(uint(entry.sequence))));
        if !lost.is_empty() && self.call(move |store| store.remove_lost(&lost)).await? {
            return Ok(None);
        }
        Ok(Some(result))
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
        self.examined(worker.call(job).await).await
    }

    /// Runs queries on the views as they are.
    async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Store) -> Result<T, AgentsError> + Send + 'static,
    ) -> Result<T, AgentsError> {
        let reader = self.inner.threads.reader()?;
        self.examined(reader.call(job).await).await
    }

    /// The outcome of a job. If the file is damaged, the follower replaces it.
    async fn examined<T>(&self, outcome: Result<T, AgentsError>) -> Result<T, AgentsError> {
        let outcome = match outcome {
            Err(AgentsError::Log { source, .. }) => {
                Err(error::log_unread(self.inner.log.explained(*source).await))
            }
            outcome => outcome,
        };
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
