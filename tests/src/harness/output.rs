use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

/// Runs a command to its end, without stdin; kills it when it takes longer than this.
///
/// # Errors
/// When it can't be started, or was killed: with all that it had printed.
///
/// # Panics
/// When no temporary files can be made.
pub fn output_within(limit: Duration, command: &mut Command) -> Result<Output, String> {
    let name = command.get_program().display().to_string();
    // Files: nobody reads a pipe meanwhile, and a full one would stop the command.
    let (mut stdout, mut stderr) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
    let mut child = command
        .stdin(Stdio::null())
        .stdout(stdout.try_clone().unwrap())
        .stderr(stderr.try_clone().unwrap())
        .spawn()
        .map_err(|error| format!("{name}: {error}"))?;
    let status = ended_within(limit, &mut child);
    let (stdout, stderr) = (content(&mut stdout), content(&mut stderr));
    match status {
        Some(status) => Ok(Output { status, stdout, stderr }),
        None => {
            let [stdout, stderr] =
                [stdout, stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
            Err(format!("{name} still ran after {limit:?} and was killed:\n{stdout}\n{stderr}"))
        }
    }
}

/// Waits for the end of a child; none if it had to be killed because it took longer than this.
///
/// # Panics
/// When it can't be waited for.
pub fn ended_within(limit: Duration, child: &mut Child) -> Option<ExitStatus> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        if begun.elapsed() > limit {
            let _ended = child.kill();
            let _status = child.wait();
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn content(file: &mut File) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn what_fits_into_no_pipe_is_read_whole() {
        let script = "head -c 300000 /dev/zero; echo no >&2; exit 3";
        let output = output_within(super::super::SHORT, &mut shell(script)).unwrap();
        assert_eq!(output.status.code(), Some(3));
        assert_eq!((output.stdout.len(), &*output.stderr), (300_000, &b"no\n"[..]));
    }

    #[test]
    fn what_hangs_is_killed_and_quoted() {
        let limit = Duration::from_millis(500);
        // Again, because a shell that starts late has printed nothing yet.
        super::super::eventually(super::super::SHORT, || {
            let error =
                output_within(limit, &mut shell("echo so far; exec sleep 600")).unwrap_err();
            super::super::holds(error.contains("so far") && error.contains("still ran"), || error)
        });
    }
}
