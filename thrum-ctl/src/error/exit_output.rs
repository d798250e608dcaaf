//! What a daemon that ended said last.

/// What a daemon wrote before it ended.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct ExitOutput {
    text: String,
    pub(super) hint: Option<String>,
}

impl ExitOutput {
    /// Its own error and hint if it ended with them, as ours are; else the end of what it wrote.
    pub fn of(written: &str) -> Self {
        const LINES: usize = 10;
        let written = anstream::adapter::strip_str(written).to_string();
        let lines: Vec<&str> = written.trim().lines().collect();
        let Some(begin) = lines.iter().rposition(|line| line.starts_with("Error: ")) else {
            let end = lines[lines.len().saturating_sub(LINES)..].join("\n");
            let text = if end.is_empty() { "it wrote nothing".to_owned() } else { end };
            return Self { text, hint: None };
        };
        let (mut text, mut hint) = (Vec::new(), None);
        for line in &lines[begin..] {
            match line.strip_prefix("Hint: ") {
                Some(line) => hint = Some(line.to_owned()),
                None => text.push(line.trim_start_matches("Error: ").replace("Caused by: ", "")),
            }
        }
        Self { text: text.join(": "), hint }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemons_last_words_are_its_error_and_its_hint() {
        let words = ExitOutput::of(
            "INFO \u{1b}[1mready\u{1b}[0m\nError: can't open /x\nCaused by: no space\nHint: make room\n",
        );
        assert_eq!(words.to_string(), "can't open /x: no space");
        assert_eq!(words.hint.as_deref(), Some("make room"));
        let words = ExitOutput::of("one\ntwo\n");
        assert_eq!(words.to_string(), "one\ntwo");
        assert_eq!(ExitOutput::of(" \n").to_string(), "it wrote nothing");
    }
}
