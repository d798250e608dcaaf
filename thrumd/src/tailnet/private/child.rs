//! One run of the child.
//!
//! It must not outlive us. On Linux it is started through `setpriv --pdeathsig KILL` (util-linux),
//! so that the kernel ends it with us whatever ends us. That signal is bound to the thread that
//! started it, which is why each run has a thread of its own that stays to the end. Where there is
//! no setpriv, or none that works, the next start ends what the last one left (see [`reap`]).

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsRawFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::oneshot;

use super::{ChildError, User, files};

/// How long it may take to leave the tailnet in good order.
const GRACE: Duration = Duration::from_secs(3);
/// How often we look whether a process is gone that is about to go.
const LOOK: Duration = Duration::from_millis(10);
/// How long a killed process may take to be gone.
const DEATH: Duration = Duration::from_secs(5);
/// A longer line is cut.
const LINE_LIMIT: u64 = 4096;

/// What to run.
#[derive(Debug, Clone)]
pub(super) struct Recipe {
    pub(super) program: PathBuf,
    pub(super) setpriv: Option<PathBuf>,
    pub(super) user: Option<User>,
    pub(super) dir: PathBuf,
    /// The same, open.
    pub(super) opened: Arc<File>,
    pub(super) ephemeral: bool,
    pub(super) environment: Vec<(std::ffi::OsString, std::ffi::OsString)>,
}

impl Recipe {
    /// The command. All its paths are relative to its directory, because as another user it may not
    /// be able to walk there. Nothing secret is in it.
    pub(super) fn command(&self) -> Command {
        let mut dir = self.dir.clone();
        let mut command = match &self.setpriv {
            Some(setpriv) => {
                let mut command = through(setpriv, self.user.as_ref());
                command.arg(&self.program);
                command
            }
            None => {
                let mut command = Command::new(&self.program);
                if let Some(user) = &self.user {
                    command.uid(user.uid).gid(user.gid);
                    // It is that user before it goes there, and may not walk the way; a directory
                    // that is open needs none. Where there is no /proc, the way has to be open.
                    if Path::new("/proc/self/fd").exists() {
                        dir = format!("/proc/self/fd/{}", self.opened.as_raw_fd()).into();
                    }
                }
                command
            }
        };
        let state = if self.ephemeral { "--state=mem:" } else { "--state=tailscaled.state" };
        command
            .args(["--tun=userspace-networking", "--statedir=.", state, "--port=0"])
            .arg(format!("--socket={}", files::SOCKET))
            .arg(format!("--config={}", files::CONF))
            .arg("--no-logs-no-support")
            .current_dir(dir)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("HOME", &self.dir)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }
}

/// What binds the program that follows to our life.
fn through(setpriv: &Path, user: Option<&User>) -> Command {
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", "KILL", "--no-new-privs"]);
    if let Some(user) = user {
        command.arg(format!("--reuid={}", user.uid));
        command.arg(format!("--regid={}", user.gid)).arg("--clear-groups");
    }
    command.arg("--");
    command
}

/// Whether `setpriv` does what it is needed for. Only a trial tells: busybox's has no such option,
/// and a sandbox may forbid what util-linux's does besides. Our systemd unit is one (setpriv sets
/// capabilities, if only to none); there systemd ends what we leave.
pub(super) fn binds(setpriv: &Path, user: Option<&User>) -> bool {
    let mut trial = through(setpriv, user);
    trial.arg(setpriv).arg("--version");
    trial.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    trial.status().is_ok_and(|status| status.success())
}

/// The running child, for those who may have to end it.
#[derive(Debug, Clone, Default)]
pub(super) struct Slot(Arc<Mutex<Option<Child>>>);

impl Slot {
    /// Ends it at once.
    pub(super) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        let Ok(mut slot) = self.0.lock() else { return };
        let Some(child) = slot.as_mut() else { return };
        // Not waited for yet, hence the number is still its own.
        if let Ok(None) = child.try_wait()
            && let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw)
            && let Err(error) = kill_process(pid, signal)
        {
            tracing::warn!(%error, "could not signal our tailscaled");
        }
    }

    fn put(&self, child: Child) {
        if let Ok(mut slot) = self.0.lock() {
            *slot = Some(child);
        }
    }

    /// How it ended; None while it lives.
    fn look(&self) -> std::io::Result<Option<ExitStatus>> {
        let Ok(mut slot) = self.0.lock() else { return Err(std::io::Error::other("unseen")) };
        let Some(child) = slot.as_mut() else { return Err(std::io::Error::other("unseen")) };
        let ended = child.try_wait()?;
        if ended.is_some() {
            *slot = None;
        }
        Ok(ended)
    }
}

/// A run of the child: told when it ends.
pub(super) struct Run {
    pub(super) pid: u32,
    ended: oneshot::Receiver<ChildError>,
}

