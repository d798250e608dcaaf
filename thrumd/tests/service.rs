//! The real process: exit codes, readiness, signals.
#![expect(clippy::expect_used, clippy::panic, reason = "a helper of tests may end the test")]

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const LIMIT: Duration = Duration::from_secs(20);

fn thrumd(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_thrumd"));
    command
        .env_clear()
        .env("HOME", dir)
        // Root's would be that of the machine, whatever its home is.
        .env("THRUM_CONFIG", "/dev/null")
        .env("THRUM_STATE_DIR", dir.join("state"))
        .env("THRUM_TAILNET", "loopback")
        .env("THRUM_TS_PORT", "0")
        .stdin(Stdio::null());
    command
}

fn ended(command: &mut Command) -> (Option<i32>, String, String) {
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    // One that should not have started would run on.
    let deadline = Instant::now() + LIMIT;
    while child.try_wait().expect("a child").is_none() {
        if Instant::now() > deadline {
            child.kill().expect("a child");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let Output { status, stdout, stderr } = child.wait_with_output().expect("its output");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}

/// A running daemon, killed when the test is over.
struct Running(Child);

impl Running {
    /// Starts it and waits until it says that it is ready.
    fn start(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("thrumd starts");
        let mut lines = BufReader::new(child.stderr.take().expect("stderr")).lines();
        let mut seen = String::new();
        loop {
            match lines.next() {
                Some(Ok(line)) if line.contains(" ready: ") => break,
                Some(Ok(line)) => seen.push_str(&line),
                _ => panic!("ended early: {seen}"),
            }
        }
        std::thread::spawn(move || lines.for_each(drop));
        Self(child)
    }

    fn stop(mut self, signal: Signal) -> Option<i32> {
        let pid = Pid::from_child(&self.0);
        kill_process(pid, signal).expect("it runs");
        self.0.wait().expect("its status").code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn wrong_settings_end_with_64_before_anything_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let wrong: [(&str, &str, &str); 3] = [
        ("THRUM_TS_PORT", "70000", "port = \"70000\" (environment THRUM_TS_PORT)"),
        ("THRUM_SYNC_INTERVAL", "soon", "sync_interval"),
        ("THRUM_CONFIG", "/nowhere/thrumd.toml", "/nowhere/thrumd.toml"),
    ];
    for (name, value, told) in wrong {
        for check in [None, Some("--check-config")] {
            let (code, _, stderr) = ended(thrumd(dir.path()).args(check).env(name, value));
            assert_eq!(code, Some(64), "{stderr}");
            assert!(stderr.starts_with("Error: ") && stderr.contains(told), "{stderr}");
        }
    }
    assert_eq!(ended(thrumd(dir.path()).arg("--nonsense")).0, Some(64));
    assert!(!dir.path().join("state").exists());
    assert_eq!(ended(thrumd(dir.path()).arg("--check-config")).0, Some(0));
    assert!(!dir.path().join("state").exists());
}

#[test]
fn settings_are_shown_with_their_origin_and_secrets_hidden() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = thrumd(dir.path());
    command.args(["--print-config", "--port", "9101"]).env("THRUM_TS_AUTH_KEY", "tskey-secret");
    let (code, stdout, stderr) = ended(&mut command);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert!(stdout.contains("9101") && stdout.contains("flag --port"), "{stdout}");
    assert!(stdout.contains("(hidden)") && !stdout.contains("tskey"), "{stdout}");
}

#[test]
fn a_second_daemon_on_a_state_directory_is_refused_and_names_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let first = Running::start(&mut thrumd(dir.path()));
    let (code, _, stderr) = ended(&mut thrumd(dir.path()));
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains(&format!("pid {}", first.0.id())), "{stderr}");
    let (code, _, stderr) = ended(thrumd(dir.path()).arg("--reset-identity"));
    assert_eq!(code, Some(1), "{stderr}");

    let mut other = thrumd(dir.path());
    other.env("THRUM_STATE_DIR", dir.path().join("other"));
    other.env("THRUM_SOCKET", dir.path().join("state/thrumd.sock"));
    let (code, _, stderr) = ended(&mut other);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("another thrumd answers"), "{stderr}");
    assert_eq!(first.stop(Signal::TERM), Some(0));
}

