//! A daemon of the demo in its own directory.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use thrum_api::local::HealthResult;
use tokio::time::timeout;

use crate::client::Client;
use crate::daemon_process::{spawn_detached, wait_for_answer};
use crate::error::Error;

const TIMEOUT: Duration = Duration::from_secs(30);
/// A configuration file of its own, so that the user's or the machine's is not read.
const CONFIG: &str = "thrumd.toml";

/// One of the two machines of the demo. Its daemon ends when the value is dropped.
pub struct Machine {
    /// Its name.
    pub name: &'static str,
    state_dir: PathBuf,
    thrumd: PathBuf,
    /// The port for peers: 0 for any free port at the first start, then always the same.
    port: u16,
    child: Option<Child>,
}

impl Machine {
    /// A machine that keeps its state in a new folder.
    pub fn new(name: &'static str, folder: &Path, thrumd: &Path) -> Result<Self, Error> {
        let state_dir = folder.join(name);
        std::fs::DirBuilder::new().mode(0o700).create(&state_dir).map_err(|source| {
            Error::io(format!("can't create the directory {}", state_dir.display()), source)
        })?;
        let config = state_dir.join(CONFIG);
        std::fs::write(&config, "# Empty: the demo sets everything in the environment.\n")
            .map_err(|source| Error::io(format!("can't write {}", config.display()), source))?;
        Ok(Self { name, state_dir, thrumd: thrumd.to_owned(), port: 0, child: None })
    }

    /// Its state directory.
    pub fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// Its log file.
    pub fn log(&self) -> PathBuf {
        self.state_dir.join("thrumd.log")
    }

    fn socket(&self) -> PathBuf {
        self.state_dir.join("thrumd.sock")
    }

    /// Sets the port for the next start.
    pub fn keep_port(&mut self, port: u16) {
        self.port = port;
    }

    /// Starts the daemon and waits until it answers.
    pub async fn start(&mut self) -> Result<HealthResult, Error> {
        let (socket, log) = (self.socket(), self.log());
        let (child, log_start) = spawn_detached(&mut self.command(), &log)?;
        // Stored at once, so that the process ends even if this future is dropped.
        let child = self.child.insert(child);
        let silent = |_| Err(failed(format!("the daemon {} does not answer", self.name)));
        let starting = timeout(TIMEOUT, wait_for_answer(child, &socket, &log, log_start));
        starting.await.unwrap_or_else(silent)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.thrumd);
        // Settings of the user's own daemon must not affect this one.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("THRUM") {
                command.env_remove(name);
            }
        }
        command
            .env("THRUM_CONFIG", self.state_dir.join(CONFIG))
            .env("THRUM_STATE_DIR", &self.state_dir)
            .env("THRUM_TAILNET", "loopback")
            .env("THRUM_TS_ENABLED", "true")
            .env("THRUM_TS_HOSTNAME", self.name)
            .env("THRUM_TS_PORT", self.port.to_string())
            .current_dir(&self.state_dir);
        command
    }

    /// A connection to it.
    pub async fn client(&self) -> Result<Client, Error> {
        Client::open(&self.socket()).await
    }

    /// Kills the daemon with SIGKILL.
    pub fn kill(&mut self) -> Result<(), Error> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        child
            .kill()
            .and_then(|()| child.wait())
            .map(|_| ())
            .map_err(|source| Error::io(format!("can't kill the daemon {}", self.name), source))
    }

    /// Keeps the daemon running when this value is dropped.
    pub fn leave_running(&mut self) {
        self.child = None;
    }

    /// The daemon's process id.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// The resident memory of the daemon in bytes, if the system reports it.
    pub fn resident_bytes(&self) -> Option<u64> {
        let pid = self.pid()?;
        let kib = match std::fs::read_to_string(format!("/proc/{pid}/status")) {
            Ok(status) => {
                let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
                line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()?
            }
            Err(_) => {
                let asked = ["-o", "rss=", "-p", &pid.to_string()].map(str::to_owned);
                let output = Command::new("ps").args(asked).output().ok()?;
                String::from_utf8_lossy(&output.stdout).trim().parse::<u64>().ok()?
            }
        };
        Some(kib * 1024)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Best effort: an error can't be reported here, and does not affect the next demo.
        drop(self.kill());
    }
}

/// A failure of the demo. [`Error::Demo`] adds the hint.
pub fn failed(message: impl Into<String>) -> Error {
    Error::failed(message, "")
}
