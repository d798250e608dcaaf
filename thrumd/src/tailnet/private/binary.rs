//! Where programs are.

use std::env;
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where packages put tailscaled although a service's PATH often lacks it.
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

/// tailscaled, from PATH and the usual places.
pub fn find() -> Option<PathBuf> {
    find_in("tailscaled", env::var_os("PATH").as_deref(), USUAL)
}

/// Any other program, from the same places.
pub fn find_program(name: &str) -> Option<PathBuf> {
    find_in(name, env::var_os("PATH").as_deref(), USUAL)
}

/// The first executable file `name` in `path` (colons between), then in `more`.
pub fn find_in(name: &str, path: Option<&OsStr>, more: &[&str]) -> Option<PathBuf> {
    let listed = path.map(env::split_paths).into_iter().flatten();
    listed
        .filter(|dir| dir.is_absolute())
        .chain(more.iter().map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    file.metadata().is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}
