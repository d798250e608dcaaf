use clap::error::ErrorKind;

/// Message and hint of an error of the command line parser.
pub fn message_and_hint(kind: ErrorKind, text: &str) -> (String, Option<String>) {
    if matches!(
        kind,
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    ) {
        // The text is a help page whose usage line has the words that were parsed.
        let usage = text.lines().find_map(|line| line.strip_prefix("Usage: thrum "));
        let words = usage.unwrap_or_default().split_whitespace();
        let words: Vec<&str> = words.take_while(|word| !word.starts_with(['[', '<'])).collect();
        let hint = format!("thrum help {}", words.join(" "));
        return ("a command is missing".to_owned(), Some(hint.trim_end().to_owned()));
    }
    let message = text.trim_start_matches("error: ").split("\n\n").next().unwrap_or_default();
    let hint = text.lines().find_map(|line| line.trim().strip_prefix("tip: "));
    (message.to_owned(), hint.map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_command_is_an_error_and_not_a_help_page() {
        for words in
            [&["thrum", "peer"][..], &["thrum", "daemon", "--json"], &["thrum", "generate"]]
        {
            let error = crate::cli::command().try_get_matches_from(words).unwrap_err();
            let (message, hint) = message_and_hint(error.kind(), &error.render().to_string());
            assert_eq!(message, "a command is missing");
            assert_eq!(hint, Some(format!("thrum help {}", words[1])));
        }
    }
}
