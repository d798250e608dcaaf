//! `thrum init` where something is in its way: links, crashes, others at the same time, agents.

use std::fs;
use std::path::Path;
use std::process::Command;

use tests::harness::copy_program;

use super::{Person, TOOLS, put, read};

#[test]
fn a_file_that_cant_be_undone_is_named_and_its_way_back_is_kept() {
    let person = Person::new();
    let (settings, record) =
        (person.app(".claude/settings.json"), person.home.join(".config/thrum/setup.json"));
    put(&settings, "{\r\n\t\"theme\": \"dark\" }");
    let before = person.all();
    person.thrum(&["init", "claude-code", "--yes"]).exits(0);
    let whole = read(&settings);
    fs::write(&settings, &whole[..whole.len() - 1]).unwrap();
    for _ in 0..2 {
        let error = person.thrum(&["init", "claude-code", "--undo", "--yes"]).exits(1).stderr;
        assert!(error.contains(".claude/settings.json: it is not JSON"), "{error}");
        assert!(record.exists() && !person.app(".mcp.json").exists());
    }
    fs::write(&settings, whole).unwrap();
    person.thrum(&["init", "claude-code", "--undo", "--yes"]).exits(0);
    assert!(!record.exists());
    fs::remove_dir_all(person.home.join(".config")).unwrap();
    assert_eq!(person.all(), before);
}

#[test]
fn a_link_out_of_the_folder_is_shown_and_followed_only_if_a_person_says_so() {
    let person = Person::new();
    let (bashrc, dotfiles) = (person.home.join(".bashrc"), person.home.join("dotfiles"));
    fs::write(&bashrc, "alias x=y\n").unwrap();
    fs::create_dir(&dotfiles).unwrap();
    fs::create_dir(person.home.join(".config")).unwrap();
    std::os::unix::fs::symlink(&bashrc, person.app("AGENTS.md")).unwrap();
    std::os::unix::fs::symlink(&dotfiles, person.app(".gemini")).unwrap();
    let before = person.all();
    for (tool, name, real) in [
        ("script", "AGENTS.md", bashrc.clone()),
        ("gemini", ".gemini/settings.json", dotfiles.join("settings.json")),
    ] {
        let shown = format!("{name} -> {}", real.display());
        let would = person.thrum(&["init", tool, "--dry-run"]).exits(0).stdout;
        assert!(would.contains(&shown), "{would}");
        let refused = person.thrum(&["init", tool, "--yes"]).exits(1).stderr;
        assert!(refused.contains("a link out of this folder"), "{refused}");
        let would = person.thrum(&["init", tool, "--dry-run", "--json"]).exits(0).json();
        assert_eq!(would["would"]["files"][0]["leads_to"], real.to_str().unwrap(), "{would}");
    }
    assert_eq!(person.all(), before);
    let mut terminal = person.terminal(&["init", "script"]);
    terminal.shows(r"AGENTS\.md -> .*/\.bashrc");
    terminal.shows(r"Write this\? \[y/N\]");
    terminal.types("y");
    assert_eq!(terminal.ends().0, 0);
    assert!(read(&bashrc).contains("thrum"));
    let undone = person.thrum(&["init", "script", "--undo", "--yes"]).exits(0).stderr;
    assert!(undone.contains("AGENTS.md -> "), "{undone}");
    assert_eq!(read(&bashrc), "alias x=y\n");
}

