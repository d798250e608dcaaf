//! What a daemon does of itself: gives its hub inputs and does what the hub says, as the driver and
//! its tasks do.

use thrum_api::{Epoch, Place};
use thrumd::sync::hub::{
    Action, Failure, FailureKind, Input, NotifyResult, OperationId, PageHeader, PullPipeline,
    PullReason, PullResult, Step,
};

use crate::log::Served;
use crate::net::{Reply, Request};
use crate::node::{Asked, Call, Life};
use crate::world::{Coming, Micros, World, millis, seconds};

pub fn line(text: &str) -> Failure {
    Failure { kind: FailureKind::Unreachable, text: text.to_owned() }
}

impl World {
    /// Gives the hub of a living node an input and does what it says.
    pub fn input(&mut self, node: usize, input: Input) {
        let now = self.moment();
        let Some(life) = &mut self.nodes[node].life else { return };
        self.trace.note(self.now, node, &input);
        let failing =
            |life: &Life, peer| life.hub.snapshot(peer).is_some_and(|view| view.failures > 0);
        let heard = match &input {
            Input::RequestReceived(peer) => failing(life, *peer),
            _ => false,
        };
        let ended = matches!(&input, Input::PullFinished { result: PullResult::Done { .. }, .. });
        let lacking = matches!(&input, Input::PullNeeded { .. });
        let actions = life.hub.handle(now, input);
        let pulls = actions.iter().any(|action| matches!(action, Action::Pull { .. }));
        if heard && pulls {
            self.marks.hit("a back-off was ended by a call");
        }
        if ended && pulls {
            self.marks.hit("a rerun after single flight");
        }
        if lacking {
            let later = life.hub.next_wake().map(|at| at.since(now));
            self.marks.hit("a notification led to a pull");
            if !pulls && later.is_some_and(|wait| wait == self.timing.triangle_wait) {
                self.marks.hit("a pull waited for the triangle");
            }
        }
        for action in actions {
            self.trace.note(self.now, node, &action);
            self.act(node, action);
        }
    }

    pub fn act(&mut self, node: usize, action: Action) {
        let life = self.nodes[node].lives;
        let soon = self.choices.up_to(millis(2));
        match action {
            Action::Pull { peer, operation, reason } => {
                if reason == PullReason::Periodic {
                    self.marks.hit("a periodic pull");
                }
                let (place, epoch) = self.nodes[node].log.checkpoint(peer);
                let (flight, first) = PullPipeline::begin(place, epoch);
                let peer = self.index_of(peer);
                if let Some(life) = &mut self.nodes[node].life {
                    life.flights.insert(peer, (operation, flight));
                }
                self.step(node, peer, operation, vec![first]);
            }
            Action::Notify {
                peer,
                operation,
                examined: unseen,
                sent: held,
                include_events: window,
                due,
            } => {
                let peer = self.index_of(peer);
                self.plan(
                    soon,
                    Coming::Look { node, life, peer, operation, unseen, held, window, due },
                );
            }
            Action::ResetCheckpoint { peer, operation } => {
                self.marks.hit("a checkpoint was reset");
                let peer = self.index_of(peer);
                self.plan(soon, Coming::Forgotten { node, life, peer, operation });
            }
            Action::MarkRemoved { .. } | Action::ConfirmPairing(_) | Action::DropPairing(_) => {
                unreachable!("nobody is removed here: {action:?}")
            }
        }
    }

    pub fn step(
        &mut self,
        node: usize,
        peer: usize,
        operation: OperationId,
        steps: Vec<Step<Vec<Served>>>,
    ) {
        let life = self.nodes[node].lives;
        if steps.len() == 2 && matches!(steps[1], Step::Fetch(_)) {
            self.marks.hit("a page was pipelined");
        }
        for step in steps {
            match step {
                Step::Fetch(after) => {
                    let have = self.nodes[node].log.heads();
                    let call = Call { peer, operation, what: Asked::Page };
                    self.call(node, call, Request::Pull { after, have }, seconds(180));
                }
                Step::Apply { page, checkpoint } => {
                    let takes = self.choices.up_to(millis(30));
                    self.plan(
                        takes,
                        Coming::Applied { node, life, peer, operation, page, checkpoint },
                    );
                }
                Step::End(end) => {
                    if let Some(life) = &mut self.nodes[node].life {
                        life.flights.remove(&peer);
                    }
                    if matches!(&end, PullResult::Failed(f) if f.kind == FailureKind::Unreachable) {
                        self.marks.hit("a back-off");
                    }
                    let id = self.nodes[peer].id;
                    self.input(node, Input::PullFinished { peer: id, operation, result: end });
                }
            }
        }
    }

