use jsonc_parser::json;

use crate::setup::content::{Content, Entry, Part, ToolFile};
use crate::setup::place::{Homes, Scope, present};

/// What a folder for plugins makes OpenCode do.
pub const TO_DO: &[&str] = &[
    "With plugins, OpenCode fetches a package at its start; where no registry can be reached, that takes about 75 s.",
];

/// What hooks do for other tools.
const PLUGIN: &str = include_str!("opencode_plugin.ts");

/// Its files.
pub fn files(scope: &Scope, homes: &Homes) -> Vec<ToolFile> {
    let (settings, plugins) = match scope {
        Scope::Folder(folder) => {
            (present(folder, &["opencode.json", "opencode.jsonc"]), folder.join(".opencode/plugin"))
        }
        Scope::Person => (
            present(&homes.opencode, &["opencode.json", "opencode.jsonc"]),
            homes.opencode.join("plugin"),
        ),
    };
    let server = json!({
        "type": "local",
        "command": ["thrum", "mcp", "--tool", "opencode"],
        "enabled": true
    });
    vec![
        ToolFile { path: settings, content: Content::Json(vec![Entry::server("mcp", server)]) },
        ToolFile { path: plugins.join("thrum.ts"), content: Content::Whole(Part::Plugin, PLUGIN) },
    ]
}
