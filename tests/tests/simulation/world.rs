//! The machines, the wires between them, and the clock. Runs what the hubs ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tempfile::TempDir;
use thrum_api::proof::Chain;
use thrum_api::{DaemonId, Token};
use thrumd::log::Batch;
use thrumd::peer::Pairing;
use thrumd::sync::hub::{Hub, Input, MonotonicTime, NotifyRequest, OperationId, Timing};
use thrumd::sync::pairings::{KnownTokens, Pairings};

use crate::choices::Choices;
use crate::hostile::Hostile;
use crate::log::Ids;
use crate::marks::Marks;
use crate::net::{Message, Net, Reply};
use crate::node::{Asked, Life, Node};
use crate::trace::Trace;

/// Virtual time.
pub type Micros = u64;

pub const fn millis(n: u64) -> Micros {
    n * 1000
}

pub const fn seconds(n: u64) -> Micros {
    n * 1_000_000
}

/// What a log in memory answers is there at once.
pub fn ready<T>(work: impl Future<Output = T>) -> T {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => unreachable!("nothing here waits"),
    }
}

/// What will happen.
pub enum Coming {
    Request {
        to: usize,
        from: usize,
        call: u64,
        message: Box<Message>,
    },
    Reply {
        to: usize,
        life: u64,
        call: u64,
        reply: Reply,
    },
    /// Something inside a node, in this life of it.
    Internal {
        node: usize,
        life: u64,
        what: Internal,
    },
    /// The hostile node does something of itself.
    HostileTurn,
}

pub enum Internal {
    TimeOut(u64),
    ConnectionClosed {
        peer: usize,
    },
    WakeUp,
    Notify {
        peer: usize,
        operation: OperationId,
        wanted: NotifyRequest,
    },
    /// A page, and what of it is to be taken.
    Apply {
        operation: OperationId,
        batch: Box<Batch>,
        valid: Vec<Chain>,
    },
    ResetCheckpoint {
        peer: usize,
        operation: OperationId,
    },
    MarkRemoved {
        peer: usize,
        token: Token,
        removed: bool,
    },
    ConfirmPairing {
        peer: usize,
        token: Token,
    },
    DropPairing {
        peer: usize,
        token: Token,
    },
    Confirm {
        peer: usize,
        token: Token,
        tries: u32,
    },
}

pub struct World {
    pub now: Micros,
    pub nodes: Vec<Node>,
    pub net: Net,
    pub choices: Choices,
    pub marks: Marks,
    pub trace: Trace,
    pub ids: Ids,
    /// Events over the wire, and those of them that were held already.
    pub received: u64,
    pub duplicates: u64,
    pub requests: u64,
    pub written: u64,
    pub timing: Timing,
    /// Events that a page is asked for.
    pub page_limit: Option<u32>,
    pub seed: u64,
    pub calls: u64,
    /// The chains after all events that were written: of each of them, the only true history.
    pub truth: BTreeSet<Chain>,
    /// The last of the nodes is hostile.
    pub hostile: Option<Hostile>,
    /// Nobody touches a disk.
    pub disks_are_kept: bool,
    pub coming: BTreeMap<(Micros, u64), Coming>,
    pub order: u64,
    /// For the registries, which write files.
    pub runtime: tokio::runtime::Runtime,
    pub _dir: TempDir,
}

impl World {
    pub fn time(&self) -> MonotonicTime {
        MonotonicTime(Duration::from_micros(self.now))
    }

    /// Waits for what writes files.
    pub fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    pub fn plan(&mut self, after: Micros, what: Coming) {
        self.order += 1;
        self.coming.insert((self.now + after, self.order), what);
    }

    pub fn plan_in(&mut self, node: usize, after: Micros, what: Internal) {
        let life = self.nodes[node].lives;
        self.plan(after, Coming::Internal { node, life, what });
    }

    pub fn index_of(&self, id: DaemonId) -> usize {
        self.nodes.iter().position(|node| node.id == id).unwrap()
    }

    /// The nodes that are not hostile.
    pub fn honest(&self) -> Range<usize> {
        0..self.nodes.len() - usize::from(self.hostile.is_some())
    }

    pub fn is_honest(&self, node: usize) -> bool {
        self.honest().contains(&node)
    }

    pub fn is_up(&self, node: usize) -> bool {
        self.nodes[node].life.is_some()
    }

    pub fn start(&mut self, node: usize) {
        self.trace.note(self.now, node, &"starts");
        let seed = self.seed ^ self.nodes[node].lives;
        let it = &mut self.nodes[node];
        it.lives += 1;
        let registry = it.registry.clone();
        it.life = Some(Life {
            hub: Hub::new(self.timing, seed),
            pulls: BTreeMap::new(),
            calls: BTreeMap::new(),
            tokens: KnownTokens::default(),
            pairings: Pairings::new(registry.clone()),
            pairing: Pairing::new(registry, Duration::from_secs(300)),
            session: None,
            joining: false,
            rereads: BTreeMap::new(),
            damaged_rows: it.log.store().damaged_rows(),
        });
        self.update_peers(node);
        self.log_grew(node);
        self.input(node, Input::Enable(true));
    }

