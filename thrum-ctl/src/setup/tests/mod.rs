//! Setting up and taking back, for every tool.

mod undo;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::check::{FileState, check_with};
use super::files::{Change, apply, check as check_writable, missing_folders, remove_empty};
use super::place::{Homes, Scope};
use super::plan::Plan;
use super::record::{Record, Setup};
use super::tool::Tool;
use super::undo::{How, Undo};

/// A home with a project in it.
struct World {
    _folder: tempfile::TempDir,
    root: PathBuf,
    homes: Homes,
    record: Record,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("app")).unwrap();
        let homes = Homes::below(&root);
        Self { _folder: folder, root, homes, record: Record::default() }
    }

    fn scopes(&self) -> [Scope; 2] {
        [Scope::Folder(self.root.join("app")), Scope::Person]
    }

    fn plan(&self, tool: Tool, scope: &Scope) -> Plan {
        Plan::of(tool, scope, &self.homes, &self.record).unwrap()
    }

    fn set_up(&mut self, tool: Tool, scope: &Scope) {
        let changes = self.recorded(tool, scope);
        apply(&changes).unwrap();
    }

    /// As it is if thrum ends between the record and the files.
    fn recorded(&mut self, tool: Tool, scope: &Scope) -> Vec<Change> {
        let plan = self.plan(tool, scope);
        let changes = plan.changes();
        check_writable(&changes).unwrap();
        let old = self.record.of(tool, scope.folder()).map(|it| it.folders.clone());
        let mut folders = old.unwrap_or_default();
        folders.extend(missing_folders(&changes));
        self.record.put(Setup {
            tool,
            folder: scope.folder().map(Path::to_owned),
            agent: None,
            project: None,
            wake: false,
            files: plan.files.into_iter().filter_map(|it| it.record).collect(),
            folders,
        });
        changes
    }

    fn undo(&mut self, tool: Tool, scope: &Scope) -> Vec<How> {
        let undo = Undo::of(tool, scope, &self.homes, &self.record).unwrap();
        apply(&undo.changes()).unwrap();
        remove_empty(&undo.folders);
        undo.forget(tool, scope, &mut self.record);
        undo.files.into_iter().map(|it| it.how).collect()
    }

    /// Everything below, byte for byte.
    fn all(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let (mut found, mut folders) = (BTreeMap::new(), vec![self.root.clone()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path.clone());
                }
                found.insert(path.clone(), fs::read(&path).unwrap_or_default());
            }
        }
        found
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

/// What a person may have in a file of this name.
fn somebodys(path: &Path) -> &'static str {
    match path.extension().and_then(|it| it.to_str()) {
        Some("toml") => "model = \"x\" # mine\r\n[mcp_servers.other]\r\ncommand = \"y\"",
        Some("md") => "# App\n\nRules.",
        Some("json" | "jsonc") => {
            "\u{feff}{\n\t// mine\n\t\"theme\": \"dark\",\n\t\"hooks\": {\n\t},\n}"
        }
        _ => "",
    }
}

#[test]
fn every_tool_is_set_up_once_and_taken_back_byte_for_byte() {
    for had_files in [false, true] {
        let mut world = World::new();
        for scope in world.scopes() {
            for tool in Tool::ALL {
                let files = tool.files(&scope, &world.homes);
                if files.is_empty() {
                    assert_eq!((tool, &scope), (Tool::Script, &Scope::Person));
                    continue;
                }
                for file in
                    files.iter().filter(|file| had_files && !somebodys(&file.path).is_empty())
                {
                    fs::create_dir_all(file.path.parent().unwrap()).unwrap();
                    fs::write(&file.path, somebodys(&file.path)).unwrap();
                }
                let before = world.all();
                world.set_up(tool, &scope);
                assert!(world.plan(tool, &scope).changes().is_empty(), "{tool}");
                let state = check_with(&world.root.join("app"), &world.record, &world.homes);
                assert!(state.iter().all(|it| it.tool == tool && it.is_whole()), "{state:?}");
                assert_eq!(state.len(), 1);
                world.undo(tool, &scope);
                assert_eq!(world.all(), before, "{tool} {scope:?}");
            }
        }
    }
}

#[test]
fn what_teams_share_has_no_paths_and_no_names() {
    let mut world = World::new();
    let [scope, _] = world.scopes();
    for tool in Tool::ALL {
        world.set_up(tool, &scope);
    }
    let user = std::env::var("USER").unwrap_or_else(|_| "root".to_owned());
    for (path, bytes) in world.all() {
        let text = String::from_utf8(bytes).unwrap();
        let root = world.root.to_str().unwrap();
        assert!(
            !text.contains(root) && !text.contains("\"/") && !text.contains("app-"),
            "{path:?}"
        );
        assert!(!text.contains(&user), "{path:?}");
    }
}

