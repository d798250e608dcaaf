use std::ffi::OsStr;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde::Deserialize;
use serde_json::Value;

use super::program::Program;
use super::programs::{finish, run};
use super::{NodeSpec, Programs, TAILNET_LIMIT, control};
use crate::harness::{SHORT, Setup, connect_unix, eventually, holds, http};

/// A machine of the tailnet: a network namespace with a tailscaled in it.
#[derive(Debug)]
pub struct Node {
    spec: NodeSpec,
    folder: PathBuf,
    underlay: String,
    programs: Programs,
    /// A process that does nothing but keep the namespace.
    keeper: Program,
    tailscaled: Program,
}

/// What a node's tailscaled says of itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct NodeStatus {
    /// `Running`, `NeedsLogin` ...
    pub backend_state: String,
    /// Its tailnet addresses.
    #[serde(rename = "TailscaleIPs")]
    pub addresses: Option<Vec<IpAddr>>,
    /// The rest, as it came.
    #[serde(rename = "Self")]
    pub me: Value,
    /// Its peers, by key.
    pub peer: Option<Value>,
}

impl Node {
    /// The `number`-th machine (from 1), linked to the bridge.
    pub(super) fn new(spec: NodeSpec, number: usize, folder: &Path, programs: &Programs) -> Self {
        let folder = folder.join(&spec.name);
        fs::create_dir_all(folder.join("state")).unwrap();
        let keeper = Program::new(&format!("{} namespace", spec.name), &folder);
        keeper.start(Command::new("unshare").args(["--net", "sleep", "infinity"]));
        let underlay = format!("10.77.0.{}", 10 + number);
        let tailscaled = Program::new(&spec.name, &folder);
        let node = Self { spec, folder, underlay, programs: programs.clone(), keeper, tailscaled };
        node.link();
        node
    }

    fn link(&self) {
        let own = fs::read_link("/proc/self/ns/net").unwrap();
        eventually(SHORT, || {
            let other = fs::read_link(self.namespace()).map_err(|error| error.to_string())?;
            holds(other != own, || "the namespace is not there yet".to_owned())
        });
        let keeper = self.keeper.pid().expect("a keeper").to_string();
        let cable = format!("v-{}", self.spec.name);
        let there = ["peer", "name", "eth0", "netns", &keeper];
        run("ip", &[&["link", "add", &cable, "type", "veth"], &there[..]].concat()).unwrap();
        run("ip", &["link", "set", &cable, "master", "br0", "up"]).unwrap();
        self.ip(&["link", "set", "lo", "up"]);
        self.ip(&["addr", "add", &format!("{}/24", self.underlay), "dev", "eth0"]);
        self.ip(&["link", "set", "eth0", "up"]);
    }

    fn ip(&self, words: &[&str]) {
        finish(self.command("ip").args(words)).unwrap();
    }

    fn namespace(&self) -> String {
        format!("/proc/{}/ns/net", self.keeper.pid().expect("a keeper"))
    }

