//! Two machines are paired by name and talk, whatever their packets go through.

use tests::harness::{Client, Daemon, Terminal, eventually, has_word, holds};
use tests::tailnet::{Cluster, NodeSpec, TAILNET_LIMIT, sealed};
use thrum_api::local::{PeerCheckParams, PeerPath};

/// Whether packets to `at` go straight there.
fn is_direct(cluster: &Cluster, from: &str, at: &str) -> Result<bool, String> {
    let peer = cluster.daemon(at).id().to_string();
    let asked = cluster.daemon(from).call::<PeerPath>(PeerCheckParams { peer });
    let path = asked.map_err(|error| error.to_string())?.path.ok_or("no path is known")?;
    Ok(path.direct)
}

fn send_and_read(from: &Daemon, to: &Daemon, text: &str) {
    Client::new(from).run(&["send", "--as", "planner", "coder", text]).exits(0);
    eventually(TAILNET_LIMIT, || {
        let ran = Client::new(to).run(&["inbox", "--as", "coder", "--peek"]).exits(0);
        holds(ran.stdout.contains(text), || ran.stdout)
    });
}

#[test]
fn two_people_pair_by_name_and_see_who_the_other_is() {
    sealed(|programs| {
        let specs = [NodeSpec::new("my-laptop").of("alice"), NodeSpec::new("office").of("bob")];
        let cluster = Cluster::up(programs, specs);
        let (laptop, office) = (cluster.daemon("my-laptop"), cluster.daemon("office"));

        let mut accepting = Terminal::of(laptop, &["peer", "add"]);
        let code = accepting.shows_code();
        accepting.shows(r"thrum peer join my-laptop:9100");
        let mut joining = Terminal::of(office, &["peer", "join", "my-laptop"]);
        joining.shows(r"my-laptop is my-laptop\.tail\.test, owned by alice");
        joining.shows("Enter pairing code: ");
        joining.types(if code == "1234" { "4321" } else { "1234" });
        accepting.shows(r"Wrong code from office\.tail\.test \(bob\)?.*; it has 2 tries left");
        joining.shows("Enter pairing code: ");
        joining.types(&code);
        joining.shows(r#"Paired with "my-laptop"\. Syncing started\."#);
        accepting.shows(r#"Paired with "office" \(100\.64\.0\.2:9100\)"#);
        assert_eq!(joining.ends().0, 0);
        assert_eq!(accepting.ends().0, 0);

        send_and_read(laptop, office, "from the laptop");
        send_and_read(office, laptop, "from the office");
        // Which tailscaled that is, the daemon knows; nothing in this environment names it.
        let report = laptop.thrum(&["doctor", "--json"]).json();
        let checks = report["checks"].as_array().unwrap();
        let login = checks.iter().find(|check| check["id"] == "tailscale_login").unwrap();
        assert_eq!(login["state"], "ok", "{report}");
        assert_eq!(laptop.status().tailnet.listening.len(), 2, "IPv4 and IPv6");
        // Where the code is also the port or the year it proves nothing.
        let log = laptop.log_text();
        let is_other = code == "9100" || log.starts_with(&code);
        assert!(is_other || !has_word(&log, &code), "the log has the code");
    });
}

#[test]
fn daemons_pair_at_once_after_their_start() {
    sealed(|programs| {
        let mut cluster = Cluster::of(programs, &["a", "b"]);
        for name in ["a", "b"] {
            cluster.daemon_mut(name).stop();
        }
        cluster.daemon_mut("a").start_again();
        let mut accepting = Terminal::of(cluster.daemon("a"), &["peer", "add"]);
        let code = format!("{}\n", accepting.shows_code());
        cluster.daemon_mut("b").start_again();
        Client::new(cluster.daemon("b")).run_with(&["peer", "join", "a"], &code).exits(0);
        assert_eq!(accepting.ends().0, 0);
    });
}

#[test]
fn a_node_in_userspace_mode_pairs_and_talks_both_ways() {
    sealed(|programs| {
        let specs = [NodeSpec::new("a"), NodeSpec::new("b").userspace(), NodeSpec::new("c")];
        let cluster = Cluster::up(programs, specs);
        // Once it is the one that dials, once the one that is dialled.
        cluster.pair("a", "b");
        cluster.pair("b", "c");
        assert_eq!(cluster.daemon("b").status().tailnet.listening, ["127.0.0.1:9100"]);
        cluster.talk(&["a", "b", "c"]);
        let peers = cluster.daemon("a").status().peers;
        assert_eq!(peers.len(), 1);
        // The address as observed is the node's, and not that of the tailscaled between.
        assert_eq!(peers[0].address, "100.64.0.2:9100");
        send_and_read(cluster.daemon("a"), cluster.daemon("c"), "through the middle");
        send_and_read(cluster.daemon("c"), cluster.daemon("a"), "and back");
    });
}

#[test]
fn traffic_goes_on_through_the_relay_when_udp_is_cut_and_direct_again_after_that() {
    sealed(|programs| {
        let cluster = Cluster::of(programs, &["a", "b"]);
        cluster.pair("a", "b");
        eventually(TAILNET_LIMIT, || {
            holds(is_direct(&cluster, "a", "b")?, || "through the relay".to_owned())
        });
        cluster.tailnet.block("a", "b");
        cluster.talk(&["a", "b"]);
        eventually(TAILNET_LIMIT, || {
            holds(!is_direct(&cluster, "a", "b")?, || "still direct".to_owned())
        });
        cluster.tailnet.heal();
        eventually(TAILNET_LIMIT, || {
            cluster.daemon("a").append(["traffic"]);
            holds(is_direct(&cluster, "a", "b")?, || "still through the relay".to_owned())
        });
        cluster.talk(&["a", "b"]);
    });
}
