//! `thrum hook TOOL POINT`: what the hooks of agents' tools run at the points of a session.
//!
//! A hook is silent, except for what the model is to see: whatever goes wrong, it ends with 0 and prints nothing. Doctor tells
//! of it, by [`notes`]. It is fast, because it runs between any two steps: it does without the parser of the command line.

mod answer;
mod env_file;
mod failure;
mod input;
mod listen;
pub mod notes;
mod point;
pub mod prime;
mod quote;
mod run;
mod stdin;

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};

use crate::cli::Global;
use crate::outer_agent;

pub use run::run;

/// The name of the command.
pub const COMMAND: &str = "hook";

/// What the command line of a hook says.
#[derive(Debug)]
pub struct Asked {
    /// The tool, and the point: any words.
    tool: String,
    point: String,
    /// Options of every command.
    global: Global,
}

/// What a command line asks for if it is that of a hook. Options that this version doesn't know are none of its business:
/// the files of a tool may have been written by a newer one.
pub fn asked(arguments: &[OsString]) -> Option<Asked> {
    read(arguments, || io::stdin().is_terminal())
}

fn read(arguments: &[OsString], is_tried: impl Fn() -> bool) -> Option<Asked> {
    let variable = |name| std::env::var(name).ok();
    let mut global = outer_agent::left_out(Global {
        agent: variable("THRUM_AGENT"),
        project: variable("THRUM_PROJECT"),
        socket: std::env::var_os("THRUM_SOCKET"),
        ..Global::default()
    });
    let mut named = Vec::new();
    let mut words = arguments.iter().skip(1);
    while let Some(word) = words.next() {
        let word = word.to_str().unwrap_or_default();
        let (option, value) = match word.split_once('=') {
            Some((option, value)) if word.starts_with("--") => (option, Some(value.to_owned())),
            _ => (word, None),
        };
        let mut value = || value.clone().or_else(|| words.next()?.to_str().map(str::to_owned));
        match option {
            "-h" | "--help" => return None,
            "--as" => global.agent = value(),
            "--project" => global.project = value(),
            "--socket" => global.socket = value().map(OsString::from),
            "--color" => drop(value()),
            _ if word.starts_with('-') => {}
            _ if named.is_empty() && word != COMMAND => return None,
            _ => named.push(word.to_owned()),
        }
    }
    // A person who tries it is told what is missing.
    if named.is_empty() || (named.len() < 3 && is_tried()) {
        return None;
    }
    let mut named = named.into_iter().skip(1);
    let mut next = || named.next().unwrap_or_default();
    Some(Asked { tool: next(), point: next(), global })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        let words = std::iter::once("thrum").chain(line.split_whitespace());
        words.map(OsString::from).collect()
    }

    #[test]
    fn the_command_line_of_a_hook_is_read_whatever_else_it_has() {
        for line in [
            "hook codex stop",
            "--as me hook codex stop --socket=/s --project p",
            "--json hook --new-option codex -x stop more --color never",
        ] {
            let asked = read(&words(line), || true).unwrap();
            assert_eq!((asked.tool.as_str(), asked.point.as_str()), ("codex", "stop"), "{line}");
        }
        let line = words("--as me hook codex stop --socket=/s --project p");
        let asked = read(&line, || false).unwrap().global;
        let socket = asked.socket.as_deref().and_then(|it| it.to_str());
        assert_eq!(
            (asked.agent.as_deref(), asked.project.as_deref(), socket),
            (Some("me"), Some("p"), Some("/s"))
        );
        for other in ["", "send hook x", "hook codex stop --help", "--as hook send x", "--json"] {
            assert!(read(&words(other), || false).is_none(), "{other}");
        }
        for short in ["hook", "hook codex"] {
            assert!(read(&words(short), || true).is_none(), "{short}: at a terminal");
            assert!(read(&words(short), || false).is_some_and(|asked| asked.point.is_empty()));
        }
    }
}
