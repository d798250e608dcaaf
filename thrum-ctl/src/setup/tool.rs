use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A tool in which agents work.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Tool {
    /// Anthropic's Claude Code.
    ClaudeCode,
    /// OpenAI's Codex CLI.
    Codex,
    /// Google's Gemini CLI.
    Gemini,
    /// GitHub's Copilot CLI.
    Copilot,
    /// OpenCode.
    Opencode,
    /// Cursor, and its agent for the terminal.
    Cursor,
    /// Anything that reads AGENTS.md and runs commands. It has no hooks.
    Script,
}

impl Tool {
    /// All tools, in the order in which they are listed.
    pub const ALL: [Self; 7] = [
        Self::ClaudeCode,
        Self::Codex,
        Self::Gemini,
        Self::Copilot,
        Self::Opencode,
        Self::Cursor,
        Self::Script,
    ];

    /// Its name on command lines, in the files of the tools and in the record.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClaudeCode => "claude-code",
            Self::Codex => "codex",
            Self::Gemini => "gemini",
            Self::Copilot => "copilot",
            Self::Opencode => "opencode",
            Self::Cursor => "cursor",
            Self::Script => "script",
        }
    }

    /// What the names of its agents end with.
    pub const fn short(self) -> &'static str {
        match self {
            Self::ClaudeCode => "claude",
            Self::Script => "agent",
            other => other.name(),
        }
    }

    /// Its name for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::ClaudeCode => "Claude Code",
            Self::Codex => "Codex",
            Self::Gemini => "Gemini CLI",
            Self::Copilot => "Copilot CLI",
            Self::Opencode => "OpenCode",
            Self::Cursor => "Cursor",
            Self::Script => "a tool without hooks",
        }
    }

    /// Whether an idle session of it can be woken.
    pub const fn can_be_woken(self) -> bool {
        matches!(self, Self::ClaudeCode | Self::Codex | Self::Opencode)
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no tool.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no tool that thrum knows")]
pub struct UnknownTool(String);

impl FromStr for Tool {
    type Err = UnknownTool;

    fn from_str(text: &str) -> Result<Self, UnknownTool> {
        let found = Self::ALL.into_iter().find(|tool| tool.name() == text);
        found.ok_or_else(|| UnknownTool(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_has_one_name_wherever_it_is_written() {
        for tool in Tool::ALL {
            assert_eq!(tool.name().parse(), Ok(tool));
            assert_eq!(tool.to_possible_value().unwrap().get_name(), tool.name());
            assert_eq!(serde_json::to_value(tool).unwrap(), tool.name());
        }
        assert_eq!(Tool::value_variants(), Tool::ALL);
        assert_eq!("claude".parse::<Tool>(), Err(UnknownTool("claude".to_owned())));
    }
}
