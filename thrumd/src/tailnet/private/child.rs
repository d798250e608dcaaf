//! The child's process.
//!
//! It must not outlive us. On Linux it is started through `setpriv --pdeathsig KILL` (util-linux), so
//! that the kernel kills it when we die. That signal is bound to the thread that started the process,
//! which is why each run has a thread that lives as long as it. Where setpriv is missing or does not
//! work, the next start kills what the last one left (see [`kill_leftover`]).

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsRawFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::oneshot;

use super::error::ChildError;
use super::files;
use super::user::User;
use crate::statefile::StateFile;

/// How long it may take to leave the tailnet and exit.
const GRACE: Duration = Duration::from_secs(3);
/// How often we check whether an ending process is gone.
const POLL: Duration = Duration::from_millis(10);
/// How long a killed process may take to disappear.
const KILL_LIMIT: Duration = Duration::from_secs(5);
/// Longer lines are cut.
const LINE_LIMIT: u64 = 4096;

/// How the child is started.
#[derive(Debug, Clone)]
pub(super) struct LaunchSpec {
    pub(super) program: PathBuf,
    pub(super) setpriv: Option<PathBuf>,
    pub(super) user: Option<User>,
    pub(super) dir: PathBuf,
    /// The same directory, open and locked.
    pub(super) opened: Arc<File>,
    pub(super) ephemeral: bool,
    pub(super) environment: Vec<(std::ffi::OsString, std::ffi::OsString)>,
}

