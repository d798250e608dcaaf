use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use thrum_api::duration::rounded;
use thrum_api::local::{Health, HealthResult};
use thrum_api::method::Empty;
use tokio::time::{Instant, sleep, timeout};

use super::daemon::log_place;
use crate::client::Client;
use crate::context::Context;
use crate::daemon_process::find_thrumd;
use crate::endpoint::Endpoints;
use crate::error::{Error, ExitOutput};
use crate::manager::{self, Action, Host};

/// A log may have to be migrated before the daemon answers.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Limit for a start by a service manager. launchd returns before the daemon is ready.
const MANAGED_TIMEOUT: Duration = Duration::from_secs(10);
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// Time after which a note says that the start takes longer.
const SLOW: Duration = Duration::from_secs(2);
const OUTPUT_MAX_BYTES: u64 = 4096;

/// `thrum daemon start`
pub async fn run(context: &mut Context<'_>) -> Result<(), Error> {
    let endpoints = context.endpoints();
    let socket = endpoints.own_socket();
    // Any daemon counts: a second one of this user would conflict with the machine's over the port.
    if let Ok(mut client) = context.daemon().await
        && let Ok(health) = client.call::<Health>(&Empty {}).await
    {
        return report(&health, "is already running", context);
    }
    if let Some(manager) = Host::here().manager(&endpoints) {
        // It runs, so starting it again would only hide the missing permission.
        if let Err(error @ Error::NotPermitted { .. }) = context.daemon().await {
            return Err(error);
        }
        manager::run(&manager.command(Action::Start))?;
        let health = answers_at(&endpoints).await?;
        return report(&health, "started", context);
    }
    let log = endpoints.own_state_dir().join("thrumd.log");
    let (child, log_start) = spawn(&endpoints, &log)?;
    let health = answered(child, &socket, &log, log_start, context).await?;
    report(&health, "started", context)
}

/// Prints the daemon's process id and log.
pub fn report(health: &HealthResult, what: &str, context: &mut Context<'_>) -> Result<(), Error> {
    if context.printer.json() {
        return context.printer.object(health);
    }
    if context.printer.quiet() {
        return Ok(());
    }
    context.printer.line(&format!("thrumd {what}: pid {}, log {}", health.pid, log_place(health)))
}

/// The health of the daemon behind this socket.
pub async fn ask(socket: &Path) -> Result<HealthResult, Error> {
    Client::open(socket).await?.call::<Health>(&Empty {}).await
}

/// Waits for the health of a daemon that a service manager has started.
pub async fn answers_at(endpoints: &Endpoints) -> Result<HealthResult, Error> {
    let begin = Instant::now();
    loop {
        let asked = async { Client::find(endpoints).await?.call::<Health>(&Empty {}).await };
        // The manager may hold the socket open although the daemon can't start.
        match timeout(MANAGED_TIMEOUT.saturating_sub(begin.elapsed()), asked).await {
            Ok(Ok(health)) => return Ok(health),
            Ok(Err(error)) if begin.elapsed() > MANAGED_TIMEOUT => return Err(error),
            // Waiting would not help.
            Ok(Err(error @ Error::NotPermitted { .. })) => return Err(error),
            Ok(Err(_)) => sleep(POLL_INTERVAL).await,
            Err(_) => {
                let message = format!("thrumd has not answered for {}", rounded(10_000));
                return Err(Error::failed(message, "see why: thrum doctor"));
            }
        }
    }
}

/// Starts `thrumd` as a detached process. Returns the position where its part of the log begins.
fn spawn(endpoints: &Endpoints, log: &Path) -> Result<(Child, u64), Error> {
    let thrumd = find_thrumd()?;
    if let Some(folder) = log.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(
            |source| {
                Error::io(format!("can't create the state directory {}", folder.display()), source)
            },
        )?;
    }
    let cant = |source| Error::io(format!("can't write the log {}", log.display()), source);
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(log).map_err(cant)?;
    let log_start = file.metadata().map_err(cant)?.len();
    let mut command = Command::new(&thrumd);
    // The daemon runs in another directory, so relative paths are made absolute.
    for name in ["THRUM_CONFIG", "THRUM_TS_SOCKET", "THRUM_TS_STATE_DIR", "THRUM_MACHINE_ID_FILE"] {
        let path = std::env::var_os(name).filter(|path| !path.is_empty()).map(std::path::absolute);
        if let Some(Ok(path)) = path {
            command.env(name, path);
        }
    }
    let child = command
        // If set, it belongs to the service that runs this command.
        .env_remove("NOTIFY_SOCKET")
        .env("THRUM_LOG_PATH", log)
        .env("THRUM_SOCKET", endpoints.own_socket())
        .env("THRUM_STATE_DIR", endpoints.own_state_dir())
        // Its own process group, so that Ctrl-C and the end of the terminal session don't end it.
        .process_group(0)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(file)
        .spawn()
        .map_err(|source| Error::io(format!("can't start {}", thrumd.display()), source))?;
    Ok((child, log_start))
}

/// Waits until the daemon answers or ends.
async fn answered(
    mut child: Child,
    socket: &Path,
    log: &Path,
    log_start: u64,
    context: &mut Context<'_>,
) -> Result<HealthResult, Error> {
    let begin = Instant::now();
    let mut noted = false;
    loop {
        let status = child
            .try_wait()
            .map_err(|source| Error::io("can't see whether thrumd is still running", source))?;
        // Asked after the check of the child: if another start won the race, this child has ended and
        // the other daemon answers.
        if let Ok(health) = ask(socket).await {
            return Ok(health);
        }
        if let Some(status) = status {
            let source = ExitOutput::of(&exit_output(log, log_start));
            return Err(Error::EndedAtOnce { status, source });
        }
        if begin.elapsed() > TIMEOUT {
            return Err(Error::failed(
                format!(
                    "thrumd (pid {}) is running but has not answered for {}",
                    child.id(),
                    rounded(60_000)
                ),
                "see why: thrum daemon logs -n 50",
            ));
        }
        if begin.elapsed() > SLOW && !noted {
            noted = true;
            context.printer.note("Waiting for thrumd to answer.");
        }
        sleep(POLL_INTERVAL).await;
    }
}

/// The end of what was written to a log after a position.
fn exit_output(log: &Path, start: u64) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(start.max(length.saturating_sub(OUTPUT_MAX_BYTES))))?;
        let mut bytes = Vec::new();
        file.take(OUTPUT_MAX_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
}
