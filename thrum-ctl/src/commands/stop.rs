use std::path::Path;
use std::time::Duration;

use serde_json::json;
use thrum_api::limits::STOP_MAX_SECONDS;
use thrum_api::local::{Health, Shutdown};
use thrum_api::method::Empty;
use tokio::time::{Instant, sleep};

use crate::client::Client;
use crate::context::Context;
use crate::daemon_process::is_running;
use crate::endpoint::Endpoints;
use crate::error::Error;
use crate::manager::{self, Action, Host, Manager};

/// Limit for the end of the daemon: three times its own limit, because a busy machine is slower.
const TIMEOUT: Duration = Duration::from_secs(3 * STOP_MAX_SECONDS);
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
            wait_for_exit(pid).await?;
        }
        return context.printer.done(&json!({ "stopped": true }), "thrumd stopped.");
    }
    let client = match context.daemon().await {
        Ok(client) if context.endpoints().root => client,
        Ok(client) => ours(client, context)?,
        Err(Error::NotRunning { .. } | Error::Died { .. }) => {
            if context.printer.json() {
                return context.printer.object(&json!({ "stopped": false }));
            }
            context.printer.note("thrumd is not running.");
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let pid = stop(client).await?;
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
    match context.daemon().await {
        Ok(client) => {
            stop(ours(client, context)?).await?;
        }
        Err(Error::NotRunning { .. } | Error::Died { .. }) => {}
        Err(error) => return Err(error),
    }
    super::start::run(context).await
}

fn ours(client: Client, context: &Context<'_>) -> Result<Client, Error> {
    is_ours(client.path(), &context.endpoints())?;
    Ok(client)
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

/// Stops the daemon and waits until its process has ended.
async fn stop(mut client: Client) -> Result<u32, Error> {
    let pid = client.call::<Health>(&Empty {}).await?.pid;
    match client.call::<Shutdown>(&Empty {}).await {
        // It may end before its answer is sent.
        Ok(_) | Err(Error::Broken { .. }) => {}
        Err(error) => return Err(error),
    }
    drop(client);
    wait_for_exit(pid).await?;
    Ok(pid)
}

async fn wait_for_exit(pid: u32) -> Result<(), Error> {
    let begin = Instant::now();
    while is_running(pid) {
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