#[test]
fn where_no_daemon_ever_was_there_is_none_to_reset() {
    // Not in TMPDIR, which may be another user's: as root, a reset follows no way through that.
    let dir = tempfile::tempdir_in("/tmp").unwrap();
    let (code, stdout, stderr) = ended(thrumd(dir.path()).arg("--reset-identity"));
    assert_eq!(code, Some(1), "{stdout}");
    assert!(stderr.contains("there is no daemon in"), "{stderr}");
    assert!(!dir.path().join("state").exists(), "it made one");
}

#[test]
fn every_stopping_signal_ends_it_well_and_a_killed_one_starts_again() {
    let dir = tempfile::tempdir().unwrap();
    for signal in [Signal::TERM, Signal::INT] {
        let daemon = Running::start(&mut thrumd(dir.path()));
        assert_eq!(daemon.stop(signal), Some(0));
        assert!(!dir.path().join("state/thrumd.sock").exists());
    }
    let daemon = Running::start(&mut thrumd(dir.path()));
    assert_eq!(daemon.stop(Signal::KILL), None);
    assert!(dir.path().join("state/thrumd.sock").exists(), "the stale socket");
    let daemon = Running::start(&mut thrumd(dir.path()));
    assert_eq!(daemon.stop(Signal::TERM), Some(0));
}

#[test]
fn only_its_owner_can_look_into_its_files() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let daemon = Running::start(&mut thrumd(dir.path()));
    let state = dir.path().join("state");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o077;
    assert_eq!(mode(&state), 0);
    for entry in std::fs::read_dir(&state).unwrap() {
        let path = entry.unwrap().path();
        let group = if path.ends_with("thrumd.sock") { 0o060 } else { 0 };
        assert_eq!(mode(&path) & !group, 0, "{}", path.display());
    }
    assert_eq!(daemon.stop(Signal::TERM), Some(0));
}

/// What a service manager listens on, and the next thing that it hears.
fn service_manager(dir: &Path) -> (PathBuf, impl Fn() -> String) {
    let path = dir.join("notify");
    let manager = UnixDatagram::bind(&path).expect("a socket");
    manager.set_read_timeout(Some(LIMIT)).expect("a limit");
    let news = move || {
        let mut bytes = [0; 4096];
        // A signal is no end of the wait: the system interrupts reads with a limit.
        let length = loop {
            match manager.recv(&mut bytes) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                received => break received.expect("news in time"),
            }
        };
        String::from_utf8(bytes[..length].to_vec()).expect("text")
    };
    (path, news)
}

#[test]
fn the_service_manager_is_told_of_readiness_life_and_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let (path, news) = service_manager(dir.path());
    let mut command = thrumd(dir.path());
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
    let daemon = Running::start(&mut command);
    let opening = news();
    assert!(opening.contains("STATUS=opening the log\nEXTEND_TIMEOUT_USEC="), "{opening}");
    let first = news();
    assert!(first.contains("READY=1\n") && first.contains("STATUS=serving this"), "{first}");
    // The socket answers by the time that readiness is told.
    UnixStream::connect(dir.path().join("state/thrumd.sock")).unwrap();
    for _ in 0..3 {
        assert_eq!(news().trim(), "WATCHDOG=1");
    }
    assert_eq!(daemon.stop(Signal::TERM), Some(0));
    while news().trim() != "STOPPING=1" {}
}

