use std::collections::BTreeMap;
use std::path::Path;

use thrum_api::Timestamp;

use super::command::{output, output_with_env};
use super::context::CheckContext;
use super::finding::{Finding, Findings, Section};
use crate::daemon_process::is_running;
use crate::endpoint::Owner;
use crate::error::Error;
use crate::log_file::tail;
use crate::{clock, terminal};

/// The id that much follows from.
pub const PROCESS: &str = "service_process";
/// How far back the log lines are searched.
const LINES: usize = 200;

/// Whether the process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Process {
    /// It answers.
    Answers,
    /// It lives, and doesn't.
    Lives(u32),
    /// There is none.
    Gone,
    /// We may not look.
    Hidden,
}

/// The process, and what starts it.
pub async fn look(context: &CheckContext) -> Vec<Finding> {
    let mut found = Findings::of(Section::Service);
    let unit = unit(context, &found).await;
    let unit_failed = unit.check.state == thrum_api::local::CheckState::Fail;
    found.add(unit);
    let settings = settings(context, &found).await;
    let wrong = settings.check.state == thrum_api::local::CheckState::Fail;
    found.add(settings);
    let blame = if unit_failed {
        Some("service_unit")
    } else if wrong {
        Some("service_settings")
    } else {
        None
    };
    found.add(process_look(context, &found, blame));
    found.add(version(context, &found));
    found.add(last_error(context, &found).await);
    found.all
}

/// What systemd says of the system's service.
async fn unit(context: &CheckContext, found: &Findings) -> Finding {
    let id = "service_unit";
    if !context.unit {
        let text = "no system service is installed: `thrum daemon start` runs one of your own";
        return found.ok(id, text).fact("no unit");
    }
    let words = ["show", "thrumd.service", "-p", "LoadState,ActiveState,SubState,Result,NRestarts"];
    let Some(answer) = output("systemctl", &words).await.filter(|answer| answer.ok) else {
        return found.skipped(id, "thrumd.service is installed, and systemd does not run here");
    };
    let values: BTreeMap<&str, &str> =
        answer.stdout.lines().filter_map(|line| line.split_once('=')).collect();
    let value = |name| values.get(name).copied().unwrap_or_default();
    let (active, result) = (value("ActiveState"), value("Result"));
    let fact = format!("{} {active} {} {result}", value("LoadState"), value("SubState"));
    let meant = context.owner() == Owner::System;
    let look = match active {
        "active" if value("NRestarts").parse().is_ok_and(|n: u32| n > 0) => {
            let text = format!("thrumd.service is active, restarted {} times", value("NRestarts"));
            found.ok(id, text)
        }
        "active" | "reloading" => found.ok(id, "thrumd.service is active"),
        "failed" => {
            let text = format!("thrumd.service has failed ({result})");
            let look = if meant { found.fail(id, text) } else { found.warn(id, text) };
            look.next("journalctl -u thrumd -n 50")
        }
        "activating" if meant && value("SubState") == "auto-restart" => {
            let text = format!("thrumd.service keeps ending ({result}), and is started again");
            found.fail(id, text).next("journalctl -u thrumd -n 50")
        }
        _ if value("LoadState") == "masked" && meant => found
            .fail(id, "thrumd.service is masked: systemd refuses to start it")
            .next("sudo systemctl unmask thrumd.service"),
        "inactive" if meant && context.daemon.is_err() => found
            .fail(id, "thrumd.service is not started")
            .next("sudo systemctl enable --now thrumd.socket thrumd.service"),
        "activating" | "deactivating" => {
            found.warn(id, format!("thrumd.service is {active}")).next("systemctl status thrumd")
        }
        _ => found.ok(id, format!("thrumd.service is installed and {active}; it is not in use")),
    };
    look.fact(fact)
}

/// Whether a service of this user could start at all.
async fn settings(context: &CheckContext, found: &Findings) -> Finding {
    let id = "service_settings";
    if context.daemon.is_ok() {
        return found.ok(id, "the running service took its settings");
    }
    let Ok(thrumd) = &context.thrumd else {
        return found.because(id, "install_thrumd", "no thrumd to ask");
    };
    if context.owner() != Owner::User {
        return found.skipped(id, "the settings of the system service: journalctl -u thrumd -n 50");
    }
    let state_dir = context.state_dir();
    let variables = [("THRUM_STATE_DIR", state_dir.as_os_str())];
    match output_with_env(thrumd, &["--check-config"], &variables).await {
        None => found.because(id, "install_thrumd", "thrumd does not start"),
        Some(answer) if answer.ok => found.ok(id, "thrumd takes the settings as they are"),
        Some(answer) => {
            let why = one_line(answer.stderr.trim().trim_start_matches("Error: "));
            found
                .fail(id, format!("thrumd does not take its settings: {why}"))
                .next("thrumd --print-config")
        }
    }
}

/// Whether the process lives, by what it left in its lock file.
pub fn process(context: &CheckContext) -> Process {
    let error = match &context.daemon {
        Ok(_) => return Process::Answers,
        Err(error) => error,
    };
    let lock = context.state_dir().join("thrumd.lock");
    match std::fs::read_to_string(&lock) {
        Ok(text) => match text.trim().parse() {
            Ok(pid) if lives(pid) => Process::Lives(pid),
            _ => Process::Gone,
        },
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Process::Gone,
        Err(_) if matches!(error, Error::NotPermitted { .. } | Error::TimedOut { .. }) => {
            Process::Hidden
        }
        // Nobody listens, or there is nothing to listen on.
        Err(_) => Process::Gone,
    }
}

/// Whether this process is there, and is a thrumd as far as that can be seen: numbers are given
/// again.
fn lives(pid: u32) -> bool {
    let name = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("comm"));
    is_running(pid) && name.map_or(true, |name| name.trim() == "thrumd")
}

