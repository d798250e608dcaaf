//! Sandboxes around an agent's tool, which forbid Unix sockets. The socket and the daemon are all right then, and no
//! permission of files is missing.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::io::Errno;
use rustix::process::{getegid, geteuid, getgroups};

/// Reading and writing bits of a mode, for one class of users.
const WRITE: u32 = 0o2;
const SEARCH: u32 = 0o1;
/// Owner of files of users that a user namespace doesn't have.
const UNMAPPED: u32 = 65534;

/// Whether a sandbox refused this connection. Missing permissions of files are EACCES, so EPERM is a sandbox's; EACCES
/// may be, if all permissions are there.
pub fn refused(socket: &Path, error: &io::Error) -> bool {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::PERM) => true,
        Some(Errno::ACCESS) => User::current().is_some_and(|user| user.may_connect(socket)),
        _ => false,
    }
}

/// How to allow it, for each tool.
pub fn how_to_allow(socket: &Path) -> String {
    let folder = socket.parent().unwrap_or(socket).display();
    let claude = if cfg!(target_os = "macos") {
        format!("Claude Code: put \"{folder}\" into sandbox.network.allowUnixSockets")
    } else {
        // Its filter of system calls can't tell one socket from another.
        "Claude Code: set sandbox.network.allowAllUnixSockets, or put \"thrum *\" into sandbox.excludedCommands"
            .to_owned()
    };
    format!(
        "{claude}; Codex: \"{folder}\" = \"allow\" in [permissions.NAME.network.unix_sockets]; then start the tool \
         anew. Its MCP servers run outside of the sandbox: see docs/containers.md"
    )
}

/// A user, as far as permissions of files go.
struct User {
    id: u32,
    groups: Vec<u32>,
}

impl User {
    fn current() -> Option<Self> {
        let mut groups: Vec<u32> = getgroups().ok()?.into_iter().map(|id| id.as_raw()).collect();
        groups.push(getegid().as_raw());
        Some(Self { id: geteuid().as_raw(), groups })
    }

    /// Whether owners and modes of the socket and of the folders on the way to it allow to connect.
    fn may_connect(&self, socket: &Path) -> bool {
        // Without a permission on the way, this fails.
        let Ok(socket) = socket.canonicalize() else { return false };
        let may = |path: &Path, right| {
            std::fs::symlink_metadata(path).is_ok_and(|file| self.may(&file, right))
        };
        may(&socket, WRITE) && socket.ancestors().skip(1).all(|folder| may(folder, SEARCH))
    }

    fn may(&self, file: &Metadata, right: u32) -> bool {
        let (owner, group, mode) = (file.uid(), file.gid(), file.mode());
        // Root may everything, except with what its user namespace doesn't have.
        if self.id == 0 && owner != UNMAPPED && group != UNMAPPED {
            return true;
        }
        let class = if owner == self.id {
            6
        } else if self.groups.contains(&group) {
            3
        } else {
            0
        };
        mode >> class & right == right
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn what_modes_would_allow_is_refused_by_a_sandbox() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("folder");
        std::fs::create_dir(&folder).unwrap();
        let socket = folder.join("thrumd.sock");
        let _listener = UnixListener::bind(&socket).unwrap();
        let found = std::fs::metadata(&socket).unwrap();
        let set = |path: &Path, mode| set_permissions(path, Permissions::from_mode(mode)).unwrap();
        // Whoever runs this test: one that owns nothing here, and only gets through what is open to it.
        let other = User { id: found.uid() + 1, groups: vec![found.gid() + 1] };
        let member = User { id: found.uid() + 1, groups: vec![7, found.gid()] };
        // As seen from the folder that the test made: those above it are the machine's.
        let may = |user: &User| {
            user.may(&std::fs::metadata(&socket).unwrap(), WRITE)
                && user.may(&std::fs::metadata(&folder).unwrap(), SEARCH)
        };
        set(home.path(), 0o755);
        for (folder_mode, mode, of_other, of_member) in [
            (0o755, 0o666, true, true),
            (0o755, 0o660, false, true),
            (0o755, 0o600, false, false),
            (0o750, 0o666, false, true),
            (0o700, 0o666, false, false),
            (0o755, 0o444, false, false),
        ] {
            set(&folder, folder_mode);
            set(&socket, mode);
            assert_eq!(
                (may(&other), may(&member)),
                (of_other, of_member),
                "{folder_mode:o} {mode:o}"
            );
        }
        set(&folder, 0o755);
        set(&socket, 0o666);
        let denied = |errno: Errno| io::Error::from_raw_os_error(errno.raw_os_error());
        assert!(refused(&socket, &denied(Errno::ACCESS)), "we may, and are refused");
        assert!(refused(&socket, &denied(Errno::PERM)));
        assert!(!refused(&socket, &denied(Errno::CONNREFUSED)));
        assert!(refused(Path::new("/not/there"), &denied(Errno::PERM)));
        assert!(!refused(Path::new("/not/there"), &denied(Errno::ACCESS)));
        if !geteuid().is_root() {
            set(&socket, 0);
            assert!(!refused(&socket, &denied(Errno::ACCESS)));
        }
    }
}
