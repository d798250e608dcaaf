use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use super::Daemon;

/// The real `thrum`, told which daemon to talk to and nothing else of this machine.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
    folder: PathBuf,
    runs_in: Option<PathBuf>,
    env: Vec<(String, String)>,
}

/// What a client did.
#[derive(Debug)]
pub struct Ran {
    /// The words it was called with.
    pub words: String,
    /// Its exit code; None if a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
}

impl Client {
    /// A client of this daemon: no agent, project `test`, no terminal.
    pub fn new(daemon: &Daemon) -> Self {
        Self::of_socket(daemon.socket(), daemon.folder().to_owned())
    }

    /// A client of whatever is at this socket, with this home.
    pub fn of_socket(socket: PathBuf, folder: PathBuf) -> Self {
        let env = vec![("THRUM_PROJECT".to_owned(), "test".to_owned())];
        Self { socket, folder, runs_in: None, env }
    }

    /// It runs in this folder, whose project is the one.
    #[must_use]
    pub fn in_folder(mut self, folder: PathBuf) -> Self {
        self.runs_in = Some(folder);
        self.env.retain(|(name, _)| name != "THRUM_PROJECT");
        self
    }

    /// One more variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl ToString) -> Self {
        self.env.push((name.to_owned(), value.to_string()));
        self
    }

    /// Its home, in which it runs unless [`Self::in_folder`] says otherwise.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The command with these words.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(super::program("thrum"));
        command
            .args(words)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.folder)
            // A daemon that it starts as root would read that of the machine.
            .env("THRUM_CONFIG", "/dev/null")
            .env("THRUM_SOCKET", &self.socket)
            .current_dir(self.runs_in.as_ref().unwrap_or(&self.folder))
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs it without a terminal and with nothing on stdin.
    ///
    /// # Panics
    /// When it can't be started or runs for more than a minute.
    #[track_caller]
    pub fn run(&self, words: &[&str]) -> Ran {
        self.run_with(words, "")
    }

    /// Runs it with this text on stdin.
    ///
    /// # Panics
    /// When it can't be started or runs for more than a minute.
    #[track_caller]
    pub fn run_with(&self, words: &[&str], stdin: &str) -> Ran {
        let mut child = self
            .command(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("thrum starts");
        let pid = child.id();
        let _closed_early = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        let (done, output) = std::sync::mpsc::channel();
        std::thread::spawn(move || done.send(child.wait_with_output()));
        let words = words.join(" ");
        match output.recv_timeout(Duration::from_secs(60)) {
            Ok(output) => Ran::new(words, output.expect("its output")),
            Err(_) => {
                super::process::signal(pid, rustix::process::Signal::KILL);
                panic!("`thrum {words}` still ran after a minute")
            }
        }
    }
}

impl Ran {
    pub(super) fn new(words: String, output: Output) -> Self {
        Self {
            words,
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Checks the exit code.
    ///
    /// # Panics
    /// When it is another one.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "`thrum {}`\nstdout: {}\nstderr: {}",
            self.words,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Its stdout as one JSON document.
    ///
    /// # Panics
    /// When it is none.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!("`thrum {}` printed no JSON ({error}): {}", self.words, self.stdout)
        })
    }

    /// The `error` of the JSON line on stderr, with nothing on stdout.
    ///
    /// # Panics
    /// When it is otherwise.
    #[track_caller]
    pub fn json_error(&self) -> serde_json::Value {
        assert_eq!(self.stdout, "", "`thrum {}` failed and wrote to stdout", self.words);
        let line: serde_json::Value =
            serde_json::from_str(self.stderr.trim()).unwrap_or_else(|error| {
                panic!("`thrum {}`: no JSON on stderr ({error}): {}", self.words, self.stderr)
            });
        line["error"].clone()
    }
}

impl Daemon {
    /// Runs the client against this daemon.
    ///
    /// # Panics
    /// When it can't be started or never ends.
    #[track_caller]
    pub fn thrum(&self, words: &[&str]) -> Ran {
        Client::new(self).run(words)
    }
}
