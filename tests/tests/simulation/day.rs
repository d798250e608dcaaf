//! What happens on a day.

use std::collections::BTreeSet;

use thrum_api::EventId;
use thrum_api::local::PeerState;
use thrumd::sync::hub::Input;

use crate::log::SimLog;
use crate::net::Net;
use crate::world::{World, millis, seconds};

/// Within this much virtual time after the last fault everything is everywhere: two looks of the
/// schedule and the longest back-off.
const BOUND: u64 = seconds(15 * 60);

/// Phase 1: faults. Phase 2: healing. An error says what was lost or who still waits.
pub fn bad_day(world: &mut World) -> Result<(), String> {
    for _ in 0..20 + world.choices.up_to(60) {
        something(world);
        let wait = [millis(5), millis(300), seconds(4), seconds(40), seconds(400)];
        let most = world.choices.of(&wait);
        let span = world.choices.up_to(most);
        world.run_for(span);
        nothing_acknowledged_is_lost(world)?;
    }
    world.net = Net::quiet();
    for node in 0..world.nodes.len() {
        if !world.is_up(node) {
            world.start(node);
        }
    }
    converge(world)
}

/// Writes, one after the other, on every machine in turn.
pub fn quiet_day(world: &mut World, writes: u64) -> Result<(), String> {
    world.run_for(seconds(5));
    for n in 0..writes {
        let node = usize::try_from(n).unwrap_or(0) % world.nodes.len();
        world.write(node, 1 + n % 3);
        world.run_for([millis(3), millis(80), seconds(2)][node % 3]);
    }
    converge(world)
}

fn converge(world: &mut World) -> Result<(), String> {
    // A page that is still on its way may bring more: it can come from a log that was lost since.
    let least: BTreeSet<EventId> = world.nodes.iter().flat_map(|node| node.log.ids()).collect();
    let same = |world: &World| {
        let all = world.nodes[0].log.ids();
        all.is_superset(&least) && world.nodes.iter().all(|node| node.log.ids() == all)
    };
    if !world.run_until(BOUND, same) {
        return Err("the logs don't hold the same events".to_owned());
    }
    if !world.run_until(BOUND, everyone_says_so) {
        return Err("the logs hold the same events, and not every peer is in sync".to_owned());
    }
    nothing_acknowledged_is_lost(world)
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

fn nothing_acknowledged_is_lost(world: &World) -> Result<(), String> {
    for (n, node) in world.nodes.iter().enumerate() {
        if let Some(id) = node.acknowledged.iter().find(|id| !node.log.holds(**id)) {
            return Err(format!("node {n} acknowledged {id} and does not hold it"));
        }
    }
    Ok(())
}

fn something(world: &mut World) {
    let node = world.choices.index(world.nodes.len());
    match world.choices.up_to(19) {
        0..=7 => {
            let count = 1 + world.choices.up_to(7);
            if world.is_up(node) {
                world.write(node, count);
            }
        }
        8..=9 => crash_or_start(world, node),
        10 => {
            world.nodes[node].backup = Some(world.nodes[node].log.clone());
        }
        11 => restore(world, node),
        12 => {
            if world.choices.percent(40) {
                lose(world, node);
            }
        }
        13..=15 => {
            let other = world.choices.index(world.nodes.len());
            world.net.cut.insert((node, other));
            if world.choices.percent(50) {
                world.net.cut.insert((other, node));
            }
        }
        16..=17 => world.net.cut.clear(),
        18 => world.input(node, Input::SyncNow(None)),
        _ => world.input(node, Input::NetworkChanged),
    }
}

fn crash_or_start(world: &mut World, node: usize) {
    if world.is_up(node) {
        world.crash(node);
    } else {
        world.start(node);
    }
}

/// The database is gone; the daemon notices that when it starts.
fn lose(world: &mut World, node: usize) {
    world.crash(node);
    world.marks.hit("a database was lost");
    let id = world.nodes[node].id;
    world.nodes[node].log = SimLog::new(id, &mut world.ids);
    world.nodes[node].acknowledged.clear();
    world.start(node);
}

/// The database is an older copy of itself; nobody tells the daemon. With or without new events
/// before the first contact.
fn restore(world: &mut World, node: usize) {
    let Some(backup) = world.nodes[node].backup.clone() else { return };
    world.crash(node);
    world.marks.hit("a database was restored");
    world.nodes[node].acknowledged.retain(|id| backup.holds(*id));
    world.nodes[node].log = backup;
    world.start(node);
    let count = world.choices.up_to(4);
    if count > 0 {
        world.write(node, count);
    }
}
