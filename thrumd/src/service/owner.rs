//! Becomes the owner of a state directory, for root who works on the files of another user's daemon (`sudo thrum
//! restore`).
//!
//! The owner can put a link, or another file, in the place of any file there between two looks of root. So root
//! opens none: it gives up its rights first, and for good.

use std::fs;
use std::io;
use std::path::Path;

use super::path_walk::{self, Owner};
use super::{ServiceError, state_dir};

/// Goes on as the owner of this directory, and checks it as a start does. If it doesn't exist there is nothing
/// to check.
///
/// # Errors
/// When the directory or the way to it is not safe, and when root can't become its owner.
pub(super) fn enter(state_dir: &Path) -> Result<(), ServiceError> {
    let path = state_dir.to_owned();
    let failed = |cause| ServiceError::Owner { path: path.clone(), cause };
    if rustix::process::geteuid().is_root() {
        let owner = path_walk::owner_of(state_dir)?;
        if owner.0 != 0 {
            let failed =
                |cause| ServiceError::BecomeOwner { path: path.clone(), user: owner.0, cause };
            become_user(owner).map_err(failed)?;
        }
    }
    match fs::metadata(state_dir) {
        Ok(directory) => {
            state_dir::check_private(state_dir, &directory).map_err(ServiceError::Unsafe)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

/// Gives up what root may do, in the whole process.
#[cfg(target_os = "linux")]
fn become_user((user, group): Owner) -> io::Result<()> {
    use nix::unistd::{Gid, Uid, User, setgroups, setresgid, setresuid};

    let user = Uid::from_raw(user);
    // The group of the directory may be root's.
    let known = User::from_uid(user).ok().flatten();
    let group = known.map_or(Gid::from_raw(group), |user| user.gid);
    setgroups(&[group])?;
    setresgid(group, group, group)?;
    setresuid(user, user, user)?;
    Ok(())
}

/// macOS has no safe call that gives up root's groups, and needs no `sudo` where the daemon is a user's own.
#[cfg(not(target_os = "linux"))]
fn become_user(_: Owner) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
