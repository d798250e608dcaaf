//! A thrumd that doesn't answer: its socket takes calls, and nothing comes back.

use std::fs::File;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use rustix::process::Signal;
use tests::harness::{Client, Daemon, LONG, SHORT, Setup, eventually, holds, process};

const WAITING: &str = "waiting for thrumd: its socket is open, but it does not answer";

/// A client that runs while the test goes on.
pub(crate) struct Running {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Running {
    pub(crate) fn start(client: &Client, name: &str, words: &[&str]) -> Self {
        let folder = client.folder();
        let (stdout, stderr) =
            (folder.join(format!("{name}.out")), folder.join(format!("{name}.err")));
        let child = client
            .command(words)
            .stdin(Stdio::null())
            .stdout(File::create(&stdout).unwrap())
            .stderr(File::create(&stderr).unwrap())
            .spawn()
            .unwrap();
        Self { child, stdout, stderr }
    }

    pub(crate) fn stdout(&self) -> String {
        std::fs::read_to_string(&self.stdout).unwrap()
    }

    pub(crate) fn stderr(&self) -> String {
        std::fs::read_to_string(&self.stderr).unwrap()
    }

    #[track_caller]
    pub(crate) fn says(&self, words: &str) {
        eventually(SHORT, || {
            let said = self.stderr();
            holds(said.contains(words) && said.ends_with('\n'), || said)
        });
    }

