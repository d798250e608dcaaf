//! The pager: a program that shows what is longer than the screen, page by page.

use std::io::{self, Write as _};
use std::process::{Command, ExitStatus, Stdio};

use tokio::signal::unix::{SignalKind, signal};

/// The exit codes of a shell that could not start a program.
const NOT_STARTED: [i32; 2] = [126, 127];
/// Options of `less`, unless the person has some: end at once if all fits, show colours, leave the screen as it is.
const LESS: &str = "FRX";

/// What became of a text that was given to the pager.
#[derive(Debug, PartialEq, Eq)]
pub enum Paged {
    /// The person has seen what they wanted, and ended it.
    Shown,
    /// It could not be started: the text is still to be shown.
    NotStarted,
    /// It ended in another way, so nobody knows what was seen.
    Failed(ExitStatus),
}

/// The command of the pager; None if output is printed as it is.
pub fn command() -> Option<String> {
    chosen(|name| std::env::var(name).ok())
}

fn chosen(variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let named = variable("THRUM_PAGER").or_else(|| variable("PAGER"));
    let command = named.unwrap_or_else(|| "less".to_owned());
    Some(command.trim().to_owned()).filter(|command| !matches!(command.as_str(), "" | "cat"))
}

/// Shows a text and waits until the person has ended the pager.
///
/// # Errors
/// When it can't be waited for.
pub fn show(pager: &str, text: &str) -> io::Result<Paged> {
    // Ctrl-C is for the pager as long as it runs. Without a listener it would end this process, and leave the pager
    // alone with the terminal.
    let _interrupts = signal(SignalKind::interrupt())?;
    let mut command = Command::new("sh");
    command.arg("-c").arg(pager).stdin(Stdio::piped());
    if std::env::var_os("LESS").is_none() {
        command.env("LESS", LESS);
    }
    let Ok(mut child) = command.spawn() else { return Ok(Paged::NotStarted) };
    if let Some(mut stdin) = child.stdin.take() {
        // A person who ends it early closes the pipe: how it ended is what counts.
        drop(stdin.write_all(text.as_bytes()));
    }
    let status = child.wait()?;
    Ok(match status.code() {
        Some(0) => Paged::Shown,
        Some(code) if NOT_STARTED.contains(&code) => Paged::NotStarted,
        _ => Paged::Failed(status),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_variable_comes_first_and_an_empty_one_means_no_pager() {
        let of = |own: Option<&str>, common: Option<&str>| {
            chosen(|name| if name == "PAGER" { common } else { own }.map(str::to_owned))
        };
        assert_eq!(of(None, None).as_deref(), Some("less"));
        assert_eq!(of(None, Some("most -x")).as_deref(), Some("most -x"));
        assert_eq!(of(Some("bat"), Some("most")).as_deref(), Some("bat"));
        assert_eq!(of(Some(""), Some("most")), None);
        assert_eq!(of(None, Some("cat")), None);
    }

    #[tokio::test]
    async fn a_pager_that_fails_has_shown_nothing() {
        assert_eq!(show("cat >/dev/null", "text").unwrap(), Paged::Shown);
        assert_eq!(show("true", &"x".repeat(1 << 20)).unwrap(), Paged::Shown, "ended early");
        assert_eq!(show("no-such-pager-xyz 2>/dev/null", "text").unwrap(), Paged::NotStarted);
        assert!(matches!(show("exit 3", "text").unwrap(), Paged::Failed(_)));
        assert!(matches!(show("kill -9 $$", "text").unwrap(), Paged::Failed(_)));
    }
}
