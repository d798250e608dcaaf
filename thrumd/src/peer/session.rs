//! The rules of one pairing session, without I/O: the time is handed in.

use std::time::Duration;

use thrum_api::duration::rounded;
use thrum_api::limits::{PAIRING_ATTEMPTS, PAIRING_RETRIES};
use thrum_api::local::PairingUpdate;
use thrum_api::{DaemonId, ErrorCode, PairingCode, RpcError, Token, label};
use tokio::time::Instant;

use super::Peer;
use super::pending::{Machine, PendingPairing, PendingPairings, Replaces};
use super::wrong_codes::WrongCodes;
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
    // Callers that gave a wrong code. The first one of each uses up an attempt.
    were_wrong: Vec<Machine>,
    // Further codes of such callers use up these.
    retries_left: u32,
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
            were_wrong: Vec::new(),
            retries_left: PAIRING_RETRIES,
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

    /// Checks a caller's code. After Ok the caller may be made pending. `wrong_codes` are those of all
    /// sessions.
    ///
    /// # Errors
    /// What to answer the caller.
    pub(super) fn attempt(
        &mut self,
        now: Instant,
        code: &PairingCode,
        id: DaemonId,
        caller: &Caller,
        wrong_codes: &mut WrongCodes,
    ) -> Result<(), RpcError> {
        self.tick(now);
        let machine = Machine::from(caller);
        // Also while no session is open, so that a program that goes on guessing begins none with a guess.
        let early = wrong_codes.came_too_early(now, &machine);
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
        if let Some(wait) = early {
            return Err(must_wait(wait));
        }
        // What is not compared with the code gives an attacker no chance.
        let again = self.were_wrong.contains(&machine);
        if again && self.retries_left == 0 {
            return Err(refusal(Some(&PairingUpdate::Locked { caller: caller.describe() })));
        }
        if self.code.matches(code.expose()) {
            wrong_codes.forget(&machine);
            return Ok(());
        }
        let wait = wrong_codes.count(now, &machine);
        if again {
            self.retries_left -= 1;
        } else {
            self.attempts_left = self.attempts_left.saturating_sub(1);
            self.were_wrong.push(machine);
        }
        let caller = caller.describe();
        if self.attempts_left == 0 {
            let news = PairingUpdate::Locked { caller };
            let error = refusal(Some(&news));
            self.end(now, news);
            return Err(error.with("attempts_left", 0));
        }
        let (attempts_left, retries_left) = (self.attempts_left, self.retries_left);
        self.news.push(PairingUpdate::WrongCode { caller, attempts_left, retries_left });
        Err(RpcError::new(ErrorCode::WRONG_CODE, format!("wrong code, {}", tries(retries_left)))
            .with("attempts_left", retries_left)
            .with("wait_ms", millis(wait))
            .hint("type the 4 digits that `thrum peer add` shows on the other machine"))
    }

    /// Makes the machine pending that gave the right code. An earlier token of it is void. `replaces` is the
    /// token of the peer that has its daemon id.
    pub(super) fn set_pending(
        &mut self,
        now: Instant,
        peer: Peer,
        caller: &Caller,
        replaces: Option<Token>,
    ) {
        self.pending.insert(now, peer, caller, Replaces::ByCode(replaces));
    }

    /// Ends the session: the machine that gave the right code has the daemon id of this peer, which is another
    /// machine.
    ///
    /// # Errors
    /// Always: what to answer the caller.
    pub(super) fn refuse_id(
        &mut self,
        now: Instant,
        daemon_id: DaemonId,
        name: String,
        caller: &Caller,
    ) -> Result<(), RpcError> {
        let caller = caller.describe();
        self.end(now, PairingUpdate::IdTaken { caller, daemon_id, name });
        let message = "this daemon id is paired there as another machine";
        Err(RpcError::new(ErrorCode::ID_TAKEN, message).hint(
            "the person there is told of it: if it is this one, pair again with the next code",
        ))
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
            let name = label::label(&name, daemon_id, [(daemon_id, ""); 0]);
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

fn tries(left: u32) -> String {
    format!("{left} {} left", if left == 1 { "try" } else { "tries" })
}

fn millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
}

/// The answer to a caller that gave a wrong code and did not wait. Its code was not looked at.
fn must_wait(wait: Duration) -> RpcError {
    let wait_ms = millis(wait);
    let message = format!("a code of this machine was wrong: the next one in {}", rounded(wait_ms));
    RpcError::new(ErrorCode::PAIRING_WAIT, message)
        .with("wait_ms", wait_ms)
        .hint("every code that comes earlier begins this time anew")
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
