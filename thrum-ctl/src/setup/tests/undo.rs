//! What taking back does with files that are not as they were written.

use std::fs;

use super::{World, read, somebodys};
use crate::setup::edit::Outcome;
use crate::setup::patch::{Patch, digest};
use crate::setup::record::Record;
use crate::setup::tool::Tool;
use crate::setup::undo::How;

#[test]
fn a_file_that_cant_be_undone_keeps_its_way_back() {
    let mut world = World::new();
    let [scope, _] = world.scopes();
    let (settings, plugin) = (
        world.root.join("app/.claude/settings.json"),
        world.root.join("app/.opencode/plugin/thrum.ts"),
    );
    fs::create_dir_all(settings.parent().unwrap()).unwrap();
    fs::write(&settings, somebodys(&settings)).unwrap();
    let before = world.all();
    for (tool, file) in [(Tool::ClaudeCode, &settings), (Tool::Opencode, &plugin)] {
        world.set_up(tool, &scope);
        let whole = read(file);
        fs::write(file, format!("{whole}{{")).unwrap();
        let hows = world.undo(tool, &scope);
        assert!(matches!(&hows[..], [How::Removed, How::Stays(_)]), "{hows:?}");
        let left = world.record.of(tool, scope.folder()).unwrap();
        assert_eq!(left.files.iter().map(|it| &it.path).collect::<Vec<_>>(), [file]);
        fs::write(file, whole).unwrap();
        world.undo(tool, &scope);
        assert_eq!(world.record, Record::default());
        assert_eq!(world.all(), before, "{tool}");
    }
}

#[test]
fn a_record_whose_files_were_never_written_can_be_undone_and_set_up() {
    for tool in Tool::ALL {
        let mut world = World::new();
        let [scope, _] = world.scopes();
        for file in tool.files(&scope, &world.homes) {
            fs::create_dir_all(file.path.parent().unwrap()).unwrap();
            let text = match somebodys(&file.path) {
                "" => "export const Mine = 1\n",
                text => text,
            };
            fs::write(&file.path, text).unwrap();
        }
        let before = world.all();
        world.recorded(tool, &scope);
        assert!(world.undo(tool, &scope).iter().all(|it| *it == How::Clean), "{tool}");
        assert_eq!(world.all(), before, "{tool}");

        world.recorded(tool, &scope);
        world.set_up(tool, &scope);
        assert!(world.undo(tool, &scope).iter().all(|it| *it == How::Restored), "{tool}");
        assert_eq!(world.all(), before, "{tool}: set up after a crash");
    }
}

#[test]
fn a_newer_plugin_that_was_never_written_leaves_the_way_back_of_the_older_one() {
    let mut world = World::new();
    let [scope, _] = world.scopes();
    let plugin = world.root.join("app/.opencode/plugin/thrum.ts");
    let before = world.all();
    world.set_up(Tool::Opencode, &scope);
    let older = format!("{}// older\n", read(&plugin));
    fs::write(&plugin, &older).unwrap();
    let mut setup = world.record.of(Tool::Opencode, scope.folder()).unwrap().clone();
    setup.files[1].after = digest(&older);
    world.record.put(setup);
    world.recorded(Tool::Opencode, &scope);
    assert_eq!(world.undo(Tool::Opencode, &scope)[1], How::Removed);
    assert_eq!(world.all(), before);
}

#[test]
fn a_newer_thrum_goes_back_to_what_was_before_the_older_one() {
    let mut world = World::new();
    let [scope, _] = world.scopes();
    let config = world.root.join("app/.codex/config.toml");
    fs::create_dir_all(config.parent().unwrap()).unwrap();
    fs::write(&config, somebodys(&config)).unwrap();
    world.set_up(Tool::Codex, &scope);
    // What an older one wrote, as its record says.
    let now = read(&config);
    let older = now.replace("1800", "60").replace("startup_timeout_sec = 10\r\n", "");
    fs::write(&config, &older).unwrap();
    let mut setup = world.record.of(Tool::Codex, scope.folder()).unwrap().clone();
    setup.files[0].after = digest(&older);
    setup.files[0].before = Some(Patch::back(&older, somebodys(&config)));
    world.record.put(setup);

    let plan = world.plan(Tool::Codex, &scope);
    assert!(plan.replaces() && matches!(plan.files[0].parts[0].1, Outcome::Replaced(_)));
    world.set_up(Tool::Codex, &scope);
    assert!(world.plan(Tool::Codex, &scope).changes().is_empty());
    assert_eq!(world.undo(Tool::Codex, &scope)[0], How::Restored);
    assert_eq!(read(&config), somebodys(&config));

    // The older one's entries were changed since: they are no part of what was before.
    world.set_up(Tool::Codex, &scope);
    fs::write(&config, format!("# new\n{}", read(&config).replace("1800", "60"))).unwrap();
    world.set_up(Tool::Codex, &scope);
    world.undo(Tool::Codex, &scope);
    assert_eq!(read(&config).trim_end(), format!("# new\n{}", somebodys(&config)));
}