#[test]
fn the_journal_gets_levels_and_no_times() {
    let dir = tempfile::tempdir().unwrap();
    // It is known by device and inode, which a file has too.
    let (journal, other) = (dir.path().join("journal"), dir.path().join("other"));
    let file = std::fs::File::create(&journal).unwrap();
    let stat = file.metadata().unwrap();
    let mut command = thrumd(dir.path());
    command.env("JOURNAL_STREAM", format!("{}:{}", stat.dev(), stat.ino()));
    let mut first_line = |path: &Path, stderr: std::fs::File| {
        let _daemon = Running(command.stderr(stderr).spawn().expect("thrumd starts"));
        let deadline = Instant::now() + LIMIT;
        loop {
            let text = std::fs::read_to_string(path).unwrap();
            if let Some((line, _)) = text.split_once('\n') {
                return line.to_owned();
            }
            assert!(Instant::now() < deadline, "nothing was logged");
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    let line = first_line(&journal, file);
    assert!(line.starts_with("<6>"), "{line}");
    // Inherited from a service by whatever it starts, for another stderr.
    let line = first_line(&other, std::fs::File::create(&other).unwrap());
    assert!(line.contains(" INFO ") && !line.contains('<'), "{line}");
}

#[test]
fn a_hang_up_reads_the_settings_again_and_says_what_needs_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("thrumd.toml");
    std::fs::write(&config, "log = \"info\"\n").unwrap();
    let (path, news) = service_manager(dir.path());
    let mut command = thrumd(dir.path());
    command.env("THRUM_CONFIG", &config).env("NOTIFY_SOCKET", &path).stderr(Stdio::piped());
    let mut child = command.spawn().expect("thrumd starts");
    let mut lines = BufReader::new(child.stderr.take().expect("stderr")).lines();
    let daemon = Running(child);
    let mut line_with = |word: &str| loop {
        let line = lines.next().expect("a line").expect("text");
        if line.contains(word) {
            return line;
        }
    };
    line_with(" ready: ");
    while !news().contains("READY=1") {}
    let hang_up = |text: &str| {
        std::fs::write(&config, text).unwrap();
        kill_process(Pid::from_child(&daemon.0), Signal::HUP).expect("it runs");
        let begin = news();
        assert!(begin.contains("RELOADING=1\nMONOTONIC_USEC="), "{begin}");
        while !news().contains("READY=1") {}
    };
    hang_up("log = \"debug\"\nhostname = \"new\"\n");
    line_with("reload: changed log");
    assert!(line_with("reload: restart").contains("hostname"));
    hang_up("nonsense = 1\n");
    assert!(line_with("reload: nothing changed").contains("nonsense"));
    hang_up("log = \"debug\"\n");
    line_with("reload: the settings are as they were");
    assert_eq!(daemon.stop(Signal::TERM), Some(0));
}

#[test]
fn a_socket_from_the_service_manager_is_served_and_left_in_place() {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::net::UnixListener;
    use std::os::unix::process::CommandExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("held.sock");
    let listener = UnixListener::bind(&path).unwrap();
    // A call that was made before the daemon runs waits in the queue and is answered.
    let mut early = UnixStream::connect(&path).unwrap();
    early.set_read_timeout(Some(LIMIT)).unwrap();
    use std::io::Write;
    write!(early, "GET /metrics HTTP/1.1\r\nHost: thrumd\r\nConnection: close\r\n\r\n").unwrap();
    // As systemd does it: the socket is descriptor 3, and the variables name the process itself.
    let held = |socket: &Path| {
        let mut shell = Command::new("sh");
        let script = "exec env LISTEN_FDS=1 LISTEN_PID=$$ \"$0\" 3<&0 0</dev/null";
        shell.arg("-c").arg(script).arg(env!("CARGO_BIN_EXE_thrumd")).env_clear();
        shell.envs(thrumd(dir.path()).get_envs().filter_map(|(k, v)| Some((k, v?))));
        shell.env("PATH", "/usr/bin:/bin").env("THRUM_SOCKET", socket);
        shell.stdin(Stdio::from(std::os::fd::OwnedFd::from(listener.try_clone().unwrap())));
        shell.process_group(0);
        shell
    };
    let daemon = Running::start(&mut held(&path));
    let mut answer = String::new();
    early.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("thrumd_peers"), "{answer}");
    assert_eq!(daemon.stop(Signal::TERM), Some(0));
    assert!(path.exists(), "the file is the service manager's");

    // What was removed is bound anew, for the same users, and this file is thrumd's own.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o660)).unwrap();
    let daemon = Running::start(&mut held(&path));
    std::fs::remove_file(&path).unwrap();
    let deadline = Instant::now() + LIMIT;
    let mode = || path.metadata().map(|meta| meta.permissions().mode() & 0o777).unwrap_or(0);
    while UnixStream::connect(&path).is_err() || mode() != 0o660 {
        assert!(Instant::now() < deadline, "it is not bound anew");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(daemon.stop(Signal::TERM), Some(0));
    assert!(!path.exists());

    let (code, _, stderr) = ended(&mut held(&dir.path().join("other.sock")));
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("the service manager holds the socket"), "{stderr}");
}
