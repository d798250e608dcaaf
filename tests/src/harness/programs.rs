use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// The path of `thrumd` or `thrum`, beside the running test program.
///
/// # Panics
/// When it is not there, or older than its sources: both mean that it has to be built first.
pub fn program(name: &str) -> PathBuf {
    let me = std::env::current_exe().expect("the path of this test program");
    // A test lies in target/PROFILE/deps, a benchmark in target/PROFILE.
    let found = me
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| {
            panic!(
                "{name} is not beside {}: build it first with `cargo build --workspace --bins`",
                me.display()
            )
        });
    if let Some(source) = newer_source(&found) {
        panic!(
            "{} is older than {}: build it first with `cargo build --workspace --bins`",
            found.display(),
            source.display()
        );
    }
    found
}

/// Copies a program, or a script that stands for one, to where anybody may run it.
///
/// By another program: what this one had open for writing may be busy for as long as another test starts a process.
///
/// # Panics
/// When that fails.
pub fn copy_program(from: &Path, to: &Path) {
    let copied = Command::new("cp").args([from, to]).status().expect("cp");
    assert!(copied.success(), "cp {} {}: {copied}", from.display(), to.display());
    // Under a umask of 077 it would be its owner's alone.
    std::fs::set_permissions(to, Permissions::from_mode(0o755)).expect("its owner");
}

/// Writes a script that is run right away.
///
/// # Panics
/// When that fails.
pub fn write_script(to: &Path, text: &str) {
    let written = to.with_extension("written");
    std::fs::write(&written, text).expect("a script");
    copy_program(&written, to);
    std::fs::remove_file(&written).expect("it was written");
}

/// A source of this program that changed after it was built, by the list that cargo left beside it.
fn newer_source(program: &Path) -> Option<PathBuf> {
    let list = std::fs::read_to_string(program.with_extension("d")).ok()?;
    let (_, sources) = list.split_once(": ")?;
    let built = changed(program)?;
    let mut sources = sources.trim_end().replace("\\ ", "\0");
    sources.push(' ');
    sources
        .split(' ')
        .filter(|path| !path.is_empty())
        .map(|path| PathBuf::from(path.replace('\0', " ")))
        .find(|path| changed(path).is_some_and(|time| time > built))
}

fn changed(path: &Path) -> Option<SystemTime> {
    path.metadata().ok()?.modified().ok()
}
