use std::path::PathBuf;

use thrum_api::local::TailnetKind;

use super::context::CheckContext;
use super::finding::{Finding, Findings, Section, first_broken};
use super::localapi::{Tailscaled, tailscaled};
use super::service;
use crate::command::output;
use crate::endpoint::Owner;

/// Checks the connection to the tailnet.
pub async fn check(context: &CheckContext) -> Vec<Finding> {
    let mut found = Findings::of(Section::Tailnet);
    let settings = TailnetSettings::of(context).await;
    found.add(allowed(context, &found));
    found.add(kind(context, &found, &settings));
    found.all.extend(of_tailscaled(&found, &settings).await);
    let up = up(context, &found);
    // thrumd's message only repeats what an earlier check found.
    let up = match first_broken(&found.all).filter(|_| up.is_bad()) {
        Some(cause) => found.because("tailnet_up", &cause.check.id, up.check.message),
        None => up,
    };
    found.add(up);
    found.add(exposure(context, &found, &settings));
    found.all
}

/// The settings of the tailnet.
struct TailnetSettings {
    kind: Option<TailnetKind>,
    socket: Option<PathBuf>,
    /// Whether the tailnet is needed, because there are peers or sync is on.
    needed: bool,
}

impl TailnetSettings {
    /// Reads them from the daemon's status, or else from its configuration.
    async fn of(context: &CheckContext) -> Self {
        if let Some(status) = context.status() {
            let needed = status.sync.enabled || !status.peers.is_empty();
            // The daemon's own socket; the environment of this shell may name another one.
            let socket = status.tailnet.tailscaled_socket.as_ref().map(PathBuf::from);
            return Self { kind: Some(status.tailnet.kind), socket, needed };
        }
        let socket =
            std::env::var_os("THRUM_TS_SOCKET").filter(|s| !s.is_empty()).map(PathBuf::from);
        let needed = context.state_dir().join("peers.json").exists();
        let Ok(thrumd) = context.thrumd.as_ref() else {
            return Self { kind: None, socket, needed };
        };
        let state_dir = context.state_dir();
        let mut variables = vec![("THRUM_STATE_DIR", state_dir.as_os_str())];
        let file = PathBuf::from("/etc/thrum/thrumd.toml");
        if context.owner() == Owner::System && std::fs::File::open(&file).is_ok() {
            variables.push(("THRUM_CONFIG", file.as_os_str()));
        }
        let answer = output(thrumd, &["--print-config"], &variables).await;
        let text = answer.map(|answer| answer.stdout).unwrap_or_default();
        let setting = |name: &str| {
            let mut words = text.lines().map(str::split_whitespace);
            words.find_map(|mut words| (words.next()? == name).then(|| words.next())?)
        };
        let kind = match setting("tailnet") {
            Some("tailscaled") => Some(TailnetKind::Tailscaled),
            Some("private") => Some(TailnetKind::Private),
            Some("loopback") => Some(TailnetKind::Loopback),
            _ => None,
        };
        let named = setting("tailscale_socket").filter(|text| text.starts_with('/'));
        Self { kind, socket: named.map(PathBuf::from).or(socket), needed }
    }
}

/// Whether sync is allowed.
fn allowed(context: &CheckContext, found: &Findings) -> Finding {
    let id = "sync_setting";
    if let Some(problem) = context.problem(id) {
        return found.problem(problem);
    }
    match context.status() {
        None => found.because(id, service::unasked(context), "not checked"),
        Some(status) if status.sync.enabled => found.ok(id, "sync is on").fact("on"),
        Some(status) => {
            let text = format!("sync is {}", status.tailnet.state);
            found.ok(id, text).fact("off")
        }
    }
}

fn kind(context: &CheckContext, found: &Findings, settings: &TailnetSettings) -> Finding {
    let id = "tailnet_kind";
    if let Some(problem) = context.problem(id) {
        return found.problem(problem);
    }
    let (text, fact) = match settings.kind {
        None => return found.because(id, "install_thrumd", "the settings are unknown"),
        Some(TailnetKind::Tailscaled) => {
            ("peers are reached through this machine's tailscaled", "tailscaled")
        }
        Some(TailnetKind::Private) => {
            ("peers are reached through a tailscaled of thrumd's own", "private")
        }
        Some(TailnetKind::Loopback) => (
            "the loopback kind reaches only daemons on this machine, and identifies no caller",
            "loopback",
        ),
    };
    found.ok(id, text).fact(fact)
}

