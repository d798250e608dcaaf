//! Becomes the owner of a state directory, for root who works on the files of another user's daemon (`sudo thrum
//! restore`).
//!
//! The owner can put a link, or another file, in the place of any file there between two looks of root. So root
//! opens none: it gives up its rights first, and for good.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::{ServiceError, state_dir};

/// User id and group id.
type Owner = (u32, u32);

/// Goes on as the owner of this directory, and checks it as a start does. If it doesn't exist there is nothing
/// to check.
///
/// # Errors
/// When the directory is not safe, and when root can't become its owner.
pub(super) fn enter(state_dir: &Path) -> Result<(), ServiceError> {
    let path = state_dir.to_owned();
    let failed = |cause| ServiceError::Owner { path: path.clone(), cause };
    if rustix::process::geteuid().is_root()
        && let Some(owner) = owner_on_the_way(state_dir).map_err(failed)?
    {
        let failed = |cause| ServiceError::BecomeOwner { path: path.clone(), user: owner.0, cause };
        become_user(owner).map_err(failed)?;
    }
    match fs::metadata(state_dir) {
        Ok(directory) => {
            state_dir::check_private(state_dir, &directory).map_err(ServiceError::Unsafe)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

/// Who decides which directory the path names: the owner of the first part of it, links included, that is not
/// root's. None if every part is.
fn owner_on_the_way(path: &Path) -> io::Result<Option<Owner>> {
    let real = match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        real => real?,
    };
    for path in [path, &real] {
        let mut parts: Vec<_> = path.ancestors().filter(|part| part.parent().is_some()).collect();
        parts.reverse();
        for part in parts {
            match fs::symlink_metadata(part) {
                Ok(part) if part.uid() != 0 => return Ok(Some((part.uid(), part.gid()))),
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(None)
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{chown, symlink};

    use super::*;

    #[test]
    fn whoever_can_exchange_a_part_of_the_path_is_its_owner() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let (outer, link) = (folder.path().join("outer"), folder.path().join("link"));
        let state = outer.join("state");
        fs::create_dir_all(&state).unwrap();
        let owner = |path: &Path| owner_on_the_way(path).unwrap();
        assert_eq!(owner(&state), None);
        chown(&state, Some(1), Some(2)).unwrap();
        assert_eq!(owner(&state), Some((1, 2)));
        chown(&outer, Some(3), Some(4)).unwrap();
        assert_eq!(owner(&state), Some((3, 4)));
        assert_eq!(owner(&outer.join("not/yet")), Some((3, 4)));
        symlink(&state, &link).unwrap();
        assert_eq!(owner(&link), Some((3, 4)), "where it leads");
        symlink("/", outer.join("to-root")).unwrap();
        assert_eq!(owner(&outer.join("to-root/etc")), Some((3, 4)), "whose link it is");
    }
}