#[test]
fn what_is_written_is_what_was_tried() {
    let mut world = World::new();
    for scope in world.scopes() {
        for tool in Tool::ALL {
            world.set_up(tool, &scope);
        }
    }
    let mut all = String::new();
    for (path, bytes) in world.all().iter().filter(|(path, _)| path.is_file()) {
        let name = path.strip_prefix(&world.root).unwrap().display();
        all.push_str(&format!("==== {name}\n{}\n", String::from_utf8_lossy(bytes)));
    }
    insta::assert_snapshot!("written", all);
}

#[test]
fn what_somebody_changed_since_stays_and_ours_goes() {
    let mut world = World::new();
    let [scope, _] = world.scopes();
    let (servers, settings) =
        (world.root.join("app/.mcp.json"), world.root.join("app/.claude/settings.json"));
    world.set_up(Tool::ClaudeCode, &scope);
    let text = read(&settings);
    fs::write(&settings, text.replacen('{', "{\n  // new\n  \"model\": \"opus\",", 1)).unwrap();
    let hows = world.undo(Tool::ClaudeCode, &scope);
    assert_eq!(hows, [How::Removed, How::TakenOut(7)]);
    assert_eq!(read(&settings), "{\n  // new\n  \"model\": \"opus\"\n}\n");
    assert!(!servers.exists());

    // A change of the look alone: nothing of somebody else's is left, and the file was made for ours.
    fs::remove_file(&settings).unwrap();
    world.set_up(Tool::ClaudeCode, &scope);
    fs::write(&settings, format!("{}\n\n", read(&settings))).unwrap();
    assert_eq!(world.undo(Tool::ClaudeCode, &scope)[1], How::Removed);
}

#[test]
fn without_a_record_what_is_ours_is_found_all_the_same() {
    let mut world = World::new();
    let [scope, _] = world.scopes();
    for tool in Tool::ALL {
        world.set_up(tool, &scope);
    }
    world.record = Record::default();
    let state = check_with(&world.root.join("app"), &world.record, &world.homes);
    assert_eq!(state.len(), Tool::ALL.len());
    assert!(state.iter().all(|it| it.is_whole() && !it.is_recorded));
    for tool in Tool::ALL {
        assert!(world.undo(tool, &scope).iter().all(|how| *how == How::Removed), "{tool}");
    }
    assert!(world.all().keys().all(|path| path.is_dir()), "{:?}", world.all().keys());
}

#[test]
fn what_any_file_of_a_tool_has_does_not_make_it_set_up() {
    let mut world = World::new();
    let [scope, _] = world.scopes();
    let hooks = world.root.join("app/.cursor/hooks.json");
    let others = "{\"version\": 1, \"hooks\": {\"stop\": [{\"command\": \"make check\"}]}}\n";
    fs::create_dir_all(hooks.parent().unwrap()).unwrap();
    fs::write(&hooks, others).unwrap();
    assert_eq!(check_with(&world.root.join("app"), &world.record, &world.homes), []);
    assert_eq!(world.undo(Tool::Cursor, &scope), [How::Clean, How::Clean]);
    assert_eq!(read(&hooks), others);

    // Somebody's comment is somebody's, even if nothing else is left.
    world.set_up(Tool::Gemini, &scope);
    let settings = world.root.join("app/.gemini/settings.json");
    fs::write(&settings, format!("// mine\n{}", read(&settings))).unwrap();
    assert_eq!(world.undo(Tool::Gemini, &scope), [How::TakenOut(6)]);
    assert_eq!(read(&settings), "// mine\n{}\n");
}

#[test]
fn what_cant_be_edited_is_an_error_before_anything_is_written() {
    let world = World::new();
    let [scope, _] = world.scopes();
    let app = world.root.join("app");
    fs::create_dir_all(app.join(".claude")).unwrap();
    for bytes in [&b"{\"hooks\": []}"[..], b"{", b"\xff\xfe{\0}\0", b"{\"a\": 1, \"a\": 2}"] {
        fs::write(app.join(".claude/settings.json"), bytes).unwrap();
        let error = Plan::of(Tool::ClaudeCode, &scope, &world.homes, &world.record).err().unwrap();
        assert!(error.to_string().contains(".claude/settings.json"), "{error}");
        assert!(error.hint().unwrap().contains("nothing was changed"));
        let state = check_with(&app, &world.record, &world.homes);
        assert!(state.is_empty(), "{state:?}");
    }
    fs::write(
        app.join(".mcp.json"),
        r#"{"mcpServers": {"thrum": {"command": "thrum", "args": ["mcp"]}}}"#,
    )
    .unwrap();
    let state = check_with(&app, &world.record, &world.homes);
    let states: Vec<_> = state[0].files.iter().map(|(_, state)| state.clone()).collect();
    assert_eq!(states[0], FileState::Changed);
    assert!(matches!(&states[1], FileState::Unreadable(why) if why.contains("twice")));
}
