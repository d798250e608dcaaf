//! `thrum hook TOOL POINT`: what the hooks of agents' tools run at the points of a session.
//!
//! A hook is silent, except for what the model is to see: whatever goes wrong, it ends with 0 and prints nothing. Doctor tells
//! of it, by [`notes`]. It is fast, because it runs between any two steps: it does without the parser of the command line.

mod answer;
mod env_file;
mod input;
mod listen;
pub mod notes;
mod point;
pub mod prime;
mod quote;
mod run;
mod stdin;

use std::ffi::OsString;

use crate::cli::Global;

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
    let variable = |name| std::env::var(name).ok();
    let mut global = Global {
        agent: variable("THRUM_AGENT"),
        project: variable("THRUM_PROJECT"),
        socket: std::env::var_os("THRUM_SOCKET"),
        ..Global::default()
    };
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
    let mut named = named.into_iter().skip(1);
    // Without both, a person tries it: that one is told what is missing.
    Some(Asked { tool: named.next()?, point: named.next()?, global })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<Asked> {
        let words = std::iter::once("thrum").chain(line.split_whitespace());
        asked(&words.map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn the_command_line_of_a_hook_is_read_whatever_else_it_has() {
        for line in [
            "hook codex stop",
            "--as me hook codex stop --socket=/s --project p",
            "--json hook --new-option codex -x stop more --color never",
        ] {
            let asked = read(line).unwrap();
            assert_eq!((asked.tool.as_str(), asked.point.as_str()), ("codex", "stop"), "{line}");
        }
        let asked = read("--as me hook codex stop --socket=/s --project p").unwrap().global;
        let socket = asked.socket.as_deref().and_then(|it| it.to_str());
        assert_eq!(
            (asked.agent.as_deref(), asked.project.as_deref(), socket),
            (Some("me"), Some("p"), Some("/s"))
        );
        for other in
            ["", "send hook x", "hook", "hook codex", "hook codex stop --help", "--as hook send x"]
        {
            assert!(read(other).is_none(), "{other}");
        }
    }
}
