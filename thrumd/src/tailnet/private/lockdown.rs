//! Keeps the child from handing connections on to other ports than ours.
//!
//! A tailscaled in userspace mode connects to 127.0.0.1 (to no other address) for whoever calls from the tailnet. Where we
//! are root it runs with a group of its own, and a rule of nftables refuses that group every other
//! port there. Elsewhere the tailnet's policy is the only lock, and [`Exposure::problem`] says so.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::{PrivateConfig, User};

/// The first of the group numbers that may be the child's: 60706 to 61183 are given to nobody
/// (systemd's "Users, Groups, UIDs and GIDs"), and lie below the 65536 of a rootless container.
const FIRST_GROUP: u32 = 60706;
const GROUPS: u32 = 478;
/// The name server's port, where the system's own stands on 127.0.0.1.
const DNS: u16 = 53;

/// What peers reach on 127.0.0.1.
#[derive(Debug, Clone)]
pub(super) enum Exposure {
    /// Our port, and what the child itself needs.
    Closed(Lockdown),
    /// Everything; why we could not close it.
    Open(String),
}

/// The rule.
#[derive(Debug, Clone)]
pub(super) struct Lockdown {
    nft: PathBuf,
    group: u32,
    port: u16,
    // Ports on 127.0.0.1 that the child needs for itself.
    needed: BTreeSet<u16>,
}

#[derive(Debug, thiserror::Error)]
enum LockdownError {
    #[error("{} could not be run", nft.display())]
    Run {
        nft: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("nft refused: {said}")]
    Refused { said: String },
}

impl Exposure {
    /// Closes what can be closed. A child that runs as `user` has to have that user's group, which
    /// is changed here.
    pub(super) fn make(config: &PrivateConfig, user: Option<&mut User>) -> Self {
        let Some(user) = user else { return Self::Open("thrumd is not root".to_owned()) };
        let Some(nft) = config.nft.clone() else {
            return Self::Open("nft (nftables) is not installed".to_owned());
        };
        // A group for each port, so that two daemons don't lock each other out.
        let group = FIRST_GROUP + u32::from(config.port) % GROUPS;
        if has_group(Path::new("/etc/group"), group) {
            return Self::Open(format!("group {group} is somebody's"));
        }
        let needed = needed(config, Path::new("/etc/resolv.conf"));
        let lockdown = Lockdown { nft, group, port: config.port, needed };
        match lockdown.apply() {
            Ok(()) => {
                user.gid = group;
                tracing::info!(
                    table = lockdown.table(),
                    "on 127.0.0.1 peers reach port {} alone",
                    config.port
                );
                Self::Closed(lockdown)
            }
            Err(error) => Self::Open(crate::report::Chain(&error).to_string()),
        }
    }

    /// What a person should know of it. Closes again what a reload of the machine's firewall opened.
    pub(super) fn problem(&self, port: u16) -> Option<String> {
        let why = match self {
            Self::Open(why) => why.clone(),
            Self::Closed(lockdown) => {
                if lockdown.stands() {
                    return None;
                }
                if let Err(error) = lockdown.apply() {
                    crate::report::Chain(&error).to_string()
                } else {
                    let table = lockdown.table();
                    tracing::warn!("nftables' table {table} was removed and has been made again");
                    return None;
                }
            }
        };
        Some(format!(
            "with the private tailnet kind, peers that the tailnet's policy lets in reach every \
             port that listens on 127.0.0.1 of this machine; let the policy allow port {port} alone \
             (thrumd could not close the others: {why})"
        ))
    }

    /// Takes the rule away. For when the child has ended.
    pub(super) fn lift(&self) {
        let Self::Closed(lockdown) = self else { return };
        if let Err(error) = lockdown.run(&format!("delete table inet {}\n", lockdown.table())) {
            tracing::warn!(error = %crate::report::Chain(&error), "could not remove our rule");
        }
    }
}

impl Lockdown {
    fn table(&self) -> String {
        format!("thrum_{}", self.port)
    }

    fn rules(&self) -> String {
        let (table, group) = (self.table(), self.group);
        let mut open: Vec<_> = self.needed.iter().map(ToString::to_string).collect();
        open.push(self.port.to_string());
        let open = open.join(", ");
        // The first two lines empty a table that an earlier run left. Each rule begins with the group:
        // a packet of no socket (a refusal by the kernel) matches none.
        let closed = format!("meta l4proto {{ tcp, udp }} th dport != {{ {open} }} reject");
        format!(
            "add table inet {table}\n\
             delete table inet {table}\n\
             table inet {table} {{\n\
             chain output {{\n\
             type filter hook output priority filter; policy accept;\n\
             meta skgid {group} ip daddr 127.0.0.1 {closed}\n\
             meta skgid {group} ip6 daddr ::1 {closed}\n\
             }}\n\
             }}\n"
        )
    }

    fn apply(&self) -> Result<(), LockdownError> {
        self.run(&self.rules())
    }

    fn stands(&self) -> bool {
        let mut list = Command::new(&self.nft);
        list.args(["list", "table", "inet", &self.table()]).stdin(Stdio::null());
        list.output().is_ok_and(|output| output.status.success())
    }

    fn run(&self, script: &str) -> Result<(), LockdownError> {
        let output = feed(&self.nft, script)
            .map_err(|source| LockdownError::Run { nft: self.nft.clone(), source })?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().next().unwrap_or("it did not say why").to_owned();
        Err(LockdownError::Refused { said })
    }
}

fn feed(nft: &Path, script: &str) -> io::Result<Output> {
    let mut child = Command::new(nft)
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    // Dropped at once: the script ends there. One that does not read tells why on stderr.
    let written = child.stdin.take().map(|mut stdin| stdin.write_all(script.as_bytes()));
    let output = child.wait_with_output()?;
    match written {
        Some(Err(error)) if output.status.success() => Err(error),
        _ => Ok(output),
    }
}

fn has_group(groups: &Path, wanted: u32) -> bool {
    let text = std::fs::read_to_string(groups).unwrap_or_default();
    text.lines().any(|line| line.split(':').nth(2) == Some(&wanted.to_string()))
}

/// The ports on 127.0.0.1 without which the child does not work: a name server, a proxy, or the
/// control server.
fn needed(config: &PrivateConfig, resolv: &Path) -> BTreeSet<u16> {
    let proxies = config.environment.iter().filter_map(|(name, value)| {
        let name = name.to_str()?.to_ascii_uppercase();
        (name.ends_with("_PROXY") && name != "NO_PROXY").then(|| value.to_str())?
    });
    let mut ports: BTreeSet<_> =
        proxies.chain(config.control_url.as_deref()).filter_map(port_here).collect();
    let text = std::fs::read_to_string(resolv).unwrap_or_default();
    let mut servers = text.lines().filter_map(|line| line.strip_prefix("nameserver"));
    if servers.any(|server| ["127.0.0.1", "::1"].contains(&server.trim())) {
        ports.insert(DNS);
    }
    ports
}

/// The port of a URL that leads to this machine.
fn port_here(url: &str) -> Option<u16> {
    // A proxy may be written without its scheme.
    let full = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    let uri: hyper::Uri = full.parse().ok()?;
    let host = uri.host()?;
    let here = ["localhost", "127.0.0.1", "[::1]"].contains(&host);
    let usual = || if uri.scheme_str() == Some("https") { 443 } else { 80 };
    here.then(|| uri.port_u16().unwrap_or_else(usual))
}

#[cfg(test)]
mod tests;
