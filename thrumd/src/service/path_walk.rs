//! The way to a directory, part by part and link by link: whoever can exchange a part of it decides which directory
//! root finds at its end.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use super::ServiceError;

/// As many links as Linux follows.
const LINKS_MAX: u32 = 40;

/// User id and group id.
pub(super) type Owner = (u32, u32);

/// Whose the directory is. Everything on the way to it, links included, belongs to its owner or to root. Of a
/// directory that doesn't exist, it is the last part that does.
///
/// # Errors
/// When anybody else may exchange a part of the way, and when it can't be looked at.
pub(super) fn owner_of(path: &Path) -> Result<Owner, ServiceError> {
    let parts = follow(path)?;
    let Some((last, owner)) = parts.last() else { return Ok((0, 0)) };
    match parts.iter().find(|(_, (user, _))| ![0, owner.0].contains(user)) {
        None => Ok(*owner),
        Some((part, (user, _))) => Err(ServiceError::MixedOwners {
            path: path.to_owned(),
            part: part.clone(),
            user: *user,
            last: last.clone(),
            owner: owner.0,
        }),
    }
}

/// All parts of the way that exist, as the kernel follows it, with their owners.
fn follow(path: &Path) -> Result<Vec<(PathBuf, Owner)>, ServiceError> {
    let failed = |cause| ServiceError::Owner { path: path.to_owned(), cause };
    let mut parts: Vec<(PathBuf, Owner)> = Vec::new();
    let (mut folder, mut links) = (PathBuf::from("/"), 0);
    let mut ahead = std::path::absolute(path).map_err(failed)?;
    loop {
        let mut components = ahead.components();
        let Some(part) = components.next() else { return Ok(parts) };
        let mut after = components.as_path().to_owned();
        match part {
            Component::RootDir => folder = PathBuf::from("/"),
            Component::ParentDir => {
                folder.pop();
            }
            Component::Normal(name) => {
                let part = folder.join(name);
                let found = match fs::symlink_metadata(&part) {
                    Err(error) if error.kind() == ErrorKind::NotFound => None,
                    found => Some(found.map_err(failed)?),
                };
                // Behind a part of another user nothing is done as root.
                let as_root = parts.iter().all(|(_, (user, _))| *user == 0);
                let holder = fs::symlink_metadata(&folder).map_err(failed)?;
                if as_root && others_may_exchange(&holder, found.is_some()) {
                    let mode = holder.mode() & 0o7777;
                    return Err(ServiceError::OpenFolder { path: path.to_owned(), folder, mode });
                }
                let Some(found) = found else { return Ok(parts) };
                parts.push((part.clone(), (found.uid(), found.gid())));
                if found.is_symlink() {
                    links += 1;
                    if links > LINKS_MAX {
                        return Err(failed(rustix::io::Errno::LOOP.into()));
                    }
                    after = fs::read_link(&part).map_err(failed)?.join(after);
                } else {
                    folder = part;
                }
            }
            Component::CurDir | Component::Prefix(_) => {}
        }
        ahead = after;
    }
}

