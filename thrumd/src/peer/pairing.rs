//! Pairing sessions: gives the rules of [`session`](super::session) a clock, randomness and the
//! registry. One session at a time.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use thrum_api::local::{OpenPairing, PairingUpdate, PeerAddResult};
use thrum_api::{DaemonId, ErrorCode, PairingCode, RpcError, Timestamp};
use tokio::sync::watch;
use tokio::time::Instant;

use super::session::{self, Session};
use super::succession::tailnet_down;
use super::wrong_codes::WrongCodes;
use super::{Peer, Registry};
use crate::message_id;
use crate::report::Chain;
use crate::tailnet::{Caller, TailnetError};
use crate::{clock, ids};

/// How long after its time `peer.list` shows how a session ended.
const REMEMBERED_MS: u64 = 3_600_000;

/// The pairing sessions of this daemon. Clones share them.
#[derive(Clone)]
pub struct Pairing {
    shared: Arc<Shared>,
}

struct Shared {
    registry: Registry,
    // How long a session lasts.
    timeout: Duration,
    // The session that is open, or the last one: late callers are told how it ended.
    latest: Mutex<Option<Arc<ActiveSession>>>,
    // One token at a time becomes a peer, so that two first requests at once both find it stored.
    confirming: tokio::sync::Mutex<()>,
    // Wrong codes in this session and those before.
    wrong_codes: Mutex<WrongCodes>,
}

/// A session with its clock and the clients that wait for its news.
struct ActiveSession {
    number: u64,
    expires_at: Timestamp,
    session: Mutex<Session>,
    changed: watch::Sender<()>,
}

impl ActiveSession {
    /// Changes the session at the present time, and wakes the clients that wait for its news.
    fn update<R>(&self, change: impl FnOnce(&mut Session, Instant) -> R) -> R {
        let mut session = self.session.lock();
        let was_over = session.is_over();
        let result = change(&mut session, Instant::now());
        if let (false, true, Some(news)) = (was_over, session.is_over(), session.last_news()) {
            log_end(news);
        }
        drop(session);
        self.changed.send_replace(());
        result
    }

    /// Ends the session in time. Runs while it is open.
    async fn run_timer(self: Arc<Self>) {
        let mut changed = self.changed.subscribe();
        loop {
            let (over, next) = {
                let session = self.session.lock();
                (session.is_over(), session.next_tick())
            };
            if over {
                return;
            }
            tokio::select! {
                () = clock::sleep_until(next) => self.update(Session::tick),
                changed = changed.changed() => if changed.is_err() { return },
            }
        }
    }
}

fn log_end(news: &PairingUpdate) {
    match news {
        PairingUpdate::Paired { daemon_id, name, address, .. } => {
            tracing::info!(about = %daemon_id, journal.message_id = message_id::PAIRED, journal.peer = name, "[pairing] Paired with {name} ({daemon_id}) at {address}");
        }
        PairingUpdate::Locked { caller } => {
            tracing::warn!(
                journal.message_id = message_id::PAIRING_LOCKED,
                "[pairing] Session locked: too many wrong codes, last from {caller}"
            );
        }
        PairingUpdate::IdTaken { caller, daemon_id, name } => {
            tracing::warn!(
                about = %daemon_id, journal.message_id = message_id::DAEMON_ID_TAKEN, journal.peer = name,
                "[pairing] {caller} gave the right code with the daemon id of {name} ({daemon_id}), which is \
                 another machine of the tailnet: refused, and the session ended"
            );
        }
        PairingUpdate::Expired => tracing::info!("[pairing] Session expired"),
        PairingUpdate::Cancelled => tracing::info!("[pairing] Session ended from this machine"),
        PairingUpdate::WrongCode { .. } => {}
    }
}

/// Counts a local call that waits for news. Dropping it unanswered ends the session.
struct WaitGuard {
    active: Arc<ActiveSession>,
    answered: bool,
}

