//! Reads and writes the files of the tools: all of them or none.

use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::leftovers;
use crate::error::Error;

/// Larger files are refused.
const MAX_BYTES: u64 = 16 << 20;

/// A file as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Where its content is: where a link leads to.
    pub path: PathBuf,
    /// Its text; None if there is no such file.
    pub text: Option<String>,
    /// Whether a link leads to it.
    pub is_link: bool,
}

/// What a file is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What it is.
    pub from: Snapshot,
    /// Its new text; None to remove it.
    pub to: Option<String>,
    /// Its mode, if it is new and not for everybody.
    pub mode: Option<u32>,
}

/// Reads a file that may not be there.
///
/// # Errors
/// When it can't be read, or is not a text.
pub fn read(path: &Path) -> Result<Snapshot, Error> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Snapshot { path: path.to_owned(), text: None, is_link: false });
        }
        Err(error) => return Err(cant("read", path, error)),
    };
    let target = fs::canonicalize(path).map_err(|error| match metadata.is_symlink() {
        true => Error::failed(
            format!("{} is a link to a file that can't be reached: {error}", path.display()),
            "put the link right or remove it; nothing was changed",
        ),
        false => cant("read", path, error),
    })?;
    let file = fs::metadata(&target).map_err(|error| cant("read", path, error))?;
    let wrong = |what: String| {
        Err(Error::failed(
            format!("{} {what}", path.display()),
            "put it right or move it away; nothing was changed",
        ))
    };
    if !file.is_file() {
        return wrong("is not a file".to_owned());
    }
    if file.len() > MAX_BYTES {
        return wrong(format!("has more than {} MiB", MAX_BYTES >> 20));
    }
    let bytes = fs::read(&target).map_err(|error| cant("read", path, error))?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Snapshot { path: target, text: Some(text), is_link: metadata.is_symlink() }),
        Err(error) => wrong(format!("is not UTF-8 (at byte {})", error.utf8_error().valid_up_to())),
    }
}

/// Checks that all changes can be made, before any is.
///
/// # Errors
/// When a file or a folder is read-only.
pub fn check(changes: &[Change]) -> Result<(), Error> {
    for Change { from, .. } in changes {
        let path = &from.path;
        if from.text.is_some() {
            writable(path)?;
        }
        // In the closest folder that is there, others or the file are made.
        if let Some(folder) = path.ancestors().skip(1).find(|it| fs::symlink_metadata(it).is_ok()) {
            writable(folder)?;
        }
    }
    Ok(())
}

/// Makes all changes. If one fails, those before it are taken back.
///
/// # Errors
/// When a file can't be written, or is not as it was read; and when what was written can't be taken back then.
pub fn apply(changes: &[Change]) -> Result<(), Error> {
    let (mut made, mut done) = (Vec::new(), Vec::new());
    for change in changes {
        let mode = fs::metadata(&change.from.path).ok().map(|it| it.mode() & 0o7777);
        let Err(error) = make(change, &mut made) else {
            done.push((change, mode));
            continue;
        };
        let mut left = Vec::new();
        for (at, (change, mode)) in done.iter().enumerate().rev() {
            // The first one tells the way back of the others, so it stays while one of them does.
            if at > 0 || left.is_empty() {
                left.extend(take_back(change, *mode).err());
            }
        }
        remove_empty(&made);
        return Err(match left.is_empty() {
            true => error,
            false => Error::failed(
                format!("{error}; and not everything could be taken back: {}", left.join("; ")),
                "look at these files; what thrum knows of them is kept: the same command with --undo",
            ),
        });
    }
    Ok(())
}

/// Takes a change back, if the file still is as it was left. What somebody wrote since is theirs.
fn take_back(change: &Change, mode: Option<u32>) -> Result<(), String> {
    let path = &change.from.path;
    let why = |error: &dyn std::fmt::Display| format!("{} ({error})", path.display());
    let now = read(path).map_err(|error| why(&error))?;
    if now.text != change.to {
        return Err(why(&"somebody has changed it meanwhile"));
    }
    let before = change.from.text.as_deref();
    put(path, change.to.as_deref(), before, mode).map_err(|error| why(&error))
}

/// The folders that will be made for these changes, outermost first.
pub fn missing_folders(changes: &[Change]) -> Vec<PathBuf> {
    let mut missing: Vec<PathBuf> = Vec::new();
    for change in changes.iter().filter(|it| it.to.is_some()) {
        let above = change.from.path.ancestors().skip(1);
        let above = above.take_while(|it| fs::symlink_metadata(it).is_err()).map(Path::to_owned);
        let above: Vec<_> = above.filter(|it| !missing.contains(it)).collect();
        missing.extend(above.into_iter().rev());
    }
    missing
}