/// Whether others than its owner and root may put something in the place of what is in the folder. The sticky bit
/// keeps them from what exists.
fn others_may_exchange(folder: &Metadata, exists: bool) -> bool {
    let mode = folder.mode();
    let may_write = mode & 0o002 != 0 || (mode & 0o020 != 0 && folder.gid() != 0);
    let sticky = mode & 0o1000 != 0;
    may_write && !(sticky && exists)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    use super::*;

    /// A folder whose way is root's, whoever owns TMPDIR; None without the rights to make others' files.
    fn folder() -> Option<tempfile::TempDir> {
        rustix::process::geteuid().is_root().then(|| tempfile::tempdir_in("/tmp").unwrap())
    }

    fn give(path: &Path, user: u32) {
        std::os::unix::fs::lchown(path, Some(user), Some(user + 1)).unwrap();
    }

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    /// The part of the way that is whose, if that is not the owner's of the directory.
    #[track_caller]
    fn mixed(path: &Path) -> (PathBuf, u32, u32) {
        match owner_of(path) {
            Err(ServiceError::MixedOwners { part, user, owner, .. }) => (part, user, owner),
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn open(path: &Path) -> PathBuf {
        match owner_of(path) {
            Err(ServiceError::OpenFolder { folder, .. }) => folder,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_way_to_a_directory_is_its_owners_or_roots() {
        let Some(folder) = folder() else { return };
        let (outer, link) = (folder.path().join("outer"), folder.path().join("link"));
        let state = outer.join("state");
        fs::create_dir_all(&state).unwrap();
        assert_eq!(owner_of(&state).unwrap(), (0, 0));
        give(&state, 1);
        assert_eq!(owner_of(&state).unwrap(), (1, 2));
        assert_eq!(owner_of(&outer.join("./state/../state/")).unwrap(), (1, 2));
        assert_eq!(owner_of(&state.join("not/yet")).unwrap(), (1, 2));
        symlink("outer/state", &link).unwrap();
        assert_eq!(owner_of(&link).unwrap(), (1, 2), "where it leads");
        give(&outer, 3);
        assert_eq!(mixed(&state), (outer.clone(), 3, 1));
        assert_eq!(mixed(&link), (outer.clone(), 3, 1));
        give(&state, 0);
        assert_eq!(mixed(&state), (outer.clone(), 3, 0), "root's, where another may put a link");
        give(&outer, 0);
        give(&link, 3);
        assert_eq!(mixed(&link), (link, 3, 0), "whose link it is");
    }

    #[test]
    fn every_link_of_a_chain_is_looked_at_and_every_folder_in_which_one_lies() {
        let Some(folder) = folder() else { return };
        let (theirs, state) = (folder.path().join("theirs"), folder.path().join("state"));
        let first = folder.path().join("first");
        fs::create_dir(&theirs).unwrap();
        fs::create_dir(&state).unwrap();
        symlink("theirs/second", &first).unwrap();
        symlink("../state", theirs.join("second")).unwrap();
        assert_eq!(owner_of(&first).unwrap(), (0, 0));
        give(&theirs, 3);
        assert_eq!(mixed(&first), (theirs.clone(), 3, 0), "a folder in the middle");
        give(&theirs, 0);
        give(&theirs.join("second"), 3);
        assert_eq!(mixed(&first), (theirs.join("second"), 3, 0), "a link in the middle");
        give(&theirs.join("second"), 0);
        set(&theirs, 0o777);
        assert_eq!(open(&first), theirs);
        symlink("round", folder.path().join("round")).unwrap();
        let endless = owner_of(&folder.path().join("round"));
        assert!(matches!(endless, Err(ServiceError::Owner { .. })), "{endless:?}");
    }

    #[test]
    fn others_may_write_to_no_folder_on_roots_way() {
        let Some(folder) = folder() else { return };
        let outer = folder.path().join("outer");
        let state = outer.join("state");
        fs::create_dir_all(&state).unwrap();
        give(&state, 1);
        for (group, mode, safe) in
            [(0, 0o775, true), (5, 0o775, false), (0, 0o777, false), (5, 0o1777, true)]
        {
            chown(&outer, None, Some(group)).unwrap();
            set(&outer, mode);
            match safe {
                true => assert_eq!(owner_of(&state).unwrap(), (1, 2), "{group} {mode:o}"),
                false => assert_eq!(open(&state), outer, "{group} {mode:o}"),
            }
        }
        assert_eq!(open(&outer.join("new")), outer, "the sticky bit guards what exists");
        // Nothing is done there as root.
        give(&outer, 1);
        set(&outer, 0o775);
        assert_eq!(owner_of(&state).unwrap(), (1, 2));
        // The mode of the directory itself is looked at later, with a hint of its own.
        set(&outer, 0o755);
        set(&state, 0o777);
        assert_eq!(owner_of(&state).unwrap(), (1, 2));
    }
}
