//! What is known of the tools of agents in a folder.

use std::path::{Path, PathBuf};

use thrum_api::Timestamp;

use crate::context::Context;
use crate::hook::notes::{Entry, Notes};
use crate::setup::{self, FileState, SetupCheck, Tool, identity};

/// What is known of a tool in this folder.
#[derive(Debug, Clone)]
pub struct ToolState {
    /// The tool.
    pub tool: Tool,
    /// Whether its program is here.
    pub is_here: bool,
    /// Whether it was set up for this folder, or for all folders of the person; or why that is unknown.
    pub is_set_up: Result<bool, String>,
    /// Whether its idle sessions are woken.
    pub wake: bool,
    /// Its files, for the folder and for the person.
    pub files: Vec<(PathBuf, FileState)>,
    /// What is noted of its hooks in this folder.
    pub noted: Option<Entry>,
    /// When its hooks ran last in any folder.
    pub ran_elsewhere: Option<Timestamp>,
}

/// The program by which a person starts a tool.
const fn program(tool: Tool) -> &'static str {
    match tool {
        Tool::ClaudeCode => "claude",
        Tool::Cursor => "cursor-agent",
        other => other.name(),
    }
}

/// Looks for the tools that have hooks.
pub fn look(folder: &Path, context: &Context<'_>) -> Vec<ToolState> {
    let notes = Notes::read();
    // What can't be read is told of by identity.
    let checked = setup::check(folder).unwrap_or_default();
    let files = |tool| {
        let of_tool = checked.iter().filter(move |it: &&SetupCheck| it.tool == tool);
        of_tool.flat_map(|it| it.files.iter().cloned()).collect()
    };
    let tools = Tool::ALL.into_iter().filter(|tool| *tool != Tool::Script);
    let state = |tool| {
        let known = identity(tool, folder, context);
        ToolState {
            tool,
            is_here: which::which(program(tool)).is_ok(),
            wake: known.as_ref().is_ok_and(|known| known.wake),
            files: files(tool),
            is_set_up: known.map(|known| known.is_set_up).map_err(|error| error.to_string()),
            noted: notes.of(tool, folder).cloned(),
            ran_elsewhere: notes.last_start(tool),
        }
    };
    tools.map(state).collect()
}
