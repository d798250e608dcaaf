//! The files that this daemon holds, and whether their paths still name them.
//!
//! A person may remove or replace a file under a running daemon: `rm log.db*`, a backup unpacked over it, `rsync
//! --delete`. The daemon would go on, with a file that nobody can find after a restart. So it compares each file
//! with its path before it acknowledges anything.

mod change;
#[cfg(test)]
mod tests;

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use thrum_api::Timestamp;

pub use change::{ChangedFile, FileChange};

/// The files of one directory that this process has open or has read. Clones share them.
#[derive(Debug, Clone)]
pub struct HeldFiles {
    directory: Arc<Path>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    files: Vec<HeldFile>,
    /// The database is being written by this process, so its size and time may change.
    writing: bool,
    /// What was found last, and since when it is so.
    found: Option<(Timestamp, ChangedFile)>,
}

/// A file, as this process knows it.
#[derive(Debug)]
struct HeldFile {
    path: PathBuf,
    /// None if there was no file.
    stamp: Option<Stamp>,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// Open; others may write to it.
    Open,
    /// Open, and this process is its only writer.
    Database,
    /// Its contents were read, or written, by this process. None if there was no file.
    Read(Option<Vec<u8>>),
}

/// Which file it is, and when it was last written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    written: (i64, i64),
}

impl Stamp {
    fn of(file: &Metadata) -> Self {
        Self {
            device: file.dev(),
            inode: file.ino(),
            size: file.size(),
            written: (file.mtime(), file.mtime_nsec()),
        }
    }

    /// That of the file at this path; None if there is none.
    ///
    /// # Errors
    /// When the path can't be looked at.
    pub fn at(path: &Path) -> io::Result<Option<Self>> {
        match fs::symlink_metadata(path) {
            Ok(file) => Ok(Some(Self::of(&file))),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

impl HeldFiles {
    /// None yet, of this directory.
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.into(), state: Arc::default() }
    }

    /// Holds files that are open, by what their paths name now.
    ///
    /// # Errors
    /// When a path can't be looked at.
    pub fn hold_open(&self, paths: impl IntoIterator<Item = PathBuf>) -> io::Result<()> {
        paths.into_iter().try_for_each(|path| self.hold(path, Kind::Open))
    }

    /// Holds an open database that only this process writes, between [`Self::begin_write`] and
    /// [`Self::end_write`].
    ///
    /// # Errors
    /// When the path can't be looked at.
    pub fn hold_database(&self, path: PathBuf) -> io::Result<()> {
        self.hold(path, Kind::Database)
    }

    /// Holds a file by its contents.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn hold_contents(&self, path: PathBuf) -> io::Result<()> {
        let contents = read(&path)?;
        self.hold(path, Kind::Read(contents))
    }

    fn hold(&self, path: PathBuf, kind: Kind) -> io::Result<()> {
        let stamp = Stamp::at(&path)?;
        self.state.lock().set(HeldFile { path, stamp, kind });
        Ok(())
    }

    /// Replaces a file by what `replace` does, which leaves these contents there.
    ///
    /// # Errors
    /// Those of `replace`. The file is held as before then.
    pub fn replacing(
        &self,
        path: &Path,
        contents: &[u8],
        replace: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        // Nobody compares meanwhile.
        let mut state = self.state.lock();
        replace()?;
        let kind = Kind::Read(Some(contents.to_vec()));
        state.set(HeldFile { path: path.to_owned(), stamp: Stamp::at(path)?, kind });
        Ok(())
    }