    pub fn flight(
        &mut self,
        node: usize,
        peer: usize,
        operation: OperationId,
        turn: impl FnOnce(&mut PullPipeline<Vec<Served>>) -> Vec<Step<Vec<Served>>>,
    ) {
        let Some(life) = &mut self.nodes[node].life else { return };
        let Some((at, flight)) = life.flights.get_mut(&peer) else { return };
        if *at == operation {
            let steps = turn(flight);
            self.step(node, peer, operation, steps);
        }
    }

    pub fn call(&mut self, node: usize, call: Call, request: Request, patience: Micros) {
        self.calls += 1;
        self.requests += 1;
        let number = self.calls;
        let life = self.nodes[node].lives;
        if let Some(life) = &mut self.nodes[node].life {
            life.calls.insert(number, call);
        }
        let arrivals = self.net.arrivals(node, call.peer, &mut self.choices);
        if arrivals.len() > 1 {
            self.marks.hit("a request came twice");
        }
        for after in arrivals {
            let request = request.clone();
            let to = call.peer;
            self.plan(after, Coming::Request { to, from: node, call: number, request });
        }
        self.plan(patience, Coming::TimeOut { node, life, call: number });
    }

    pub fn apply(
        &mut self,
        node: usize,
        peer: usize,
        page: &[Served],
        checkpoint: Option<Place>,
        epoch: Option<Epoch>,
    ) {
        let id = self.nodes[peer].id;
        let applied = self.nodes[node].log.apply(id, page, checkpoint, epoch, &mut self.ids);
        self.trace.note(self.now, node, &applied);
        self.received += page.len() as u64;
        self.duplicates += applied.same;
        for (happened, mark) in [
            (applied.same > 0, "a duplicate by relay"),
            (applied.new_epoch, "an epoch began by a page"),
            (applied.forked, "an origin forked"),
            (applied.own_came_back, "own events came back"),
        ] {
            if happened {
                self.marks.hit(mark);
            }
        }
        if applied.new > 0 {
            self.log_grew(node);
        }
    }

    /// The client side of a telling, as `sync::tell` does it.
    pub fn look(
        &mut self,
        node: usize,
        peer: usize,
        operation: OperationId,
        what: (Place, Place, bool, bool),
    ) {
        let (unseen, held, with_window, due) = what;
        let id = self.nodes[peer].id;
        let mut news = self.nodes[node].log.news(id, if due { held } else { unseen });
        if !due {
            let delay = self.timing.notify_delay(news.own, news.concerns_peer);
            if !delay.is_zero() {
                let relay = delay == self.timing.relay_delay;
                self.marks.hit(if relay { "relayed news waited" } else { "an echo waited" });
                let result = NotifyResult::Deferred { delay, examined: news.head };
                return self.input(node, Input::NotifyFinished { peer: id, operation, result });
            }
            news = self.nodes[node].log.news(id, held);
        }
        let window = news.window.filter(|window| with_window && !window.is_empty());
        let request = Request::Notify {
            latest: news.head,
            after: window.as_ref().map(|_| held),
            window: window.unwrap_or_default(),
            heads: news.heads,
        };
        let call = Call { peer, operation, what: Asked::Told { latest: news.head } };
        self.call(node, call, request, seconds(10));
    }

    pub fn answered(&mut self, node: usize, call: Call, reply: Reply) {
        let peer = self.nodes[call.peer].id;
        match (call.what, reply) {
            (Asked::Page, Reply::Page(page)) => {
                let facts = PageHeader {
                    sequences: page.events.iter().map(|(place, _)| *place).collect(),
                    next: page.next,
                    more_available: page.more,
                    head: page.head,
                    epoch: Some(page.epoch),
                };
                let turn = |flight: &mut PullPipeline<_>| flight.page(&facts, page.events);
                self.flight(node, call.peer, call.operation, turn);
            }
            (Asked::Page, Reply::OtherLog) => self.failed(node, call, PullResult::OtherLog),
            (Asked::Told { latest }, Reply::Held(held)) => {
                let result = NotifyResult::Answered { latest, confirmed: held };
                self.input(node, Input::NotifyFinished { peer, operation: call.operation, result });
            }
            _ => self.failed(node, call, PullResult::Failed(line("connection refused"))),
        }
    }

    pub fn failed(&mut self, node: usize, call: Call, end: PullResult) {
        let peer = self.nodes[call.peer].id;
        match (call.what, end) {
            (Asked::Page, end) => {
                self.flight(node, call.peer, call.operation, |flight| flight.refused(end));
            }
            (Asked::Told { .. }, PullResult::Failed(failure)) => {
                let result = NotifyResult::Failed(failure);
                self.input(node, Input::NotifyFinished { peer, operation: call.operation, result });
            }
            (Asked::Told { .. }, end) => unreachable!("a telling ended as {end:?}"),
        }
    }
}
