//! Two machines are paired by name and talk, whatever their packets go through.

use tests::lab::{Client, Daemon, Terminal, eventually, holds};
use tests::tailnet::{NodeSpec, TAILNET_LIMIT, Town, sealed};
use thrum_api::local::{PeerCheckParams, PeerPath};

fn open(daemon: &Daemon, words: &[&str]) -> Terminal {
    Terminal::open(Client::new(daemon).env("NO_COLOR", 1).command(words))
}

/// Whether packets to `at` go straight there.
fn is_direct(town: &Town, from: &str, at: &str) -> Result<bool, String> {
    let peer = town.daemon(at).id().to_string();
    let asked = town.daemon(from).call::<PeerPath>(PeerCheckParams { peer });
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
        let town = Town::up(programs, specs);
        let (laptop, office) = (town.daemon("my-laptop"), town.daemon("office"));

        let mut accepting = open(laptop, &["peer", "add"]);
        let shown = accepting.shows(r"Pairing code: \d{4}");
        let code = &shown[shown.len() - 4..];
        accepting.shows(r"thrum peer join my-laptop:9100");
        let mut joining = open(office, &["peer", "join", "my-laptop"]);
        joining.shows(r"my-laptop is my-laptop\.tail\.test, owned by alice");
        joining.shows("Enter pairing code: ");
        joining.types(if code == "1234" { "4321" } else { "1234" });
        accepting.shows(r"Wrong code from office\.tail\.test \(bob\)?.*, 2 tries left");
        joining.shows("Enter pairing code: ");
        joining.types(code);
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
        let log = laptop.log_text();
        assert!(!log.contains(code), "the log has the code");
    });
}

#[test]
fn daemons_pair_at_once_after_their_start() {
    sealed(|programs| {
        let mut town = Town::of(programs, &["a", "b"]);
        for name in ["a", "b"] {
            town.daemon_mut(name).stop();
        }
        town.daemon_mut("a").start_again();
        let mut accepting = open(town.daemon("a"), &["peer", "add"]);
        let shown = accepting.shows(r"Pairing code: \d{4}");
        town.daemon_mut("b").start_again();
        let code = format!("{}\n", &shown[shown.len() - 4..]);
        Client::new(town.daemon("b")).run_with(&["peer", "join", "a"], &code).exits(0);
        assert_eq!(accepting.ends().0, 0);
    });
}

#[test]
fn a_node_in_userspace_mode_pairs_and_talks_both_ways() {
    sealed(|programs| {
        let specs = [NodeSpec::new("a"), NodeSpec::new("b").userspace(), NodeSpec::new("c")];
        let town = Town::up(programs, specs);
        // Once it is the one that dials, once the one that is dialled.
        town.pair("a", "b");
        town.pair("b", "c");
        assert_eq!(town.daemon("b").status().tailnet.listening, ["127.0.0.1:9100"]);
        town.talk(&["a", "b", "c"]);
        let peers = town.daemon("a").status().peers;
        assert_eq!(peers.len(), 1);
        // The address as observed is the node's, and not that of the tailscaled between.
        assert_eq!(peers[0].address, "100.64.0.2:9100");
        send_and_read(town.daemon("a"), town.daemon("c"), "through the middle");
        send_and_read(town.daemon("c"), town.daemon("a"), "and back");
    });
}

#[test]
fn traffic_goes_on_through_the_relay_when_udp_is_cut_and_direct_again_after_that() {
    sealed(|programs| {
        let town = Town::of(programs, &["a", "b"]);
        town.pair("a", "b");
        eventually(TAILNET_LIMIT, || {
            holds(is_direct(&town, "a", "b")?, || "through the relay".to_owned())
        });
        town.tailnet.block("a", "b");
        town.talk(&["a", "b"]);
        eventually(TAILNET_LIMIT, || {
            holds(!is_direct(&town, "a", "b")?, || "still direct".to_owned())
        });
        town.tailnet.heal();
        eventually(TAILNET_LIMIT, || {
            town.daemon("a").append(["traffic"]);
            holds(is_direct(&town, "a", "b")?, || "still through the relay".to_owned())
        });
        town.talk(&["a", "b"]);
    });
}
