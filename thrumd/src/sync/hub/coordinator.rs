use std::collections::BTreeMap;

use thrum_api::{DaemonId, Sequence};

use super::context::Context;
use super::link::Link;
use super::messages::{Action, Input, OperationId};
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
    next_periodic: Option<MonotonicTime>,
    links: BTreeMap<DaemonId, Link>,
    last_operation: OperationId,
}

impl Hub {
    /// A hub without peers, with sync off. `seed` decides the jitter.
    pub fn new(timing: Timing, seed: u64) -> Self {
        Self {
            timing,
            seed,
            enabled: false,
            head: Sequence::ZERO,
            next_periodic: None,
            links: BTreeMap::new(),
            last_operation: 0,
        }
    }

    /// Processes an input and returns the actions. Inputs about unknown peers are ignored.
    pub fn handle(&mut self, now: MonotonicTime, input: Input) -> Vec<Action> {
        let Self { timing, seed, enabled, head, next_periodic, links, last_operation } = self;
        match &input {
            Input::Enable(wanted) if *enabled != *wanted => {
                *enabled = *wanted;
                *next_periodic = wanted.then(|| now + timing.cadence.interval);
            }
            Input::Head(sequence) => *head = *sequence,
            Input::Peers(peers) => {
                links.retain(|peer, _| peers.contains_key(peer));
                for (peer, pairing) in peers {
                    links.entry(*peer).or_insert_with(|| Link::new(*pairing, now));
                }
            }
            _ => {}
        }
        let periodic = *enabled && next_periodic.is_some_and(|at| at <= now);
        if periodic {
            // Missed ticks are skipped.
            *next_periodic = Some(now + timing.cadence.interval);
        }
        let connected: Vec<DaemonId> =
            links.iter().filter(|(_, link)| link.is_connected()).map(|(peer, _)| *peer).collect();
        let mut actions = Vec::new();
        for (peer, link) in links.iter_mut() {
            let mut context = Context {
                now,
                timing,
                peer: *peer,
                enabled: *enabled,
                head: *head,
                connected: &connected,
                actions: &mut actions,
                last_operation,
                seed: *seed,
            };
            if input.peer().is_none_or(|about| about == *peer) {
                link.handle(&input, &mut context);
            }
            if periodic {
                link.periodic(&context);
            }
            link.step(&mut context);
        }
        actions
    }

    /// When to give a `Tick` if no other input comes before. None: only an input changes anything.
    pub fn next_wake(&self) -> Option<MonotonicTime> {
        if !self.enabled || self.links.is_empty() {
            return None;
        }
        let links = self.links.values().filter_map(|link| link.next_wake(self.head));
        links.chain(self.next_periodic).min()
    }

    /// The state of the link to a peer.
    pub fn snapshot(&self, peer: DaemonId) -> Option<LinkSnapshot> {
        self.links.get(&peer).map(|link| link.snapshot(self.enabled, self.head))
    }
}
