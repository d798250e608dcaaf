//! `thrum init`: what it writes for each tool, what it leaves alone, and the way back.

mod awkward;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::harness::{Client, Ran, Terminal};

const TOOLS: [&str; 7] =
    ["claude-code", "codex", "gemini", "copilot", "opencode", "cursor", "script"];

/// A person with a home, and a project in it. There is no daemon: nothing here needs one.
struct Person {
    _folder: tempfile::TempDir,
    home: PathBuf,
}

impl Person {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().canonicalize().unwrap();
        fs::create_dir_all(home.join("app/.git")).unwrap();
        let config = "[remote \"origin\"]\n\turl = git@github.com:acme/app.git\n";
        fs::write(home.join("app/.git/config"), config).unwrap();
        Self { _folder: folder, home }
    }

    fn app(&self, file: &str) -> PathBuf {
        self.home.join("app").join(file)
    }

    fn command(&self, words: &[&str]) -> Command {
        let client = Client::of_socket(self.home.join("none.sock"), self.home.clone());
        let mut command = client.command(words);
        command.current_dir(self.app("")).env_remove("THRUM_PROJECT").env("NO_COLOR", "1");
        command
    }

    #[track_caller]
    fn thrum(&self, words: &[&str]) -> Ran {
        let output = self.command(words).output().unwrap();
        Ran {
            words: words.join(" "),
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn terminal(&self, words: &[&str]) -> Terminal {
        Terminal::open(self.command(words))
    }

    /// Every file and folder of the person but thrum's own, with mode, kind and bytes.
    fn all(&self) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
        let (mut found, mut folders) = (BTreeMap::new(), vec![self.home.clone()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
                let path = entry.path();
                if path == self.home.join(".config/thrum") {
                    continue;
                }
                let metadata = fs::symlink_metadata(&path).unwrap();
                if metadata.is_dir() {
                    folders.push(path.clone());
                }
                found.insert(path.clone(), (metadata.mode(), fs::read(&path).unwrap_or_default()));
            }
        }
        found
    }

    fn identity(&self, tool: &str) -> (String, bool) {
        let list = self.thrum(&["init", "--list", "--json"]).exits(0).json();
        let tools = list["tools"].as_array().unwrap();
        let found = tools.iter().find(|it| it["tool"] == tool).unwrap();
        (found["agent"].as_str().unwrap_or_default().to_owned(), found["wake"] == true)
    }
}

fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn every_tool_is_set_up_once_and_undone_byte_for_byte() {
    let person = Person::new();
    fs::create_dir(person.home.join(".config")).unwrap();
    let crlf = "\u{feff}{\r\n\t// mine\r\n\t\"theme\": \"dark\",\r\n}";
    put(&person.app(".claude/settings.json"), crlf);
    put(&person.app("real/mcp.json"), "{\"mcpServers\":{}}");
    std::os::unix::fs::symlink("real/mcp.json", person.app(".mcp.json")).unwrap();
    put(&person.app(".codex/config.toml"), "model = \"x\" # mine\r\n");
    put(&person.app("AGENTS.md"), "# Rules");
    put(&person.app("opencode.jsonc"), "{ /* mine */ }\n");
    put(&person.home.join(".claude.json"), "{\"numStartups\":3,\"oauth\":\"secret-token\"}");
    fs::set_permissions(person.home.join(".claude.json"), fs::Permissions::from_mode(0o600))
        .unwrap();

    for user in [false, true] {
        for tool in TOOLS.into_iter().filter(|tool| !user || *tool != "script") {
            let before = person.all();
            let words = |more: &[&'static str]| {
                let user = user.then_some("--user");
                ["init", tool]
                    .into_iter()
                    .chain(user)
                    .chain(more.iter().copied())
                    .collect::<Vec<_>>()
            };
            let would = person.thrum(&words(&["--dry-run"])).exits(0);
            assert!(would.stdout.contains('+') && would.stdout.ends_with("Nothing was changed.\n"));
            assert_eq!(person.all(), before, "{tool}: a dry run");

            person.thrum(&words(&["--yes"])).exits(0);
            let after = person.all();
            assert_ne!(after, before);
            let again = person.thrum(&words(&["--yes", "--json"])).exits(0).json();
            assert_eq!(again["set_up"]["changed"], false, "{tool}: {again}");
            assert_eq!(person.all(), after, "{tool}: again");
            // What was there kept its mode, and links are links.
            for (path, (mode, _)) in &before {
                assert_eq!(after[path].0, *mode, "{path:?}");
            }

            person.thrum(&words(&["--undo", "--dry-run"])).exits(0);
            assert_eq!(person.all(), after, "{tool}: a dry run of undo");
            person.thrum(&words(&["--undo", "--yes"])).exits(0);
            assert_eq!(person.all(), before, "{tool}: undone");
            person.thrum(&words(&["--undo", "--yes"])).exits(0);
            assert_eq!(person.all(), before, "{tool}: undone twice");
        }
    }
    assert!(!person.home.join(".config/thrum/setup.json").exists());
}

