//! A day: faults, then healing, and what must be true at each moment.

use std::collections::BTreeSet;

use thrum_api::local::PeerState;
use thrum_api::proof::Chain;
use thrumd::sync::hub::Input;

use crate::faults::something;
use crate::log::SimLog;
use crate::net::Net;
use crate::truth::{heads_are_true, ids_of, invariants};
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
    let mut least = BTreeSet::new();
    for node in world.honest() {
        least.extend(world.nodes[node].log.chains().keys().copied());
    }
    pair_again(world)?;
    converge(world, &least)?;
    marks_of_logs(world);
    write_everywhere(world)
}

/// Phase 3: new events are everywhere at once, by notifications and not by the schedule.
fn write_everywhere(world: &mut World) -> Result<(), String> {
    for node in world.honest() {
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
    for node in world.honest() {
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

/// All logs come to hold the same, at least these events, and every hub says so. What becomes of a hostile node doesn't
/// matter.
fn converge(world: &mut World, least: &BTreeSet<Chain>) -> Result<(), String> {
    let is_held = |world: &World, chain: &Chain| {
        world.honest().any(|node| world.nodes[node].log.chains().contains_key(chain))
    };
    let all = |world: &World| same(world) && least.iter().all(|chain| is_held(world, chain));
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
    let logs = || world.nodes[world.honest()].iter().map(|node| &node.log);
    let held: Vec<_> = logs().map(SimLog::held).collect();
    let is_damaged = world.marks.has("a row was damaged");
    if !is_damaged && held.windows(2).any(|two| two[0] != two[1]) {
        return false;
    }
    // An origin can give an id twice.
    let chains: Vec<_> = logs().map(SimLog::chains).collect();
    if chains.windows(2).all(|two| two[0] == two[1]) {
        return true;
    }
    let misses = |chain: &Chain| chains.iter().any(|chains| !chains.contains_key(chain));
    is_damaged && !logs().any(|log| log.proved().iter().any(misses))
}

/// All logs hold the same, and every hub says so.
pub fn all_in_sync(world: &World) -> bool {
    same(world) && everyone_says_so(world)
}

fn everyone_says_so(world: &World) -> bool {
    world.nodes[world.honest()].iter().all(|node| {
        let hub = node.life.as_ref().map(|life| &life.hub);
        node.peers.iter().filter(|peer| world.is_honest(**peer)).all(|peer| {
            let view = hub.and_then(|hub| hub.snapshot(world.nodes[*peer].id));
            view.is_some_and(|view| view.state == PeerState::InSync)
        })
    })
}

fn marks_of_logs(world: &mut World) {
    let own_came_back = "SELECT count(*) FROM events JOIN origins ON origins.id = origin, meta
         WHERE origins.daemon_id = meta.daemon_id AND source != 0";
    let given_twice = "SELECT count(*) - count(DISTINCT event_id) FROM events";
    let mut found = vec![
        ("SELECT count(*) FROM origins WHERE forked", "an origin forked"),
        (own_came_back, "own events came back"),
        (given_twice, "an id was given twice"),
    ];
    let hostile = ids_of(&world.nodes[world.honest().end..]);
    let of_hostile = |what: &str| {
        format!("SELECT count(*) FROM origins WHERE {what} AND daemon_id IN ({hostile})")
    };
    let (forked, holes) = (of_hostile("forked"), of_hostile("head != top"));
    found.push((&forked, "an origin of the hostile one forked"));
    found.push((&holes, "an origin of the hostile one has a hole"));
    for node in world.honest() {
        for (sql, mark) in &found {
            if world.nodes[node].log.count(sql) > 0 {
                world.marks.hit(mark);
            }
        }
    }
}
