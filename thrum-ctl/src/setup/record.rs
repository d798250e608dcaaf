//! What a person has set up, in a file of this person.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::edit::Known;
use super::files::{self, Change, Snapshot};
use super::patch::Patch;
use super::tool::Tool;
use crate::error::Error;

/// The form of the file. A thrum that finds another one changes nothing.
const VERSION: u32 = 1;

/// Everything that a person has set up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    version: u32,
    setups: Vec<Setup>,
    /// The text that it was read from: another thrum may have written a newer one since.
    #[serde(skip)]
    source: Option<String>,
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
    /// What helps to take ours out of it if somebody has changed it since.
    #[serde(flatten)]
    pub known: Known,
}

impl Default for Record {
    fn default() -> Self {
        Self { version: VERSION, setups: Vec::new(), source: None }
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
        let record: Self = serde_json::from_str(&text).map_err(|error| cant(error.to_string()))?;
        match record.version {
            VERSION => Ok(Self { source: Some(text), ..record }),
            other => Err(cant(format!("it has version {other}, and this thrum knows {VERSION}"))),
        }
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
        let path = file().ok_or_else(|| {
            Error::failed("this user has no home directory", "set HOME, then try again")
        })?;
        self.change_of(&path)
    }

    fn change_of(&self, path: &Path) -> Result<Change, Error> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| Error::io("can't write the record of thrum init", error.into()))?;
        let to = (!self.setups.is_empty()).then(|| format!("{text}\n"));
        let from = Snapshot { text: self.source.clone(), ..files::read(path)? };
        Ok(Change { from, to, mode: Some(0o600) })
    }
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
