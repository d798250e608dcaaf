use jsonc_parser::json;
use thrum_api::local::HookPoint;

use crate::setup::content::{Content, Entry, ToolFile, point_name};
use crate::setup::place::{Homes, Scope};

/// Nobody could try Cursor without an account.
pub const TO_DO: &[&str] = &[
    "Allow the server thrum in Cursor's settings, under MCP.",
    "These files follow Cursor's documentation; they were not tried with Cursor itself.",
];

const HOOKS: [(HookPoint, &str); 5] = [
    (HookPoint::SessionStart, "sessionStart"),
    (HookPoint::Prompt, "beforeSubmitPrompt"),
    (HookPoint::Step, "postToolUse"),
    (HookPoint::Stop, "stop"),
    (HookPoint::SessionEnd, "sessionEnd"),
];

/// Its files.
pub fn files(scope: &Scope, homes: &Homes) -> Vec<ToolFile> {
    let folder = scope.folder().unwrap_or(&homes.home).join(".cursor");
    let server = json!({"command": "thrum", "args": ["mcp", "--tool", "cursor"]});
    let mut entries = vec![Entry::needed("version", json!(1))];
    for (point, event) in HOOKS {
        let command = format!("thrum hook cursor {}", point_name(point));
        entries.push(Entry::hook(point, event, json!({"command": (command), "timeout": 5})));
    }
    vec![
        ToolFile {
            path: folder.join("mcp.json"),
            content: Content::Json(vec![Entry::server("mcpServers", server)]),
        },
        ToolFile { path: folder.join("hooks.json"), content: Content::Json(entries) },
    ]
}
