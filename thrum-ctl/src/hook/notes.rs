//! What `thrum doctor` tells of hooks and of waking: when they ran last, and what went wrong. They themselves are silent,
//! because their output is for a model. The file belongs to the person; nothing depends on it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thrum_api::Timestamp;
use thrum_api::local::HookPoint;

use crate::clock::now;
use crate::setup::{Tool, point_name};

/// The form of the file. One of another form is begun anew.
const VERSION: u32 = 1;
/// Most pairs of tool and folder. The ones that were heard of last stay.
const ENTRIES_MAX: usize = 64;
/// Most characters of an error.
const ERROR_MAX_CHARS: usize = 500;
/// More than the file can have.
const FILE_MAX_BYTES: u64 = 1 << 20;
/// How often the same error is noted again, at most.
const REPEAT_MILLIS: u64 = 60_000;

/// Everything that is noted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notes {
    version: u32,
    entries: Vec<Entry>,
}

/// What is noted of a tool in a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The tool.
    pub tool: Tool,
    /// The folder in which it runs, as the tool says it.
    pub folder: PathBuf,
    /// When the hook of each point ran last, by its name; each point once in a session.
    #[serde(default)]
    pub ran: BTreeMap<String, Timestamp>,
    /// The last error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

/// Something that went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// When.
    pub at: Timestamp,
    /// What was being done: `hook stop`, `waking`.
    pub what: String,
    /// What went wrong.
    pub error: String,
}

impl Default for Notes {
    fn default() -> Self {
        Self { version: VERSION, entries: Vec::new() }
    }
}

impl Notes {
    /// The notes of this person; empty ones if there are none that can be read.
    pub fn read() -> Self {
        file().map_or_else(Self::default, |path| Self::read_from(&path))
    }

    fn read_from(path: &Path) -> Self {
        let mut text = String::new();
        let read = File::open(path).and_then(|file| {
            io::Read::read_to_string(&mut io::Read::take(file, FILE_MAX_BYTES), &mut text)
        });
        let notes = read.ok().and_then(|_| serde_json::from_str::<Self>(&text).ok());
        notes.filter(|notes| notes.version == VERSION).unwrap_or_default()
    }

    /// What is noted of a tool in this folder or in one below it, the latest; else in the closest folder around it.
    pub fn of(&self, tool: Tool, folder: &Path) -> Option<&Entry> {
        let of_tool = || self.entries.iter().filter(|entry| entry.tool == tool);
        let below = of_tool().filter(|entry| entry.folder.starts_with(folder));
        let around = || {
            // What somebody once did in `/` says nothing of all folders.
            let around = of_tool()
                .filter(|it| folder.starts_with(&it.folder) && it.folder.parent().is_some());
            around.max_by_key(|entry| entry.folder.components().count())
        };
        below.max_by_key(|entry| entry.last()).or_else(around)
    }

    /// When a session of a tool began last, in any folder.
    pub fn last_start(&self, tool: Tool) -> Option<Timestamp> {
        let entries = self.entries.iter().filter(|entry| entry.tool == tool);
        entries.filter_map(|entry| entry.ran.get(SESSION_START).copied()).max()
    }

    /// Notes that the hook of a point has run. Tells whether anything is worth writing: the first run in a session.
    fn ran(&mut self, tool: Tool, folder: &Path, point: &str, now: Timestamp) -> bool {
        let entry = self.entry(tool, folder);
        let began = entry.ran.get(SESSION_START).copied();
        let known = entry.ran.get(point).copied();
        // Without a start of the session, a day is one.
        let is_new = match (known, began) {
            _ if point == SESSION_START => true,
            (None, _) => true,
            (Some(known), Some(began)) if known < began => true,
            (Some(known), _) => now.millis_since(known) > 86_400_000,
        };
        if is_new {
            entry.ran.insert(point.to_owned(), now);
        }
        is_new
    }

    /// Notes an error. Tells whether it is worth writing.
    fn failed(&mut self, tool: Tool, folder: &Path, failure: Failure) -> bool {
        let entry = self.entry(tool, folder);
        let is_new = entry.error.as_ref().is_none_or(|known| {
            known.error != failure.error
                || known.what != failure.what
                || failure.at.millis_since(known.at) > REPEAT_MILLIS
        });
        if is_new {
            entry.error = Some(failure);
        }
        is_new
    }

    fn entry(&mut self, tool: Tool, folder: &Path) -> &mut Entry {
        let found = self.entries.iter().position(|it| it.tool == tool && it.folder == folder);
        let index = found.unwrap_or_else(|| {
            if self.entries.len() >= ENTRIES_MAX {
                let oldest =
                    (0..self.entries.len()).min_by_key(|index| self.entries[*index].last());
                self.entries.remove(oldest.unwrap_or(0));
            }
            let (ran, error) = (BTreeMap::new(), None);
            self.entries.push(Entry { tool, folder: folder.to_owned(), ran, error });
            self.entries.len() - 1
        });
        &mut self.entries[index]
    }
}

/// The point at which a session begins.
pub const SESSION_START: &str = point_name(HookPoint::SessionStart);

