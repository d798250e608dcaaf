//! Peers are known by node: renamed and moved ones stay peers, and one that was removed from the
//! tailnet and added again is another machine.

use tests::lab::{Daemon, SHORT, eventually, holds};
use tests::tailnet::{TAILNET_LIMIT, Town, sealed};
use thrum_api::Empty;
use thrum_api::local::{PeerList, PeerState};

fn paired_at(daemon: &Daemon) -> Vec<String> {
    let peers = daemon.ask::<PeerList>(Empty {}).peers;
    peers.iter().map(|peer| peer.paired_at.to_string()).collect()
}

#[test]
fn names_follow_the_tailnet_and_nothing_pairs_again() {
    sealed(|programs| {
        let town = Town::of(programs, &["a", "b"]);
        town.pair("a", "b");
        let before = (paired_at(town.daemon("a")), paired_at(town.daemon("b")));
        let id = town.tailnet.node("b").stable_id();
        town.tailnet.control.ask(&["nodes", "rename", "-i", &id, "renamed"]);
        eventually(TAILNET_LIMIT, || {
            let name = town.look("a", "b")?.name;
            holds(name == "renamed", || name)
        });
        for words in [&["peer", "list"][..], &["peer", "status"], &["peer", "status", "renamed"]] {
            let shown = town.daemon("a").thrum(words).exits(0).stdout;
            assert!(shown.contains("renamed"), "{words:?}: {shown}");
        }
        eventually(TAILNET_LIMIT, || {
            let hostname = town.daemon("b").status().tailnet.hostname;
            holds(hostname.as_deref() == Some("renamed"), || format!("{hostname:?}"))
        });
        town.talk(&["a", "b"]);
        assert_eq!(before, (paired_at(town.daemon("a")), paired_at(town.daemon("b"))));
        town.daemon("a").thrum(&["peer", "sync", "renamed"]).exits(0);
    });
}

#[test]
fn a_peer_with_a_new_address_is_found_there() {
    sealed(|programs| {
        let town = Town::of(programs, &["a", "b"]);
        town.pair("a", "b");
        let before = (paired_at(town.daemon("a")), paired_at(town.daemon("b")));
        let id = town.tailnet.node("b").stable_id();
        town.tailnet.control.move_node(&id, "100.64.0.77");
        eventually(TAILNET_LIMIT, || {
            let listening = town.daemon("b").status().tailnet.listening;
            let moved = listening.contains(&"100.64.0.77:9100".to_owned());
            holds(moved && !listening.contains(&"100.64.0.2:9100".to_owned()), || {
                format!("b listens on {listening:?}")
            })
        });
        town.tailnet.settle();
        town.talk(&["a", "b"]);
        // Written at each in turn, so that each has to find the other.
        town.daemon("a").append(["to the new address"]);
        town.talk(&["b", "a"]);
        eventually(TAILNET_LIMIT, || {
            let peer = town.look("a", "b")?;
            let there = peer.address == "100.64.0.77:9100" && peer.state == PeerState::InSync;
            holds(there, || format!("{} at {}", peer.name, peer.address))
        });
        assert_eq!(before, (paired_at(town.daemon("a")), paired_at(town.daemon("b"))));
    });
}

#[test]
fn a_node_that_was_removed_and_added_again_is_another_machine() {
    sealed(|programs| {
        let town = Town::of(programs, &["a", "b"]);
        town.pair("a", "b");
        town.talk(&["a", "b"]);
        let (a, b) = (town.daemon("a"), town.daemon("b"));
        let (node, control) = (town.tailnet.node("b"), &town.tailnet.control);
        control.ask(&["nodes", "delete", "--force", "-i", &node.stable_id()]);
        node.stop(rustix::process::Signal::KILL);
        node.forget();
        node.start();
        node.log_in(&control.auth_key("test"));
        town.tailnet.settle();
        // The old token comes from another node now.
        b.append(["not for a"]);
        b.thrum(&["peer", "sync"]).exits(0);
        eventually(TAILNET_LIMIT, || {
            let peer = town.look("b", "a")?;
            holds(peer.refusal.as_deref() == Some("other_node"), || format!("{peer:?}"))
        });
        let problems = b.status().problems;
        let said = problems.iter().find(|problem| problem.id == "peer_token");
        let said = said.unwrap_or_else(|| panic!("{problems:?}"));
        assert!(said.message.contains("removed from the tailnet and added again"), "{said:?}");
        assert!(said.message.contains("thrum peer add"), "{said:?}");
        // The other side says so as well, and where it came from.
        eventually(SHORT, || {
            let peer = town.look("a", "b")?;
            holds(peer.refused_elsewhere > 0, || "nothing was counted".to_owned())?;
            let caller = peer.refused_caller.unwrap_or_default();
            holds(caller.contains("tail.test"), || caller)
        });
        // Until it hears that the old node is gone, it takes the new one for a thief.
        eventually(TAILNET_LIMIT, || {
            let shown = a.thrum(&["status"]).stdout;
            holds(shown.contains("added again"), || shown)
        });
        assert!(!a.texts().contains(&"not for a".to_owned()));
        // Pairing again heals it, and keeps what was synced.
        let joined = town.pair("a", "b");
        assert!(joined.renewed);
        town.talk(&["a", "b"]);
        assert!(a.texts().contains(&"not for a".to_owned()));
    });
}
