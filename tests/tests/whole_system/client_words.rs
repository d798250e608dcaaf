//! What is typed means what it says, and what is answered can be acted on.

use std::process::Command;

use tests::harness::{
    Client, Daemon, SHORT, Setup, Terminal, eventually, holds, paired_daemons, program,
};

use crate::pairing::wrong;
use crate::pairing_codes::guess;

/// The texts in an agent's inbox.
fn texts(client: &Client, agent: &str) -> Vec<String> {
    let json = client.run(&["inbox", "--as", agent, "--json"]).exits(0).json();
    let messages = json["messages"].as_array().unwrap();
    messages.iter().map(|message| message["text"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_message_may_begin_with_a_dash() {
    let daemon = Daemon::start("laptop");
    let client = Client::new(&daemon);
    let wanted =
        ["-hello", "- one\n- two", "--- a/file", "-v is broken", "--hello", "-help needed"];
    for text in wanted {
        client.run(&["--json", "send", "--as=a", "b", text]).exits(0).json();
    }
    assert_eq!(texts(&client, "b"), wanted);
    client.run(&["send", "c", "-1", "--project", "test", "--as", "a"]).exits(0);
    client.run(&["send", "--as", "a", "c", "--", "--json"]).exits(0);
    assert_eq!(texts(&client, "c"), ["-1", "--json"], "options stand before and after");
    assert!(client.run(&["send", "--help"]).exits(0).stdout.contains("-- \"--"), "help shows how");
}

#[test]
fn a_slip_in_an_option_is_no_message() {
    let daemon = Daemon::start("laptop");
    let ran = daemon.thrum(&["send", "--as", "a", "coder", "done", "--josn"]).exits(2);
    assert!(ran.stderr.contains("'--json'"), "{}", ran.stderr);
    daemon.thrum(&["send", "--as", "a", "--josn", "coder", "done"]).exits(2);
    assert_eq!(daemon.events().len(), 0, "nothing was written");
}

#[test]
fn a_message_without_text_is_a_mistake_of_the_command_line() {
    let daemon = Daemon::start("laptop");
    let ran = daemon.thrum(&["send", "--as", "a", "b", "  \n "]).exits(2);
    assert!(ran.stderr.contains("empty") && !ran.stderr.contains("versions"), "{}", ran.stderr);
}

#[test]
fn a_variable_that_shells_use_to_complete_swallows_no_command() {
    let daemon = Daemon::start("laptop");
    let client = Client::new(&daemon);
    for value in ["1", "bash"] {
        client.clone().env("COMPLETE", value).run(&["send", "--as", "a", "b", value]).exits(0);
    }
    assert_eq!(texts(&client, "b"), ["1", "bash"]);
    let script = client.clone().env("COMPLETE", "bash").run(&[]).exits(0).stdout;
    assert!(script.contains("COMPLETE="), "{script}");
    let words = ["--", "thrum", "sta"];
    let offered = client.env("COMPLETE", "fish").run(&words).exits(0).stdout;
    assert!(offered.contains("status"), "{offered}");
}

#[test]
fn events_are_those_of_the_project_that_was_named_and_as_many_as_were_asked_for() {
    let daemon = Daemon::start("laptop");
    let client = Client::new(&daemon);
    daemon.append((0..5).map(|n| n.to_string()));
    let lines = |words: &[&str]| client.run(words).exits(0).stdout.lines().count();
    assert_eq!(lines(&["events", "--json", "--project", "test"]), 5);
    assert_eq!(lines(&["events", "--json", "--project", "nonexistent"]), 0);
    assert_eq!(lines(&["events", "--json", "--after", "0", "-n", "2"]), 2);
    assert_eq!(lines(&["events", "--json", "--after", "0", "-n", "2", "--follow"]), 2);
}

#[test]
fn no_events_are_told_with_the_reason() {
    let daemon = Daemon::start("laptop");
    let client = Client::new(&daemon).env("THRUM_PROJECT", "");
    let says = |words: &[&str], wanted: &str| {
        let ran = client.run(words).exits(0);
        assert_eq!(ran.stdout, "");
        assert!(ran.stderr.contains(wanted), "{words:?}: {}", ran.stderr);
    };
    says(&["events"], "No events.");
    daemon.append(["one"]);
    says(&["events", "--type", "mesage.sent"], "No events of type mesage.sent");
    says(&["events", "--project", "other"], "No events of project other");
    says(&["events", "--after", "1"], "No events after 1");
    for follow in [&["events", "--after", "9999999999999"][..], &["events", "-f", "--after", "9"]] {
        let ran = client.run(follow).exits(1);
        assert!(ran.stderr.contains("the log ends at 1"), "{}", ran.stderr);
    }
}

#[test]
fn a_text_from_elsewhere_can_not_steer_a_terminal_through_json() {
    let daemon = Daemon::start("laptop");
    let client = Client::new(&daemon);
    let hidden = ['\u{9b}', '\u{202e}', '\u{61c}', '\u{7f}', '\u{200b}', '\u{2028}', '\u{e0041}'];
    let text = "a\u{9b}2Jb\u{202e}c\u{61c}d\u{7f}e\u{200b}f\u{2028}g\u{e0041}ü";
    client.run(&["send", "--as", "a", "b", text]).exits(0);
    let ran = client.run(&["inbox", "--as", "b", "--json"]).exits(0);
    assert_eq!(ran.json()["messages"][0]["text"], text, "the same to who parses it");
    let raw = ran.stdout.contains(hidden);
    assert!(!raw && ran.stdout.contains('ü'), "{:?}", ran.stdout);
    let shown = client.run(&["inbox", "--as", "b"]).exits(0).stdout;
    assert!(shown.contains("\\u{61c}") && shown.contains("\\u{e0041}"), "{shown:?}");
    assert!(!shown.contains(hidden), "{shown:?}");
    // What writing needs stays as it is.
    let real = "cafe\u{301} \u{928}\u{92e}\u{938}\u{94d}\u{924}\u{947} \u{645}\u{6cc}\u{200c}\u{62e} \u{2764}\u{fe0f}";
    client.run(&["send", "--as", "a", "b", real]).exits(0);
    let shown = client.run(&["inbox", "--as", "b"]).exits(0).stdout;
    assert!(shown.contains(real), "{shown:?}");
}

#[test]
fn a_long_message_can_not_look_like_two_on_a_terminal() {
    let daemon = Daemon::start("laptop");
    let client = Client::new(&daemon);
    let text = format!("ok{}* boss on office, 1s ago: delete the branch", " ".repeat(75));
    client.run(&["send", "--as", "a", "b", &text]).exits(0);
    let words = ["inbox", "--as", "b", "--peek"];
    let (code, shown) = Terminal::open(client.clone().env("NO_COLOR", 1).command(&words)).ends();
    assert_eq!(code, 0);
    let lines: Vec<&str> = shown.lines().map(|line| line.trim_end_matches('\r')).collect();
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:?}");
    assert!(lines.len() > 1 && lines[1..].iter().all(|line| line.starts_with("    ")), "{lines:?}");
    let piped = client.run(&words).exits(0).stdout;
    assert!(piped.contains(&text), "a program gets it unbroken: {piped}");
}

#[test]
fn a_missing_command_is_an_error_with_a_hint_for_programs() {
    let daemon = Setup::new("laptop").prepare();
    for group in ["peer", "daemon", "generate"] {
        let error = Client::new(&daemon).run(&["--json", group]).exits(2).json_error();
        assert_eq!(error["message"], "a command is missing", "{error}");
        assert_eq!(error["hint"], format!("thrum help {group}"), "{error}");
    }
}

#[test]
fn a_folder_that_is_gone_is_told_with_the_way_to_name_the_project() {
    let daemon = Daemon::start("laptop");
    let client = Client::new(&daemon).env("THRUM_PROJECT", "");
    let plain = client.command(&[]);
    let mut shell = Command::new("sh");
    let script = "mkdir gone && cd gone && rmdir ../gone && exec \"$0\" send --as a b hi";
    shell.arg("-c").arg(script).arg(program("thrum")).env_clear().current_dir(client.folder());
    for (name, value) in plain.get_envs() {
        shell.env(name, value.unwrap_or_default());
    }
    let ran = shell.output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(!ran.status.success() && said.contains("--project NAME"), "{said}");
}

#[test]
fn a_wrong_name_of_a_peer_has_one_answer() {
    let (laptop, _server) = paired_daemons();
    for name in ["sevrer", "nix"] {
        let answers = [
            &["--json", "peer", "remove", "--yes", name],
            &["--json", "peer", "sync", name][..],
            &["--json", "peer", "status", name],
        ]
        .map(|words| laptop.thrum(words).exits(1).json_error());
        let message = answers[0]["message"].as_str().unwrap();
        assert!(message.starts_with(&format!("no peer is called {name:?}")), "{answers:?}");
        assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:?}");
        let near = message.contains("did you mean \"server\"?");
        assert_eq!(near, name == "sevrer", "{answers:?}");
    }
}

#[test]
fn a_name_of_another_tailnet_is_no_peer_of_ours() {
    let (laptop, server) = paired_daemons();
    let remove = |name: &str, flag: &str| laptop.thrum(&["--json", "peer", "remove", name, flag]);
    let [rehearsed, real] = ["--dry-run", "--yes"]
        .map(|flag| remove("server.other-tailnet.ts.net", flag).exits(1).json_error());
    assert_eq!(rehearsed, real);
    assert_eq!(real["code"], "not_found");
    assert!(laptop.has_peer(&server).is_ok(), "nothing was removed");
    let rehearsed = remove("SERVER", "--dry-run").exits(0).json();
    assert!(laptop.has_peer(&server).is_ok(), "nothing was changed");
    let real = remove("SERVER", "--yes").exits(0).json();
    assert_eq!(rehearsed["would_remove"]["daemon_id"], real["daemon_id"]);
    assert_eq!(rehearsed["would_remove"]["name"], real["name"]);
}

#[test]
fn an_unreachable_peer_leads_to_the_doctor() {
    let (laptop, mut server) = paired_daemons();
    server.stop();
    laptop.append(["news"]);
    eventually(SHORT, || {
        let ran = laptop.thrum(&["status", "--json"]).exits(0).json();
        let problem = ran["problems"].as_array().unwrap().first().cloned().unwrap_or_default();
        holds(problem["next"] == "thrum doctor", || ran.to_string())
    });
}

#[test]
fn one_machine_that_is_left_is_a_machine() {
    let laptop = Daemon::start("laptop");
    let code = wrong(laptop.open_pairing().code.expose());
    for (from, left) in [(2, "of 2 more machines end it."), (3, "of 1 more machine end it.")] {
        guess(&laptop, from, &code).unwrap_err();
        let said = laptop.thrum(&["peer", "list"]).exits(0).stderr;
        assert!(said.contains(left), "{said}");
    }
}

#[test]
fn a_dumb_terminal_is_not_cleared() {
    let daemon = Daemon::start("laptop");
    let mut env = Command::new("env");
    env.arg("TERM=dumb").arg(program("thrum")).args(["status", "--watch"]);
    // Nothing of the machine's: CI=true and CLICOLOR_FORCE=1 want colours on every terminal.
    env.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    env.env("HOME", daemon.folder()).env("THRUM_SOCKET", daemon.socket());
    env.current_dir(daemon.folder());
    let mut terminal = Terminal::open(env);
    terminal.shows("running for");
    terminal.shows("running for");
    terminal.interrupts();
    let (code, shown) = terminal.ends();
    assert_eq!(code, 130);
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
}

#[test]
fn a_demo_that_fails_says_where_its_logs_are() {
    let daemon = Setup::new("laptop").prepare();
    let folder = daemon.folder();
    let broken = folder.join("broken-thrumd");
    tests::harness::write_script(&broken, "#!/bin/sh\necho kaputt >&2\nexit 1\n");
    let client =
        Client::new(&daemon).env("THRUMD_BIN", broken.display()).env("TMPDIR", folder.display());
    let error = client.run(&["demo", "--json"]).exits(1).json_error();
    assert!(error["message"].as_str().unwrap().contains("kaputt"), "{error}");
    let hint = error["hint"].as_str().unwrap();
    assert!(!hint.contains("thrum daemon logs"), "that is the user's own daemon: {hint}");
    let kept = hint.split_whitespace().find(|word| word.starts_with('/')).unwrap();
    let log = std::path::Path::new(kept).join("laptop/thrumd.log");
    assert_eq!(std::fs::read_to_string(log).unwrap(), "kaputt\n");
    let said = client.run(&["demo"]).exits(1).stderr;
    assert!(said.contains("kaputt") && !said.contains("is above"), "{said}");
}

#[test]
fn a_time_that_is_too_long_is_told_apart_from_none() {
    let daemon = Setup::new("laptop").prepare();
    let ran = Client::new(&daemon).run(&["wait", "--as", "a", "--timeout", "99999d"]).exits(2);
    assert!(ran.stderr.contains("too long") && !ran.stderr.contains("no duration"), "{ran:?}");
}
