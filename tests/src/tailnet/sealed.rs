use std::process::ExitStatus;

use super::Programs;
use super::programs::run;
use crate::harness::{inside_sealed, run_again_sealed as run_again, run_sealed, skip, test_of};

/// Runs the body of a test in namespaces of its own: no network but what it makes, and every
/// process that it starts ends with it. The test program runs itself again for that.
///
/// The body must be a closure written in the test function itself: its name tells which test
/// to run.
///
/// # Panics
/// When the body does, with everything that it printed.
#[track_caller]
pub fn sealed<F: FnOnce(&Programs)>(body: F) {
    if let Some(programs) = inside() {
        return body(&programs);
    }
    match Programs::find() {
        Ok(programs) => run_sealed(&test_of::<F>(), programs.folder().as_os_str()),
        Err(reason) => skip(&reason),
    }
}

/// Runs this whole program again in such namespaces, with the arguments that it has, and gives
/// its status. None inside of them.
///
/// # Errors
/// Why this machine can't have a tailnet.
///
/// # Panics
/// When it doesn't end.
pub fn run_again_sealed() -> Result<Option<ExitStatus>, String> {
    if inside_sealed().is_some() {
        return Ok(None);
    }
    let programs = Programs::find()?;
    run_again(programs.folder().as_os_str()).map(Some)
}

/// The programs, in sealed namespaces that are made ready; None outside of them.
///
/// # Panics
/// When they can't be made ready.
pub fn inside() -> Option<Programs> {
    let folder = inside_sealed()?;
    hide_resolv_conf();
    Some(Programs::of(folder.into()))
}

/// tailscaled would write the machine's own file if it were ever told to accept DNS settings.
///
/// # Panics
/// When it can't be hidden.
pub fn hide_resolv_conf() {
    let path = "/etc/resolv.conf";
    if std::path::Path::new(path).exists() {
        run("mount", &["--bind", "/dev/null", path]).unwrap();
    }
}
