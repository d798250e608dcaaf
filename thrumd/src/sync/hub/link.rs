//! One peer: one pull at a time and one more if news came meanwhile, one notification at a time.

use thrum_api::local::PeerState;
use thrum_api::{DaemonId, Place, Sequence};

use super::context::Context;
use super::failure::Failure;
use super::messages::{Action, Input, OperationId, PairingState, PullReason};
use super::time::MonotonicTime;
use crate::backoff::Failures;

/// The state of one peer. Wishes (`pull_at`, `tell_at`, `unlooked`) and what stands against them
/// (back-offs, a refused token) are kept apart; `step` compares the two.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) facts: PairingState,
    pub(super) pulling: Option<OperationId>,
    /// A pull is wanted from this moment on. While one is running: one more afterwards.
    pub(super) pull_at: Option<MonotonicTime>,
    pub(super) reason: PullReason,
    pub(super) telling: Option<OperationId>,
    /// Our log grew and nobody looked yet whether that can wait.
    pub(super) unlooked: bool,
    /// News was looked at and can wait until then.
    pub(super) tell_at: Option<MonotonicTime>,
    pub(super) seen: Place,
    pub(super) told: Sequence,
    /// Up to here the peer holds our log, as far as we know: what it was given counts.
    pub(super) held: Place,
    /// Up to here it said that it holds our log. It says so of what is on its disk alone.
    pub(super) said: Sequence,
    /// This daemon is about to end.
    pub(super) parting: bool,
    /// It answered a notification since.
    pub(super) answered_since: bool,
    pub(super) held_known: bool,
    /// The last notification was not answered: the next goes without events, which may have been
    /// too much for the line.
    pub(super) bare: bool,
    /// It came for a page while a notification was on its way: what it answers to that may be older.
    pub(super) served_meanwhile: bool,
    /// The peer is reading our log page by page: it will come for the rest itself.
    pub(super) reading_until: Option<MonotonicTime>,
    /// Failures to reach it.
    pub(super) line: Failures<MonotonicTime>,
    /// Pulls that were answered, but not well.
    pub(super) pull_faults: Failures<MonotonicTime>,
    /// Notifications that were answered, but not well.
    pub(super) tell_faults: Failures<MonotonicTime>,
    /// Our token was refused; the next try is then.
    pub(super) refused: Option<MonotonicTime>,
    /// Its log is not the one of our checkpoint, and was not pulled to its end since.
    pub(super) log_changed: bool,
    pub(super) forgetting: Option<OperationId>,
    pub(super) ever_reached: bool,
    pub(super) their_head: Option<Sequence>,
    pub(super) taken: Option<Sequence>,
    pub(super) last_sync: Option<MonotonicTime>,
    /// Why a pull failed, or why the peer was not reached.
    pub(super) last_failure: Option<Failure>,
    /// Why a notification failed.
    pub(super) tell_failure: Option<Failure>,
    pub(super) state: PeerState,
    pub(super) since: MonotonicTime,
}

pub(super) fn earliest(a: Option<MonotonicTime>, b: MonotonicTime) -> Option<MonotonicTime> {
    Some(a.map_or(b, |a| a.min(b)))
}

impl Link {
    pub(super) fn new(facts: PairingState, now: MonotonicTime) -> Self {
        Self {
            facts,
            pulling: None,
            pull_at: Some(now),
            reason: PullReason::Startup,
            telling: None,
            unlooked: true,
            tell_at: None,
            seen: Place::START,
            told: Sequence::ZERO,
            held: Place::START,
            said: Sequence::ZERO,
            parting: false,
            answered_since: false,
            held_known: false,
            bare: false,
            served_meanwhile: false,
            reading_until: None,
            line: Failures::default(),
            pull_faults: Failures::default(),
            tell_faults: Failures::default(),
            refused: None,
            log_changed: false,
            forgetting: None,
            ever_reached: false,
            their_head: None,
            taken: None,
            last_sync: None,
            last_failure: None,
            tell_failure: None,
            state: PeerState::Off,
            since: now,
        }
    }

    /// It answers, as far as we know.
    pub(super) fn connected(&self) -> bool {
        self.ever_reached && self.line.count() == 0 && self.refused.is_none()
    }

    pub(super) fn want_pull(&mut self, at: MonotonicTime, reason: PullReason) {
        if self.pull_at.is_none_or(|old| at < old) {
            self.pull_at = Some(at);
            self.reason = reason;
        }
    }

