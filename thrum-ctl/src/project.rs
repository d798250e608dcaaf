//! The project of a folder: its origin URL, or else its name.
//!
//! Read from `.git/config` without starting git, because `thrum send` must be fast.

use std::path::{Path, PathBuf};

/// The project of a folder: the normalised origin URL of its git checkout, or else the name of the
/// checkout's folder, or else of the folder itself.
pub fn of(folder: &Path) -> String {
    let (root, config) = match checkout(folder) {
        Some((root, git_dir)) => (root, std::fs::read_to_string(git_dir.join("config")).ok()),
        None => (folder.to_owned(), None),
    };
    let origin = config.as_deref().and_then(origin_url);
    origin.as_deref().and_then(normalise).unwrap_or_else(|| {
        root.file_name().map_or_else(|| "/".to_owned(), |name| name.to_string_lossy().into_owned())
    })
}

/// The root of the checkout that contains a folder, and the git directory with its `config`.
fn checkout(folder: &Path) -> Option<(PathBuf, PathBuf)> {
    for root in folder.ancestors() {
        let dot_git = root.join(".git");
        if dot_git.is_dir() {
            return Some((root.to_owned(), dot_git));
        }
        // In a worktree or submodule, `.git` is a file that names the git directory.
        if let Ok(text) = std::fs::read_to_string(&dot_git) {
            let path = text.lines().find_map(|line| line.strip_prefix("gitdir:"))?.trim();
            let git_dir = root.join(path);
            // A worktree shares the config of the main checkout.
            let common = match std::fs::read_to_string(git_dir.join("commondir")) {
                Ok(common) => git_dir.join(common.trim()),
                Err(_) => git_dir,
            };
            return Some((root.to_owned(), common));
        }
    }
    None
}

/// `url` of `[remote "origin"]` in a git configuration.
fn origin_url(config: &str) -> Option<String> {
    let mut in_origin = false;
    let mut rest = config;
    while !rest.is_empty() {
        let (line, next) = rest.split_once('\n').unwrap_or((rest, ""));
        let mut here = rest;
        if line.trim_start().starts_with('[') {
            let (header, tail) = line.split_once(']').unwrap_or((line, ""));
            in_origin = header.replace(char::is_whitespace, "") == "[remote\"origin\"";
            // git allows a value on the same line.
            here = rest.get(line.len() - tail.len()..).unwrap_or_default();
        }
        if in_origin
            && let Some((key, after)) = here.split_once('=')
            && key.trim().eq_ignore_ascii_case("url")
        {
            return Some(value(after)).filter(|url| !url.is_empty());
        }
        rest = next;
    }
    None
}

/// The value at the beginning of the text, up to the end of its line or a comment, without quotes and
/// escapes.
fn value(text: &str) -> String {
    let (mut value, mut quoted) = (String::new(), false);
    // Spaces are kept back, because trailing ones are dropped.
    let mut blanks = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let c = match c {
            '\n' => break,
            '#' | ';' if !quoted => break,
            '"' => {
                quoted = !quoted;
                continue;
            }
            '\\' => match chars.next() {
                None => break,
                Some('\n') => continue,
                Some('t') => '\t',
                Some('n') => '\n',
                Some(c) => c,
            },
            c if c.is_whitespace() && !quoted => {
                blanks.push(c);
                continue;
            }
            c => c,
        };
        if !value.is_empty() {
            value.push_str(&blanks);
        }
        blanks.clear();
        value.push(c);
    }
    value
}

