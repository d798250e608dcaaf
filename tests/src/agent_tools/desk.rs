use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::limit::TOOL_LIMIT;
use super::{FakeModel, Installed, Screen, Tool};
use crate::harness::{Client, Daemon, Ran, ended_within, process, program};

/// Where a person works with one tool: a home, a project in it, and a model that the test plays.
pub struct Desk {
    tool: Tool,
    home: tempfile::TempDir,
    socket: PathBuf,
    path: OsString,
    model: FakeModel,
}

impl Desk {
    /// A desk on the machine of this daemon. The project is a fresh repository named `app`.
    ///
    /// # Panics
    /// When files can't be made.
    pub fn new(installed: &Installed, tool: Tool, daemon: &Daemon) -> Self {
        // Codex makes no helpers of its own if its home is in the folder for temporary files.
        let home = tempfile::Builder::new().prefix("thrum-desk-").tempdir_in("/var/tmp").unwrap();
        let thrum = program("thrum");
        let mut path = OsString::from(installed.folder_of(tool.program()));
        for folder in [thrum.parent().expect("a folder"), Path::new("/usr/local/bin:/usr/bin:/bin")]
        {
            path.push(":");
            path.push(folder);
        }
        let model = FakeModel::start();
        let desk = Self { tool, home, socket: daemon.socket(), path, model };
        let project = desk.project();
        for folder in [&project, &desk.home.path().join("tmp")] {
            fs::create_dir_all(folder).unwrap();
        }
        for words in [&["init", "-q"][..], &["remote", "add", "origin", ORIGIN]] {
            let done = desk.command("git").args(words).status().unwrap();
            assert!(done.success(), "git {words:?}");
        }
        tool.settle(desk.home.path(), &project, &desk.model.url());
        desk
    }

    /// The folder of the project.
    pub fn project(&self) -> PathBuf {
        self.home.path().join("app")
    }

    /// The home.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The tool.
    pub fn tool(&self) -> Tool {
        self.tool
    }

    /// The name that `thrum init` gives the agent.
    pub fn agent(&self) -> String {
        format!("app-{}", self.tool.program())
    }

    /// The model.
    pub fn model(&self) -> &FakeModel {
        &self.model
    }

    /// Runs `thrum` in the project, as the person there.
    ///
    /// # Panics
    /// When it can't be started or never ends.
    #[track_caller]
    pub fn thrum(&self, words: &[&str]) -> Ran {
        Client::of_socket(self.socket.clone(), self.home.path().to_owned())
            .env("PATH", self.path.display())
            .in_folder(self.project())
            .run(words)
    }

    /// Sets the tool up by `thrum init`, with these words more.
    ///
    /// # Panics
    /// When that fails.
    #[track_caller]
    pub fn sets_up(&self, words: &[&str]) {
        let mut all = vec!["init", self.tool.name(), "--yes"];
        if self.tool == Tool::Copilot {
            // With one prompt only, it starts no server that a folder brings.
            all.push("--user");
        }
        all.extend(words);
        self.thrum(&all).exits(0);
    }

    /// Lets the tool answer one prompt.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn runs(&self, prompt: &str) -> Running {
        let log = self.home.path().join(format!("{}.log", self.tool.program()));
        let output = File::options().create(true).append(true).open(&log).unwrap();
        let child = self
            .started_with(&self.tool.words_for(prompt))
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        Running { child, log }
    }

    /// Opens the tool in a terminal, with a first prompt.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn opens(&self, prompt: &str) -> Screen {
        self.opens_with(&[], prompt)
    }

    /// The same with these words before the prompt.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn opens_with(&self, words: &[&str], prompt: &str) -> Screen {
        Screen::open(self.started_with(&self.tool.words_in_terminal(words, prompt)))
    }

    fn started_with(&self, words: &[String]) -> Command {
        let mut command = self.command(self.tool.program());
        command.args(words).envs(self.tool.env(&self.model.url()));
        command
    }

    /// A command in the project, with nothing of this process's own environment.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("env");
        command
            .arg(program)
            .current_dir(self.project())
            .env_clear()
            .env("PATH", &self.path)
            .env("HOME", self.home.path())
            // Claude Code names its socket there by its process, whose number others have in their namespaces.
            .env("TMPDIR", self.home.path().join("tmp"))
            .env("LANG", "C.UTF-8")
            .env("TERM", "xterm-256color")
            .env("THRUM_CONFIG", "/dev/null")
            .env("THRUM_SOCKET", &self.socket)
            // Its hooks inherit that. Tools end them after 5 s.
            .env("THRUM_HOOK_PATIENCE_S", "20");
        command
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.home.disable_cleanup(true);
            eprintln!("--- the desk is kept in {}", self.home.path().display());
        }
    }
}

/// A repository that is the same on all machines. Nobody asks it anything.
const ORIGIN: &str = "https://git.example/team/app.git";

/// A tool that answers one prompt. Dropping it ends it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Waits until it has ended by itself; gives all that it printed.
    ///
    /// # Panics
    /// When it doesn't end, or with a failure.
    #[track_caller]
    pub fn ends(mut self) -> String {
        let status = ended_within(TOOL_LIMIT, &mut self.child);
        let printed = self.printed();
        let Some(status) = status else { panic!("the tool still runs: {printed}") };
        assert!(status.success(), "the tool ended with {status}: {printed}");
        printed
    }

    fn printed(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        process::signal(self.child.id(), rustix::process::Signal::KILL);
        let _status = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the tool printed\n{}\n---", self.printed());
        }
    }
}