    /// Takes what concerns this peer.
    pub(super) fn take(
        &mut self,
        me: DaemonId,
        input: &Input,
        connected: &[DaemonId],
        context: &mut Context<'_>,
        out: &mut Vec<Action>,
    ) {
        let now = context.now;
        match input {
            Input::Enable(_) => {
                self.want_pull(now, PullReason::Startup);
                self.unlooked = true;
            }
            Input::Peers(peers) => {
                let Some(facts) = peers.get(&me) else { return };
                if facts.generation != self.facts.generation {
                    // Paired again: what stood against the old token is void, and so is what is still
                    // under way with it.
                    *self = Self::new(*facts, now);
                }
                self.facts = *facts;
            }
            Input::Head(_) => self.unlooked = true,
            Input::RequestReceived(peer) if *peer == me => self.heard(context),
            Input::RemovedByPeer(peer) if *peer == me => {
                // What was asked before and is answered yet says nothing any more.
                (self.pulling, self.telling) = (None, None);
                self.refused_us(me, context, out);
            }
            Input::Synced { peer, latest } if *peer == me => {
                self.synced(*latest, *latest, now);
                // The pull that an earlier notification asked for has nothing to bring any more; after
                // a failed one it has to show that pulls work again.
                let told = self.reason == PullReason::Notified && self.pulling.is_none();
                if told && self.pull_faults.count() == 0 {
                    self.pull_at = None;
                }
            }
            Input::PullNeeded { peer, latest, creators } if *peer == me => {
                self.their_head = Some(*latest);
                let others_tell = !creators.is_empty()
                    && creators.iter().all(|daemon| *daemon != me && connected.contains(daemon));
                let wait =
                    if others_tell { context.timing.triangle_wait } else { Default::default() };
                self.want_pull(now + wait, PullReason::Notified);
            }
            Input::PageServed { peer, next, more } if *peer == me => {
                self.held = *next;
                self.held_known = true;
                // It reads again what it said to hold: it lost that.
                self.said = self.said.min(next.sequence);
                self.served_meanwhile = true;
                self.reading_until = more.then(|| now + context.timing.reading_timeout);
            }
            Input::PullFinished { peer, operation, result }
                if *peer == me && self.pulling == Some(*operation) =>
            {
                self.pulling = None;
                self.pull_ended(me, result, context, out);
            }
            Input::CheckpointReset { peer, operation }
                if *peer == me && self.forgetting == Some(*operation) =>
            {
                self.forgetting = None;
                self.want_pull(now, PullReason::Retry);
            }
            Input::NotifyFinished { peer, operation, result }
                if *peer == me && self.telling == Some(*operation) =>
            {
                self.telling = None;
                self.tell_ended(me, result, context, out);
            }
            Input::SyncNow(who) if who.is_none_or(|peer| peer == me) => {
                self.line.clear();
                self.pull_faults.clear();
                self.tell_faults.clear();
                self.refused = None;
                self.reading_until = None;
                self.want_pull(now, PullReason::Requested);
                self.told = self.held.sequence;
                self.tell_at = Some(now);
            }
            Input::Drain => self.part(),
            Input::NetworkChanged => {
                if self.line.count() > 0 {
                    self.line.clear();
                    self.want_pull(now, PullReason::Requested);
                } else if self.stale(context) {
                    self.want_pull(now, PullReason::Requested);
                }
            }
            _ => {}
        }
    }

    fn stale(&self, context: &Context<'_>) -> bool {
        self.last_sync.is_none_or(|at| context.now.since(at) >= context.timing.cadence.recent)
    }

    /// The time for peers that nothing was heard of.
    pub(super) fn periodic(&mut self, context: &Context<'_>) {
        if self.stale(context) && self.pulling.is_none() {
            self.want_pull(context.now, PullReason::Periodic);
        }
    }

    fn heard(&mut self, context: &Context<'_>) {
        if self.line.count() > 0 || self.refused.is_some() || !self.ever_reached {
            self.want_pull(context.now, PullReason::Retry);
            self.unlooked = true;
        }
        self.line.clear();
        self.refused = None;
        self.ever_reached = true;
    }

    /// Something answered. That need not be the peer: it proves nothing of our token.
    pub(super) fn reached(&mut self) {
        self.line.clear();
        self.refused = None;
        self.ever_reached = true;
    }

    /// The peer answered, and accepted our token.
    pub(super) fn answered(&mut self, me: DaemonId, out: &mut Vec<Action>) {
        self.reached();
        if std::mem::take(&mut self.facts.unconfirmed) {
            out.push(Action::ConfirmPairing(me));
        }
        if std::mem::take(&mut self.facts.removed_us) {
            out.push(Action::MarkRemoved { peer: me, removed: false });
        }
    }

    pub(super) fn synced(&mut self, taken: Sequence, head: Sequence, now: MonotonicTime) {
        self.taken = Some(taken);
        self.their_head = Some(head);
        self.last_sync = Some(now);
    }

    pub(super) fn refused_us(
        &mut self,
        me: DaemonId,
        context: &Context<'_>,
        out: &mut Vec<Action>,
    ) {
        self.refused = Some(context.now + context.timing.refused_retry);
        self.want_pull(context.now, PullReason::Retry);
        if self.facts.unconfirmed {
            out.push(Action::DropPairing(me));
        } else if !std::mem::replace(&mut self.facts.removed_us, true) {
            out.push(Action::MarkRemoved { peer: me, removed: true });
        }
    }
}
