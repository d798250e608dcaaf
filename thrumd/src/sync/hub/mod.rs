//! Decides when to pull, what to tell and whom to leave alone.
//!
//! Plain state machines: an input and the moment go in, actions come out, and `next_wake` tells
//! when to come back without input. No I/O, no clock, no randomness but the seed, no order that
//! depends on a hash: the simulation drives the same code as the driver.

mod backoff;
mod flight;
mod link;
mod moment;
mod notify;
mod outcome;
mod parting;
mod plan;
#[cfg(test)]
mod tests;
mod view;
mod words;

use std::collections::BTreeMap;
use std::time::Duration;

use thrum_api::{DaemonId, Sequence};

pub use backoff::{Ladder, LadderError};
pub use flight::{Flight, PageError, PageFacts, PullEnd, Step};
pub use moment::Moment;
pub use notify::{Told, Verdict, head_of, judge, patience};
pub use parting::Parting;
pub use view::LinkView;
pub use words::{Action, Facts, Failure, Input, TellEnd, Ticket, Trouble, Why};

use crate::config::Cadence;
use backoff::Backoff;
use link::Link;

/// Every number that the hub goes by.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// The periodic pull.
    pub cadence: Cadence,
    /// The back-off.
    pub ladder: Ladder,
    /// The same while our own log fails: it may be used again any moment.
    pub own_ladder: Ladder,
    /// News that we only relay may wait this long for more.
    pub relay_delay: Duration,
    /// News that all came from the peer itself may wait this long.
    pub echo_delay: Duration,
    /// How long peers get to tell us themselves what another peer's notification showed.
    pub triangle_wait: Duration,
    /// A peer that refuses our token is tried this often.
    pub refused_every: Duration,
    /// A peer that has read a page of ours and not come for the next gets news again after this.
    pub reading_limit: Duration,
    /// At the end, a peer that still reads our log is asked this often whether it holds everything.
    pub parting_every: Duration,
}

impl Rules {
    /// The numbers of docs/protocol.md, and this cadence.
    pub fn new(cadence: Cadence) -> Self {
        Self {
            cadence,
            ladder: Ladder::STANDARD,
            own_ladder: Ladder::OWN,
            relay_delay: Duration::from_millis(50),
            echo_delay: Duration::from_secs(1),
            triangle_wait: Duration::from_millis(250),
            refused_every: Duration::from_secs(300),
            reading_limit: Duration::from_secs(30),
            parting_every: Duration::from_millis(50),
        }
    }
}

/// Decides for every peer.
#[derive(Debug)]
pub struct Hub {
    rules: Rules,
    seed: u64,
    on: bool,
    head: Sequence,
    tick_at: Option<Moment>,
    links: BTreeMap<DaemonId, Link>,
    tickets: Ticket,
}

/// What a link may look at beside itself.
struct Around<'a> {
    now: Moment,
    rules: &'a Rules,
    on: bool,
    head: Sequence,
    tickets: &'a mut Ticket,
    seed: u64,
}

impl Around<'_> {
    fn ticket(&mut self) -> Ticket {
        *self.tickets += 1;
        *self.tickets
    }

    /// The next number of a sequence that the seed decides (splitmix64).
    fn draw(&mut self) -> u64 {
        let mut z = self.seed ^ self.ticket().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Hub {
    /// A hub without peers, off. `seed` decides the jitter.
    pub fn new(rules: Rules, seed: u64) -> Self {
        Self {
            rules,
            seed,
            on: false,
            head: Sequence::ZERO,
            tick_at: None,
            links: BTreeMap::new(),
            tickets: 0,
        }
    }

    /// Takes an input; answers with what is to be done. Inputs about unknown peers do nothing.
    pub fn handle(&mut self, now: Moment, input: Input) -> Vec<Action> {
        let Self { rules, seed, on, head, tick_at, links, tickets } = self;
        match &input {
            Input::Enable(wanted) if *on != *wanted => {
                *on = *wanted;
                *tick_at = wanted.then(|| now.after(rules.cadence.interval));
            }
            Input::Head(sequence) => *head = *sequence,
            Input::Peers(peers) => {
                links.retain(|peer, _| peers.contains_key(peer));
                for (peer, facts) in peers {
                    links.entry(*peer).or_insert_with(|| Link::new(*facts, now));
                }
            }
            _ => {}
        }
        let periodic = *on && tick_at.is_some_and(|at| at <= now);
        if periodic {
            // Ticks that were slept through are skipped.
            *tick_at = Some(now.after(rules.cadence.interval));
        }
        let connected: Vec<DaemonId> =
            links.iter().filter(|(_, link)| link.connected()).map(|(peer, _)| *peer).collect();
        let mut actions = Vec::new();
        let mut around = Around { now, rules, on: *on, head: *head, tickets, seed: *seed };
        for (peer, link) in links.iter_mut() {
            link.take(*peer, &input, &connected, &mut around, &mut actions);
            if periodic {
                link.periodic(&around);
            }
            link.step(*peer, &mut around, &mut actions);
        }
        actions
    }

    /// When to come back with a `Tick` if nothing happens before. None: only an input changes
    /// anything.
    pub fn next_wake(&self) -> Option<Moment> {
        if !self.on || self.links.is_empty() {
            return None;
        }
        let links = self.links.values().filter_map(|link| link.next_wake(self.head));
        links.chain(self.tick_at).min()
    }

    /// How it stands with a peer.
    pub fn view(&self, peer: DaemonId) -> Option<LinkView> {
        self.links.get(&peer).map(|link| link.view(self.on, self.head))
    }
}
