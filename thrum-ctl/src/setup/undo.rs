//! What taking a set-up back changes.

use std::path::{Path, PathBuf};

use super::content::ToolFile;
use super::edit::apply;
use super::files::{self, Change, Snapshot};
use super::place::{Homes, Scope};
use super::record::{FileRecord, Record};
use super::tool::Tool;
use crate::error::Error;

/// What taking a set-up back changes.
pub struct Undo {
    /// The files.
    pub files: Vec<FileUndo>,
    /// Folders that are removed if they are empty then, outermost first.
    pub folders: Vec<PathBuf>,
    /// Whether this person has set the tool up, as the record says.
    pub is_recorded: bool,
}

/// What becomes of a file.
pub struct FileUndo {
    /// The file, as it is named.
    pub path: PathBuf,
    /// Where a link on the way leads to, if there is one.
    pub leads_to: Option<PathBuf>,
    /// How.
    pub how: How,
    /// What is written; None if it stays.
    pub change: Option<Change>,
}

/// How a file is taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// It goes back to what it was, byte for byte.
    Restored,
    /// It was made for this, and goes.
    Removed,
    /// It was changed since: so many entries of ours are taken out of it.
    TakenOut(usize),
    /// Nothing of ours is in it any more.
    Clean,
    /// It stays, because.
    Stays(String),
}

impl Undo {
    /// Finds out how a set-up is taken back. Without a record, what is ours is recognised by what it runs.
    ///
    /// # Errors
    /// When a file can't be read.
    pub fn of(tool: Tool, scope: &Scope, homes: &Homes, record: &Record) -> Result<Self, Error> {
        let setup = record.of(tool, scope.folder());
        let known = tool.files(scope, homes);
        let mut undone = Vec::new();
        match setup {
            Some(setup) => {
                for record in &setup.files {
                    let file = known.iter().find(|it| it.path == record.path);
                    undone.push(undo(&record.path, scope, file, Some(record))?);
                }
            }
            None => {
                for file in &known {
                    undone.push(undo(&file.path, scope, Some(file), None)?);
                }
            }
        }
        let folders = setup.map(|it| it.folders.clone()).unwrap_or_default();
        Ok(Self { files: undone, folders, is_recorded: setup.is_some() })
    }

    /// The files in which something of thrum stays, and why.
    pub fn left(&self) -> Vec<(&Path, &str)> {
        let left = self.files.iter().filter_map(|file| match &file.how {
            How::Stays(why) => Some((file.path.as_path(), why.as_str())),
            _ => None,
        });
        left.collect()
    }

    /// Takes what is undone out of the record. Of files that stay, the way back is kept for the next time.
    pub fn forget(&self, tool: Tool, scope: &Scope, record: &mut Record) {
        let left = self.left();
        let setup = record.of(tool, scope.folder()).cloned();
        record.remove(tool, scope.folder());
        let Some(mut setup) = setup.filter(|_| !left.is_empty()) else { return };
        setup.files.retain(|file| left.iter().any(|(path, _)| *path == file.path));
        // Nobody wakes sessions for what a person wanted to be gone.
        setup.wake = false;
        record.put(setup);
    }

    /// The changes of the files.
    pub fn changes(&self) -> Vec<Change> {
        self.files.iter().filter_map(|file| file.change.clone()).collect()
    }
}

fn undo(
    path: &Path,
    scope: &Scope,
    file: Option<&ToolFile>,
    record: Option<&FileRecord>,
) -> Result<FileUndo, Error> {
    let from = files::read(path)?;
    let (how, to) = decide(&from, file, record);
    let change = match how {
        How::Restored | How::TakenOut(_) => Some(Change { from, to: Some(to), mode: None }),
        How::Removed => Some(Change { from, to: None, mode: None }),
        How::Clean | How::Stays(_) => None,
    };
    Ok(FileUndo { path: path.to_owned(), leads_to: scope.leads_to(path), how, change })
}

fn decide(from: &Snapshot, file: Option<&ToolFile>, record: Option<&FileRecord>) -> (How, String) {
    let Some(now) = &from.text else { return (How::Clean, String::new()) };
    match record.and_then(|it| it.back(now)) {
        // It was recorded, and never written.
        Some(Some(before)) if before == *now => return (How::Clean, String::new()),
        Some(Some(before)) => return (How::Restored, before),
        Some(None) => return (How::Removed, String::new()),
        None => {}
    }
    let Some(file) = file else {
        if !now.contains("thrum") {
            return (How::Clean, String::new());
        }
        return (
            How::Stays("it was changed since, and thrum no longer writes there".to_owned()),
            String::new(),
        );
    };
    match apply::remove(&file.content, now, record.map(|it| &it.known)) {
        Err(why) => (How::Stays(why), String::new()),
        Ok(removed) if removed.count == 0 => (How::Clean, String::new()),
        // Without its file, a link would lead nowhere.
        Ok(removed)
            if removed.is_empty && record.is_none_or(|it| it.before.is_none()) && !from.is_link =>
        {
            (How::Removed, String::new())
        }
        Ok(removed) => (How::TakenOut(removed.count), removed.text),
    }
}
