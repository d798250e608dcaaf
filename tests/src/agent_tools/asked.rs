use std::fmt::Write as _;
use std::sync::mpsc::Sender;

use serde_json::Value;

use super::dialect::{LOOK_UP, Reply, Shown};

/// A question to the model, which waits for the test's answer. One that is dropped is answered with a last
/// sentence.
#[derive(Debug)]
pub struct Asked {
    pub(super) shown: Vec<Shown>,
    pub(super) tools: Vec<String>,
    pub(super) reply: Sender<Reply>,
}

impl Asked {
    /// All that the model was shown, oldest first.
    pub fn shown(&self) -> &[Shown] {
        &self.shown
    }

    /// The names of the tools that it was offered.
    pub fn tools(&self) -> &[String] {
        &self.tools
    }

    /// The texts in which these words are.
    pub fn texts_with(&self, words: &str) -> Vec<&Shown> {
        self.shown.iter().filter(|shown| shown.text.contains(words)).collect()
    }

    /// The one text in which these words are.
    ///
    /// # Panics
    /// When there is none, or more than one.
    #[track_caller]
    pub fn text_with(&self, words: &str) -> &Shown {
        match self.texts_with(words)[..] {
            [one] => one,
            ref found => {
                panic!("{words:?} was shown {} times, not once:\n{}", found.len(), self.summary())
            }
        }
    }

    /// Checks that these words were not shown.
    ///
    /// # Panics
    /// When they were.
    #[track_caller]
    pub fn lacks(&self, words: &str) {
        let found = self.texts_with(words);
        assert!(found.is_empty(), "{words:?} was shown: {found:#?}");
    }

    /// Answers with a call of the tool whose name ends like this. Claude Code may know only the names of tools, if their server
    /// was slower than the first prompt: then the model looks it up before.
    ///
    /// # Panics
    /// When no such tool was offered.
    #[track_caller]
    pub fn calls(self, tool: &str, args: Value) {
        let offered = self.tools.iter().any(|name| name.ends_with(tool) || name == LOOK_UP);
        assert!(offered, "{tool} was not offered: {:?}", self.tools);
        // The tool may have been interrupted meanwhile.
        let _gone = self.reply.send(Reply::Call { name: tool.to_owned(), args });
    }

    /// Answers with a last sentence.
    pub fn says(self, text: &str) {
        let _gone = self.reply.send(Reply::Say(text.to_owned()));
    }

    /// The newest texts, for messages.
    pub(super) fn summary(&self) -> String {
        summary(&self.shown)
    }
}

/// The newest texts, each cut.
pub(super) fn summary(shown: &[Shown]) -> String {
    let mut text = String::new();
    for Shown { role, text: words } in &shown[shown.len().saturating_sub(8)..] {
        let begin: String = words.chars().take(600).collect();
        let _infallible = writeln!(text, "  {role}: {begin}");
    }
    text
}
