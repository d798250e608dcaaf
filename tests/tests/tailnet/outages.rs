//! The control server, the tunnel or the link is away for a while.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use tests::lab::{converge, eventually, holds};
use tests::tailnet::{TAILNET_LIMIT, Town, sealed};
use thrum_api::local::PeerState;

/// The target is 3 s; a slow machine gets more.
const CONVERGED_WITHIN: Duration = Duration::from_secs(20);

#[test]
fn sync_goes_on_without_the_control_server() {
    sealed(|programs| {
        let town = Town::of(programs, &["a", "b"]);
        town.pair("a", "b");
        town.tailnet.make_direct();
        let control = &town.tailnet.control;
        control.stop();
        town.talk(&["a", "b"]);
        for name in ["a", "b"] {
            assert_eq!(town.daemon(name).status().tailnet.state, "up");
        }
        // Without it a restarted tailscaled has no netmap to start with.
        let node = town.tailnet.node("b");
        node.stop(Signal::KILL);
        node.start();
        eventually(TAILNET_LIMIT, || town.daemon("b").waits_for("tailscaled"));
        town.daemon("a").append(["while it is away"]);
        control.start();
        town.tailnet.settle();
        town.talk(&["a", "b"]);
    });
}

/// Cuts, writes on both sides until both know, heals, and tells how long one log took.
fn partition(town: &Town, what: &str, cut: impl Fn(), heal: impl Fn()) {
    let both = [town.daemon("a"), town.daemon("b")];
    cut();
    let lost = |from: &str, at: &str| {
        let peer = town.look(from, at)?;
        holds(peer.state == PeerState::BackingOff, || {
            format!("{what}: {from} says {:?} of {at}", peer.state)
        })
    };
    for daemon in both {
        daemon.append([what]);
    }
    eventually(TAILNET_LIMIT, || lost("a", "b").and_then(|()| lost("b", "a")));
    let error = town.look("a", "b").unwrap().last_error.unwrap_or_default();
    assert!(!error.is_empty());
    for daemon in both {
        daemon.append([what, "more"]);
    }
    heal();
    let healed = Instant::now();
    converge(CONVERGED_WITHIN, &both);
    println!("{what}: one log {:.1?} after the tunnel's return ({error})", healed.elapsed());
    eventually(TAILNET_LIMIT, || {
        let (a, b) = (town.look("a", "b")?.state, town.look("b", "a")?.state);
        holds(a == PeerState::InSync && b == PeerState::InSync, || format!("{a:?}, {b:?}"))
    });
}

#[test]
fn after_a_partition_there_is_one_log_soon() {
    sealed(|programs| {
        let town = Town::of(programs, &["a", "b"]);
        town.pair("a", "b");
        town.talk(&["a", "b"]);
        let net = &town.tailnet;
        partition(&town, "a cut inside the tunnel", || net.cut("a", "b"), || net.heal());
        partition(&town, "a silent network", || net.isolate("b"), || net.heal());
        partition(&town, "a link down", || net.set_link("b", false), || net.set_link("b", true));
    });
}
