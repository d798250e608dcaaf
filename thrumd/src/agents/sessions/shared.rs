//! The book as callers, watches and the writer share it.

use std::collections::BTreeSet;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::book::{Book, Now};
use super::connection::LocalConnection;
use super::kept::KeptSession;
use super::live::{AgentKey, Keeper, KeptProcess, Watch};
use super::process::{self, Process};
use crate::clock;

/// The live sessions. Clones share them.
#[derive(Debug, Clone)]
pub struct Sessions(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    book: Mutex<Book>,
    /// The book may have something to store or to tell.
    changed: Notify,
    /// What an agent's sessions do may have changed.
    moved: Notify,
    /// Counts these changes, for those who show all agents.
    changes: watch::Sender<u64>,
    /// Something was stored and told.
    settled: Notify,
    last_watch: AtomicU64,
}

/// What keeps a session, before it is watched.
pub struct Keeping {
    keeper: Keeper,
    number: u64,
    end: CancellationToken,
    process: Option<Process>,
    connection: Option<LocalConnection>,
}

impl Sessions {
    /// Those of a daemon that starts now.
    pub fn starting() -> Self {
        Self(Arc::new(Shared {
            book: Mutex::new(Book::starting(Instant::now())),
            changed: Notify::new(),
            moved: Notify::new(),
            changes: watch::Sender::new(0),
            settled: Notify::new(),
            last_watch: AtomicU64::new(0),
        }))
    }

    /// Looks into the book.
    pub fn look<T>(&self, look: impl FnOnce(&Book) -> T) -> T {
        look(&self.0.book.lock())
    }

    /// Changes the book, and has the writer store and tell that.
    pub fn change<T>(&self, change: impl FnOnce(&mut Book, Now) -> T) -> T {
        let done = self.change_quietly(change);
        self.0.changed.notify_one();
        self.0.moved.notify_waiters();
        self.0.changes.send_modify(|count| *count = count.wrapping_add(1));
        done
    }

    /// Counts the changes of all agents.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// Changes the book, for the writer itself.
    pub fn change_quietly<T>(&self, change: impl FnOnce(&mut Book, Now) -> T) -> T {
        let now = Now { at: Instant::now(), wall: clock::now() };
        change(&mut self.0.book.lock(), now)
    }

    /// Returns when there may be something to store or to tell.
    pub async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// Returns when an agent's sessions have changed since it had this version.
    pub async fn moved(&self, key: &AgentKey, version: u64) {
        loop {
            let next = self.0.moved.notified();
            if self.look(|book| book.version(key)) != version {
                return;
            }
            next.await;
        }
    }

    /// Something was stored and told, or could not be.
    pub fn has_settled(&self) {
        self.0.settled.notify_waiters();
    }

    /// Returns when a start of this agent is stored and told, or some time has passed.
    pub async fn settled(&self, key: &AgentKey, limit: Duration) {
        let settled = async {
            loop {
                let next = self.0.settled.notified();
                if self.look(|book| book.is_settled(key, Instant::now())) {
                    return;
                }
                next.await;
            }
        };
        // Late is fine: it is live.
        drop(timeout(limit, settled).await);
    }

    /// What a new session is to be kept by. It is watched once it is in the book.
    pub fn keeping(
        &self,
        process: Option<Process>,
        connection: Option<LocalConnection>,
    ) -> Keeping {
        let number = self.0.last_watch.fetch_add(1, Ordering::Relaxed);
        let end = CancellationToken::new();
        let kept = process
            .as_ref()
            .map(|process| KeptProcess { pid: process.pid(), identity: process.identity() });
        let keeper = Keeper {
            process: kept,
            connection: connection.as_ref().map(LocalConnection::id),
            watch: Some(Watch { number, _end: end.clone().drop_guard() }),
            room: connection.as_ref().and_then(LocalConnection::room).cloned(),
            place: None,
        };
        Keeping { keeper, number, end, process, connection }
    }

    /// Watches the stored sessions whose process still runs. Answers the others.
    pub fn restore(&self, stored: Vec<KeptSession>) -> BTreeSet<(AgentKey, String)> {
        let mut dead = BTreeSet::new();
        for KeptSession { key, info } in stored {
            let (id, before) = (info.told.id.clone(), &info.process);
            let process = Process::watch(before.pid).ok().filter(|process| {
                let now = process.identity();
                // Without an identity it may be another process that got the id.
                let both = before.identity.as_ref().zip(now.as_ref());
                both.is_some_and(|(before, now)| process::is_same(before, now))
            });
            match process {
                Some(process) => {
                    let mut keeping = self.keeping(Some(process), None);
                    let keeper = keeping.take_keeper();
                    self.change_quietly(|book, _| book.restore(&key, info, keeper));
                    self.watch(key, id, keeping);
                }
                None => {
                    self.change_quietly(|book, _| book.lost(&key));
                    dead.insert((key, id));
                }
            }
        }
        dead
    }

    /// Has a session end with what keeps it.
    pub fn watch(&self, key: AgentKey, id: String, keeping: Keeping) {
        let Keeping { number, end, process, connection, .. } = keeping;
        let sessions = self.clone();
        tokio::spawn(async move {
            let process_ended = async {
                match &process {
                    Some(process) => process.ended().await,
                    None => pending().await,
                }
            };
            let connection_ended = async {
                match &connection {
                    Some(connection) => connection.closed().await,
                    None => pending().await,
                }
            };
            tokio::select! {
                () = end.cancelled() => return,
                () = process_ended => {}
                () = connection_ended => {}
            }
            sessions.change(|book, now| book.keeper_ended(&key, &id, number, now));
        });
    }

    /// Ends all watches, and tells nothing any more.
    pub fn close(&self) {
        self.change_quietly(|book, _| {
            *book = Book::default();
            book.freeze();
        });
    }
}

impl Keeping {
    /// What goes into the book.
    pub fn take_keeper(&mut self) -> Keeper {
        std::mem::take(&mut self.keeper)
    }
}
