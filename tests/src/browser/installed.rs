use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use super::{Browser, BrowserSetup};
use crate::harness::{
    can_isolate, inside_sealed, run_again_sealed as run_again, run_sealed, skip, test_of,
};

/// A browser that can be started, and what the tests put into its pages.
#[derive(Debug, Clone)]
pub struct InstalledBrowser {
    axe: PathBuf,
}

impl InstalledBrowser {
    /// Installs what is missing.
    ///
    /// # Errors
    /// Why it can't be had here, for [`skip`].
    pub fn find() -> Result<Self, String> {
        can_isolate()?;
        let install = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/browser");
        let output = Command::new(&install)
            .output()
            .map_err(|error| format!("{}: {error}", install.display()))?;
        let axe = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if !output.status.success() || axe.is_empty() {
            return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
        }
        Ok(Self::with_axe(axe))
    }

    fn with_axe(path: impl Into<PathBuf>) -> Self {
        Self { axe: path.into() }
    }

    /// The one that was found before, in sealed namespaces; None outside of them.
    pub fn inside() -> Option<Self> {
        inside_sealed().map(Self::with_axe)
    }

    /// A browser of its own, with an empty profile.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn start(&self) -> Browser {
        self.setup().start()
    }

    /// How a browser is to be started.
    pub fn setup(&self) -> BrowserSetup {
        BrowserSetup::new(self.axe.clone())
    }
}

/// Runs the body of a test with a browser, in namespaces of its own: no network but loopback, and every process that it
/// starts ends with it. The test program runs itself again for that.
///
/// The body must be a closure written in the test function itself: its name tells which test to run.
///
/// # Panics
/// When the body does, with everything that it printed.
#[track_caller]
pub fn sealed_in_browser<F: FnOnce(&InstalledBrowser)>(body: F) {
    if let Some(installed) = InstalledBrowser::inside() {
        return body(&installed);
    }
    match InstalledBrowser::find() {
        Ok(installed) => run_sealed(&test_of::<F>(), installed.axe.as_os_str()),
        Err(reason) => skip(&reason),
    }
}

/// Runs this whole program again in such namespaces, with the arguments that it has, and gives its status. None inside of
/// them.
///
/// # Errors
/// Why there can't be a browser here.
///
/// # Panics
/// When it doesn't end.
pub fn run_again_sealed() -> Result<Option<ExitStatus>, String> {
    if inside_sealed().is_some() {
        return Ok(None);
    }
    let installed = InstalledBrowser::find()?;
    run_again(installed.axe.as_os_str()).map(Some)
}
