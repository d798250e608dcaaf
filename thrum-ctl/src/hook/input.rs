//! What a tool writes to the stdin of a hook. Each tool has names of its own, newer versions have more fields, and nothing
//! but a few of them matters.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::point::Point;
use crate::setup::Tool;
use crate::wake_text;

/// How the names of thrum's own tools begin, as the tools name them.
const OWN_TOOLS: [&str; 4] = ["mcp__thrum__", "mcp_thrum_", "thrum-", "thrum_"];
/// Tools that only look for tools.
const NO_WORK: [&str; 2] = ["ToolSearch", "tool_search"];
/// Events that only Gemini has.
const GEMINI_EVENTS: [&str; 6] =
    ["BeforeAgent", "AfterAgent", "BeforeModel", "AfterModel", "BeforeTool", "AfterTool"];
/// Most characters of an event's name.
const EVENT_MAX_CHARS: usize = 64;

type Raw<'a> = Option<&'a RawValue>;

/// The fields that matter. Each may have any value: one that is no text counts as absent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Fields<'a> {
    #[serde(borrow)]
    session_id: Raw<'a>,
    #[serde(borrow, rename = "sessionId")]
    session_id_camel: Raw<'a>,
    #[serde(borrow)]
    conversation_id: Raw<'a>,
    #[serde(borrow)]
    cwd: Raw<'a>,
    #[serde(borrow)]
    workspace_roots: Raw<'a>,
    #[serde(borrow)]
    hook_event_name: Raw<'a>,
    #[serde(borrow)]
    prompt: Raw<'a>,
    #[serde(borrow)]
    tool_calls: Raw<'a>,
    #[serde(borrow)]
    tool_name: Raw<'a>,
    #[serde(borrow, rename = "toolName")]
    tool_name_camel: Raw<'a>,
    #[serde(borrow)]
    tool: Raw<'a>,
    #[serde(borrow)]
    tool_input: Raw<'a>,
    #[serde(borrow, rename = "toolArgs")]
    tool_args: Raw<'a>,
    #[serde(borrow)]
    agent_id: Raw<'a>,
    #[serde(borrow)]
    parent_id: Raw<'a>,
    #[serde(borrow)]
    status: Raw<'a>,
    #[serde(borrow)]
    turn_id: Raw<'a>,
    #[serde(borrow)]
    prompt_id: Raw<'a>,
    #[serde(borrow)]
    effort: Raw<'a>,
    #[serde(borrow)]
    cursor_version: Raw<'a>,
    #[serde(borrow)]
    ended: Raw<'a>,
}

/// What a hook was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The tool that runs the hook, which may have taken over the hooks of another one.
    pub tool: Tool,
    /// The id of the session.
    pub session: String,
    /// The folder that it works in, if it is said.
    pub folder: Option<PathBuf>,
    /// The tool's name for the point, for the answer.
    pub event: Option<String>,
    /// Whether a person wrote the prompt, or a tool other than those of messages was used.
    pub work: bool,
    /// Whether what is answered would be shown to a subagent, which is not the agent that the messages are for.
    pub is_subagent: bool,
    /// Whether the turn ended as it should. Otherwise nothing is added to it.
    pub is_complete: bool,
    /// Whether the session is gone.
    pub ended: bool,
}

/// Why an input can't be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It is no JSON object.
    #[error("the input is no JSON object: {0}")]
    NotAnObject(String),
    /// It names no session.
    #[error("the input names no session")]
    NoSession,
}

impl Input {
    /// Reads the input of a hook that was set up for this tool.
    ///
    /// # Errors
    /// When it is no object that names a session.
    pub fn read(bytes: &[u8], tool: Tool, point: Point) -> Result<Self, Unusable> {
        Self::read_beside(bytes, tool, point, std::env::var("GEMINI_SESSION_ID").ok().as_deref())
    }

    fn read_beside(
        bytes: &[u8],
        tool: Tool,
        point: Point,
        gemini: Option<&str>,
    ) -> Result<Self, Unusable> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii();
        if bytes.first() != Some(&b'{') {
            let what = if bytes.is_empty() { "it is empty" } else { "it begins otherwise" };
            return Err(Unusable::NotAnObject(what.to_owned()));
        }
        let fields: Fields<'_> = serde_json::from_slice(bytes)
            .map_err(|error| Unusable::NotAnObject(error.to_string()))?;
        let session = [fields.session_id, fields.session_id_camel, fields.conversation_id];
        let session = session.into_iter().find_map(text).ok_or(Unusable::NoSession)?;
        let event = text(fields.hook_event_name).filter(|event| is_event(event));
        let tool = fields.tool_that_runs(tool, event.as_deref(), gemini == Some(&session));
        Ok(Self {
            tool,
            folder: fields.folder(),
            work: match point {
                Point::Prompt => text(fields.prompt).is_none_or(|text| !wake_text::is_ours(&text)),
                Point::Step => fields.calls().iter().any(Call::is_work),
                _ => false,
            },
            is_subagent: text(fields.agent_id).is_some() || text(fields.parent_id).is_some(),
            is_complete: point != Point::Stop
                || text(fields.status).is_none_or(|status| status == "completed"),
            ended: fields.ended.is_some_and(|ended| ended.get() == "true"),
            session,
            event,
        })
    }
}

