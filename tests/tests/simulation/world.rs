//! The machines, the wires between them, and the clock. Runs what the hubs ask for.

use std::collections::BTreeMap;
use std::time::Duration;

use thrum_api::{DaemonId, Place, Sequence};
use thrumd::config::Cadence;
use thrumd::sync::hub::{Hub, Input, MonotonicTime, OperationId, PairingState, PullResult, Timing};

use crate::caller::line;
use crate::choices::Choices;
use crate::log::{Ids, Served, SimLog};
use crate::marks::Marks;
use crate::net::{Net, Reply, Request};
use crate::node::{Life, Node};
use crate::trace::Trace;

/// Virtual time.
pub type Micros = u64;

pub const fn millis(n: u64) -> Micros {
    n * 1000
}

pub const fn seconds(n: u64) -> Micros {
    n * 1_000_000
}

/// What will happen.
pub enum Coming {
    Request {
        to: usize,
        from: usize,
        call: u64,
        request: Request,
    },
    Reply {
        to: usize,
        life: u64,
        call: u64,
        reply: Reply,
    },
    TimeOut {
        node: usize,
        life: u64,
        call: u64,
    },
    Look {
        node: usize,
        life: u64,
        peer: usize,
        operation: OperationId,
        unseen: Place,
        held: Place,
        window: bool,
        due: bool,
    },
    Applied {
        node: usize,
        life: u64,
        peer: usize,
        operation: OperationId,
        page: Vec<Served>,
        checkpoint: Place,
    },
    Forgotten {
        node: usize,
        life: u64,
        peer: usize,
        operation: OperationId,
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
    pub seed: u64,
    pub calls: u64,
    pub coming: BTreeMap<(Micros, u64), Coming>,
    pub order: u64,
}

impl World {
    /// 2 to 4 machines, connected somehow, on a bad day.
    pub fn new(seed: u64) -> Self {
        let mut choices = Choices::new(seed);
        let count = 2 + choices.index(3);
        let mut edges = Vec::new();
        for node in 1..count {
            edges.push((choices.index(node), node));
            for other in 0..node {
                if !edges.contains(&(other, node)) && choices.percent(50) {
                    edges.push((other, node));
                }
            }
        }
        let net = Net::bad(&mut choices);
        Self::build(seed, choices, net, count, &edges)
    }

    /// These machines and pairings, and a network without faults.
    pub fn quiet(count: usize, edges: &[(usize, usize)]) -> Self {
        Self::build(0, Choices::none(), Net::quiet(), count, edges)
    }

    fn build(
        seed: u64,
        choices: Choices,
        net: Net,
        count: usize,
        edges: &[(usize, usize)],
    ) -> Self {
        let mut ids = Ids::default();
        let mut nodes: Vec<Node> = (0..count)
            .map(|_| {
                let id = DaemonId::from_ulid(ids.draw());
                Node {
                    id,
                    log: SimLog::new(id, &mut ids),
                    backup: None,
                    acknowledged: Default::default(),
                    life: None,
                    lives: 0,
                    peers: Vec::new(),
                }
            })
            .collect();
        for (a, b) in edges {
            nodes[*a].peers.push(*b);
            nodes[*b].peers.push(*a);
        }
        let cadence =
            Cadence { interval: Duration::from_secs(300), recent: Duration::from_secs(120) };
        let mut world = Self {
            now: 0,
            nodes,
            net,
            choices,
            marks: Marks::default(),
            trace: Trace::default(),
            ids,
            received: 0,
            duplicates: 0,
            requests: 0,
            written: 0,
            timing: Timing::new(cadence),
            seed,
            calls: 0,
            coming: BTreeMap::new(),
            order: 0,
        };
        (0..count).for_each(|node| world.start(node));
        world
    }

    pub fn moment(&self) -> MonotonicTime {
        MonotonicTime(Duration::from_micros(self.now))
    }

    pub fn plan(&mut self, after: Micros, what: Coming) {
        self.order += 1;
        self.coming.insert((self.now + after, self.order), what);
    }

    pub fn index_of(&self, id: DaemonId) -> usize {
        self.nodes.iter().position(|node| node.id == id).unwrap_or(usize::MAX)
    }

    pub fn is_up(&self, node: usize) -> bool {
        self.nodes[node].life.is_some()
    }

    pub fn start(&mut self, node: usize) {
        self.trace.note(self.now, node, &"starts");
        let seed = self.seed ^ self.nodes[node].lives;
        let hub = Hub::new(self.timing, seed);
        self.nodes[node].lives += 1;
        self.nodes[node].life =
            Some(Life { hub, flights: BTreeMap::new(), calls: BTreeMap::new() });
        let facts = PairingState { generation: 0, unconfirmed: false, removed_us: false };
        let peers = self.nodes[node].peers.iter();
        let peers = peers.map(|peer| (self.nodes[*peer].id, facts)).collect();
        let head = self.nodes[node].log.head().sequence;
        self.input(node, Input::Peers(peers));
        self.input(node, Input::Head(head));
        self.input(node, Input::Enable(true));
    }

