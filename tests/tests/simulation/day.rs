//! A day: faults, then healing, and what must be true at each moment.

use std::collections::BTreeSet;

use thrum_api::EventId;
use thrum_api::local::PeerState;
use thrumd::sync::hub::Input;

use crate::faults::something;
use crate::net::Net;
use crate::node::Node;
use crate::proof::chains_are_true;
use crate::world::{World, millis, seconds};

/// Within this much virtual time after the last fault everything is everywhere: two looks of the
/// schedule and the longest back-off.
const BOUND: u64 = seconds(15 * 60);

/// Within this much virtual time news is everywhere while nothing fails.
const PROMPT: u64 = seconds(10);

/// Phase 1: faults. Phase 2: healing. An error says what was lost or who still waits.
pub fn bad_day(world: &mut World) -> Result<(), String> {
    for _ in 0..20 + world.choices.up_to(60) {
        something(world)?;
        let wait = [millis(5), millis(300), seconds(4), seconds(40), seconds(400)];
        let most = world.choices.of(&wait);
        let span = world.choices.up_to(most);
        world.run_for(span);
        invariants(world)?;
    }
    world.net = Net::quiet();
    for node in 0..world.nodes.len() {
        world.nodes[node].log.set_full(false);
        if world.nodes[node].asleep.is_some() {
            world.wake_up(node);
        }
        if !world.is_up(node) {
            world.start(node);
        }
        world.input(node, Input::Enable(true));
        // What is damaged is found when somebody reads it.
        world.nodes[node].log.read_all();
        world.look_for_damage(node);
    }
    // What stands in a log now must not be lost any more.
    let least: BTreeSet<EventId> = world
        .nodes
        .iter()
        .flat_map(|node| node.log.held().iter().copied().collect::<Vec<_>>())
        .collect();
    pair_again(world)?;
    converge(world, &least)?;
    marks_of_logs(world);
    write_everywhere(world)
}

/// Phase 3: new events are everywhere at once, by notifications and not by the schedule.
fn write_everywhere(world: &mut World) -> Result<(), String> {
    for node in 0..world.nodes.len() {
        world.write(node, 1 + node as u64);
    }
    if !world.run_until(PROMPT, all_in_sync) {
        return Err("new events are not everywhere, or not every peer is in sync".to_owned());
    }
    invariants(world)?;
    heads_are_true(world)
}

/// Writes, one after the other, on every machine in turn.
pub fn quiet_day(world: &mut World, writes: u64) -> Result<(), String> {
    world.run_for(seconds(5));
    for n in 0..writes {
        let node = usize::try_from(n).unwrap_or(0) % world.nodes.len();
        world.write(node, 1 + n % 3);
        world.run_for([millis(3), millis(80), seconds(2)][node % 3]);
    }
    converge(world, &BTreeSet::new())
}

/// Persons pair whoever is not paired any more.
fn pair_again(world: &mut World) -> Result<(), String> {
    // What the last joins left open is decided by then.
    world.run_for(BOUND);
    for node in 0..world.nodes.len() {
        for peer in world.nodes[node].peers.clone().into_iter().filter(|peer| *peer < node) {
            match pairing(world, node, peer) {
                Pairing::Both => continue,
                Pairing::Contradiction => {
                    return Err(format!("{node} and {peer} have each other with other tokens"));
                }
                Pairing::NotBoth => {}
            }
            world.join(node, peer);
            let paired = |world: &World| matches!(pairing(world, node, peer), Pairing::Both);
            if !world.run_until(seconds(60), paired) {
                return Err(format!("{node} and {peer} can't be paired"));
            }
        }
    }
    Ok(())
}

enum Pairing {
    Both,
    NotBoth,
    Contradiction,
}

fn pairing(world: &World, node: usize, peer: usize) -> Pairing {
    let entry = |of: usize, peer: usize| world.nodes[of].registry.get(world.nodes[peer].id);
    let (Some(a), Some(b)) = (entry(node, peer), entry(peer, node)) else {
        return Pairing::NotBoth;
    };
    if a.removed_us || b.removed_us || a.unconfirmed || b.unconfirmed {
        Pairing::NotBoth
    } else if a.token.matches(b.token.expose()) {
        Pairing::Both
    } else {
        Pairing::Contradiction
    }
}

