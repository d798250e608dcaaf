//! The project of a folder: its origin URL, or else its name.
//!
//! An origin with a domain name is read from `.git/config` without starting a program, because `thrum send`
//! must be fast; git and ssh are asked about what only they understand.

mod ask;
mod config;
mod url;

use std::path::{Path, PathBuf};

use self::url::{Location, without_secrets};

/// The project of a folder.
pub struct Project {
    /// Its name.
    pub name: String,
    /// Where the name was read, for people.
    pub source: String,
}

/// The project of a folder: the normalised origin URL of its git checkout, or else the name of the
/// checkout's folder, or else of the folder itself.
pub fn of(folder: &Path) -> Project {
    let Some(checkout) = Checkout::around(folder) else {
        return Project { name: name(folder), source: "the name of the folder".to_owned() };
    };
    let Some((url, origin)) = checkout.origin() else {
        let name = checkout.name();
        return Project { name, source: "the checkout has no origin on another host".to_owned() };
    };
    let mut source = format!("the origin is {}", without_secrets(&url));
    let host = origin.host.clone();
    let origin = resolve_alias(origin);
    if origin.host != host {
        source.push_str(&format!(", and ssh resolves {host} to {}", origin.host));
    }
    Project { name: origin.name(), source }
}

/// The folder of the git checkout that contains a folder; None outside of one.
pub fn root(folder: &Path) -> Option<PathBuf> {
    Checkout::around(folder).map(|checkout| checkout.root)
}

/// The branch of the git checkout that contains a folder; None outside of one, and between branches.
pub fn branch(folder: &Path) -> Option<String> {
    let head = std::fs::read_to_string(Checkout::around(folder)?.head).ok()?;
    head.trim_end().strip_prefix("ref: refs/heads/").map(str::to_owned)
}

/// Replaces an alias of ssh's configuration by the host that it stands for. A domain name is the name that other
/// machines know, whatever ssh makes of it here.
fn resolve_alias(origin: Location) -> Location {
    if !origin.ssh || origin.is_domain() {
        return origin;
    }
    match ask::ssh_host(&origin.host) {
        // An address says less than the name.
        Some(host) if url::is_domain(&host) => origin.at(host),
        _ => origin,
    }
}

/// A git checkout.
struct Checkout {
    root: PathBuf,
    /// The git directory that has the configuration. Worktrees share that of their main checkout.
    git_dir: PathBuf,
    /// The file that names the branch. Each worktree has its own.
    head: PathBuf,
    is_worktree: bool,
}

impl Checkout {
    /// The checkout that contains a folder.
    fn around(folder: &Path) -> Option<Self> {
        for root in folder.ancestors() {
            let dot_git = root.join(".git");
            if dot_git.is_dir() {
                let (root, head) = (root.to_owned(), dot_git.join("HEAD"));
                return Some(Self { root, git_dir: dot_git, head, is_worktree: false });
            }
            // In a worktree or submodule, `.git` is a file that names the git directory.
            if let Ok(text) = std::fs::read_to_string(&dot_git) {
                let path = text.lines().find_map(|line| line.strip_prefix("gitdir:"))?.trim();
                let git_dir = root.join(path);
                let common = std::fs::read_to_string(git_dir.join("commondir"));
                let (is_worktree, head) = (common.is_ok(), git_dir.join("HEAD"));
                let git_dir = common.map_or(git_dir.clone(), |path| git_dir.join(path.trim()));
                return Some(Self { root: root.to_owned(), git_dir, head, is_worktree });
            }
        }
        None
    }

    /// The URL of the origin and its location, if it has a host. What git makes of the URL (`insteadOf`,
    /// included files) counts only where the URL as written is no name that other machines know: a mirror
    /// that git uses here in place of a forge doesn't make another project.
    fn origin(&self) -> Option<(String, Location)> {
        let config = std::fs::read(self.git_dir.join("config")).unwrap_or_default();
        let written = config::origin_url(&String::from_utf8_lossy(&config));
        let located = |url: String| Location::of(&url).map(|location| (url, location));
        let written = written.and_then(located);
        match written {
            Some((url, location)) if location.is_domain() => Some((url, location)),
            written => ask::git_origin(&self.root).and_then(located).or(written),
        }
    }

    /// The name of the checkout's folder; that of the main checkout or bare repository in a worktree.
    fn name(&self) -> String {
        if !self.is_worktree {
            return name(&self.root);
        }
        let git_dir = std::fs::canonicalize(&self.git_dir).unwrap_or_else(|_| self.git_dir.clone());
        let own = name(&git_dir);
        match git_dir.parent() {
            // `app/.git`, or a hidden bare repository: `app/.bare`
            Some(parent) if own.starts_with('.') => name(parent),
            _ => own.strip_suffix(".git").unwrap_or(&own).to_owned(),
        }
    }
}

fn name(folder: &Path) -> String {
    folder.file_name().map_or_else(|| "/".to_owned(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name_of(folder: &Path) -> String {
        of(folder).name
    }

    #[test]
    fn a_worktree_belongs_to_the_project_of_its_checkout() {
        let folder = tempfile::tempdir().unwrap();
        let main = folder.path().join("app");
        let inside = main.join("src/deep");
        let git = main.join(".git");
        let tree = folder.path().join("tree");
        std::fs::create_dir_all(git.join("worktrees/tree")).unwrap();
        std::fs::create_dir_all(&inside).unwrap();
        std::fs::create_dir_all(&tree).unwrap();
        assert_eq!(name_of(&inside), "app");

        std::fs::write(git.join("config"), "[remote \"origin\"]\n\turl = git@h.org:a/b.git\n")
            .unwrap();
        std::fs::write(git.join("worktrees/tree/commondir"), "../..\n").unwrap();
        let pointer = format!("gitdir: {}\n", git.join("worktrees/tree").display());
        std::fs::write(tree.join(".git"), pointer).unwrap();
        assert_eq!(name_of(&inside), "h.org/a/b");
        assert_eq!(name_of(&tree), "h.org/a/b");

        std::fs::write(git.join("HEAD"), "ref: refs/heads/main\n").unwrap();
        std::fs::write(git.join("worktrees/tree/HEAD"), "ref: refs/heads/fix/auth\n").unwrap();
        assert_eq!(branch(&inside).as_deref(), Some("main"));
        assert_eq!(branch(&tree).as_deref(), Some("fix/auth"));
        std::fs::write(git.join("HEAD"), "c0ffee\n").unwrap();
        assert_eq!(branch(&inside), None);
    }

    #[test]
    fn without_git_the_folder_names_the_project() {
        let folder = tempfile::tempdir().unwrap();
        let plain = folder.path().join("notes");
        std::fs::create_dir(&plain).unwrap();
        // The temporary directory must not be in a checkout.
        assert_eq!(name_of(&plain), "notes");
    }
}
