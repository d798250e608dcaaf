//! A paired machine that is hostile. It runs a daemon like any other, and whatever leaves that is twisted at random;
//! beside that it sends what it likes.

use std::collections::BTreeSet;

use thrum_api::peer::{NotifyParams, PullPage, PullParams, Run};
use thrum_api::{DaemonId, LogPosition, Sequence};
use thrumd::log::{PageAnswer, PageRequest};

use crate::act::Act;
use crate::choices::Choices;
use crate::lines::Lines;
use crate::log::{Ids, SimLog};
use crate::net::{Message, Reply, Request};
use crate::node::Asked;
use crate::truth::INTRODUCED_MAX;
use crate::world::{Coming, World, millis, seconds};

/// How many messages it keeps to send them again.
const KEPT: usize = 20;

pub struct Hostile {
    /// Its own, so that the day of the others is the same without it. When they are used up it does nothing any more.
    pub choices: Choices,
    /// The origins that it makes up.
    pub lines: Lines,
    /// Runs that it made.
    pub made: Vec<Run>,
    pub pages: Vec<PullPage>,
    pub notifications: Vec<NotifyParams>,
    /// What it did, as far as that changed something; and what of that is not in the trace yet.
    pub done: BTreeSet<Act>,
    /// It has introduced far more origins than a peer may: all its events are withheld until a disk is changed.
    pub may_introduce_none: bool,
    just_done: Vec<Act>,
}

/// What it sees when it does something.
pub struct Scene<'a> {
    pub ids: &'a Ids,
    /// Its own log.
    pub log: &'a SimLog,
    /// The machine that it talks to, and that one's checkpoint for its log.
    pub peer: DaemonId,
    pub checkpoint: LogPosition,
    pub honest: Vec<DaemonId>,
}

impl Hostile {
    pub fn new(seed: u64) -> Self {
        Self {
            choices: Choices::new(seed ^ 0x0068_6f73_7469_6c65),
            lines: Lines::default(),
            made: Vec::new(),
            pages: Vec::new(),
            notifications: Vec::new(),
            done: BTreeSet::new(),
            may_introduce_none: false,
            just_done: Vec::new(),
        }
    }

    /// Some acts of a group, often none.
    pub fn draw(&mut self, group: &[Act]) -> Vec<Act> {
        let count = self.choices.of(&[0, 0, 1, 1, 2, 5]);
        (0..count).map(|_| self.choices.of(group)).collect()
    }

    pub fn did(&mut self, act: Act) {
        self.done.insert(act);
        self.just_done.push(act);
    }

    fn twist_reply(&mut self, reply: Reply, scene: &Scene<'_>) -> Option<Reply> {
        match reply {
            Reply::Page(mut page) => {
                keep(&mut self.pages, (*page).clone(), &mut self.choices);
                self.forge(&mut page.runs, page.next_seq, scene);
                self.twist_page(*page, scene)
            }
            Reply::Notified(answer) => self.twist_answer(answer),
            other => Some(other),
        }
    }

    fn twist_request(&mut self, request: Request, scene: &Scene<'_>) -> Request {
        match request {
            Request::Notify(mut params) if !params.removed => {
                keep(&mut self.notifications, (*params).clone(), &mut self.choices);
                let mut runs = params.runs.take().unwrap_or_default();
                self.forge(&mut runs, params.latest_seq, scene);
                params.runs = (!runs.is_empty()).then_some(runs);
                Request::Notify(Box::new(self.twist_notification(*params, scene)))
            }
            Request::Pull(params) => Request::Pull(self.twist_pull(params, scene)),
            other => other,
        }
    }

    /// A pull, or a notification that no news led to.
    fn unasked(&mut self, what: Unasked, own: DaemonId, scene: &Scene<'_>) -> Request {
        let latest = scene.log.store().head().position;
        let mut runs = match what {
            Unasked::Pull => {
                let request = Request::Pull(PullParams::of(LogPosition::START));
                return self.twist_request(request, scene);
            }
            Unasked::News => scene.true_runs(),
            Unasked::Fork => self.fork(scene).into_iter().collect(),
        };
        if what == Unasked::News {
            let from = self.choices.index(runs.len());
            runs.drain(..from);
            runs.truncate(self.choices.index(5));
        }
        let mut params = NotifyParams::of(own, latest);
        (params.after_seq, params.after_hash) =
            (Some(scene.checkpoint.sequence), scene.checkpoint.hash);
        params.runs = Some(runs);
        params.heads = scene.log.store().heads(Sequence::ZERO).ok();
        let request = Request::Notify(Box::new(params));
        match what {
            Unasked::Fork => request,
            _ => self.twist_request(request, scene),
        }
    }
}

