//! The control server, the tunnel or the link is away for a while.

use std::time::Instant;

use rustix::process::Signal;
use tests::harness::{SHORT, converge, eventually, holds};
use tests::tailnet::{Cluster, NodeSpec, TAILNET_LIMIT, sealed};
use thrum_api::local::PeerState;

#[test]
fn sync_goes_on_without_the_control_server() {
    sealed(|programs| {
        let cluster = Cluster::of(programs, &["a", "b"]);
        cluster.pair("a", "b");
        cluster.tailnet.make_direct();
        let control = &cluster.tailnet.control;
        control.stop();
        cluster.talk(&["a", "b"]);
        for name in ["a", "b"] {
            assert_eq!(cluster.daemon(name).status().tailnet.state, "up");
        }
        // Without it a restarted tailscaled has no netmap to start with.
        let node = cluster.tailnet.node("b");
        node.stop(Signal::KILL);
        node.start();
        eventually(TAILNET_LIMIT, || cluster.daemon("b").waits_for("tailscaled"));
        cluster.daemon("a").append(["while it is away"]);
        control.start();
        cluster.tailnet.settle();
        cluster.talk(&["a", "b"]);
    });
}

/// Cuts, writes on both sides until both know, heals, and tells how long one log took.
fn partition(cluster: &Cluster, what: &str, cut: impl Fn(), heal: impl Fn()) {
    let both = [cluster.daemon("a"), cluster.daemon("b")];
    cut();
    let lost = |from: &str, at: &str| {
        let peer = cluster.look(from, at)?;
        holds(peer.state == PeerState::BackingOff, || {
            format!("{what}: {from} says {:?} of {at}", peer.state)
        })
    };
    for daemon in both {
        daemon.append([what]);
    }
    eventually(TAILNET_LIMIT, || lost("a", "b").and_then(|()| lost("b", "a")));
    let error = cluster.look("a", "b").unwrap().last_error.unwrap_or_default();
    assert!(!error.is_empty());
    for daemon in both {
        daemon.append([what, "more"]);
    }
    heal();
    let healed = Instant::now();
    converge(TAILNET_LIMIT, &both);
    println!("{what}: one log {:.1?} after the tunnel's return ({error})", healed.elapsed());
    eventually(TAILNET_LIMIT, || {
        let (a, b) = (cluster.look("a", "b")?.state, cluster.look("b", "a")?.state);
        holds(a == PeerState::InSync && b == PeerState::InSync, || format!("{a:?}, {b:?}"))
    });
}

#[test]
fn after_a_partition_there_is_one_log() {
    sealed(|programs| {
        let cluster = Cluster::of(programs, &["a", "b"]);
        cluster.pair("a", "b");
        cluster.talk(&["a", "b"]);
        let net = &cluster.tailnet;
        partition(&cluster, "a cut inside the tunnel", || net.cut("a", "b"), || net.heal());
        partition(&cluster, "a silent network", || net.isolate("b"), || net.heal());
        partition(&cluster, "a link down", || net.set_link("b", false), || net.set_link("b", true));
    });
}

#[test]
fn a_machine_that_vanishes_is_noticed_although_nobody_writes() {
    sealed(|programs| {
        let cluster = Cluster::of(programs, &["a", "b"]);
        cluster.pair("a", "b");
        cluster.talk(&["a", "b"]);
        let state = |wanted| {
            let peer = cluster.look("a", "b")?;
            holds(peer.state == wanted, || format!("{peer:?}"))
        };
        eventually(TAILNET_LIMIT, || state(PeerState::InSync));
        // The control server goes on saying that it is online: only the connection tells.
        cluster.tailnet.control.stop();
        cluster.tailnet.isolate("b");
        // 40 s without a sign of life, and 5 s for an attempt to connect.
        eventually(2 * TAILNET_LIMIT, || state(PeerState::BackingOff));
    });
}

#[test]
fn a_process_that_dies_is_noticed_in_userspace_mode_too() {
    sealed(|programs| {
        let specs = [NodeSpec::new("a").userspace(), NodeSpec::new("b")];
        let mut cluster = Cluster::up(programs, specs);
        cluster.pair("a", "b");
        cluster.talk(&["a", "b"]);
        let state = |cluster: &Cluster, wanted| {
            let peers = cluster.daemon("a").status().peers;
            holds(peers[0].state == wanted, || format!("{peers:?}"))
        };
        eventually(TAILNET_LIMIT, || state(&cluster, PeerState::InSync));
        cluster.daemon_mut("b").kill();
        // Sooner than anything else would make them talk.
        eventually(SHORT, || state(&cluster, PeerState::BackingOff));
    });
}
