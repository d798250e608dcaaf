//! The client as people and scripts use it: words, exit codes, JSON, pipes.

use std::io::Read as _;
use std::process::Stdio;

use tests::harness::{
    Client, Daemon, OtherUser, SHORT, Setup, Terminal, allow, eventually, holds, paired_daemons,
    process,
};

#[test]
fn a_message_reaches_an_agent_on_the_other_machine() {
    let (laptop, server) = paired_daemons();
    let (planner, coder) = (Client::new(&laptop), Client::new(&server));
    planner.run(&["send", "--as", "planner", "coder", "the parser is yours"]).exits(0);
    let ran = coder.run(&["wait", "--as", "coder", "--timeout", "20s"]).exits(0);
    assert!(ran.stdout.contains("the parser is yours"), "{}", ran.stdout);
    assert!(ran.stdout.contains("planner"), "{}", ran.stdout);
    coder.env("THRUM_AGENT", "coder").run(&["send", "--to", "planner", "thanks"]).exits(0);
    let ran = planner.run(&["wait", "--as", "planner", "--timeout", "20s", "--json"]).exits(0);
    let text = ran.json().to_string();
    assert!(text.contains("thanks") && text.contains("server"), "{text}");
}

#[test]
fn waiting_ends_when_a_message_arrives_from_a_peer() {
    let (laptop, server) = paired_daemons();
    let mut waiting = Client::new(&server)
        .command(&["wait", "--as", "coder", "--timeout", "30s"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    eventually(SHORT, || server.has_agent("coder"));
    laptop.thrum(&["send", "--as", "planner", "coder", "wake up"]).exits(0);
    let status =
        eventually(SHORT, || waiting.try_wait().unwrap().ok_or_else(|| "still waiting".to_owned()));
    assert!(status.success());
    let mut text = String::new();
    waiting.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(text.contains("wake up"), "{text}");
}

#[test]
fn waiting_for_nothing_ends_with_5() {
    let daemon = Daemon::start("laptop");
    let ran = daemon.thrum(&["wait", "--as", "coder", "--timeout", "300ms"]).exits(5);
    assert_eq!(ran.stdout, "");
    let ran = daemon.thrum(&["wait", "--as", "coder", "--timeout", "300ms", "--json"]).exits(5);
    assert!(ran.json_error()["message"].is_string());
}

#[test]
fn a_message_that_was_waited_for_is_not_waited_for_again() {
    let daemon = Daemon::start("laptop");
    daemon.thrum(&["send", "--as", "a", "b", "once"]).exits(0);
    daemon.thrum(&["wait", "--as", "b", "--timeout", "5s"]).exits(0);
    daemon.thrum(&["wait", "--as", "b", "--timeout", "300ms"]).exits(5);
}

#[test]
fn a_command_without_recipient_or_sender_says_what_to_add() {
    let daemon = Daemon::start("laptop");
    let ran = daemon.thrum(&["send", "--as", "planner", "hello"]);
    assert!([Some(1), Some(2)].contains(&ran.code), "{ran:?}");
    assert!(ran.stderr.contains("--all"), "{}", ran.stderr);
    let ran = daemon.thrum(&["send", "coder", "hello"]);
    assert!([Some(1), Some(2)].contains(&ran.code), "{ran:?}");
    assert!(ran.stderr.contains("--as") && ran.stderr.contains("THRUM_AGENT"), "{}", ran.stderr);
    assert_eq!(daemon.events().len(), 0, "nothing was written");
}

#[test]
fn everyone_is_spelt_out_and_reaches_everyone_of_the_project_but_the_sender() {
    let daemon = Daemon::start("laptop");
    let elsewhere = Client::new(&daemon).env("THRUM_PROJECT", "elsewhere");
    daemon.thrum(&["wait", "--as", "b", "--timeout", "1ms"]).exits(5);
    elsewhere.run(&["wait", "--as", "b", "--timeout", "1ms"]).exits(5);
    daemon.thrum(&["send", "--as", "a", "--all", "to everyone"]).exits(0);
    daemon.thrum(&["wait", "--as", "b", "--timeout", "5s"]).exits(0);
    daemon.thrum(&["wait", "--as", "a", "--timeout", "300ms"]).exits(5);
    elsewhere.run(&["wait", "--as", "b", "--timeout", "300ms"]).exits(5);
}

#[test]
fn a_message_comes_from_stdin_with_a_dash_and_may_begin_with_one() {
    let daemon = Daemon::start("laptop");
    let client = Client::new(&daemon);
    client.run_with(&["send", "--as", "a", "b", "-"], "two\nlines\n").exits(0);
    client.run_with(&["send", "--as", "a", "b", "-"], "from windows\r\n").exits(0);
    client.run(&["send", "--as", "a", "b", "--", "--all of it"]).exits(0);
    let ran = client.run(&["inbox", "--as", "b", "--json"]).exits(0);
    let text = ran.json().to_string();
    assert!(
        text.contains(r"two\nlines")
            && text.contains("\"from windows\"")
            && text.contains("--all of it"),
        "{text}"
    );
}

#[test]
fn a_wrong_command_line_exits_with_2_and_suggests_the_near_word() {
    let daemon = Daemon::start("laptop");
    let ran = daemon.thrum(&["statsu"]).exits(2);
    assert!(ran.stderr.contains("status"), "{}", ran.stderr);
    assert_eq!(ran.stdout, "");
    daemon.thrum(&["wait", "--as", "a", "--timeout", "soon"]).exits(2);
    daemon.thrum(&["inbox", "--as", "not a name"]);
}

#[test]
fn three_causes_of_an_unreachable_daemon_have_three_messages() {
    let mut daemon = Daemon::start("laptop");
    let client = Client::new(&daemon);
    let socket = daemon.socket().display().to_string();
    daemon.kill();
    let died = client.run(&["status"]).exits(3);
    assert!(died.stderr.contains(&socket), "{}", died.stderr);
    std::fs::remove_file(daemon.socket()).unwrap();
    let absent = client.run(&["status"]).exits(3);
    assert!(absent.stderr.contains(&socket), "{}", absent.stderr);
    assert!(absent.stderr.contains("thrum daemon start"), "{}", absent.stderr);
    assert_ne!(died.stderr, absent.stderr);
    let error = client.run(&["status", "--json"]).exits(3).json_error();
    assert!(error["message"].is_string() && error["hint"].is_string(), "{error}");
}

#[test]
fn a_socket_of_someone_else_exits_with_4() {
    let user = match OtherUser::new() {
        Ok(user) => user,
        Err(reason) => return tests::harness::skip(&reason),
    };
    let daemon = Daemon::start("laptop");
    for path in [daemon.folder(), daemon.state()] {
        allow(path, 0o755);
    }
    for words in [&["status"][..], &["daemon", "logs"]] {
        let ran = user.thrum(words).env("THRUM_SOCKET", daemon.socket()).output().unwrap();
        let text = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(4), "{words:?}: {text}");
        assert!(text.contains(&daemon.socket().display().to_string()), "{text}");
    }
    // Who may use the socket may still not have the tokens.
    allow(&daemon.socket(), 0o666);
    let mut backup = user.thrum(&["backup", "b", "--json"]);
    let ran = backup.env("THRUM_SOCKET", daemon.socket()).output().unwrap();
    let text = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(4), "{text}");
    assert!(text.contains(r#""code":"not_permitted""#) && text.contains("sudo"), "{text}");
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let daemon = Daemon::start("laptop");
    for part in 0..3 {
        daemon.append((0..1000).map(|n| format!("{part} {n} {}", "x".repeat(200))));
    }
    let mut child = Client::new(&daemon)
        .command(&["events", "--json", "--limit", "1000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 10];
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut first).unwrap();
    drop(stdout);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn ctrl_c_ends_a_wait_with_130() {
    let daemon = Daemon::start("laptop");
    let words = ["wait", "--as", "coder", "--timeout", "1m"];
    let terminal_of = |words: &[&str]| Terminal::open(Client::new(&daemon).command(words));
    let mut terminal = terminal_of(&words);
    eventually(SHORT, || daemon.has_agent("coder"));
    terminal.interrupts();
    assert_eq!(terminal.ends().0, 130);
}

#[test]
fn colour_is_for_terminals_that_want_it() {
    let daemon = Daemon::start("laptop");
    let client = Client::new(&daemon);
    assert!(!client.run(&["status"]).exits(0).stdout.contains('\u{1b}'));
    let quiet = Terminal::open(client.clone().env("NO_COLOR", 1).command(&["status"])).ends();
    assert_eq!(quiet.0, 0);
    assert!(!quiet.1.contains("\u{1b}["), "{:?}", quiet.1);
    assert!(quiet.1.contains("laptop"), "{:?}", quiet.1);
}

#[test]
fn the_daemon_is_started_and_stopped_by_the_client() {
    let daemon = Setup::new("laptop").prepare();
    let client = Client::of_socket(daemon.socket(), daemon.folder().to_owned())
        .env("THRUM_STATE_DIR", daemon.state().display())
        .env("THRUM_TAILNET", "loopback")
        .env("THRUM_TS_HOSTNAME", "laptop")
        // As below a service of systemd, whose journal the daemon's log isn't.
        .env("JOURNAL_STREAM", "1:2");
    let _guard = process::Guard(daemon.state().to_owned());
    let ran = client.run(&["daemon", "start"]).exits(0);
    let health = daemon.health();
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert!(said.contains(&health.pid.to_string()), "{said}");
    let log = health.log_path.expect("a log file");
    assert!(said.contains(&log), "{said}");
    client.run(&["daemon", "status"]).exits(0);
    let again = client.run(&["daemon", "start"]);
    assert!(again.code.is_some());
    assert_eq!(daemon.health().pid, health.pid, "the first one still runs");
    let logged = client.run(&["daemon", "logs"]).exits(0).stdout;
    assert!(logged.contains(" INFO thrumd") && !logged.contains("<6>"), "{logged}");
    client.run(&["daemon", "stop"]).exits(0);
    eventually(SHORT, || holds(!process::runs(health.pid), || "it still runs".to_owned()));
    client.run(&["status"]).exits(3);
}

#[test]
fn a_daemon_that_dies_at_start_is_quoted() {
    let daemon = Setup::new("laptop").prepare();
    let client = Client::of_socket(daemon.socket(), daemon.folder().to_owned())
        .env("THRUM_STATE_DIR", daemon.state().display())
        .env("THRUM_TAILNET", "loopback")
        .env("THRUM_TS_PORT", "ninety");
    let ran = client.run(&["daemon", "start"]).exits(1);
    assert!(ran.stderr.contains("THRUM_TS_PORT"), "{}", ran.stderr);
}

#[test]
fn a_daemon_started_with_relative_paths_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let client = Client::of_socket("run.sock".into(), folder.path().to_owned())
        .env("THRUM_STATE_DIR", "here")
        .env("THRUM_TAILNET", "loopback");
    let _guard = process::Guard(folder.path().join("here"));
    client.run(&["daemon", "start"]).exits(0);
    let status = client.run(&["status", "--json"]).exits(0);
    client.run(&["daemon", "stop"]).exits(0);
    assert!(folder.path().join("here/log.db").exists(), "{}", status.stdout);
}

#[test]
fn the_client_finds_the_daemon_where_the_settings_file_puts_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("thrumd.toml");
    let state = folder.path().join("data");
    let text = format!("state_dir = {state:?}\ntailnet = \"loopback\"\n");
    std::fs::write(&file, text).unwrap();
    // Relative: the daemon works elsewhere.
    let client =
        Client::of_socket("".into(), folder.path().to_owned()).env("THRUM_CONFIG", "thrumd.toml");
    let _guard = process::Guard(state.clone());
    client.run(&["daemon", "start"]).exits(0);
    client.run(&["status"]).exits(0);
    client.run(&["daemon", "stop"]).exits(0);
    assert!(state.join("log.db").exists());
}