    pub fn crash(&mut self, node: usize) {
        self.trace.note(self.now, node, &"crashes");
        if let Some(life) = self.nodes[node].life.take()
            && !life.flights.is_empty()
        {
            self.marks.hit("a crash in the middle of a pull");
        }
    }

    /// Someone on this machine writes events.
    pub fn write(&mut self, node: usize, count: u64) {
        for _ in 0..count {
            let id = self.nodes[node].log.append(&mut self.ids);
            self.nodes[node].acknowledged.insert(id);
            self.written += 1;
        }
        self.log_grew(node);
    }

    pub fn log_grew(&mut self, node: usize) {
        let head = self.nodes[node].log.head().sequence;
        self.input(node, Input::Head(head));
    }

    /// The next thing happens. False if there is none before `until`.
    pub fn happen(&mut self, until: Micros) -> bool {
        let wake = |node: &Node| {
            let moment = node.life.as_ref()?.hub.next_wake()?;
            Some(u64::try_from(moment.0.as_nanos().div_ceil(1000)).unwrap_or(u64::MAX))
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

    pub fn lives(&self, node: usize, life: u64) -> bool {
        self.is_up(node) && self.nodes[node].lives == life
    }

    pub fn come(&mut self, coming: Coming) {
        match coming {
            Coming::Request { to, from, call, request } => {
                let reply =
                    if self.is_up(to) { self.serve(to, from, request) } else { Reply::Refused };
                let life = self.nodes[from].lives;
                match self.net.arrivals(to, from, &mut self.choices).first() {
                    Some(after) => self.plan(*after, Coming::Reply { to: from, life, call, reply }),
                    None => self.marks.hit("an answer was lost"),
                }
            }
            Coming::Reply { to, life, call, reply } if self.lives(to, life) => {
                let calls = self.nodes[to].life.as_mut().map(|life| &mut life.calls);
                if let Some(call) = calls.and_then(|calls| calls.remove(&call)) {
                    self.answered(to, call, reply);
                }
            }
            Coming::TimeOut { node, life, call } if self.lives(node, life) => {
                let calls = self.nodes[node].life.as_mut().map(|life| &mut life.calls);
                if let Some(call) = calls.and_then(|calls| calls.remove(&call)) {
                    self.failed(node, call, PullResult::Failed(line("no answer")));
                }
            }
            Coming::Look { node, life, peer, operation, unseen, held, window, due }
                if self.lives(node, life) =>
            {
                self.look(node, peer, operation, (unseen, held, window, due));
            }
            Coming::Applied { node, life, peer, operation, page, checkpoint }
                if self.lives(node, life) =>
            {
                let flights = self.nodes[node].life.as_ref().map(|life| &life.flights);
                let epoch = flights.and_then(|all| all.get(&peer)?.1.epoch());
                self.apply(node, peer, &page, Some(checkpoint), epoch);
                self.flight(node, peer, operation, |flight| flight.applied(Ok(())));
            }
            Coming::Forgotten { node, life, peer, operation } if self.lives(node, life) => {
                let id = self.nodes[peer].id;
                self.nodes[node].log.reset_checkpoint(id);
                self.input(node, Input::CheckpointReset { peer: id, operation });
            }
            _ => {}
        }
    }

    /// Who waits for what, and what happened last.
    pub fn report(&self) -> String {
        let mut text = format!(
            "{} requests, {} events received, {} of them held already, {} written\n",
            self.requests, self.received, self.duplicates, self.written
        );
        let all: std::collections::BTreeSet<_> =
            self.nodes.iter().flat_map(|node| node.log.ids()).collect();
        for (n, node) in self.nodes.iter().enumerate() {
            let held = node.log.ids();
            let lacks: Vec<String> =
                all.difference(&held).map(|id| id.ulid().0.to_string()).collect();
            text += &format!("node {n}: {} events, lacks {lacks:?}\n", held.len());
            for peer in &node.peers {
                let peer_id = self.nodes[*peer].id;
                let view = node.life.as_ref().and_then(|life| life.hub.snapshot(peer_id));
                let at = node.log.checkpoint(peer_id).0.sequence;
                let end: Sequence = self.nodes[*peer].log.head().sequence;
                text += &format!("  of node {peer}: checkpoint {at} of {end}, {view:?}\n");
            }
        }
        text += &self.trace.last.iter().cloned().collect::<Vec<_>>().join("\n");
        text
    }
}
