//! What happens on a bad day.

use std::time::Duration;

use thrumd::sync::hub::{DrainState, Input};
use thrumd::sync::protocol::drain;

use crate::node::{Asked, Node};
use crate::world::{Internal, World, millis, seconds};

/// One thing that happens, most often something harmless. An error if it shows a fault of ours.
pub fn something(world: &mut World) -> Result<(), String> {
    let node = world.choices.index(world.nodes.len());
    let other = world.choices.index(world.nodes.len());
    if world.nodes[node].asleep.is_some() {
        return Ok(());
    }
    match world.choices.up_to(33) {
        0..=9 => {
            let count = 1 + world.choices.up_to(7);
            if world.is_up(node) {
                world.write(node, count);
            }
            if world.choices.percent(10) {
                world.nodes[node].backup = Some(world.nodes[node].log.backup());
            }
        }
        10..=12 => crash_or_start(world, node),
        13 => world.nodes[node].backup = Some(world.nodes[node].log.backup()),
        14 | 33 => restore(world, node),
        15 => {
            if world.choices.percent(40) {
                lose(world, node);
            }
        }
        16..=19 => {
            world.net.cut.insert((node, other));
            if world.choices.percent(50) {
                world.net.cut.insert((other, node));
            }
        }
        20..=22 => world.net.cut.clear(),
        23 => world.input(node, Input::SyncNow(None)),
        24 => {
            let peer = world.nodes[other].id;
            let input = match world.choices.percent(50) {
                true => Input::NetworkChanged,
                false => Input::NodeChanged(peer),
            };
            world.input(node, input);
        }
        25 => {
            let on = world.choices.percent(60);
            world.input(node, Input::Enable(on));
        }
        26 => remove(world, node, other),
        27..=28 => join(world, node, other),
        29 => damage(world, node),
        30 => {
            let full = world.choices.percent(50);
            world.nodes[node].log.set_full(full);
        }
        31 => sleep(world, node),
        _ => stop(world, node)?,
    }
    Ok(())
}

impl World {
    pub fn crash(&mut self, node: usize) {
        self.trace.note(self.now, node, &"crashes");
        self.close_connections(node);
        if self.nodes[node].life.take().is_some_and(|life| !life.pulls.is_empty()) {
            self.marks.hit("a crash in the middle of a pull");
        }
        let it = self.nodes.remove(node);
        let log = it.log.reopened(&self.ids);
        self.nodes.insert(node, Node { log, asleep: None, postponed: Vec::new(), ..it });
    }

    /// The kernel of this machine closes the connections of its peers.
    fn close_connections(&mut self, node: usize) {
        for peer in self.nodes[node].peers.clone() {
            if !self.net.cut.contains(&(node, peer)) {
                self.plan_in(peer, self.net.delay, Internal::ConnectionClosed { peer: node });
            }
        }
    }
}

fn crash_or_start(world: &mut World, node: usize) {
    if world.is_up(node) {
        world.crash(node);
    } else {
        world.start(node);
    }
}

/// An older version can't tell that a checkpoint matches by chance, so disks stay as they are beside it.
fn disks_may_change(world: &World) -> bool {
    !world.disks_are_kept && !world.nodes.iter().any(|node| node.old)
}

/// The database is gone; the daemon notices that when it starts.
fn lose(world: &mut World, node: usize) {
    if !disks_may_change(world) {
        return;
    }
    world.crash(node);
    world.marks.hit("a database was lost");
    world.nodes[node].log = world.nodes[node].log.begun_anew(&world.ids);
    world.nodes[node].acknowledged.clear();
    world.nodes[node].disk_changed = true;
    world.start(node);
}

/// The database is an older copy of itself; nobody tells the daemon. With or without new events
/// before the first contact.
fn restore(world: &mut World, node: usize) {
    if !disks_may_change(world) {
        return;
    }
    let it = &world.nodes[node];
    let Some(log) = it.backup.as_ref().map(|backup| it.log.restored(backup, &world.ids)) else {
        return;
    };
    world.crash(node);
    world.marks.hit("a database was restored");
    let held = log.held();
    world.nodes[node].acknowledged.retain(|id| held.contains(id));
    world.nodes[node].log = log;
    world.nodes[node].disk_changed = true;
    world.start(node);
    let count = world.choices.up_to(4);
    if count > 0 {
        world.write(node, count);
    }
}