    /// Someone on this machine writes events.
    pub fn write(&mut self, node: usize, count: u64) {
        for _ in 0..count {
            match self.nodes[node].log.append() {
                Ok((id, chain)) => {
                    self.nodes[node].acknowledged.insert(id);
                    self.truth.insert(chain);
                    self.written += 1;
                }
                Err(_) => self.marks.hit("the disk was full"),
            }
        }
        self.log_grew(node);
    }

    pub fn log_grew(&mut self, node: usize) {
        let head = self.nodes[node].log.store().head().position.sequence;
        self.input(node, Input::Head(head));
    }

    /// The next thing happens. False if there is none before `until`.
    pub fn happen(&mut self, until: Micros) -> bool {
        let wake = |node: &Node| {
            let at = node.life.as_ref()?.hub.next_wake()?;
            let at = u64::try_from(at.0.as_nanos().div_ceil(1000)).unwrap_or(u64::MAX);
            Some(at.max(node.asleep.unwrap_or(0)))
        };
        let wakes = self.nodes.iter().enumerate().filter_map(|(n, node)| Some((wake(node)?, n)));
        let wake = wakes.min();
        let coming = self.coming.keys().next().map(|(at, _)| *at);
        let at = wake.map(|(at, _)| at).into_iter().chain(coming).min().unwrap_or(u64::MAX);
        if at > until {
            self.now = self.now.max(until);
            return false;
        }
        self.now = self.now.max(at);
        self.ids.set_time(self.now);
        if coming == Some(at)
            && let Some((_, coming)) = self.coming.pop_first()
        {
            self.come(coming);
        } else if let Some((_, node)) = wake {
            self.input(node, Input::Tick);
        }
        true
    }

    pub fn run_for(&mut self, span: Micros) {
        let until = self.now + span;
        while self.happen(until) {}
    }

    /// Runs until `done`; false if that takes longer than `bound`.
    pub fn run_until(&mut self, bound: Micros, done: impl Fn(&Self) -> bool) -> bool {
        let until = self.now + bound;
        loop {
            if done(self) {
                return true;
            }
            if !self.happen(until) {
                return false;
            }
        }
    }

    fn is_asleep(&self, node: usize) -> bool {
        self.nodes[node].asleep.is_some_and(|until| until > self.now)
    }

    /// The machine stands still for this long, and its clock with it.
    pub fn sleep(&mut self, node: usize, span: Micros) {
        self.nodes[node].asleep = Some(self.now + span);
        self.plan_in(node, span, Internal::WakeUp);
    }

    /// What stood still goes on.
    pub fn wake_up(&mut self, node: usize) {
        self.nodes[node].asleep = None;
        for what in std::mem::take(&mut self.nodes[node].postponed) {
            self.plan_in(node, 0, what);
        }
        // The driver notices by its two clocks.
        self.input(node, Input::SyncNow(None));
    }

    fn come(&mut self, coming: Coming) {
        match coming {
            // Nothing arrives at a machine that sleeps.
            Coming::Request { to, .. } | Coming::Reply { to, .. } if self.is_asleep(to) => {}
            Coming::Request { to, from, call, message } => {
                let reply = match self.is_up(to) {
                    true => self.serve(to, from, *message),
                    false => Reply::ConnectionRefused,
                };
                let Some(reply) = self.twist_reply(to, from, reply) else { return };
                let life = self.nodes[from].lives;
                match self.net.arrivals(to, from, &mut self.choices).first() {
                    Some(after) => self.plan(*after, Coming::Reply { to: from, life, call, reply }),
                    None => self.marks.hit("an answer was lost"),
                }
            }
            Coming::Reply { to, life, call, reply } if self.nodes[to].lives == life => {
                let calls = self.nodes[to].life.as_mut().map(|life| &mut life.calls);
                if let Some(call) = calls.and_then(|calls| calls.remove(&call)) {
                    self.answered(to, call, Some(reply));
                }
            }
            Coming::Internal { node, life, what } if self.nodes[node].lives == life => {
                if self.is_asleep(node) {
                    self.nodes[node].postponed.push(what);
                } else if matches!(what, Internal::WakeUp) {
                    if self.nodes[node].asleep.is_some() {
                        self.wake_up(node);
                    }
                } else if self.is_up(node) {
                    self.go_on(node, what);
                }
            }
            Coming::Reply { .. } | Coming::Internal { .. } => {}
            Coming::HostileTurn => self.hostile_turn(),
        }
    }

    /// Adds a call that is under way; answers its number.
    pub fn new_call(&mut self, node: usize, peer: usize, what: Asked) -> u64 {
        self.calls += 1;
        self.requests += 1;
        if let Some(life) = &mut self.nodes[node].life {
            life.calls.insert(self.calls, crate::node::Call { peer, what });
        }
        self.calls
    }
}