impl Entry {
    /// When anything of it was noted last.
    fn last(&self) -> Option<Timestamp> {
        let error = self.error.as_ref().map(|failure| failure.at);
        self.ran.values().copied().chain(error).max()
    }
}

/// Notes that the hook of a point has run. Writes only if that says something new.
pub fn ran(tool: Tool, folder: &Path, point: &str) {
    change(|notes| notes.ran(tool, folder, point, now()));
}

/// Notes what went wrong with a hook or with waking.
pub fn failed(tool: Tool, folder: &Path, what: &str, error: &str) {
    let error: String = error.chars().take(ERROR_MAX_CHARS).collect();
    let failure = Failure { at: now(), what: what.to_owned(), error };
    change(|notes| notes.failed(tool, folder, failure));
}

/// Changes the notes of this person. What can't be written is left out: a hook has nobody whom it could tell.
fn change(change: impl FnOnce(&mut Notes) -> bool) {
    if let Some(path) = file() {
        drop(change_at(&path, change));
    }
}

fn change_at(path: &Path, change: impl FnOnce(&mut Notes) -> bool) -> io::Result<()> {
    let mut notes = Notes::read_from(path);
    if !change(&mut notes) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(Path::new("/"));
    create_private(folder)?;
    let mut written = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer_pretty(&mut written, &notes)?;
    written.flush()?;
    // Two hooks that write at once: one of both notes is lost, and the file is whole.
    written.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// A folder that only its owner can read, as thrumd makes its own.
fn create_private(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// The file; None if this user has no home directory.
pub fn file() -> Option<PathBuf> {
    let dirs = directories::ProjectDirs::from("", "", "thrum")?;
    Some(dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir()).join("hooks.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1000)
    }

    fn failure(error: &str, second: i64) -> Failure {
        Failure { at: at(second), what: "hook stop".to_owned(), error: error.to_owned() }
    }

    #[test]
    fn a_point_is_noted_once_in_a_session() {
        let (tool, folder) = (Tool::Codex, Path::new("/app"));
        let mut notes = Notes::default();
        let mut ran = |point, second| notes.ran(tool, folder, point, at(second));
        assert!(ran("step", 1), "of a session whose start nobody saw");
        assert!(!ran("step", 2));
        assert!(ran(SESSION_START, 3));
        assert!(ran(SESSION_START, 4), "each start");
        assert!(ran("step", 5));
        assert!(!ran("step", 6));
        assert!(ran("stop", 6));
        assert!(ran("stop", 200_000), "a session of days");
        let entry = notes.of(tool, Path::new("/")).unwrap();
        assert_eq!((entry.ran["step"], entry.ran["stop"]), (at(5), at(200_000)));
        assert_eq!(notes.of(Tool::Gemini, folder), None);
        assert_eq!(notes.of(tool, Path::new("/ap")), None);
        assert!(notes.of(tool, Path::new("/app/src")).is_some(), "in a folder below");
        assert_eq!((notes.last_start(tool), notes.last_start(Tool::Gemini)), (Some(at(4)), None));
    }

    #[test]
    fn an_error_that_repeats_is_written_once_a_minute() {
        let (tool, folder) = (Tool::Codex, Path::new("/app"));
        let mut notes = Notes::default();
        assert!(notes.failed(tool, folder, failure("a", 1)));
        assert!(!notes.failed(tool, folder, failure("a", 2)));
        assert!(notes.failed(tool, folder, failure("b", 3)));
        assert!(notes.failed(tool, folder, failure("b", 70)));
        assert_eq!(notes.of(tool, folder).unwrap().error, Some(failure("b", 70)));
    }

    #[test]
    fn notes_are_bounded_and_the_oldest_go_first() {
        let mut notes = Notes::default();
        for number in 0..=64 {
            notes.ran(Tool::Codex, &PathBuf::from(format!("/{number}")), "stop", at(number));
        }
        assert_eq!(notes.entries.len(), ENTRIES_MAX);
        assert_eq!(notes.of(Tool::Codex, Path::new("/0")), None);
        assert!(notes.of(Tool::Codex, Path::new("/64")).is_some());
    }

    #[test]
    fn a_file_that_is_no_notes_is_begun_anew_and_what_says_nothing_new_writes_nothing() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("new/hooks.json");
        assert_eq!(Notes::read_from(&path), Notes::default());
        change_at(&path, |_| false).unwrap();
        assert!(!path.exists());
        let run = |notes: &mut Notes| notes.ran(Tool::Codex, Path::new("/a"), "stop", at(1));
        change_at(&path, run).unwrap();
        assert!(Notes::read_from(&path).of(Tool::Codex, Path::new("/a")).is_some());
        for wrong in ["", "{", "[]", r#"{"version": 2, "entries": []}"#] {
            fs::write(&path, wrong).unwrap();
            assert_eq!(Notes::read_from(&path), Notes::default(), "{wrong}");
            change_at(&path, run).unwrap();
            assert_eq!(Notes::read_from(&path).entries.len(), 1);
        }
    }
}
