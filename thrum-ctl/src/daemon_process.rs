//! The program `thrumd` and its process.

use std::path::PathBuf;

use rustix::process::{Pid, test_kill_process};

use crate::error::Error;

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

/// Whether the process is running. A zombie is not.
pub fn is_running(pid: u32) -> bool {
    let Some(process) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return false;
    };
    // A missing permission to signal it means that it exists.
    if test_kill_process(process) == Err(rustix::io::Errno::SRCH) {
        return false;
    }
    let ended = std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        // The program's name is in parentheses and may contain any character.
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'))
    });
    !ended
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_zombie_is_not_running() {
        assert!(is_running(std::process::id()));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while is_running(child.id()) {
            assert!(Instant::now() < deadline, "still counts as running");
            std::thread::sleep(Duration::from_millis(5));
        }
        child.wait().unwrap();
    }
}