#[test]
fn what_is_set_up_elsewhere_is_named() {
    let person = Person::new();
    fs::create_dir_all(person.app("src/deep")).unwrap();
    let undo_in = |folder: &str| {
        let mut command = person.command(&["init", "codex", "--undo", "--yes"]);
        let output = command.current_dir(person.home.join(folder)).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    person.thrum(&["init", "codex", "--yes"]).exits(0);
    let (code, told) = undo_in("app/src/deep");
    assert!(
        code == Some(1) && told.contains(&format!("but for {}", person.home.join("app").display())),
        "{told}"
    );

    // In the folder and for all: the hooks of both run.
    let user = person.thrum(&["init", "codex", "--user", "--yes"]).exits(0).stderr;
    assert!(user.contains("may run twice") && user.contains("/app"), "{user}");
    person.thrum(&["init", "codex", "--undo", "--yes"]).exits(0);
    let (code, told) = undo_in("app");
    assert!(code == Some(1) && told.contains("--user --undo"), "{told}");
    let folder = person.thrum(&["init", "codex", "--dry-run"]).exits(0).stdout;
    assert!(folder.contains("may run twice") && folder.contains("--user --undo"), "{folder}");
    let other = person.thrum(&["init", "gemini", "--yes"]).exits(0).stderr;
    assert!(!other.contains("twice"), "{other}");
}

#[test]
fn a_thrum_that_is_killed_while_it_writes_leaves_the_way_back() {
    let person = Person::new();
    let (servers, settings) = (person.app(".mcp.json"), person.app(".claude/settings.json"));
    put(&servers, "{\"mcpServers\": {\"thrum\": {\"url\": \"http://127.0.0.1:1\"}}}");
    put(&settings, &format!("{{\n  \"theme\": \"{}\",\n  \"last\": 1\n}}", "x".repeat(64 << 10)));
    let before = person.all();
    // The system kills it when it writes the file that is larger than 8 KiB.
    let thrum = person.command(&["init", "claude-code", "--yes"]);
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "ulimit -c 0; ulimit -f 16; exec \"$@\"", "sh"]).arg(thrum.get_program());
    command.args(thrum.get_args()).current_dir(person.app("")).env_clear();
    command.envs(thrum.get_envs().filter_map(|(name, value)| Some((name, value?))));
    assert_eq!(command.output().unwrap().status.code(), None, "it was not killed");
    assert!(!read(&servers).contains("127.0.0.1"), "it was killed before it wrote");
    for entry in fs::read_dir(person.app(".claude")).unwrap().map(Result::unwrap) {
        if entry.file_name().to_string_lossy().starts_with(".thrum-") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    person.thrum(&["init", "claude-code", "--undo", "--yes"]).exits(0);
    fs::remove_dir_all(person.home.join(".config")).unwrap();
    assert_eq!(person.all(), before);
}

#[test]
fn several_thrums_at_once_set_up_all_of_their_tools() {
    let person = Person::new();
    let started = TOOLS.map(|tool| person.command(&["init", tool, "--yes"]).spawn().unwrap());
    for mut child in started {
        assert!(child.wait().unwrap().success());
    }
    let record = read(&person.home.join(".config/thrum/setup.json"));
    assert!(TOOLS.iter().all(|tool| record.contains(&format!("\"tool\": {tool:?}"))), "{record}");
}

#[test]
fn an_agent_cant_allow_waking_by_itself() {
    let person = Person::new();
    let before = person.all();
    // A shell of a tool, known by what the tool sets, or by its program.
    let shell = person.home.join("codex");
    let refused = |mut command: Command| {
        let output = command.output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.code() == Some(1) && told.contains("for a person to allow"),
            "{told}"
        );
        assert!(told.contains("a terminal of your own"), "{told}");
    };
    for words in [&["init", "codex", "--wake", "--yes"][..], &["wake", "on"]] {
        let mut command = person.command(words);
        command.env("CLAUDECODE", "1");
        refused(command);

        copy_program(Path::new("/bin/sh"), &shell);
        let thrum = person.command(words);
        let mut command = Command::new(&shell);
        command
            .args(["-c", "sh -c '\"$@\"; exit $?' sh \"$@\"; exit $?", "sh"])
            .arg(thrum.get_program())
            .args(words);
        command.env_clear().envs(thrum.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(person.app(""));
        refused(command);
        fs::remove_file(&shell).unwrap();
    }
    assert_eq!(person.all(), before);
    let mut command = person.command(&["init", "codex", "--yes"]);
    assert!(command.env("CLAUDECODE", "1").status().unwrap().success());
    assert!(!person.identity("codex").1);
}
