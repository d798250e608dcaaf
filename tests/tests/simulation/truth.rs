//! What must be true of honest machines at each moment of a day.

use thrum_api::proof::Chain;
use thrum_api::{DaemonId, Sequence};
use thrumd::log::Applied;

use crate::node::Node;
use crate::proof::chains_are_true;
use crate::world::World;

/// As many new origins as a peer may introduce at once.
pub const INTRODUCED_MAX: i64 = 11_000;

pub fn invariants(world: &World) -> Result<(), String> {
    for n in world.honest() {
        let node = &world.nodes[n];
        if let Some(fault) = node.log.fault.lock().unwrap().take() {
            return Err(format!("node {n}: {fault}"));
        }
        let safe = "SELECT min(1000, count(*)) FROM origins WHERE NOT forked AND head > 0";
        let (sent, safe) = (node.log.heads_sent(), node.log.count(safe));
        if sent != safe {
            return Err(format!("node {n} sends a head of an origin that forked"));
        }
        let held = node.log.held();
        if let Some(id) = node.acknowledged.difference(&held).next() {
            return Err(format!("node {n} acknowledged {id} and does not hold it"));
        }
        nothing_is_forged(world, n)?;
        nobody_honest_is_doubted(world, n)?;
    }
    checkpoints_are_true(world)
}

/// Whatever stands here in the name of an honest machine was written there, after the same events; each event stands here
/// once; and nothing is of an origin that a peer could not introduce.
fn nothing_is_forged(world: &World, n: usize) -> Result<(), String> {
    let log = &world.nodes[n].log;
    let chains = log.chains();
    let is_honest = |id: &DaemonId| world.nodes[world.honest()].iter().any(|node| node.id == *id);
    let mut of_honest = chains.iter().filter(|(_, of)| is_honest(of));
    if let Some((chain, of)) = of_honest.find(|(chain, _)| !world.truth.contains(chain)) {
        let of = world.index_of(*of);
        return Err(format!("node {n} holds an event of node {of} that it did not write: {chain}"));
    }
    let introduces_none = world.hostile.as_ref().is_some_and(|it| it.may_introduce_none);
    if introduces_none && !has_changed_disks(world) && !chains.values().all(is_honest) {
        return Err(format!("node {n} holds an event of a peer that may introduce no origin"));
    }
    if log.count("SELECT count(*) FROM events WHERE body != x'00'") != chains.len() as u64 {
        return Err(format!("node {n} holds an event twice"));
    }
    Ok(())
}

/// Nothing that an honest machine sent was refused or withheld. Where no disk was ever changed none has forked, been cloned,
/// or begun another epoch.
fn nobody_honest_is_doubted(world: &World, n: usize) -> Result<(), String> {
    let honest = honest_ids(world);
    let mut doubts = vec![
        format!(
            "SELECT count(*) FROM checkpoints
             WHERE (refused_at NOT NULL OR withheld_at NOT NULL) AND peer IN ({honest})"
        ),
        format!("SELECT count(*) FROM quarantine WHERE hash NOT NULL AND peer IN ({honest})"),
    ];
    if !has_changed_disks(world) {
        doubts.push("SELECT count(*) FROM meta WHERE cloned_at NOT NULL".to_owned());
        doubts
            .push(format!("SELECT count(*) FROM origins WHERE forked AND daemon_id IN ({honest})"));
        if world.nodes[n].log.store().head().epoch != world.nodes[n].first_epoch {
            return Err(format!("node {n} began another epoch"));
        }
    }
    match doubts.iter().find(|doubt| world.nodes[n].log.count(doubt) > 0) {
        Some(doubt) => Err(format!("node {n} has what must not be: {doubt}")),
        None => Ok(()),
    }
}

/// The ids of some nodes, as SQL.
pub fn ids_of(nodes: &[Node]) -> String {
    let hex = |node: &Node| -> String {
        node.id.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    };
    nodes.iter().map(|node| format!("x'{}'", hex(node))).collect::<Vec<_>>().join(",")
}

fn honest_ids(world: &World) -> String {
    ids_of(&world.nodes[world.honest()])
}

fn has_changed_disks(world: &World) -> bool {
    world.nodes[world.honest()].iter().any(|node| node.disk_changed)
}

