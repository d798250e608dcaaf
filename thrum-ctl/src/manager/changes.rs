use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::host::MARKER;
use super::run::run;
use crate::error::Error;

/// A file to write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileToWrite {
    /// Its path.
    pub path: PathBuf,
    /// Its content.
    pub text: String,
}

/// The changes of an install or uninstall, made in the order of the members.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// Commands that are run first.
    pub before: Vec<Vec<String>>,
    /// Files that are removed.
    pub remove: Vec<PathBuf>,
    /// Files that are written.
    pub write: Vec<FileToWrite>,
    /// Commands that are run last.
    pub after: Vec<Vec<String>>,
}

impl Changes {
    /// The changes as text for people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for words in &self.before {
            text.push_str(&format!("Run     {}\n", words.join(" ")));
        }
        for path in &self.remove {
            text.push_str(&format!("Remove  {}\n", path.display()));
        }
        for file in &self.write {
            text.push_str(&format!("Write   {}\n", file.path.display()));
            for line in file.text.lines() {
                text.push_str(format!("    {line}").trim_end());
                text.push('\n');
            }
        }
        for words in &self.after {
            text.push_str(&format!("Run     {}\n", words.join(" ")));
        }
        text
    }

    /// Makes the changes. Failures of the `before` commands are ignored, because what they undo may
    /// already be undone.
    ///
    /// # Errors
    /// The first step that failed.
    pub fn apply(&self) -> Result<(), Error> {
        for words in &self.before {
            drop(run(words));
        }
        for path in &self.remove {
            std::fs::remove_file(path)
                .map_err(|source| Error::io(format!("can't remove {}", path.display()), source))?;
        }
        for file in &self.write {
            write(file)?;
        }
        for words in &self.after {
            run(words)?;
        }
        Ok(())
    }
}

fn write(file: &FileToWrite) -> Result<(), Error> {
    use std::io::Write as _;
    let failed = |source| Error::io(format!("can't write {}", file.path.display()), source);
    if let Some(folder) = file.path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut options = std::fs::OpenOptions::new();
    let mut out = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o644)
        .open(&file.path)
        .map_err(failed)?;
    out.write_all(file.text.as_bytes()).map_err(failed)
}

/// Whether `thrum daemon install` wrote this file.
pub fn ours(path: &Path) -> bool {
    std::fs::read_to_string(path).is_ok_and(|text| text.contains(MARKER))
}

/// Refuses to overwrite a file that `thrum daemon install` did not write.
///
/// # Errors
/// When there is such a file.
pub fn free(path: &Path) -> Result<(), Error> {
    if path.symlink_metadata().is_ok() && !ours(path) {
        return Err(Error::failed(
            format!("{} exists and was not written by thrum; nothing was changed", path.display()),
            "move it away, or keep using it: thrum daemon start",
        ));
    }
    Ok(())
}
