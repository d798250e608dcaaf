//! tailscaled goes away, is stopped or logged out under a running daemon. Each state has its words,
//! the daemon serves its own machine meanwhile, and goes on by itself.

use std::time::Instant;

use rustix::process::Signal;
use tests::harness::{SHORT, eventually, holds};
use tests::tailnet::{Cluster, Node, TAILNET_LIMIT, sealed};

/// Both see that it is over, and the log is one again. Prints how long that took.
fn goes_on(cluster: &Cluster, after: &str) {
    let begun = Instant::now();
    let b = cluster.daemon("b");
    eventually(TAILNET_LIMIT, || {
        let state = b.status().tailnet.state;
        holds(state == "up", || format!("after {after}: {state}"))
    });
    let up = begun.elapsed();
    cluster.talk(&["b", "a"]);
    println!("after {after}: up in {up:.1?}, one log in {:.1?}", begun.elapsed());
}

fn waits(cluster: &Cluster, words: &str) {
    eventually(TAILNET_LIMIT, || cluster.daemon("b").waits_for(words));
}

/// A logout whose request to the control server fails ("use of closed network connection") has
/// dropped the key and kept the network map: tailscaled calls that stopped, and refuses to log out
/// again ("no nodekey to log out"). Its next start knows better.
fn log_out(node: &Node) {
    eventually(TAILNET_LIMIT, || {
        let said = node.try_tailscale(&["logout"]);
        let state = node.try_status()?.backend_state;
        if said.is_err() && state == "Stopped" {
            println!("a logout came half-way: {said:?}");
            node.stop(Signal::TERM);
            node.start();
        }
        holds(state == "NeedsLogin", || format!("{state}: {said:?}"))
    });
}

#[test]
fn a_tailscaled_that_goes_away_is_told_of_and_found_again() {
    sealed(|programs| {
        let cluster = Cluster::of(programs, &["a", "b"]);
        cluster.pair("a", "b");
        cluster.talk(&["a", "b"]);
        let node = cluster.tailnet.node("b");
        let id = node.stable_id();

        for signal in [Signal::TERM, Signal::KILL] {
            node.stop(signal);
            waits(&cluster, "is not running");
            waits(&cluster, "systemctl enable --now tailscaled");
            cluster.daemon("a").append(["while it is away"]);
            node.start();
            goes_on(&cluster, &format!("{signal:?}"));
        }
        // A restart that nobody waits out.
        node.stop(Signal::KILL);
        node.start();
        goes_on(&cluster, "a restart");

        node.tailscale_in_the_end(&["down"]);
        waits(&cluster, "is stopped; run `sudo tailscale up`");
        cluster.daemon("a").append(["while it is down"]);
        // With no word more, not even a limit: an `up` that has options wants all of them again.
        node.tailscale_in_the_end(&["up"]);
        goes_on(&cluster, "tailscale down and up");
        assert_eq!(node.stable_id(), id);
    });
}

#[test]
fn a_key_that_expires_and_a_logout_are_told_of_and_heal() {
    sealed(|programs| {
        let cluster = Cluster::of(programs, &["a", "b"]);
        cluster.pair("a", "b");
        cluster.talk(&["a", "b"]);
        let (node, control) = (cluster.tailnet.node("b"), &cluster.tailnet.control);
        let id = node.stable_id();

        control.ask(&["nodes", "expire", "-i", &id]);
        waits(&cluster, "this machine's key in the tailnet has expired");
        cluster.daemon("a").append(["while it is expired"]);
        control.ask(&["nodes", "expire", "-i", &id, "--disable"]);
        goes_on(&cluster, "an expired key");

        log_out(node);
        waits(&cluster, "is logged out");
        cluster.daemon("a").append(["while it is out"]);
        node.log_in(&control.auth_key("test"));
        assert_eq!(node.stable_id(), id, "the same node again");
        goes_on(&cluster, "a logout");
        // Nothing was paired again for any of that.
        eventually(SHORT, || {
            let refused = cluster.look("a", "b")?.refused_elsewhere;
            holds(refused == 0, || format!("{refused} refused"))
        });
    });
}
