//! The rules of one pairing session, without I/O: the time is handed in.

use std::time::Duration;

use thrum_api::limits::PAIRING_ATTEMPTS;
use thrum_api::local::PairingUpdate;
use thrum_api::{DaemonId, ErrorCode, PairingCode, RpcError};
use tokio::time::Instant;

use super::Peer;
use super::pending::{PendingPairing, PendingPairings, Replaces};
use crate::tailnet::Caller;

/// How long a session stays open without a client that waits for its news. A client needs a moment between
/// two waits, and the session of a killed client must not stay open.
pub(super) const UNATTENDED: Duration = Duration::from_secs(10);
/// How long callers are told why the last session ended, instead of that there is none.
const REMEMBERED: Duration = Duration::from_secs(300);

/// One pairing session.
#[derive(Debug)]
pub(super) struct Session {
    code: PairingCode,
    ends_at: Instant,
    attempts_left: u32,
    // At most one: its machine is the only one that may repeat the code.
    pending: PendingPairings,
    // The pending peer is being written to disk: until that is done the session can't end.
    storing: bool,
    waiters: u32,
    unattended_since: Instant,
    news: Vec<PairingUpdate>,
    over_since: Option<Instant>,
}

impl Session {
    /// A session that begins now and lasts for `timeout`.
    pub(super) fn new(now: Instant, timeout: Duration, code: PairingCode) -> Self {
        Self {
            code,
            ends_at: now + timeout,
            attempts_left: PAIRING_ATTEMPTS,
            pending: PendingPairings::new(timeout),
            storing: false,
            waiters: 0,
            unattended_since: now,
            news: Vec::new(),
            over_since: None,
        }
    }

    /// Ends the session if its time is over or no client waits.
    pub(super) fn tick(&mut self, now: Instant) {
        if !self.may_end() {
            return;
        }
        if now >= self.ends_at {
            self.end(now, PairingUpdate::Expired);
        } else if self.waiters == 0 && now >= self.unattended_since + UNATTENDED {
            self.end(now, PairingUpdate::Cancelled);
        }
    }

    /// When `tick` must be called next; None while only another call can end the session.
    pub(super) fn next_tick(&self) -> Option<Instant> {
        let unattended = (self.waiters == 0).then_some(self.unattended_since + UNATTENDED);
        let next = unattended.map_or(self.ends_at, |at| at.min(self.ends_at));
        self.may_end().then_some(next)
    }

    /// Whether this is the token of the pending peer, and the caller the machine that got it.
    pub(super) fn is_pending(&self, now: Instant, token: &str, caller: &Caller) -> bool {
        self.pending.get(now, token, caller).is_some()
    }

    /// Checks a caller's code. After Ok the caller may be made pending.
    ///
    /// # Errors
    /// What to answer the caller.
    pub(super) fn attempt(
        &mut self,
        now: Instant,
        code: &PairingCode,
        id: DaemonId,
        caller: &Caller,
    ) -> Result<(), RpcError> {
        self.tick(now);
        if let (Some(last), Some(since)) = (self.news.last(), self.over_since) {
            return Err(refusal((now < since + REMEMBERED).then_some(last)));
        }
        if self.pending.has_other_than(id, caller) {
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
            let news = PairingUpdate::Locked { caller };
            let error = refusal(Some(&news));
            self.end(now, news);
            return Err(error.with("attempts_left", 0));
        }
        self.news.push(PairingUpdate::WrongCode { caller, attempts_left });
        let tries = if attempts_left == 1 { "try" } else { "tries" };
        let message = format!("wrong code, {attempts_left} {tries} left");
        Err(RpcError::new(ErrorCode::WRONG_CODE, message)
            .with("attempts_left", attempts_left)
            .hint("type the 4 digits that `thrum peer add` shows on the other machine"))
    }

    /// Makes the machine pending that gave the right code. An earlier token of it is void.
    pub(super) fn set_pending(&mut self, now: Instant, peer: Peer, caller: &Caller) {
        self.pending.insert(now, peer, caller, Replaces::Any);
    }

    /// The pending pairing, if this is its token and the caller the machine that got it. From here
    /// until [`stored`](Self::stored) the session can't end.
    pub(super) fn begin_storing(
        &mut self,
        now: Instant,
        token: &str,
        caller: &Caller,
    ) -> Option<PendingPairing> {
        self.tick(now);
        let pending = self.pending.get(now, token, caller)?.clone();
        self.storing = true;
        Some(pending)
    }

    /// Ends the write of the pending pairing, which replaced these peers. Without them it failed and may be
    /// tried again.
    pub(super) fn stored(
        &mut self,
        now: Instant,
        pending: PendingPairing,
        replaced: Option<Vec<DaemonId>>,
    ) {
        self.storing = false;
        if let Some(replaced) = replaced {
            let Peer { daemon_id, name, address, .. } = pending.peer;
            let name = pending.node_name.unwrap_or(name);
            self.end(now, PairingUpdate::Paired { daemon_id, name, address, replaced });
        }
    }

    /// Ends the session for the person at this machine.
    pub(super) fn cancel(&mut self, now: Instant) {
        if self.may_end() {
            self.end(now, PairingUpdate::Cancelled);
        }
    }

    /// Counts a client that begins to wait for news.
    pub(super) fn add_waiter(&mut self) {
        self.waiters = self.waiters.saturating_add(1);
    }

    /// Counts a client that stops waiting: it has an answer (`answered`), or disconnected without one. When
    /// the last one disconnects, the session ends.
    pub(super) fn remove_waiter(&mut self, now: Instant, answered: bool) {
        self.waiters = self.waiters.saturating_sub(1);
        self.unattended_since = now;
        if self.waiters == 0 && !answered {
            self.cancel(now);
        }
    }

    /// The piece of news with this number, from 0.
    pub(super) fn news(&self, number: u64) -> Option<&PairingUpdate> {
        self.news.get(usize::try_from(number).ok()?)
    }

    /// The last piece of news.
    pub(super) fn last_news(&self) -> Option<&PairingUpdate> {
        self.news.last()
    }

    /// Whether the session has ended.
    pub(super) fn is_over(&self) -> bool {
        self.over_since.is_some()
    }

    /// How many wrong codes may still be given.
    pub(super) fn attempts_left(&self) -> u32 {
        self.attempts_left
    }

    pub(super) fn time_left(&self, now: Instant) -> Duration {
        self.ends_at.saturating_duration_since(now)
    }

    fn may_end(&self) -> bool {
        !self.is_over() && !self.storing
    }

    fn end(&mut self, now: Instant, news: PairingUpdate) {
        self.news.push(news);
        self.over_since = Some(now);
        self.pending.clear();
    }
}

/// The answer to a caller when no session is open, by how the last one ended.
pub(super) fn refusal(last: Option<&PairingUpdate>) -> RpcError {
    const AGAIN: &str = "run `thrum peer add` there again and use the new code";
    match last {
        Some(PairingUpdate::Locked { .. }) => RpcError::new(
            ErrorCode::PAIRING_LOCKED,
            "too many wrong codes: the pairing session there is locked",
        )
        .hint(AGAIN),
        Some(PairingUpdate::Expired) => {
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
