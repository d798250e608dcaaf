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
    let why = if said.is_empty() { output.status.to_string() } else { said.to_owned() };
    Err(Error::failed(format!("{shown} failed: {why}"), hint))
}
