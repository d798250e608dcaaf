//! The files of a SQLite database: its own, and what SQLite keeps beside it. Of an open one all three exist.

use std::path::{Path, PathBuf};

/// What the files are called after the name of the database.
pub const SUFFIXES: [&str; 3] = ["", "-wal", "-shm"];

/// The paths of all three.
pub fn all(database: &Path) -> [PathBuf; 3] {
    SUFFIXES.map(|suffix| with_suffix(database, suffix))
}

/// The path with this after its name.
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
