use std::path::{Path, PathBuf};

use super::changes::{Changes, FileToWrite, free, ours};
use super::host::{Action, Host, MARKER, Manager};
use crate::error::Error;

const PLIST: &str = include_str!("../../units/launchd.plist");
const LABEL: &str = "dev.thrum.thrumd";
/// Paths in the plist that are replaced by those of this machine.
const PROGRAM: &str = "/usr/local/bin/thrumd";
const LOG: &str = "/usr/local/var/log/thrumd.log";

/// The path of the plist.
pub fn path(host: &Host, manager: Manager) -> Result<PathBuf, Error> {
    let name = format!("{LABEL}.plist");
    match manager {
        Manager::LaunchdSystem => Ok(host.at("/Library/LaunchDaemons").join(name)),
        _ => Ok(host.in_home("Library/LaunchAgents")?.join(name)),
    }
}

fn domain(manager: Manager) -> String {
    match manager {
        Manager::LaunchdSystem => "system".to_owned(),
        _ => format!("gui/{}", rustix::process::getuid().as_raw()),
    }
}

fn launchctl(words: &[&str]) -> Vec<String> {
    std::iter::once("launchctl").chain(words.iter().copied()).map(str::to_owned).collect()
}

pub fn command(manager: Manager, action: Action) -> Vec<String> {
    let service = format!("{}/{LABEL}", domain(manager));
    match action {
        Action::Start => launchctl(&["kickstart", &service]),
        Action::Stop => launchctl(&["kill", "SIGTERM", &service]),
        Action::Restart => launchctl(&["kickstart", "-k", &service]),
        Action::Status => launchctl(&["print", &service]),
    }
}

pub fn install(manager: Manager, host: &Host, thrumd: &Path) -> Result<Changes, Error> {
    let path = path(host, manager)?;
    free(&path)?;
    let log = match manager {
        Manager::LaunchdSystem => host.at("/Library/Logs/thrumd.log"),
        _ => host.in_home("Library/Logs/thrumd.log")?,
    };
    let text = PLIST
        .replace(PROGRAM, &xml(&thrumd.display().to_string()))
        .replace(LOG, &xml(&log.display().to_string()))
        // The XML declaration must remain the first line.
        .replacen("<plist", &format!("<!-- {MARKER} -->\n<plist"), 1);
    let shown = path.display().to_string();
    let mut before = Vec::new();
    if path.exists() {
        before.push(launchctl(&["bootout", &format!("{}/{LABEL}", domain(manager))]));
    }
    Ok(Changes {
        before,
        write: vec![FileToWrite { path, text }],
        after: vec![launchctl(&["bootstrap", &domain(manager), &shown])],
        ..Changes::default()
    })
}

pub fn uninstall(manager: Manager, host: &Host) -> Result<Changes, Error> {
    let path = path(host, manager)?;
    if !ours(&path) {
        return Err(Error::failed(
            "`thrum daemon install` has installed nothing here",
            "for Homebrew's service: brew services stop thrum",
        ));
    }
    Ok(Changes {
        before: vec![launchctl(&["bootout", &format!("{}/{LABEL}", domain(manager))])],
        remove: vec![path],
        ..Changes::default()
    })
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
