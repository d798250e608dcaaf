//! The file in which Claude Code takes variables for the commands of a session.

use std::fs::OpenOptions;
use std::io::{self, Write as _};

use crate::outer_agent;
use crate::setup::Identity;

/// The variable that names it, at the start of a session.
const NAMED_BY: &str = "CLAUDE_ENV_FILE";

/// Tells the shell of a session who it is, so that `thrum` knows there; and only `thrum`, not the hooks of another tool that is
/// started there.
///
/// # Errors
/// When there is such a file and it can't be written.
pub fn tell_shell(identity: &Identity, session: &str) -> io::Result<()> {
    let Some(path) = std::env::var_os(NAMED_BY).filter(|path| !path.is_empty()) else {
        return Ok(());
    };
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(lines(identity, session).as_bytes())
}

fn lines(identity: &Identity, session: &str) -> String {
    let variables = [
        ("THRUM_AGENT", identity.agent.as_str()),
        ("THRUM_PROJECT", &identity.project),
        ("THRUM_SESSION", session),
        (outer_agent::VARIABLE, &identity.agent),
    ];
    // Others write to it, too, perhaps without a line end.
    let line = |(name, value)| format!("export {name}={}\n", quoted(value));
    std::iter::once("\n".to_owned()).chain(variables.map(line)).collect()
}

/// A word for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_the_very_names() {
        let odd = "a'b \"c\" $HOME `id` \\";
        let identity = Identity {
            agent: odd.to_owned(),
            project: "p".to_owned(),
            wake: false,
            is_set_up: true,
        };
        let script = format!(
            "export X=1{}printf %s \"$THRUM_AGENT|$THRUM_PROJECT|$THRUM_SESSION\"",
            lines(&identity, "it's")
        );
        let output = std::process::Command::new("/bin/sh").args(["-c", &script]).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{odd}|p|it's"));
    }
}
