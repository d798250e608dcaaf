//! Who asks: the tool, the agent in it, and where it works. Known at the start with `--tool`, else by the first request.

use std::path::PathBuf;

use thrum_api::names;
use tokio::sync::oneshot;

use crate::cli::Global;
use crate::context::Context;
use crate::endpoint::Endpoints;
use crate::error::Error;
use crate::printer::{OutputOptions, Printer};
use crate::setup::{Identity, Tool, identity};
use crate::{outer_agent, project, tool_process};

/// In the environment of Claude Code's MCP servers: the session, until `/clear`.
const CLAUDE_SESSION: &str = "CLAUDE_CODE_SESSION_ID";

/// Who an agent is that uses this server.
#[derive(Debug, Clone)]
pub struct Who {
    /// Its tool.
    pub tool: Tool,
    /// What the tool is called in lists.
    pub tool_name: String,
    /// The agent.
    pub identity: Identity,
    /// The process of the tool.
    pub pid: Option<u32>,
    /// The session that the environment names.
    pub session: Option<String>,
    /// Where it works.
    pub folder: PathBuf,
}

impl Who {
    /// The branch that it works on now.
    pub fn branch(&self) -> Option<String> {
        project::branch(&self.folder)
    }
}

/// Finds out who asks.
pub struct Asker {
    named: Option<Tool>,
    choices: Global,
    endpoints: Endpoints,
}

impl Asker {
    /// With the tool that the command line names.
    pub fn new(named: Option<Tool>, context: &Context<'_>) -> Self {
        let choices = outer_agent::left_out(context.choices());
        Self { named, choices, endpoints: context.endpoints() }
    }

    /// Where the daemon may be.
    pub const fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Whether the command line names the tool; else the first request does.
    pub const fn is_named(&self) -> bool {
        self.named.is_some()
    }

    /// Who asks, if the client calls itself this. In a thread of its own, which ends then: git and ssh may be asked for the
    /// project, and answers don't wait for that.
    ///
    /// # Errors
    /// When a name is invalid, or what the set-up has written can't be read.
    pub async fn who(&self, client: Option<String>) -> Result<Who, Error> {
        let claude = variable(CLAUDE_SESSION);
        let tool = self.named.or_else(|| client.as_deref().and_then(tool_of));
        let tool = tool.or_else(|| claude.is_some().then_some(Tool::ClaudeCode));
        let (tool, choices) = (tool.unwrap_or(Tool::Script), self.choices.clone());
        let (found, finding) = oneshot::channel();
        let find = move || drop(found.send(find_out(tool, client.as_deref(), claude, choices)));
        let thread = std::thread::Builder::new().spawn(find);
        drop(thread.map_err(|source| Error::io("can't start a thread", source))?);
        finding.await.unwrap_or_else(|_| {
            Err(Error::failed("can't find out who the agent is", "see what is wrong: thrum whoami"))
        })
    }
}

fn find_out(
    tool: Tool,
    client: Option<&str>,
    claude: Option<String>,
    choices: Global,
) -> Result<Who, Error> {
    let folder = std::env::current_dir().map_err(|source| {
        Error::failed(
            format!("can't read the current folder: {source}"),
            "start the tool again in a folder that exists",
        )
    })?;
    let mut printer = Printer::new(OutputOptions::default());
    let context = Context::new(choices, &mut printer);
    let identity = identity(tool, &folder, &context)?;
    let tool_name = match tool {
        // Another client: by its own name, if that can be shown.
        Tool::Script => client.and_then(|name| names::agent(name).ok()),
        _ => None,
    };
    Ok(Who {
        tool,
        tool_name: tool_name.unwrap_or_else(|| tool.name().to_owned()),
        identity,
        pid: tool_process::find(tool),
        session: claude.filter(|_| tool == Tool::ClaudeCode),
        folder,
    })
}

/// The tool that calls itself this.
fn tool_of(client: &str) -> Option<Tool> {
    let client = client.to_ascii_lowercase();
    let known = [
        ("claude-code", Tool::ClaudeCode),
        ("codex", Tool::Codex),
        ("gemini-cli", Tool::Gemini),
        ("copilot", Tool::Copilot),
        ("github-copilot", Tool::Copilot),
        ("opencode", Tool::Opencode),
        ("cursor", Tool::Cursor),
    ];
    let found = known.into_iter().find(|(begin, _)| client.starts_with(begin));
    found.map(|(_, tool)| tool)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_is_known_by_what_its_client_is_called() {
        for (name, tool) in [
            ("claude-code", Some(Tool::ClaudeCode)),
            ("codex-mcp-client", Some(Tool::Codex)),
            ("gemini-cli-mcp-client", Some(Tool::Gemini)),
            ("copilot-cli", Some(Tool::Copilot)),
            ("opencode", Some(Tool::Opencode)),
            ("Cursor", Some(Tool::Cursor)),
            ("mcp-inspector", None),
            ("", None),
        ] {
            assert_eq!(tool_of(name), tool, "{name}");
        }
    }
}
