//! Who is not the machine that was paired gets nothing.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use tests::harness::{SHORT, converge, eventually, holds};
use tests::tailnet::{Cluster, NodeSpec, TAILNET_LIMIT, sealed};
use thrum_api::Empty;
use thrum_api::local::{PeerJoin, PeerJoinParams, PeerList};

#[test]
fn a_stolen_token_is_refused_counted_and_not_logged() {
    sealed(|programs| {
        let mut cluster = Cluster::of(programs, &["a", "b", "thief"]);
        cluster.pair("a", "b");
        cluster.talk(&["a", "b"]);
        cluster.daemon_mut("b").stop();
        // All that the thief could copy, down to the machine's id.
        let node = cluster.tailnet.node("thief");
        let machine = std::fs::read_to_string(cluster.daemon("b").folder().join("machine-id"));
        let copy = node
            .setup()
            .state_copied_from(cluster.daemon("b").state())
            .machine(machine.unwrap().trim())
            .start();
        cluster.put("thief", copy);
        cluster.daemon("thief").append(["forged"]);
        cluster.daemon("a").append(["private"]);
        let refused = eventually(TAILNET_LIMIT, || {
            cluster.daemon("thief").thrum(&["peer", "sync"]).exits(0);
            let peers = cluster.daemon("a").status().peers;
            let count = peers[0].refused_elsewhere;
            holds(count > 1, || format!("{count} were counted"))?;
            Ok(peers[0].clone())
        });
        let caller = refused.refused_caller.unwrap_or_default();
        assert!(caller.starts_with("thief.tail.test"), "{caller}");
        let of_stolen = [("reason", "token_elsewhere")];
        let counted = cluster.daemon("a").scrape().value("thrumd_refused_total", &of_stolen);
        assert!(counted > 1.0, "{counted} are in the metrics");
        let texts = cluster.daemon("a").texts();
        assert!(!texts.contains(&"forged".to_owned()), "{texts:?}");
        let texts = cluster.daemon("thief").texts();
        assert!(!texts.contains(&"private".to_owned()), "{texts:?}");

        let shown = cluster.daemon("a").thrum(&["status"]).stdout;
        assert!(shown.contains("thief.tail.test"), "{shown}");
        let tokens = cluster.daemon("b").tokens();
        assert_eq!(tokens.len(), 1);
        let log = cluster.daemon("a").log_text();
        assert!(log.contains("thief.tail.test"), "{log}");
        assert!(!log.contains(&tokens[0]), "the log has the token");

        // The machine that it was given to goes on.
        cluster.daemon_mut("b").start_again();
        converge(TAILNET_LIMIT, &[cluster.daemon("a"), cluster.daemon("b")]);
    });
}

#[test]
fn a_machine_of_the_underlay_reaches_the_port_and_gets_no_service() {
    sealed(|programs| {
        let specs = [NodeSpec::new("a"), NodeSpec::new("b"), NodeSpec::new("outside").bare()];
        let cluster = Cluster::up(programs, specs);
        cluster.pair("a", "b");
        let (a, outside) = (cluster.tailnet.node("a"), cluster.tailnet.node("outside"));
        let to = SocketAddr::new(a.address(), 9100);
        // A neighbour that knows the way: Linux takes packets for any address of its own, on any
        // interface.
        let ip = |words: &[&str]| {
            let mut command: Command = outside.command("ip");
            assert!(command.args(words).status().unwrap().success(), "{words:?}");
        };
        ip(&["route", "add", &format!("{}/32", to.ip()), "via", a.underlay()]);
        let (connected, answer) = outside.inside(|| {
            let Ok(mut stream) = TcpStream::connect_timeout(&to, Duration::from_secs(5)) else {
                return (false, Vec::new());
            };
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let request = "POST /rpc HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
                content-length: 52\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"sync.peer_info\"}  ";
            let _refused = stream.write_all(request.as_bytes());
            let mut answer = Vec::new();
            let _reset = stream.read_to_end(&mut answer);
            (true, answer)
        });
        assert!(connected, "it did not even reach the port, so nothing is shown");
        assert_eq!(String::from_utf8_lossy(&answer), "", "an answer to a stranger");
        eventually(SHORT, || {
            let log = cluster.daemon("a").log_text();
            holds(log.contains(&format!("connection from {}", outside.underlay())), || log)
        });
        // The same port from inside the tailnet.
        cluster.talk(&["a", "b"]);
    });
}

#[test]
fn a_policy_that_forbids_the_port_is_told_and_its_end_is_enough() {
    sealed(|programs| {
        let mut cluster = Cluster::of(programs, &["a", "b"]);
        let allow = |cluster: &Cluster, port: &str| {
            let rule = json!({"action": "accept", "src": ["*"], "dst": [format!("*:{port}")]});
            cluster.tailnet.control.set_policy(&json!({ "acls": [rule] }));
        };
        allow(&cluster, "9101");
        let joining = cluster.daemon("b");
        let said = eventually(TAILNET_LIMIT, || {
            let code = Some("1234".parse().unwrap());
            let params = PeerJoinParams { address: "a".to_owned(), code };
            let error = joining.call::<PeerJoin>(params).unwrap_err().to_string();
            // Until the policy holds, the port answers that nobody is pairing.
            holds(error.contains("nobody answers at a"), || error.clone())?;
            Ok(error)
        });
        assert!(said.contains("9100"), "{said}");
        assert!(joining.ask::<PeerList>(Empty {}).peers.is_empty());
        allow(&cluster, "9100");
        cluster.pair("a", "b");
        cluster.talk(&["a", "b"]);

        // Forbidden to those who are paired: told, and over by itself. Open connections go on, so
        // there must be none.
        allow(&cluster, "9101");
        for name in ["a", "b"] {
            cluster.daemon_mut(name).stop();
            cluster.daemon_mut(name).start_again();
        }
        for (from, at) in [("a", "b"), ("b", "a")] {
            cluster.daemon(from).append(["unseen"]);
            eventually(TAILNET_LIMIT, || {
                let peer = cluster.look(from, at)?;
                let said = peer.last_error.unwrap_or_default();
                holds(said.contains("did not accept a connection"), || said)
            });
        }
        allow(&cluster, "9100");
        converge(TAILNET_LIMIT, &[cluster.daemon("a"), cluster.daemon("b")]);
    });
}
