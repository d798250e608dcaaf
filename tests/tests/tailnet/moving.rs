//! Peers are known by node: renamed and moved ones stay peers, and one that was removed from the
//! tailnet and added again is another machine.

use tests::harness::{ChangeReader, Daemon, SHORT, eventually, holds};
use tests::tailnet::{Cluster, TAILNET_LIMIT, sealed};
use thrum_api::Empty;
use thrum_api::local::{PeerList, PeerState};

fn paired_at(daemon: &Daemon) -> Vec<String> {
    let peers = daemon.ask::<PeerList>(Empty {}).peers;
    peers.iter().map(|peer| peer.paired_at.to_string()).collect()
}

#[test]
fn names_follow_the_tailnet_and_nothing_pairs_again() {
    sealed(|programs| {
        let cluster = Cluster::of(programs, &["a", "b"]);
        cluster.pair("a", "b");
        let before = (paired_at(cluster.daemon("a")), paired_at(cluster.daemon("b")));
        let id = cluster.tailnet.node("b").stable_id();
        let mut changes = ChangeReader::of(cluster.daemon("a"));
        cluster.tailnet.control.ask(&["nodes", "rename", "-i", &id, "renamed"]);
        changes.until(
            |change| change.status && change.agents && change.deliveries,
            || {
                let name = cluster.look("a", "b")?.name;
                holds(name == "renamed", || name)
            },
        );
        for words in [&["peer", "list"][..], &["peer", "status"], &["peer", "status", "renamed"]] {
            let shown = cluster.daemon("a").thrum(words).exits(0).stdout;
            assert!(shown.contains("renamed"), "{words:?}: {shown}");
        }
        eventually(TAILNET_LIMIT, || {
            let hostname = cluster.daemon("b").status().tailnet.hostname;
            holds(hostname.as_deref() == Some("renamed"), || format!("{hostname:?}"))
        });
        cluster.talk(&["a", "b"]);
        assert_eq!(before, (paired_at(cluster.daemon("a")), paired_at(cluster.daemon("b"))));
        cluster.daemon("a").thrum(&["peer", "sync", "renamed"]).exits(0);
    });
}

#[test]
fn a_peer_with_a_new_address_is_found_there() {
    sealed(|programs| {
        let cluster = Cluster::of(programs, &["a", "b"]);
        cluster.pair("a", "b");
        let before = (paired_at(cluster.daemon("a")), paired_at(cluster.daemon("b")));
        let id = cluster.tailnet.node("b").stable_id();
        cluster.tailnet.control.move_node(&id, "100.64.0.77", "fd7a:115c:a1e0::77");
        eventually(TAILNET_LIMIT, || {
            let listening = cluster.daemon("b").status().tailnet.listening;
            let moved = listening.contains(&"100.64.0.77:9100".to_owned());
            holds(moved && !listening.contains(&"100.64.0.2:9100".to_owned()), || {
                format!("b listens on {listening:?}")
            })
        });
        cluster.tailnet.settle();
        cluster.talk(&["a", "b"]);
        // Written at each in turn, so that each has to find the other.
        cluster.daemon("a").append(["to the new address"]);
        cluster.talk(&["b", "a"]);
        eventually(TAILNET_LIMIT, || {
            let peer = cluster.look("a", "b")?;
            // Whichever answered first is kept.
            let new = ["100.64.0.77:9100", "[fd7a:115c:a1e0::77]:9100"];
            let there = new.contains(&&*peer.address) && peer.state == PeerState::InSync;
            holds(there, || format!("{} at {}", peer.name, peer.address))
        });
        assert_eq!(before, (paired_at(cluster.daemon("a")), paired_at(cluster.daemon("b"))));
    });
}

#[test]
fn a_node_that_was_removed_and_added_again_is_another_machine() {
    sealed(|programs| {
        let cluster = Cluster::of(programs, &["a", "b"]);
        cluster.pair("a", "b");
        cluster.talk(&["a", "b"]);
        let (a, b) = (cluster.daemon("a"), cluster.daemon("b"));
        let (node, control) = (cluster.tailnet.node("b"), &cluster.tailnet.control);
        control.ask(&["nodes", "delete", "--force", "-i", &node.stable_id()]);
        node.stop(rustix::process::Signal::KILL);
        node.forget();
        node.start();
        node.log_in(&control.auth_key("test"));
        cluster.tailnet.settle();
        // The old token comes from another node now.
        b.append(["not for a"]);
        b.thrum(&["peer", "sync"]).exits(0);
        eventually(TAILNET_LIMIT, || {
            let peer = cluster.look("b", "a")?;
            holds(peer.refusal.as_deref() == Some("other_node"), || format!("{peer:?}"))
        });
        let problems = b.status().problems;
        let said = problems.iter().find(|problem| problem.id == "peer_token");
        let said = said.unwrap_or_else(|| panic!("{problems:?}"));
        assert!(said.message.contains("removed from the tailnet and added again"), "{said:?}");
        assert!(said.message.contains("thrum peer add"), "{said:?}");
        // The other side says so as well, and where it came from.
        eventually(SHORT, || {
            let peer = cluster.look("a", "b")?;
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
        let joined = cluster.pair("a", "b");
        assert!(joined.renewed);
        cluster.talk(&["a", "b"]);
        assert!(a.texts().contains(&"not for a".to_owned()));
    });
}
