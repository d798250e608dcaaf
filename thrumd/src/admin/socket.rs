//! The Unix socket of the local API. Its owner, group and mode decide who may use it.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

/// What went wrong with the socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another daemon answers on the socket.
    #[error("another thrumd answers on {path}; stop it, or set THRUM_SOCKET to another path")]
    Live { path: PathBuf },
    /// Another kind of file has that path.
    #[error("{path} exists and is not a socket; move it away, or set THRUM_SOCKET to another path")]
    NotASocket { path: PathBuf },
    /// Its folder can't be created.
    #[error("can't create the folder {path} for the socket")]
    Folder {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    /// The service manager holds a socket at another path than clients use.
    #[error(
        "the service manager holds the socket {held}, but thrumd is configured to use {path}; \
         change ListenStream= of thrumd.socket, or THRUM_SOCKET"
    )]
    PathMismatch {
        /// The one that it holds.
        held: PathBuf,
        path: PathBuf,
    },
    /// The system refused.
    #[error("can't {what} the socket {path}")]
    System {
        what: &'static str,
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
}

/// A bound socket. Its file is removed when this is dropped, unless the service manager holds it.
#[derive(Debug)]
pub struct LocalSocket {
    pub(super) listener: UnixListener,
    pub(super) file: SocketFile,
}

/// The socket's file, removed on drop.
#[derive(Debug)]
pub struct SocketFile {
    pub(super) place: SocketPlace,
    /// The service manager holds the socket, and its file is the manager's.
    pub(super) inherited: bool,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Only our own file: another daemon may have replaced it since.
        let path = &self.place.path;
        if !self.inherited
            && self.place.is_taken()
            && let Err(error) = std::fs::remove_file(path)
        {
            tracing::warn!("can't remove the socket {}: {error}", path.display());
        }
    }
}

/// Where programs find the socket: a path, and the file that it has to name.
#[derive(Debug, Clone)]
pub struct SocketPlace {
    pub(super) path: PathBuf,
    file: Option<FileId>,
    access: Access,
}

/// Device and inode. They belong to no other file while the socket is open.
type FileId = (u64, u64);

/// Who may connect, which needs write permission.
#[derive(Debug, Clone, Copy)]
struct Access {
    mode: u32,
    group: Option<u32>,
}

impl SocketPlace {
    /// The place of a socket that is bound already.
    pub(super) fn of(path: &Path) -> Self {
        let meta = std::fs::symlink_metadata(path).ok().filter(|meta| meta.file_type().is_socket());
        let access = meta.as_ref().map_or_else(Access::default, |meta| Access {
            mode: meta.mode() & 0o777,
            group: Some(meta.gid()),
        });
        Self { path: path.to_owned(), file: meta.map(|meta| (meta.dev(), meta.ino())), access }
    }

    /// Whether the path still names our socket.
    pub(super) fn is_taken(&self) -> bool {
        let found = std::fs::symlink_metadata(&self.path).map(|meta| (meta.dev(), meta.ino()));
        found.is_ok_and(|found| self.file == Some(found))
    }

    /// Binds a socket here, for the same group. A stale socket is replaced. Needs the runtime. Blocks: a
    /// daemon that is looked for may be slow.
    ///
    /// # Errors
    /// When another daemon answers here, when it is another kind of file, and when the system
    /// refuses.
    pub(super) fn bind(&self) -> Result<LocalSocket, SocketError> {
        let (path, Access { mode, group }) = (&self.path, self.access);
        let failed = |what| move |cause| SocketError::System { what, path: path.clone(), cause };
        if let Some(folder) = path.parent()
            && !folder.exists()
        {
            let made =
                std::fs::create_dir_all(folder).and_then(|()| match self.access.is_for_all() {
                    true => std::fs::set_permissions(folder, Permissions::from_mode(0o755)),
                    false => Ok(()),
                });
            made.map_err(|cause| SocketError::Folder { path: folder.to_owned(), cause })?;
        }
        remove_stale(path)?;
        // The umask of the process limits it to the owner until the lines below give it to the group.
        let listener = UnixListener::bind(path).map_err(failed("bind"))?;
        let meta = std::fs::symlink_metadata(path).map_err(failed("look at"))?;
        let place = Self { file: Some((meta.dev(), meta.ino())), ..self.clone() };
        let file = SocketFile { place, inherited: false };
        if group.is_some_and(|group| group != meta.gid()) {
            std::os::unix::fs::chown(path, None, group).map_err(failed("give a group"))?;
        }
        let mode = Permissions::from_mode(mode);
        std::fs::set_permissions(path, mode).map_err(failed("set the mode of"))?;
        Ok(LocalSocket { listener, file })
    }
}

impl Access {
    /// Every user who gets to the folder: a container has other ones.
    const FOR_ALL: Self = Self { mode: 0o666, group: None };

    const fn is_for_all(self) -> bool {
        self.mode == Self::FOR_ALL.mode
    }
}

impl Default for Access {
    /// 0600, or 0660 for the group `thrum` if we are root and the group exists.
    fn default() -> Self {
        let group = group();
        Self { mode: if group.is_some() { 0o660 } else { 0o600 }, group }
    }
}

impl LocalSocket {
    /// Binds the socket at `path`, with mode 0600, or 0660 for the group `thrum` if we are root and
    /// the group exists. A stale socket is replaced.
    ///
    /// # Errors
    /// When another daemon answers there, when it is another kind of file, and when the system
    /// refuses.
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        SocketPlace { path: path.to_owned(), file: None, access: Access::default() }.bind()
    }

    /// Binds a socket for whoever gets to its folder.
    ///
    /// # Errors
    /// As [`LocalSocket::bind`].
    pub(super) fn bind_for_all(path: &Path) -> Result<Self, SocketError> {
        SocketPlace { path: path.to_owned(), file: None, access: Access::FOR_ALL }.bind()
    }
}

/// Removes a socket on which nothing listens.
fn remove_stale(path: &Path) -> Result<(), SocketError> {
    let failed = |what| move |cause| SocketError::System { what, path: path.to_owned(), cause };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("look at")(error)),
        Ok(meta) if !meta.file_type().is_socket() => {
            return Err(SocketError::NotASocket { path: path.to_owned() });
        }
        Ok(_) => {}
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(SocketError::Live { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(failed("remove the stale"))
        }
        Err(error) => Err(failed("check for a daemon on")(error)),
    }
}

/// The id of the group `thrum`, if we may give it the socket.
fn group() -> Option<u32> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    Some(nix::unistd::Group::from_name("thrum").ok()??.gid.as_raw())
}
