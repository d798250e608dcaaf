use std::collections::BTreeMap;
use std::io::ErrorKind::NotFound;
use std::path::Path;

use thrum_api::Timestamp;

use super::context::CheckContext;
use super::finding::{Finding, Findings, Section, first_broken};
use crate::command::output;
use crate::endpoint::Owner;
use crate::error::{Error, ExitOutput};
use crate::log_file::tail;
use crate::process::holder;
use crate::{clock, terminal};

/// The id of the check of the process, on which many others depend.
pub const PROCESS: &str = "service_process";
/// The id of the check that a sandbox around this program fails: one that forbids Unix sockets.
pub const SANDBOX: &str = "socket_sandbox";
/// Number of log lines that are searched for errors.
const LINES: usize = 200;

/// The state of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Process {
    /// It answers.
    Answers,
    /// It runs with this process id, but does not answer.
    Unresponsive(u32),
    /// It does not run.
    Gone,
    /// This user may not see it.
    Hidden,
}

/// Checks the process and its service manager.
pub async fn check(context: &CheckContext) -> Vec<Finding> {
    let mut found = Findings::of(Section::Service);
    found.add(unit(context, &found).await);
    found.add(settings(context, &found).await);
    let cause = first_broken(&found.all).map(|cause| cause.check.id.clone());
    found.add(process_finding(context, &found, cause.as_deref()));
    found.add(version(context, &found));
    found.add(last_error(context, &found).await);
    found.all
}

/// The state of the system service in systemd.
async fn unit(context: &CheckContext, found: &Findings) -> Finding {
    let id = "service_unit";
    if !context.unit {
        let text = "no system service is installed; `thrum daemon start` starts your own daemon";
        return found.ok(id, text).fact("no unit");
    }
    let words = ["show", "thrumd.service", "-p", "LoadState,ActiveState,SubState,Result,NRestarts"];
    let Some(answer) = output("systemctl", &words, &[]).await.filter(|answer| answer.ok) else {
        return found.skipped(id, "thrumd.service is installed, but systemd is not running");
    };
    let values: BTreeMap<&str, &str> =
        answer.stdout.lines().filter_map(|line| line.split_once('=')).collect();
    let value = |name| values.get(name).copied().unwrap_or_default();
    let (active, result) = (value("ActiveState"), value("Result"));
    let fact = format!("{} {active} {} {result}", value("LoadState"), value("SubState"));
    let in_use = context.owner() == Owner::System;
    let finding = match active {
        "active" if value("NRestarts").parse().is_ok_and(|n: u32| n > 0) => {
            let text = format!("thrumd.service is active, restarted {} times", value("NRestarts"));
            found.ok(id, text)
        }
        "active" | "reloading" => found.ok(id, "thrumd.service is active"),
        "failed" => {
            let text = format!("thrumd.service has failed ({result})");
            let finding = if in_use { found.fail(id, text) } else { found.warn(id, text) };
            finding.next("journalctl -u thrumd -n 50")
        }
        "activating" if in_use && value("SubState") == "auto-restart" => {
            let text = format!("thrumd.service ends again and again ({result})");
            found.fail(id, text).next("journalctl -u thrumd -n 50")
        }
        _ if value("LoadState") == "masked" && in_use => found
            .fail(id, "thrumd.service is masked: systemd refuses to start it")
            .next("sudo systemctl unmask thrumd.service"),
        "inactive" if in_use && context.daemon.is_err() => found
            .fail(id, "thrumd.service is not started")
            .next("sudo systemctl enable --now thrumd.socket thrumd.service"),
        "activating" | "deactivating" => {
            found.warn(id, format!("thrumd.service is {active}")).next("systemctl status thrumd")
        }
        _ => found.ok(id, format!("thrumd.service is installed and {active}, but not in use")),
    };
    finding.fact(fact)
}

/// Whether the settings of this user's own daemon are valid.
async fn settings(context: &CheckContext, found: &Findings) -> Finding {
    let id = "service_settings";
    if context.daemon.is_ok() {
        return found.ok(id, "the running thrumd accepted its settings");
    }
    let Ok(thrumd) = &context.thrumd else {
        return found.because(id, "install_thrumd", "no thrumd found");
    };
    if context.owner() != Owner::User {
        return found.skipped(id, "for the system service see: journalctl -u thrumd -n 50");
    }
    let state_dir = context.state_dir();
    let variables = [("THRUM_STATE_DIR", state_dir.as_os_str())];
    match output(thrumd, &["--check-config"], &variables).await {
        None => found.because(id, "install_thrumd", "thrumd does not start"),
        Some(answer) if answer.ok => found.ok(id, "thrumd accepts its settings"),
        Some(answer) => {
            let why = one_line(answer.stderr.trim().trim_start_matches("Error: "));
            found
                .fail(id, format!("thrumd rejects its settings: {why}"))
                .next("thrumd --print-config")
        }
    }
}

