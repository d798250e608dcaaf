//! The rules of one pairing session, without clock or I/O: every entry is handed the time, counted
//! from any fixed moment.

use std::net::IpAddr;
use std::time::Duration;

use thrum_api::limits::PAIRING_ATTEMPTS;
use thrum_api::local::PairingNews;
use thrum_api::{DaemonId, ErrorCode, PairingCode, RpcError, Token};

use super::Peer;
use crate::tailnet::Caller;

/// How long it goes on while nobody waits for its news: a client needs a moment from one wait to
/// the next, and one that was killed must not leave an open door.
pub(super) const UNATTENDED: Duration = Duration::from_secs(10);
/// How long callers are told why the last session ended, instead of that there is none.
const REMEMBERED: Duration = Duration::from_secs(300);

/// Where a request came from, as far as a second one must come from there too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    ip: IpAddr,
    node: Option<String>,
}

impl From<&Caller> for Origin {
    fn from(caller: &Caller) -> Self {
        let ip = caller.address.ip().to_canonical();
        Self { ip, node: caller.node.as_ref().map(|node| node.stable_id.clone()) }
    }
}

impl Origin {
    // A node keeps its id under a new address; without one the address is all there is.
    fn same_machine(&self, other: &Self) -> bool {
        match (&self.node, &other.node) {
            (None, None) => self.ip == other.ip,
            (ours, theirs) => ours == theirs,
        }
    }
}

/// A machine that gave the right code and has not used its token yet. Only ever in memory.
#[derive(Debug, Clone)]
struct Pending {
    peer: Peer,
    origin: Origin,
    /// What the tailnet calls it.
    node_name: Option<String>,
}

/// One pairing session.
#[derive(Debug)]
pub(super) struct Session {
    code: PairingCode,
    ends_at: Duration,
    attempts_left: u32,
    pending: Option<Pending>,
    // The pending peer is being written to disk: until that is decided the session can't end.
    storing: bool,
    waiters: u32,
    unattended_since: Duration,
    news: Vec<PairingNews>,
    over_since: Option<Duration>,
}

impl Session {
    /// A session that begins now and is good for this long.
    pub(super) fn new(now: Duration, timeout: Duration, code: PairingCode) -> Self {
        Self {
            code,
            ends_at: now + timeout,
            attempts_left: PAIRING_ATTEMPTS,
            pending: None,
            storing: false,
            waiters: 0,
            unattended_since: now,
            news: Vec::new(),
            over_since: None,
        }
    }

    /// Ends it if its time is over or nobody waits any more.
    pub(super) fn tick(&mut self, now: Duration) {
        if self.is_over() || self.storing {
        } else if now >= self.ends_at {
            self.end(now, PairingNews::Expired);
        } else if self.waiters == 0 && now >= self.unattended_since + UNATTENDED {
            self.end(now, PairingNews::Cancelled);
        }
    }

    /// When `tick` has something to do next; None while only something else can end it.
    pub(super) fn next_tick(&self) -> Option<Duration> {
        let unattended = (self.waiters == 0).then_some(self.unattended_since + UNATTENDED);
        let next = unattended.map_or(self.ends_at, |at| at.min(self.ends_at));
        (!self.is_over() && !self.storing).then_some(next)
    }

    /// Whether this is the token of the pending peer.
    pub(super) fn is_pending(&self, token: &str) -> bool {
        self.pending.as_ref().is_some_and(|pending| pending.peer.token.matches(token))
    }

    /// A caller gives a code. With Ok it may be made pending.
    ///
    /// # Errors
    /// What to answer the caller.
    pub(super) fn attempt(
        &mut self,
        now: Duration,
        code: &PairingCode,
        id: DaemonId,
        caller: &Caller,
    ) -> Result<(), RpcError> {
        self.tick(now);
        if let (Some(last), Some(since)) = (self.news.last(), self.over_since) {
            return Err(refusal((now < since + REMEMBERED).then_some(last)));
        }
        let taken = |pending: &Pending| {
            pending.peer.daemon_id != id || !pending.origin.same_machine(&Origin::from(caller))
        };
        if self.pending.as_ref().is_some_and(taken) {
            return Err(RpcError::new(
                ErrorCode::PAIRING_LOCKED,
                "another machine is being paired in this session",
            )
            .hint("when it is done, run `thrum peer add` there once more"));
        }
        if self.code.matches(code.expose()) {
            return Ok(());
        }
        self.attempts_left = self.attempts_left.saturating_sub(1);
        let attempts_left = self.attempts_left;
        let caller = caller.describe();
        if attempts_left == 0 {
            let news = PairingNews::Locked { caller };
            let error = refusal(Some(&news));
            self.end(now, news);
            return Err(error.with("attempts_left", 0));
        }
        self.news.push(PairingNews::WrongCode { caller, attempts_left });
        let tries = if attempts_left == 1 { "try" } else { "tries" };
        let message = format!("wrong code, {attempts_left} {tries} left");
        Err(RpcError::new(ErrorCode::WRONG_CODE, message)
            .with("attempts_left", attempts_left)
            .hint("type the 4 digits that `thrum peer add` shows on the other machine"))
    }

