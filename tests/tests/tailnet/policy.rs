//! Machines that the tailnet's policy lets pair without a code.

use serde_json::{Value, json};
use tests::lab::{Daemon, SHORT, converge, eventually, holds};
use tests::tailnet::{Disguise, NodeSpec, TAILNET_LIMIT, Town, sealed};
use thrum_api::Empty;
use thrum_api::local::PeerList;

const CAPABILITY: &str = "example.com/cap/thrum";

fn policy(grant: bool) -> Value {
    let mut grants = vec![json!({"src": ["*"], "dst": ["*"], "ip": ["tcp:9100"]})];
    if grant {
        let app = json!({ CAPABILITY: [{"projects": ["*"]}] });
        grants.push(json!({"src": ["tag:ci"], "dst": ["tag:hub"], "app": app}));
    }
    json!({ "tagOwners": {"tag:ci": [], "tag:hub": []}, "grants": grants })
}

fn by_policy(hub: &Daemon) -> usize {
    let peers = hub.ask::<PeerList>(Empty {}).peers;
    peers.iter().filter(|peer| peer.by_policy.as_deref() == Some(CAPABILITY)).count()
}

#[test]
fn tagged_runners_pair_by_grant_and_are_peers_as_long_as_they_have_it() {
    sealed(|programs| {
        let runners = ["ci-1", "ci-2", "ci-3"];
        let specs = [NodeSpec::new("hub").of("tag:hub"), NodeSpec::new("other")];
        let bare = runners.iter().map(|name| NodeSpec::new(name).bare());
        let mut town = Town::up(programs, specs.into_iter().chain(bare));
        town.tailnet.control.set_policy(&policy(true));
        let disguise = Disguise::new(programs);
        for name in runners {
            let key = town.tailnet.control.ephemeral_key("tag:ci");
            let node = town.tailnet.node(name);
            let setup = disguise.setup(node, &town.tailnet.control, Some(&key));
            town.put(name, setup.env("THRUM_TS_EPHEMERAL", "true").start());
        }
        let hub = town.daemon("hub");
        let join = |name: &str| town.daemon(name).thrum(&["peer", "join", "hub"]);
        // A person has to allow it at the hub.
        eventually(TAILNET_LIMIT, || {
            let said = join("ci-1");
            assert_ne!(said.code, Some(0));
            holds(!said.stderr.contains("not up"), || said.stderr)
        });
        hub.thrum(&["peer", "policy", "on", "--capability", CAPABILITY]).exits(0);
        for name in runners {
            eventually(TAILNET_LIMIT, || {
                let ran = join(name);
                holds(ran.code == Some(0), || ran.stderr)
            });
        }
        assert_eq!(by_policy(hub), 3);
        // Who has no such tag has no such grant.
        let refused = join("other");
        assert_ne!(refused.code, Some(0));
        assert_eq!(hub.ask::<PeerList>(Empty {}).peers.len(), 3);
        for name in runners {
            town.daemon(name).append([format!("from {name}")]);
        }
        let all = runners.map(|name| town.daemon(name));
        converge(TAILNET_LIMIT, &[&[hub], &all[..]].concat());

        // The grant is withdrawn.
        town.tailnet.control.set_policy(&policy(false));
        eventually(TAILNET_LIMIT, || {
            let left = by_policy(hub);
            holds(left == 0, || format!("{left} are still peers"))
        });
        let before = hub.texts();
        town.daemon("ci-1").append(["too late"]);
        town.daemon("ci-1").thrum(&["peer", "sync"]);
        eventually(SHORT, || {
            let problems = town.daemon("ci-1").status().problems;
            let told =
                problems.iter().any(|problem| problem.message.contains("no longer allows it"));
            holds(told, || format!("{problems:?}"))
        });
        assert_eq!(hub.texts(), before);

        // The tailnet forgets a runner that ends.
        let nodes = |town: &Town| town.tailnet.control.ask(&["nodes", "list"]).to_string();
        assert!(nodes(&town).contains("ci-2"));
        assert!(town.daemon_mut("ci-2").stop().success());
        eventually(TAILNET_LIMIT, || {
            let nodes = nodes(&town);
            holds(!nodes.contains("ci-2") && nodes.contains("ci-1"), || nodes)
        });
    });
}
