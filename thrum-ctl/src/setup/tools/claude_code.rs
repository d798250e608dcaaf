use jsonc_parser::json;
use thrum_api::local::HookPoint;

use crate::setup::content::{Content, Entry, Part, ToolFile, point_name};
use crate::setup::place::{Homes, Scope};

/// Claude Code reads the files of a project only when the person has said so.
pub const TO_DO_IN_FOLDER: &[&str] =
    &["Claude Code asks once whether you trust the folder and its MCP server: say yes."];

/// Session end and what follows it share 1.5 s.
const HOOKS: [(HookPoint, &str, usize); 5] = [
    (HookPoint::SessionStart, "SessionStart", 5),
    (HookPoint::Prompt, "UserPromptSubmit", 5),
    (HookPoint::Step, "PostToolBatch", 5),
    (HookPoint::Stop, "Stop", 5),
    (HookPoint::SessionEnd, "SessionEnd", 1),
];

/// Its files.
pub fn files(scope: &Scope, homes: &Homes) -> Vec<ToolFile> {
    let (servers, settings) = match scope {
        Scope::Folder(folder) => (folder.join(".mcp.json"), folder.join(".claude/settings.json")),
        Scope::Person => match &homes.claude {
            Some(moved) => (moved.join(".claude.json"), moved.join("settings.json")),
            None => (homes.home.join(".claude.json"), homes.home.join(".claude/settings.json")),
        },
    };
    // Other tools read .mcp.json as well, so it doesn't say for which one it is: `thrum mcp` is told by the tool.
    // Without alwaysLoad the model is shown only the names of the tools.
    let server = json!({"type": "stdio", "command": "thrum", "args": ["mcp"], "alwaysLoad": true});
    let mut entries: Vec<Entry> = HOOKS
        .into_iter()
        .map(|(point, event, seconds)| {
            // With words of its own instead of a line, no shell is started.
            let hook = json!({"hooks": [{
                "type": "command",
                "command": "thrum",
                "args": ["hook", "claude-code", (point_name(point))],
                "timeout": (seconds)
            }]});
            Entry::hook(point, event, hook)
        })
        .collect();
    entries.push(Entry::word(["permissions", "allow"], "mcp__thrum", Part::Permission));
    // On Linux its sandbox can't tell one socket from another, so `thrum` runs outside of it.
    entries.push(Entry::word(["sandbox", "excludedCommands"], "thrum *", Part::OutsideSandbox));
    vec![
        ToolFile {
            path: servers,
            content: Content::Json(vec![Entry::server("mcpServers", server)]),
        },
        ToolFile { path: settings, content: Content::Json(entries) },
    ]
}
