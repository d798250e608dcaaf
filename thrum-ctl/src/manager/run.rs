use std::process::{Command, Stdio};

use crate::error::Error;

/// Runs a command of the service manager.
///
/// # Errors
/// When it can't be started or fails, with what it said.
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
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim();
    let hint = if words.first().is_some_and(|word| word == "launchctl") {
        "see ~/Library/Logs/thrumd.log".to_owned()
    } else if ["uthentication", "ccess denied", "ermission denied"].iter().any(|w| said.contains(w))
    {
        format!("sudo {shown}")
    } else if words.iter().any(|word| word == "--user") {
        "see why: journalctl --user -u thrumd -n 50".to_owned()
    } else {
        "see why: journalctl -u thrumd -n 50".to_owned()
    };
    let why = match one_line(said) {
        line if line.is_empty() => output.status.to_string(),
        line => line,
    };
    Err(Error::failed(format!("{shown} failed: {why}"), hint))
}

/// What systemctl says, without its pointers to where more is said: the hint has a better one.
fn one_line(said: &str) -> String {
    let lines = said.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("See "));
    lines.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_manager_says_becomes_one_line() {
        let said = "Failed to stop a.socket: Access denied\nSee system logs and 'systemctl status \
                    a.socket' for details.\nFailed to stop a.service: Access denied\n";
        let line = "Failed to stop a.socket: Access denied Failed to stop a.service: Access denied";
        assert_eq!(one_line(said), line);
    }

    #[test]
    fn a_command_that_fails_says_why_in_one_line() {
        let words = ["sh", "-c", "printf 'no\\nway\\n' >&2; exit 1"].map(str::to_owned);
        let error = run(&words).unwrap_err().to_string();
        assert!(error.ends_with("failed: no way"), "{error}");
    }
}