impl WaitGuard {
    fn new(active: Arc<ActiveSession>) -> Self {
        active.update(|session, _| session.add_waiter());
        Self { active, answered: false }
    }

    /// The caller has its answer and may wait for the next news.
    fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for WaitGuard {
    fn drop(&mut self) {
        let answered = self.answered;
        self.active.update(|session, now| session.remove_waiter(now, answered));
    }
}

impl Pairing {
    /// No session yet. Each will last for `timeout`.
    pub fn new(registry: Registry, timeout: Duration) -> Self {
        let shared = Shared {
            registry,
            timeout,
            latest: Mutex::new(None),
            confirming: tokio::sync::Mutex::new(()),
            wrong_codes: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Opens a session. `join` is the command for the other machine. A session without a waiting client
    /// ends after 10 seconds. Must be called on the runtime.
    ///
    /// # Errors
    /// `PAIRING_BUSY` if one is open.
    pub fn open(&self, join: String) -> Result<PeerAddResult, RpcError> {
        let code = ids::code()
            .map_err(|error| RpcError::new(ErrorCode::INTERNAL, Chain(&error).to_string()))?;
        let mut latest = self.shared.latest.lock();
        let now = Instant::now();
        if let Some(active) = latest.as_ref() {
            active.update(Session::tick);
            let session = active.session.lock();
            if !session.is_over() {
                let left = clock::format_duration(session.time_left(now));
                return Err(RpcError::new(
                    ErrorCode::PAIRING_BUSY,
                    format!("another pairing is open on this machine, for at most {left} more"),
                )
                .hint("end the other `thrum peer add` with Ctrl-C, or wait until it is done"));
            }
        }
        let timeout = self.shared.timeout;
        let millis = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
        let active = Arc::new(ActiveSession {
            number: latest.as_ref().map_or(1, |last| last.number + 1),
            expires_at: Timestamp::from_millis(clock::now().as_millis().saturating_add(millis)),
            session: Mutex::new(Session::new(now, timeout, code.clone())),
            changed: watch::Sender::new(()),
        });
        let (masked, timeout) = (code.masked(), clock::format_duration(timeout));
        tracing::info!("[pairing] Session started, code={masked}, timeout={timeout}");
        tokio::spawn(Arc::clone(&active).run_timer());
        let session = active.number;
        *latest = Some(active);
        Ok(PeerAddResult { session, code, timeout_ms: millis.unsigned_abs(), join })
    }

    /// The next news after `seen`. Dropping the future ends the session; after an answer the
    /// session stays open for 10 seconds without a wait.
    ///
    /// # Errors
    /// `NOT_FOUND` if there is no such session, or it is over and all its news were seen.
    pub async fn wait(&self, session: u64, seen: u64) -> Result<PairingUpdate, RpcError> {
        let active = self.session(session)?;
        let mut changed = active.changed.subscribe();
        let guard = WaitGuard::new(Arc::clone(&active));
        loop {
            let (news, over) = {
                let session = active.session.lock();
                (session.news(seen).cloned(), session.is_over())
            };
            if let Some(news) = news {
                guard.answered();
                return Ok(news);
            }
            if over || changed.changed().await.is_err() {
                guard.answered();
                return Err(no_session(session));
            }
        }
    }

    /// Ends a session.
    ///
    /// # Errors
    /// `NOT_FOUND` if there is no such session. One that is over already is fine.
    pub fn cancel(&self, session: u64) -> Result<(), RpcError> {
        self.session(session)?.update(Session::cancel);
        Ok(())
    }

    /// The session that is open.
    pub fn current(&self) -> Option<OpenPairing> {
        let active = self.shared.latest.lock().clone()?;
        let session = active.session.lock();
        (!session.is_over()).then(|| OpenPairing {
            expires_at: active.expires_at,
            attempts_left: session.attempts_left(),
        })
    }

    /// How the last session ended, for an hour.
    pub fn last(&self) -> Option<PairingUpdate> {
        let active = self.shared.latest.lock().clone()?;
        let session = active.session.lock();
        let recent = clock::now().millis_since(active.expires_at) < REMEMBERED_MS;
        (session.is_over() && recent).then(|| session.last_news().cloned())?
    }

    /// `pair.request` with a code. The caller becomes pending as this peer; its first authenticated
    /// request makes it a peer. `elsewhere` looks for the peer that has its daemon id on another node, and
    /// gives its name.
    ///
    /// # Errors
    /// What to answer the caller: no session, wrong code, locked, expired or another machine's daemon id. If
    /// `elsewhere` can't know that, the session stays open, and the caller may ask again.
    pub fn request(
        &self,
        caller: &Caller,
        peer: Peer,
        code: &PairingCode,
        elsewhere: impl FnOnce(&Peer) -> Result<Option<String>, TailnetError>,
    ) -> Result<(), RpcError> {
        let replaces = self.shared.registry.get(peer.daemon_id).map(|old| old.token);
        let active = self.shared.latest.lock().clone().ok_or_else(|| session::refusal(None))?;
        active.update(|session, now| {
            let mut wrong_codes = self.shared.wrong_codes.lock();
            let result = session.attempt(now, code, peer.daemon_id, caller, &mut wrong_codes);
            if let Err(RpcError { code: ErrorCode::WRONG_CODE, message, .. }) = &result {
                tracing::warn!(about = %caller.address.ip(), "[pairing] {message}: {}", caller.describe());
            }
            result?;
            // Only for the right code: a stranger must not learn who is paired, nor make us look.
            match elsewhere(&peer) {
                Ok(None) => {
                    session.set_pending(now, peer, caller, replaces);
                    Ok(())
                }
                Ok(Some(name)) => session.refuse_id(now, peer.daemon_id, name, caller),
                Err(error) => Err(tailnet_down(peer.daemon_id, caller, &error)),
            }
        })
    }

    /// If this token is a pending peer's (and the caller is the machine that got it), stores the
    /// peer, ends the session with `Paired` and returns its id. Runs to its end even if the future
    /// is dropped.
    pub async fn confirm(&self, token: &str, caller: &Caller) -> Option<DaemonId> {
        let active = self.shared.latest.lock().clone()?;
        let shared = Arc::clone(&self.shared);
        let (token, caller) = (token.to_owned(), caller.clone());
        if !active.session.lock().is_pending(Instant::now(), &token, &caller) {
            // Or it was pending a moment ago, and another request with it was faster.
            return shared.registry.accepts(&token, &caller);
        }
        let work = async move {
            let _one_at_a_time = shared.confirming.lock().await;
            let begin = |session: &mut Session, now| session.begin_storing(now, &token, &caller);
            let Some(pending) = active.update(begin) else {
                return shared.registry.accepts(&token, &caller);
            };
            let stored = shared.registry.put_pending(pending.clone()).await;
            let id = pending.peer.daemon_id;
            let replaced = stored.as_ref().ok().cloned().flatten();
            active.update(|session, now| session.stored(now, pending, replaced));
            match stored {
                Ok(Some(_)) => Some(id),
                Ok(None) => {
                    tracing::warn!(about = %id, "[pairing] {id} was paired as another machine meanwhile");
                    None
                }
                Err(error) => {
                    tracing::error!(about = %id, "[pairing] can't store peer {id}: {}", Chain(&error));
                    None
                }
            }
        };
        match tokio::spawn(work).await {
            Ok(confirmed) => confirmed,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => None,
        }
    }

    fn session(&self, number: u64) -> Result<Arc<ActiveSession>, RpcError> {
        let latest = self.shared.latest.lock();
        let active = latest.as_ref().filter(|active| active.number == number);
        active.cloned().ok_or_else(|| no_session(number))
    }
}

fn no_session(number: u64) -> RpcError {
    RpcError::new(ErrorCode::NOT_FOUND, format!("pairing session {number} is over"))
        .hint("open a new one with `thrum peer add`")
}
