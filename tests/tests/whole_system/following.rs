//! Commands that go on for as long as they are left to: they end with their reader, and outlive a restart.

use std::fs::{self, File};
use std::io::Write as _;
use std::process::{Command, Stdio};

use tests::harness::{Client, Daemon, LONG, SHORT, Setup, eventually, holds, output_within};

/// Runs `thrum WORDS | head -1`, as a shell does.
#[track_caller]
fn first_line(client: &Client, words: &str) -> String {
    let thrum = client.command(&[]);
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("\"$1\" {words} | head -1"), "sh"]).arg(thrum.get_program());
    shell.env_clear().envs(thrum.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = output_within(LONG, shell.current_dir(client.folder())).unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_command_that_waits_for_more_ends_with_its_reader() {
    let daemon = Daemon::start("laptop");
    let client = Client::new(&daemon);
    client.run(&["send", "--as", "a", "b", "the only one"]).exits(0);
    assert!(first_line(&client, "wait --as b --follow").contains("the only one"));
    assert!(first_line(&client, "events --follow --after 0").contains("agent.joined"));
    assert!(first_line(&client, "status --watch --json").contains("laptop"));
}

#[test]
fn waiting_for_messages_outlives_restarts_under_traffic() {
    let mut daemon = Daemon::start("laptop");
    let client = Client::new(&daemon);
    let file = client.folder().join("messages.out");
    // Through a pipe, as agents read it: marking waits for the reader then.
    let thrum = client.command(&[]);
    let mut shell = Command::new("sh");
    shell.args(["-c", "\"$1\" wait --as b --follow --json | cat", "sh"]).arg(thrum.get_program());
    shell.env_clear().envs(thrum.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.current_dir(client.folder()).stdin(Stdio::null()).stderr(Stdio::null());
    let mut waiting = shell.stdout(std::fs::File::create(&file).unwrap()).spawn().unwrap();
    let printed = || std::fs::read_to_string(&file).unwrap();
    let texts: Vec<_> = (0..12).map(|number| format!("message {number}.")).collect();
    for text in &texts {
        client.run(&["send", "--as", "a", "b", text]).exits(0);
        // While it is printed or marked.
        eventually(SHORT, || holds(printed().contains(text), printed));
        daemon.stop();
        daemon.start_again();
    }
    client.run(&["send", "--as", "a", "b", "the last"]).exits(0);
    eventually(LONG, || holds(printed().contains("the last"), printed));
    assert!(waiting.try_wait().unwrap().is_none(), "it goes on");
    waiting.kill().unwrap();
    waiting.wait().unwrap();
}

#[test]
fn following_events_outlives_a_restart() {
    let mut daemon = Daemon::start("laptop");
    let client = Client::new(&daemon);
    daemon.append(["before"]);
    let file = client.folder().join("events.out");
    let mut following = client
        .command(&["events", "--follow", "--after", "0", "--json"])
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(&file).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let printed = || std::fs::read_to_string(&file).unwrap();
    eventually(SHORT, || holds(printed().contains("before"), printed));
    daemon.stop();
    daemon.start_again();
    daemon.append(["after"]);
    eventually(SHORT, || holds(printed().contains("after"), printed));
    following.kill().unwrap();
    following.wait().unwrap();
    let all = printed();
    assert_eq!((all.matches("before").count(), all.lines().count()), (1, 2), "{all}");
}

#[test]
fn following_the_log_misses_nothing_of_a_rotation() {
    let folder = tempfile::tempdir().unwrap();
    // Not where the daemon really writes, which would come in between.
    let (log, file) = (folder.path().join("thrumd.log"), folder.path().join("out"));
    let daemon = Setup::new("laptop").env("THRUM_LOG_PATH", log.display()).start();
    let client = Client::new(&daemon);
    let open =
        |path: &std::path::Path| File::options().append(true).create(true).open(path).unwrap();
    let write = |mut to: &File, bytes: &[u8]| to.write_all(bytes).unwrap();
    let old = open(&log);
    write(&old, b"the last line\n");
    let mut command = client.command(&["daemon", "logs", "--follow", "--lines", "1"]);
    let mut following = command.stdout(File::create(&file).unwrap()).spawn().unwrap();
    let printed = || fs::read_to_string(&file).unwrap();
    let prints = |text: &str| eventually(SHORT, || holds(printed().contains(text), printed));
    prints("the last line\n");
    write(&old, b"a character comes in two pieces: \xc3");
    write(&old, b"\xbc.\n");
    prints("in two pieces: \u{fc}.\n");
    fs::rename(&log, log.with_extension("1")).unwrap();
    write(&old, b"late line\nunfinished");
    write(&open(&log), b"first of the new log\n");
    prints("late line\nunfinished\nfirst of the new log\n");
    following.kill().unwrap();
    following.wait().unwrap();
}
