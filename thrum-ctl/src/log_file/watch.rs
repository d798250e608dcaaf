//! Waits until a log grows or is rotated.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fd::OwnedFd;
use tokio::io::unix::AsyncFd;
use tokio::time::sleep;

/// How often to look where nothing tells: on macOS, where inotify's instances have run out, and while the folder of
/// the log is missing.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// A watch over a log.
#[derive(Debug)]
pub struct LogWatch {
    path: PathBuf,
    armed: Option<AsyncFd<OwnedFd>>,
}

impl LogWatch {
    /// Watches from now on.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), armed: arm(path) }
    }

    /// Returns when there may be more to read than before the last call.
    pub async fn changed(&mut self) {
        let told = match &self.armed {
            Some(inotify) => inotify.readable().await.map(|mut ready| {
                ready.clear_ready();
                only_writes(inotify.get_ref())
            }),
            None => {
                sleep(LOOK_INTERVAL).await;
                Ok(false)
            }
        };
        // Another file may have the name now.
        if !matches!(told, Ok(true)) {
            self.armed = arm(&self.path);
        }
    }
}

/// Begins to watch. None when nothing can tell.
#[cfg(target_os = "linux")]
fn arm(path: &Path) -> Option<AsyncFd<OwnedFd>> {
    use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};

    let gone = WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF;
    let new = WatchFlags::CREATE | WatchFlags::MOVED_TO;
    let inotify = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()?;
    add_watch(&inotify, path.parent()?, gone | new | WatchFlags::ONLYDIR).ok()?;
    // While it has no file, the folder tells of a new one.
    let _missing = add_watch(&inotify, path, gone | WatchFlags::MODIFY);
    #[expect(deprecated, reason = "its successor is unsafe; an OwnedFd keeps what that demands")]
    AsyncFd::with_interest(inotify, tokio::io::Interest::READABLE).ok()
}

/// Takes what is told. Whether all of it was that the file has grown.
#[cfg(target_os = "linux")]
fn only_writes(inotify: &OwnedFd) -> bool {
    use rustix::fs::inotify::{ReadFlags, Reader};
    use rustix::io::Errno;

    let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
    let mut events = Reader::new(inotify, &mut buffer);
    loop {
        match events.next() {
            Ok(event) if event.events() == ReadFlags::MODIFY => {}
            Err(Errno::AGAIN) => return true,
            Err(Errno::INTR) => {}
            Ok(_) | Err(_) => return false,
        }
    }
}

/// Nothing tells here without unsafe calls.
#[cfg(not(target_os = "linux"))]
fn arm(_: &Path) -> Option<AsyncFd<OwnedFd>> {
    None
}

#[cfg(not(target_os = "linux"))]
fn only_writes(_: &OwnedFd) -> bool {
    false
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs::{self, File};
    use std::io::Write as _;

    use super::*;

    #[tokio::test]
    async fn writes_and_rotations_are_told_and_not_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut file = File::create(&path).unwrap();
        let mut watch = LogWatch::new(&path);
        async fn told(watch: &mut LogWatch) {
            assert!(watch.armed.is_some(), "or it would look at times");
            tokio::time::timeout(Duration::from_secs(30), watch.changed()).await.unwrap();
        }
        for _ in 0..2 {
            file.write_all(b"line\n").unwrap();
            told(&mut watch).await;
        }
        fs::rename(&path, folder.path().join("log.1")).unwrap();
        told(&mut watch).await;
        let mut file = File::create(&path).unwrap();
        told(&mut watch).await;
        file.write_all(b"line\n").unwrap();
        told(&mut watch).await;
    }

    #[tokio::test]
    async fn a_folder_that_is_gone_is_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/log");
        fs::create_dir(path.parent().unwrap()).unwrap();
        File::create(&path).unwrap();
        let mut watch = LogWatch::new(&path);
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
        watch.changed().await;
        assert!(watch.armed.is_none());
        fs::create_dir(path.parent().unwrap()).unwrap();
        watch.changed().await;
        assert!(watch.armed.is_some());
    }
}
