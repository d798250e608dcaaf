//! The tailnet itself, so that a failure of the tier's own tools is not taken for one of the daemon.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use tests::harness::{eventually, holds};
use tests::tailnet::{NodeSpec, TAILNET_LIMIT, Tailnet, sealed};

fn ping(tailnet: &Tailnet, from: &str, to: &str) -> Result<(), String> {
    let words = ["ping", "--until-direct=false", "--timeout=1s", "-c", "1", to];
    tailnet.node(from).try_tailscale(&words).map(drop)
}

#[test]
fn two_nodes_reach_each_other() {
    sealed(|programs| {
        let tailnet = Tailnet::of(programs, &["a", "b"]);
        eventually(TAILNET_LIMIT, || ping(&tailnet, "a", "b"));
        tailnet.make_direct();

        let to = SocketAddr::new(tailnet.node("b").address(), 7000);
        let listener = tailnet.node("b").inside(|| TcpListener::bind(to).unwrap());
        let mut here = tailnet
            .node("a")
            .inside(|| TcpStream::connect_timeout(&to, Duration::from_secs(5)).unwrap());
        let (mut there, from) = listener.accept().unwrap();
        assert_eq!(from.ip(), tailnet.node("a").address());
        here.write_all(b"hello").unwrap();
        let mut bytes = [0; 5];
        there.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"hello");

        let whois = tailnet.node("b").local_api(&format!("whois?addr={from}")).unwrap();
        assert_eq!(whois["Node"]["StableID"], tailnet.node("a").stable_id());
    });
}

#[test]
fn nothing_leads_out_of_the_sealed_namespaces() {
    sealed(|programs| {
        let tailnet = Tailnet::of(programs, &["a"]);
        for address in ["192.0.2.1:80", "100.64.0.9:9100", "1.1.1.1:53"] {
            let address: SocketAddr = address.parse().unwrap();
            let connect = || TcpStream::connect_timeout(&address, Duration::from_secs(2)).is_ok();
            assert!(!connect(), "{address} from the test");
            assert!(!tailnet.node("a").inside(connect), "{address} from a node");
        }
    });
}

#[test]
fn a_cut_is_a_partition_and_heals() {
    sealed(|programs| {
        let specs = [NodeSpec::new("a"), NodeSpec::new("b").userspace(), NodeSpec::new("c")];
        let tailnet = Tailnet::up(programs, specs);
        let reaches = |to: &str| {
            let to = SocketAddr::new(tailnet.node(to).address(), 7000);
            tailnet.node("a").inside(|| TcpStream::connect_timeout(&to, Duration::from_secs(2)))
        };
        let to = SocketAddr::new(tailnet.node("c").address(), 7000);
        let _listener = tailnet.node("c").inside(|| TcpListener::bind(to).unwrap());
        eventually(TAILNET_LIMIT, || reaches("c").map_err(|error| error.to_string()));
        tailnet.cut("a", "c");
        reaches("c").expect_err("a cut");
        tailnet.heal();
        eventually(TAILNET_LIMIT, || reaches("c").map_err(|error| error.to_string()));

        tailnet.isolate("c");
        reaches("c").expect_err("an isolated node");
        tailnet.heal();
        eventually(TAILNET_LIMIT, || reaches("c").map_err(|error| error.to_string()));
        eventually(TAILNET_LIMIT, || ping(&tailnet, "a", "b"));
    });
}

#[test]
fn the_control_server_and_a_tailscaled_can_go_and_come_back() {
    sealed(|programs| {
        let tailnet = Tailnet::of(programs, &["a", "b"]);
        let id = tailnet.node("b").stable_id();
        // The relay goes with the control server.
        tailnet.make_direct();
        tailnet.control.stop();
        eventually(TAILNET_LIMIT, || ping(&tailnet, "a", "b"));
        tailnet.control.start();
        tailnet.settle();
        tailnet.node("b").stop(rustix::process::Signal::KILL);
        tailnet.node("b").start();
        tailnet.settle();
        assert_eq!(tailnet.node("b").stable_id(), id);
        eventually(TAILNET_LIMIT, || ping(&tailnet, "a", "b"));
        tailnet.control.ask(&["nodes", "rename", "-i", &id, "renamed"]);
        eventually(TAILNET_LIMIT, || {
            let name = tailnet.node("b").status().me["DNSName"].to_string();
            holds(name.contains("renamed."), || name)
        });
    });
}