/// Whatever stands in a peer's log up to the checkpoint is held. Only where no disk was ever changed:
/// after that a checkpoint is of another log until the peer says so.
fn checkpoints_are_true(world: &World) -> Result<(), String> {
    if has_changed_disks(world) {
        return Ok(());
    }
    for n in world.honest() {
        let (node, held) = (&world.nodes[n], world.nodes[n].log.held());
        for peer in node.peers.iter().filter(|peer| world.is_honest(**peer)) {
            let taken = world.nodes[*peer].log.up_to(world.checkpoint(n, *peer).sequence);
            if let Some(id) = taken.iter().find(|id| !held.contains(id)) {
                return Err(format!("node {n}'s checkpoint for node {peer} is behind {id}"));
            }
        }
    }
    Ok(())
}

/// What each log says of its origins is what stands in it. Of one that forked nothing is said.
pub fn heads_are_true(world: &World) -> Result<(), String> {
    let wrong = "SELECT count(*) FROM origins WHERE NOT forked AND (top != coalesce(
             (SELECT max(origin_sequence) FROM events WHERE origin = origins.id), 0)
         OR head != (SELECT count(*) FROM (SELECT DISTINCT origin_sequence AS place FROM events
             WHERE origin = origins.id) WHERE place <= head)
         OR EXISTS (SELECT 1 FROM events WHERE origin = origins.id AND origin_sequence = head + 1)
             AND (daemon_id = (SELECT daemon_id FROM meta)
                  OR NOT EXISTS (SELECT 1 FROM gaps WHERE origin = origins.id)))";
    // An honest origin begins at 1 and has no holes but those that damage left.
    let holes = format!(
        "SELECT count(*) FROM origins WHERE NOT forked AND head != top AND daemon_id IN ({})",
        honest_ids(world)
    );
    for n in world.honest() {
        let log = &world.nodes[n].log;
        if log.count(wrong) > 0 || !chains_are_true(log.store().connection()) {
            return Err(format!("node {n} has a head of an origin that is not true"));
        }
        if !world.marks.has("a row was damaged") && log.count(&holes) > 0 {
            return Err(format!("node {n} has an origin with a hole"));
        }
    }
    Ok(())
}

impl World {
    fn fault(&self, node: usize, text: String) {
        *self.nodes[node].log.fault.lock().unwrap() = Some(text);
    }

    /// An honest machine takes whatever another honest one sends, and remembers of whom it did not.
    pub fn check_applied(&mut self, node: usize, peer: DaemonId, applied: &Applied) {
        let from = self.index_of(peer);
        if !self.is_honest(node) {
            return;
        }
        let refused = "SELECT count(*) FROM checkpoints WHERE refused_at NOT NULL";
        if self.is_honest(from) {
            if applied.refused + applied.withheld > 0 {
                self.fault(node, format!("took not all that node {from} sent: {applied:?}"));
            }
        } else if applied.refused > 0 {
            self.marks.hit("a forgery was refused");
            if self.nodes[node].log.count(refused) == 0 {
                self.fault(node, format!("refused events of node {from} and does not tell"));
            }
        }
        if applied.withheld > 0 {
            self.marks.hit("a new origin was withheld");
        }
    }

    /// Whatever is validly signed is taken, whoever sends it and whatever else is beside it.
    pub fn check_taken(&mut self, node: usize, applied: &Applied, valid: &[Chain]) {
        let held = self.nodes[node].log.chains();
        if applied.withheld == 0 && !valid.iter().all(|chain| held.contains_key(chain)) {
            self.fault(node, "did not take what was validly signed".to_owned());
        }
    }

    /// An honest machine finds nothing wrong with what another one answers, unless that can't use its log.
    pub fn check_bad_answer(&mut self, node: usize, peer: usize, text: &str) {
        let both_are_honest = self.is_honest(node) && self.is_honest(peer);
        if both_are_honest && !self.marks.has("the disk was full") {
            self.fault(node, format!("node {peer} gave a bad answer: {text}"));
        }
        if !self.is_honest(peer) {
            self.marks.hit("a bad answer was noticed");
        }
    }

    /// Whoever confirms a position of the peer's log holds all events up to it.
    pub fn check_confirmed(&mut self, node: usize, peer: DaemonId, position: Sequence) {
        let of = self.index_of(peer);
        if has_changed_disks(self) || !self.is_honest(node) || !self.is_honest(of) {
            return;
        }
        let held = self.nodes[node].log.held();
        let confirmed = self.nodes[of].log.up_to(position);
        if let Some(id) = confirmed.iter().find(|id| !held.contains(id)) {
            self.fault(node, format!("confirmed {id} and does not hold it"));
        }
    }
}
