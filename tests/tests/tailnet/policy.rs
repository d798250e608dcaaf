//! Machines that the tailnet's policy lets pair without a code.

use serde_json::{Value, json};
use tests::harness::{Daemon, SHORT, converge, eventually, holds};
use tests::tailnet::{Cluster, Disguise, NodeSpec, TAILNET_LIMIT, sealed};
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
        let mut cluster = Cluster::up(programs, specs.into_iter().chain(bare));
        cluster.tailnet.control.set_policy(&policy(true));
        let disguise = Disguise::new(programs);
        for name in runners {
            let key = cluster.tailnet.control.ephemeral_key("tag:ci");
            let node = cluster.tailnet.node(name);
            let setup = disguise.setup(node, &cluster.tailnet.control, Some(&key));
            cluster.put(name, setup.env("THRUM_TS_EPHEMERAL", "true").start());
        }
        let hub = cluster.daemon("hub");
        let join = |name: &str| cluster.daemon(name).thrum(&["peer", "join", "hub"]);
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
            cluster.daemon(name).append([format!("from {name}")]);
        }
        let all = runners.map(|name| cluster.daemon(name));
        converge(TAILNET_LIMIT, &[&[hub], &all[..]].concat());

        // The grant is withdrawn.
        cluster.tailnet.control.set_policy(&policy(false));
        eventually(TAILNET_LIMIT, || {
            let left = by_policy(hub);
            holds(left == 0, || format!("{left} are still peers"))
        });
        let before = hub.texts();
        cluster.daemon("ci-1").append(["too late"]);
        cluster.daemon("ci-1").thrum(&["peer", "sync"]);
        eventually(SHORT, || cluster.daemon("ci-1").reports("no longer allows it"));
        assert_eq!(hub.texts(), before);
        let of_withdrawn = [("reason", "grant_withdrawn")];
        let counted = hub.scrape().value("thrumd_refused_total", &of_withdrawn);
        assert!(counted >= 1.0, "{counted} are in the metrics");

        // The tailnet forgets a runner that ends.
        let nodes = |cluster: &Cluster| cluster.tailnet.control.ask(&["nodes", "list"]).to_string();
        assert!(nodes(&cluster).contains("ci-2"));
        assert!(cluster.daemon_mut("ci-2").stop().success());
        eventually(TAILNET_LIMIT, || {
            let nodes = nodes(&cluster);
            holds(!nodes.contains("ci-2") && nodes.contains("ci-1"), || nodes)
        });
    });
}
