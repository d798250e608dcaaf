//! Keeps the child running.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::child::{Recipe, Run, Slot, binds, note, reap};
use super::{ChildError, PrivateConfig, State, Tailscaled, User, binary, files};
use crate::report::Chain;

/// First pause after the child ended.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause.
const LAST_PAUSE: Duration = Duration::from_secs(60);
/// A run of this length was a good one: the next pause is the first again.
const GOOD_RUN: Duration = Duration::from_secs(60);

/// How soon a key is tried to be taken away again that could not be.
const KEY_AGAIN: Duration = Duration::from_secs(60);

/// What is to be done, checked.
pub(super) struct Plan {
    pub(super) config: PrivateConfig,
    program: PathBuf,
    user: Option<User>,
    dir: PathBuf,
    /// The directory, opened: ours for as long as this lives.
    lock: Arc<File>,
}

impl Plan {
    /// Checks what can't get better by waiting, and makes the directory. Nothing else of the machine
    /// is touched.
    pub(super) fn make(config: PrivateConfig) -> Result<Self, ChildError> {
        let program = config.binary.clone().or_else(binary::find).ok_or(ChildError::NoProgram)?;
        let root = rustix::process::geteuid().is_root();
        let user = match root {
            true => Some(User::find(Path::new("/etc/passwd")).ok_or(ChildError::NoUser)?),
            false => None,
        };
        let dir = files::make_dir(&config.state_dir, user.as_ref())?;
        let socket = files::socket(&config.state_dir);
        if socket.as_os_str().len() > files::SOCKET_PATH_LIMIT {
            return Err(ChildError::LongPath { path: socket });
        }
        let lock = Arc::new(files::lock(&dir)?);
        Ok(Self { config, program, user, dir, lock })
    }

    /// Finds out how the child is started. Runs programs.
    fn prepare(&self) -> Recipe {
        let Self { config, program, user, dir, lock } = self;
        Recipe {
            program: program.clone(),
            setpriv: binary::find_program("setpriv").filter(|it| binds(it, user.as_ref())),
            user: user.clone(),
            dir: dir.clone(),
            opened: Arc::clone(lock),
            ephemeral: config.ephemeral,
            environment: config.environment.clone(),
        }
    }
}

/// Where the child's owner and whoever runs it meet.
#[derive(Clone, Default)]
pub(super) struct Ties {
    /// Cancelled when it is to be started.
    pub(super) begin: CancellationToken,
    /// Cancelled when it is to be ended.
    pub(super) stop: CancellationToken,
    /// The running child.
    pub(super) slot: Slot,
}

/// Once it is to begin, runs the child again and again until `stop`. What goes wrong is in `trouble`
/// until it is mended.
pub(super) async fn keep(
    plan: Plan,
    tailscaled: Tailscaled,
    trouble: watch::Sender<Option<String>>,
    ties: Ties,
) {
    tokio::select! {
        biased;
        () = ties.stop.cancelled() => return,
        () = ties.begin.cancelled() => {}
    }
    let prepared = tokio::task::spawn_blocking(move || {
        let recipe = plan.prepare();
        (plan, recipe)
    });
    let (plan, recipe) = match prepared.await {
        Ok(prepared) => prepared,
        Err(error) => {
            trouble.send_replace(Some(format!("a tailscaled can't be prepared: {error}")));
            return;
        }
    };
    tracing::warn!("{}", super::exposure_warning(plan.config.port));
    let stop = &ties.stop;
    let mut pause = FIRST_PAUSE;
    while !stop.is_cancelled() {
        let began = Instant::now();
        let run = run_once(&plan.config, &recipe, &tailscaled, &trouble, &ties).await;
        // Each run is handed the key anew: what is not there meanwhile is not stolen.
        let taken = files::write(&recipe.dir, &plan.config, recipe.user.as_ref(), false);
        if let Err(error) = taken {
            tracing::warn!(error = %Chain(&error), "can't take the auth key away");
        }
        let Err(error) = run else { return };
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
    config: &PrivateConfig,
    recipe: &Recipe,
    tailscaled: &Tailscaled,
    trouble: &watch::Sender<Option<String>>,
    ties: &Ties,
) -> Result<(), ChildError> {
    let (dir, user, slot) = (recipe.dir.as_path(), recipe.user.as_ref(), &ties.slot);
    reap(&config.note).await?;
    files::write(dir, config, user, true)?;
    files::remove(&files::socket(dir))?;
    let mut run = Run::start(recipe, slot).await?;
    if let Err(error) = note(&config.note, run.pid) {
        // One that nobody would end is not to be left, least of all beside the next.
        slot.kill();
        run.ended().await;
        return Err(error);
    }
    trouble.send_replace(None);
    tailscaled.look_again();
    if let Some(error) = attend(config, recipe, tailscaled, &mut run, &ties.stop).await {
        return Err(error);
    }
    run.stop(slot).await;
    if let Err(error) = files::remove(&config.note) {
        tracing::warn!(error = %Chain(&error), "after the end of our own tailscaled");
    }
    Ok(())
}

/// Does what a running child needs done. Answers how it ended; None when it is to be stopped.
async fn attend(
    config: &PrivateConfig,
    recipe: &Recipe,
    tailscaled: &Tailscaled,
    run: &mut Run,
    stop: &CancellationToken,
) -> Option<ChildError> {
    let mut state = tailscaled.state();
    let (mut asked, mut again) = (false, None);
    loop {
        tokio::select! {
            () = stop.cancelled() => return None,
            error = run.ended() => return Some(error),
            changed = state.changed() => if changed.is_err() { return None },
            () = until(again) => {}
        }
        let now = state.borrow_and_update().clone();
        match now {
            // The key has done its work; what is not there is not stolen.
            State::Up { .. } => {
                let taken = files::write(&recipe.dir, config, recipe.user.as_ref(), false);
                again = taken.is_err().then(|| Instant::now() + KEY_AGAIN);
                // A full disk is no fault of the child's.
                if let Err(error) = taken {
                    tracing::warn!(error = %Chain(&error), "can't take the auth key away yet");
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

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