/// All logs come to hold the same, at least these events, and every hub says so.
fn converge(world: &mut World, least: &BTreeSet<EventId>) -> Result<(), String> {
    let is_held =
        |world: &World, id: &EventId| world.nodes.iter().any(|node| node.log.held().contains(id));
    let all = |world: &World| same(world) && least.iter().all(|id| is_held(world, id));
    if !world.run_until(BOUND, all) {
        return Err("the logs don't hold the same events".to_owned());
    }
    if !world.run_until(BOUND, |world| all(world) && everyone_says_so(world)) {
        return Err("the logs hold the same events, and not every peer is in sync".to_owned());
    }
    invariants(world)?;
    heads_are_true(world)
}

/// Whether all logs hold the same, but for what nobody can prove: each of its copies was signed together with an event
/// whose row was damaged, and that one is nowhere else.
fn same(world: &World) -> bool {
    let held: Vec<_> = world.nodes.iter().map(|node| node.log.held()).collect();
    if held.windows(2).all(|two| two[0] == two[1]) {
        return true;
    }
    let misses = |id: &EventId| held.iter().any(|held| !held.contains(id));
    let could_give = |node: &Node| node.log.proved().iter().any(misses);
    world.marks.has("a row was damaged") && !world.nodes.iter().any(could_give)
}

/// All logs hold the same, and every hub says so.
pub fn all_in_sync(world: &World) -> bool {
    same(world) && everyone_says_so(world)
}

fn everyone_says_so(world: &World) -> bool {
    world.nodes.iter().all(|node| {
        let hub = node.life.as_ref().map(|life| &life.hub);
        node.peers.iter().all(|peer| {
            let view = hub.and_then(|hub| hub.snapshot(world.nodes[*peer].id));
            view.is_some_and(|view| view.state == PeerState::InSync)
        })
    })
}

fn invariants(world: &World) -> Result<(), String> {
    for (n, node) in world.nodes.iter().enumerate() {
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
    }
    checkpoints_are_true(world)
}

/// Whatever stands in a peer's log up to the checkpoint is held. Only where no disk was ever changed:
/// after that a checkpoint is of another log until the peer says so.
fn checkpoints_are_true(world: &World) -> Result<(), String> {
    if world.nodes.iter().any(|node| node.disk_changed) {
        return Ok(());
    }
    for (n, node) in world.nodes.iter().enumerate() {
        let held = node.log.held();
        for peer in &node.peers {
            let taken = world.nodes[*peer].log.up_to(world.checkpoint(n, *peer).sequence);
            if let Some(id) = taken.iter().find(|id| !held.contains(id)) {
                return Err(format!("node {n}'s checkpoint for node {peer} is behind {id}"));
            }
        }
    }
    Ok(())
}

/// What each log says of its origins is what stands in it. Of one that forked nothing is said.
fn heads_are_true(world: &World) -> Result<(), String> {
    let wrong = "SELECT count(*) FROM origins WHERE NOT forked AND (top != coalesce(
             (SELECT max(origin_sequence) FROM events WHERE origin = origins.id), 0)
         OR head != (SELECT count(*) FROM (SELECT DISTINCT origin_sequence AS place FROM events
             WHERE origin = origins.id) WHERE place <= head)
         OR EXISTS (SELECT 1 FROM events WHERE origin = origins.id AND origin_sequence = head + 1)
             AND (daemon_id = (SELECT daemon_id FROM meta)
                  OR NOT EXISTS (SELECT 1 FROM gaps WHERE origin = origins.id)))";
    // An origin begins at 1 and has no holes but those that damage left.
    let holes = "SELECT count(*) FROM origins WHERE NOT forked AND head != top";
    for (n, node) in world.nodes.iter().enumerate() {
        if node.log.count(wrong) > 0 || !chains_are_true(node.log.store().connection()) {
            return Err(format!("node {n} has a head of an origin that is not true"));
        }
        if !world.marks.has("a row was damaged") && node.log.count(holes) > 0 {
            return Err(format!("node {n} has an origin with a hole"));
        }
    }
    Ok(())
}

fn marks_of_logs(world: &mut World) {
    let own_came_back = "SELECT count(*) FROM events JOIN origins ON origins.id = origin, meta
         WHERE origins.daemon_id = meta.daemon_id AND source != 0";
    for node in 0..world.nodes.len() {
        let log = &world.nodes[node].log;
        for (sql, mark) in [
            ("SELECT count(*) FROM origins WHERE forked", "an origin forked"),
            (own_came_back, "own events came back"),
        ] {
            if log.count(sql) > 0 {
                world.marks.hit(mark);
            }
        }
    }
}