/// The state of the process, by its lock file.
pub fn process(context: &CheckContext) -> Process {
    let error = match &context.daemon {
        Ok(_) => return Process::Answers,
        Err(Error::NotListening { pid, .. }) => return Process::Unresponsive(*pid),
        Err(error) => error,
    };
    let state_dir = context.state_dir();
    if let Some(pid) = holder(&state_dir) {
        return Process::Unresponsive(pid);
    }
    let may_look = state_dir.metadata().is_err_and(|error| error.kind() == NotFound)
        || state_dir.read_dir().is_ok();
    match error {
        // Inside of a sandbox, processes are others, too.
        Error::Sandboxed { .. } => Process::Hidden,
        Error::NotPermitted { .. } | Error::TimedOut { .. } if !may_look => Process::Hidden,
        // Nothing listens on the socket, or there is none.
        _ => Process::Gone,
    }
}

/// The check that says why the daemon was not asked.
pub fn unasked(context: &CheckContext) -> &'static str {
    match (&context.daemon, process(context)) {
        (Err(Error::NotListening { .. }), _) => "socket_found",
        (Err(Error::NotPermitted { .. }), _) => "socket_permission",
        (Err(Error::Sandboxed { .. }), _) => SANDBOX,
        (Err(_), Process::Unresponsive(_) | Process::Hidden) => "socket_answers",
        _ => PROCESS,
    }
}

fn process_finding(context: &CheckContext, found: &Findings, cause: Option<&str>) -> Finding {
    let start = context.owner().how_to_start();
    let start = start.trim_start_matches("start it: ");
    match process(context) {
        Process::Answers => {
            let pid = context.daemon.as_ref().map_or(0, |daemon| daemon.health.pid);
            found.ok(PROCESS, format!("thrumd is running, pid {pid}"))
        }
        Process::Unresponsive(pid) => {
            found.ok(PROCESS, format!("thrumd is running, pid {pid}, but did not answer"))
        }
        Process::Hidden => {
            let text = "you are not allowed to read its state directory";
            match &context.daemon {
                Err(Error::NotPermitted { .. }) => {
                    found.because(PROCESS, "socket_permission", text)
                }
                Err(Error::Sandboxed { .. }) => {
                    found.because(PROCESS, SANDBOX, "not to be seen in a sandbox")
                }
                _ => found.skipped(PROCESS, text),
            }
        }
        Process::Gone => match cause {
            Some(cause) => found.because(PROCESS, cause, "thrumd is not running"),
            None => {
                let held = matches!(&context.daemon, Err(Error::TimedOut { .. }));
                let why = context.how_to_see_why().filter(|_| held);
                let next = why.unwrap_or_else(|| start.to_owned());
                if let Some(failed) = failed_start(context).filter(|_| !held) {
                    let text = one_line(&failed.to_string());
                    let text = format!("thrumd is not running: its last start failed: {text}");
                    return found.fail(PROCESS, text).next(failed.hint.unwrap_or(next));
                }
                let text = match &context.daemon {
                    Err(Error::Died { .. }) => "thrumd is not running: it died or was killed",
                    // Only a service manager holds its socket open without it.
                    Err(Error::TimedOut { .. }) => {
                        "thrumd is not running and can't start; a service manager holds its socket open"
                    }
                    _ => "thrumd is not running",
                };
                found.fail(PROCESS, text).next(next)
            }
        },
    }
}

/// What the last start of this state directory's daemon ended with, if nothing has run since.
fn failed_start(context: &CheckContext) -> Option<ExitOutput> {
    let lines = tail(&context.state_dir().join("thrumd.log"), LINES);
    let begin = lines.iter().rposition(|line| line.starts_with("Error: "))?;
    is_the_end(&lines[begin..]).then(|| ExitOutput::of(&lines[begin..].join("\n")))
}

/// Whether nothing follows an error but its causes and hint.
fn is_the_end(lines: &[String]) -> bool {
    let of_the_error =
        |line: &String| line.starts_with("Caused by: ") || line.starts_with("Hint: ");
    lines.iter().skip(1).all(of_the_error)
}

