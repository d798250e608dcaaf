use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use thrum_api::limits::{disk_reserve_bytes, disk_warning_bytes};
use thrum_api::local::{CheckState, unsigned};

use super::context::CheckContext;
use super::finding::{Finding, Findings, Section};
use super::service;
use crate::endpoint::Owner;
use crate::format::{counted, size, until_readable, views_behind};

/// Checks the state directory and its files.
pub fn check(context: &CheckContext) -> Vec<Finding> {
    let mut found = Findings::of(Section::Log);
    let directory = context.state_dir();
    found.add(state_dir(context, &found, &directory));
    found.add(disk(context, &found, &directory));
    found.add(log(context, &found));
    found.add(of_problem(context, &found, "state_files", "thrumd uses the files that are there"));
    found.add(of_problem(context, &found, "log_write", "events can be written to the log"));
    found.add(views(context, &found));
    found.add(of_problem(context, &found, "quarantine", "no event was quarantined"));
    found.add(of_problem(
        context,
        &found,
        "peer_origins",
        "no peer brings more new machines than it may",
    ));
    found.add(of_problem(context, &found, "peer_proofs", &unsigned("no peer")));
    found.add(of_problem(context, &found, "clone", "no other machine writes with this one's key"));
    found.add(of_problem(
        context,
        &found,
        "identity",
        "the state directory belongs to this machine",
    ));
    found.add(peers_file(context, &found, &directory.join("peers.json")));
    found.all
}

/// The problem with this id, if thrumd reports it.
fn of_problem(context: &CheckContext, found: &Findings, id: &str, fine: &str) -> Finding {
    match context.problem(id) {
        _ if context.status().is_none() => {
            found.because(id, service::unasked(context), "not checked")
        }
        None => found.ok(id, fine),
        Some(problem) => {
            let mut finding = found.problem(problem);
            if matches!(id, "quarantine" | "peer_origins" | "peer_proofs") {
                // These events affect nothing else.
                finding.check.state = CheckState::Warn;
            }
            finding
        }
    }
}

fn state_dir(context: &CheckContext, found: &Findings, directory: &Path) -> Finding {
    let id = "state_dir";
    let shown = directory.display();
    let meta = match std::fs::metadata(directory) {
        Ok(meta) => meta,
        Err(error) => match error.kind() {
            ErrorKind::NotFound => {
                let text = format!("{shown} does not exist yet; the first start creates it");
                return found.ok(id, text);
            }
            ErrorKind::PermissionDenied => {
                return found.skipped(id, format!("you are not allowed to read {shown}"));
            }
            kind => return found.fail(id, format!("can't read {shown}: {kind}")).next("df -h"),
        },
    };
    let (mode, user) = (meta.permissions().mode() & 0o7777, rustix::process::geteuid().as_raw());
    let finding = if context.owner() == Owner::User && meta.uid() != user {
        let text = format!("{shown} belongs to the user with id {}, not to you", meta.uid());
        found.fail(id, text).next(format!("sudo chown -R {user} {shown} && chmod 0700 {shown}"))
    } else if mode & 0o022 != 0 {
        let text =
            format!("{shown} has mode {mode:04o}: other users of this machine can write to it");
        found.fail(id, text).next(format!("chmod 0700 {shown}"))
    } else if mode & 0o077 != 0 {
        let text = format!("{shown} has mode {mode:04o}: other users of this machine can read it");
        found.warn(id, text).next(format!("chmod 0700 {shown}"))
    } else {
        found.ok(id, format!("only the owner can read {shown}"))
    };
    finding.fact(format!("mode {mode:04o}"))
}

fn mode(path: &Path) -> Result<u32, ErrorKind> {
    let meta = std::fs::metadata(path).map_err(|error| error.kind())?;
    Ok(meta.permissions().mode() & 0o7777)
}

fn disk(context: &CheckContext, found: &Findings, directory: &Path) -> Finding {
    let id = "disk";
    // Before the first start, only an ancestor of the folder exists.
    let folder = directory.ancestors().find(|folder| folder.exists()).unwrap_or(directory);
    let stat = match rustix::fs::statvfs(folder) {
        Ok(stat) => stat,
        Err(error) => {
            let text = format!("can't read the space at {}: {error}", folder.display());
            return context
                .problem(id)
                .map_or_else(|| found.skipped(id, text), |problem| found.problem(problem));
        }
    };
    let left = stat.f_bavail.saturating_mul(stat.f_frsize);
    let total = stat.f_blocks.saturating_mul(stat.f_frsize);
    let text = format!("{} left on the disk of {}", size(left), folder.display());
    let mut finding = match context.problem(id) {
        Some(problem) => found.problem(problem),
        None => found.ok(id, text).next(format!("df -h {}", folder.display())),
    };
    finding.check.state = if left < disk_reserve_bytes(total) {
        CheckState::Fail
    } else if left < disk_warning_bytes(total) {
        CheckState::Warn
    } else if context.problem(id).is_some() {
        CheckState::Fail
    } else {
        finding.check.next = None;
        CheckState::Ok
    };
    finding.fact(format!("{} left", size(left)))
}

fn log(context: &CheckContext, found: &Findings) -> Finding {
    let finding = of_problem(context, found, "log", "");
    let Some(status) = context.status().filter(|_| !finding.is_bad()) else { return finding };
    let text = format!("{}, {}", counted(status.log.events, "event"), size(status.log.size_bytes));
    found.ok("log", format!("the log can be read: {text}")).fact(text)
}

/// Whether inboxes and agents are those of the whole log.
fn views(context: &CheckContext, found: &Findings) -> Finding {
    let id = "views";
    let Some(status) = context.status() else {
        return found.because(id, service::unasked(context), "not checked");
    };
    match views_behind(status) {
        None => found.ok(id, "messages and agents are those of the whole log"),
        Some(behind) => {
            let fact = format!("{behind} events are indexed");
            found.warn(id, until_readable(&behind)).next("thrum status --watch").fact(fact)
        }
    }
}

fn peers_file(context: &CheckContext, found: &Findings, path: &Path) -> Finding {
    let id = "peers_file";
    if let Some(problem) = context.problem(id) {
        return found.problem(problem);
    }
    let shown = path.display();
    match mode(path) {
        Ok(mode) if mode & 0o077 != 0 => {
            let text =
                format!("{shown} holds tokens and has mode {mode:04o}: other users can read them");
            let finding = found.fail(id, text).next(format!("chmod 0600 {shown}"));
            finding.fact(format!("mode {mode:04o}"))
        }
        Ok(mode) => found
            .ok(id, format!("only the owner can read {shown}"))
            .fact(format!("mode {mode:04o}")),
        Err(ErrorKind::NotFound) => found.ok(id, "no machine is paired yet"),
        Err(ErrorKind::PermissionDenied) => {
            found.ok(id, "only the user of the service can read peers.json")
        }
        Err(kind) => found.warn(id, format!("can't read {shown}: {kind}")).next("df -h"),
    }
}
