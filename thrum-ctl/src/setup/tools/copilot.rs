use jsonc_parser::json;
use thrum_api::local::HookPoint;

use crate::setup::content::{Content, Entry, ToolFile, point_name};
use crate::setup::place::{Homes, Scope};

/// Copilot CLI reads the files of a folder only when the person trusts it.
pub const TO_DO_IN_FOLDER: &[&str] = &[
    "Copilot CLI reads these files only in a folder that you trust: it asks when you start it there.",
    "With -p, it starts no MCP server of a folder: for that, thrum init copilot --user.",
];

const HOOKS: [(HookPoint, &str); 5] = [
    (HookPoint::SessionStart, "sessionStart"),
    (HookPoint::Prompt, "userPromptSubmitted"),
    (HookPoint::Step, "postToolUse"),
    (HookPoint::Stop, "agentStop"),
    (HookPoint::SessionEnd, "sessionEnd"),
];

/// Its files.
pub fn files(scope: &Scope, homes: &Homes) -> Vec<ToolFile> {
    // Its folder, and not .mcp.json, which it would share with Claude Code.
    let (servers, hooks) = match scope {
        Scope::Folder(folder) => {
            (folder.join(".github/mcp.json"), folder.join(".github/hooks/thrum.json"))
        }
        Scope::Person => {
            (homes.copilot.join("mcp-config.json"), homes.copilot.join("hooks/thrum.json"))
        }
    };
    let server = json!({
        "type": "local",
        "command": "thrum",
        "args": ["mcp", "--tool", "copilot"],
        "tools": ["*"]
    });
    let mut entries = vec![Entry::needed("version", json!(1))];
    for (point, event) in HOOKS {
        let command = format!("thrum hook copilot {}", point_name(point));
        let hook = json!({"type": "command", "bash": (command), "timeoutSec": 5});
        entries.push(Entry::hook(point, event, hook));
    }
    vec![
        ToolFile {
            path: servers,
            content: Content::Json(vec![Entry::server("mcpServers", server)]),
        },
        ToolFile { path: hooks, content: Content::Json(entries) },
    ]
}
