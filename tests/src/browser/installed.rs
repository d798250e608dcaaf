use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Browser, BrowserSetup};
use crate::harness::{can_isolate, inside_sealed, run_sealed, skip, test_of};

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
        Ok(Self::with_axe(&axe))
    }

    fn with_axe(path: impl AsRef<OsStr>) -> Self {
        Self { axe: path.as_ref().into() }
    }

    /// What [`run_sealed`] needs to know of it.
    pub fn as_given(&self) -> &OsStr {
        self.axe.as_os_str()
    }

    /// What was given as [`Self::as_given`].
    pub fn given(given: &OsStr) -> Self {
        Self::with_axe(given)
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
    if let Some(given) = inside_sealed() {
        return body(&InstalledBrowser::given(&given));
    }
    match InstalledBrowser::find() {
        Ok(installed) => run_sealed(&test_of::<F>(), installed.as_given()),
        Err(reason) => skip(&reason),
    }
}
