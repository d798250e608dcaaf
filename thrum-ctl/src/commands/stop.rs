use std::path::Path;
use std::time::Duration;

use serde_json::json;
use thrum_api::limits::STOP_MAX_SECONDS;
use thrum_api::local::{Health, Shutdown};
use thrum_api::method::Empty;
use tokio::time::{Instant, sleep};

use crate::client::Client;
use crate::context::Context;
use crate::endpoint::Endpoints;
use crate::error::{Error, Kind};
use crate::manager::{self, Action, Host, Manager};
use crate::printer::{Notice, SLOW};
use crate::process::{is_running, terminate};

/// Limit for the end of the daemon: three times its own limit, because a busy machine is slower.
const TIMEOUT: Duration = Duration::from_secs(3 * STOP_MAX_SECONDS);
/// How long a daemon may run without a socket before it gets a signal: as long as it takes to stop.
const WITHOUT_SOCKET: Duration = Duration::from_secs(STOP_MAX_SECONDS);
/// Limit for asking the daemon for its process id. It is stopped even if it does not answer.
const PID_TIMEOUT: Duration = Duration::from_secs(2);
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// `thrum daemon stop`
pub async fn run(context: &mut Context<'_>) -> Result<(), Error> {
    if let Some(manager) = Host::here().manager(&context.endpoints()) {
        // launchctl only sends the signal. systemctl waits for the end, and connecting could start the
        // daemon through its socket unit.
        let pid = match manager {
            Manager::LaunchdUser | Manager::LaunchdSystem => pid_of(manager, context).await,
            Manager::SystemdSystem | Manager::SystemdUser => None,
        };
        manager::run(&manager.command(Action::Stop))?;
        if let Some(pid) = pid {
            wait_for_exit(pid, &context.printer.notice()).await?;
        }
        return context.printer.done(&json!({ "stopped": true }), "thrumd stopped.");
    }
    let Some(pid) = stop(context).await? else {
        if context.printer.json() {
            return context.printer.object(&json!({ "stopped": false }));
        }
        context.printer.note("thrumd is not running.");
        return Ok(());
    };
    let text = format!("thrumd (pid {pid}) stopped.");
    context.printer.done(&json!({ "stopped": true, "pid": pid }), &text)
}

/// `thrum daemon restart`
pub async fn restart(context: &mut Context<'_>) -> Result<(), Error> {
    if let Some(manager) = Host::here().manager(&context.endpoints()) {
        manager::run(&manager.command(Action::Restart))?;
        let health = super::start::answers_at(&context.endpoints()).await?;
        return super::start::report(&health, "restarted", context);
    }
    // Also as root: another user's daemon would not be started again as that user.
    if let Ok(client) = context.daemon().await {
        is_ours(client.path(), &context.endpoints())?;
    }
    stop(context).await?;
    super::start::run(context).await
}

/// Whether the daemon of this socket is this user's own. Users must not stop the machine's daemon,
/// because nothing would start it again for the others.
fn is_ours(socket: &Path, endpoints: &Endpoints) -> Result<(), Error> {
    if socket == endpoints.own_socket() {
        return Ok(());
    }
    Err(Error::failed(
        format!("the thrumd of {} is not yours to stop; nothing was changed", socket.display()),
        "sudo systemctl stop thrumd (macOS: brew services stop thrum); restart works likewise",
    ))
}

/// The process id of this manager's daemon, if it answers in time.
async fn pid_of(manager: Manager, context: &Context<'_>) -> Option<u32> {
    let asked = async {
        let mut client = context.daemon().await.ok()?;
        let own = is_ours(client.path(), &context.endpoints()).is_ok();
        if manager == Manager::LaunchdUser && !own {
            return None;
        }
        Some(client.call::<Health>(&Empty {}).await.ok()?.pid)
    };
    tokio::time::timeout(PID_TIMEOUT, asked).await.ok()?
}