/// Normalises a URL: `git@GitHub.com:acme/app.git` and `https://me@github.com/acme/app/` are both
/// `github.com/acme/app`. User, password and query are dropped, because they may be secret. None
/// without a host: a path means something else on each machine.
fn normalise(url: &str) -> Option<String> {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = match url.split_once("://") {
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("file") => return None,
        Some((_, rest)) => rest.split_once('/')?,
        // scp's form. In a path, a slash precedes the first colon.
        None => url.split_once(':').filter(|(host, _)| !host.contains('/'))?,
    };
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    // The port does not identify the project.
    let host = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path).trim_end_matches('/');
    if host.len() < 2 || path.is_empty() {
        return None;
    }
    Some(format!("{}/{path}", host.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_an_origin_is_the_same_project() {
        for url in [
            "git@github.com:acme/app.git",
            "git@GitHub.com:acme/app",
            "github.com:/acme/app.git",
            "https://github.com/acme/app",
            "https://github.com/acme/app.git/",
            "https://me@github.com/acme/app.git",
            "https://me:secret@github.com:443/acme/app.git",
            "ssh://git@github.com/acme/app.git",
            "ssh://git@github.com:22/acme/app.git",
            "git://github.com/acme/app",
        ] {
            assert_eq!(normalise(url).as_deref(), Some("github.com/acme/app"), "{url}");
        }
        assert_eq!(normalise("git@gitlab.com:a/b/C.git").as_deref(), Some("gitlab.com/a/b/C"));
    }

    #[test]
    fn query_and_fragment_are_not_part_of_the_name() {
        for url in [
            "https://github.com/acme/app.git?token=SECRET",
            "https://github.com/acme/app?token=SE/CRET.git",
            "https://github.com/acme/app.git/#main",
            "git@github.com:acme/app.git#main",
        ] {
            assert_eq!(normalise(url).as_deref(), Some("github.com/acme/app"), "{url}");
        }
    }

    #[test]
    fn a_value_is_read_as_git_reads_it() {
        for (written, read) in [
            ("git@h:a/b.git # mine", "git@h:a/b.git"),
            ("git@h:a/b.git ; mine", "git@h:a/b.git"),
            ("git@h:a/b.git#mine", "git@h:a/b.git"),
            ("\"git@h:a/b;c\" # mine", "git@h:a/b;c"),
            ("git@h:\"a b\"/c", "git@h:a b/c"),
            (r"git@h:a\\b\tc", "git@h:a\\b\tc"),
            ("git@h:a/\\\nb.git", "git@h:a/b.git"),
        ] {
            let config = format!("[remote \"origin\"] # home\n\turl = {written}\n");
            assert_eq!(origin_url(&config).as_deref(), Some(read), "{written}");
        }
        let oneline = "[remote \"origin\"] url = git@h:a/b\n";
        assert_eq!(origin_url(oneline).as_deref(), Some("git@h:a/b"));
    }

    #[test]
    fn a_path_is_not_a_project_name() {
        for url in
            ["/srv/git/app.git", "../app", "file:///srv/app", "./a:b", "C:\\work", "https://", ""]
        {
            assert_eq!(normalise(url), None, "{url}");
        }
    }

    #[test]
    fn only_the_remote_named_origin_counts() {
        let config = "[core]\n\turl = no\n[remote \"fork\"]\n\turl = f\n\
                      [remote \"origin\"]\n\tfetch = +x\n\tURL = \"o\"\n[branch \"main\"]\n";
        assert_eq!(origin_url(config).as_deref(), Some("o"));
        assert_eq!(origin_url("[remote \"fork\"]\nurl = f\n"), None);
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
        assert_eq!(of(&inside), "app");

        std::fs::write(git.join("config"), "[remote \"origin\"]\n\turl = git@h.org:a/b.git\n")
            .unwrap();
        std::fs::write(git.join("worktrees/tree/commondir"), "../..\n").unwrap();
        let pointer = format!("gitdir: {}\n", git.join("worktrees/tree").display());
        std::fs::write(tree.join(".git"), pointer).unwrap();
        assert_eq!(of(&inside), "h.org/a/b");
        assert_eq!(of(&tree), "h.org/a/b");
    }

    #[test]
    fn without_git_the_folder_names_the_project() {
        let folder = tempfile::tempdir().unwrap();
        let plain = folder.path().join("notes");
        std::fs::create_dir(&plain).unwrap();
        // The temporary directory must not be in a checkout.
        assert_eq!(of(&plain), "notes");
    }
}
