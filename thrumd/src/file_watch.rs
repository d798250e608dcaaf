//! Watches whether paths still name the same files.
//!
//! A person may remove, replace or move a file that this process has open: it works on, with a file that nobody
//! else can find. On Linux inotify tells of that. It watches for other files only, never for writes, so that a
//! busy log wakes nothing.

#[cfg(target_os = "linux")]
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio::time::sleep;

/// How often to look where nothing tells: on macOS, and where inotify's instances have run out.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);

/// A watch over some paths.
#[derive(Debug)]
pub struct FileWatch {
    paths: Vec<PathBuf>,
    armed: Option<AsyncFd<rustix::fd::OwnedFd>>,
}

impl FileWatch {
    /// Watches these paths from now on. They need not exist. Needs the runtime.
    pub fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let paths: Vec<_> = paths.into_iter().collect();
        let armed = arm(&paths);
        Self { paths, armed }
    }

    /// Returns when one of the paths may name another file than before, or none, or one again. It may have no
    /// cause, so look then. What changes after it returned is told by the next call.
    pub async fn changed(&mut self) {
        let told = match &self.armed {
            Some(inotify) => inotify.readable().await.is_ok(),
            None => false,
        };
        if !told {
            sleep(LOOK_INTERVAL).await;
        }
        // Anew as a whole: what the paths lead through may be other folders now.
        self.armed = arm(&self.paths);
    }
}

/// Begins to watch. None when nothing can tell.
#[cfg(target_os = "linux")]
fn arm(paths: &[PathBuf]) -> Option<AsyncFd<rustix::fd::OwnedFd>> {
    use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};

    let gone = WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF;
    // The link count is an attribute: that of an open file changes when its name is removed or given to another.
    // Not for folders, which tell the attributes of every file in them.
    let unlinked = gone | WatchFlags::ATTRIB;
    let new = WatchFlags::CREATE | WatchFlags::MOVED_TO;
    let inotify = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()?;
    // A folder of others that may not be read can't be watched; the file in it can.
    let watch = |path: &Path, flags| add_watch(&inotify, path, flags).is_ok();
    for path in paths {
        let mut exists = watch(path, unlinked);
        for folder in path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()) {
            // Where the next part is missing, its creation is told.
            let flags = if exists { gone } else { gone | new };
            exists = watch(folder, flags | WatchFlags::ONLYDIR | WatchFlags::MASK_ADD);
        }
    }
    #[expect(deprecated, reason = "its successor is unsafe; an OwnedFd keeps what that demands")]
    AsyncFd::with_interest(inotify, tokio::io::Interest::READABLE).ok()
}

/// Nothing tells here: kqueue is unsafe to call, and FSEvents would be a framework for a rare fault.
#[cfg(not(target_os = "linux"))]
fn arm(_: &[PathBuf]) -> Option<AsyncFd<rustix::fd::OwnedFd>> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    async fn told(watch: &mut FileWatch) -> bool {
        tokio::time::timeout(LONG, watch.changed()).await.is_ok()
    }

    /// Whether it has nothing to tell. What it is about has happened already.
    async fn is_quiet(watch: &mut FileWatch) -> bool {
        tokio::time::timeout(Duration::from_millis(20), watch.changed()).await.is_err()
    }

    #[tokio::test]
    async fn another_file_at_the_path_is_told_and_a_write_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let parent = folder.path().join("deep/state");
        let (path, other) = (parent.join("log.db"), parent.join("other"));
        fs::create_dir_all(&parent).unwrap();
        let mut open = fs::File::create(&path).unwrap();
        let mut watch = FileWatch::new([path.clone()]);

        open.write_all(b"more").unwrap();
        open.set_len(1).unwrap();
        open.sync_all().unwrap();
        let third = parent.join("third");
        fs::write(&third, "").unwrap();
        fs::set_permissions(&third, fs::Permissions::from_mode(0o600)).unwrap();
        fs::remove_file(&third).unwrap();
        fs::write(&other, "beside it").unwrap();
        assert!(is_quiet(&mut watch).await, "it is the same file");

        fs::rename(&other, &path).unwrap();
        assert!(told(&mut watch).await, "replaced");
        assert!(is_quiet(&mut watch).await, "once");
        fs::remove_file(&path).unwrap();
        assert!(told(&mut watch).await, "removed");
        fs::write(&path, "").unwrap();
        assert!(told(&mut watch).await, "there again");
        fs::rename(&path, &other).unwrap();
        assert!(told(&mut watch).await, "moved away");
        fs::rename(&other, &path).unwrap();
        assert!(told(&mut watch).await, "moved back");
    }

    #[tokio::test]
    async fn a_folder_that_goes_and_comes_back_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (parent, moved) = (folder.path().join("deep"), folder.path().join("moved"));
        let path = parent.join("state/log.db");
        let make = || {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
        };
        make();
        let mut watch = FileWatch::new([path.clone()]);
        fs::rename(&parent, &moved).unwrap();
        assert!(told(&mut watch).await, "a folder above it was moved away");
        fs::rename(&moved, &parent).unwrap();
        assert!(told(&mut watch).await, "and back");
        fs::remove_dir_all(&parent).unwrap();
        assert!(told(&mut watch).await, "removed");
        make();
        assert!(told(&mut watch).await, "there again");
        fs::remove_file(&path).unwrap();
        assert!(told(&mut watch).await, "and the file is watched again");
    }
}
