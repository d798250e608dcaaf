//! The child's directory: its configuration, the auth key while it is needed, and its socket.
//!
//! As root we write into a directory of another user, who may replace any file at any moment. So every file
//! is newly created, its owner is changed through the open file, and no content is trusted.

use std::fs::File;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde_json::json;

use super::config::PrivateConfig;
use super::error::ChildError;
use super::user::User;
use crate::statefile::{StateFile, StateFileError, remove_if_present};

/// File of the configuration.
pub(super) const CONF: &str = "conf.json";
/// File of the auth key.
const KEY: &str = "authkey";
/// Socket of the LocalAPI.
pub(super) const SOCKET: &str = "ts.sock";
/// File of tailscaled with the node's identity.
const STATE: &str = "tailscaled.state";

/// Longest path of a Unix socket, in bytes, on the strictest system.
pub(super) const SOCKET_PATH_LIMIT: usize = 103;

/// Path of the LocalAPI's socket.
pub(super) fn socket(dir: &Path) -> PathBuf {
    dir.join(SOCKET)
}

fn failed<'a>(step: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> ChildError + 'a {
    move |source| ChildError::File { step, path: path.to_owned(), source }
}

/// Creates the directory, for the child's user alone. Returns its absolute path.
pub(super) fn make_dir(dir: &Path, user: Option<&User>) -> Result<PathBuf, ChildError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(failed("create the directory", dir))?;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))
        .map_err(failed("restrict the directory to its owner:", dir))?;
    if let Some(user) = user {
        chown(dir, Some(user.uid), Some(user.gid))
            .map_err(failed("change the owner of the directory", dir))?;
    }
    dir.canonicalize().map_err(failed("find the directory", dir))
}

/// Locks the directory while the returned file lives. Of two daemons on one directory each would
/// take the other's child for a leftover.
pub(super) fn lock(dir: &Path) -> Result<File, ChildError> {
    let file = File::open(dir).map_err(failed("open", dir))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => Err(ChildError::InUse { dir: dir.to_owned() }),
        Err(error) => Err(failed("lock", dir)(error.into())),
    }
}

/// Moves the node's identity aside, so that the next child with this state directory is a new node of the
/// tailnet. Only while no daemon uses it. Returns where the old identity is now, if there was one.
///
/// # Errors
/// When it can't be moved.
pub fn move_node_state_aside(dir: &Path) -> Result<Option<PathBuf>, ChildError> {
    match StateFile::new(dir, STATE).move_aside("before-reset") {
        Err(StateFileError::Write { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => {
            Ok(None)
        }
        moved => Ok(Some(moved?)),
    }
}

/// Writes the configuration, and the auth key if `with_key`. Otherwise an older key is removed.
///
/// tailscaled refuses to start when its configuration names a key file that is missing, so the key is
/// written first.
pub(super) fn write(dir: &Path, config: &PrivateConfig, with_key: bool) -> Result<(), ChildError> {
    let mut conf = json!({
        "version": "alpha0",
        "locked": false,
        "enabled": true,
        "hostname": config.hostname,
        "acceptDNS": false,
        "acceptRoutes": false,
    });
    if let Some(url) = &config.control_url {
        conf["serverURL"] = json!(url);
    }
    let key_file = StateFile::new(dir, KEY);
    match config.auth_key.as_ref().filter(|_| with_key) {
        Some(key) => {
            replace(&key_file, key.expose().as_bytes())?;
            // Relative to the child's working directory: it may not be able to walk the whole path.
            conf["authKey"] = json!(format!("file:{KEY}"));
        }
        // Before the configuration: this works on a full disk, too.
        None => key_file.remove()?,
    }
    replace(&StateFile::new(dir, CONF), conf.to_string().as_bytes())
}

/// Replaces a file that need not survive a power cut: it is written again for each run of the child.
pub(super) fn replace(file: &StateFile, content: &[u8]) -> Result<(), ChildError> {
    match file.write_bytes(content) {
        Err(StateFileError::Unsynced { .. }) => Ok(()),
        written => Ok(written?),
    }
}

/// Removes the socket of an earlier run.
pub(super) fn remove_socket(dir: &Path) -> Result<(), ChildError> {
    let socket = socket(dir);
    remove_if_present(&socket).map_err(failed("remove", &socket))
}
