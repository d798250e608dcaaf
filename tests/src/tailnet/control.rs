use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use super::program::Program;
use super::programs::finish;
use super::{Programs, TAILNET_LIMIT};
use crate::harness::{PeerCaller, eventually};

/// The address of the control host, in every tailnet.
pub(super) const ADDRESS: &str = "10.77.0.1";
/// The domain of every tailnet.
pub const DOMAIN: &str = "tail.test";

/// headscale with its relay, in the test's own network namespace.
#[derive(Debug)]
pub struct Control {
    program: Program,
    binary: PathBuf,
    config: PathBuf,
    folder: PathBuf,
}

impl Control {
    pub(super) fn start_in(folder: &Path, programs: &Programs) -> Self {
        let config = folder.join("headscale.yaml");
        fs::write(&config, configuration(folder)).unwrap();
        let control = Self {
            program: Program::new("headscale", folder),
            binary: programs.headscale(),
            config,
            folder: folder.to_owned(),
        };
        control.start();
        control
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg("-c").arg(&self.config).env("HOME", &self.folder);
        command
    }

    /// Starts it again.
    ///
    /// # Panics
    /// When it doesn't answer.
    #[track_caller]
    pub fn start(&self) {
        self.program.start(self.command().arg("serve"));
        eventually(TAILNET_LIMIT, || {
            let health = PeerCaller::new(format!("{ADDRESS}:8080").parse().unwrap());
            let answer = health.send("GET", "/health", &[], b"").map_err(|e| e.to_string())?;
            crate::harness::holds(answer.status == 200, || answer.text())
        });
        eventually(TAILNET_LIMIT, || self.try_ask(&["users", "list"]).map(drop));
    }

    /// Ends control server and relay.
    ///
    /// # Panics
    /// When they don't end.
    pub fn stop(&self) {
        self.program.end(Signal::KILL);
    }

    /// Runs the headscale client with JSON output.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn ask(&self, words: &[&str]) -> Value {
        self.try_ask(words).unwrap_or_else(|error| panic!("headscale {}: {error}", words.join(" ")))
    }

    fn try_ask(&self, words: &[&str]) -> Result<Value, String> {
        let text = finish(self.command().args(words).args(["-o", "json"]))?;
        if text.trim().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).map_err(|error| format!("no JSON ({error}): {text}"))
    }

    /// Sets the policy (ACLs, grants) of the tailnet. It holds at once where it is polled.
    ///
    /// # Panics
    /// When headscale refuses it.
    #[track_caller]
    pub fn set_policy(&self, policy: &Value) {
        let path = self.folder.join("policy.json");
        fs::write(&path, policy.to_string()).unwrap();
        let set = ["policy", "set", "-f", &path.display().to_string()];
        finish(self.command().args(set)).unwrap_or_else(|error| panic!("policy: {error}"));
    }

    /// Where nodes find it.
    pub fn url(&self) -> String {
        format!("http://{ADDRESS}:8080")
    }

    /// Gives a node other addresses. The control server is away for a moment; it has no
    /// command for that.
    ///
    /// # Panics
    /// When it has no such node.
    pub fn move_node(&self, stable_id: &str, ipv4: &str, ipv6: &str) {
        self.stop();
        let database = rusqlite::Connection::open(self.folder.join("db.sqlite")).unwrap();
        let change = "UPDATE nodes SET ipv4 = ?1, ipv6 = ?2 WHERE id = ?3";
        let changed = database.execute(change, (ipv4, ipv6, stable_id)).unwrap();
        assert_eq!(changed, 1, "no node has the id {stable_id}");
        drop(database);
        self.start();
    }

    /// A key with which nodes of this owner log in: a user's name or `tag:NAME`.
    ///
    /// # Panics
    /// When headscale refuses it.
    #[track_caller]
    pub fn auth_key(&self, owner: &str) -> String {
        self.key(owner, &["preauthkeys", "create", "--reusable", "-e", "24h"])
    }

    /// The same for nodes that are forgotten when they are gone.
    ///
    /// # Panics
    /// When headscale refuses it.
    #[track_caller]
    pub fn ephemeral_key(&self, owner: &str) -> String {
        self.key(owner, &["preauthkeys", "create", "--reusable", "--ephemeral", "-e", "24h"])
    }

    #[track_caller]
    fn key(&self, owner: &str, create: &[&str]) -> String {
        let of = if owner.starts_with("tag:") {
            ["--tags".to_owned(), owner.to_owned()]
        } else {
            ["-u".to_owned(), self.user(owner)]
        };
        let words = [create, &[&of[0], &of[1]]].concat();
        self.ask(&words)["key"].as_str().expect("a key").to_owned()
    }

    /// The number of a user, who is made if absent. The client takes users by number only.
    fn user(&self, name: &str) -> String {
        let users = self.ask(&["users", "list"]);
        let found = users.as_array().into_iter().flatten().find(|user| user["name"] == name);
        let made = || self.ask(&["users", "create", name]);
        let user = found.cloned().unwrap_or_else(made);
        user["id"].to_string().trim_matches('"').to_owned()
    }

    /// How many nodes are polling it.
    pub(super) fn online(&self) -> usize {
        let nodes = self.try_ask(&["nodes", "list"]).unwrap_or_default();
        nodes.as_array().into_iter().flatten().filter(|node| node["online"] == true).count()
    }
}

fn configuration(folder: &Path) -> String {
    let folder = folder.display();
    // The two tunings make logins take milliseconds; they only batch changes.
    format!(
        r#"server_url: http://{ADDRESS}:8080
listen_addr: {ADDRESS}:8080
metrics_listen_addr: 127.0.0.1:9090
grpc_listen_addr: 127.0.0.1:50443
grpc_allow_insecure: false
noise: {{ private_key_path: {folder}/noise.key }}
prefixes: {{ v4: 100.64.0.0/10, v6: "fd7a:115c:a1e0::/48", allocation: sequential }}
derp:
  server:
    enabled: true
    region_id: 999
    region_code: test
    region_name: offline test
    verify_clients: true
    stun_listen_addr: {ADDRESS}:3478
    private_key_path: {folder}/derp.key
    automatically_add_embedded_derp_region: true
    ipv4: {ADDRESS}
  urls: []
  paths: []
  auto_update_enabled: false
disable_check_updates: true
node: {{ expiry: 0, ephemeral: {{ inactivity_timeout: 30m }} }}
database: {{ type: sqlite, sqlite: {{ path: {folder}/db.sqlite, write_ahead_log: true }} }}
tls_cert_path: ""
tls_key_path: ""
log: {{ level: info, format: text }}
policy: {{ mode: database }}
dns:
  magic_dns: true
  base_domain: {DOMAIN}
  override_local_dns: false
  nameservers: {{ global: [], split: {{}} }}
  search_domains: []
  extra_records: []
unix_socket: {folder}/hs.sock
unix_socket_permission: "0700"
logtail: {{ enabled: false }}
# For each of its commands; 5 s by default.
cli: {{ timeout: 60s }}
tuning: {{ node_store_batch_timeout: 20ms, batch_change_delay: 50ms }}
"#
    )
}
