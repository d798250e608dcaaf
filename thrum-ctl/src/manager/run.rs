use std::process::{Command, Stdio};

use crate::error::Error;

/// Runs a command of the service manager.
///
/// # Errors
/// When it can't be started or fails, with its error output.
pub fn run(words: &[String]) -> Result<(), Error> {
    let Some((program, arguments)) = words.split_first() else { return Ok(()) };
    let shown = words.join(" ");
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::inherit())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .map_err(|source| Error::io(format!("can't run {shown}"), source))?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let stderr = stderr.trim();
    let hint = if words.first().is_some_and(|word| word == "launchctl") {
        "see ~/Library/Logs/thrumd.log".to_owned()
    } else if ["uthentication", "ccess denied", "ermission denied"]
        .iter()
        .any(|w| stderr.contains(w))
    {
        format!("sudo {shown}")
    } else if words.iter().any(|word| word == "--user") {
        "see why: journalctl --user -u thrumd -n 50".to_owned()
    } else {
        "see why: journalctl -u thrumd -n 50".to_owned()
    };
    let why = match one_line(stderr) {
        line if line.is_empty() => output.status.to_string(),
        line => line,
    };
    Err(Error::failed(format!("{shown} failed: {why}"), hint))
}

/// The error output as one line, without systemctl's "See ..." lines: the hint is more helpful.
fn one_line(stderr: &str) -> String {
    let lines = stderr.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("See "));
    lines.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_output_becomes_one_line() {
        let stderr = "Failed to stop a.socket: Access denied\nSee system logs and 'systemctl status \
                    a.socket' for details.\nFailed to stop a.service: Access denied\n";
        let line = "Failed to stop a.socket: Access denied Failed to stop a.service: Access denied";
        assert_eq!(one_line(stderr), line);
    }

    #[test]
    fn a_command_that_fails_says_why_in_one_line() {
        let words = ["sh", "-c", "printf 'no\\nway\\n' >&2; exit 1"].map(str::to_owned);
        let error = run(&words).unwrap_err().to_string();
        assert!(error.ends_with("failed: no way"), "{error}");
    }
}
