//! Files that a thrum left behind that ended while it wrote.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::clock::now;

/// What the names of the files begin with from which others are made.
pub const PREFIX: &str = ".thrum-";
/// How many letters and digits follow.
const RANDOM: usize = 6;
/// A file that is younger may be one that another thrum is writing.
const AGE_MILLIS: i64 = 3_600_000;

/// Removes what was left in a folder.
pub fn remove(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let rest = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        let is_named = rest.is_some_and(|it| {
            it.len() == RANDOM && it.bytes().all(|it| it.is_ascii_alphanumeric())
        });
        if is_named && entry.metadata().is_ok_and(|it| is_left(&it)) {
            // If it can't be removed, it does no harm.
            drop(fs::remove_file(entry.path()));
        }
    }
}

fn is_left(metadata: &fs::Metadata) -> bool {
    let age = now().as_millis().saturating_sub(metadata.mtime().saturating_mul(1000));
    metadata.is_file() && metadata.uid() == rustix::process::geteuid().as_raw() && age > AGE_MILLIS
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn only_old_files_of_ours_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let old = UNIX_EPOCH + Duration::from_secs(86_400);
        for name in
            [".thrum-a1B2c3", ".thrum-young1", ".thrum-notes", ".thrum-a1B2.3", "thrum-a1B2c3"]
        {
            let file = File::create(folder.path().join(name)).unwrap();
            if name != ".thrum-young1" {
                file.set_modified(old).unwrap();
            }
        }
        fs::create_dir(folder.path().join(".thrum-folder")).unwrap();
        remove(folder.path());
        let names = fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name());
        let mut names: Vec<_> = names.map(|it| it.into_string().unwrap()).collect();
        names.sort();
        assert_eq!(
            names,
            [".thrum-a1B2.3", ".thrum-folder", ".thrum-notes", ".thrum-young1", "thrum-a1B2c3"]
        );
        remove(&folder.path().join("none"));
    }
}
