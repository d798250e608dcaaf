use std::path::Path;

use thrum_api::limits::NAME_MAX_CHARS;
use thrum_api::names;

use super::record::Record;
use super::tool::Tool;
use crate::context::{Context, folder_project};
use crate::error::Error;

/// Who an agent in a tool is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its name.
    pub agent: String,
    /// Its project.
    pub project: String,
    /// Whether the person asked that its idle sessions be woken.
    pub wake: bool,
    /// Whether the tool was set up here by this person, for this folder or for all folders.
    pub is_set_up: bool,
}

/// Who the agent of a tool in a folder is. What was said for this process counts first (`--as`, `THRUM_AGENT`), then what
/// was said when the tool was set up for the folder, for one around it, or for the person.
///
/// # Errors
/// When a name is invalid, and when the record of the set-up can't be read.
pub fn identity(tool: Tool, folder: &Path, context: &Context<'_>) -> Result<Identity, Error> {
    let record = Record::read()?;
    let setup = record.closest(tool, folder);
    let chosen = context.named_project()?.or_else(|| setup?.project.clone());
    let project = match chosen {
        Some(name) => name,
        None => folder_project(folder)?.name,
    };
    let chosen = context.named_agent()?.or_else(|| setup?.agent.clone());
    let agent = chosen.unwrap_or_else(|| default_name(&project, tool));
    let wake = setup.is_some_and(|it| it.wake) && tool.can_be_woken();
    Ok(Identity { agent, project, wake, is_set_up: setup.is_some() })
}

/// The name of a tool's agent in a project: the last part of the project's name, and the tool.
pub fn default_name(project: &str, tool: Tool) -> String {
    let short = tool.short();
    let last = project.rsplit('/').find(|part| !part.is_empty()).unwrap_or_default();
    let is_allowed = |c: char| names::agent(&format!("a{c}")).is_ok();
    let stem: String = last.chars().map(|c| if is_allowed(c) { c } else { '-' }).collect();
    let room = NAME_MAX_CHARS.saturating_sub(short.len() + 1);
    let stem: String = stem.trim_matches('-').chars().take(room).collect();
    let name = format!("{stem}-{short}");
    names::agent(name.trim_start_matches('-')).unwrap_or_else(|_| short.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_named_after_its_project_and_its_tool() {
        let long = "x".repeat(NAME_MAX_CHARS + 9);
        for (project, name) in [
            ("github.com/acme/app", "app-claude"),
            ("app", "app-claude"),
            ("my app (old)", "my-app--old-claude"),
            ("/", "claude"),
            ("--", "claude"),
            ("日本", "日本-claude"),
            ("\u{301}x", "claude"),
            (&long, &format!("{}-claude", "x".repeat(NAME_MAX_CHARS - 7))),
        ] {
            let named = default_name(project, Tool::ClaudeCode);
            assert_eq!(named, name, "{project}");
            assert_eq!(names::agent(&named).unwrap(), named);
        }
    }
}
