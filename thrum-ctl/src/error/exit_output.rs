//! The output of a daemon that ended during its start.

use std::path::Path;

/// What a daemon wrote before it ended.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct ExitOutput {
    text: String,
    /// What it said to do next.
    pub hint: Option<String>,
}

impl ExitOutput {
    /// Of a daemon that could not even write to its log.
    pub fn full_disk(log: &Path) -> Self {
        let text = format!("it wrote nothing: the disk with {} is full", log.display());
        let folder = log.parent().unwrap_or(log).display();
        let hint = format!("free some space (how much there is: df -h {folder}), then try again");
        Self { text, hint: Some(hint) }
    }

    /// The error and hint that the daemon printed, or else its last lines.
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
    fn error_and_hint_are_found_in_the_output() {
        let output = ExitOutput::of(
            "INFO \u{1b}[1mready\u{1b}[0m\nError: can't open /x\nCaused by: no space\nHint: make room\n",
        );
        assert_eq!(output.to_string(), "can't open /x: no space");
        assert_eq!(output.hint.as_deref(), Some("make room"));
        assert_eq!(ExitOutput::of("one\ntwo\n").to_string(), "one\ntwo");
        assert_eq!(ExitOutput::of(" \n").to_string(), "it wrote nothing");
    }
}