    #[track_caller]
    pub(crate) fn ends(&mut self) -> Option<i32> {
        let still = || "it still runs".to_owned();
        eventually(SHORT, || self.child.try_wait().unwrap().ok_or_else(still)).code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// A daemon that doesn't run, and its socket, which something else holds.
fn held_socket() -> (Daemon, UnixListener) {
    let daemon = Setup::new("held").prepare();
    std::fs::create_dir_all(daemon.state()).unwrap();
    let held = UnixListener::bind(daemon.socket()).unwrap();
    (daemon, held)
}

#[test]
fn a_daemon_that_was_stopped_is_waited_for_and_the_person_is_told_once() {
    let daemon = Daemon::start("laptop");
    process::signal(daemon.pid(), Signal::STOP);
    let client = Client::new(&daemon);
    let mut quiet = Running::start(&client, "quiet", &["status", "-q"]);
    let mut program = Running::start(&client, "program", &["status", "--json"]);
    let mut person = Running::start(&client, "person", &["status"]);
    person.says(WAITING);
    program.says(WAITING);
    process::signal(daemon.pid(), Signal::CONT);
    for running in [&mut quiet, &mut program, &mut person] {
        assert_eq!(running.ends(), Some(0), "{}", running.stderr());
    }
    assert_eq!(person.stderr(), format!("{WAITING}; see why: thrum doctor\n"));
    assert!(person.stdout().contains("laptop") && !person.stdout().contains(WAITING));
    let line: serde_json::Value = serde_json::from_str(&program.stderr()).unwrap();
    assert_eq!(line["note"]["code"], "waiting", "{line}");
    let status: serde_json::Value = serde_json::from_str(&program.stdout()).unwrap();
    assert_eq!(status["schema"], 1, "{status}");
    assert_eq!(quiet.stderr(), "");
}

#[test]
fn a_held_socket_without_a_daemon_is_reported_with_the_path_of_the_log() {
    let (daemon, held) = held_socket();
    let log = daemon.state().join("thrumd.log");
    std::fs::write(&log, "Error: can't start\n").unwrap();
    let mut inbox = Running::start(&Client::new(&daemon), "inbox", &["inbox", "--as", "coder"]);
    inbox.says(WAITING);
    assert_eq!(inbox.stderr(), format!("{WAITING}; see why: tail -n 50 {}\n", log.display()));
    drop(held);
    assert_eq!(inbox.ends(), Some(3), "{}", inbox.stderr());
}

#[test]
fn a_long_call_to_a_healthy_daemon_is_no_silence() {
    let daemon = Daemon::start("laptop");
    // Again, because a healthy daemon on a machine that is busy for a second looks silent.
    eventually(LONG, || {
        let wait = daemon.thrum(&["wait", "--as", "coder", "--timeout", "5s"]).exits(5);
        holds(!wait.stderr.contains("thrumd"), || wait.stderr)
    });
}

#[test]
fn doctor_tells_a_stopped_daemon_from_a_held_socket() {
    let (stopped, (held, _held)) = (Daemon::start("stopped"), held_socket());
    process::signal(stopped.pid(), Signal::STOP);
    let words = ["doctor", "--json"];
    let mut of_stopped = Running::start(&Client::new(&stopped), "doctor", &words);
    let mut of_held = Running::start(&Client::new(&held), "doctor", &words);
    let look = format!("ps -o stat,wchan,etime -p {}", stopped.pid());
    for (running, broken, because, next) in [
        (&mut of_stopped, "socket_answers", None, &*look),
        (&mut of_held, "service_process", Some("service_process"), "thrum daemon start"),
    ] {
        assert_eq!(running.ends(), Some(6), "{}", running.stderr());
        let json: serde_json::Value = serde_json::from_str(&running.stdout()).unwrap();
        let checks = json["checks"].as_array().unwrap();
        let first = checks.iter().find(|check| check["state"] == "fail").unwrap();
        assert_eq!(first["id"], broken, "{json}");
        assert_eq!(first["next"], next, "{first}");
        let answers = checks.iter().find(|check| check["id"] == "socket_answers").unwrap();
        assert_eq!(answers["because"].as_str(), because, "{answers}");
    }
}

#[test]
fn the_limit_of_a_wait_holds_when_thrumd_is_silent_or_gone() {
    let (stopped, mut gone) = (Daemon::start("stopped"), Daemon::start("gone"));
    process::signal(stopped.pid(), Signal::STOP);
    let words = ["wait", "--as", "coder", "--timeout", "3s"];
    let mut of_stopped = Running::start(&Client::new(&stopped), "wait", &words);
    let mut of_gone = Running::start(&Client::new(&gone), "wait", &words);
    eventually(SHORT, || gone.has_agent("coder"));
    gone.stop();
    for running in [&mut of_stopped, &mut of_gone] {
        assert_eq!(running.ends(), Some(5), "{}", running.stderr());
        assert!(running.stderr().contains("no message for coder in 3s"), "{}", running.stderr());
    }
}

#[test]
fn a_prompt_does_not_wait_for_a_thrumd_that_is_silent() {
    let daemon = Daemon::start("laptop");
    process::signal(daemon.pid(), Signal::STOP);
    let words = ["inbox", "--count", "-q", "--as", "coder"];
    let mut prompt = Running::start(&Client::new(&daemon), "prompt", &words);
    assert_eq!(prompt.ends(), Some(0));
    assert_eq!((prompt.stdout(), prompt.stderr()), (String::new(), String::new()));
}

#[test]
fn the_log_of_a_thrumd_that_is_silent_is_read_all_the_same() {
    let (daemon, _held) = held_socket();
    std::fs::write(daemon.state().join("thrumd.log"), "Error: can't start\n").unwrap();
    let mut logs = Running::start(&Client::new(&daemon), "logs", &["daemon", "logs"]);
    assert_eq!(logs.ends(), Some(0), "{}", logs.stderr());
    assert_eq!(logs.stdout(), "Error: can't start\n");
}

#[test]
fn doctor_says_that_it_waits_for_a_silent_thrumd() {
    let daemon = Daemon::start("laptop");
    process::signal(daemon.pid(), Signal::STOP);
    // Again, because doctor waits for 10 s, and a busy machine may look at its output after that.
    let mut doctor = eventually(LONG, || {
        let doctor = Running::start(&Client::new(&daemon), "doctor", &["doctor"]);
        doctor.says("Some checks take longer; waiting for them.");
        let said = doctor.stdout();
        holds(said.is_empty(), || format!("only after the wait: {said}")).map(|()| doctor)
    });
    process::signal(daemon.pid(), Signal::CONT);
    doctor.ends();
}

#[test]
fn ctrl_c_ends_a_pairing_that_a_silent_thrumd_has_not_opened_yet() {
    let daemon = Daemon::start("laptop");
    process::signal(daemon.pid(), Signal::STOP);
    let mut add = Running::start(&Client::new(&daemon), "add", &["peer", "add"]);
    add.says(WAITING);
    process::signal(add.child.id(), Signal::INT);
    assert_eq!(add.ends(), Some(130), "{}", add.stderr());
    process::signal(daemon.pid(), Signal::CONT);
}
