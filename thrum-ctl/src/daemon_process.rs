//! The program `thrumd` and its process.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use thrum_api::Empty;
use thrum_api::local::{Health, HealthResult};
use tokio::time::sleep;

use crate::client::Client;
use crate::error::{Error, ExitOutput};

const POLL_INTERVAL: Duration = Duration::from_millis(5);
const OUTPUT_MAX_BYTES: u64 = 4096;

/// The `thrumd` to start: `THRUMD_BIN`, the one beside this program, the one in `PATH`.
///
/// # Errors
/// When there is none.
pub fn find_thrumd() -> Result<PathBuf, Error> {
    if let Some(named) = std::env::var_os("THRUMD_BIN").filter(|value| !value.is_empty()) {
        return Ok(PathBuf::from(named));
    }
    let beside = std::env::current_exe()
        .and_then(|path| path.canonicalize())
        .ok()
        .map(|path| path.with_file_name("thrumd"))
        .filter(|path| path.is_file());
    beside.or_else(|| which::which("thrumd").ok()).ok_or_else(|| {
        Error::failed(
            "can't find thrumd beside thrum or in PATH",
            "build it (cargo build --release), or set its path: export THRUMD_BIN=PATH",
        )
    })
}

/// Starts a `thrumd` that outlives this program and writes to this log. Returns the position where its
/// part of the log begins, too.
///
/// # Errors
/// When the log can't be written or the program can't be started.
pub fn spawn_detached(thrumd: &mut Command, log: &Path) -> Result<(Child, u64), Error> {
    let cant = |source| Error::io(format!("can't write the log {}", log.display()), source);
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(log).map_err(cant)?;
    let log_start = file.metadata().map_err(cant)?.len();
    let child = thrumd
        // If set, it belongs to the service that runs this command.
        .env_remove("NOTIFY_SOCKET")
        .env("THRUM_LOG_PATH", log)
        // Its own process group, so that Ctrl-C and the end of the terminal session don't end it.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(file)
        .spawn()
        .map_err(|source| {
            let program = Path::new(thrumd.get_program()).display();
            Error::io(format!("can't start {program}"), source)
        })?;
    Ok((child, log_start))
}

/// Waits until a daemon that was just started answers or ends.
///
/// # Errors
/// When it ends, with what it wrote to its log.
pub async fn wait_for_answer(
    child: &mut Child,
    socket: &Path,
    log: &Path,
    log_start: u64,
) -> Result<HealthResult, Error> {
    loop {
        let status = child
            .try_wait()
            .map_err(|source| Error::io("can't see whether thrumd is still running", source))?;
        // Asked after the check of the child: if another start won the race, this child has ended and
        // the other daemon answers.
        if let Ok(health) = health(socket).await {
            return Ok(health);
        }
        if let Some(status) = status {
            let written = exit_output(log, log_start);
            let source = match written.trim() {
                "" if is_full(log) => ExitOutput::full_disk(log),
                written => ExitOutput::of(written),
            };
            return Err(Error::EndedAtOnce { status, source });
        }
        sleep(POLL_INTERVAL).await;
    }
}

/// The health of the daemon behind this socket.
///
/// # Errors
/// When it does not answer.
pub async fn health(socket: &Path) -> Result<HealthResult, Error> {
    Client::open(socket).await?.call::<Health>(&Empty {}).await
}

/// The end of what was written to a log after a position.
fn exit_output(log: &Path, start: u64) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(start.max(length.saturating_sub(OUTPUT_MAX_BYTES))))?;
        let mut bytes = Vec::new();
        file.take(OUTPUT_MAX_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
}

/// Whether the disk has no space for a line of this log.
fn is_full(log: &Path) -> bool {
    const LINE_BYTES: u64 = 4096;
    let left = |stat: rustix::fs::StatVfs| stat.f_bavail.saturating_mul(stat.f_frsize);
    rustix::fs::statvfs(log).is_ok_and(|stat| left(stat) < LINE_BYTES)
}
