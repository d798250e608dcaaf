//! Daemons in a fake tailnet: each has its own fake tailscaled, and the nodes have addresses of
//! 127.0.0.0/8.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::{Value, json};

use super::client::Running;
use crate::tailnet::localapi::fake::Fake;

/// A node: its stable id, the end of its address, and its name.
#[derive(Clone)]
pub struct TestNode {
    pub id: u8,
    pub at: u8,
    pub name: &'static str,
}

impl TestNode {
    pub fn ip(&self) -> String {
        format!("127.0.0.{}", self.at)
    }

    fn status(&self) -> Value {
        json!({"ID": self.id.to_string(), "DNSName": format!("{}.tail.test.", self.name),
            "TailscaleIPs": [self.ip()], "UserID": 7, "Online": true})
    }

    fn whois(&self, grants: &Value) -> Value {
        json!({
            "Node": {"StableID": self.id.to_string(), "Name": format!("{}.tail.test.", self.name),
                "Addresses": [format!("{}/32", self.ip())]},
            "UserProfile": {"ID": 7, "LoginName": "al@example.com"},
            "CapMap": grants,
        })
    }
}

/// A daemon on a node, and what its tailscaled reports of the others.
pub struct Machine {
    pub node: TestNode,
    pub fake: Fake,
    pub daemon: Running,
    others: BTreeMap<u8, (TestNode, Value)>,
}

impl Machine {
    pub async fn start(id: u8, name: &'static str) -> Self {
        let (fake, node) = (Fake::start(), TestNode { id, at: id, name });
        set(&fake, &node, &BTreeMap::new());
        let socket = fake.socket();
        let daemon = Running::start(&[
            ("THRUM_TAILNET", "tailscaled"),
            ("THRUM_TS_SOCKET", socket.to_str().unwrap()),
            ("THRUM_TS_PORT", &free_port().to_string()),
            ("THRUM_TS_HOSTNAME", &format!("own-{name}")),
        ])
        .await;
        Self { node, fake, daemon, others: BTreeMap::new() }
    }

    /// Makes its tailscaled report this node and its grants.
    pub fn sees(&mut self, node: &TestNode, grants: Value) {
        self.others.insert(node.id, (node.clone(), grants));
        set(&self.fake, &self.node, &self.others);
    }

    /// Makes its tailscaled forget this node.
    pub fn loses(&mut self, node: &TestNode) {
        self.others.remove(&node.id);
        self.fake.set(&format!("whois {}", node.ip()), 404, "no match for IP:port\n");
        set(&self.fake, &self.node, &self.others);
    }

    /// Removes the machine from the tailnet and adds it again.
    pub fn becomes(&mut self, id: u8) {
        self.node.id = id;
        self.moves(id);
    }

    /// Gives the node another address.
    pub fn moves(&mut self, at: u8) {
        self.node.at = at;
        set(&self.fake, &self.node, &self.others);
    }

    pub async fn call(&self, method: &str, params: Value) -> Value {
        self.daemon.call(method, params).await
    }

    pub async fn result(&self, method: &str, params: Value) -> Value {
        self.daemon.result(method, params).await
    }

    /// The address where it listens.
    pub async fn address(&self) -> String {
        super::pairing::eventually("it listens", async || {
            let status = self.result("status", json!({})).await;
            Some(status["tailnet"]["listening"][0].as_str()?.to_owned())
        })
        .await
    }

    /// The `status` of its only peer.
    pub async fn peer(&self) -> Option<Value> {
        let mut status = self.result("status", json!({})).await;
        let peers = status["peers"].as_array_mut().unwrap();
        assert!(peers.len() < 2, "{peers:?}");
        peers.pop()
    }

    pub async fn problems(&self) -> String {
        self.result("status", json!({})).await["problems"].to_string()
    }

    /// The state and message of one connectivity check.
    pub async fn check(&self, peer: &str, id: &str) -> (String, String) {
        let result = self.result("peer.check", json!({"peer": peer})).await;
        let checks = result["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["id"] == id).unwrap();
        let text = |key: &str| check[key].as_str().unwrap().to_owned();
        (text("state"), text("message"))
    }
}

/// A free port that no other test uses, below the ephemeral range.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(21_000);
    loop {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
}

fn set(fake: &Fake, node: &TestNode, others: &BTreeMap<u8, (TestNode, Value)>) {
    let peers: BTreeMap<String, Value> =
        others.iter().map(|(id, (node, _))| (format!("key:{id}"), node.status())).collect();
    for (other, grants) in others.values() {
        fake.set(&format!("whois {}", other.ip()), 200, other.whois(grants).to_string());
    }
    fake.status(&json!({
        "TUN": true, "BackendState": "Running", "TailscaleIPs": [node.ip()],
        "Self": node.status(), "Peer": peers,
        "CurrentTailnet": {"MagicDNSSuffix": "tail.test"},
        "User": {"7": {"ID": 7, "LoginName": "al@example.com"}},
    }));
}
