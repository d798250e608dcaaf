//! `thrum init --undo` leaves every file as it was, after a session too.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tests::agent_tools::{Desk, Installed, Tool, sealed_with};
use tests::harness::Daemon;

#[test]
fn what_was_set_up_for_claude_code_is_taken_back() {
    sealed_with(&[Tool::ClaudeCode], |installed| {
        is_taken_back(
            installed,
            Tool::ClaudeCode,
            &[
                (
                    ".mcp.json",
                    "{\n\t\"mcpServers\": {\n\t\t\"other\": {\"command\": \"true\"}\n\t}\n}",
                ),
                (
                    ".claude/settings.json",
                    "\u{feff}{\r\n  \"permissions\": {\"allow\": [\"Bash(ls)\"]}\r\n}\r\n",
                ),
            ],
        );
    });
}

#[test]
fn what_was_set_up_for_codex_is_taken_back() {
    sealed_with(&[Tool::Codex], |installed| {
        is_taken_back(
            installed,
            Tool::Codex,
            &[
                (".codex/config.toml", "# ours\n[mcp_servers.other]\ncommand = \"true\" # stays\n"),
                (".codex/hooks.json", "{\"hooks\": {\"Stop\": [{\"hooks\": []}]}}"),
            ],
        );
    });
}

/// With what a team has in these files, and without any.
fn is_taken_back(installed: &Installed, tool: Tool, of_the_team: &[(&str, &str)]) {
    let daemon = Daemon::start("laptop");
    for files in [of_the_team, &[]] {
        let desk = Desk::new(installed, tool, &daemon);
        for (name, text) in files {
            let path = desk.project().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let before = files_of(&desk.project());
        desk.sets_up(&[]);
        assert_ne!(files_of(&desk.project()), before);
        let session = desk.runs("hello");
        desk.model().asked().says("Hello.");
        session.ends();
        desk.sets_up(&["--undo"]);
        assert_eq!(files_of(&desk.project()), before);
        // Without it the tool is as it was.
        let session = desk.runs("hello");
        let asked = desk.model().asked();
        asked.lacks("[thrum]");
        assert!(!asked.tools().iter().any(|name| name.ends_with("send_message")));
        asked.says("Hello.");
        session.ends();
    }
}

/// Every file of a project and every folder, but what git keeps.
fn files_of(project: &Path) -> BTreeMap<String, Option<String>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![project.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(project).unwrap().display().to_string();
            if name == ".git" {
                continue;
            }
            let text = path.is_file().then(|| fs::read(&path).unwrap().escape_ascii().to_string());
            if text.is_none() {
                folders.push(path);
            }
            found.insert(name, text);
        }
    }
    found
}
