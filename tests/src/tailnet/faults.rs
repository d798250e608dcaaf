//! What goes wrong in networks. Drops sit on the bridge: in a node's own namespace they would be
//! errors that tailscaled sees, and no silence.

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::{Node, Tailnet, control};

const TABLE: &str = "thrum_faults";

impl Tailnet {
    /// The underlay drops everything between two nodes. No partition: the relay remains.
    pub fn block(&self, a: &str, b: &str) {
        let (a, b) = (self.node(a).underlay(), self.node(b).underlay());
        drop_on_bridge(&[between(a, b), between(b, a)]);
    }

    /// The node loses control server and relay, nothing else.
    pub fn block_control(&self, name: &str) {
        let node = self.node(name).underlay();
        drop_on_bridge(&[between(node, control::ADDRESS), between(control::ADDRESS, node)]);
    }

    /// Everything that the node sends, or that is sent to it, is lost; its link stays up.
    pub fn isolate(&self, name: &str) {
        let node = self.node(name).underlay();
        drop_on_bridge(&[format!("ip saddr {node}"), format!("ip daddr {node}")]);
    }

    /// This share of the packets between two nodes is lost, both ways.
    pub fn lose_percent(&self, a: &str, b: &str, percent: u8) {
        let (a, b) = (self.node(a).underlay(), self.node(b).underlay());
        let some = format!("numgen random mod 100 < {percent}");
        drop_on_bridge(&[format!("{} {some}", between(a, b)), format!("{} {some}", between(b, a))]);
    }

    /// A real partition inside the tailnet, which no relay helps: each node drops the other's tailnet
    /// addresses. At least one must have an interface.
    ///
    /// # Panics
    /// When neither has one.
    #[track_caller]
    pub fn cut(&self, a: &str, b: &str) {
        let (a, b) = (self.node(a), self.node(b));
        assert!(a.has_tun() || b.has_tun(), "neither node has an interface");
        for (node, other) in [(a, b), (b, a)] {
            if node.has_tun() {
                drop_in_tailnet(node, other);
            }
        }
    }

    /// Undoes every block, loss and cut.
    pub fn heal(&self) {
        let _absent = Command::new("nft")
            .args(["delete", "table", "bridge", TABLE])
            .stderr(Stdio::null())
            .status();
        for node in self.nodes() {
            let mut nft = node.command("nft");
            let _absent =
                nft.args(["delete", "table", "inet", TABLE]).stderr(Stdio::null()).status();
        }
    }

    /// Takes the node's link down, or up again.
    ///
    /// # Panics
    /// When that fails.
    pub fn set_link(&self, name: &str, up: bool) {
        let mut ip = self.node(name).command("ip");
        let state = if up { "up" } else { "down" };
        assert!(ip.args(["link", "set", "eth0", state]).status().unwrap().success());
    }
}

fn between(from: &str, to: &str) -> String {
    format!("ip saddr {from} ip daddr {to}")
}

fn drop_on_bridge(matches: &[String]) {
    let mut rules = format!(
        "table bridge {TABLE} {{
            chain forward {{ type filter hook forward priority 0; }}
            chain input {{ type filter hook input priority 0; }}
            chain output {{ type filter hook output priority 0; }}
        }}\n"
    );
    for what in matches {
        for chain in ["forward", "input", "output"] {
            rules.push_str(&format!("add rule bridge {TABLE} {chain} {what} drop\n"));
        }
    }
    apply(Command::new("nft"), &rules);
}

fn drop_in_tailnet(node: &Node, other: &Node) {
    let mut rules = format!(
        "table inet {TABLE} {{
            chain input {{ type filter hook input priority -300; }}
            chain output {{ type filter hook output priority -300; }}
        }}\n"
    );
    for address in other.status().addresses.unwrap_or_default() {
        let family = if address.is_ipv4() { "ip" } else { "ip6" };
        rules.push_str(&format!(
            "add rule inet {TABLE} input iifname \"tailscale0\" {family} saddr {address} drop\n\
             add rule inet {TABLE} output oifname \"tailscale0\" {family} daddr {address} drop\n"
        ));
    }
    apply(node.command("nft"), &rules);
}

fn apply(mut nft: Command, rules: &str) {
    let mut child = nft.args(["-f", "-"]).stdin(Stdio::piped()).spawn().expect("nft");
    child.stdin.take().unwrap().write_all(rules.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "nft refused:\n{rules}");
}