    /// Remembers who gave the right code. An earlier token of the session is void.
    pub(super) fn set_pending(&mut self, peer: Peer, caller: &Caller) {
        let node_name = caller.node.as_ref().map(|node| node.short_name().to_owned());
        let node_name = node_name.filter(|name| !name.is_empty());
        self.pending = Some(Pending { peer, origin: Origin::from(caller), node_name });
    }

    /// The pending peer, if this is its token and the caller the machine that got it. From here
    /// until [`stored`](Self::stored) the session can't end.
    pub(super) fn begin_storing(
        &mut self,
        now: Duration,
        token: &str,
        caller: &Caller,
    ) -> Option<Peer> {
        self.tick(now);
        let right = self.is_pending(token);
        let pending = self.pending.as_ref().filter(|_| right)?;
        if !pending.origin.same_machine(&Origin::from(caller)) {
            return None;
        }
        self.storing = true;
        Some(pending.peer.clone())
    }

    /// The pending peer is on disk, or could not be written and may try again.
    pub(super) fn stored(&mut self, now: Duration, success: bool) {
        self.storing = false;
        if let (true, Some(pending)) = (success, &self.pending) {
            let Peer { daemon_id, name, address, .. } = pending.peer.clone();
            let name = pending.node_name.clone().unwrap_or(name);
            self.end(now, PairingNews::Paired { daemon_id, name, address });
        }
    }

    /// The person at this machine ends it.
    pub(super) fn cancel(&mut self, now: Duration) {
        if !self.is_over() && !self.storing {
            self.end(now, PairingNews::Cancelled);
        }
    }

    /// Someone waits for its news.
    pub(super) fn attend(&mut self) {
        self.waiters = self.waiters.saturating_add(1);
    }

    /// Someone who waited has an answer (`done`), or went away without one. When the last one goes
    /// away, so does the session.
    pub(super) fn leave(&mut self, now: Duration, done: bool) {
        self.waiters = self.waiters.saturating_sub(1);
        self.unattended_since = now;
        if self.waiters == 0 && !done {
            self.cancel(now);
        }
    }

    /// The piece of news with this number, from 0.
    pub(super) fn news(&self, number: u64) -> Option<&PairingNews> {
        self.news.get(usize::try_from(number).ok()?)
    }

    /// What happened last.
    pub(super) fn last_news(&self) -> Option<&PairingNews> {
        self.news.last()
    }

    /// Nothing more will happen in it.
    pub(super) fn is_over(&self) -> bool {
        self.over_since.is_some()
    }

    /// Wrong codes that are left.
    pub(super) fn attempts_left(&self) -> u32 {
        self.attempts_left
    }

    /// Time that is left.
    pub(super) fn time_left(&self, now: Duration) -> Duration {
        self.ends_at.saturating_sub(now)
    }

    fn end(&mut self, now: Duration, news: PairingNews) {
        self.news.push(news);
        self.over_since = Some(now);
        self.pending = None;
    }
}

/// The peer that the caller becomes: at the address it was seen at, bound to its node.
pub fn calling_peer(token: Token, caller: &Caller, port: u16, id: DaemonId, name: String) -> Peer {
    Peer {
        daemon_id: id,
        name,
        address: std::net::SocketAddr::new(caller.address.ip().to_canonical(), port).to_string(),
        node: caller.node.as_ref().map(|node| node.stable_id.clone()),
        token,
        paired_at: crate::clock::now(),
        unconfirmed: false,
        removed_us: false,
        by_policy: None,
    }
}

/// What a caller is told who comes when no session is open, by how the last one ended.
pub(super) fn refusal(last: Option<&PairingNews>) -> RpcError {
    const AGAIN: &str = "run `thrum peer add` there again and use the new code";
    match last {
        Some(PairingNews::Locked { .. }) => RpcError::new(
            ErrorCode::PAIRING_LOCKED,
            "too many wrong codes: the pairing session there is locked",
        )
        .hint(AGAIN),
        Some(PairingNews::Expired) => {
            RpcError::new(ErrorCode::PAIRING_EXPIRED, "the pairing session there has expired")
                .hint(AGAIN)
        }
        _ => RpcError::new(
            ErrorCode::NO_PAIRING_SESSION,
            "no pairing session is open on the other machine",
        )
        .hint("run `thrum peer add` there first"),
    }
}