/// A row of the database holds other bytes than before.
fn damage(world: &mut World, node: usize) {
    if !disks_may_change(world) {
        return;
    }
    let count = world.nodes[node].log.held().len() as u64;
    let nth = world.choices.up_to(count);
    if let Some(id) = world.nodes[node].log.damage(nth) {
        world.marks.hit("a row was damaged");
        world.nodes[node].acknowledged.remove(&id);
        world.nodes[node].disk_changed = true;
    }
}

fn remove(world: &mut World, node: usize, peer: usize) {
    if world.is_up(node) && world.nodes[node].peers.contains(&peer) {
        world.remove(node, peer);
    }
}

fn join(world: &mut World, node: usize, peer: usize) {
    if world.nodes[node].peers.contains(&peer) {
        world.join(node, peer);
        if world.choices.percent(30) {
            // In the middle of it something goes wrong.
            let asked = |world: &World| {
                let calls = world.nodes[node].life.as_ref().map(|life| life.calls.values());
                calls.is_some_and(|mut calls| {
                    calls.any(|call| matches!(call.what, Asked::Confirm(..)))
                })
            };
            world.run_until(seconds(20), asked);
            let lost = [(peer, node), (node, peer)].get(world.choices.index(3)).copied();
            if let Some(lost) = lost {
                // Until the join gives up.
                world.net.cut.insert(lost);
                world.run_for(seconds(40));
                world.net.cut.remove(&lost);
            }
            if world.choices.percent(60) {
                // The peer forgets a pairing that nobody has used yet.
                world.crash(peer);
                world.start(peer);
            }
        }
    }
}

/// The machine stands still for a while, and its clock with it.
fn sleep(world: &mut World, node: usize) {
    if world.is_up(node) && world.nodes[node].asleep.is_none() {
        world.marks.hit("a machine slept");
        let span = seconds(1) + world.choices.up_to(seconds(4000));
        world.sleep(node, span);
    }
}

/// The daemon ends as it is told to: it drains first. A peer that confirmed everything has it.
pub fn stop(world: &mut World, node: usize) -> Result<(), String> {
    if !world.is_up(node) || world.nodes[node].asleep.is_some() {
        return Ok(());
    }
    world.marks.hit("a daemon drained");
    let begun = world.now;
    world.input(node, Input::Drain);
    world.log_grew(node);
    let drains = |world: &World| -> Vec<(usize, DrainState)> {
        let Some(life) = &world.nodes[node].life else { return Vec::new() };
        let peers = world.nodes[node].peers.iter();
        peers.filter_map(|n| Some((*n, life.hub.snapshot(world.nodes[*n].id)?.drain))).collect()
    };
    let is_over = |world: &World| {
        let elapsed = Duration::from_micros(world.now - begun);
        !drains(world).iter().any(|(_, state)| drain::waits(*state, elapsed))
    };
    // The daemon looks every few milliseconds.
    while !is_over(world) {
        world.run_for(millis(10));
        if world.now - begun > seconds(3) {
            return Err(format!("node {node} drains for too long"));
        }
    }
    let held = world.nodes[node].log.held();
    for (peer, state) in drains(world) {
        match state {
            DrainState::Confirmed if !held.is_empty() => {
                world.marks.hit("a drain was confirmed");
                let theirs = &world.nodes[peer];
                let both_are_honest = world.is_honest(node) && world.is_honest(peer);
                if both_are_honest && !theirs.disk_changed && !held.is_subset(&theirs.log.held()) {
                    return Err(format!("node {peer} confirmed node {node}'s log and lacks some"));
                }
            }
            DrainState::Confirmed => {}
            _ => world.marks.hit("a drain gave up"),
        }
    }
    world.crash(node);
    Ok(())
}
