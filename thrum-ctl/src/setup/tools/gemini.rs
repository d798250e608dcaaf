use jsonc_parser::json;
use thrum_api::local::HookPoint;

use crate::setup::content::{Content, Entry, ToolFile, point_name};
use crate::setup::place::{Homes, Scope};

/// Gemini CLI warns of the hooks of a folder that nobody has trusted.
pub const TO_DO_IN_FOLDER: &[&str] =
    &["Gemini CLI warns of the folder's hooks, and asks whether you trust the folder: say yes."];

const HOOKS: [(HookPoint, &str); 5] = [
    (HookPoint::SessionStart, "SessionStart"),
    (HookPoint::Prompt, "BeforeAgent"),
    (HookPoint::Step, "AfterTool"),
    (HookPoint::Stop, "AfterAgent"),
    (HookPoint::SessionEnd, "SessionEnd"),
];
/// Gemini CLI counts in milliseconds.
const HOOK_MS: usize = 5_000;
/// A wait for a message may take 25 minutes.
const SERVER_MS: usize = 1_800_000;

/// Its files.
pub fn files(scope: &Scope, homes: &Homes) -> Vec<ToolFile> {
    let path = scope.folder().unwrap_or(&homes.home).join(".gemini/settings.json");
    let mut entries = vec![Entry::server(
        "mcpServers",
        json!({"command": "thrum", "args": ["mcp", "--tool", "gemini"], "timeout": (SERVER_MS)}),
    )];
    for (point, event) in HOOKS {
        let name = format!("thrum-{}", point_name(point));
        let command = format!("thrum hook gemini {}", point_name(point));
        let hook = json!({"hooks": [{
            "name": (name),
            "type": "command",
            "command": (command),
            "timeout": (HOOK_MS)
        }]});
        entries.push(Entry::hook(point, event, hook));
    }
    vec![ToolFile { path, content: Content::Json(entries) }]
}