/// Whether the machine's tailscaled is installed, running and logged in.
async fn of_tailscaled(found: &Findings, settings: &TailnetSettings) -> [Finding; 3] {
    let ids @ [installed, running, login] =
        ["tailscale_installed", "tailscale_running", "tailscale_login"];
    if !matches!(settings.kind, Some(TailnetKind::Tailscaled) | None) {
        return ids.map(|id| found.skipped(id, "this machine's tailscaled is not needed"));
    }
    // Without peers it is not needed yet.
    let bad = |id: &str, text: String, next: &str| {
        let finding = if settings.needed { found.fail(id, text) } else { found.warn(id, text) };
        finding.next(next)
    };
    let sudo = if cfg!(target_os = "macos") { "" } else { "sudo " };
    let is_installed = || found.ok(installed, "tailscaled is installed");
    match tailscaled(settings.socket.as_deref()).await {
        Tailscaled::NotInstalled => [
            bad(
                installed,
                "Tailscale is not installed on this machine; pairing with others needs it"
                    .to_owned(),
                "install it: https://tailscale.com/download",
            ),
            found.because(running, installed, "not installed"),
            found.because(login, installed, "not installed"),
        ],
        Tailscaled::NotRunning => {
            let next = if cfg!(target_os = "macos") {
                "start the Tailscale app, or sudo brew services start tailscale"
            } else {
                "sudo systemctl enable --now tailscaled"
            };
            let text = "tailscaled is not running".to_owned();
            [is_installed(), bad(running, text, next), found.because(login, running, "not running")]
        }
        Tailscaled::NoPermission => [
            is_installed(),
            found.skipped(running, "only thrumd is allowed to use tailscaled's socket"),
            found.skipped(login, "not checked"),
        ],
        Tailscaled::NoAnswer(why) => {
            let text = format!("tailscaled does not answer properly: {why}");
            let next = "tailscale status";
            [is_installed(), bad(running, text, next), found.because(login, running, "not checked")]
        }
        Tailscaled::Answers(status) => {
            let state = status.backend_state.as_str();
            let version = status.version.split('-').next().unwrap_or_default();
            let up = format!("{sudo}tailscale up");
            let finding = match state {
                "Running" => found.ok(login, "this machine is logged in to its tailnet"),
                "NeedsLogin" => bad(
                    login,
                    "tailscaled is logged out, or this machine's key has expired".to_owned(),
                    &up,
                ),
                "Stopped" => bad(login, "tailscaled is stopped".to_owned(), &up),
                "NeedsMachineAuth" => bad(
                    login,
                    "this machine waits for approval by an administrator of the tailnet".to_owned(),
                    "approve it in the tailnet's admin console",
                ),
                other => found
                    .warn(login, format!("tailscaled is in the state {other:?}"))
                    .next("tailscale status"),
            };
            let running = found.ok(running, format!("tailscaled {version} is running"));
            [is_installed(), running.fact(format!("tailscaled {version}")), finding.fact(state)]
        }
    }
}

/// Whether thrumd listens on tailnet addresses, by its own status.
fn up(context: &CheckContext, found: &Findings) -> Finding {
    let id = "tailnet_up";
    let Some(status) = context.status() else {
        return found.because(id, service::unasked(context), "not checked");
    };
    if let Some(problem) = context.problem(id) {
        return found.problem(problem);
    }
    if !status.sync.enabled {
        return match context.problem("identity").or_else(|| context.problem("sync_setting")) {
            Some(cause) => found.because(id, &cause.id, status.tailnet.state.as_str()),
            None => {
                let state = &status.tailnet.state;
                let text = format!("peers can't reach this machine, and need not: {state}");
                found.ok(id, text).fact("off")
            }
        };
    }
    if status.tailnet.listening.is_empty() {
        let text = format!("peers can't reach this machine yet: {}", status.tailnet.state);
        return found.warn(id, text).next("thrum daemon logs -n 50");
    }
    let addresses = status.tailnet.listening.join(", ");
    let name = status.tailnet.hostname.as_deref().unwrap_or(&status.name);
    found.ok(id, format!("peers reach this machine as {name}, on {addresses}")).fact("up")
}

/// Whether peers can reach other ports than thrumd's, which is possible with the private kind.
fn exposure(context: &CheckContext, found: &Findings, settings: &TailnetSettings) -> Finding {
    let id = "tailnet_exposure";
    let ok = found.ok(id, "peers reach only thrumd's own port");
    if settings.kind != Some(TailnetKind::Private) {
        return ok;
    }
    match context.status() {
        // The private tailscaled ends with thrumd.
        None => found.because(id, service::unasked(context), "not checked"),
        Some(status) => match &status.tailnet.warning {
            Some(warning) => found.warn(id, warning.as_str()).next("see docs/security.md"),
            None => ok,
        },
    }
}