#[test]
fn a_plugin_that_somebody_changed_stays_and_one_that_is_not_ours_is_put_back() {
    let mut world = World::new();
    let [scope, _] = world.scopes();
    let plugin = world.root.join("app/.opencode/plugin/thrum.ts");
    world.set_up(Tool::Opencode, &scope);
    fs::write(&plugin, read(&plugin) + "// mine\n").unwrap();
    assert!(matches!(world.undo(Tool::Opencode, &scope)[1], How::Stays(_)));
    assert!(read(&plugin).ends_with("// mine\n"));

    fs::write(&plugin, "export const Mine = 1\n").unwrap();
    world.set_up(Tool::Opencode, &scope);
    assert_eq!(world.undo(Tool::Opencode, &scope)[1], How::Restored);
    assert_eq!(read(&plugin), "export const Mine = 1\n");
    assert_eq!(world.undo(Tool::Opencode, &scope)[1], How::Clean);
}

#[test]
fn what_was_there_before_is_not_ours_to_undo() {
    let mut world = World::new();
    let [scope, _] = world.scopes();
    world.set_up(Tool::Gemini, &scope);
    let settings = world.root.join("app/.gemini/settings.json");
    // Somebody else has shared the files, with one hook less.
    let shared = read(&settings);
    world.record = Record::default();
    world.set_up(Tool::Gemini, &scope);
    assert_eq!(world.undo(Tool::Gemini, &scope), []);
    assert_eq!(read(&settings), shared);

    let less = shared.replace("thrum hook gemini stop", "make check");
    fs::write(&settings, &less).unwrap();
    world.set_up(Tool::Gemini, &scope);
    assert!(read(&settings).contains("thrum hook gemini stop"));
    fs::write(&settings, read(&settings).replace("5000", "5001")).unwrap();
    assert_eq!(world.undo(Tool::Gemini, &scope), [How::TakenOut(1)]);
    assert_eq!(read(&settings), less.replace("5000", "5001"));
}

#[test]
fn a_link_is_not_left_without_its_file() {
    let mut world = World::new();
    let [scope, _] = world.scopes();
    let (real, link) = (world.root.join("shared.json"), world.root.join("app/.mcp.json"));
    world.set_up(Tool::ClaudeCode, &scope);
    fs::rename(&link, &real).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    world.record = Record::default();
    assert_eq!(world.undo(Tool::ClaudeCode, &scope)[0], How::TakenOut(1));
    assert_eq!(read(&link), "{}\n");
}

#[test]
fn the_version_that_a_file_needs_goes_if_somebodys_file_had_none() {
    let mut world = World::new();
    let [scope, _] = world.scopes();
    let hooks = world.root.join("app/.cursor/hooks.json");
    let somebodys = "{\n  \"hooks\": {\"stop\": [{\"command\": \"make check\"}]}\n}\n";
    fs::create_dir_all(hooks.parent().unwrap()).unwrap();
    fs::write(&hooks, somebodys).unwrap();
    world.set_up(Tool::Cursor, &scope);
    fs::write(&hooks, format!("{}\n", read(&hooks))).unwrap();
    assert_eq!(world.undo(Tool::Cursor, &scope), [How::Removed, How::TakenOut(5)]);
    let left: serde_json::Value = serde_json::from_str(&read(&hooks)).unwrap();
    assert_eq!(left, serde_json::from_str::<serde_json::Value>(somebodys).unwrap());

    // In a file that thrum made, what somebody has added needs it.
    fs::remove_file(&hooks).unwrap();
    world.set_up(Tool::Cursor, &scope);
    let more = read(&hooks).replacen("\"hooks\": {", "\"hooks\": {\n\"afterFileEdit\": [],", 1);
    fs::write(&hooks, more).unwrap();
    assert_eq!(world.undo(Tool::Cursor, &scope)[1], How::TakenOut(5));
    assert!(read(&hooks).contains("\"version\": 1"), "{}", read(&hooks));
}

#[test]
fn without_a_record_only_what_had_something_of_ours_is_pruned() {
    let mut world = World::new();
    let [scope, _] = world.scopes();
    let settings = world.root.join("app/.claude/settings.json");
    fs::create_dir_all(settings.parent().unwrap()).unwrap();
    let hook = r#"{"hooks": [{"command": "thrum", "args": ["hook", "claude-code", "stop"]}]}"#;
    let text = format!(
        r#"{{"permissions": {{"allow": []}}, "hooks": {{"PreToolUse": [], "Stop": [{hook}]}}}}"#
    );
    fs::write(&settings, text).unwrap();
    assert_eq!(world.undo(Tool::ClaudeCode, &scope)[1], How::TakenOut(1));
    let left: serde_json::Value = serde_json::from_str(&read(&settings)).unwrap();
    assert_eq!(
        left,
        serde_json::json!({"permissions": {"allow": []}, "hooks": {"PreToolUse": []}})
    );
}
