use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Tool;
use crate::harness::{can_isolate, inside_sealed, run_sealed, skip, test_of};
use crate::tailnet::{Programs, hide_resolv_conf};

/// Where the programs of tools lie: a folder for each.
#[derive(Debug, Clone)]
pub struct Installed {
    folder: PathBuf,
}

impl Installed {
    /// Installs what is missing of these.
    ///
    /// # Errors
    /// Why they can't be had here, for [`skip`].
    fn find(names: &[&str]) -> Result<Self, String> {
        can_isolate()?;
        let install = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/install");
        let output = Command::new(&install)
            .args(names)
            .output()
            .map_err(|error| format!("{}: {error}", install.display()))?;
        let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if !output.status.success() || folder.is_empty() {
            return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
        }
        Ok(Self::of(&folder))
    }

    fn of(folder: impl AsRef<OsStr>) -> Self {
        Self { folder: folder.as_ref().into() }
    }

    /// The folder with this program alone, whose name it has.
    pub fn folder_of(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Runs the body of a test with these tools, in namespaces of its own: no network but loopback, and every process that
/// it starts ends with it. The test program runs itself again for that.
///
/// The body must be a closure written in the test function itself: its name tells which test to run.
///
/// # Panics
/// When the body does, with everything that it printed.
#[track_caller]
pub fn sealed_with<F: FnOnce(&Installed)>(tools: &[Tool], body: F) {
    sealed_with_programs(&programs_of(tools), body);
}

/// The same with what `tests/tools/install` knows by these names.
///
/// # Panics
/// When the body does.
#[track_caller]
pub fn sealed_with_programs<F: FnOnce(&Installed)>(names: &[&str], body: F) {
    if let Some(folder) = inside_sealed() {
        return body(&Installed::of(folder));
    }
    match Installed::find(names) {
        Ok(installed) => run_sealed(&test_of::<F>(), installed.folder.as_os_str()),
        Err(reason) => skip(&reason),
    }
}

/// The same with tools and a real tailnet. The tools stay outside of its nodes: they talk to the daemons there over
/// their sockets.
///
/// # Panics
/// When the body does.
#[track_caller]
pub fn sealed_on_tailnet<F: FnOnce(&Installed, &Programs)>(tools: &[Tool], body: F) {
    let found = Programs::find();
    if let (Some(folder), Ok(programs)) = (inside_sealed(), &found) {
        hide_resolv_conf();
        return body(&Installed::of(folder), programs);
    }
    match found.and_then(|_| Installed::find(&programs_of(tools))) {
        Ok(installed) => run_sealed(&test_of::<F>(), installed.folder.as_os_str()),
        Err(reason) => skip(&reason),
    }
}

fn programs_of(tools: &[Tool]) -> Vec<&'static str> {
    tools.iter().map(|tool| tool.program()).collect()
}
