//! The process of a daemon as others see it: by its id and its lock, without its socket.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::error::Error;

/// The file that a daemon locks while it runs. It holds the process id.
const LOCK_FILE: &str = "thrumd.lock";
/// Far more than a process id.
const LOCK_FILE_MAX_BYTES: u64 = 64;

/// The thrumd that runs on this state directory. None, too, if this user may not look.
pub fn holder(state_dir: &Path) -> Option<u32> {
    let file = File::open(state_dir.join(LOCK_FILE)).ok()?;
    let mut text = String::new();
    (&file).take(LOCK_FILE_MAX_BYTES).read_to_string(&mut text).ok()?;
    let pid = text.trim().parse().ok()?;
    // The lock is tried last: for that moment it would keep out a daemon that starts.
    (is_thrumd(pid) && file.try_lock_shared().is_err()).then_some(pid)
}

/// Whether this process exists and is thrumd as far as can be seen. Process ids are reused.
fn is_thrumd(pid: u32) -> bool {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm"));
    is_running(pid) && name.map_or(true, |name| name.starts_with("thrumd"))
}

/// Tells a process to end, as service managers do.
///
/// # Errors
/// When this user may not.
pub fn terminate(pid: u32) -> Result<(), Error> {
    let Some(process) = process(pid) else { return Ok(()) };
    match kill_process(process, Signal::TERM) {
        // It has ended.
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(Error::io(format!("can't stop thrumd (pid {pid})"), error.into())),
    }
}

fn process(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

/// Whether the process is running. A zombie is not.
pub fn is_running(pid: u32) -> bool {
    let Some(process) = process(pid) else { return false };
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

    #[test]
    fn a_number_in_a_lock_file_is_a_daemon_only_while_thrumd_holds_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(LOCK_FILE);
        assert_eq!(holder(folder.path()), None);
        let locked = File::create(&path).unwrap();
        locked.lock().unwrap();
        for text in ["", "no number", "4294967295"] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(holder(folder.path()), None, "{text:?}");
        }
        // This process runs and is another program.
        std::fs::write(&path, format!("{}\n", std::process::id())).unwrap();
        assert_eq!(holder(folder.path()), None);
    }
}