fn version(context: &CheckContext, found: &Findings) -> Finding {
    let (id, ours) = ("service_version", env!("CARGO_PKG_VERSION"));
    let Ok(daemon) = &context.daemon else {
        return found.because(id, unasked(context), "not checked");
    };
    let theirs = &daemon.health.version;
    let finding = match &daemon.status {
        Err(error) => {
            let text =
                format!("this thrum and the running thrumd ({theirs}) are incompatible: {error}");
            found.fail(id, text).next("thrum daemon restart")
        }
        Ok(_) if theirs == ours => found.ok(id, format!("the running thrumd is {theirs}, too")),
        Ok(_) => found
            .warn(id, format!("the running thrumd is {theirs}, but this thrum is {ours}"))
            .next("thrum daemon restart"),
    };
    finding.fact(format!("running {theirs}"))
}

/// The last error in the log of the daemon: since its start if it runs, or else before its end.
async fn last_error(context: &CheckContext, found: &Findings) -> Finding {
    let id = "service_last_error";
    let file = context.state_dir().join("thrumd.log");
    let daemon = context.daemon.as_ref().ok();
    let (lines, source) = match daemon.map(|daemon| daemon.health.log_path.as_deref()) {
        Some(Some(path)) => (tail(Path::new(path), LINES), path.to_owned()),
        None if file.exists() => (tail(&file, LINES), file.display().to_string()),
        Some(None) | None => (journal(context).await, "the journal".to_owned()),
    };
    let since = daemon.map(|daemon| {
        let up_ms = i64::try_from(daemon.health.uptime_ms).unwrap_or(i64::MAX);
        Timestamp::from_millis(clock::now().as_millis().saturating_sub(up_ms))
    });
    match last_error_of(&lines, since) {
        Some(_) if daemon.is_none() && failed_start(context).is_some() => {
            let cause = first_broken(&found.all).map_or(PROCESS, |cause| cause.check.id.as_str());
            found.because(id, cause, "named above")
        }
        Some(line) => found
            .warn(id, format!("the last error in {source}: {line}"))
            .next(if context.owner() == Owner::System && daemon.is_none() {
                "journalctl -u thrumd -n 50"
            } else {
                "thrum daemon logs -n 50"
            })
            .fact("an error is in the log"),
        None if lines.is_empty() => found.ok(id, "no log lines were found"),
        None => found.ok(id, format!("no error in {source}")),
    }
}

async fn journal(context: &CheckContext) -> Vec<String> {
    if !context.unit || context.owner() != Owner::System {
        return Vec::new();
    }
    let words = ["-u", "thrumd", "-b", "-p", "err", "-n", "20", "-q", "-o", "short-iso-precise"];
    let answer = output("journalctl", &words, &[]).await;
    let lines = answer.map(|answer| answer.stdout).unwrap_or_default();
    // The format is "2026-11-25T16:00:00.123456+00:00 host thrumd[1]: text".
    let strip = |line: &str| {
        let (time, rest) = line.split_once(' ')?;
        let time: Timestamp = time.parse().ok()?;
        let text = rest.split_once(": ").map_or(rest, |(_, text)| text);
        Some(format!("{time} ERROR {text}"))
    };
    lines.lines().filter_map(strip).collect()
}

/// The last line with an error: `TIME ERROR text` from the log, or `Error: text` from a failed start,
/// with its causes.
/// The latter has no time, so it counts only if the daemon has ended, and nothing has run since.
pub fn last_error_of(lines: &[String], since: Option<Timestamp>) -> Option<String> {
    lines.iter().enumerate().rev().find_map(|(at, line)| {
        let line = anstream::adapter::strip_str(line).to_string();
        if let Some(text) = line.strip_prefix("Error: ") {
            let causes = lines.iter().skip(at + 1);
            let causes = causes.map_while(|line| line.strip_prefix("Caused by: "));
            let whole: Vec<_> = std::iter::once(text).chain(causes).collect();
            return (since.is_none() && is_the_end(&lines[at..]))
                .then(|| one_line(&whole.join(": ")));
        }
        let (time, rest) = line.split_once(' ')?;
        let text = rest.trim_start().strip_prefix("ERROR ")?;
        let time: Timestamp = time.parse().ok()?;
        since.is_none_or(|since| time >= since).then(|| one_line(text))
    })
}

/// The text as one line of limited length.
pub fn one_line(text: &str) -> String {
    const MAX: usize = 300;
    let text = text.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    let text = terminal::sanitize(&text);
    match text.char_indices().nth(MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.into_owned(),
    }
}
