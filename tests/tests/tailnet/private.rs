//! A tailscaled of the daemon's own.

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;

use tests::harness::{Daemon, SHORT, Setup, eventually, holds, process};
use tests::tailnet::{
    Cluster, Disguise, NodeSpec, Programs, TAILNET_LIMIT, Tailnet, child_of as child, sealed,
};
use thrum_api::local::TailnetKind;

fn user_of(pid: u32) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("Uid:")).unwrap_or_default();
    line.split_whitespace().nth(1).unwrap_or_default().to_owned()
}

fn comes_up(daemon: &Daemon) {
    eventually(TAILNET_LIMIT, || {
        let tailnet = daemon.status().tailnet;
        holds(tailnet.state == "up" && !tailnet.listening.is_empty(), || tailnet.state)
    });
}

/// Sync has to be wanted before a child is of any use.
fn wanted(setup: Setup) -> Setup {
    setup.env("THRUM_TS_ENABLED", "true")
}

/// Node "a" with a tailscaled of the machine, and "runner", whose daemon has its own, by this key.
fn with_runner(programs: &Programs) -> (Cluster, Disguise, String) {
    let mut cluster = Cluster::up(programs, [NodeSpec::new("a"), NodeSpec::new("runner").bare()]);
    let disguise = Disguise::new(programs);
    let key = cluster.tailnet.control.auth_key("test");
    let node = cluster.tailnet.node("runner");
    let setup = disguise.setup(node, &cluster.tailnet.control, Some(&key));
    cluster.put("runner", wanted(setup).start());
    comes_up(cluster.daemon("runner"));
    (cluster, disguise, key)
}

fn key_is_gone(daemon: &Daemon, key: &str) {
    let folder = daemon.state().join("tailscale");
    eventually(SHORT, || {
        holds(!folder.join("authkey").exists(), || "the key file is still there".to_owned())
    });
    let everything = process::everything_public();
    let child = child(daemon).unwrap();
    let cmdline = std::fs::read(format!("/proc/{child}/cmdline")).unwrap();
    let environ = std::fs::read(format!("/proc/{child}/environ")).unwrap_or_default();
    for (what, bytes) in [("arguments", cmdline), ("environment", environ)] {
        assert!(!String::from_utf8_lossy(&bytes).contains(key), "the key is in the {what}");
    }
    // Only who was given the key has it.
    assert!(everything.matches(key).count() <= 2, "the key is in more places than the daemon");
    assert!(!daemon.log_text().contains(key), "the key is in the log");
}

#[test]
fn an_auth_key_is_enough_once_and_the_child_is_kept_running() {
    sealed(|programs| {
        let (mut cluster, _disguise, key) = with_runner(programs);
        let status = cluster.daemon("runner").status();
        assert_eq!(status.tailnet.kind, TailnetKind::Private);
        assert_eq!(status.tailnet.listening, ["127.0.0.1:9100"]);
        cluster.pair("a", "runner");
        cluster.talk(&["a", "runner"]);
        let first = child(cluster.daemon("runner")).unwrap();
        assert_ne!(user_of(first), "0", "the child is root");
        key_is_gone(cluster.daemon("runner"), &key);

        // The child dies: another one, the same node, the same peers.
        process::signal(first, rustix::process::Signal::KILL);
        eventually(TAILNET_LIMIT, || {
            let now = child(cluster.daemon("runner"))?;
            holds(now != first && process::runs(now), || format!("{now} is the child"))
        });
        comes_up(cluster.daemon("runner"));
        cluster.talk(&["runner", "a"]);

        // The daemon dies: the child with it.
        let second = child(cluster.daemon("runner")).unwrap();
        cluster.daemon_mut("runner").kill();
        eventually(SHORT, || holds(!process::runs(second), || "the child outlives us".to_owned()));
        cluster.daemon("a").append(["while it is away"]);

        // It needs no key any more.
        cluster.daemon_mut("runner").unset_env("THRUM_TS_AUTH_KEY");
        cluster.daemon_mut("runner").start_again();
        comes_up(cluster.daemon("runner"));
        cluster.talk(&["runner", "a"]);
        let third = child(cluster.daemon("runner")).unwrap();
        assert!(cluster.daemon_mut("runner").stop().success());
        assert!(!process::runs(third), "a stopped daemon leaves its child");
    });
}

