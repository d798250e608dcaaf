//! Watches processes of tools: the kernel tells when one has ended, with pidfd on Linux and kqueue on macOS.

use std::future::pending;
use std::io;

use rustix::fd::OwnedFd;
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;

use super::error::SessionError;

/// A process that runs, or did when this was made.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    ended: AsyncFd<OwnedFd>,
}

impl Process {
    /// Begins to watch. Needs the runtime.
    ///
    /// # Errors
    /// When there is no such process, when it can't be a tool, and when the system refuses.
    pub fn watch(pid: u32) -> Result<Self, SessionError> {
        let named = i32::try_from(pid).ok().filter(|pid| *pid > 1);
        let named = named.ok_or(SessionError::NoProcess { pid })?;
        let fd = open(named).map_err(|error| match error {
            Errno::SRCH => SessionError::NotRunning { pid },
            // A thread that is not the first of its process.
            Errno::INVAL | Errno::NOENT => SessionError::NoProcess { pid },
            error => SessionError::Watch { pid, cause: error.into() },
        })?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe; an OwnedFd keeps what that demands"
        )]
        let ended = AsyncFd::with_interest(fd, tokio::io::Interest::READABLE);
        Ok(Self { pid, ended: ended.map_err(|cause| SessionError::Watch { pid, cause })? })
    }

    /// Its id.
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// Returns when it has ended.
    pub async fn ended(&self) {
        if self.ended.readable().await.is_err() {
            // The runtime stops, and the process may go on.
            pending::<()>().await;
        }
    }

    /// What tells it from another process that gets its id later. None where nothing can tell.
    pub fn identity(&self) -> Option<String> {
        identity(self.pid, self.ended.get_ref()).ok().flatten()
    }
}

#[cfg(target_os = "linux")]
fn open(pid: i32) -> Result<OwnedFd, Errno> {
    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    let pid = Pid::from_raw(pid).ok_or(Errno::SRCH)?;
    pidfd_open(pid, PidfdFlags::NONBLOCK)
}

/// When it began, which the system counts from its boot; or the inode of its pidfd with the moment of the boot.
///
/// The first is in `/proc`, where the unit of the system's service hides the processes of other users (`ProtectProc=`).
/// The second is one for each process since Linux 6.9, but begins anew with each boot: with the first, a later process
/// would have to begin in the same hundredth of a second after its boot, too.
#[cfg(target_os = "linux")]
fn identity(pid: u32, fd: &OwnedFd) -> io::Result<Option<String>> {
    /// The file system of pidfds, if it is one of its own.
    const PID_FS_MAGIC: u64 = 0x5049_4446;

    if let Some(start) = std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| start_of(&stat).map(str::to_owned))
    {
        return Ok(Some(format!("start {start}")));
    }
    let kind = u64::try_from(rustix::fs::fstatfs(fd)?.f_type).unwrap_or(0);
    if kind != PID_FS_MAGIC {
        return Ok(None);
    }
    let inode = rustix::fs::fstat(fd)?.st_ino;
    let up = rustix::time::clock_gettime(rustix::time::ClockId::Boottime).tv_sec;
    let booted = crate::clock::now().as_millis() / 1000 - up;
    Ok(Some(format!("inode {inode} {booted}")))
}

/// The 22nd field. The second is the name of the program in parentheses, and may have any character.
#[cfg(target_os = "linux")]
fn start_of(stat: &str) -> Option<&str> {
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)
}

/// Whether both are of one process. The moment of a boot is known to a minute, since clocks are set.
pub fn is_same(one: &str, other: &str) -> bool {
    const BOOT_SECONDS: u64 = 60;

    let parts = |text: &str| -> Option<(String, i64)> {
        let (inode, booted) = text.strip_prefix("inode ")?.split_once(' ')?;
        Some((inode.to_owned(), booted.parse().ok()?))
    };
    match (parts(one), parts(other)) {
        (Some((one, before)), Some((other, after))) => {
            one == other && before.abs_diff(after) <= BOOT_SECONDS
        }
        _ => one == other,
    }
}

/// A queue that is readable once the process has ended.
#[cfg(not(target_os = "linux"))]
fn open(pid: i32) -> Result<OwnedFd, Errno> {
    use nix::sys::event::{EvFlags, EventFilter, FilterFlag, KEvent, Kqueue};

    let ident = usize::try_from(pid).map_err(|_| Errno::SRCH)?;
    let failed = |error: nix::errno::Errno| Errno::from_raw_os_error(error as i32);
    let queue = Kqueue::new().map_err(failed)?;
    let flags = EvFlags::EV_ADD | EvFlags::EV_ENABLE;
    let exit = FilterFlag::NOTE_EXIT;
    let ends = KEvent::new(ident, EventFilter::EVFILT_PROC, flags, exit, 0, 0);
    queue.kevent(&[ends], &mut [], None).map_err(failed)?;
    Ok(queue.into())
}

/// Nothing tells without unsafe code.
#[cfg(not(target_os = "linux"))]
fn identity(_: u32, _: &OwnedFd) -> io::Result<Option<String>> {
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};
    use std::time::Duration;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    fn sleeper() -> Child {
        Command::new("sleep").arg("600").spawn().unwrap()
    }

    #[tokio::test]
    async fn the_end_of_a_process_is_told() {
        let mut child = sleeper();
        let process = Process::watch(child.id()).unwrap();
        let now = tokio::time::timeout(Duration::ZERO, process.ended()).await;
        assert!(now.is_err(), "it runs");
        child.kill().unwrap();
        tokio::time::timeout(LONG, process.ended()).await.unwrap();
        child.wait().unwrap();
        let error = Process::watch(child.id()).unwrap_err();
        assert!(matches!(error, SessionError::NotRunning { .. }), "{error}");
    }

    #[tokio::test]
    async fn what_is_no_tool_is_refused() {
        for pid in [0, 1, u32::MAX] {
            let error = Process::watch(pid).unwrap_err();
            assert!(matches!(error, SessionError::NoProcess { .. }), "{error}");
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_process_is_told_from_others() {
        let mut children = [sleeper(), sleeper()];
        let of = |child: &Child| Process::watch(child.id()).unwrap().identity().unwrap();
        let [first, second] = [&children[0], &children[1]].map(of);
        assert!(is_same(&first, &of(&children[0])));
        // They may have begun in the same hundredth of a second.
        assert!(first.starts_with("start ") && second.starts_with("start "));
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    #[test]
    fn an_inode_counts_for_one_boot() {
        assert!(is_same("inode 7 1000", "inode 7 1059"));
        assert!(!is_same("inode 7 1000", "inode 7 1061"));
        assert!(!is_same("inode 7 1000", "inode 8 1000"));
        assert!(is_same("start 7", "start 7") && !is_same("start 7", "start 8"));
        assert!(!is_same("start 7", "inode 7 1000"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_program_may_have_any_name() {
        let after = (3..=30).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!(start_of(&format!("7 (a) b) (c)) {after}")), Some("22"));
        assert_eq!(start_of("7 (a"), None);
    }
}
