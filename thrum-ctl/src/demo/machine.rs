//! A daemon of the demo in its own directory.

use std::fs::OpenOptions;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use thrum_api::local::{Health, HealthResult};
use thrum_api::method::Empty;
use tokio::time::{Instant, sleep};

use crate::client::Client;
use crate::error::{Error, ExitOutput};
use crate::log_file::tail;

const TIMEOUT: Duration = Duration::from_secs(30);
/// A configuration file of its own, so that the user's or the machine's is not read.
const CONFIG: &str = "thrumd.toml";
const POLL_INTERVAL: Duration = Duration::from_millis(5);

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
        // Stored at once, so that the process ends even if this future is dropped.
        self.child = Some(self.spawn()?);
        let begin = Instant::now();
        loop {
            let ended = self.child.as_mut().map(Child::try_wait).transpose().map_err(|source| {
                Error::io(format!("can't see whether the daemon {} is running", self.name), source)
            })?;
            if let Some(status) = ended.flatten() {
                let source = ExitOutput::of(&tail(&self.log(), 10).join("\n"));
                return Err(Error::EndedAtOnce { status, source });
            }
            if let Ok(mut client) = self.client().await
                && let Ok(health) = client.call::<Health>(&Empty {}).await
            {
                return Ok(health);
            }
            if begin.elapsed() > TIMEOUT {
                return Err(failed(format!("the daemon {} does not answer", self.name)));
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    fn spawn(&self) -> Result<Child, Error> {
        let path = self.log();
        let log = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
        let log = log.map_err(|source| {
            Error::io(format!("can't write the log {}", path.display()), source)
        })?;
        let mut command = Command::new(&self.thrumd);
        // Settings of the user's own daemon must not affect this one.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("THRUM") {
                command.env_remove(name);
            }
        }
        command
            .env("THRUM_CONFIG", self.state_dir.join(CONFIG))
            .env_remove("NOTIFY_SOCKET")
            .env("THRUM_STATE_DIR", &self.state_dir)
            .env("THRUM_LOG_PATH", &path)
            .env("THRUM_TAILNET", "loopback")
            .env("THRUM_TS_ENABLED", "true")
            .env("THRUM_TS_HOSTNAME", self.name)
            .env("THRUM_TS_PORT", self.port.to_string())
            .process_group(0)
            .current_dir(&self.state_dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|source| Error::io(format!("can't start {}", self.thrumd.display()), source))
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