#[test]
fn no_capability_and_no_tun_device_are_needed() {
    sealed(|programs| {
        let specs = [NodeSpec::new("a"), NodeSpec::new("box").bare()];
        let mut cluster = Cluster::up(programs, specs);
        let disguise = Disguise::new(programs);
        let key = cluster.tailnet.control.auth_key("test");
        let node = cluster.tailnet.node("box");
        let setup = disguise
            .setup(node, &cluster.tailnet.control, Some(&key))
            .program(disguise.thrumd())
            .through(disguise.as_nobody(node));
        // For everyone in this mount namespace; the nodes that need it have it open.
        let hidden = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "mode=755", "tmpfs", "/dev/net"])
            .status();
        assert!(hidden.unwrap().success() && !Path::new("/dev/net/tun").exists());
        let mut daemon = wanted(setup).prepare();
        Disguise::give(daemon.folder());
        daemon.start_again();
        assert_eq!(user_of(daemon.pid()), "65534");
        cluster.put("box", daemon);
        comes_up(cluster.daemon("box"));
        cluster.pair("box", "a");
        cluster.talk(&["a", "box"]);

        // Its tailscaled opens every loopback port. It says so.
        let opened = Others::listen(&cluster, "box");
        let not_yet = || "not reached".to_owned();
        eventually(TAILNET_LIMIT, || holds(opened.let_in(&cluster), not_yet));
        eventually(TAILNET_LIMIT, || holds(opened.heard(&cluster), not_yet));
        let warning = cluster.daemon("box").status().tailnet.warning.unwrap_or_default();
        let words = "127.0.0.1 of this machine; let the policy allow port 9100 alone";
        assert!(warning.contains(words), "{warning}");
        assert!(cluster.daemon("box").log_text().contains(&warning));
        assert!(exposure_check(&cluster, "box").contains(words));
    });
}

/// Another program of a machine, on its 127.0.0.1.
struct Others {
    tcp: TcpListener,
    udp: UdpSocket,
    address: IpAddr,
}

impl Others {
    fn listen(cluster: &Cluster, name: &str) -> Self {
        let node = cluster.tailnet.node(name);
        let (tcp, udp) = node.inside(|| {
            let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
            let udp = UdpSocket::bind(tcp.local_addr().unwrap()).unwrap();
            (tcp, udp)
        });
        udp.set_nonblocking(true).unwrap();
        // As the one other node of the tailnet sees it.
        let seen = cluster.tailnet.node("a").local_api("status").unwrap();
        let peer = seen["Peer"].as_object().unwrap().values().next().unwrap();
        let address = peer["TailscaleIPs"][0].as_str().unwrap().parse().unwrap();
        Self { tcp, udp, address }
    }

    /// Whether the tailnet lets node "a" in. The child connects before it answers.
    fn let_in(&self, cluster: &Cluster) -> bool {
        let to = SocketAddr::new(self.address, self.tcp.local_addr().unwrap().port());
        cluster.tailnet.node("a").inside(|| TcpStream::connect_timeout(&to, SHORT).is_ok())
    }

    /// Whether a datagram of node "a" has come. One may get lost.
    fn heard(&self, cluster: &Cluster) -> bool {
        let to = SocketAddr::new(self.address, self.udp.local_addr().unwrap().port());
        cluster.tailnet.node("a").inside(|| {
            UdpSocket::bind("0.0.0.0:0").unwrap().send_to(b"knock", to).unwrap();
        });
        self.udp.recv(&mut [0; 16]).is_ok()
    }
}

fn exposure_check(cluster: &Cluster, name: &str) -> String {
    let report = cluster.daemon(name).thrum(&["doctor", "--json"]).json();
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["id"] == "tailnet_exposure").unwrap();
    format!("{}: {}", check["state"].as_str().unwrap(), check["message"].as_str().unwrap())
}

#[test]
fn a_stop_that_nobody_answers_still_ends_the_child() {
    sealed(|programs| {
        let (mut cluster, _disguise, _) = with_runner(programs);
        cluster.pair("a", "runner");
        cluster.talk(&["a", "runner"]);
        // No peer can be reached, and the child itself takes all the time that it is given.
        let stuck = child(cluster.daemon("runner")).unwrap();
        process::signal(stuck, rustix::process::Signal::STOP);
        cluster.daemon("runner").append(["nobody hears this"]);
        assert!(cluster.daemon_mut("runner").stop().success());
        assert!(!process::runs(stuck), "a stopped daemon leaves its child");
    });
}

#[test]
fn a_key_that_is_refused_and_a_missing_program_have_words() {
    sealed(|programs| {
        let tailnet = Tailnet::up(programs, [NodeSpec::new("runner").bare()]);
        let disguise = Disguise::new(programs);
        let node = tailnet.node("runner");
        let wrong = "hskey-auth-000000000000-0000000000000000000000000000000000000000000000000000";
        let daemon = wanted(disguise.setup(node, &tailnet.control, Some(wrong))).start();
        eventually(TAILNET_LIMIT, || daemon.waits_for("THRUM_TS_AUTH_KEY"));
        assert!(!format!("{:?}{}", daemon.status(), daemon.log_text()).contains(wrong));

        // A machine where Tailscale is installed must look as if it weren't.
        for folder in ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"] {
            let program = Path::new(folder).join("tailscaled");
            if program.exists() {
                let mut mount = std::process::Command::new("mount");
                assert!(
                    mount.args(["--bind", "/dev/null"]).arg(program).status().unwrap().success()
                );
            }
        }
        let setup = disguise.setup(node, &tailnet.control, None).env("PATH", "/usr/bin:/bin");
        let without = setup.start();
        let said = without.thrum(&["peer", "add"]).exits(1).stderr;
        assert!(said.contains("tailscaled is not installed"), "{said}");
        assert!(said.contains("https://tailscale.com/download"), "{said}");
        without.append(["its own machine is served"]);
    });
}
