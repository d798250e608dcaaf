//! Whether what was set up is still as it was written.

use std::path::{Path, PathBuf};

use super::content::{Part, ToolFile};
use super::edit::{Outcome, apply};
use super::files;
use super::place::{Homes, Scope};
use super::record::Record;
use super::tool::Tool;
use crate::error::Error;

/// A tool that is set up, by this person or by whoever shares the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupCheck {
    /// The tool.
    pub tool: Tool,
    /// For what.
    pub scope: Scope,
    /// Whether this person has set it up, as the record says.
    pub is_recorded: bool,
    /// Its files, and how each is.
    pub files: Vec<(PathBuf, FileState)>,
}

/// How a file of a set-up is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileState {
    /// All of ours is in it, as it is written today.
    AsWritten,
    /// Some of ours is missing or has other values.
    Changed,
    /// Nothing of ours is in it.
    Missing,
    /// It can't be read, because.
    Unreadable(String),
}

impl SetupCheck {
    /// Whether all files are as written.
    pub fn is_whole(&self) -> bool {
        self.files.iter().all(|(_, state)| *state == FileState::AsWritten)
    }
}

/// The tools that are set up for a folder, for one around it that the record has, or for the person.
///
/// # Errors
/// When the record can't be read, and when the person has no home.
pub fn check(folder: &Path) -> Result<Vec<SetupCheck>, Error> {
    let (record, homes) = (Record::read()?, Homes::from_environment()?);
    Ok(check_with(folder, &record, &homes))
}

/// As [`check`], with what it reads.
pub fn check_with(folder: &Path, record: &Record, homes: &Homes) -> Vec<SetupCheck> {
    let folder = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let home = std::fs::canonicalize(&homes.home).unwrap_or_else(|_| homes.home.clone());
    let mut found = Vec::new();
    for tool in Tool::ALL {
        let recorded = record.closest(tool, &folder).and_then(|it| it.folder.clone());
        let mut scopes = vec![Scope::Folder(recorded.unwrap_or_else(|| folder.clone()))];
        // What is in the home is the person's.
        scopes.retain(|scope| scope.folder() != Some(home.as_path()));
        scopes.push(Scope::Person);
        found
            .extend(scopes.into_iter().filter_map(|scope| check_scope(tool, scope, record, homes)));
    }
    found
}

/// For what else a tool with hooks is set up that counts where it is set up for this: for the person, or for folders.
pub fn others(tool: Tool, scope: &Scope, record: &Record, homes: &Homes) -> Vec<Scope> {
    let others = match scope {
        _ if tool == Tool::Script => Vec::new(),
        Scope::Folder(_) => vec![Scope::Person],
        Scope::Person => record.folders(tool).map(|it| Scope::Folder(it.to_owned())).collect(),
    };
    let is_there = |scope: &Scope| {
        let check = check_scope(tool, scope.clone(), record, homes);
        check.is_some_and(|it| it.files.iter().any(|(_, state)| *state != FileState::Missing))
    };
    others.into_iter().filter(is_there).collect()
}

fn check_scope(tool: Tool, scope: Scope, record: &Record, homes: &Homes) -> Option<SetupCheck> {
    let is_recorded = record.of(tool, scope.folder()).is_some();
    let files = tool.files(&scope, homes).into_iter().map(|file| {
        let state = match files::read(&file.path) {
            Ok(read) => state(&file, read.text.as_deref().unwrap_or_default()),
            Err(error) => FileState::Unreadable(error.to_string()),
        };
        (file.path, state)
    });
    let files: Vec<_> = files.collect();
    let is_there = |state: &FileState| matches!(state, FileState::AsWritten | FileState::Changed);
    let is_set_up = is_recorded || files.iter().any(|(_, state)| is_there(state));
    is_set_up.then_some(SetupCheck { tool, scope, is_recorded, files })
}

fn state(file: &ToolFile, text: &str) -> FileState {
    let added = match apply::add(&file.content, text) {
        Ok(added) => added,
        Err(why) => return FileState::Unreadable(why),
    };
    // What a file needs for its form may be there without us.
    let parts = apply::parts(&file.content).into_iter().zip(added.outcomes);
    let ours: Vec<_> = parts.filter(|((_, part), _)| *part != Part::Form).map(|it| it.1).collect();
    if ours.iter().all(|it| *it == Outcome::Present) {
        FileState::AsWritten
    } else if ours.iter().all(|it| *it == Outcome::New) {
        FileState::Missing
    } else {
        FileState::Changed
    }
}
