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
            "there is no thrumd beside this thrum, nor in PATH",
            "build it (cargo build --release), or say where it is: export THRUMD_BIN=PATH",
        )
    })
}

/// Whether the process lives. One that has ended and was not fetched by its parent doesn't.
pub fn is_running(pid: u32) -> bool {
    let Some(process) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return false;
    };
    // Not permitted to signal it means that it is there.
    if test_kill_process(process) == Err(rustix::io::Errno::SRCH) {
        return false;
    }
    let ended = std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        // The name of the program is in brackets and may have any character in it.
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'))
    });
    !ended
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_process_that_nobody_fetched_has_ended() {
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