    /// The paths of all files.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.state.lock().files.iter().map(|file| file.path.clone()).collect()
    }

    /// Checks that every path names the file that is held.
    ///
    /// # Errors
    /// The first one that doesn't.
    pub fn check(&self) -> Result<(), ChangedFile> {
        self.state.lock().check(&self.directory)
    }

    /// Checks that this path names the file that is held. Logs nothing.
    ///
    /// # Errors
    /// When it doesn't.
    pub fn check_file(&self, path: &Path) -> Result<(), ChangedFile> {
        let mut state = self.state.lock();
        let file = state.files.iter_mut().find(|file| file.path == path);
        match file.and_then(|file| file.change(false)) {
            Some(change) => Err(ChangedFile::new(path.to_owned(), change)),
            None => Ok(()),
        }
    }

    /// Whether a path names another file than the one that is held. Logs nothing.
    pub fn differ(&self) -> bool {
        self.state.lock().files.iter_mut().any(|file| file.change(false).is_some())
    }

    /// Whether this path, of a file that is held open, names another file or none.
    pub fn is_lost(&self, path: &Path) -> bool {
        let state = self.state.lock();
        let held = state.files.iter().find(|file| file.path == path).and_then(|file| file.stamp);
        held.is_some_and(|held| {
            Stamp::at(path).is_ok_and(|now| now.is_none_or(|now| !now.is_same_file(&held)))
        })
    }

    /// As [`Self::check`], and since when it is so.
    pub fn changed(&self) -> Option<(Timestamp, ChangedFile)> {
        let mut state = self.state.lock();
        drop(state.check(&self.directory));
        state.found.clone()
    }

    /// As [`Self::check`], before this process writes to its database.
    ///
    /// # Errors
    /// The first file that is not the one that is held: nothing must be written.
    pub fn begin_write(&self) -> Result<(), ChangedFile> {
        let mut state = self.state.lock();
        state.check(&self.directory)?;
        state.writing = true;
        Ok(())
    }

    /// As [`Self::check`], after this process wrote to its database.
    ///
    /// # Errors
    /// The first file that is not the one that is held: what was written can't be acknowledged.
    pub fn end_write(&self) -> Result<(), ChangedFile> {
        let mut state = self.state.lock();
        let checked = state.check(&self.directory);
        for file in state.files.iter_mut().filter(|file| file.kind == Kind::Database) {
            if let (Ok(Some(now)), Some(held)) = (Stamp::at(&file.path), file.stamp)
                && now.is_same_file(&held)
            {
                file.stamp = Some(now);
            }
        }
        state.writing = false;
        checked
    }

    /// Holds nothing more: the daemon ends.
    pub fn release(&self) {
        *self.state.lock() = State::default();
    }

    /// The contents of files that were read and are gone, for their last chance to be written again.
    pub fn removed_contents(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let is_gone = |path: &Path| matches!(Stamp::at(path), Ok(None));
        let state = self.state.lock();
        let contents = |file: &HeldFile| match &file.kind {
            Kind::Read(Some(bytes)) if is_gone(&file.path) => {
                Some((file.path.clone(), bytes.clone()))
            }
            _ => None,
        };
        state.files.iter().filter_map(contents).collect()
    }
}

impl State {
    fn set(&mut self, file: HeldFile) {
        self.files.retain(|held| held.path != file.path);
        self.files.push(file);
    }

    /// Looks for a change; logs once when it begins and once when it ends.
    fn check(&mut self, directory: &Path) -> Result<(), ChangedFile> {
        let writing = self.writing;
        let changed = self.files.iter_mut().find_map(|file| {
            let change = file.change(writing)?;
            let whole = change == FileChange::Removed && !directory.exists();
            Some(if whole {
                ChangedFile::new(directory.to_owned(), FileChange::Removed)
            } else {
                ChangedFile::new(file.path.clone(), change)
            })
        });
        match changed {
            None => {
                if self.found.take().is_some() {
                    tracing::info!(
                        "the files in {} are those that thrumd uses again",
                        directory.display()
                    );
                }
                Ok(())
            }
            Some(changed) => {
                let since = match self.found.take() {
                    Some((since, before)) if before == changed => since,
                    before => {
                        tracing::warn!("nothing is written: {changed}; {}", changed.next());
                        before.map_or_else(crate::clock::now, |(since, _)| since)
                    }
                };
                self.found = Some((since, changed.clone()));
                Err(changed)
            }
        }
    }
}

impl HeldFile {
    fn change(&mut self, writing: bool) -> Option<FileChange> {
        let now = match (Stamp::at(&self.path), self.stamp) {
            (Err(_), _) => return Some(FileChange::Hidden),
            (Ok(None), None) => return None,
            (Ok(None), Some(_)) => return Some(FileChange::Removed),
            (Ok(Some(now)), _) => now,
        };
        if self.stamp == Some(now) {
            return None;
        }
        let is_same_file = self.stamp.is_some_and(|held| held.is_same_file(&now));
        match &self.kind {
            Kind::Open if is_same_file => None,
            Kind::Database if is_same_file && writing => None,
            Kind::Database if is_same_file => Some(FileChange::Overwritten),
            Kind::Open | Kind::Database => Some(FileChange::Replaced),
            // An editor or a backup tool may write the same again.
            Kind::Read(contents) if read(&self.path).is_ok_and(|now| now == *contents) => {
                self.stamp = Some(now);
                None
            }
            Kind::Read(_) => Some(FileChange::Replaced),
        }
    }
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