impl Run {
    /// Starts the child and puts it into the slot.
    pub(super) async fn start(recipe: &Recipe, slot: &Slot) -> Result<Self, ChildError> {
        let (tell_pid, pid) = oneshot::channel();
        let (tell_end, ended) = oneshot::channel();
        let failed = |source| ChildError::Start { program: recipe.program.clone(), source };
        let (mut command, slot) = (recipe.command(), slot.clone());
        let opened = Arc::clone(&recipe.opened);
        std::thread::Builder::new()
            .name("tailscaled".to_owned())
            .stack_size(256 * 1024)
            .spawn(move || {
                let started = command.spawn();
                drop(opened);
                match started {
                    Err(error) => drop(tell_pid.send(Err(error))),
                    Ok(mut child) => {
                        let stderr = child.stderr.take();
                        let pid = child.id();
                        slot.put(child);
                        drop(tell_pid.send(Ok(pid)));
                        let said = stderr.map(listen).unwrap_or_default();
                        drop(tell_end.send(wait(&slot, &said)));
                    }
                }
            })
            .map_err(failed)?;
        match pid.await {
            Ok(Ok(pid)) => Ok(Self { pid, ended }),
            Ok(Err(error)) => Err(failed(error)),
            Err(_) => Err(failed(std::io::Error::other("its thread ended"))),
        }
    }

    /// Waits for its end.
    pub(super) async fn ended(&mut self) -> ChildError {
        (&mut self.ended)
            .await
            .unwrap_or_else(|_| ChildError::Ended { how: "unseen".to_owned(), said: String::new() })
    }

    /// Ends it: politely, so that an ephemeral node leaves the tailnet, and then not.
    pub(super) async fn stop(mut self, slot: &Slot) {
        slot.signal(Signal::TERM);
        if tokio::time::timeout(GRACE, self.ended()).await.is_err() {
            slot.kill();
            self.ended().await;
        }
    }
}

/// Reads what the child says to its end. It says much, so only the last line is kept.
fn listen(stderr: impl Read) -> String {
    let mut reader = BufReader::new(stderr);
    let mut last = String::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        match reader.by_ref().take(LINE_LIMIT).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return last,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line).trim().to_owned();
        tracing::trace!(target: "tailscaled", "{text}");
        if !text.is_empty() {
            last = text;
        }
    }
}

fn wait(slot: &Slot, said: &str) -> ChildError {
    // It has closed its last stream, so this is a matter of moments. It stays in the slot until
    // then, where it can be killed.
    loop {
        match slot.look() {
            // What it said before a signal has nothing to do with the signal.
            Ok(Some(status)) if status.code().is_some() && !said.is_empty() => {
                return ChildError::Ended { how: words(status), said: format!(": {said}") };
            }
            Ok(Some(status)) => {
                return ChildError::Ended { how: words(status), said: String::new() };
            }
            Ok(None) => std::thread::sleep(LOOK),
            Err(error) => {
                return ChildError::Ended { how: error.to_string(), said: String::new() };
            }
        }
    }
}

fn words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "unknown".to_owned(),
    }
}

/// Notes at `path` which process the child is: its number and when it began.
pub(super) fn note(path: &Path, pid: u32) -> Result<(), ChildError> {
    let text = format!("{pid} {}", began(pid).unwrap_or_default());
    files::replace(path, text.as_bytes(), None)
}

/// Ends the child that an earlier run of ours noted at `path` and left, if there is one: with two on
/// one state directory neither works.
pub(super) async fn reap(path: &Path) -> Result<(), ChildError> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut words = text.split_whitespace();
    let pid: Option<u32> = words.next().and_then(|word| word.parse().ok());
    if let (Some(pid), Some(began_then)) = (pid, words.next())
        && began(pid).as_deref() == Some(began_then)
        && let Some(process) = i32::try_from(pid).ok().and_then(Pid::from_raw)
    {
        tracing::warn!(pid, "ending the tailscaled that an earlier run left");
        if let Err(error) = kill_process(process, Signal::KILL) {
            tracing::warn!(pid, %error, "could not end it");
        }
        // While it dies it still holds its socket and its state.
        let gone = async {
            while began(pid).as_deref() == Some(began_then) {
                tokio::time::sleep(LOOK).await;
            }
        };
        if tokio::time::timeout(DEATH, gone).await.is_err() {
            tracing::warn!(pid, "it is still there");
        }
    }
    files::remove(path)
}

/// When a process began. None when there is no such process, or no way to know. It tells a process
/// from a later one with the same number.
fn began(pid: u32) -> Option<String> {
    if cfg!(target_os = "linux") { began_by_proc(pid) } else { began_by_ps(pid) }
}

fn began_by_proc(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything; what counts comes after it.
    let (_, rest) = stat.rsplit_once(") ")?;
    // A zombie is dead, and its parent may never look.
    let mut fields = rest.split_whitespace();
    let dead = fields.next().is_none_or(|state| state == "Z");
    fields.nth(18).filter(|_| !dead).map(str::to_owned)
}

/// The same where there is no /proc, as on macOS. In one word.
pub(super) fn began_by_ps(pid: u32) -> Option<String> {
    let mut ps = Command::new("ps");
    ps.args(["-o", "stat=", "-o", "lstart=", "-p", &pid.to_string()]).env("LC_ALL", "C");
    let output = ps.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let mut words = said.split_whitespace();
    let dead = words.next().is_none_or(|state| state.starts_with('Z'));
    let began = words.collect::<Vec<_>>().join("-");
    (!dead && !began.is_empty()).then_some(began)
}