    /// A command that runs on this machine.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.namespace())).arg("--").arg(program);
        command
    }

    /// Runs something as if on this machine, for instance to open a connection from it.
    ///
    /// # Panics
    /// When it does.
    pub fn inside<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let namespace = fs::File::open(self.namespace()).unwrap();
        std::thread::scope(|scope| {
            let there = scope.spawn(move || {
                use std::os::fd::AsFd as _;
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                    .unwrap();
                act()
            });
            there.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// A daemon that is to be started on this machine, with this machine's tailscaled. Nothing but
    /// where that is is set.
    pub fn setup(&self) -> Setup {
        Setup::new(&self.spec.name)
            .without("THRUM_TAILNET")
            .env("THRUM_TS_SOCKET", self.socket().display())
            .env("THRUM_TS_PORT", 9100)
            .machine(&format!("{:0>32}", self.underlay.replace('.', "")))
            .through(self.entrance())
    }

    /// The words before a command that is to run on this machine.
    pub fn entrance(&self) -> [String; 3] {
        ["nsenter".to_owned(), format!("--net={}", self.namespace()), "--".to_owned()]
    }

    /// Its name, as it was given.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// Its address below the tailnet.
    pub fn underlay(&self) -> &str {
        &self.underlay
    }

    pub(super) fn is_bare(&self) -> bool {
        self.spec.bare
    }

    pub(super) fn owner(&self) -> &str {
        &self.spec.owner
    }

    pub(super) fn has_tun(&self) -> bool {
        self.spec.tun
    }

    /// The socket of its LocalAPI.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("ts.sock")
    }

    /// Starts its tailscaled, again or for the first time, and waits until it answers.
    ///
    /// # Panics
    /// When it doesn't.
    #[track_caller]
    pub fn start(&self) {
        let _absent = fs::remove_file(self.socket());
        let state = self.folder.join("state");
        let mut command = self.command(self.programs.tailscaled());
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.folder)
            // The relay has no TLS here; without this only direct paths work.
            .env("TS_DEBUG_USE_DERP_HTTP", "true")
            .env("TS_NO_LOGS_NO_SUPPORT", "true")
            .env("TS_PANIC_IF_HIT_MAIN_CONTROL", "1")
            .env("TS_DISABLE_PORTMAPPER", "1")
            .args(["--no-logs-no-support", "--port=41641"])
            .arg(format!("--statedir={}", state.display()))
            .arg(format!("--state={}", state.join("state").display()))
            .arg(format!("--socket={}", self.socket().display()));
        if self.spec.tun {
            command.arg("--tun=tailscale0");
        } else {
            command.args(["--tun=userspace-networking", "--socks5-server=127.0.0.1:1055"]);
        }
        self.tailscaled.start(&mut command);
        eventually(TAILNET_LIMIT, || self.try_status().map(drop));
    }

    /// Ends its tailscaled with this signal.
    ///
    /// # Panics
    /// When it doesn't end.
    pub fn stop(&self, signal: Signal) {
        self.tailscaled.end(signal);
    }

    /// Whether its tailscaled was started and not ended.
    pub fn is_started(&self) -> bool {
        self.tailscaled.pid().is_some()
    }

    /// Makes another machine of it, to the tailnet: it forgets its keys.
    ///
    /// # Panics
    /// When its tailscaled runs.
    pub fn forget(&self) {
        assert!(!self.is_started(), "stop it first");
        let state = self.folder.join("state");
        fs::remove_dir_all(&state).unwrap();
        fs::create_dir_all(&state).unwrap();
    }

    /// Logs it in with this key.
    ///
    /// # Panics
    /// When that fails.
    #[track_caller]
    pub fn log_in(&self, key: &str) {
        let server = format!("--login-server=http://{}:8080", control::ADDRESS);
        let name = format!("--hostname={}", self.spec.name);
        let key = format!("--auth-key={key}");
        let fixed = ["--netfilter-mode=off", "--accept-dns=false", "--timeout=30s"];
        let words = [&["up", &server, &key, &name], &fixed[..]].concat();
        self.tailscale_in_the_end(&words);
    }

    /// Runs the tailscale client of this machine.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn tailscale(&self, words: &[&str]) -> String {
        self.try_tailscale(words)
            .unwrap_or_else(|error| panic!("tailscale {} on {}: {error}", words[0], self.name()))
    }

    /// Runs the tailscale client of this machine, again while it fails: for what is the same twice.
    ///
    /// # Panics
    /// When it fails until the limit.
    #[track_caller]
    pub fn tailscale_in_the_end(&self, words: &[&str]) {
        eventually(TAILNET_LIMIT, || {
            let said = self.try_tailscale(words).map(drop);
            said.map_err(|error| format!("tailscale {} on {}: {error}", words[0], self.name()))
        });
    }

    /// Runs the tailscale client of this machine.
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub fn try_tailscale(&self, words: &[&str]) -> Result<String, String> {
        let mut command = self.command(self.programs.tailscale());
        command
            .arg(format!("--socket={}", self.socket().display()))
            .env("TS_DEBUG_USE_DERP_HTTP", "true")
            .args(words);
        finish(&mut command)
    }

    /// Asks its LocalAPI.
    ///
    /// # Errors
    /// When it doesn't answer with JSON.
    pub fn local_api(&self, path: &str) -> Result<Value, String> {
        let ask = || {
            let mut stream = connect_unix(&self.socket())?;
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            let host = [("host", "local-tailscaled.sock")];
            let request = http::request("GET", &format!("/localapi/v0/{path}"), &host, b"");
            http::exchange(&mut stream, &request)
        };
        let answer = ask().map_err(|error: std::io::Error| error.to_string())?;
        holds(answer.status == 200, || format!("{}: {}", answer.status, answer.text()))?;
        serde_json::from_slice(&answer.body).map_err(|error| error.to_string())
    }

    /// What its tailscaled says.
    ///
    /// # Errors
    /// When it doesn't answer.
    pub fn try_status(&self) -> Result<NodeStatus, String> {
        serde_json::from_value(self.local_api("status")?).map_err(|error| error.to_string())
    }

    /// What its tailscaled says.
    ///
    /// # Panics
    /// When it doesn't answer.
    #[track_caller]
    pub fn status(&self) -> NodeStatus {
        self.try_status().unwrap_or_else(|error| panic!("status of {}: {error}", self.name()))
    }

    /// Its IPv4 address in the tailnet.
    ///
    /// # Panics
    /// When it has none.
    #[track_caller]
    pub fn address(&self) -> IpAddr {
        self.status().addresses.and_then(|all| all.first().copied()).expect("a tailnet address")
    }

    /// Its stable id in the tailnet.
    #[track_caller]
    pub fn stable_id(&self) -> String {
        self.status().me["ID"].as_str().unwrap_or_default().to_owned()
    }

    /// Whether it is logged in and sees so many others online.
    pub(super) fn sees(&self, others: usize) -> Result<(), String> {
        let status = self.try_status()?;
        holds(status.backend_state == "Running", || {
            format!("{} is {}", self.name(), status.backend_state)
        })?;
        let peers = status.peer.unwrap_or_default();
        let online = peers.as_object().into_iter().flatten();
        let online = online.filter(|(_, peer)| peer["Online"] == true).count();
        holds(online >= others, || format!("{} sees {online} of {others} online", self.name()))
    }
}
