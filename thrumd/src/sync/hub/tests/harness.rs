use std::collections::BTreeMap;
use std::time::Duration;

use thrum_api::{DaemonId, LogHash, LogPosition, Sequence};

use crate::config::Cadence;
use crate::sync::hub::{
    Action, Failure, FailureKind, Hub, Input, MonotonicTime, NotifyResult, OperationId,
    PairingState, PullResult, Timing,
};

pub(in crate::sync) fn peer(n: u128) -> DaemonId {
    let mut bytes = [0; DaemonId::BYTES];
    bytes[DaemonId::BYTES - 16..].copy_from_slice(&n.to_be_bytes());
    DaemonId::from_bytes(bytes)
}

pub(in crate::sync) fn position(sequence: u64) -> LogPosition {
    match sequence {
        0 => LogPosition::START,
        n => LogPosition { sequence: Sequence(n), hash: Some(LogHash(n)) },
    }
}

pub(super) fn pairing() -> PairingState {
    PairingState { generation: 0, unconfirmed: false, removed_us: false }
}

pub(super) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(super) fn unreachable() -> Failure {
    Failure { kind: FailureKind::Unreachable, text: "no route".to_owned() }
}

pub(super) fn token_refused() -> Failure {
    Failure { kind: FailureKind::TokenRefused, text: "401".to_owned() }
}

pub(super) fn done(taken: u64) -> PullResult {
    PullResult::Done { checkpoint: Sequence(taken), head: Sequence(taken) }
}

pub(super) fn timing() -> Timing {
    Timing::new(Cadence { interval: Duration::from_secs(300), recent: Duration::from_secs(120) })
}

/// A hub and its clock.
pub(super) struct Harness {
    pub(super) hub: Hub,
    pub(super) now: MonotonicTime,
}

impl Harness {
    /// A hub with these peers and sync off.
    pub(super) fn off(peers: &[DaemonId]) -> Self {
        let mut harness = Self { hub: Hub::new(timing(), 7), now: MonotonicTime::default() };
        let peers: BTreeMap<_, _> = peers.iter().map(|peer| (*peer, pairing())).collect();
        assert_eq!(harness.give(Input::Peers(peers)), []);
        harness
    }

    /// A hub with sync on, after the pulls at start.
    pub(super) fn settled(peers: &[DaemonId]) -> Self {
        let mut harness = Self::off(peers);
        for (peer, operation) in pulls(&harness.give(Input::Enable(true))) {
            assert_eq!(harness.pulled(peer, operation, done(0)), []);
        }
        harness
    }

    pub(super) fn give(&mut self, input: Input) -> Vec<Action> {
        self.hub.handle(self.now, input)
    }

    pub(super) fn pulled(
        &mut self,
        peer: DaemonId,
        operation: OperationId,
        result: PullResult,
    ) -> Vec<Action> {
        self.give(Input::PullFinished { peer, operation, result })
    }

    pub(super) fn notified(
        &mut self,
        peer: DaemonId,
        operation: OperationId,
        result: NotifyResult,
    ) -> Vec<Action> {
        self.give(Input::NotifyFinished { peer, operation, result })
    }

    /// Lets this time pass; the hub gets only its own wake-ups.
    pub(super) fn pass(&mut self, span: Duration) -> Vec<Action> {
        let end = self.now + span;
        let mut actions = Vec::new();
        while let Some(wake) = self.hub.next_wake().filter(|wake| *wake <= end) {
            self.now = self.now.max(wake);
            actions.extend(self.give(Input::Tick));
        }
        self.now = end;
        actions
    }

    /// The time until the hub's next wake-up.
    pub(super) fn sleeps(&self) -> Duration {
        self.hub.next_wake().expect("the hub wants to be woken").since(self.now)
    }
}

pub(super) fn pulls(actions: &[Action]) -> Vec<(DaemonId, OperationId)> {
    let pulls = actions.iter().filter_map(|action| match action {
        Action::Pull { peer, operation, .. } => Some((*peer, *operation)),
        _ => None,
    });
    pulls.collect()
}

/// Peer, operation, position that the peer was sent, and whether the notification is due.
pub(super) fn notifications(actions: &[Action]) -> Vec<(DaemonId, OperationId, LogPosition, bool)> {
    let notifications = actions.iter().filter_map(|action| match action {
        Action::Notify { peer, operation, wanted } => {
            Some((*peer, *operation, wanted.sent, wanted.due))
        }
        _ => None,
    });
    notifications.collect()
}

pub(super) fn only<T: std::fmt::Debug>(mut items: Vec<T>) -> T {
    assert_eq!(items.len(), 1, "{items:?}");
    items.remove(0)
}
