//! The files that this daemon holds, and whether their paths still name them.
//!
//! A person may remove or replace a file under a running daemon: `rm log.db*`, a backup unpacked over it, `rsync
//! --delete`. The daemon would go on, with a file that nobody can find after a restart. So it compares each file
//! with its path before it acknowledges anything.

mod change;
mod contents;
mod file;
mod stamp;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::message_id;
use parking_lot::Mutex;
use thrum_api::Timestamp;
use tokio::sync::watch;

pub use change::{ChangedFile, FileChange};
pub use contents::FileContents;
use file::{Held, HeldFile};
use stamp::FileId;
pub use stamp::{SizedFile, Stamp};

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
    /// Counts how often that begins and ends.
    notices: watch::Sender<u64>,
}

impl HeldFiles {
    /// None yet, of this directory.
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.into(), state: Arc::default() }
    }

    /// Holds files that another part has just opened, by what their paths name now.
    ///
    /// # Errors
    /// When a path can't be looked at.
    pub fn hold_paths(&self, paths: impl IntoIterator<Item = PathBuf>) -> io::Result<()> {
        paths.into_iter().try_for_each(|path| {
            let held = Held::Open(FileId::at(&path)?);
            self.hold(path, held);
            Ok(())
        })
    }

    /// Holds an open file. By its descriptor: its path may name another one by now.
    ///
    /// # Errors
    /// When the file can't be looked at.
    pub fn hold_open(&self, path: PathBuf, file: &File) -> io::Result<()> {
        let held = Held::Open(Some(Stamp::of(&file.metadata()?).id));
        self.hold(path, held);
        Ok(())
    }

    /// Holds a database that only this process writes, in [`Self::writing`]. By a descriptor, as
    /// [`Self::hold_open`].
    ///
    /// # Errors
    /// When the file can't be looked at.
    pub fn hold_database(&self, path: PathBuf, file: &File) -> io::Result<()> {
        let held = Held::Database(Stamp::of(&file.metadata()?));
        self.hold(path, held);
        Ok(())
    }

    /// Holds a file by the contents that were read; None if there was no file.
    pub fn hold_contents(&self, path: PathBuf, contents: Option<FileContents>) {
        self.hold(path, Held::Read { contents, stamp: None });
    }

    fn hold(&self, path: PathBuf, held: Held) {
        self.state.lock().set(HeldFile::new(path, held));
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
        let held = Held::Read { contents: Some(contents.to_vec().into()), stamp: None };
        state.set(HeldFile::new(path.to_owned(), held));
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

    /// As [`Self::check`], if something was found last time: whether it is mended.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn check_again(&self) -> Result<(), ChangedFile> {
        let mut state = self.state.lock();
        if state.found.is_none() { Ok(()) } else { state.check(&self.directory) }
    }

    /// Checks that this path names the file that is held. Logs nothing.
    ///
    /// # Errors
    /// When it doesn't.
    pub fn check_file(&self, path: &Path) -> Result<(), ChangedFile> {
        match self.change_of(path) {
            Some(change) => Err(ChangedFile::new(path.to_owned(), change)),
            None => Ok(()),
        }
    }

    /// What happened to the file that is held at this path. Logs nothing.
    pub fn change_of(&self, path: &Path) -> Option<FileChange> {
        let mut state = self.state.lock();
        let writing = state.writing;
        state.files.iter_mut().find(|file| file.path == path)?.change(writing)
    }

    /// The database, or its WAL, if another program wrote to it. Logs nothing.
    pub fn overwritten(&self) -> Option<ChangedFile> {
        let mut state = self.state.lock();
        let writing = state.writing;
        let may_be = |file: &&mut HeldFile| file.overwritten || file.is_database();
        state.files.iter_mut().filter(may_be).find_map(|file| {
            let change =
                file.change(writing).filter(|change| *change == FileChange::Overwritten)?;
            Some(ChangedFile::new(file.path.clone(), change))
        })
    }

    /// What happened to the database, which is overwritten if its WAL is. Logs nothing.
    pub fn database_change(&self) -> Option<FileChange> {
        if self.overwritten().is_some() {
            return Some(FileChange::Overwritten);
        }
        let mut state = self.state.lock();
        let writing = state.writing;
        state.files.iter_mut().find(|file| file.is_database())?.change(writing)
    }

    /// The owner of this file found that another program wrote to it.
    pub fn set_overwritten(&self, path: &Path) {
        let mut state = self.state.lock();
        let file = state.files.iter_mut().find(|file| file.path == path);
        // Another file there has a size of its own, and goes away again.
        if let Some(file) = file
            && file.change(false).is_none()
        {
            file.overwritten = true;
            drop(state.check(&self.directory));
        }
    }

    /// Whether a path names another file than the one that is held. Logs nothing.
    pub fn differ(&self) -> bool {
        let mut state = self.state.lock();
        let writing = state.writing;
        state.files.iter_mut().any(|file| file.change(writing).is_some())
    }

    /// As [`Self::check`], and since when it is so.
    pub fn changed(&self) -> Option<(Timestamp, ChangedFile)> {
        let mut state = self.state.lock();
        drop(state.check(&self.directory));
        state.found.clone()
    }

    /// Has this process write to its database. Only `write` may do that.
    ///
    /// # Errors
    /// The first file that is not the one that is held. Nothing was written then.
    pub fn writing<T>(&self, write: impl FnOnce() -> T) -> Result<T, ChangedFile> {
        let mut state = self.state.lock();
        state.check(&self.directory)?;
        state.writing = true;
        // Others may check meanwhile.
        drop(state);
        let done = write();
        let mut state = self.state.lock();
        state.files.iter_mut().for_each(HeldFile::written);
        state.writing = false;
        Ok(done)
    }

    /// Counts how often it begins and ends that a file is another one.
    pub fn notices(&self) -> watch::Receiver<u64> {
        self.state.lock().notices.subscribe()
    }

    /// Holds nothing more: the daemon ends.
    pub fn release(&self) {
        *self.state.lock() = State::default();
    }

    /// What was read from files, or written to them, and is not in them now: removed ones, and those with other
    /// contents.
    pub fn lost_contents(&self) -> Vec<(PathBuf, FileChange, FileContents)> {
        let lost = |file: &mut HeldFile| {
            let change = file.change(false)?;
            match &file.held {
                Held::Read { contents: Some(bytes), .. } => {
                    Some((file.path.clone(), change, bytes.clone()))
                }
                _ => None,
            }
        };
        self.state.lock().files.iter_mut().filter_map(lost).collect()
    }
}

impl State {
    fn set(&mut self, file: HeldFile) {
        self.files.retain(|held| held.path != file.path);
        self.files.push(file);
    }

    fn notice(&self) {
        self.notices.send_modify(|count| *count = count.wrapping_add(1));
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
                    self.notice();
                    tracing::info!(
                        journal.message_id = message_id::FILES_BACK,
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
                        self.notice();
                        tracing::warn!(
                            journal.message_id = message_id::FILES_CHANGED,
                            "nothing is written: {changed}; {}",
                            changed.next()
                        );
                        before.map_or_else(crate::clock::now, |(since, _)| since)
                    }
                };
                self.found = Some((since, changed.clone()));
                Err(changed)
            }
        }
    }
}
