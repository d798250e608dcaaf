//! One file that is held, and whether its path still names it.

use std::path::{Path, PathBuf};
use std::{fs, io};

use super::change::FileChange;
use super::contents::FileContents;
use super::stamp::{FileId, Stamp};

/// A file, as this process knows it.
#[derive(Debug)]
pub(super) struct HeldFile {
    pub(super) path: PathBuf,
    pub(super) held: Held,
    /// Another program wrote to it, as its owner found.
    pub(super) overwritten: bool,
}

#[derive(Debug)]
pub(super) enum Held {
    /// Open; others may write to it. None if there was no file.
    Open(Option<FileId>),
    /// Open, and this process is its only writer.
    Database(Stamp),
    /// Its contents were read, or written, by this process. None if there was no file.
    Read {
        contents: Option<FileContents>,
        /// Of a file with these contents, if one was seen.
        stamp: Option<Stamp>,
    },
}

impl HeldFile {
    pub(super) fn new(path: PathBuf, held: Held) -> Self {
        Self { path, held, overwritten: false }
    }

    pub(super) fn is_database(&self) -> bool {
        matches!(self.held, Held::Database(_))
    }

    /// What happened to the file. `writing`: this process may be writing to its database now.
    pub(super) fn change(&mut self, writing: bool) -> Option<FileChange> {
        match &mut self.held {
            Held::Open(held) => match FileId::at(&self.path) {
                Ok(now) if now == *held && self.overwritten => Some(FileChange::Overwritten),
                Ok(now) => exchange(*held, now),
                Err(_) => Some(FileChange::Hidden),
            },
            Held::Database(held) => match Stamp::at(&self.path) {
                Ok(Some(now)) if now == *held || (writing && now.id == held.id) => None,
                Ok(Some(now)) if now.id == held.id => Some(FileChange::Overwritten),
                Ok(now) => exchange(Some(held.id), now.map(|now| now.id)),
                Err(_) => Some(FileChange::Hidden),
            },
            Held::Read { contents, stamp } => match Stamp::at(&self.path) {
                Ok(None) => contents.is_some().then_some(FileChange::Removed),
                Ok(now) if now == *stamp => None,
                // An editor or a backup tool may write the same again.
                Ok(now) if read(&self.path).is_ok_and(|now| now == *contents) => {
                    *stamp = now;
                    None
                }
                Ok(_) => Some(FileChange::Replaced),
                Err(_) => Some(FileChange::Hidden),
            },
        }
    }

    /// This process wrote to its database.
    pub(super) fn written(&mut self) {
        if let Held::Database(held) = &mut self.held
            && let Ok(Some(now)) = Stamp::at(&self.path)
            && now.id == held.id
        {
            *held = now;
        }
    }
}

fn exchange(held: Option<FileId>, now: Option<FileId>) -> Option<FileChange> {
    match now {
        _ if now == held => None,
        None => Some(FileChange::Removed),
        Some(_) => Some(FileChange::Replaced),
    }
}

/// The contents of a file; None if there is none.
pub(super) fn read(path: &Path) -> io::Result<Option<FileContents>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