#[test]
fn the_record_is_for_the_person_alone_and_has_no_copy_of_secrets() {
    let person = Person::new();
    put(&person.home.join(".claude.json"), "{\n  \"oauth\": \"secret-token\",\n  \"a\": 1\n}\n");
    person.thrum(&["init", "claude-code", "--user", "--yes"]).exits(0);
    let record = person.home.join(".config/thrum/setup.json");
    assert_eq!(fs::metadata(&record).unwrap().mode() & 0o777, 0o600);
    assert!(!read(&record).contains("secret-token"), "{}", read(&record));
    fs::write(&record, "{").unwrap();
    let error = person.thrum(&["init", "codex", "--yes", "--json"]).exits(1).json_error();
    assert!(error["message"].as_str().unwrap().contains("setup.json"), "{error}");
}

#[test]
fn undo_leaves_what_somebody_changed_since_and_works_without_the_record() {
    for keeps_record in [true, false] {
        let person = Person::new();
        for tool in TOOLS {
            person.thrum(&["init", tool, "--yes"]).exits(0);
        }
        let settings = person.app(".claude/settings.json");
        let config = person.app(".codex/config.toml");
        fs::write(&settings, read(&settings).replacen('{', "{\n  \"model\": \"opus\",", 1))
            .unwrap();
        fs::write(&config, format!("model = \"o\"\n\n{}", read(&config))).unwrap();
        if !keeps_record {
            fs::remove_file(person.home.join(".config/thrum/setup.json")).unwrap();
        }
        for tool in TOOLS {
            person.thrum(&["init", tool, "--undo", "--yes"]).exits(0);
        }
        let left: Vec<_> = person.all().into_keys().filter(|path| path.is_file()).collect();
        assert_eq!(left, [settings.clone(), config.clone(), person.app(".git/config")]);
        assert_eq!(read(&settings), "{\n  \"model\": \"opus\"\n}\n");
        assert_eq!(read(&config), "model = \"o\"\n");
    }
}

#[test]
fn a_list_and_a_dry_run_tell_the_same_in_each_scope_and_state() {
    let person = Person::new();
    let trust = |tool: &str| {
        let list = person.thrum(&["init", "--list", "--json"]).exits(0).json();
        let tools = list["tools"].as_array().unwrap();
        tools.iter().find(|it| it["tool"] == tool).unwrap()["needs_trust"].clone()
    };
    person.thrum(&["init", "codex", "--user", "--yes"]).exits(0);
    person.thrum(&["init", "gemini", "--user", "--yes"]).exits(0);
    assert_eq!(
        (trust("codex"), trust("gemini")),
        ("review the hooks".into(), serde_json::Value::Null)
    );
    person.thrum(&["init", "claude-code", "--yes"]).exits(0);
    assert_eq!(trust("claude-code"), "trust the folder, allow the server");

    let would = person.thrum(&["init", "claude-code", "--dry-run", "--json"]).exits(0).json();
    assert_eq!(would["would"]["changed"], false, "{would}");
    let mut terminal = person.terminal(&["init", "claude-code", "--user"]);
    terminal.shows(r"Write this\? \[y/N\]");
    terminal.types("y");
    terminal.shows(r"Wake idle sessions everywhere when a message comes\?");
    terminal.types("");
    assert_eq!(terminal.ends().0, 0);
}

#[test]
fn who_the_agent_is_and_whether_it_is_woken_is_said_once_and_kept() {
    let person = Person::new();
    assert_eq!(person.identity("codex"), (String::new(), false));
    person.thrum(&["init", "codex", "--yes"]).exits(0);
    assert_eq!(person.identity("codex"), ("app-codex".to_owned(), false));
    person.thrum(&["init", "codex", "--as", "reviewer", "--wake", "--yes"]).exits(0);
    assert_eq!(person.identity("codex"), ("reviewer".to_owned(), true));
    person.thrum(&["init", "codex", "--yes"]).exits(0);
    assert_eq!(person.identity("codex"), ("reviewer".to_owned(), true));
    // A name is the person's: nothing of it is in the files of the team.
    assert!(!read(&person.app(".codex/hooks.json")).contains("reviewer"));
    assert!(!read(&person.app(".codex/config.toml")).contains("reviewer"));

    let refused = person.thrum(&["init", "gemini", "--wake", "--yes"]).exits(2);
    assert!(refused.stderr.contains("can't be woken"), "{}", refused.stderr);
    person.thrum(&["init", "codex", "--as", "no name", "--yes"]).exits(2);
    person.thrum(&["init", "cdex", "--yes"]).exits(2);
    person.thrum(&["init"]).exits(2);
    person.thrum(&["init", "script", "--user", "--yes"]).exits(2);
}

