use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thrum_api::local::Health;
use thrum_api::method::Empty;
use tokio::io::AsyncBufReadExt as _;
use tokio::time::timeout;

use crate::cli::LogsArgs;
use crate::context::Context;
use crate::error::Error;
use crate::log_file::{LogEnd, LogFollower, LogWatch};
use crate::manager::Host;
use crate::printer::Printer;
use crate::terminal::sanitize;

/// Limit for asking the daemon where its log is.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// The log's name in a state directory.
const LOG: &str = "thrumd.log";

/// `thrum daemon logs`
pub async fn run(args: &LogsArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let manager = Host::here().manager(&context.endpoints());
    if let Some(words) = manager.and_then(|it| it.journal(args.lines, args.follow)) {
        return journal(&words, context.printer).await;
    }
    let path = log_path(context).await?;
    let opened = File::open(&path).and_then(|mut file| {
        let end = LogEnd::read(&mut file, args.lines)?;
        Ok((file, end))
    });
    let (file, end) = opened.map_err(|source| unreadable(&path, source))?;
    let mut print_all =
        |lines: Vec<String>| lines.iter().try_for_each(|line| print(line, context.printer));
    if !args.follow {
        return print_all(end.into_lines(args.lines));
    }
    print_all(end.lines)?;
    follow(&path, file, end.unfinished, context.printer).await
}

/// Prints the service manager's log.
async fn journal(words: &[String], printer: &mut Printer) -> Result<(), Error> {
    let shown = words.join(" ");
    let cant = |source| Error::io(format!("can't run {shown}"), source);
    let (program, arguments) =
        words.split_first().map_or(("journalctl", &[][..]), |(first, rest)| (first.as_str(), rest));
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(cant)?;
    if let Some(out) = child.stdout.take() {
        let mut lines = tokio::io::BufReader::new(out).lines();
        while let Some(line) = lines.next_line().await.map_err(cant)? {
            print(&line, printer)?;
        }
    }
    let status = child.wait().await.map_err(cant)?;
    if status.success() {
        return Ok(());
    }
    Err(Error::failed(format!("{shown} failed: {status}"), format!("sudo {shown}")))
}

async fn follow(
    path: &Path,
    file: File,
    unfinished: Vec<u8>,
    printer: &mut Printer,
) -> Result<(), Error> {
    // First: what changes while the log is read is told then.
    let mut watch = LogWatch::new(path);
    let mut follower = LogFollower::new(path.to_owned(), file, unfinished);
    loop {
        while let Some(lines) = follower.next_lines().map_err(|source| unreadable(path, source))? {
            lines.iter().try_for_each(|line| print(line, printer))?;
            // Ctrl-C works while it reads much.
            tokio::task::yield_now().await;
        }
        watch.changed().await;
    }
}

fn unreadable(path: &Path, source: io::Error) -> Error {
    Error::io(format!("can't read the log {}", path.display()), source)
}

fn print(line: &str, printer: &mut Printer) -> Result<(), Error> {
    if printer.json() {
        return printer.object(&serde_json::json!({ "line": line }));
    }
    printer.line(&sanitize(line))
}

/// The log of the running daemon, or of the one that `daemon start` would start.
async fn log_path(context: &Context<'_>) -> Result<PathBuf, Error> {
    let endpoints = context.endpoints();
    let own = endpoints.own_state_dir().join(LOG);
    let mut client = match context.daemon().await {
        Ok(client) => client,
        Err(error @ (Error::NotPermitted { .. } | Error::Sandboxed { .. })) => return Err(error),
        Err(_) => {
            let beside = endpoints.own_socket().with_file_name(LOG);
            return existing([Some(beside), Some(own.clone())], "thrumd can't be reached", &own);
        }
    };
    let beside = client.path().with_file_name(LOG);
    let Ok(health) = timeout(ANSWER_TIMEOUT, client.call::<Health>(&Empty {})).await else {
        // The log may tell why. It is beside the socket or in the named state directory.
        let named = endpoints.state_dir.is_some().then_some(own);
        return existing([Some(beside.clone()), named], "thrumd does not answer", &beside);
    };
    let health = health?;
    match health.log_path {
        Some(path) => Ok(PathBuf::from(path)),
        None => Err(none(format!("thrumd (pid {}) was not started with a log file", health.pid))),
    }
}

/// The first of these logs that exists.
fn existing(logs: [Option<PathBuf>; 2], why: &str, shown: &Path) -> Result<PathBuf, Error> {
    let found = logs.into_iter().flatten().find(|log| log.exists());
    found.ok_or_else(|| none(format!("{why}, and there is no log at {}", shown.display())))
}

fn none(message: String) -> Error {
    Error::failed(message, "for a system service: journalctl -u thrumd -n 50")
}
