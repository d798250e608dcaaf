//! The child's directory: its configuration, the key for as long as it is needed, and its socket.
//!
//! As root we write there what another user owns, who may swap any name under our hands: whatever we
//! open is made anew, what is done to it is done to the open file, and nothing there is believed.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, chown, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde_json::json;

use super::{ChildError, PrivateConfig, User};

/// The configuration, below the directory.
pub(super) const CONF: &str = "conf.json";
/// The key, below the directory.
const KEY: &str = "authkey";
/// The LocalAPI's socket, below the directory.
pub(super) const SOCKET: &str = "ts.sock";
/// Who the node is, below the directory: tailscaled's own file.
const STATE: &str = "tailscaled.state";

/// Longest path of a Unix socket, in bytes, on the strictest system.
pub(super) const SOCKET_PATH_LIMIT: usize = 103;

/// Where the LocalAPI's socket is.
pub(super) fn socket(dir: &Path) -> PathBuf {
    dir.join(SOCKET)
}

fn failed<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> ChildError + 'a {
    move |source| ChildError::File { doing, path: path.to_owned(), source }
}

/// Makes the directory, for the child's user alone. An absolute path to it comes back.
pub(super) fn make_dir(dir: &Path, user: Option<&User>) -> Result<PathBuf, ChildError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(failed("making the directory", dir))?;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))
        .map_err(failed("closing to others the directory", dir))?;
    if let Some(user) = user {
        chown(dir, Some(user.uid), Some(user.gid))
            .map_err(failed("giving to the user of tailscaled the directory", dir))?;
    }
    dir.canonicalize().map_err(failed("finding the directory", dir))
}

/// Keeps other daemons from the directory for as long as the file that comes back lives. Each would
/// take the other's child for one that was left.
pub(super) fn lock(dir: &Path) -> Result<File, ChildError> {
    let file = File::open(dir).map_err(failed("opening", dir))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => Err(ChildError::InUse { dir: dir.to_owned() }),
        Err(error) => Err(failed("locking", dir)(error.into())),
    }
}

/// Takes the node's identity out of a directory that is not in use, so that the next child is a node
/// of its own. Where it is now; None if there was none.
pub(super) fn set_aside(dir: &Path) -> Result<Option<PathBuf>, ChildError> {
    let state = dir.join(STATE);
    let moment = crate::clock::now().to_string().replace(['-', ':'], "");
    let aside = dir.join(format!("{STATE}.before-reset-{moment}"));
    match std::fs::rename(&state, &aside) {
        Ok(()) => Ok(Some(aside)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("setting aside", &state)(error)),
    }
}

/// Writes the configuration, and the key if `with_key`. Without, an older key is removed: tailscaled
/// refuses to start when a key file that its configuration names is missing, so the configuration
/// goes first.
pub(super) fn write(
    dir: &Path,
    config: &PrivateConfig,
    user: Option<&User>,
    with_key: bool,
) -> Result<(), ChildError> {
    let key = config.auth_key.as_ref().filter(|_| with_key);
    let mut conf = json!({
        "version": "alpha0",
        "locked": false,
        "enabled": true,
        "hostname": config.hostname,
        "acceptDNS": false,
        "acceptRoutes": false,
    });
    if let (Some(url), Some(conf)) = (&config.control_url, conf.as_object_mut()) {
        conf.insert("serverURL".to_owned(), json!(url));
    }
    let key_file = dir.join(KEY);
    if key.is_none() {
        // First: this works on a full disk too. The other is there if we were ended while we wrote.
        remove(&key_file)?;
        remove(&new_of(&key_file))?;
    }
    if let (Some(key), Some(conf)) = (key, conf.as_object_mut()) {
        replace(&key_file, key.expose().as_bytes(), user)?;
        // Relative to the directory that the child runs in: it may not see the way to it.
        conf.insert("authKey".to_owned(), json!(format!("file:{KEY}")));
    }
    replace(&dir.join(CONF), conf.to_string().as_bytes(), user)
}

/// Where a file is written before it takes its place.
fn new_of(path: &Path) -> PathBuf {
    path.with_extension("new")
}

/// Writes a whole file of mode 0600 in one step.
pub(super) fn replace(path: &Path, text: &[u8], user: Option<&User>) -> Result<(), ChildError> {
    let new = new_of(path);
    remove(&new)?;
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)
        .and_then(|mut file| file.write_all(text).map(|()| file));
    let file = written.map_err(failed("writing", &new))?;
    if let Some(user) = user {
        fchown(&file, Some(user.uid), Some(user.gid))
            .map_err(failed("giving to the user of tailscaled", &new))?;
    }
    std::fs::rename(&new, path).map_err(failed("writing", path))
}

/// Removes a file; it may be gone already.
pub(super) fn remove(path: &Path) -> Result<(), ChildError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed("removing", path)(error))
        }
        _ => Ok(()),
    }
}
