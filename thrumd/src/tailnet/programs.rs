//! Search for programs.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Folders of packages that a service's PATH often lacks.
const USUAL: &[&str] = &[
    "/usr/sbin",
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/bin",
    "/opt/homebrew/bin",
    "/opt/homebrew/sbin",
    "/home/linuxbrew/.linuxbrew/bin",
    "/run/current-system/sw/bin",
];

/// tailscaled, from PATH or the usual folders.
pub(super) fn tailscaled() -> Option<PathBuf> {
    find("tailscaled")
}

/// A program, from PATH or the usual folders.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    find_in(name, env::var_os("PATH").as_deref(), USUAL)
}

/// The first executable file `name` in `path` (separated by colons), then in `more`. Relative folders
/// are skipped: what we run must not depend on where we were started.
fn find_in(name: &str, path: Option<&OsStr>, more: &[&str]) -> Option<PathBuf> {
    let listed = path.map(env::split_paths).into_iter().flatten();
    let folders =
        listed.filter(|folder| folder.is_absolute()).chain(more.iter().map(PathBuf::from));
    let folders = env::join_paths(folders).ok()?;
    which::which_in(name, Some(folders), Path::new("/")).ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_program_is_found_in_path_and_in_the_usual_folders() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("tailscaled");
        let mode = |mode| {
            std::fs::set_permissions(&program, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        std::fs::write(&program, "#!/bin/sh\n").unwrap();
        mode(0o755);
        let dir = folder.path().to_str().unwrap();
        let find =
            |path: Option<&str>, more: &[&str]| find_in("tailscaled", path.map(OsStr::new), more);
        assert_eq!(find(Some(&format!("/nowhere:{dir}")), &[]), Some(program.clone()));
        assert_eq!(find(None, &["/nowhere", dir]), Some(program.clone()));
        assert_eq!(find(Some("/nowhere"), &[]), None);
        let relative = format!("..{dir}");
        assert_eq!(find(Some(&relative), &[]), None, "depends on where we are");
        mode(0o644);
        assert_eq!(find(None, &[dir]), None, "not executable");
    }
}
