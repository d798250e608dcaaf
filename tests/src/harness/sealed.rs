use std::ffi::{OsStr, OsString};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::{ended_within, output_within};

const INSIDE: &str = "THRUM_TEST_SEALED";
/// For one test. The longest take a minute.
const LIMIT: Duration = Duration::from_secs(600);
/// For a whole program: the benchmarks in full take some minutes.
const PROGRAM_LIMIT: Duration = Duration::from_secs(1800);

/// What [`run_sealed`] was given, in sealed namespaces whose loopback is made ready; None outside of
/// them.
///
/// # Panics
/// When loopback can't be made ready.
pub fn inside_sealed() -> Option<OsString> {
    let given = std::env::var_os(INSIDE)?;
    let up = Command::new("ip").args(["link", "set", "lo", "up"]).status();
    assert!(up.is_ok_and(|status| status.success()), "loopback can't be switched on");
    Some(given)
}

/// Runs the test of this name again in namespaces of its own: no network but what it makes, and every
/// process that it starts ends with it. `given` is what [`inside_sealed`] answers there.
///
/// # Panics
/// When the test does, with everything that it printed.
#[track_caller]
pub fn run_sealed(name: &str, given: &OsStr) {
    let begun = Instant::now();
    let mut command = this_program_sealed(given);
    // A test that is left out by default can be asked for by name.
    command.args(["--exact", name, "--nocapture", "--test-threads=1", "--include-ignored"]);
    let output = output_within(LIMIT, &mut command)
        .unwrap_or_else(|error| panic!("{name} in sealed namespaces: {error}"));
    let printed = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    // A name that matches no test would pass as well.
    let passed = output.status.success() && printed.contains("1 passed");
    assert!(passed, "{name} in sealed namespaces, {}:\n{printed}\n{complained}", output.status);
    // --nocapture shows what the body printed.
    let begin = format!("test {name} ... ");
    let harness = ["", "ok", "running 1 test"];
    for line in printed.lines().map(|line| line.strip_prefix(&begin).unwrap_or(line)) {
        if !harness.contains(&line) && !line.starts_with("test result: ") {
            println!("{name}: {line}");
        }
    }
    println!("{name}: {:.1?} in all", begun.elapsed());
}

/// This program, to be run again in such namespaces.
///
/// # Panics
/// When its path isn't known.
pub fn this_program_sealed(given: &OsStr) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--"])
        .arg(std::env::current_exe().unwrap())
        .env(INSIDE, given)
        .stdin(Stdio::null());
    command
}

/// Runs this whole program again in such namespaces, with the arguments that it has, and gives its status.
///
/// # Errors
/// When it can't be started.
///
/// # Panics
/// When it doesn't end.
pub fn run_again_sealed(given: &OsStr) -> Result<ExitStatus, String> {
    let mut child = this_program_sealed(given)
        .args(std::env::args_os().skip(1))
        .spawn()
        .map_err(|error| format!("unshare: {error}"))?;
    let status = ended_within(PROGRAM_LIMIT, &mut child);
    Ok(status.unwrap_or_else(|| panic!("it still ran after {PROGRAM_LIMIT:?} and was killed")))
}

/// The path of the test function inside which the closure `F` was written, without the crate.
pub fn test_of<F>() -> String {
    let path = std::any::type_name::<F>();
    let function = path.trim_end_matches("::{{closure}}");
    function.split_once("::").map_or(function, |(_, rest)| rest).to_owned()
}
