//! The report for an issue. It contains only ids, our own words and numbers, and nothing that comes from a
//! daemon, a peer, a file or the environment.

use serde::{Serialize, Serializer};
use thrum_api::local::CheckState;

use super::context::CheckContext;
use super::finding::{Finding, state_word};
use crate::command::output;

/// A report that is safe to publish.
#[derive(Debug, Serialize)]
pub struct Report {
    #[serde(serialize_with = "in_order")]
    versions: Vec<(&'static str, String)>,
    checks: Vec<Line>,
    #[serde(serialize_with = "in_order")]
    counts: Vec<(&'static str, u64)>,
}

#[derive(Debug, Serialize)]
struct Line {
    section: &'static str,
    id: String,
    state: CheckState,
    /// Peers have numbers instead of names.
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fact: Option<String>,
}

/// Serializes an object whose members keep their order.
fn in_order<T: Serialize, S: Serializer>(
    members: &[(&'static str, T)],
    to: S,
) -> Result<S::Ok, S::Error> {
    to.collect_map(members.iter().map(|(name, value)| (name, value)))
}

/// The report of these findings.
pub async fn of(context: &CheckContext, all: &[Finding]) -> Report {
    let running = context
        .daemon
        .as_ref()
        .map_or_else(|_| "not running".to_owned(), |daemon| version_only(&daemon.health.version));
    let versions = vec![
        ("thrum", env!("CARGO_PKG_VERSION").to_owned()),
        ("thrumd", running),
        ("system", system().await),
    ];
    let mut peers: Vec<&str> = Vec::new();
    let checks = all.iter().map(|found| line(found, &mut peers)).collect();
    Report { versions, checks, counts: counts(context) }
}

fn line<'a>(found: &'a Finding, peers: &mut Vec<&'a str>) -> Line {
    let peer = found.peer.as_deref().map(|name| {
        let index = peers.iter().position(|known| *known == name);
        index.unwrap_or_else(|| {
            peers.push(name);
            peers.len() - 1
        }) + 1
    });
    Line {
        section: found.section.word(),
        id: id_only(&found.check.id),
        state: found.check.state,
        peer,
        because: found.check.because.as_deref().map(id_only),
        fact: found.fact.as_deref().map(fact_only),
    }
}

/// The id, if it looks like one. It may come from a daemon of another version.
fn id_only(text: &str) -> String {
    let is_id = text.len() <= 40 && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if is_id { text.to_owned() } else { "unknown".to_owned() }
}

/// The fact, if it is harmless. A few contain words of other programs: a version, a state.
fn fact_only(text: &str) -> String {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b" .,-+".contains(&b);
    if text.len() <= 60 && text.bytes().all(fits) { text.to_owned() } else { "unknown".to_owned() }
}

/// The version, if it looks like one.
fn version_only(text: &str) -> String {
    let fits = text.len() <= 40
        && text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-+".contains(&b));
    if fits { text.to_owned() } else { "unknown".to_owned() }
}

/// Operating system, release and processor, without the machine's name.
async fn system() -> String {
    let uname = output("uname", &["-srm"], &[]).await.filter(|answer| answer.ok);
    let kernel = uname.map_or_else(
        || format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        |answer| answer.stdout.trim().to_owned(),
    );
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let value = |name: &str| {
        let line = release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
        Some(line.trim_matches('"').to_owned())
    };
    match (value("ID"), value("VERSION_ID")) {
        (Some(id), Some(version)) => format!("{kernel}, {id} {version}"),
        (Some(id), None) => format!("{kernel}, {id}"),
        _ => kernel,
    }
}

fn counts(context: &CheckContext) -> Vec<(&'static str, u64)> {
    let Some(status) = context.status() else { return Vec::new() };
    let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    vec![
        ("uptime_ms", status.uptime_ms),
        ("events", status.log.events),
        ("size_bytes", status.log.size_bytes),
        ("quarantined", status.log.quarantined),
        ("peers", number(status.peers.len())),
        ("in_sync", number(status.sync.in_sync)),
        ("connected", number(status.sync.connected)),
        ("pulls_sent", status.sync.pulls_sent),
        ("notifies_sent", status.sync.notifies_sent),
        ("events_received", status.sync.events_received),
        ("events_duplicate", status.sync.events_duplicate),
    ]
}

impl Report {
    /// The report as text.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec!["```".to_owned(), "thrum doctor --report".to_owned()];
        lines.extend(self.versions.iter().map(|(name, value)| format!("{name:<8} {value}")));
        lines.push(String::new());
        for check in &self.checks {
            let word = state_word(check.state);
            let mut line = format!("{word:<4}  {:<8} {}", check.section, check.id);
            if let Some(peer) = check.peer {
                line.push_str(&format!(" (peer {peer})"));
            }
            if let Some(because) = &check.because {
                line.push_str(&format!(", because of {because}"));
            }
            if let Some(fact) = &check.fact {
                line.push_str(&format!(": {fact}"));
            }
            lines.push(line);
        }
        if !self.counts.is_empty() {
            lines.push(String::new());
        }
        lines.extend(self.counts.iter().map(|(name, value)| format!("{name:<17} {value}")));
        lines.push("```".to_owned());
        lines
    }
}
