//! What a person has set up, in a file of this person.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::edit::Known;
use super::files::{self, Change, Snapshot};
use super::lock::Lock;
use super::patch::{Patch, digest};
use super::tool::Tool;
use crate::error::Error;

/// The form of the file. A thrum that finds another one changes nothing.
const VERSION: u32 = 1;

/// Everything that a person has set up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    setups: Vec<Setup>,
    /// Entries that this thrum can't read, such as those of a tool that a newer one knows. They are kept.
    unread: Vec<Value>,
    /// The text that it was read from: another thrum may have written a newer one since.
    source: Option<String>,
}

/// The file.
#[derive(Serialize, Deserialize)]
struct Form {
    version: u32,
    setups: Vec<Value>,
}

/// A tool that was set up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// The tool.
    pub tool: Tool,
    /// The folder of the project, without links in its path. None if the tool was set up for all folders of the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// The name of the agent, if one was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The project, if one was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Whether idle sessions are woken.
    #[serde(default)]
    pub wake: bool,
    /// The files that were changed for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileRecord>,
    /// The folders that were made for it, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folders: Vec<PathBuf>,
}

/// A file that was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// The file.
    pub path: PathBuf,
    /// The digest of its text since then.
    pub after: String,
    /// The way back to the text before. None if there was no file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Patch>,
    /// The same for the text that it had when this was recorded. The record is written first: if thrum ends between the
    /// two, the file still has that text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier: Option<Way>,
    /// What helps to take ours out of it if somebody has changed it since.
    #[serde(flatten)]
    pub known: Known,
}

/// A way back that counts if a file has this text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// The digest of the text.
    pub after: String,
    /// The way to the text before. None if there was no file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Patch>,
}

impl FileRecord {
    /// The text to which the file goes back byte for byte, if it has a text that is known; None in it: no file.
    pub fn back(&self, now: &str) -> Option<Option<String>> {
        let digest = digest(now);
        let earlier = self.earlier.as_ref().map(|it| (&it.after, &it.before));
        let mut ways = std::iter::once((&self.after, &self.before)).chain(earlier);
        let (_, before) = ways.find(|(after, _)| **after == digest)?;
        Some(before.as_ref().map(|patch| patch.apply(now)))
    }
}

impl Record {
    /// The record of this person; an empty one if there is none yet.
    ///
    /// # Errors
    /// When there is one that can't be read.
    pub fn read() -> Result<Self, Error> {
        file().map_or_else(|| Ok(Self::default()), |path| Self::read_from(&path))
    }

    fn read_from(path: &Path) -> Result<Self, Error> {
        let cant = |why: String| {
            Error::failed(
                format!("can't read the record of thrum init, {}: {why}", path.display()),
                "put it right, or remove it: thrum init works without it",
            )
        };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(cant(error.to_string())),
        };
        let form: Form = serde_json::from_str(&text).map_err(|error| cant(error.to_string()))?;
        if form.version != VERSION {
            let version = form.version;
            return Err(cant(format!("it has version {version}, and this thrum knows {VERSION}")));
        }
        let mut record = Self { source: Some(text), ..Self::default() };
        for entry in form.setups {
            match Setup::deserialize(&entry) {
                Ok(setup) => record.setups.push(setup),
                Err(_) => record.unread.push(entry),
            }
        }
        Ok(record)
    }

    /// What was set up for a folder: for itself, or else for the closest one around it, or else for the person.
    pub fn closest(&self, tool: Tool, folder: &Path) -> Option<&Setup> {
        let folder = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        let mut around = folder.ancestors();
        let found = around.find_map(|folder| self.of(tool, Some(folder)));
        found.or_else(|| self.of(tool, None))
    }

    /// What was set up for exactly this folder, or for the person.
    pub fn of(&self, tool: Tool, folder: Option<&Path>) -> Option<&Setup> {
        self.setups.iter().find(|it| it.tool == tool && it.folder.as_deref() == folder)
    }

    /// The folders for which a tool was set up.
    pub fn folders(&self, tool: Tool) -> impl Iterator<Item = &Path> {
        self.setups.iter().filter(move |it| it.tool == tool).filter_map(|it| it.folder.as_deref())
    }

    /// Puts a set-up in the place of that for the same tool and folder.
    pub fn put(&mut self, setup: Setup) {
        self.remove(setup.tool, setup.folder.as_deref());
        self.setups.push(setup);
    }

    /// Forgets what was set up for this folder, or for the person.
    pub fn remove(&mut self, tool: Tool, folder: Option<&Path>) {
        self.setups.retain(|it| it.tool != tool || it.folder.as_deref() != folder);
    }

    /// The change that writes this record. Only the person may read it: it has parts of files of settings.
    ///
    /// # Errors
    /// When the present record can't be read, and when the person has no home.
    pub fn change(&self) -> Result<Change, Error> {
        self.change_of(&named_file()?)
    }

    fn change_of(&self, path: &Path) -> Result<Change, Error> {
        let text = self.text();
        let text =
            text.map_err(|error| Error::io("can't write the record of thrum init", error.into()))?;
        let is_empty = self.setups.is_empty() && self.unread.is_empty();
        let to = (!is_empty).then(|| format!("{text}\n"));
        let from = Snapshot { text: self.source.clone(), ..files::read(path)? };
        Ok(Change { from, to, mode: Some(0o600) })
    }

    fn text(&self) -> Result<String, serde_json::Error> {
        let mut setups =
            self.setups.iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>()?;
        setups.extend(self.unread.iter().cloned());
        serde_json::to_string_pretty(&Form { version: VERSION, setups })
    }
}

