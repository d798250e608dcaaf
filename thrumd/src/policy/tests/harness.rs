use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use thrum_api::local::PeerState;
use thrum_api::peer::PairRequestParams;
use thrum_api::proof::Signature;
use thrum_api::{DaemonId, Token};
use tokio::sync::watch;

use crate::config::Cadence;
use crate::keys::SecretKey;
use crate::log::Log;
use crate::peer::{PairingPolicy, Peer, Registry};
use crate::policy::Policy;
use crate::sync::{Sync, SyncParts};
use crate::tailnet::localapi::fake::Fake;
use crate::tailnet::tailscaled::{Instance, Tailscaled, TailscaledConfig};
use crate::tailnet::{Caller, Node, Presence, Tailnet};

pub const CAPABILITY: &str = "thrum.dev/cap/pair";
const HOUR: Duration = Duration::from_secs(3600);

/// A daemon that allows pairing by policy, in a tailnet with the nodes 2 (itself) to 5.
pub struct Hub {
    dir: tempfile::TempDir,
    fake: Fake,
    pub registry: Registry,
    pub policy: Policy,
    peer_states: watch::Sender<BTreeMap<DaemonId, PeerState>>,
    tailnet: Tailnet,
}

impl Hub {
    pub async fn start() -> Self {
        let fake = Fake::start();
        let node = |id: u8| {
            json!({"ID": id.to_string(), "DNSName": format!("n{id}.tail.test."),
                "TailscaleIPs": [format!("127.0.0.{id}")], "UserID": 7, "Online": true})
        };
        fake.set(
            "status",
            200,
            json!({
                "TUN": true, "BackendState": "Running", "TailscaleIPs": ["127.0.0.2"],
                "Self": node(2), "Peer": {"key:3": node(3), "key:4": node(4), "key:5": node(5)},
                "CurrentTailnet": {"MagicDNSSuffix": "tail.test"},
            })
            .to_string(),
        );
        let config = TailscaledConfig { socket: Some(fake.socket()), instance: Instance::System };
        let tailnet = Tailnet::Tailscaled(Tailscaled::open(config));
        let mut presence = tailnet.presence();
        presence.wait_for(|it| matches!(it, Presence::Up { .. })).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let (registry, _) = Registry::open(dir.path()).unwrap();
        let peer_states = watch::Sender::default();
        let policy = Policy::new(registry.clone(), tailnet.clone(), peer_states.subscribe());
        let hub = Self { dir, fake, registry, policy, peer_states, tailnet };
        for node in [3, 4, 5] {
            hub.grants(node, true);
        }
        hub.allows(true).await;
        hub
    }

    pub async fn allows(&self, on: bool) {
        let policy = PairingPolicy { on, ..PairingPolicy::default() };
        self.registry.set_policy(policy).await.unwrap();
    }

    pub fn grants(&self, node: u8, granted: bool) {
        let grants = if granted { json!({CAPABILITY: []}) } else { json!({}) };
        let whois = json!({
            "Node": {"StableID": node.to_string(), "Name": format!("n{node}.tail.test."),
                "Addresses": [format!("127.0.0.{node}/32")]},
            "UserProfile": {"ID": 7, "LoginName": "al@example.com"},
            "CapMap": grants,
        });
        self.fake.set(&format!("whois 127.0.0.{node}"), 200, whois.to_string());
    }

    pub fn sees(&self, peer: DaemonId, state: PeerState) {
        self.peer_states.send_modify(|states| {
            states.insert(peer, state);
        });
    }

    /// The token that this node gets under this daemon id.
    pub async fn asks(&self, node: u8, id: DaemonId) -> Token {
        let peer = by_code(node, id);
        let token = peer.token.clone();
        self.policy.request(&caller(node), peer).await.unwrap();
        token
    }

    /// The reason why this node gets no token under this daemon id.
    pub async fn refuses(&self, node: u8, id: DaemonId) -> String {
        let refused = self.policy.request(&caller(node), by_code(node, id)).await.unwrap_err();
        refused.member("reason").unwrap().as_str().unwrap().to_owned()
    }

    pub async fn uses(&self, node: u8, token: &Token) -> Option<DaemonId> {
        self.policy.confirm(token.expose(), &caller(node)).await.unwrap()
    }

    /// Makes the list of peers unwritable, with a directory in its place.
    pub fn block_writing(&self) -> std::path::PathBuf {
        let obstacle = self.dir.path().join("peers.json.new");
        std::fs::create_dir(&obstacle).unwrap();
        obstacle
    }

    /// A sync that notifies removed peers.
    pub fn sync(&self) -> Sync {
        let (log, _) =
            Log::open(self.dir.path(), Arc::new(SecretKey::generate().unwrap()), false).unwrap();
        Sync::start(SyncParts {
            log,
            registry: self.registry.clone(),
            tailnet: self.tailnet.clone(),
            cadence: Cadence { interval: HOUR, recent: HOUR },
            name: "hub".into(),
            listening_port: watch::channel(9100).1,
            wanted_port: 9100,
        })
    }
}

pub fn caller(node: u8) -> Caller {
    let (stable_id, name) = (node.to_string(), format!("n{node}.tail.test"));
    let node_ip = [127, 0, 0, node];
    Caller { address: (node_ip, 40000).into(), node: Some(Node { stable_id, name, owner: None }) }
}

/// A peer that a person paired with a code.
pub fn by_code(node: u8, id: DaemonId) -> Peer {
    let (name, addr) = (format!("n{node}"), format!("n{node}:9100"));
    let params = PairRequestParams {
        id,
        name,
        addr,
        code: None,
        host: id,
        dialled: String::new(),
        signature: Signature([0; 64]),
    };
    Peer::requested(crate::testing::daemon(), &caller(node), &params).unwrap()
}
