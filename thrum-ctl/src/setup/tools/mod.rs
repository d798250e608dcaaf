//! What is written for each tool, and what a person has to do then. What the tools take was tried with the versions that
//! docs/agents.md names.

mod claude_code;
mod codex;
mod copilot;
mod cursor;
mod gemini;
mod opencode;
mod script;

pub use script::LINES as AGENTS_LINES;

use super::content::ToolFile;
use super::place::{Homes, Scope};
use super::tool::Tool;

impl Tool {
    /// The files that are written for it; none if it has none for this scope.
    pub fn files(self, scope: &Scope, homes: &Homes) -> Vec<ToolFile> {
        match self {
            Self::ClaudeCode => claude_code::files(scope, homes),
            Self::Codex => codex::files(scope, homes),
            Self::Gemini => gemini::files(scope, homes),
            Self::Copilot => copilot::files(scope, homes),
            Self::Opencode => opencode::files(scope, homes),
            Self::Cursor => cursor::files(scope, homes),
            Self::Script => script::files(scope),
        }
    }

    /// What a person has to do or to know after it was set up.
    pub fn to_do(self, scope: &Scope) -> &'static [&'static str] {
        match (self, scope) {
            (Self::ClaudeCode, Scope::Folder(_)) => claude_code::TO_DO_IN_FOLDER,
            (Self::ClaudeCode, Scope::Person) => &[],
            (Self::Codex, Scope::Folder(_)) => codex::TO_DO_IN_FOLDER,
            (Self::Codex, Scope::Person) => codex::TO_DO,
            (Self::Gemini, Scope::Folder(_)) => gemini::TO_DO_IN_FOLDER,
            (Self::Gemini, Scope::Person) => &[],
            (Self::Copilot, Scope::Folder(_)) => copilot::TO_DO_IN_FOLDER,
            (Self::Copilot, Scope::Person) => &[],
            (Self::Opencode, _) => opencode::TO_DO,
            (Self::Cursor, _) => cursor::TO_DO,
            (Self::Script, _) => &[],
        }
    }

    /// What a person has to confirm in the tool itself, in short.
    pub const fn needs_trust(self, scope: &Scope) -> Option<&'static str> {
        match (self, scope) {
            (Self::ClaudeCode, Scope::Folder(_)) => Some("trust the folder, allow the server"),
            (Self::Codex, Scope::Folder(_)) => Some("trust the folder, review the hooks"),
            (Self::Codex, Scope::Person) => Some("review the hooks"),
            (Self::Gemini | Self::Copilot, Scope::Folder(_)) => Some("trust the folder"),
            (Self::Cursor, _) => Some("allow the server"),
            _ => None,
        }
    }

    /// The programs of the tool, one of which is on PATH where it is installed.
    pub const fn programs(self) -> &'static [&'static str] {
        match self {
            Self::ClaudeCode => &["claude"],
            Self::Codex => &["codex"],
            Self::Gemini => &["gemini"],
            Self::Copilot => &["copilot"],
            Self::Opencode => &["opencode"],
            Self::Cursor => &["cursor-agent", "cursor"],
            Self::Script => &[],
        }
    }
}
