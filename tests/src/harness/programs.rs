use std::path::{Path, PathBuf};
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