/// Removes folders that are empty, innermost first.
pub fn remove_empty(folders: &[PathBuf]) {
    // A folder that has something in it, or is gone, stays as it is.
    folders.iter().rev().for_each(|folder| drop(fs::remove_dir(folder)));
}

fn make(change: &Change, made: &mut Vec<PathBuf>) -> Result<(), Error> {
    let path = &change.from.path;
    let raced = || {
        Error::failed(
            format!(
                "{} was changed by somebody else meanwhile; nothing was changed",
                path.display()
            ),
            "try again",
        )
    };
    // Before folders are made for it; the comparison that counts is the one right before the change.
    if read(path)?.text != change.from.text {
        return Err(raced());
    }
    let missing = path.ancestors().skip(1).take_while(|it| fs::symlink_metadata(it).is_err());
    let missing: Vec<_> = missing.map(Path::to_owned).collect();
    for folder in missing.into_iter().rev().filter(|_| change.to.is_some()) {
        fs::create_dir(&folder).map_err(|error| cant("make", &folder, error))?;
        made.push(folder);
    }
    let (from, to) = (change.from.text.as_deref(), change.to.as_deref());
    put(path, from, to, change.mode).map_err(|error| match error.kind() {
        io::ErrorKind::ResourceBusy => raced(),
        _ => cant("write", path, error),
    })
}

/// Puts a text into a file as a whole, or removes it. Its mode and its owner stay. If it is not as it was, it stays.
fn put(path: &Path, from: Option<&str>, text: Option<&str>, mode: Option<u32>) -> io::Result<()> {
    let compare = || match read(path) {
        Ok(now) if now.text.as_deref() == from => Ok(()),
        _ => Err(io::Error::new(io::ErrorKind::ResourceBusy, "somebody has changed it meanwhile")),
    };
    let Some(text) = text else {
        compare()?;
        return match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
    };
    let folder = path.parent().unwrap_or_else(|| Path::new("/"));
    leftovers::remove(folder);
    let before = fs::metadata(path).ok();
    let new_mode = before.as_ref().map(|it| it.mode() & 0o7777).or(mode);
    let permissions = Permissions::from_mode(new_mode.unwrap_or(0o666));
    // The system takes off what the person doesn't want others to do, as for every new file.
    let mut builder = tempfile::Builder::new();
    let mut file =
        builder.prefix(leftovers::PREFIX).permissions(permissions).tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    if let Some(before) = &before {
        keep_owner(file.as_file(), before);
    }
    if let Some(mode) = new_mode {
        file.as_file().set_permissions(Permissions::from_mode(mode))?;
    }
    file.as_file().sync_all()?;
    compare()?;
    file.persist(path)?;
    Ok(())
}

/// Gives a file that replaces another one the owner of that.
fn keep_owner(file: &File, before: &Metadata) {
    let same =
        file.metadata().is_ok_and(|now| (now.uid(), now.gid()) == (before.uid(), before.gid()));
    if !same {
        // Only root may do so. For others the file is theirs from now on, as with an editor.
        drop(std::os::unix::fs::fchown(file, Some(before.uid()), Some(before.gid())));
    }
}

/// Checks that a file or a folder may be written to. For root, too: somebody made it read-only on purpose.
fn writable(path: &Path) -> Result<(), Error> {
    let mode = fs::metadata(path).map_err(|error| cant("read", path, error))?.mode();
    let allowed = if mode & 0o222 == 0 {
        Err(io::ErrorKind::PermissionDenied.into())
    } else {
        access(path, Access::WRITE_OK).map_err(io::Error::from)
    };
    allowed.map_err(|error| {
        Error::failed(
            format!("{} is read-only for you ({error}); nothing was changed", path.display()),
            "see who may write to it: ls -ld",
        )
    })
}

