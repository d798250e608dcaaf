use std::fs;

use super::*;

/// A directory with an open file, a database and a file that was read.
fn held() -> (tempfile::TempDir, HeldFiles) {
    let dir = tempfile::tempdir().unwrap();
    for name in ["lock", "log.db", "peers.json"] {
        fs::write(dir.path().join(name), name).unwrap();
    }
    let files = HeldFiles::new(dir.path());
    files.hold_open([dir.path().join("lock")]).unwrap();
    files.hold_database(dir.path().join("log.db")).unwrap();
    files.hold_contents(dir.path().join("peers.json")).unwrap();
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
    files.begin_write().unwrap();
    fs::write(&path, "of this process").unwrap();
    // Another thread looks meanwhile.
    assert_eq!(files.check(), Ok(()));
    files.end_write().unwrap();
    assert_eq!(files.check(), Ok(()));
    // `cp` writes into the same file.
    fs::write(&path, "of another program").unwrap();
    assert_eq!(change_of(&files), Some(("log.db".to_owned(), FileChange::Overwritten)));
    assert!(files.begin_write().is_err());
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
    assert_eq!(files.removed_contents(), []);
    fs::remove_file(&path).unwrap();
    assert_eq!(files.removed_contents(), [(path, b"new".to_vec())]);
}
