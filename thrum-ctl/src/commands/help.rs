use anstream::adapter::strip_str;

use crate::cli::{command, topics};
use crate::context::Context;
use crate::error::Error;

/// `thrum help`, and `thrum` alone.
pub fn run(words: &[String], context: &mut Context<'_>) -> Result<(), Error> {
    if let [word] = words
        && let Some(topic) = topics::ALL.iter().find(|topic| topic.name == *word)
    {
        return context.printer.line(topic.text.trim_end());
    }
    // The parser suggests similar commands for a mistyped one.
    let arguments = ["thrum"].into_iter().chain(words.iter().map(String::as_str));
    let asked = command().try_get_matches_from(arguments.chain(["--help"]));
    let text = match asked {
        Err(error) if error.exit_code() == 0 => error.render().ansi().to_string(),
        Err(error) => {
            let text = error.render().to_string();
            let near = text.lines().find_map(|line| line.trim().strip_prefix("tip: "));
            let topics: Vec<_> = topics::ALL.iter().map(|topic| topic.name).collect();
            return Err(Error::usage(
                format!("there is no help about {:?}", words.join(" ")),
                near.map_or_else(
                    || format!("thrum help lists the commands; topics: {}", topics.join(", ")),
                    |near| strip_str(near).to_string(),
                ),
            ));
        }
        Ok(_) => return Ok(()),
    };
    context.printer.line(text.trim_end())
}
