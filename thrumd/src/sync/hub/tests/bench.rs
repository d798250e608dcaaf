use std::collections::BTreeMap;
use std::time::Duration;

use thrum_api::{DaemonId, Epoch, EventId, Head, Origin, OriginSequence, Place, Sequence};
use ulid::Ulid;

use crate::config::Cadence;
use crate::sync::hub::{
    Action, Facts, Failure, Hub, Input, Moment, PullEnd, Rules, TellEnd, Ticket, Trouble,
};

pub(super) fn peer(n: u128) -> DaemonId {
    DaemonId::from_ulid(Ulid(n))
}

pub(super) fn event(n: u128) -> EventId {
    EventId::from_ulid(Ulid(n))
}

pub(super) fn place(sequence: u64) -> Place {
    match sequence {
        0 => Place::START,
        n => Place { sequence: Sequence(n), event_id: Some(event(n.into())) },
    }
}

pub(super) fn origin(n: u128) -> Origin {
    Origin { daemon: peer(n), epoch: Epoch::from_ulid(Ulid(n)) }
}

pub(super) fn head(n: u128, sequence: u64, id: u128) -> Head {
    Head {
        origin_daemon: peer(n),
        origin_epoch: origin(n).epoch,
        origin_sequence: OriginSequence(sequence),
        event_id: event(id),
    }
}

pub(super) fn facts() -> Facts {
    Facts { pairing: 0, unconfirmed: false, removed_us: false }
}

pub(super) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(super) fn line() -> Failure {
    Failure { trouble: Trouble::Line, text: "no route".to_owned() }
}

pub(super) fn refused() -> Failure {
    Failure { trouble: Trouble::Refused, text: "401".to_owned() }
}

pub(super) fn done(taken: u64) -> PullEnd {
    PullEnd::Done { taken: Sequence(taken), head: Sequence(taken) }
}

/// A hub and its clock.
pub(super) struct Bench {
    pub(super) hub: Hub,
    pub(super) now: Moment,
}

impl Bench {
    /// Off, with these peers.
    pub(super) fn off(peers: &[DaemonId]) -> Self {
        let cadence =
            Cadence { interval: Duration::from_secs(300), recent: Duration::from_secs(120) };
        let mut bench = Self { hub: Hub::new(Rules::new(cadence), 7), now: Moment::default() };
        let peers: BTreeMap<_, _> = peers.iter().map(|peer| (*peer, facts())).collect();
        assert_eq!(bench.give(Input::Peers(peers)), []);
        bench
    }

    /// On, and the pulls at start are done.
    pub(super) fn settled(peers: &[DaemonId]) -> Self {
        let mut bench = Self::off(peers);
        for (peer, ticket) in pulls(&bench.give(Input::Enable(true))) {
            assert_eq!(bench.pulled(peer, ticket, done(0)), []);
        }
        bench
    }

    pub(super) fn give(&mut self, input: Input) -> Vec<Action> {
        self.hub.handle(self.now, input)
    }

    pub(super) fn pulled(&mut self, peer: DaemonId, ticket: Ticket, end: PullEnd) -> Vec<Action> {
        self.give(Input::PullEnded { peer, ticket, end })
    }

    pub(super) fn told(&mut self, peer: DaemonId, ticket: Ticket, end: TellEnd) -> Vec<Action> {
        self.give(Input::TellEnded { peer, ticket, end })
    }

    /// Nothing happens for this long, but for what the hub wants to do itself.
    pub(super) fn pass(&mut self, span: Duration) -> Vec<Action> {
        let end = self.now.after(span);
        let mut actions = Vec::new();
        while let Some(wake) = self.hub.next_wake().filter(|wake| *wake <= end) {
            self.now = self.now.max(wake);
            actions.extend(self.give(Input::Tick));
        }
        self.now = end;
        actions
    }

    /// How long until the hub wants to be woken.
    pub(super) fn sleeps(&self) -> Duration {
        self.hub.next_wake().expect("the hub wants to be woken").since(self.now)
    }
}

pub(super) fn pulls(actions: &[Action]) -> Vec<(DaemonId, Ticket)> {
    let pulls = actions.iter().filter_map(|action| match action {
        Action::Pull { peer, ticket, .. } => Some((*peer, *ticket)),
        _ => None,
    });
    pulls.collect()
}

/// Peer, ticket, place that the peer holds, and whether it is to be told in any case.
pub(super) fn tells(actions: &[Action]) -> Vec<(DaemonId, Ticket, Place, bool)> {
    let tells = actions.iter().filter_map(|action| match action {
        Action::Tell { peer, ticket, held, due, .. } => Some((*peer, *ticket, *held, *due)),
        _ => None,
    });
    tells.collect()
}

pub(super) fn only<T: std::fmt::Debug>(mut items: Vec<T>) -> T {
    assert_eq!(items.len(), 1, "{items:?}");
    items.remove(0)
}
