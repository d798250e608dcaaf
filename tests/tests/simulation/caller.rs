//! What a daemon does of itself: gives its hub inputs and does what the hub says, as the driver and
//! its tasks do.

use thrum_api::peer::{Notified, NotifyParams, PullPage, Run};
use thrum_api::proof::Chain;
use thrum_api::{DaemonId, ErrorCode, LogPosition};
use thrumd::log::{Applied, Batch, IncomingPage};
use thrumd::sync::hub::{
    Action, Failure, FailureKind, Input, NotifyRequest, NotifyResult, OperationId, PullReason,
    PullResult,
};
use thrumd::sync::protocol::{Pull, Step, notification, request, split};

use crate::net::{Message, Reply, Request};
use crate::node::{Asked, Call, Life, Pulling};
use crate::proof::chains_of_valid;
use crate::world::{Coming, Internal, Micros, World, millis, ready, seconds};

impl World {
    /// Gives the hub of a living node an input and does what it says.
    pub fn input(&mut self, node: usize, input: Input) {
        let now = self.time();
        let Some(life) = &mut self.nodes[node].life else { return };
        self.trace.note(self.now, node, &input);
        let failing =
            |life: &Life, peer| life.hub.snapshot(peer).is_some_and(|view| view.failures > 0);
        let heard = match &input {
            Input::RequestReceived(peer) => failing(life, *peer),
            _ => false,
        };
        let ended = matches!(&input, Input::PullFinished { result: PullResult::Done { .. }, .. });
        let needed = matches!(&input, Input::PullNeeded { .. });
        let actions = life.hub.handle(now, input);
        let pulls = actions.iter().any(|action| matches!(action, Action::Pull { .. }));
        if heard && pulls {
            self.marks.hit("a back-off was ended by a call");
        }
        if ended && pulls {
            self.marks.hit("a rerun after single flight");
        }
        if needed {
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

    fn act(&mut self, node: usize, action: Action) {
        let soon = self.choices.up_to(millis(2));
        let tokens = self.nodes[node].life.as_ref().map(|life| &life.tokens);
        let token = |peer| tokens.and_then(|tokens| tokens.token(peer));
        let internal = match action {
            Action::Pull { peer, operation, reason } => {
                match reason {
                    PullReason::Periodic => self.marks.hit("a periodic pull"),
                    PullReason::Probe => self.marks.hit("a closed connection led to a pull"),
                    _ => {}
                }
                let peer = self.index_of(peer);
                return self.begin_pull(node, peer, operation);
            }
            Action::Notify { peer, operation, wanted } => {
                Internal::Notify { peer: self.index_of(peer), operation, wanted }
            }
            Action::ResetCheckpoint { peer, operation } => {
                self.marks.hit("a checkpoint was reset");
                Internal::ResetCheckpoint { peer: self.index_of(peer), operation }
            }
            Action::MarkRemoved { peer, removed } => {
                let Some(token) = token(peer) else { return };
                Internal::MarkRemoved { peer: self.index_of(peer), token, removed }
            }
            Action::ConfirmPairing(peer) => {
                let Some(token) = token(peer) else { return };
                Internal::ConfirmPairing { peer: self.index_of(peer), token }
            }
            Action::DropPairing(peer) => {
                let Some(token) = token(peer) else { return };
                Internal::DropPairing { peer: self.index_of(peer), token }
            }
        };
        self.plan_in(node, soon, internal);
    }

    /// Something that was under way inside a living node goes on.
    pub fn go_on(&mut self, node: usize, what: Internal) {
        match what {
            Internal::TimeOut(call) => {
                let calls = self.nodes[node].life.as_mut().map(|life| &mut life.calls);
                if let Some(call) = calls.and_then(|calls| calls.remove(&call)) {
                    self.answered(node, call, None);
                }
            }
            Internal::ConnectionClosed { peer } => {
                let peer = self.nodes[peer].id;
                self.input(node, Input::ConnectionClosed(peer));
            }
            Internal::Notify { peer, operation, wanted } => {
                self.notify(node, peer, operation, wanted);
            }
            Internal::Apply { operation, batch, valid } => {
                self.apply(node, operation, &batch, &valid);
            }
            Internal::ResetCheckpoint { peer, operation } => {
                let peer = self.nodes[peer].id;
                // The driver goes on if it fails, too.
                drop(self.nodes[node].log.store().reset_checkpoint(peer));
                self.input(node, Input::CheckpointReset { peer, operation });
            }
            pairing => self.pairing_goes_on(node, pairing),
        }
    }

    fn begin_pull(&mut self, node: usize, peer: usize, operation: OperationId) {
        let id = self.nodes[peer].id;
        let Some(entry) = self.nodes[node].registry.get(id) else {
            let result = PullResult::Failed(Failure::no_peer());
            return self.input(node, Input::PullFinished { peer: id, operation, result });
        };
        let from = self.nodes[node].log.store().checkpoint(id).unwrap();
        let (pull, first) = Pull::begin(id, from);
        if let Some(life) = &mut self.nodes[node].life {
            life.pulls.insert(operation, Pulling { peer, token: entry.token, pull });
        }
        self.step(node, operation, vec![first]);
    }

    fn step(&mut self, node: usize, operation: OperationId, steps: Vec<Step<Vec<Run>>>) {
        if steps.len() == 2 && matches!(steps[1], Step::Fetch(_)) {
            self.marks.hit("a page was pipelined");
        }
        for step in steps {
            match step {
                Step::Fetch(after) => self.fetch(node, operation, after),
                Step::Apply { page, checkpoint } => {
                    let Some(pulling) = self.pulling(node, operation) else { return };
                    let (batch, peer) = (pulling.pull.batch(checkpoint), pulling.peer);
                    // An honest machine sends nothing else.
                    let valid = match self.is_honest(peer) {
                        true => Vec::new(),
                        false => chains_of_valid(&page),
                    };
                    let batch = Box::new(Batch { page: IncomingPage::read(page), ..batch });
                    let takes = self.choices.up_to(millis(30));
                    self.plan_in(node, takes, Internal::Apply { operation, batch, valid });
                }
                Step::End(result) => self.end_pull(node, operation, result),
            }
        }
    }

    fn pulling(&mut self, node: usize, operation: OperationId) -> Option<&mut Pulling> {
        self.nodes[node].life.as_mut()?.pulls.get_mut(&operation)
    }

    /// Whether the peer of this pull was neither removed nor paired again since.
    fn is_still(&mut self, node: usize, operation: OperationId) -> bool {
        let Some(Pulling { peer, token, .. }) = self.pulling(node, operation) else { return false };
        let (peer, token) = (*peer, token.clone());
        let entry = self.nodes[node].registry.get(self.nodes[peer].id);
        entry.is_some_and(|entry| entry.token.matches(token.expose()))
    }

    fn pull_goes_on(
        &mut self,
        node: usize,
        operation: OperationId,
        turn: impl FnOnce(&mut Pull<Vec<Run>>) -> Vec<Step<Vec<Run>>>,
    ) {
        if let Some(pulling) = self.pulling(node, operation) {
            let steps = turn(&mut pulling.pull);
            self.step(node, operation, steps);
        }
    }

    fn fetch(&mut self, node: usize, operation: OperationId, after: LogPosition) {
        let is_still = self.is_still(node, operation);
        let Some(pulling) = self.pulling(node, operation) else { return };
        let since = pulling.pull.have_since();
        let have = self.nodes[node].log.store().heads(since);
        let have = have.map_err(Failure::from);
        let have = have.and_then(|have| if is_still { Ok(have) } else { Err(Failure::no_peer()) });
        let mut params = match have {
            Ok(have) => request(after, have, self.page_limit),
            Err(failure) => {
                let result = PullResult::Failed(failure);
                return self.pull_goes_on(node, operation, |pull| pull.refused(result));
            }
        };
        if self.nodes[node].old {
            (params.have, params.after_hash) = (None, None);
        }
        let Some(pulling) = self.pulling(node, operation) else { return };
        let (peer, token) = (pulling.peer, Some(pulling.token.clone()));
        let message = Message { token, request: Request::Pull(params) };
        self.call(node, peer, Asked::Page(operation), message, seconds(180));
    }

    fn apply(&mut self, node: usize, operation: OperationId, batch: &Batch, valid: &[Chain]) {
        let outcome = match self.is_still(node, operation) {
            true => self.nodes[node].log.apply(batch).map_err(Failure::from),
            false => Err(Failure::no_peer()),
        };
        self.trace.note(self.now, node, &outcome);
        match &outcome {
            Ok(applied) => {
                self.count(node, batch.peer, applied);
                self.check_taken(node, applied, valid);
            }
            Err(_) => self.marks.hit("a page was not applied"),
        }
        let ours = self.nodes[node].log.store().head().position.sequence;
        self.pull_goes_on(node, operation, |pull| pull.applied(outcome, ours));
    }

    fn end_pull(&mut self, node: usize, operation: OperationId, result: PullResult) {
        let now = self.time();
        let it = &mut self.nodes[node];
        let Some(life) = &mut it.life else { return };
        let Some(Pulling { peer, pull, .. }) = life.pulls.remove(&operation) else { return };
        match &result {
            PullResult::Failed(failure) if failure.kind == FailureKind::Unreachable => {
                self.marks.hit("a back-off");
            }
            PullResult::Failed(failure) if failure.kind == FailureKind::BadAnswer => {
                self.check_bad_answer(node, peer, &failure.text);
            }
            _ => {}
        }
        let Some(life) = &mut self.nodes[node].life else { return };
        let rereads = life.rereads.entry(peer).or_default();
        let result = pull.finish(result, |is_withheld| rereads.after_pull(is_withheld, now));
        let peer = self.nodes[peer].id;
        self.input(node, Input::PullFinished { peer, operation, result });
    }

    /// Counts events that came over the wire, and tells the hub if the log grew.
    pub fn count(&mut self, node: usize, peer: DaemonId, applied: &Applied) {
        self.received += (applied.applied + applied.skipped) as u64;
        self.duplicates += applied.skipped as u64;
        if applied.skipped > 0 {
            self.marks.hit("a duplicate by relay");
        }
        if applied.new_epoch {
            self.marks.hit("an epoch began");
        }
        self.check_applied(node, peer, applied);
        if applied.applied > 0 {
            self.log_grew(node);
        }
        self.look_for_damage(node);
    }

    /// After events were read or stored: the driver asks the peers for rows that were found damaged.
    pub fn look_for_damage(&mut self, node: usize) {
        let found = self.nodes[node].log.store().damaged_rows();
        let Some(life) = &mut self.nodes[node].life else { return };
        if std::mem::replace(&mut life.damaged_rows, found) < found {
            self.marks.hit("a damaged row was found");
            self.input(node, Input::SyncNow(None));
        }
    }

    fn notify(&mut self, node: usize, peer: usize, operation: OperationId, wanted: NotifyRequest) {
        let id = self.nodes[peer].id;
        let Some(entry) = self.nodes[node].registry.get(id) else {
            let result = NotifyResult::Failed(Failure::no_peer());
            return self.input(node, Input::NotifyFinished { peer: id, operation, result });
        };
        let name = format!("node-{node}");
        let composed = ready(notification(&self.nodes[node].log, id, &name, wanted, &self.timing));
        self.look_for_damage(node);
        let result = match composed {
            Ok(mut params) => {
                if self.nodes[node].old {
                    let latest = LogPosition { hash: None, ..params.latest() };
                    params = NotifyParams::of(params.daemon_id, latest);
                }
                let latest = params.latest();
                let asked = Asked::Notified(operation, latest);
                let message = Message {
                    token: Some(entry.token),
                    request: Request::Notify(Box::new(params)),
                };
                return self.call(node, peer, asked, message, seconds(10));
            }
            Err(result) => result,
        };
        if let NotifyResult::Deferred { delay, .. } = &result {
            let relay = *delay == self.timing.relay_delay;
            self.marks.hit(if relay { "relayed news waited" } else { "an echo waited" });
        }
        self.input(node, Input::NotifyFinished { peer: id, operation, result });
    }

    pub fn call(
        &mut self,
        node: usize,
        peer: usize,
        what: Asked,
        message: Message,
        patience: Micros,
    ) {
        let message = match what {
            Asked::Nothing => message,
            _ => self.twist_request(node, peer, message),
        };
        let call = self.new_call(node, peer, what);
        let arrivals = self.net.arrivals(node, peer, &mut self.choices);
        if arrivals.len() > 1 {
            self.marks.hit("a request came twice");
        }
        for after in arrivals {
            let message = Box::new(message.clone());
            self.plan(after, Coming::Request { to: peer, from: node, call, message });
        }
        self.plan_in(node, patience, Internal::TimeOut(call));
    }

    /// The answer to a call; None: it didn't come in time.
    pub fn answered(&mut self, node: usize, call: Call, reply: Option<Reply>) {
        let peer = self.nodes[call.peer].id;
        match call.what {
            Asked::Page(operation) => {
                let page: Result<Box<PullPage>, _> = match reply {
                    Some(Reply::Page(page)) => Ok(page),
                    Some(Reply::Refused(error)) if error.code == ErrorCode::OTHER_LOG => {
                        Err(PullResult::OtherLog)
                    }
                    other => Err(PullResult::Failed(failure(other))),
                };
                self.pull_goes_on(node, operation, |pull| match page {
                    Ok(page) => {
                        let (header, runs) = split(*page);
                        pull.page(header, runs)
                    }
                    Err(result) => pull.refused(result),
                });
            }
            Asked::Notified(operation, latest) => {
                let result = match reply {
                    Some(Reply::Notified(Notified { held_seq: confirmed, known })) => {
                        NotifyResult::Answered { latest, confirmed, known }
                    }
                    other => NotifyResult::Failed(failure(other)),
                };
                self.input(node, Input::NotifyFinished { peer, operation, result });
            }
            Asked::Goodbye => {
                if let Some(Reply::Notified(Notified { .. })) = reply {
                    self.marks.hit("a goodbye arrived");
                }
            }
            Asked::Nothing => {}
            Asked::Pair => self.pair_answered(node, call.peer, reply),
            Asked::Confirm(token, tries) => {
                self.confirm_answered(node, call.peer, token, tries, reply);
            }
        }
    }
}

/// What the client makes of an answer that is none.
fn failure(reply: Option<Reply>) -> Failure {
    let (kind, text) = match reply {
        Some(Reply::Refused(error)) if error.code == ErrorCode::NOT_AUTHENTICATED => {
            (FailureKind::TokenRefused, error.message)
        }
        Some(Reply::Refused(error)) => return Failure::bad_answer(error.message),
        Some(_) => (FailureKind::Unreachable, "connection refused".to_owned()),
        None => (FailureKind::Unreachable, "no answer".to_owned()),
    };
    Failure { kind, text }
}