impl LaunchSpec {
    /// The command. All paths in it are relative to its directory, because another user may not be able
    /// to walk there. It contains no secret.
    pub(super) fn command(&self) -> Command {
        let mut dir = self.dir.clone();
        let mut command = match &self.setpriv {
            Some(setpriv) => {
                let mut command = via_setpriv(setpriv, self.user.as_ref());
                command.arg(&self.program);
                command
            }
            None => {
                let mut command = Command::new(&self.program);
                if let Some(user) = &self.user {
                    command.uid(user.uid).gid(user.gid);
                    // The child changes its user before its directory, and may not be able to walk
                    // there; an open directory can be entered. Without /proc the path must be open.
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

/// setpriv, which makes the program that follows die with us.
fn via_setpriv(setpriv: &Path, user: Option<&User>) -> Command {
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", "KILL", "--no-new-privs"]);
    if let Some(user) = user {
        command.arg(format!("--reuid={}", user.uid));
        command.arg(format!("--regid={}", user.gid)).arg("--clear-groups");
    }
    command.arg("--");
    command
}

/// Whether `setpriv` works here. Only a trial tells: busybox's has no such option, and a sandbox may
/// forbid what util-linux's does besides. Our systemd unit is such a sandbox (setpriv sets
/// capabilities, if only to none); there systemd kills what we leave.
pub(super) fn setpriv_works(setpriv: &Path, user: Option<&User>) -> bool {
    let mut trial = via_setpriv(setpriv, user);
    trial.arg(setpriv).arg("--version");
    trial.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    trial.status().is_ok_and(|status| status.success())
}

/// Handle of the running child, if there is one, with which it can be killed.
#[derive(Debug, Clone, Default)]
pub(super) struct ChildHandle(Arc<Mutex<Option<Child>>>);

impl ChildHandle {
    pub(super) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        let mut slot = self.0.lock();
        let Some(child) = slot.as_mut() else { return };
        // It was not waited for yet, so the process id is still its own.
        if let Ok(None) = child.try_wait()
            && let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw)
            && let Err(error) = kill_process(pid, signal)
        {
            tracing::warn!(%error, "could not signal our own tailscaled");
        }
    }

    fn set(&self, child: Child) {
        *self.0.lock() = Some(child);
    }

    /// Its exit status; None while it lives.
    fn try_wait(&self) -> std::io::Result<Option<ExitStatus>> {
        let mut slot = self.0.lock();
        let Some(child) = slot.as_mut() else { return Err(std::io::Error::other("unseen")) };
        let ended = child.try_wait()?;
        if ended.is_some() {
            *slot = None;
        }
        Ok(ended)
    }
}

/// A child that was started. Reports when it ends.
pub(super) struct RunningChild {
    pub(super) pid: u32,
    ended: oneshot::Receiver<ChildError>,
}

impl RunningChild {
    /// Starts the child and sets the handle.
    pub(super) async fn start(spec: &LaunchSpec, handle: &ChildHandle) -> Result<Self, ChildError> {
        let (send_pid, pid) = oneshot::channel();
        let (send_end, ended) = oneshot::channel();
        let failed = |source| ChildError::Start { program: spec.program.clone(), source };
        let (mut command, handle) = (spec.command(), handle.clone());
        let opened = Arc::clone(&spec.opened);
        std::thread::Builder::new()
            .name("tailscaled".to_owned())
            .stack_size(256 * 1024)
            .spawn(move || {
                let started = command.spawn();
                drop(opened);
                match started {
                    Err(error) => drop(send_pid.send(Err(error))),
                    Ok(mut child) => {
                        let stderr = child.stderr.take();
                        let pid = child.id();
                        handle.set(child);
                        drop(send_pid.send(Ok(pid)));
                        let last_line = stderr.map(read_stderr).unwrap_or_default();
                        drop(send_end.send(wait(&handle, &last_line)));
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
        (&mut self.ended).await.unwrap_or_else(|_| ended("unseen".to_owned(), ""))
    }

    /// Stops it: with SIGTERM, so that an ephemeral node leaves the tailnet, and then with SIGKILL.
    pub(super) async fn stop(mut self, handle: &ChildHandle) {
        handle.signal(Signal::TERM);
        if tokio::time::timeout(GRACE, self.ended()).await.is_err() {
            handle.kill();
            self.ended().await;
        }
    }
}

/// Reads the child's log to its end. It logs much, so only the last line is kept.
fn read_stderr(stderr: impl Read) -> String {
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

fn wait(handle: &ChildHandle, last_line: &str) -> ChildError {
    // It has closed its last stream, so this takes a moment. It stays in the handle until then, where
    // it can be killed.
    loop {
        match handle.try_wait() {
            Ok(Some(status)) if status.code().is_some() => {
                return ended(describe(status), last_line);
            }
            // What it logged before a signal has nothing to do with the signal.
            Ok(Some(status)) => return ended(describe(status), ""),
            Ok(None) => std::thread::sleep(POLL),
            Err(error) => return ended(error.to_string(), ""),
        }
    }
}

fn ended(status: String, last_line: &str) -> ChildError {
    let message = if last_line.is_empty() { String::new() } else { format!(": {last_line}") };
    ChildError::Ended { status, message }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "unknown".to_owned(),
    }
}

/// Writes the child's process id and start time to its PID file.
pub(super) fn write_pid_file(file: &StateFile, pid: u32) -> Result<(), ChildError> {
    let text = format!("{pid} {}", start_time(pid).unwrap_or_default());
    files::replace(file, text.as_bytes())
}

/// Kills the child that an earlier run of ours left, if there is one: two on one state directory do not
/// work.
pub(super) async fn kill_leftover(file: &StateFile) -> Result<(), ChildError> {
    let text = std::fs::read_to_string(file.path()).unwrap_or_default();
    let mut words = text.split_whitespace();
    let pid: Option<u32> = words.next().and_then(|word| word.parse().ok());
    if let (Some(pid), Some(recorded)) = (pid, words.next())
        && start_time(pid).as_deref() == Some(recorded)
        && let Some(process) = i32::try_from(pid).ok().and_then(Pid::from_raw)
    {
        tracing::warn!(pid, "killing the tailscaled that an earlier run left");
        if let Err(error) = kill_process(process, Signal::KILL) {
            tracing::warn!(pid, %error, "could not kill it");
        }
        // Until it is gone it holds its socket and its state.
        let gone = async {
            while start_time(pid).as_deref() == Some(recorded) {
                tokio::time::sleep(POLL).await;
            }
        };
        if tokio::time::timeout(KILL_LIMIT, gone).await.is_err() {
            tracing::warn!(pid, "it still runs");
        }
    }
    Ok(file.remove()?)
}

/// Start time of a process, which tells it from a later one with the same id. None when there is no
/// such process, or no way to know.
fn start_time(pid: u32) -> Option<String> {
    if cfg!(target_os = "linux") { start_time_by_proc(pid) } else { start_time_by_ps(pid) }
}

fn start_time_by_proc(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may contain anything; the fields come after it.
    let (_, rest) = stat.rsplit_once(") ")?;
    // A zombie is dead, even if its parent never waits for it.
    let mut fields = rest.split_whitespace();
    let dead = fields.next().is_none_or(|state| state == "Z");
    fields.nth(18).filter(|_| !dead).map(str::to_owned)
}

/// The same without /proc, as on macOS. Contains no space.
pub(super) fn start_time_by_ps(pid: u32) -> Option<String> {
    let mut ps = Command::new("ps");
    ps.args(["-o", "stat=", "-o", "lstart=", "-p", &pid.to_string()]).env("LC_ALL", "C");
    let output = ps.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let mut words = printed.split_whitespace();
    let dead = words.next().is_none_or(|state| state.starts_with('Z'));
    let time = words.collect::<Vec<_>>().join("-");
    (!dead && !time.is_empty()).then_some(time)
}