/// Stops the daemon and waits until its process has ended. Returns its process id; none if no daemon ran.
/// Others may stop it at the same time, so it may end, or stop to listen, at every step.
async fn stop(context: &Context<'_>) -> Result<Option<u32>, Error> {
    let (begin, endpoints) = (Instant::now(), context.endpoints());
    let notice = context.printer.notice();
    let mut seen = None;
    loop {
        let error = match context.daemon().await {
            Ok(client) => {
                if !endpoints.root {
                    is_ours(client.path(), &endpoints)?;
                }
                match tell_to_stop(client).await {
                    Ok(pid) => return wait_for_exit(pid, &notice).await.map(|()| Some(pid)),
                    Err(error) => error,
                }
            }
            Err(Error::NotRunning { .. } | Error::Died { .. }) => {
                if let Some(pid) = seen {
                    wait_for_exit(pid, &notice).await?;
                }
                return Ok(seen);
            }
            Err(error) => error,
        };
        let waited = begin.elapsed();
        match error {
            // Another socket than this one was meant.
            Error::NotListening { ref state_dir, .. }
                if endpoints.listens_elsewhere(state_dir).is_some() =>
            {
                return Err(error);
            }
            // It is ending, or about to listen again. A signal would cut its orderly end short.
            Error::NotListening { pid, .. } if waited < WITHOUT_SOCKET => {
                seen = Some(pid);
                super::start::say_if_slow(&notice, waited, &error);
            }
            Error::NotListening { pid, ref state_dir, .. } => {
                if !endpoints.mean(state_dir) {
                    return Err(error);
                }
                terminate(pid)?;
                return wait_for_exit(pid, &notice).await.map(|()| Some(pid));
            }
            error if error.kind() == Kind::Unreachable && waited < WITHOUT_SOCKET => {}
            error => return Err(error),
        }
        sleep(POLL_INTERVAL).await;
    }
}

/// Tells the daemon to stop. Returns its process id.
async fn tell_to_stop(mut client: Client) -> Result<u32, Error> {
    let pid = client.call::<Health>(&Empty {}).await?.pid;
    match client.call::<Shutdown>(&Empty {}).await {
        // It may end before its answer is sent.
        Ok(_) => Ok(pid),
        Err(error) if error.kind() == Kind::Unreachable => Ok(pid),
        Err(error) => Err(error),
    }
}

async fn wait_for_exit(pid: u32, notice: &Notice) -> Result<(), Error> {
    let begin = Instant::now();
    while is_running(pid) {
        if begin.elapsed() > SLOW {
            notice.give(
                "waiting",
                &format!("waiting for thrumd (pid {pid}) to end"),
                "it may be sending its last events to its peers: thrum daemon logs",
            );
        }
        if begin.elapsed() > TIMEOUT {
            return Err(Error::failed(
                format!(
                    "thrumd (pid {pid}) is still running {}s after it was told to stop",
                    TIMEOUT.as_secs()
                ),
                format!(
                    "see what it does: thrum daemon logs; kill -9 {pid} loses nothing acknowledged"
                ),
            ));
        }
        sleep(POLL_INTERVAL).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_can_stop_only_their_own_daemon() {
        let user =
            Endpoints { user_state_dir: Some("/home/me/thrum".into()), ..Endpoints::default() };
        is_ours(Path::new("/home/me/thrum/thrumd.sock"), &user).unwrap();
        let refused = is_ours(Path::new("/run/thrum/thrumd.sock"), &user).unwrap_err();
        assert!(refused.to_string().contains("/run/thrum/thrumd.sock is not yours"), "{refused}");
        let named = Endpoints { state_dir: Some("/tmp/a".into()), ..user };
        is_ours(Path::new("/tmp/a/thrumd.sock"), &named).unwrap();
        is_ours(Path::new("/home/me/thrum/thrumd.sock"), &named).unwrap_err();
    }
}
