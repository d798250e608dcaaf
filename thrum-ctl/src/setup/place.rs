//! Where the files of the tools are.

use std::path::{Path, PathBuf};

use crate::error::Error;

/// For what a tool is set up: for a folder, or for the person everywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// For this folder, whose path has no links.
    Folder(PathBuf),
    /// For every folder of the person.
    Person,
}

impl Scope {
    /// The folder, if it is for one.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Folder(folder) => Some(folder),
            Self::Person => None,
        }
    }

    /// Where a link on the way to a file of a tool leads to. A person's home may itself be one: that tells nothing.
    pub fn leads_to(&self, path: &Path) -> Option<PathBuf> {
        let is_link = || std::fs::symlink_metadata(path).is_ok_and(|it| it.is_symlink());
        match self {
            Self::Person if !is_link() => None,
            _ => leads_to(path),
        }
    }
}

/// The folders in which the tools keep the files of a person.
#[derive(Debug, Clone)]
pub struct Homes {
    /// The person's home.
    pub home: PathBuf,
    /// Claude Code's, if it was moved.
    pub claude: Option<PathBuf>,
    /// Codex's.
    pub codex: PathBuf,
    /// Copilot's.
    pub copilot: PathBuf,
    /// That of OpenCode.
    pub opencode: PathBuf,
}

impl Homes {
    /// The folders of this person.
    ///
    /// # Errors
    /// When the person has no home.
    pub fn from_environment() -> Result<Self, Error> {
        let home = directories::BaseDirs::new().map(|dirs| dirs.home_dir().to_owned());
        let home = home.ok_or_else(|| {
            Error::failed("this user has no home directory", "set HOME, then try again")
        })?;
        let named = |name| std::env::var_os(name).map(PathBuf::from).filter(|it| it.is_absolute());
        Ok(Self {
            claude: named("CLAUDE_CONFIG_DIR"),
            codex: named("CODEX_HOME").unwrap_or_else(|| home.join(".codex")),
            copilot: named("COPILOT_HOME").unwrap_or_else(|| home.join(".copilot")),
            opencode: named("XDG_CONFIG_HOME")
                .unwrap_or_else(|| home.join(".config"))
                .join("opencode"),
            home,
        })
    }

    /// Everything below one folder, for tests.
    #[cfg(test)]
    pub fn below(home: &Path) -> Self {
        Self {
            home: home.to_owned(),
            claude: None,
            codex: home.join(".codex"),
            copilot: home.join(".copilot"),
            opencode: home.join(".config/opencode"),
        }
    }
}

/// Where a file is when the links on the way to it are followed, if that is another place. It need not be there yet.
fn leads_to(path: &Path) -> Option<PathBuf> {
    let found =
        path.ancestors().find_map(|above| Some((above, std::fs::canonicalize(above).ok()?)));
    let (above, real) = found?;
    let rest = path.strip_prefix(above).ok().filter(|rest| !rest.as_os_str().is_empty());
    let real = rest.map_or_else(|| real.clone(), |rest| real.join(rest));
    (real != path).then_some(real)
}

/// The first of these files that is there, or else the first one.
pub fn present(folder: &Path, names: &[&str]) -> PathBuf {
    let paths = names.iter().map(|name| folder.join(name));
    let there = paths.clone().find(|path| std::fs::symlink_metadata(path).is_ok());
    there.or_else(|| paths.clone().next()).unwrap_or_else(|| folder.to_owned())
}
