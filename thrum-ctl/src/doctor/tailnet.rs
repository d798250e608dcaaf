use std::path::PathBuf;

use thrum_api::local::{CheckState, StatusResult, TailnetKind};

use super::command::output_with_env;
use super::context::CheckContext;
use super::finding::{Finding, Findings, Section};
use super::localapi::{Tailscaled, tailscaled};
use super::service;
use crate::endpoint::Owner;

/// The way to other machines.
pub async fn look(context: &CheckContext) -> Vec<Finding> {
    let mut found = Findings::of(Section::Tailnet);
    let settings = TailnetSettings::of(context).await;
    found.add(allowed(context, &found));
    found.add(kind(context, &found, &settings));
    for look in of_tailscaled(&found, &settings).await {
        found.add(look);
    }
    let up = up(context, &found);
    // The service's words repeat what tailscaled said.
    let blame = found.all.iter().find(|look| look.check.state == CheckState::Fail);
    let up = match blame.filter(|_| up.is_bad()) {
        Some(blame) => found.because("tailnet_up", &blame.check.id, up.check.message),
        None => up,
    };
    found.add(up);
    found.add(exposure(context, &found, &settings));
    found.all
}

/// What is wanted of the tailnet.
struct TailnetSettings {
    kind: Option<TailnetKind>,
    socket: Option<PathBuf>,
    /// Somebody was paired, or is to be: a missing tailnet is missed.
    needed: bool,
}

impl TailnetSettings {
    /// As the service says, else as its settings say.
    async fn of(context: &CheckContext) -> Self {
        if let Some(status) = context.status() {
            let needed = status.sync.enabled || !status.peers.is_empty();
            // Its own: this shell's environment may be another one.
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
        let answer = output_with_env(thrumd, &["--print-config"], &variables).await;
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

/// Whether sync may be on at all.
fn allowed(context: &CheckContext, found: &Findings) -> Finding {
    let id = "sync_setting";
    if let Some(problem) = context.problem(id) {
        return found.problem(problem);
    }
    match context.status() {
        None => found.because(id, service::PROCESS, "not asked"),
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
        None => return found.because(id, "install_thrumd", "nobody to ask for the settings"),
        Some(TailnetKind::Tailscaled) => {
            ("peers are reached by this machine's tailscaled", "tailscaled")
        }
        Some(TailnetKind::Private) => {
            ("peers are reached by a tailscaled of thrumd's own", "private")
        }
        Some(TailnetKind::Loopback) => (
            "the loopback kind reaches daemons of this machine alone, and knows nobody",
            "loopback",
        ),
    };
    found.ok(id, text).fact(fact)
}

/// The machine's tailscaled: there, running, logged in.
async fn of_tailscaled(found: &Findings, settings: &TailnetSettings) -> [Finding; 3] {
    let ids @ [installed, running, login] =
        ["tailscale_installed", "tailscale_running", "tailscale_login"];
    match settings.kind {
        Some(TailnetKind::Tailscaled) | None => {}
        Some(_) => {
            return ids.map(|id| found.skipped(id, "no tailscaled of this machine is needed"));
        }
    }
    // Without peers nobody misses it yet.
    let bad = |id: &str, text: String, next: &str| {
        let look = if settings.needed { found.fail(id, text) } else { found.warn(id, text) };
        look.next(next)
    };
    let sudo = if cfg!(target_os = "macos") { "" } else { "sudo " };
    let fine = |id| found.ok(id, "tailscaled is installed");
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
            [
                fine(installed),
                bad(running, text, next),
                found.because(login, running, "not running"),
            ]
        }
        Tailscaled::NoPermission => [
            fine(installed),
            found.skipped(running, "tailscaled's socket is not for you; thrumd asks it itself"),
            found.skipped(login, "not asked"),
        ],
        Tailscaled::NoAnswer(why) => {
            let text = format!("tailscaled gives no proper answer: {why}");
            let next = "tailscale status";
            [fine(installed), bad(running, text, next), found.because(login, running, "not asked")]
        }
        Tailscaled::Says(status) => {
            let state = status.backend_state.as_str();
            let version = status.version.split('-').next().unwrap_or_default();
            let up = format!("{sudo}tailscale up");
            let look = match state {
                "Running" => found.ok(login, "this machine is logged in to its tailnet"),
                "NeedsLogin" => bad(
                    login,
                    "tailscaled is logged out, or this machine's key has expired".to_owned(),
                    &up,
                ),
                "Stopped" => bad(login, "tailscaled is stopped".to_owned(), &up),
                "NeedsMachineAuth" => bad(
                    login,
                    "this machine waits for the approval of an administrator of the tailnet"
                        .to_owned(),
                    "approve it in the tailnet's admin console",
                ),
                other => found
                    .warn(login, format!("tailscaled is in the state {other:?}"))
                    .next("tailscale status"),
            };
            let running = found.ok(running, format!("tailscaled {version} is running"));
            [fine(installed), running.fact(format!("tailscaled {version}")), look.fact(state)]
        }
    }
}

/// The service's own view: whether peers can reach it.
fn up(context: &CheckContext, found: &Findings) -> Finding {
    let id = "tailnet_up";
    let Some(status) = context.status() else {
        return found.because(id, service::PROCESS, "not asked");
    };
    if let Some(problem) = context.problem(id) {
        return found.problem(problem);
    }
    if !status.sync.enabled {
        return match context.problem("identity").or_else(|| context.problem("sync_setting")) {
            Some(cause) => found.because(id, &cause.id, status.tailnet.state.as_str()),
            None => found.ok(id, off(status)).fact("off"),
        };
    }
    if status.tailnet.listening.is_empty() {
        let text = format!("nobody can reach this machine yet: {}", status.tailnet.state);
        return found.warn(id, text).next("thrum daemon logs -n 50");
    }
    let addresses = status.tailnet.listening.join(", ");
    let name = status.tailnet.hostname.as_deref().unwrap_or(&status.name);
    found.ok(id, format!("peers reach this machine as {name}, on {addresses}")).fact("up")
}

fn off(status: &StatusResult) -> String {
    format!("nobody can reach this machine, and nobody has to: {}", status.tailnet.state)
}

/// Whether peers reach other ports than ours, as with the private kind; the service knows.
fn exposure(context: &CheckContext, found: &Findings, settings: &TailnetSettings) -> Finding {
    let id = "tailnet_exposure";
    let ok = found.ok(id, "peers reach thrumd's own port alone");
    if settings.kind != Some(TailnetKind::Private) {
        return ok;
    }
    match context.status() {
        // Its tailscaled ends with it.
        None => found.because(id, service::PROCESS, "not asked"),
        Some(status) => match &status.tailnet.warning {
            Some(warning) => found.warn(id, warning.as_str()).next("see docs/security.md"),
            None => ok,
        },
    }
}
