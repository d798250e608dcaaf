use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::Programs;
use super::programs::run;
use crate::harness::{ended_within, output_within, skip};

const INSIDE: &str = "THRUM_TEST_SEALED";
/// For one test. The longest take a minute.
const LIMIT: Duration = Duration::from_secs(600);
/// For a whole program: the benchmarks in full take some minutes.
const LONG_LIMIT: Duration = Duration::from_secs(1800);

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
    let programs = match Programs::find() {
        Ok(programs) => programs,
        Err(reason) => return skip(&reason),
    };
    let name = test_name::<F>();
    let begun = Instant::now();
    let mut command = this_program_sealed(&programs);
    command.args(["--exact", &name, "--nocapture", "--test-threads=1"]);
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

/// Runs this whole program again in such namespaces, with the arguments that it has, and gives
/// its status. None inside of them.
///
/// # Errors
/// Why this machine can't have a tailnet.
///
/// # Panics
/// When it doesn't end.
pub fn run_again_sealed() -> Result<Option<ExitStatus>, String> {
    if std::env::var_os(INSIDE).is_some() {
        return Ok(None);
    }
    let programs = Programs::find()?;
    let mut command = this_program_sealed(&programs);
    let mut child = command
        .args(std::env::args_os().skip(1))
        .spawn()
        .map_err(|error| format!("unshare: {error}"))?;
    let status = ended_within(LONG_LIMIT, &mut child);
    Ok(Some(status.unwrap_or_else(|| panic!("it still ran after {LONG_LIMIT:?} and was killed"))))
}

/// The programs, in sealed namespaces that are made ready; None outside of them.
///
/// # Panics
/// When they can't be made ready.
pub fn inside() -> Option<Programs> {
    let folder = std::env::var_os(INSIDE)?;
    run("ip", &["link", "set", "lo", "up"]).unwrap();
    hide_resolv_conf();
    Some(Programs::of(folder.into()))
}

fn this_program_sealed(programs: &Programs) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--"])
        .arg(std::env::current_exe().unwrap())
        .env(INSIDE, programs.folder())
        .stdin(Stdio::null());
    command
}

/// The path of the test function inside which the closure `F` was written, without the crate.
fn test_name<F>() -> String {
    let path = std::any::type_name::<F>();
    let function = path.trim_end_matches("::{{closure}}");
    function.split_once("::").map_or(function, |(_, rest)| rest).to_owned()
}

/// tailscaled would write the machine's own file if it were ever told to accept DNS settings.
fn hide_resolv_conf() {
    let path = "/etc/resolv.conf";
    if std::path::Path::new(path).exists() {
        run("mount", &["--bind", "/dev/null", path]).unwrap();
    }
}