impl Fields<'_> {
    /// The tool that runs the hook. A tool can take over the hooks that were set up for another one.
    fn tool_that_runs(&self, named: Tool, event: Option<&str>, is_gemini: bool) -> Tool {
        if self.cursor_version.is_some() {
            return Tool::Cursor;
        }
        if self.session_id_camel.is_some() {
            return Tool::Copilot;
        }
        if is_gemini || event.is_some_and(|event| GEMINI_EVENTS.contains(&event)) {
            return Tool::Gemini;
        }
        // These two have the same events.
        match named {
            Tool::ClaudeCode if self.turn_id.is_some() => Tool::Codex,
            Tool::Codex if self.prompt_id.is_some() || self.effort.is_some() => Tool::ClaudeCode,
            named => named,
        }
    }

    fn folder(&self) -> Option<PathBuf> {
        let roots = || read::<Vec<String>>(self.workspace_roots)?.into_iter().next();
        let folder = text(self.cwd).or_else(roots).map(PathBuf::from)?;
        Some(folder).filter(|folder| folder.is_absolute())
    }

    /// The calls of tools that a step was made of.
    fn calls(&self) -> Vec<Call> {
        #[derive(Deserialize)]
        struct Listed<'a> {
            #[serde(borrow, default)]
            tool_name: Raw<'a>,
            #[serde(borrow, default)]
            tool_input: Raw<'a>,
        }
        let listed =
            self.tool_calls.and_then(|raw| serde_json::from_str::<Vec<Listed<'_>>>(raw.get()).ok());
        if let Some(listed) = listed {
            let call = |call: Listed<'_>| Call::of(call.tool_name, call.tool_input);
            return listed.into_iter().filter_map(call).collect();
        }
        let name = self.tool_name.or(self.tool_name_camel).or(self.tool);
        Call::of(name, self.tool_input.or(self.tool_args)).into_iter().collect()
    }
}

/// A call of a tool.
struct Call {
    name: String,
    /// The command, if it is a shell's.
    command: Option<String>,
}

impl Call {
    fn of(name: Raw<'_>, input: Raw<'_>) -> Option<Self> {
        Some(Self { name: text(name)?, command: command(input) })
    }

    /// Whether it did anything but talk to other agents.
    fn is_work(&self) -> bool {
        let is_own = OWN_TOOLS.iter().any(|own| self.name.starts_with(own));
        let talks = self.command.as_deref().is_some_and(|it| program(it) == "thrum");
        !is_own && !talks && !NO_WORK.contains(&self.name.as_str())
    }
}

/// The name of the program that a command line of a shell runs, after the folder to run it in, and variables.
fn program(command: &str) -> &str {
    let mut rest = command.trim_start();
    while let Some(folder) = rest.strip_prefix("cd ") {
        let Some((_, next)) = folder.split_once("&&").or_else(|| folder.split_once(';')) else {
            break;
        };
        rest = next.trim_start();
    }
    loop {
        let (word, next) = first_word(rest);
        let is_variable = word.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty() && name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric())
        });
        if !is_variable {
            return word.rsplit('/').next().unwrap_or(word);
        }
        rest = next;
    }
}

/// The first word of a command line, with its quotes, and what comes after it.
fn first_word(line: &str) -> (&str, &str) {
    let mut quote = None;
    let is_end = |c: char| match quote {
        Some(open) => {
            quote = quote.filter(|_| c != open);
            false
        }
        None if c == '\'' || c == '"' => {
            quote = Some(c);
            false
        }
        None => c.is_whitespace() || matches!(c, ';' | '&' | '|'),
    };
    let (word, rest) = line.split_at(line.find(is_end).unwrap_or(line.len()));
    (word, rest.trim_start())
}

/// The command in the input of a shell: a text, or words whose last one may be a script.
fn command(input: Raw<'_>) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Command {
        Text(String),
        Words(Vec<String>),
    }
    #[derive(Deserialize)]
    struct Shell {
        #[serde(alias = "cmd")]
        command: Command,
    }
    // Copilot writes the input as JSON in a text.
    let input = text(input).or_else(|| input.map(|raw| raw.get().to_owned()))?;
    match serde_json::from_str::<Shell>(&input).ok()?.command {
        Command::Text(text) => Some(text),
        Command::Words(words) => match words.as_slice() {
            [shell, flag, script] if flag.starts_with('-') && !shell.ends_with("thrum") => {
                Some(script.clone())
            }
            words => Some(words.join(" ")),
        },
    }
}

fn is_event(name: &str) -> bool {
    name.len() <= EVENT_MAX_CHARS && name.chars().all(|c| c.is_ascii_alphanumeric())
}

/// A text that says something.
fn text(raw: Raw<'_>) -> Option<String> {
    read::<String>(raw).filter(|text| !text.is_empty())
}

fn read<T: serde::de::DeserializeOwned>(raw: Raw<'_>) -> Option<T> {
    serde_json::from_str(raw?.get()).ok()
}

#[cfg(test)]
#[path = "input_tests.rs"]
mod tests;