fn process_look(context: &CheckContext, found: &Findings, blame: Option<&str>) -> Finding {
    let start = context.owner().how_to_start().trim_start_matches("start it: ");
    match process(context) {
        Process::Answers => {
            let pid = context.daemon.as_ref().map_or(0, |daemon| daemon.health.pid);
            found.ok(PROCESS, format!("thrumd runs, pid {pid}"))
        }
        Process::Lives(pid) => {
            found.ok(PROCESS, format!("thrumd lives, pid {pid}, and did not answer"))
        }
        Process::Hidden => {
            let text = "its state directory is not for you to look into";
            match &context.daemon {
                Err(Error::NotPermitted { .. }) => {
                    found.because(PROCESS, "socket_permission", text)
                }
                _ => found.skipped(PROCESS, text),
            }
        }
        Process::Gone => match blame {
            Some(blame) => found.because(PROCESS, blame, "thrumd is not running"),
            None => {
                let held = matches!(&context.daemon, Err(Error::TimedOut { .. }));
                let why = context.how_to_see_why().filter(|_| held);
                let next = why.unwrap_or_else(|| start.to_owned());
                let text = match &context.daemon {
                    Err(Error::Died { .. }) => "thrumd is not running: it died, or was killed",
                    // Only a service manager has its socket open nevertheless.
                    Err(Error::TimedOut { .. }) => {
                        "thrumd is not running, though its socket is held open: it can't start"
                    }
                    _ => "thrumd is not running",
                };
                found.fail(PROCESS, text).next(next)
            }
        },
    }
}

fn version(context: &CheckContext, found: &Findings) -> Finding {
    let (id, ours) = ("service_version", env!("CARGO_PKG_VERSION"));
    let Ok(daemon) = &context.daemon else {
        return found.because(id, PROCESS, "not asked");
    };
    let theirs = &daemon.health.version;
    let look = match &daemon.status {
        Err(error) => {
            let text = format!("this thrum and the thrumd that runs ({theirs}) don't fit: {error}");
            found.fail(id, text).next("thrum daemon restart")
        }
        Ok(_) if theirs == ours => found.ok(id, format!("the thrumd that runs is {theirs}, too")),
        Ok(_) => found
            .warn(id, format!("the thrumd that runs is {theirs}, and this thrum is {ours}"))
            .next("thrum daemon restart"),
    };
    look.fact(format!("running {theirs}"))
}

/// The last error that the service wrote: since its start if it runs, else before its end.
async fn last_error(context: &CheckContext, found: &Findings) -> Finding {
    let id = "service_last_error";
    let file = context.state_dir().join("thrumd.log");
    let daemon = context.daemon.as_ref().ok();
    let (lines, place) = match daemon.map(|daemon| daemon.health.log_path.as_deref()) {
        Some(Some(path)) => (tail(Path::new(path), LINES), path.to_owned()),
        None if file.exists() => (tail(&file, LINES), file.display().to_string()),
        Some(None) | None => (journal(context).await, "the journal".to_owned()),
    };
    let since = daemon.map(|daemon| {
        let up_ms = i64::try_from(daemon.health.uptime_ms).unwrap_or(i64::MAX);
        Timestamp::from_millis(clock::now().as_millis().saturating_sub(up_ms))
    });
    match last_error_of(&lines, since) {
        Some(line) => found
            .warn(id, format!("the last error in {place}: {line}"))
            .next(if context.owner() == Owner::System && daemon.is_none() {
                "journalctl -u thrumd -n 50"
            } else {
                "thrum daemon logs -n 50"
            })
            .fact("an error is in the log"),
        None if lines.is_empty() => found.ok(id, "no log lines were found"),
        None => found.ok(id, format!("no error in {place}")),
    }
}

async fn journal(context: &CheckContext) -> Vec<String> {
    if !context.unit || context.owner() != Owner::System {
        return Vec::new();
    }
    let words = ["-u", "thrumd", "-b", "-p", "err", "-n", "20", "-q", "-o", "short-iso-precise"];
    let answer = output("journalctl", &words).await;
    let lines = answer.map(|answer| answer.stdout).unwrap_or_default();
    // "2026-11-25T16:00:00.123456+00:00 host thrumd[1]: text"
    let strip = |line: &str| {
        let (time, rest) = line.split_once(' ')?;
        let time: jiff::Timestamp = time.parse().ok()?;
        let text = rest.split_once(": ").map_or(rest, |(_, text)| text);
        Some(format!("{} ERROR {text}", Timestamp::from_millis(time.as_millisecond())))
    };
    lines.lines().filter_map(strip).collect()
}

/// The last line that tells an error. A line is `TIME ERROR text`, or `Error: text` when it was
/// written before or after the log; that one has no time, so it counts only for a service that ended.
pub fn last_error_of(lines: &[String], since: Option<Timestamp>) -> Option<String> {
    lines.iter().rev().find_map(|line| {
        let line = anstream::adapter::strip_str(line).to_string();
        if let Some(text) = line.strip_prefix("Error: ") {
            return since.is_none().then(|| one_line(text));
        }
        let (time, rest) = line.split_once(' ')?;
        let text = rest.trim_start().strip_prefix("ERROR ")?;
        let time: jiff::Timestamp = time.parse().ok()?;
        let time = Timestamp::from_millis(time.as_millisecond());
        since.is_none_or(|since| time >= since).then(|| one_line(text))
    })
}

/// The text as one line that a person still reads.
pub fn one_line(text: &str) -> String {
    const MAX: usize = 300;
    let text = text.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    let text = terminal::sanitize(&text);
    match text.char_indices().nth(MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.into_owned(),
    }
}
