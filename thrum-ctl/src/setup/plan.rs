//! What setting a tool up changes.

use std::path::{Path, PathBuf};

use super::content::{Content, Part};
use super::edit::{Added, Known, Outcome, apply};
use super::files::{self, Change, Snapshot};
use super::patch::{Patch, digest};
use super::place::{Homes, Scope};
use super::record::{FileRecord, Record, Way};
use super::tool::Tool;
use crate::error::Error;

/// What setting a tool up changes.
pub struct Plan {
    /// The tool.
    pub tool: Tool,
    /// For what.
    pub scope: Scope,
    /// Its files.
    pub files: Vec<FilePlan>,
}

/// What becomes of a file.
pub struct FilePlan {
    /// The file, as it is named.
    pub path: PathBuf,
    /// Where a link on the way leads to, if there is one.
    pub leads_to: Option<PathBuf>,
    /// As it is.
    pub from: Snapshot,
    /// As it will be.
    pub to: String,
    /// What each of our entries is for, and what becomes of it.
    pub parts: Vec<(Part, Outcome)>,
    /// What the record will say of it; None if it is not ours to undo.
    pub record: Option<FileRecord>,
}

impl Plan {
    /// Reads the files of a tool and finds out what has to be changed. Changes nothing.
    ///
    /// # Errors
    /// When a file can't be read or can't be changed, and when the tool has no file for this scope.
    pub fn of(tool: Tool, scope: &Scope, homes: &Homes, record: &Record) -> Result<Self, Error> {
        let old = record.of(tool, scope.folder());
        let mut planned = Vec::new();
        for file in tool.files(scope, homes) {
            let from = files::read(&file.path)?;
            let now = from.text.as_deref().unwrap_or_default();
            let added = apply::add(&file.content, now).map_err(|why| {
                Error::failed(
                    format!("{} can't be changed: {why}", file.path.display()),
                    "put it right by hand, then try again; nothing was changed",
                )
            })?;
            let old = old.and_then(|it| it.files.iter().find(|it| it.path == file.path));
            let parts = apply::parts(&file.content);
            let record = match (added.text == now, old) {
                (true, old) => old.cloned(),
                (false, old) => {
                    let known = known(&parts, &added, from.text.is_some(), old);
                    let before = before(&file.content, &from, &known, old)?;
                    let way = |text: &str| Way {
                        after: digest(text),
                        before: before.as_ref().map(|before| Patch::back(text, before)),
                    };
                    let Way { after, before } = way(&added.text);
                    let earlier = from.text.as_deref().map(way);
                    Some(FileRecord { path: file.path.clone(), after, before, earlier, known })
                }
            };
            let parts = parts.into_iter().map(|(_, part)| part).zip(added.outcomes).collect();
            let leads_to = scope.leads_to(&file.path);
            planned.push(FilePlan {
                path: file.path,
                leads_to,
                from,
                to: added.text,
                parts,
                record,
            });
        }
        Ok(Self { tool, scope: scope.clone(), files: planned })
    }

    /// The changes of the files.
    pub fn changes(&self) -> Vec<Change> {
        let changed = self.files.iter().filter(|file| file.is_changed());
        changed
            .map(|file| Change { from: file.from.clone(), to: Some(file.to.clone()), mode: None })
            .collect()
    }

    /// A file that would change outside of the folder, since a link leads there, and where it is.
    pub fn outside(&self) -> Option<(&Path, &Path)> {
        let folder = self.scope.folder()?;
        let mut changed = self.files.iter().filter(|file| file.is_changed());
        changed.find_map(|file| {
            let real = file.leads_to.as_deref().filter(|real| !real.starts_with(folder))?;
            Some((file.path.as_path(), real))
        })
    }

    /// Whether entries under our name have other values, which are replaced.
    pub fn replaces(&self) -> bool {
        let mut parts = self.files.iter().flat_map(|file| &file.parts);
        parts.any(|(_, outcome)| matches!(outcome, Outcome::Replaced(_)))
    }
}

impl FilePlan {
    /// Whether the file changes.
    pub fn is_changed(&self) -> bool {
        self.from.text.as_ref() != Some(&self.to)
    }
}

/// What will help to take our entries out again.
fn known(
    parts: &[(String, Part)],
    added: &Added,
    was_there: bool,
    old: Option<&FileRecord>,
) -> Known {
    let mut known = old.map(|it| it.known.clone()).unwrap_or_default();
    for ((id, _), outcome) in parts.iter().zip(&added.outcomes) {
        match outcome {
            // Those of an earlier run are ours.
            Outcome::Present if old.is_none() => known.kept.push(id.clone()),
            Outcome::Replaced(before) if old.is_none() => {
                known.replaced.push((id.clone(), before.clone()));
            }
            _ => {}
        }
    }
    // Without it, somebody's file was one of the tool, too. In a file of ours, what others add needs it.
    let outcomes = parts.iter().zip(&added.outcomes).filter(|_| was_there);
    let needed = outcomes.filter(|((_, part), it)| *part == Part::Form && **it == Outcome::New);
    known.made.extend(needed.map(|((id, _), _)| id.clone()));
    known.made.extend(added.made.iter().cloned());
    known
}

/// The text to which the file goes back when ours is taken out of it; None if there was no file.
fn before(
    content: &Content,
    from: &Snapshot,
    known: &Known,
    old: Option<&FileRecord>,
) -> Result<Option<String>, Error> {
    let (Some(now), Some(old)) = (&from.text, old) else { return Ok(from.text.clone()) };
    if let Some(before) = old.back(now) {
        return Ok(before);
    }
    let removed = apply::remove(content, now, Some(known)).map_err(|why| {
        Error::failed(
            format!("{} can't be changed: {why}", from.path.display()),
            "put it right by hand, then try again; nothing was changed",
        )
    })?;
    Ok((!removed.is_empty || old.before.is_some()).then_some(removed.text))
}
