//! Checks whose the state directory is. Whoever may write to it can replace the log and the tokens, and could
//! lead a daemon that runs as root to any file of the machine.

use std::fs::{self, Metadata};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::process::{getegid, geteuid};

/// The names that thrumd opens there.
const FILES: [&str; 19] = [
    "log.db",
    "log.db-wal",
    "log.db-shm",
    "log.db.keeping",
    "log.db.restoring",
    "log.closed",
    "backup.tmp",
    "views.db",
    "views.db-wal",
    "views.db-shm",
    "search.db",
    "search.db-wal",
    "search.db-shm",
    "identity.json",
    "key.json",
    "peers.json",
    "sockets.json",
    "wake.json",
    "thrumd.lock",
];

/// Why the state directory is not safe to use.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnsafeDirectory {
    /// Another user owns it.
    #[error("the state directory {path} belongs to the user with id {owner}, but thrumd runs as the one with id {user}", path = path.display())]
    Owner {
        /// The directory.
        path: PathBuf,
        /// Who owns it.
        owner: u32,
        /// Who we are.
        user: u32,
    },
    /// Others may write to it.
    #[error("others may write to the state directory {path} (mode {mode:04o})", path = path.display())]
    Mode {
        /// The directory.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A file in it is a symbolic link.
    #[error("{path} is a symbolic link; thrumd follows none in its state directory", path = path.display())]
    Link {
        /// The link.
        path: PathBuf,
    },
}

impl UnsafeDirectory {
    /// The commands that mend it.
    pub fn next(&self) -> String {
        match self {
            Self::Owner { path, user, .. } => format!(
                "run thrumd as that user, or give it the directory: sudo chown -R {user}:{group} {path} && \
                 sudo chmod 0700 {path}",
                group = getegid().as_raw(),
                path = path.display(),
            ),
            Self::Mode { path, .. } => {
                let path = path.display();
                format!("chmod 0700 {path} (as its owner, or with sudo)")
            }
            Self::Link { path } => {
                let path = path.display();
                format!(
                    "put the file itself there: cp --remove-destination \"$(readlink -f {path})\" {path}; \
                     to keep the state elsewhere, set THRUM_STATE_DIR"
                )
            }
        }
    }
}

/// Checks that nobody else may write to the directory. It may be a link itself: that is the choice of whoever
/// named it.
///
/// # Errors
/// When it is not safe.
pub(super) fn check_private(path: &Path, directory: &Metadata) -> Result<(), UnsafeDirectory> {
    check(path, directory, geteuid().as_raw())
}

fn check(path: &Path, directory: &Metadata, user: u32) -> Result<(), UnsafeDirectory> {
    let owner = directory.uid();
    if owner != user {
        return Err(UnsafeDirectory::Owner { path: path.to_owned(), owner, user });
    }
    let mode = directory.permissions().mode() & 0o7777;
    if mode & 0o022 != 0 {
        return Err(UnsafeDirectory::Mode { path: path.to_owned(), mode });
    }
    check_links(path)
}

fn check_links(path: &Path) -> Result<(), UnsafeDirectory> {
    let links = FILES.map(|name| path.join(name));
    let is_link = |path: &PathBuf| fs::symlink_metadata(path).is_ok_and(|file| file.is_symlink());
    match links.into_iter().find(is_link) {
        Some(path) => Err(UnsafeDirectory::Link { path }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    #[test]
    fn only_a_private_directory_of_our_own_without_links_is_used() {
        let dir = tempfile::tempdir().unwrap();
        let own = geteuid().as_raw();
        let checked = |user| check(dir.path(), &fs::metadata(dir.path()).unwrap(), user);
        let set = |mode| fs::set_permissions(dir.path(), Permissions::from_mode(mode)).unwrap();
        assert_eq!(checked(own), Ok(()));
        assert!(matches!(checked(own + 1), Err(UnsafeDirectory::Owner { .. })));
        for mode in [0o770, 0o702, 0o777] {
            set(mode);
            assert!(
                matches!(checked(own), Err(UnsafeDirectory::Mode { mode: found, .. }) if found == mode)
            );
        }
        // Others may look, which doctor tells: the files in it are closed.
        set(0o755);
        assert_eq!(checked(own), Ok(()));
        for name in FILES {
            let link = dir.path().join(name);
            std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
            assert_eq!(checked(own), Err(UnsafeDirectory::Link { path: link.clone() }));
            fs::remove_file(link).unwrap();
        }
    }
}
