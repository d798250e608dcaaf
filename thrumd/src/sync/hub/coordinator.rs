use std::collections::{BTreeMap, BTreeSet};

use thrum_api::{DaemonId, Sequence};

use super::context::Context;
use super::link::Link;
use super::messages::{Action, Input, OperationId, PairingState};
use super::schedule::Schedule;
use super::snapshot::LinkSnapshot;
use super::time::MonotonicTime;
use super::timing::Timing;

/// Decides for all peers.
#[derive(Debug)]
pub struct Hub {
    timing: Timing,
    seed: u64,
    enabled: bool,
    head: Sequence,
    /// When the log last grew, or began another epoch.
    head_since: MonotonicTime,
    next_periodic: Option<MonotonicTime>,
    links: BTreeMap<DaemonId, Link>,
    /// What the links wait for.
    schedule: Schedule,
    /// The peers that can be reached.
    connected: BTreeSet<DaemonId>,
    last_operation: OperationId,
    /// How often a link was stepped.
    #[cfg(test)]
    pub(super) steps: usize,
}

impl Hub {
    /// A hub without peers, with sync off. `seed` decides the jitter.
    pub fn new(timing: Timing, seed: u64) -> Self {
        Self {
            timing,
            seed,
            enabled: false,
            head: Sequence::ZERO,
            head_since: MonotonicTime::default(),
            next_periodic: None,
            links: BTreeMap::new(),
            schedule: Schedule::default(),
            connected: BTreeSet::new(),
            last_operation: 0,
            #[cfg(test)]
            steps: 0,
        }
    }

    /// Processes an input and returns the actions. Inputs about unknown peers are ignored.
    pub fn handle(&mut self, now: MonotonicTime, input: Input) -> Vec<Action> {
        match &input {
            Input::Enable(wanted) if self.enabled != *wanted => {
                self.enabled = *wanted;
                self.next_periodic = wanted.then(|| now + self.timing.cadence.interval);
            }
            Input::Head(sequence) => (self.head, self.head_since) = (*sequence, now),
            Input::Peers(peers) => self.set_peers(now, peers),
            _ => {}
        }
        let periodic = self.enabled && self.next_periodic.is_some_and(|at| at <= now);
        if periodic {
            // Missed ticks are skipped.
            self.next_periodic = Some(now + self.timing.cadence.interval);
        }
        let mut actions = Vec::new();
        for peer in self.concerned(now, &input, periodic) {
            self.step(peer, now, &input, periodic, &mut actions);
        }
        actions
    }

    fn set_peers(&mut self, now: MonotonicTime, peers: &BTreeMap<DaemonId, PairingState>) {
        let (schedule, connected) = (&mut self.schedule, &mut self.connected);
        self.links.retain(|peer, _| {
            let stays = peers.contains_key(peer);
            if !stays {
                schedule.remove(*peer);
                connected.remove(peer);
            }
            stays
        });
        for (peer, pairing) in peers {
            self.links.entry(*peer).or_insert_with(|| Link::new(*pairing, now));
        }
    }

    /// The links that an input concerns, and those whose wait is over.
    fn concerned(&self, now: MonotonicTime, input: &Input, periodic: bool) -> BTreeSet<DaemonId> {
        let about = input.peer();
        match input {
            _ if periodic => self.links.keys().copied().collect(),
            Input::Head(_) => self.schedule.due(now).chain(self.schedule.for_news()).collect(),
            Input::Tick => self.schedule.due(now).collect(),
            _ if about.is_some() => self.schedule.due(now).chain(about).collect(),
            _ => self.links.keys().copied().collect(),
        }
    }

    fn step(
        &mut self,
        peer: DaemonId,
        now: MonotonicTime,
        input: &Input,
        periodic: bool,
        actions: &mut Vec<Action>,
    ) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        let mut context = Context {
            now,
            timing: &self.timing,
            peer,
            enabled: self.enabled,
            head: self.head,
            connected: &self.connected,
            actions,
            last_operation: &mut self.last_operation,
            seed: self.seed,
        };
        if input.peer().is_none_or(|about| about == peer) {
            link.handle(input, &mut context);
        }
        if periodic {
            link.periodic(&context);
        }
        link.step(&mut context);
        self.schedule.set(peer, link.waiting(self.head));
        match link.is_connected() {
            true => self.connected.insert(peer),
            false => self.connected.remove(&peer),
        };
        #[cfg(test)]
        {
            self.steps += 1;
        }
    }

    /// When to give a `Tick` if no other input comes before. None: only an input changes anything.
    pub fn next_wake(&self) -> Option<MonotonicTime> {
        if !self.enabled || self.links.is_empty() {
            return None;
        }
        self.schedule.next().into_iter().chain(self.next_periodic).min()
    }

    /// The state of the link to a peer.
    pub fn snapshot(&self, peer: DaemonId) -> Option<LinkSnapshot> {
        self.links.get(&peer).map(|link| link.snapshot(self.enabled, self.head, self.head_since))
    }
}
