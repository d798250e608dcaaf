//! Keeps the child running.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::child::{
    ChildHandle, LaunchSpec, RunningChild, kill_leftover, setpriv_works, write_pid_file,
};
use super::config::{PrivateConfig, exposure_warning};
use super::error::ChildError;
use super::files;
use super::user::User;
use crate::backoff::ExponentialBackoff;
use crate::clock::sleep_until;
use crate::report::Chain;
use crate::tailnet::programs;
use crate::tailnet::tailscaled::{State, Tailscaled};

/// Between runs of the child.
const RESTART: ExponentialBackoff =
    ExponentialBackoff::new(Duration::from_secs(1), Duration::from_secs(60), 0);
/// After a run of this length the next pause is the first again.
const GOOD_RUN: Duration = Duration::from_secs(60);

/// Pause before the next attempt to remove the key.
const KEY_RETRY: Duration = Duration::from_secs(60);

/// The child's settings after all checks that waiting can't change.
pub(super) struct Prepared {
    pub(super) config: PrivateConfig,
    program: PathBuf,
    user: Option<User>,
    dir: PathBuf,
    /// The directory, open and locked while this lives.
    lock: Arc<File>,
}

impl Prepared {
    /// Checks what waiting can't change, and creates the directory. Changes nothing else.
    pub(super) fn new(config: PrivateConfig) -> Result<Self, ChildError> {
        let program =
            config.binary.clone().or_else(programs::tailscaled).ok_or(ChildError::NoProgram)?;
        let root = rustix::process::geteuid().is_root();
        let user = match root {
            true => Some(User::find().ok_or(ChildError::NoUser)?),
            false => None,
        };
        let dir = files::make_dir(&config.state_dir, user.as_ref())?;
        let socket = files::socket(&config.state_dir);
        if socket.as_os_str().len() > files::SOCKET_PATH_LIMIT {
            let limit = files::SOCKET_PATH_LIMIT;
            return Err(ChildError::LongPath { path: socket, limit });
        }
        let lock = Arc::new(files::lock(&dir)?);
        Ok(Self { config, program, user, dir, lock })
    }

    /// Finds out how the child is started. Runs programs.
    fn launch_spec(&self) -> LaunchSpec {
        let Self { config, program, user, dir, lock } = self;
        LaunchSpec {
            program: program.clone(),
            setpriv: programs::find("setpriv").filter(|it| setpriv_works(it, user.as_ref())),
            user: user.clone(),
            dir: dir.clone(),
            opened: Arc::clone(lock),
            ephemeral: config.ephemeral,
            environment: config.environment.clone(),
        }
    }
}

/// Signals between the child's owner and its supervisor.
#[derive(Clone, Default)]
pub(super) struct Lifecycle {
    /// Cancelled to start the child.
    pub(super) start: CancellationToken,
    /// Cancelled to stop the child.
    pub(super) stop: CancellationToken,
    /// The running child.
    pub(super) child: ChildHandle,
}

/// Keeps the child running between `start` and `stop`. `failure` says what is wrong until the child
/// runs again.
pub(super) async fn supervise(
    prepared: Prepared,
    tailscaled: Tailscaled,
    failure: watch::Sender<Option<String>>,
    lifecycle: Lifecycle,
) {
    tokio::select! {
        biased;
        () = lifecycle.stop.cancelled() => return,
        () = lifecycle.start.cancelled() => {}
    }
    let launch = tokio::task::spawn_blocking(move || (prepared.launch_spec(), prepared.config));
    let (spec, config) = match launch.await {
        Ok(launch) => launch,
        Err(error) => {
            failure.send_replace(Some(format!("our own tailscaled can't be prepared: {error}")));
            return;
        }
    };
    tracing::warn!("{}", exposure_warning(config.port));
    let stop = &lifecycle.stop;
    let mut failures = 0_u32;
    while !stop.is_cancelled() {
        let started = Instant::now();
        let run = run_once(&config, &spec, &tailscaled, &failure, &lifecycle).await;
        // Each run gets the key again. It is removed in between, so that it can't be stolen.
        if let Err(error) = files::write(&spec.dir, &config, false) {
            tracing::warn!(error = %Chain(&error), "could not remove the auth key");
        }
        let Err(error) = run else { return };
        if started.elapsed() >= GOOD_RUN {
            failures = 0;
        }
        failures = failures.saturating_add(1);
        let pause = RESTART.delay(failures, 0);
        tracing::warn!(error = %Chain(&error), retry_in = ?pause, "our own tailscaled does not run");
        failure.send_replace(Some(format!("{}; it is started again", Chain(&error))));
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(pause) => {}
        }
    }
}

/// One run. Ok when it was stopped.
async fn run_once(
    config: &PrivateConfig,
    spec: &LaunchSpec,
    tailscaled: &Tailscaled,
    failure: &watch::Sender<Option<String>>,
    lifecycle: &Lifecycle,
) -> Result<(), ChildError> {
    let (pid_file, handle) = (&config.pid_file, &lifecycle.child);
    kill_leftover(pid_file).await?;
    files::write(&spec.dir, config, true)?;
    files::remove_socket(&spec.dir)?;
    let mut child = RunningChild::start(spec, handle).await?;
    if let Err(error) = write_pid_file(pid_file, child.pid) {
        // The next start could not kill it, and would be the second on one state directory.
        handle.kill();
        child.ended().await;
        return Err(error);
    }
    failure.send_replace(None);
    tailscaled.retry_now();
    if let Some(error) = monitor(config, spec, tailscaled, &mut child, &lifecycle.stop).await {
        return Err(error);
    }
    child.stop(handle).await;
    if let Err(error) = pid_file.remove() {
        tracing::warn!(error = %Chain(&error), "could not clean up after our own tailscaled");
    }
    Ok(())
}

/// Watches the running child: removes the key once it is up, and asks for a login if it has none. Returns
/// how it ended; None to stop it.
async fn monitor(
    config: &PrivateConfig,
    spec: &LaunchSpec,
    tailscaled: &Tailscaled,
    child: &mut RunningChild,
    stop: &CancellationToken,
) -> Option<ChildError> {
    let mut state = tailscaled.state();
    let (mut asked, mut retry) = (false, None);
    loop {
        tokio::select! {
            () = stop.cancelled() => return None,
            error = child.ended() => return Some(error),
            changed = state.changed() => if changed.is_err() { return None },
            () = sleep_until(retry) => {}
        }
        let now = state.borrow_and_update().clone();
        match now {
            // The key is no longer needed, and can't be stolen once it is removed.
            State::Up { .. } => {
                let removed = files::write(&spec.dir, config, false);
                retry = removed.is_err().then(|| Instant::now() + KEY_RETRY);
                // No reason to end the child: the disk may be full.
                if let Err(error) = removed {
                    tracing::warn!(error = %Chain(&error), "could not remove the auth key yet");
                }
            }
            State::LoggedOut { url: None, .. } if config.auth_key.is_none() && !asked => {
                asked = true;
                if let Err(error) = tailscaled.api().login_interactive().await {
                    tracing::warn!(error = %Chain(&error), "could not ask for a login");
                }
            }
            _ => {}
        }
    }
}
