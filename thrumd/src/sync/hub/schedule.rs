//! Which links an input concerns, so that it costs nothing for the others.

use std::collections::{BTreeMap, BTreeSet};

use thrum_api::DaemonId;

use super::time::MonotonicTime;

/// What a link waits for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Waiting {
    /// Until then, if nothing happens.
    pub(super) until: Option<MonotonicTime>,
    /// For our log to grow. A link with a notification under way looks at our log when that ends.
    pub(super) for_news: bool,
}

/// What the links wait for.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    links: BTreeMap<DaemonId, Waiting>,
    wakes: BTreeSet<(MonotonicTime, DaemonId)>,
    for_news: BTreeSet<DaemonId>,
}

impl Schedule {
    /// Records what a link waits for from now on.
    pub(super) fn set(&mut self, peer: DaemonId, waiting: Waiting) {
        let before = self.links.insert(peer, waiting).unwrap_or_default();
        if before.until != waiting.until {
            before.until.map(|at| self.wakes.remove(&(at, peer)));
            waiting.until.map(|at| self.wakes.insert((at, peer)));
        }
        match waiting.for_news {
            true => self.for_news.insert(peer),
            false => self.for_news.remove(&peer),
        };
    }

    /// Forgets a link.
    pub(super) fn remove(&mut self, peer: DaemonId) {
        self.set(peer, Waiting::default());
        self.links.remove(&peer);
    }

    /// The links whose wait is over.
    pub(super) fn due(&self, now: MonotonicTime) -> impl Iterator<Item = DaemonId> {
        self.wakes.iter().take_while(move |(at, _)| *at <= now).map(|(_, peer)| *peer)
    }

    /// The links that wait for our log to grow.
    pub(super) fn for_news(&self) -> impl Iterator<Item = DaemonId> {
        self.for_news.iter().copied()
    }

    /// When the first wait is over.
    pub(super) fn next(&self) -> Option<MonotonicTime> {
        self.wakes.first().map(|(at, _)| *at)
    }
}