/// What it sends to all at the same time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unasked {
    Pull,
    /// Any true runs, which are twisted.
    News,
    /// To each the history of an origin that is told to it.
    Fork,
}

fn keep<T>(kept: &mut Vec<T>, new: T, choices: &mut Choices) {
    if kept.len() == KEPT {
        kept.swap_remove(choices.index(KEPT));
    }
    kept.push(new);
}

impl Scene<'_> {
    /// All that stands in the hostile machine's own log, as it would serve it if it were honest.
    pub fn true_runs(&self) -> Vec<Run> {
        let (peer, after, have) = (self.peer, LogPosition::START, Vec::new());
        let request = PageRequest { peer, after, limit: 1000, have };
        match self.log.store().page(&request) {
            Ok(PageAnswer::Page(page)) => page.runs,
            _ => Vec::new(),
        }
    }
}

impl World {
    fn hostile_node(&self) -> usize {
        self.nodes.len() - 1
    }

    /// Lets the hostile machine do something that concerns this peer.
    fn let_hostile<T>(
        &mut self,
        peer: usize,
        what: impl FnOnce(&mut Hostile, &Scene<'_>) -> T,
    ) -> Option<T> {
        let honest = self.nodes[self.honest()].iter().map(|node| node.id).collect();
        let node = self.hostile_node();
        let mut hostile = self.hostile.take()?;
        let scene = Scene {
            ids: &self.ids,
            log: &self.nodes[node].log,
            peer: self.nodes[peer].id,
            checkpoint: self.checkpoint(peer, node),
            honest,
        };
        let done = what(&mut hostile, &scene);
        for act in std::mem::take(&mut hostile.just_done) {
            self.trace.note(self.now, node, &act);
        }
        self.hostile = Some(hostile);
        Some(done)
    }

    /// What becomes of an answer that leaves a node; None if it does not.
    pub fn twist_reply(&mut self, node: usize, to: usize, reply: Reply) -> Option<Reply> {
        if self.is_honest(node) {
            return Some(reply);
        }
        self.let_hostile(to, |hostile, scene| hostile.twist_reply(reply, scene)).flatten()
    }

    /// What becomes of a request that leaves a node.
    pub fn twist_request(&mut self, node: usize, to: usize, message: Message) -> Message {
        if self.is_honest(node) {
            return message;
        }
        let Message { token, request } = message.clone();
        let twisted =
            |hostile: &mut Hostile, scene: &Scene<'_>| hostile.twist_request(request, scene);
        self.let_hostile(to, twisted).map_or(message, |request| Message { token, request })
    }

    /// The hostile machine's part of the beginning of the day.
    pub fn prepare_hostile(&mut self) {
        let Some(hostile) = &mut self.hostile else { return };
        self.disks_are_kept = hostile.choices.percent(60);
        // It has introduced so many origins already: some, almost as many as it may, or more than a day makes up for.
        let introduced = hostile.choices.of(&[0, 0, 0, INTRODUCED_MAX - 3, 9_997, 100_000]);
        // The log of more than 1000 origins has many that no peer introduced.
        hostile.may_introduce_none =
            introduced > INTRODUCED_MAX && !self.marks.has("a log of more than 1000 origins");
        let peer = self.nodes[self.hostile_node()].id.to_bytes();
        for node in self.honest() {
            let sql = "INSERT INTO checkpoints (peer, sequence, introduced, introduced_at)
                 VALUES (?1, 0, ?2, ?3)";
            let at: i64 = 1_700_000_000_000;
            let store = self.nodes[node].log.store();
            store.connection().execute(sql, (peer, introduced, at)).unwrap();
        }
        self.plan(seconds(1), Coming::HostileTurn);
    }

    pub fn hostile_turn(&mut self) {
        let node = self.hostile_node();
        let Some(hostile) = &mut self.hostile else { return };
        let most = hostile.choices.of(&[seconds(600), seconds(60), seconds(5), millis(200)]);
        let pause = most / 2 + hostile.choices.up_to(most / 2);
        let what =
            hostile.choices.of(&[Unasked::Fork, Unasked::Pull, Unasked::News, Unasked::News]);
        self.plan(pause, Coming::HostileTurn);
        if !self.is_up(node) || self.nodes[node].asleep.is_some() {
            return;
        }
        let own = self.nodes[node].id;
        for peer in self.nodes[node].peers.clone() {
            let Some(entry) = self.nodes[node].registry.get(self.nodes[peer].id) else { continue };
            let unasked =
                |hostile: &mut Hostile, scene: &Scene<'_>| hostile.unasked(what, own, scene);
            if let Some(request) = self.let_hostile(peer, unasked) {
                let message = Message { token: Some(entry.token), request };
                self.call(node, peer, Asked::Nothing, message, seconds(10));
            }
        }
    }
}