/// Keeps a second thrum from changing the record and files, until it is dropped.
///
/// # Errors
/// When another thrum does so for long, and when the person has no home.
pub async fn lock() -> Result<Lock, Error> {
    Lock::take(&named_file()?.with_extension("lock")).await
}

fn named_file() -> Result<PathBuf, Error> {
    file()
        .ok_or_else(|| Error::failed("this user has no home directory", "set HOME, then try again"))
}

/// The file of the record; None if this user has no home directory. It is beside thrumd's own file of settings.
fn file() -> Option<PathBuf> {
    let named = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let base = named
        .filter(|path| path.is_absolute())
        .or_else(|| directories::BaseDirs::new().map(|dirs| dirs.home_dir().join(".config")))?;
    Some(base.join("thrum/setup.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(folder: Option<&Path>, agent: &str) -> Setup {
        Setup {
            tool: Tool::Codex,
            folder: folder.map(Path::to_owned),
            agent: Some(agent.to_owned()),
            project: None,
            wake: false,
            files: Vec::new(),
            folders: Vec::new(),
        }
    }

    #[test]
    fn what_was_said_closest_to_a_folder_counts() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap();
        let (app, deep) = (root.join("app"), root.join("app/src/deep"));
        std::fs::create_dir_all(&deep).unwrap();
        std::os::unix::fs::symlink(&app, root.join("link")).unwrap();
        let mut record = Record::default();
        assert_eq!(record.closest(Tool::Codex, &deep), None);
        record.setups =
            vec![setup(None, "mine"), setup(Some(&root), "all"), setup(Some(&app), "app")];
        let agent = |folder: &Path| record.closest(Tool::Codex, folder)?.agent.clone();
        assert_eq!(agent(&deep).as_deref(), Some("app"));
        assert_eq!(agent(&root.join("link/src")).as_deref(), Some("app"));
        assert_eq!(agent(&root.join("gone/long ago")).as_deref(), Some("all"));
        assert_eq!(agent(Path::new("/")).as_deref(), Some("mine"));
        assert_eq!(record.closest(Tool::Gemini, &deep), None);
    }

    #[test]
    fn what_another_thrum_has_recorded_meanwhile_is_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("setup.json");
        let write = |agent| {
            let mut record = Record::read_from(&path).unwrap();
            record.put(setup(Some(Path::new(agent)), agent));
            record.change_of(&path).unwrap()
        };
        files::apply(&[write("/a")]).unwrap();
        let late = write("/b");
        files::apply(&[write("/c")]).unwrap();
        assert!(files::apply(&[late]).unwrap_err().to_string().contains("meanwhile"));
        files::apply(&[write("/d")]).unwrap();
        let record = Record::read_from(&path).unwrap();
        assert_eq!(record.setups.len(), 3);
        assert!(record.of(Tool::Codex, Some(Path::new("/c"))).is_some());
    }

    #[test]
    fn entries_that_this_thrum_cant_read_are_skipped_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("setup.json");
        let newer = serde_json::json!({"tool": "aider", "folder": "/a", "moods": ["new"]});
        let own = serde_json::to_value(setup(Some(Path::new("/a")), "mine")).unwrap();
        let odd = serde_json::json!(["no", "object"]);
        let text = serde_json::json!({"version": 1, "setups": [newer, own, odd]}).to_string();
        std::fs::write(&path, text).unwrap();
        let mut record = Record::read_from(&path).unwrap();
        assert!(record.of(Tool::Codex, Some(Path::new("/a"))).is_some());
        record.remove(Tool::Codex, Some(Path::new("/a")));
        files::apply(&[record.change_of(&path).unwrap()]).unwrap();
        let kept: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(kept["setups"], serde_json::json!([newer, odd]));
    }

    #[test]
    fn a_record_that_cant_be_read_is_an_error_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("setup.json");
        assert_eq!(Record::read_from(&path).unwrap(), Record::default());
        for (text, why) in [("{", "EOF"), (r#"{"version": 2, "setups": []}"#, "version 2")] {
            std::fs::write(&path, text).unwrap();
            let error = Record::read_from(&path).unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("setup.json"), "{error}");
        }
    }
}
