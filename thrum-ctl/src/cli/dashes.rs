//! Escapes a message of `thrum send` or `thrum reply` that begins with a dash and is not an option.

use std::ffi::OsString;

use clap::{Arg, Command};
use thrum_api::similar_names;

const COMMANDS: [&str; 2] = ["send", "reply"];

/// Moves recipients and message of these commands behind a `--`. A Markdown list, a diff or `-1` is then
/// a message, and options are still allowed anywhere.
pub fn escape_message(arguments: &[OsString], command: &Command) -> Vec<OsString> {
    let Some((index, name)) = command_word(arguments, command) else { return arguments.to_vec() };
    if !COMMANDS.contains(&name) {
        return arguments.to_vec();
    }
    let everywhere = Options::everywhere(command);
    let start = index + 1;
    let Some(writing) = command.find_subcommand(name) else { return arguments.to_vec() };
    let options = everywhere.and(Options::of(writing.get_arguments()));

    let mut before = arguments[..start].to_vec();
    let (mut values, mut after) = (Vec::new(), Vec::new());
    let mut recipients_named = false;
    let mut words = arguments[start..].iter();
    while let Some(word) = words.next() {
        match word.to_str().map(|word| (word, options.kind(word))) {
            Some((_, Kind::End)) => after.extend(words.by_ref().cloned()),
            Some((name, Kind::Option { takes_next })) => {
                recipients_named |= name == "--all" || name.starts_with("--to");
                before.push(word.clone());
                before.extend(words.by_ref().take(usize::from(takes_next)).cloned());
            }
            _ => values.push(word.clone()),
        }
    }
    // The last word is the message. The parser rejects other words that begin with a dash.
    let message = if after.is_empty() { values.pop() } else { None };
    let (dashed, mut values): (Vec<_>, Vec<_>) = values.into_iter().partition(is_dashed);
    before.extend(dashed);
    // If recipients and a message precede it, it is more likely a mistyped option. Sending it would lose
    // the message.
    let needed = if recipients_named { 1 } else { 2 };
    match message {
        Some(word) if values.len() >= needed && options.has_similar(&word) => before.push(word),
        message => values.extend(message),
    }
    values.extend(after);
    if !values.is_empty() {
        before.push("--".into());
        before.extend(values);
    }
    before
}

fn is_dashed(word: &OsString) -> bool {
    word.len() > 1 && word.as_encoded_bytes().starts_with(b"-")
}

/// The first word that is no option, and its index: the name of a command, if the command line is right.
pub fn command_word<'a>(arguments: &'a [OsString], command: &Command) -> Option<(usize, &'a str)> {
    let options = Options::everywhere(command);
    let mut index = 1;
    loop {
        let word = arguments.get(index)?.to_str()?;
        match options.kind(word) {
            Kind::Option { takes_next } => index += 1 + usize::from(takes_next),
            Kind::End => return None,
            Kind::Value => return Some((index, word)),
        }
    }
}

enum Kind {
    Option { takes_next: bool },
    End,
    Value,
}

/// Option names, and whether each takes a value.
#[derive(Default)]
struct Options {
    long: Vec<(String, bool)>,
    short: Vec<(char, bool)>,
}

impl Options {
    /// Those that all commands have.
    fn everywhere(command: &Command) -> Self {
        Self::of(command.get_arguments().filter(|arg| arg.is_global_set()))
    }

    fn of<'a>(arguments: impl Iterator<Item = &'a Arg>) -> Self {
        // The parser adds help.
        let mut options =
            Self { long: vec![("help".to_owned(), false)], short: vec![('h', false)] };
        for argument in arguments {
            let takes = argument.get_action().takes_values();
            options.long.extend(argument.get_long().map(|name| (name.to_owned(), takes)));
            options.short.extend(argument.get_short().map(|name| (name, takes)));
        }
        options
    }

    fn and(mut self, more: Self) -> Self {
        self.long.extend(more.long);
        self.short.extend(more.short);
        self
    }

    fn kind(&self, word: &str) -> Kind {
        if word == "--" {
            return Kind::End;
        }
        let takes = if let Some(name) = word.strip_prefix("--") {
            let (name, value) = name.split_once('=').map_or((name, None), |(a, b)| (a, Some(b)));
            let known = self.long.iter().find(|(known, _)| known == name);
            // `--json=x` is not an option either.
            known.filter(|(_, takes)| *takes || value.is_none()).map(|(_, t)| *t && value.is_none())
        } else {
            let mut letters = word.strip_prefix('-').unwrap_or_default().chars();
            let letter = letters.next().filter(|_| letters.next().is_none());
            letter
                .and_then(|letter| self.short.iter().find(|(known, _)| *known == letter))
                .map(|it| it.1)
        };
        takes.map_or(Kind::Value, |takes_next| Kind::Option { takes_next })
    }

    fn has_similar(&self, word: &OsString) -> bool {
        let name = word.to_str().and_then(|word| word.strip_prefix("--"));
        let Some(name) = name.filter(|name| !name.contains(char::is_whitespace)) else {
            return false;
        };
        let name = name.split('=').next().unwrap_or_default();
        !similar_names(name, self.long.iter().map(|(known, _)| known.as_str())).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(words: &[&str]) -> Vec<String> {
        let words: Vec<OsString> =
            ["thrum"].iter().chain(words).map(|word| OsString::from(*word)).collect();
        let words = escape_message(&words, &crate::cli::command());
        words.iter().skip(1).map(|word| word.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn words_of_send_that_are_not_options_are_moved_behind_two_dashes() {
        for (typed, meant) in [
            (&["send", "x", "-hello"][..], &["send", "--", "x", "-hello"][..]),
            (
                &["--as", "send", "send", "x", "- a\n- b", "--json"],
                &["--as", "send", "send", "--json", "--", "x", "- a\n- b"],
            ),
            (
                &["send", "--to", "x", "-v is broken", "-v", "--as=me"],
                &["send", "--to", "x", "-v", "--as=me", "--", "-v is broken"],
            ),
            (&["send", "x", "--", "--json"], &["send", "--", "x", "--json"]),
            (&["send", "x", "-"], &["send", "--", "x", "-"]),
            (&["send", "x", "--json=2"], &["send", "--", "x", "--json=2"]),
            (&["send", "x", "hi", "--josn"], &["send", "--josn", "--", "x", "hi"]),
            (&["send", "--all", "hi", "--josn"], &["send", "--all", "--josn", "--", "hi"]),
            (&["send", "x", "--", "hi", "--josn"], &["send", "--", "x", "hi", "--josn"]),
            (&["send", "--josn", "x", "hi"], &["send", "--josn", "--", "x", "hi"]),
            (&["send", "-x", "--", "hi"], &["send", "-x", "--", "hi"]),
            (&["send", "--help"], &["send", "--help"]),
            (
                &["reply", "7QX2AB", "- a\n- b", "--urgent"],
                &["reply", "--urgent", "--", "7QX2AB", "- a\n- b"],
            ),
            (&["reply", "7QX2AB", "hi", "--urgnt"], &["reply", "--urgnt", "--", "7QX2AB", "hi"]),
        ] {
            assert_eq!(escaped(typed), meant, "{typed:?}");
        }
    }

    #[test]
    fn other_commands_are_not_changed() {
        for words in [&["wait", "--as", "send", "-x"][..], &["--json"], &["--", "send", "-x"], &[]]
        {
            assert_eq!(escaped(words), words);
        }
    }
}
