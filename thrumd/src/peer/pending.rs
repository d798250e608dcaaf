//! Pairings that wait for the first request with their token. They exist in memory only.

use std::net::IpAddr;
use std::time::Duration;

use thrum_api::{DaemonId, Token};
use tokio::time::Instant;

use super::Peer;
use crate::tailnet::Caller;

/// How many machines may wait at once. A newer one replaces the oldest.
const PENDING_MAX: usize = 256;

/// Machines that were given a token and have not used it yet.
#[derive(Debug)]
pub struct PendingPairings {
    lifetime: Duration,
    /// The oldest first.
    entries: Vec<PendingPairing>,
}

/// A machine that was given a token and has not used it yet.
#[derive(Debug, Clone)]
pub struct PendingPairing {
    /// The peer that it becomes.
    pub peer: Peer,
    /// Its name in the tailnet.
    pub node_name: Option<String>,
    machine: Machine,
    replaces: Replaces,
    since: Instant,
}

/// Which peers a pairing may replace.
#[derive(Debug, Clone)]
pub enum Replaces {
    /// Any: a person has decided it with a code. One on another node only if it has this token: that node had
    /// left the tailnet when it was requested.
    ByCode(Option<Token>),
    /// Those with these tokens, which were all when it was requested: a pairing or a removal since then was a
    /// person's decision and wins.
    Only(Vec<Token>),
}

/// The machine a request came from, as far as the next one must come from the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Machine {
    /// A node keeps its id when its address changes.
    Node(String),
    /// Without a node the address is all there is.
    Address(IpAddr),
}

impl From<&Caller> for Machine {
    fn from(caller: &Caller) -> Self {
        match &caller.node {
            Some(node) => Self::Node(node.stable_id.clone()),
            None => Self::Address(caller.address.ip().to_canonical()),
        }
    }
}

impl PendingPairings {
    /// None yet. Each token must be used within `lifetime`.
    pub fn new(lifetime: Duration) -> Self {
        Self { lifetime, entries: Vec::new() }
    }

    /// Adds a pairing. An earlier token of the same machine is void.
    pub fn insert(&mut self, now: Instant, peer: Peer, caller: &Caller, replaces: Replaces) {
        let machine = Machine::from(caller);
        let lifetime = self.lifetime;
        self.entries.retain(|it| it.is_valid(now, lifetime) && it.machine != machine);
        if self.entries.len() >= PENDING_MAX {
            self.entries.remove(0);
        }
        let node_name = caller.node.as_ref().map(|node| node.short_name().to_owned());
        let node_name = node_name.filter(|name| !name.is_empty());
        self.entries.push(PendingPairing { peer, node_name, machine, replaces, since: now });
    }

    /// The pairing with this token, if it is still valid and the caller is the machine that was
    /// given the token.
    pub fn get(&self, now: Instant, token: &str, caller: &Caller) -> Option<&PendingPairing> {
        let machine = Machine::from(caller);
        let entry = self.entries.iter().find(|it| it.peer.token.matches(token))?;
        (entry.is_valid(now, self.lifetime) && entry.machine == machine).then_some(entry)
    }

    /// Whether another machine or another daemon id than this is waiting.
    pub fn has_other_than(&self, id: DaemonId, caller: &Caller) -> bool {
        let machine = Machine::from(caller);
        self.entries.iter().any(|it| it.peer.daemon_id != id || it.machine != machine)
    }

    /// Voids a token.
    pub fn remove(&mut self, token: &str) {
        self.entries.retain(|it| !it.peer.token.matches(token));
    }

    /// Voids every token.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}

impl PendingPairing {
    fn is_valid(&self, now: Instant, lifetime: Duration) -> bool {
        now < self.since + lifetime
    }

    /// Whether it may be stored in the place of `displaced`. A peer that has its token already is itself,
    /// stored by another first request.
    pub fn may_replace(&self, displaced: &[&Peer]) -> bool {
        let has = |peer: &Peer, token: &Token| peer.token.matches(token.expose());
        let tokens = match &self.replaces {
            Replaces::ByCode(left) => {
                let may = |old: &Peer| left.as_ref().is_some_and(|token| has(old, token));
                return displaced.iter().all(|old| !self.peer.is_on_other_node(old) || may(old));
            }
            Replaces::Only(tokens) => tokens,
        };
        displaced.iter().any(|peer| has(peer, &self.peer.token))
            || displaced.len() == tokens.len()
                && displaced.iter().all(|peer| tokens.iter().any(|token| has(peer, token)))
    }
}
