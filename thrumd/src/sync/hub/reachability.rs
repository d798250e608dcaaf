//! Whether a peer can be reached: back-off, refused token, removal.

use super::context::Context;
use super::failure::FailureKind;
use super::messages::{Action, PairingState, PullReason};
use super::time::MonotonicTime;
use crate::backoff::Failures;

/// What keeps us from making requests to the peer.
#[derive(Debug)]
enum Obstacle {
    None,
    Unreachable(Failures<MonotonicTime>),
    TokenRefused { retry_at: MonotonicTime },
}

#[derive(Debug)]
pub(super) struct Reachability {
    pub(super) pairing: PairingState,
    /// The peer answered or called at least once since the pairing or our start.
    pub(super) ever_reached: bool,
    obstacle: Obstacle,
    probes: Probes,
    /// When the peer or its node last ended a back-off or the wait after a refused token.
    heard_at: Option<MonotonicTime>,
}

/// Probes that brought nothing but an answer: something goes on closing connections.
#[derive(Debug, Default)]
struct Probes {
    in_a_row: u32,
    last: Option<MonotonicTime>,
}

impl Reachability {
    pub(super) fn new(pairing: PairingState) -> Self {
        Self {
            pairing,
            ever_reached: false,
            obstacle: Obstacle::None,
            probes: Probes::default(),
            heard_at: None,
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.ever_reached && matches!(self.obstacle, Obstacle::None)
    }

    pub(super) fn is_unreachable(&self) -> bool {
        matches!(self.obstacle, Obstacle::Unreachable(_))
    }

    pub(super) fn is_token_refused(&self) -> bool {
        matches!(self.obstacle, Obstacle::TokenRefused { .. })
    }

    pub(super) fn has_removed_us(&self) -> bool {
        self.is_token_refused() || self.pairing.removed_us
    }

    /// Failures in a row. A refused token is none.
    pub(super) fn failures(&self) -> u32 {
        match &self.obstacle {
            Obstacle::Unreachable(failures) => failures.count(),
            Obstacle::None | Obstacle::TokenRefused { .. } => 0,
        }
    }

    /// No request before this time.
    pub(super) fn retry_at(&self) -> Option<MonotonicTime> {
        match &self.obstacle {
            Obstacle::None => None,
            Obstacle::Unreachable(failures) => failures.until(),
            Obstacle::TokenRefused { retry_at } => Some(*retry_at),
        }
    }

    /// Something answered, or the peer called. An answer need not come from the peer: it doesn't prove
    /// that our token is accepted.
    pub(super) fn reached(&mut self) {
        self.obstacle = Obstacle::None;
        self.ever_reached = true;
    }

    /// The peer made a request. Returns whether that is news: it was not reached before. A peer that calls and can't
    /// be reached is tried again only so often.
    pub(super) fn request_received(&mut self, context: &Context<'_>) -> bool {
        if matches!(self.obstacle, Obstacle::None) {
            return !std::mem::replace(&mut self.ever_reached, true);
        }
        let again = self.may_end_wait(context);
        if again {
            self.reached();
        }
        again
    }

    /// Whether something that the peer does may end a back-off now.
    fn may_end_wait(&mut self, context: &Context<'_>) -> bool {
        let pause = context.timing.heard_pause;
        let may = self.heard_at.is_none_or(|at| at + pause <= context.now);
        if may {
            self.heard_at = Some(context.now);
        }
        may
    }

    /// When to ask whether the peer still answers. One that is known not to answer is left alone until its retry.
    pub(super) fn next_probe(&self, context: &Context<'_>) -> MonotonicTime {
        let pause = context.timing.probe_pause(self.probes.in_a_row);
        self.probes.last.map_or(context.now, |at| at + pause).max(context.now)
    }

    /// The peer's node came, went or moved: one that was not reached may be there again.
    pub(super) fn node_changed(&mut self, context: &Context<'_>) {
        if self.is_unreachable() && self.may_end_wait(context) {
            self.end_wait();
        }
    }

    /// A pull is made for this reason.
    pub(super) fn pulling(&mut self, reason: Option<PullReason>, context: &Context<'_>) {
        if reason == Some(PullReason::Probe) {
            self.probes.in_a_row = self.probes.in_a_row.saturating_add(1);
            self.probes.last = Some(context.now);
        }
    }

    /// News went from one side to the other, so probes are worth their cost again. Not at once: every connection may be
    /// closed after one answer.
    pub(super) fn exchanged(&mut self, context: &Context<'_>) {
        if self.probes.last.is_some_and(|at| at + context.timing.probe_pause <= context.now) {
            self.probes = Probes::default();
        }
    }

    /// The peer answered, and accepted our token. `news`: something went from one side to the other.
    pub(super) fn answered(&mut self, news: bool, context: &mut Context<'_>) {
        self.reached();
        if news {
            self.exchanged(context);
        }
        let peer = context.peer;
        if std::mem::take(&mut self.pairing.unconfirmed) {
            context.actions.push(Action::ConfirmPairing(peer));
        }
        if std::mem::take(&mut self.pairing.removed_us) {
            context.actions.push(Action::MarkRemoved { peer, removed: false });
        }
    }

    pub(super) fn not_reached(&mut self, context: &mut Context<'_>) {
        let mut failures = match self.obstacle {
            Obstacle::Unreachable(failures) => failures,
            // The other request that was under way failed, too: that makes no sooner retry.
            Obstacle::TokenRefused { retry_at } if retry_at > context.now => return,
            Obstacle::None | Obstacle::TokenRefused { .. } => Failures::default(),
        };
        context.record(&mut failures, FailureKind::Unreachable);
        self.probes = Probes::default();
        self.obstacle = Obstacle::Unreachable(failures);
    }

    pub(super) fn token_refused(&mut self, context: &mut Context<'_>) {
        let (peer, retry_at) = (context.peer, context.now + context.timing.refused_retry);
        self.obstacle = Obstacle::TokenRefused { retry_at };
        if self.pairing.unconfirmed {
            context.actions.push(Action::DropPairing(peer));
        } else if !std::mem::replace(&mut self.pairing.removed_us, true) {
            context.actions.push(Action::MarkRemoved { peer, removed: true });
        }
    }

    /// The next request may be made now.
    pub(super) fn end_wait(&mut self) {
        self.obstacle = Obstacle::None;
    }

    /// The same if the peer was not reached; a refused token stays refused.
    pub(super) fn end_backoff(&mut self) {
        if self.is_unreachable() {
            self.end_wait();
        }
    }
}
