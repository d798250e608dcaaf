use jsonc_parser::json;
use thrum_api::local::HookPoint;

use crate::setup::content::{Content, Entry, Part, TomlTable, ToolFile, point_name};
use crate::setup::place::{Homes, Scope};

/// Codex reads the files of a folder only when the person trusts it, and runs hooks only when the person has seen them.
pub const TO_DO_IN_FOLDER: &[&str] = &[
    "Codex reads these files only in a folder that you trust: it asks when you start it there.",
    REVIEW,
    SANDBOX,
];
/// As above, for the files of the person.
pub const TO_DO: &[&str] = &[REVIEW, SANDBOX];

const REVIEW: &str = "At its next start, Codex asks you to review the hooks; until then they don't run, in codex exec neither.";
const SANDBOX: &str = "The MCP tools work in Codex's sandbox. The command thrum needs a permission there: docs/containers.md.";

/// More than 3 s for the last two is too much for Codex.
const HOOKS: [(HookPoint, &str, usize); 6] = [
    (HookPoint::SessionStart, "SessionStart", 5),
    (HookPoint::Prompt, "UserPromptSubmit", 5),
    (HookPoint::Step, "PostToolUse", 5),
    (HookPoint::Stop, "Stop", 5),
    (HookPoint::Interrupt, "Interrupt", 3),
    (HookPoint::SessionEnd, "SessionEnd", 3),
];

/// What Codex passes on to the server of what is set where it was started. It passes nothing by itself.
const VARIABLES: &str = r#"["THRUM_AGENT", "THRUM_PROJECT", "THRUM_SHELL_AGENT", "THRUM_STATE_DIR", "THRUM_SOCKET", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "CODEX_HOME"]"#;

/// Its files.
pub fn files(scope: &Scope, homes: &Homes) -> Vec<ToolFile> {
    let folder = match scope {
        Scope::Folder(folder) => folder.join(".codex"),
        Scope::Person => homes.codex.clone(),
    };
    let hooks = HOOKS.into_iter().map(|(point, event, seconds)| {
        let command = format!("thrum hook codex {}", point_name(point));
        let hook = json!({"hooks": [{
            "type": "command",
            "command": (command),
            "timeout": (seconds)
        }]});
        Entry::hook(point, event, hook)
    });
    let server = TomlTable {
        path: ["mcp_servers", "thrum"],
        values: vec![
            ("command", "\"thrum\"".to_owned()),
            ("args", r#"["mcp", "--tool", "codex"]"#.to_owned()),
            ("env_vars", VARIABLES.to_owned()),
            ("startup_timeout_sec", "10".to_owned()),
            // A wait for a message may take 25 minutes.
            ("tool_timeout_sec", "1800".to_owned()),
        ],
        part: Part::Server,
    };
    vec![
        ToolFile { path: folder.join("config.toml"), content: Content::Toml(server) },
        ToolFile { path: folder.join("hooks.json"), content: Content::Json(hooks.collect()) },
    ]
}
