use std::fs;

use super::*;

/// A directory with an open file, a database and a file that was read.
fn held() -> (tempfile::TempDir, HeldFiles) {
    let dir = tempfile::tempdir().unwrap();
    for name in ["lock", "log.db", "peers.json"] {
        fs::write(dir.path().join(name), name).unwrap();
    }
    let files = HeldFiles::new(dir.path());
    let open = |name| (dir.path().join(name), fs::File::open(dir.path().join(name)).unwrap());
    let ((lock, lock_file), (log, log_file)) = (open("lock"), open("log.db"));
    files.hold_open(lock, &lock_file).unwrap();
    files.hold_database(log, &log_file).unwrap();
    files.hold_contents(dir.path().join("peers.json"), Some(b"peers.json".to_vec().into()));
    (dir, files)
}

fn change_of(files: &HeldFiles) -> Option<(String, FileChange)> {
    let (_, changed) = files.changed()?;
    Some((changed.path.file_name()?.to_str()?.to_owned(), changed.change))
}

#[test]
fn each_file_that_goes_is_named_and_heals_when_it_is_back() {
    let (dir, files) = held();
    for name in ["lock", "log.db", "peers.json"] {
        let (path, aside) = (dir.path().join(name), dir.path().join("aside"));
        assert_eq!(change_of(&files), None);
        fs::rename(&path, &aside).unwrap();
        assert_eq!(change_of(&files), Some((name.to_owned(), FileChange::Removed)));
        fs::write(&path, "another").unwrap();
        assert_eq!(change_of(&files), Some((name.to_owned(), FileChange::Replaced)));
        fs::rename(&aside, &path).unwrap();
    }
    assert_eq!(change_of(&files), None);
}

#[test]
fn the_whole_directory_is_named_as_such() {
    let (dir, files) = held();
    let aside = dir.path().with_extension("aside");
    fs::rename(dir.path(), &aside).unwrap();
    let text = files.check().unwrap_err().to_string();
    assert_eq!(text, format!("{} was removed while thrumd uses it", dir.path().display()));
    fs::rename(&aside, dir.path()).unwrap();
    assert_eq!(files.check(), Ok(()));
}

#[test]
fn only_this_process_writes_to_the_database() {
    let (dir, files) = held();
    let path = dir.path().join("log.db");
    let write = || {
        fs::write(&path, "of this process").unwrap();
        // Another thread looks meanwhile.
        assert_eq!(files.check(), Ok(()));
        assert!(!files.differ());
    };
    files.writing(write).unwrap();
    assert_eq!(files.check(), Ok(()));
    // `cp` writes into the same file.
    fs::write(&path, "of another program").unwrap();
    assert_eq!(change_of(&files), Some(("log.db".to_owned(), FileChange::Overwritten)));
    let refused = files.writing(|| panic!("into the file of another program")).unwrap_err();
    assert!(refused.next().contains("log.db.replaced-"), "{}", refused.next());
}

#[test]
fn a_file_that_comes_between_its_opening_and_its_hold_is_another_one() {
    let (dir, files) = held();
    for name in ["lock", "log.db"] {
        let (path, other) = (dir.path().join(name), dir.path().join("other"));
        let open = fs::File::open(&path).unwrap();
        fs::write(&other, name).unwrap();
        fs::rename(&other, &path).unwrap();
        match name {
            "lock" => files.hold_open(path.clone(), &open).unwrap(),
            _ => files.hold_database(path.clone(), &open).unwrap(),
        }
        assert_eq!(files.change_of(&path), Some(FileChange::Replaced), "{name}");
    }
    let path = dir.path().join("peers.json");
    files.hold_contents(path.clone(), Some(b"what was parsed".to_vec().into()));
    assert_eq!(files.change_of(&path), Some(FileChange::Replaced));
    fs::remove_file(&path).unwrap();
    assert_eq!(files.change_of(&path), Some(FileChange::Removed));
    files.hold_contents(path.clone(), None);
    assert_eq!(files.change_of(&path), None);
}

#[test]
fn the_same_contents_in_another_file_are_no_change_and_own_writes_are_known() {
    let (dir, files) = held();
    let (path, other) = (dir.path().join("peers.json"), dir.path().join("other"));
    fs::write(&other, "peers.json").unwrap();
    fs::rename(&other, &path).unwrap();
    assert_eq!(files.check(), Ok(()));
    files.replacing(&path, b"new", || fs::write(&path, "new")).unwrap();
    assert_eq!(files.check(), Ok(()));
    assert_eq!(files.lost_contents(), []);
    fs::remove_file(&path).unwrap();
    let new = || FileContents::from(b"new".to_vec());
    assert_eq!(files.lost_contents(), [(path.clone(), FileChange::Removed, new())]);
    fs::write(&path, "").unwrap();
    assert_eq!(files.lost_contents(), [(path, FileChange::Replaced, new())]);
}

#[test]
fn contents_that_may_be_secret_are_not_printed() {
    let (_dir, files) = held();
    let printed = format!("{files:?}");
    assert!(printed.contains("FileContents(10 bytes)"), "{printed}");
}
