use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use thrum_api::duration::rounded;
use thrum_api::limits::STOP_MAX_SECONDS;
use thrum_api::local::{Health, HealthResult};
use thrum_api::method::Empty;
use tokio::time::{Instant, sleep, timeout};

use super::daemon::log_place;
use crate::client::Client;
use crate::context::Context;
use crate::daemon_process::{find_thrumd, spawn_detached, wait_for_answer};
use crate::endpoint::Endpoints;
use crate::error::Error;
use crate::manager::{self, Action, Host};
use crate::printer::{Notice, SLOW};

/// A log may have to be migrated before the daemon answers.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How long to wait for a daemon without a socket: as long as it takes to stop.
const WITHOUT_SOCKET: Duration = Duration::from_secs(STOP_MAX_SECONDS);
/// Limit for a start by a service manager. launchd returns before the daemon is ready.
const MANAGED_TIMEOUT: Duration = Duration::from_secs(10);
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// `thrum daemon start`
pub async fn run(context: &mut Context<'_>) -> Result<(), Error> {
    let endpoints = context.endpoints();
    let socket = endpoints.own_socket();
    // Any daemon counts: a second one of this user would conflict with the machine's over the port.
    if let Some(health) = running(context).await? {
        return report(&health, "is already running", context);
    }
    if let Some(manager) = Host::here().manager(&endpoints) {
        // It runs, so starting it again would only hide the missing permission.
        if let Err(error @ (Error::NotPermitted { .. } | Error::Sandboxed { .. })) =
            context.daemon().await
        {
            return Err(error);
        }
        manager::run(&manager.command(Action::Start))?;
        let health = answers_at(&endpoints).await?;
        return report(&health, "started", context);
    }
    let log = endpoints.own_state_dir().join("thrumd.log");
    let (mut child, log_start) = spawn(&endpoints, &log)?;
    let starting = timeout(TIMEOUT, wait_for_answer(&mut child, &socket, &log, log_start));
    let answer = context.printer.note_if_slow("Waiting for thrumd to answer.", starting).await;
    let health = answer.unwrap_or_else(|_| {
        let (pid, limit) = (child.id(), rounded(60_000));
        Err(Error::failed(
            format!("thrumd (pid {pid}) is running but has not answered for {limit}"),
            "see why: thrum daemon logs -n 50",
        ))
    })?;
    report(&health, "started", context)
}

/// The health of a daemon that runs. One without a socket is waited for: it is starting or stopping, or its
/// socket is bound anew in a moment.
async fn running(context: &mut Context<'_>) -> Result<Option<HealthResult>, Error> {
    let begin = Instant::now();
    loop {
        let error = match context.daemon().await {
            Ok(mut client) => return Ok(client.call::<Health>(&Empty {}).await.ok()),
            Err(error) => error,
        };
        // A daemon that is started inside of it would be another one.
        if matches!(error, Error::Sandboxed { .. }) {
            return Err(error);
        }
        let Error::NotListening { state_dir, .. } = &error else { return Ok(None) };
        let waited = begin.elapsed();
        if waited > WITHOUT_SOCKET || context.endpoints().listens_elsewhere(state_dir).is_some() {
            return Err(error);
        }
        say_if_slow(&context.printer.notice(), waited, &error);
        sleep(POLL_INTERVAL).await;
    }
}

/// Says that a daemon without a socket is waited for.
pub fn say_if_slow(notice: &Notice, waited: Duration, error: &Error) {
    if waited > SLOW {
        notice.give("waiting", &error.to_string(), "waiting until it ends or listens again");
    }
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
            Ok(Err(error @ (Error::NotPermitted { .. } | Error::Sandboxed { .. }))) => {
                return Err(error);
            }
            Ok(Err(_)) => sleep(POLL_INTERVAL).await,
            Err(_) => {
                let message = format!("thrumd has not answered for {}", rounded(10_000));
                return Err(Error::failed(message, "see why: thrum doctor"));
            }
        }
    }
}

/// Starts `thrumd` for this user. Returns the position where its part of the log begins, too.
fn spawn(endpoints: &Endpoints, log: &Path) -> Result<(Child, u64), Error> {
    let mut command = Command::new(find_thrumd()?);
    if let Some(folder) = log.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(
            |source| {
                Error::io(format!("can't create the state directory {}", folder.display()), source)
            },
        )?;
    }
    // The daemon runs in another directory, so relative paths are made absolute.
    for name in ["THRUM_CONFIG", "THRUM_TS_SOCKET", "THRUM_TS_STATE_DIR", "THRUM_MACHINE_ID_FILE"] {
        let path = std::env::var_os(name).filter(|path| !path.is_empty()).map(std::path::absolute);
        if let Some(Ok(path)) = path {
            command.env(name, path);
        }
    }
    command
        .env("THRUM_SOCKET", endpoints.own_socket())
        .env("THRUM_STATE_DIR", endpoints.own_state_dir())
        .current_dir("/");
    spawn_detached(&mut command, log)
}
