//! The pairing desk: gives the rules of [`session`](super::session) a clock, randomness and the
//! registry. One session at a time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thrum_api::local::{OpenPairing, PairingNews, PeerAddResult};
use thrum_api::peer::{PairRequestParams, Paired, PairedStatus};
use thrum_api::{DaemonId, ErrorCode, RpcError, Timestamp, names};
use tokio::sync::watch;
use tokio::time::Instant;

use super::session::{self, Session};
use crate::peer::Registry;
use crate::report::Chain;
use crate::tailnet::Caller;
use crate::{clock, ids};

/// How long after its time the end of a session is told.
const REMEMBERED_MS: u64 = 3_600_000;

/// The pairing desk of this daemon. Clones share it.
#[derive(Clone)]
pub struct Pairing {
    shared: Arc<Shared>,
}

struct Shared {
    registry: Registry,
    daemon: DaemonId,
    name: String,
    // How long a session lasts.
    timeout: Duration,
    // Sessions count time from here.
    started: Instant,
    // The session that is open, or the last one: late callers are told how it ended.
    latest: Mutex<Option<Arc<Desk>>>,
    // One token at a time becomes a peer, so that two first requests at once both find it stored.
    confirming: tokio::sync::Mutex<()>,
}

/// A session with those who wait for its news.
struct Desk {
    number: u64,
    expires_at: Timestamp,
    started: Instant,
    session: Mutex<Session>,
    changed: watch::Sender<()>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Desk {
    /// Does something with the session at the present time, and tells whoever waits for it.
    fn with<R>(&self, act: impl FnOnce(&mut Session, Duration) -> R) -> R {
        let mut session = lock(&self.session);
        let was_over = session.is_over();
        let result = act(&mut session, self.started.elapsed());
        if let (false, true, Some(news)) = (was_over, session.is_over(), session.last_news()) {
            log_end(news);
        }
        drop(session);
        self.changed.send_replace(());
        result
    }

    /// Lets the session end in time. Runs while it is open.
    async fn keep_time(self: Arc<Self>) {
        let mut changed = self.changed.subscribe();
        loop {
            let (over, next) = {
                let session = lock(&self.session);
                (session.is_over(), session.next_tick())
            };
            if over {
                return;
            }
            let time = async {
                match next {
                    Some(next) => tokio::time::sleep_until(self.started + next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = time => self.with(Session::tick),
                changed = changed.changed() => if changed.is_err() { return },
            }
        }
    }
}

fn log_end(news: &PairingNews) {
    match news {
        PairingNews::Paired { daemon_id, name, address } => {
            tracing::info!("[pairing] Paired with {name} ({daemon_id}) at {address}");
        }
        PairingNews::Locked { caller } => {
            tracing::warn!("[pairing] Session locked: too many wrong codes, last from {caller}");
        }
        PairingNews::Expired => tracing::info!("[pairing] Session expired"),
        PairingNews::Cancelled => tracing::info!("[pairing] Session ended from this machine"),
        PairingNews::WrongCode { .. } => {}
    }
}

/// Held by the local call that waits for news; dropping it without `done` ends the session.
pub struct PairingGuard {
    desk: Arc<Desk>,
    done: bool,
}

impl PairingGuard {
    fn new(desk: Arc<Desk>) -> Self {
        desk.with(|session, _| session.attend());
        Self { desk, done: false }
    }

    /// The caller has its answer and may come again for the next one.
    pub fn done(mut self) {
        self.done = true;
    }
}

impl Drop for PairingGuard {
    fn drop(&mut self) {
        let done = self.done;
        self.desk.with(|session, now| session.leave(now, done));
    }
}

impl Pairing {
    /// No session yet. Each will last for `timeout`.
    pub fn new(registry: Registry, daemon: DaemonId, name: String, timeout: Duration) -> Self {
        let (latest, confirming) = (Mutex::new(None), tokio::sync::Mutex::new(()));
        let started = Instant::now();
        Self {
            shared: Arc::new(Shared {
                registry,
                daemon,
                name,
                timeout,
                started,
                latest,
                confirming,
            }),
        }
    }

    /// Opens a session. `join` is what to type on the other machine. A session that nobody waits
    /// for ends after 10 seconds. Must be called on the runtime.
    ///
    /// # Errors
    /// `PAIRING_BUSY` if one is open.
    pub fn open(&self, join: String) -> Result<PeerAddResult, RpcError> {
        let code = ids::code()
            .map_err(|error| RpcError::new(ErrorCode::INTERNAL, Chain(&error).to_string()))?;
        let mut latest = lock(&self.shared.latest);
        let now = self.shared.started.elapsed();
        if let Some(desk) = latest.as_ref() {
            desk.with(Session::tick);
            let session = lock(&desk.session);
            if !session.is_over() {
                let left = clock::words(session.time_left(now));
                return Err(RpcError::new(
                    ErrorCode::PAIRING_BUSY,
                    format!("someone else is pairing on this machine, for at most {left} more"),
                )
                .hint("end the other `thrum peer add` with Ctrl-C, or wait until it is done"));
            }
        }
        let timeout = self.shared.timeout;
        let millis = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
        let desk = Arc::new(Desk {
            number: latest.as_ref().map_or(1, |last| last.number + 1),
            expires_at: Timestamp::from_millis(clock::now().as_millis().saturating_add(millis)),
            started: self.shared.started,
            session: Mutex::new(Session::new(now, timeout, code.clone())),
            changed: watch::Sender::new(()),
        });
        let (masked, timeout) = (code.masked(), clock::words(timeout));
        tracing::info!("[pairing] Session started, code={masked}, timeout={timeout}");
        tokio::spawn(Arc::clone(&desk).keep_time());
        let session = desk.number;
        *latest = Some(desk);
        Ok(PeerAddResult { session, code, timeout_ms: millis.unsigned_abs(), join })
    }

    /// The next news after `seen`. Dropping the future ends the session; after an answer the
    /// session lives on for 10 seconds without a wait.
    ///
    /// # Errors
    /// `NOT_FOUND` if there is no such session, or it is over and all its news are seen.
    pub async fn wait(&self, session: u64, seen: u64) -> Result<PairingNews, RpcError> {
        let desk = self.desk(session)?;
        let mut changed = desk.changed.subscribe();
        let guard = PairingGuard::new(Arc::clone(&desk));
        loop {
            let (news, over) = desk_state(&desk, seen);
            if let Some(news) = news {
                guard.done();
                return Ok(news);
            }
            if over || changed.changed().await.is_err() {
                guard.done();
                return Err(no_session(session));
            }
        }
    }

    /// Ends a session.
    ///
    /// # Errors
    /// `NOT_FOUND` if there is no such session. One that is over already is fine.
    pub fn cancel(&self, session: u64) -> Result<(), RpcError> {
        self.desk(session)?.with(Session::cancel);
        Ok(())
    }

    /// The session that is open.
    pub fn current(&self) -> Option<OpenPairing> {
        let desk = lock(&self.shared.latest).clone()?;
        let session = lock(&desk.session);
        (!session.is_over()).then(|| OpenPairing {
            expires_at: desk.expires_at,
            attempts_left: session.attempts_left(),
        })
    }

    /// How the last session ended, while a person may still ask.
    pub fn last(&self) -> Option<PairingNews> {
        let desk = lock(&self.shared.latest).clone()?;
        let session = lock(&desk.session);
        let fresh = clock::now().millis_since(desk.expires_at) < REMEMBERED_MS;
        (session.is_over() && fresh).then(|| session.last_news().cloned())?
    }

    /// `pair.request` of a caller. Keeps the peer pending in memory until its first
    /// authenticated request; the address is the observed one with the declared port.
    ///
    /// # Errors
    /// What to answer the caller: no session, wrong code, locked, expired, or wrong params.
    pub async fn request(
        &self,
        caller: &Caller,
        params: PairRequestParams,
    ) -> Result<Paired, RpcError> {
        let port = joining_port(self.shared.daemon, &params)?;
        let code =
            params.code.ok_or_else(|| RpcError::new(ErrorCode::INVALID_PARAMS, "code: missing"))?;
        let desk = lock(&self.shared.latest).clone().ok_or_else(|| session::refusal(None))?;
        let token = ids::token().map_err(|error| {
            tracing::error!("no token for a new peer: {}", Chain(&error));
            RpcError::new(ErrorCode::INTERNAL, "internal error")
        })?;
        desk.with(|session, now| {
            let result = session.attempt(now, &code, params.id, caller);
            if let Err(RpcError { code: ErrorCode::WRONG_CODE, message, .. }) = &result {
                tracing::warn!("[pairing] {message}: {}", caller.describe());
            }
            result?;
            let name = params.name;
            let peer = session::calling_peer(token.clone(), caller, port, params.id, name);
            session.set_pending(peer, caller);
            Ok(())
        })?;
        let Shared { daemon, name, .. } = &*self.shared;
        Ok(Paired { status: PairedStatus::Paired, token, id: *daemon, name: name.clone() })
    }

    /// If this token is a pending peer's (and the caller is the node that got it), stores the peer,
    /// ends the session with `Paired` and answers its id. Goes on when the future is dropped.
    pub async fn confirm(&self, token: &str, caller: &Caller) -> Option<DaemonId> {
        let desk = lock(&self.shared.latest).clone()?;
        let shared = Arc::clone(&self.shared);
        let (token, caller) = (token.to_owned(), caller.clone());
        if !lock(&desk.session).is_pending(&token) {
            // Or it was pending a moment ago, and another request with it was faster.
            return shared.registry.accepts(&token, &caller);
        }
        let work = async move {
            let _one_at_a_time = shared.confirming.lock().await;
            let begin = |session: &mut Session, now| session.begin_storing(now, &token, &caller);
            let Some(peer) = desk.with(begin) else {
                return shared.registry.accepts(&token, &caller);
            };
            let id = peer.daemon_id;
            let stored = shared.registry.put(peer).await;
            desk.with(|session, now| session.stored(now, stored.is_ok()));
            match stored {
                Ok(_) => Some(id),
                Err(error) => {
                    tracing::error!("[pairing] {id} could not be kept: {}", Chain(&error));
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

    fn desk(&self, number: u64) -> Result<Arc<Desk>, RpcError> {
        let latest = lock(&self.shared.latest);
        let desk = latest.as_ref().filter(|desk| desk.number == number);
        desk.cloned().ok_or_else(|| no_session(number))
    }
}

/// The port on which a joining daemon says that it listens.
///
/// # Errors
/// What to answer it: its params make no sense.
pub fn joining_port(daemon: DaemonId, params: &PairRequestParams) -> Result<u16, RpcError> {
    let invalid = |message: String| RpcError::new(ErrorCode::INVALID_PARAMS, message);
    if params.id == daemon {
        return Err(invalid("this is the same daemon: it can't be paired with itself".into())
            .hint("run `thrum peer join` on the other machine, with this one's address"));
    }
    names::daemon(&params.name).map_err(|error| invalid(format!("name: {error}")))?;
    let port = params.addr.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    port.filter(|port| *port != 0)
        .ok_or_else(|| invalid("addr: must be host:port, where the joining daemon listens".into()))
}

fn desk_state(desk: &Desk, seen: u64) -> (Option<PairingNews>, bool) {
    let session = lock(&desk.session);
    (session.news(seen).cloned(), session.is_over())
}

fn no_session(number: u64) -> RpcError {
    RpcError::new(ErrorCode::NOT_FOUND, format!("pairing session {number} is over"))
        .hint("open a new one with `thrum peer add`")
}