#[test]
fn on_a_terminal_the_person_is_asked_and_no_means_nothing_is_written() {
    let person = Person::new();
    let before = person.all();
    let refused = person.thrum(&["init", "claude-code"]).exits(2);
    assert!(refused.stderr.contains("--yes"), "{}", refused.stderr);

    let mut terminal = person.terminal(&["init", "claude-code"]);
    terminal
        .shows(r"\.claude/settings\.json +\+ 5 hooks \(session start, prompt, step, stop, end\)");
    terminal.shows(r"Write this\? \[y/N\]");
    terminal.types("");
    assert_eq!(terminal.ends().0, 1);
    let mut terminal = person.terminal(&["init", "claude-code"]);
    terminal.shows(r"Write this\? \[y/N\]");
    terminal.types("y");
    terminal.shows(r"Wake idle sessions here when a message comes\?.*\[y/N\]");
    terminal.interrupts();
    assert_eq!(terminal.ends().0, 130);
    assert_eq!(person.all(), before);

    let mut terminal = person.terminal(&["init", "claude-code"]);
    terminal.shows(r"\[y/N\]");
    terminal.types("y");
    terminal.shows(r"Wake idle.*\[y/N\]");
    terminal.types("");
    let (code, shown) = terminal.ends();
    assert_eq!(code, 0);
    assert!(shown.contains("the agent is \"app-claude\"; say another name with --as"), "{shown}");
    assert!(shown.contains("Undo: thrum init claude-code --undo"), "{shown}");
    assert_eq!(person.identity("claude-code"), ("app-claude".to_owned(), false));

    // A tool that can't be woken is not asked about.
    let mut terminal = person.terminal(&["init", "gemini"]);
    terminal.shows(r"Write this\? \[y/N\]");
    terminal.types("y");
    let (code, shown) = terminal.ends();
    assert!(code == 0 && !shown.contains("Wake"), "{shown}");

    // Of another program of our name, the person sees what goes.
    put(
        &person.app(".cursor/mcp.json"),
        "{\"mcpServers\": {\"thrum\": {\"url\": \"http://127.0.0.1:1\"}}}\n",
    );
    let mut terminal = person.terminal(&["init", "cursor"]);
    terminal.shows(r"\.cursor/mcp\.json +~ thrum");
    terminal.shows(r"-\{.*127\.0\.0\.1:1");
    terminal.shows(r"\[y/N\]");
    terminal.types("y");
    assert_eq!(terminal.ends().0, 0);
    person.thrum(&["init", "cursor", "--undo", "--yes"]).exits(0);
    assert!(read(&person.app(".cursor/mcp.json")).contains("127.0.0.1:1"));
}

#[test]
fn one_file_that_cant_be_changed_and_none_is() {
    let person = Person::new();
    let (servers, settings) = (person.app(".mcp.json"), person.app(".claude/settings.json"));
    for (text, why) in [
        ("{\"hooks\": ", "not JSON"),
        ("[1]", "no JSON object"),
        ("{\"hooks\": {}, \"hooks\": {}}", "twice"),
        ("{\"hooks\": \"all\"}", "no object"),
    ] {
        put(&settings, text);
        let error = person.thrum(&["init", "claude-code", "--yes", "--json"]).exits(1).json_error();
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("settings.json") && message.contains(why), "{error}");
        assert!(error["hint"].as_str().unwrap().contains("nothing was changed"), "{error}");
        assert!(!servers.exists() && read(&settings) == text);
    }
    fs::write(&settings, b"{\"a\": \"caf\xe9\"}").unwrap();
    let latin = person.thrum(&["init", "claude-code", "--yes"]).exits(1);
    assert!(latin.stderr.contains("not UTF-8"), "{}", latin.stderr);

    put(&settings, "{}");
    fs::set_permissions(&settings, fs::Permissions::from_mode(0o444)).unwrap();
    let closed = person.thrum(&["init", "claude-code", "--yes"]).exits(1);
    assert!(closed.stderr.contains("read-only"), "{}", closed.stderr);
    fs::set_permissions(&settings, fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(person.app(".claude"), fs::Permissions::from_mode(0o555)).unwrap();
    let closed = person.thrum(&["init", "claude-code", "--yes"]).exits(1);
    assert!(closed.stderr.contains("read-only"), "{}", closed.stderr);
    fs::set_permissions(person.app(".claude"), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(!servers.exists() && read(&settings) == "{}");

    // The person's own record can't be written: nothing else is.
    fs::remove_dir_all(person.home.join(".config/thrum")).unwrap();
    put(&person.home.join(".config/thrum"), "a file");
    person.thrum(&["init", "claude-code", "--yes"]).exits(1);
    assert!(!servers.exists() && read(&settings) == "{}");

    let mut home = person.command(&["init", "claude-code", "--yes"]);
    let output = home.current_dir(&person.home).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "the home is no project");
}