fn cant(what: &str, path: &Path, error: io::Error) -> Error {
    Error::io(format!("can't {what} {}", path.display()), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(path: &Path, to: Option<&str>) -> Change {
        Change { from: read(path).unwrap(), to: to.map(str::to_owned), mode: None }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_file_is_replaced_where_a_link_leads_and_keeps_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real/a.json"), folder.path().join("a.json"));
        fs::create_dir(folder.path().join("real")).unwrap();
        fs::write(&real, "old").unwrap();
        fs::set_permissions(&real, Permissions::from_mode(0o664)).unwrap();
        std::os::unix::fs::symlink("real/a.json", &link).unwrap();
        let changes = [change(&link, Some("new"))];
        check(&changes).unwrap();
        assert!(missing_folders(&changes).is_empty());
        apply(&changes).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!((fs::read_to_string(&real).unwrap().as_str(), mode(&real)), ("new", 0o664));
        assert_eq!(fs::read_dir(folder.path().join("real")).unwrap().count(), 1);

        apply(&[change(&link, None)]).unwrap();
        assert!(!real.exists());
        assert!(read(&link).unwrap_err().to_string().contains("is a link to a file"));
    }

    #[test]
    fn if_one_file_cant_be_written_all_stay_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("kept"), "old").unwrap();
        fs::write(at("raced"), "old").unwrap();
        let changes = [
            change(&at("kept"), Some("new")),
            change(&at("deep/er/new"), Some("new")),
            change(&at("raced"), Some("new")),
        ];
        check(&changes).unwrap();
        fs::write(at("raced"), "somebody's").unwrap();
        assert!(apply(&changes).unwrap_err().to_string().contains("meanwhile"));
        assert_eq!(fs::read_to_string(at("kept")).unwrap(), "old");
        assert_eq!(fs::read_to_string(at("raced")).unwrap(), "somebody's");
        assert!(!at("deep").exists());

        let made = missing_folders(&changes);
        apply(&changes[..2]).unwrap();
        assert_eq!(made, [at("deep"), at("deep/er")]);
        remove_empty(&made);
        assert!(at("deep/er/new").exists());
        apply(&[change(&at("deep/er/new"), None)]).unwrap();
        remove_empty(&made);
        assert!(!at("deep").exists());
    }

    #[test]
    fn what_somebody_writes_in_between_stays_and_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.json");
        fs::write(&path, "old").unwrap();
        let change = change(&path, Some("new"));
        // After it was read, and before it is replaced or removed.
        fs::write(&path, "somebody's").unwrap();
        for to in [Some("new"), None] {
            let error = put(&path, Some("old"), to, None).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
            assert_eq!(fs::read_to_string(&path).unwrap(), "somebody's");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        // After it was replaced, and before it is taken back.
        let error = take_back(&change, None).unwrap_err();
        assert!(error.contains("settings.json") && error.contains("meanwhile"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "somebody's");
        fs::write(&path, "new").unwrap();
        take_back(&change, None).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    }

    #[test]
    fn the_way_back_of_what_cant_be_taken_back_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("raced"), "old").unwrap();
        let too_large = "x".repeat(17 << 20);
        let changes = [
            change(&at("record"), Some("way back")),
            change(&at("stuck"), Some(&too_large)),
            change(&at("fine"), Some("new")),
            change(&at("raced"), Some("new")),
        ];
        fs::write(at("raced"), "somebody's").unwrap();
        let error = apply(&changes).unwrap_err().to_string();
        assert!(error.contains("raced") && error.contains("stuck"), "{error}");
        assert!(at("record").exists() && at("stuck").exists() && !at("fine").exists());
    }

    #[test]
    fn what_was_removed_goes_back_with_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("mine"), "old").unwrap();
        fs::set_permissions(at("mine"), Permissions::from_mode(0o600)).unwrap();
        fs::write(at("raced"), "old").unwrap();
        let changes = [change(&at("mine"), None), change(&at("raced"), Some("new"))];
        fs::write(at("raced"), "somebody's").unwrap();
        apply(&changes).unwrap_err();
        assert_eq!(
            (fs::read_to_string(at("mine")).unwrap().as_str(), mode(&at("mine"))),
            ("old", 0o600)
        );
    }

    #[test]
    fn what_cant_be_changed_is_found_before_anything_is() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "x").unwrap();
        assert!(read(&at("file/settings")).unwrap_err().to_string().contains("can't read"));
        fs::set_permissions(at("file"), Permissions::from_mode(0o444)).unwrap();
        let changes = [change(&at("file"), Some("y"))];
        assert!(check(&changes).unwrap_err().to_string().contains("read-only"));
        fs::create_dir(at("closed")).unwrap();
        let changes = [change(&at("closed/a/b"), Some("y"))];
        check(&changes).unwrap();
        fs::set_permissions(at("closed"), Permissions::from_mode(0o555)).unwrap();
        assert!(check(&changes).unwrap_err().to_string().contains("read-only"));
        fs::set_permissions(at("closed"), Permissions::from_mode(0o755)).unwrap();

        fs::write(at("latin"), b"caf\xe9").unwrap();
        assert!(read(&at("latin")).unwrap_err().to_string().contains("not UTF-8 (at byte 3)"));
        assert!(read(&at("closed")).unwrap_err().to_string().contains("is not a file"));
        assert_eq!(read(&at("none")).unwrap().text, None);
    }
}
