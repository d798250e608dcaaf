//! Keeps the child running.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::child::{Recipe, Run, Slot, binds, note, reap};
use super::lockdown::Exposure;
use super::{ChildError, PrivateConfig, State, Tailscaled, User, binary, files};
use crate::report::Chain;

/// First pause after the child ended.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause.
const LAST_PAUSE: Duration = Duration::from_secs(60);
/// A run of this length was a good one: the next pause is the first again.
const GOOD_RUN: Duration = Duration::from_secs(60);

/// What is to be done, checked.
pub(super) struct Plan {
    pub(super) config: PrivateConfig,
    pub(super) exposure: Exposure,
    recipe: Recipe,
    // Ours for as long as this lives.
    _lock: File,
}

impl Plan {
    /// Checks what can't get better by waiting, and makes the directory.
    pub(super) fn make(config: PrivateConfig) -> Result<Self, ChildError> {
        let program = config.binary.clone().or_else(binary::find).ok_or(ChildError::NoProgram)?;
        let root = rustix::process::geteuid().is_root();
        let mut user = match root {
            true => Some(User::find(Path::new("/etc/passwd")).ok_or(ChildError::NoUser)?),
            false => None,
        };
        let dir = files::make_dir(&config.state_dir, user.as_ref())?;
        let socket = files::socket(&config.state_dir);
        if socket.as_os_str().len() > files::SOCKET_PATH_LIMIT {
            return Err(ChildError::LongPath { path: socket });
        }
        let lock = files::lock(&dir)?;
        let exposure = Exposure::make(&config, user.as_mut());
        let recipe = Recipe {
            program,
            setpriv: binary::find_program("setpriv").filter(|it| binds(it, user.as_ref())),
            user,
            dir,
            ephemeral: config.ephemeral,
            environment: config.environment.clone(),
        };
        Ok(Self { config, exposure, recipe, _lock: lock })
    }
}

/// Runs the child again and again until `stop`. What goes wrong is in `trouble` until it is mended.
pub(super) async fn keep(
    plan: Plan,
    tailscaled: Tailscaled,
    trouble: watch::Sender<Option<String>>,
    slot: Slot,
    stop: CancellationToken,
) {
    let mut pause = FIRST_PAUSE;
    while !stop.is_cancelled() {
        let began = Instant::now();
        let Err(error) = run_once(&plan, &tailscaled, &trouble, &slot, &stop).await else { return };
        if began.elapsed() >= GOOD_RUN {
            pause = FIRST_PAUSE;
        }
        tracing::warn!(error = %Chain(&error), retry_in = ?pause, "our own tailscaled does not run");
        let why = format!("{}; it is started again", Chain(&error));
        trouble.send_replace(Some(why));
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(pause) => {}
        }
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

/// One run. Ok when it was stopped.
async fn run_once(
    plan: &Plan,
    tailscaled: &Tailscaled,
    trouble: &watch::Sender<Option<String>>,
    slot: &Slot,
    stop: &CancellationToken,
) -> Result<(), ChildError> {
    let Plan { config, recipe, .. } = plan;
    let (dir, user) = (recipe.dir.as_path(), recipe.user.as_ref());
    reap(dir).await?;
    files::write(dir, config, user, true)?;
    files::remove(&files::socket(dir))?;
    let mut run = Run::start(recipe, slot).await?;
    note(dir, run.pid)?;
    trouble.send_replace(None);
    tailscaled.look_again();
    let mut state = tailscaled.state();
    let mut asked = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => {
                run.stop(slot).await;
                files::write(dir, config, user, false)?;
                return files::remove(&dir.join(files::PROCESS));
            }
            error = run.ended() => return Err(error),
            changed = state.changed() => if changed.is_err() { return Ok(()) },
        }
        let now = state.borrow_and_update().clone();
        match now {
            // The key has done its work; what is not there is not stolen.
            State::Up { .. } => files::write(dir, config, user, false)?,
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
