use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::daemon::copy_folder;
use super::{Daemon, Port};

/// How a daemon is to be started.
#[derive(Debug)]
pub struct Setup {
    name: String,
    env: BTreeMap<String, String>,
    state_of: Option<PathBuf>,
    state_in: Option<PathBuf>,
    machine: String,
    wrapper: Vec<OsString>,
    program: Option<PathBuf>,
}

impl Setup {
    /// A daemon of this name on the loopback kind, as a person would start it: sync is off until
    /// `peer add` or `peer join`.
    pub fn new(name: &str) -> Self {
        let env = [
            ("THRUM_TAILNET", "loopback"),
            ("THRUM_TS_HOSTNAME", name),
            ("THRUM_LOG", "info,thrumd=debug"),
            ("RUST_BACKTRACE", "1"),
        ];
        Self {
            name: name.to_owned(),
            env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            state_of: None,
            state_in: None,
            machine: "0123456789abcdef0123456789abcdef".to_owned(),
            wrapper: Vec::new(),
            program: None,
        }
    }

    /// One more setting, by its environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl ToString) -> Self {
        self.env.insert(name.to_owned(), value.to_string());
        self
    }

    /// Without this setting.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.env.remove(name);
        self
    }

    /// Peers are looked at this often, in milliseconds, instead of every 5 minutes.
    #[must_use]
    pub fn look_every_ms(self, millis: u64) -> Self {
        self.env("THRUM_SYNC_INTERVAL", format!("{millis}ms"))
            .env("THRUM_SYNC_RECENT", format!("{}ms", millis / 2))
    }

    /// Begins with a copy of this state directory.
    #[must_use]
    pub fn state_copied_from(mut self, state: &Path) -> Self {
        self.state_of = Some(state.to_owned());
        self
    }

    /// Its state directory lies in this folder.
    #[must_use]
    pub fn state_in(mut self, folder: &Path) -> Self {
        self.state_in = Some(folder.to_owned());
        self
    }

    /// The machine id that it sees.
    #[must_use]
    pub fn machine(mut self, id: &str) -> Self {
        id.clone_into(&mut self.machine);
        self
    }

    /// Starts it through another program, such as `ip netns exec NAME`, that becomes the daemon.
    #[must_use]
    pub fn through(mut self, words: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.wrapper = words.into_iter().map(Into::into).collect();
        self
    }

    /// Runs a `thrumd` that lies elsewhere.
    #[must_use]
    pub fn program(mut self, path: PathBuf) -> Self {
        self.program = Some(path);
        self
    }

    /// Makes everything but starts nothing.
    ///
    /// # Panics
    /// When files can't be made.
    pub fn prepare(self) -> Daemon {
        // Not in TMPDIR, which may be another user's: as root, `thrum restore` follows no way through that.
        let folder = tempfile::Builder::new().prefix("thrum-test-").tempdir_in("/tmp").unwrap();
        let state = self.state_in.unwrap_or_else(|| folder.path().to_owned()).join("state");
        let log = folder.path().join("thrumd.log");
        let machine_file = folder.path().join("machine-id");
        fs::write(&machine_file, format!("{}\n", self.machine)).unwrap();
        if let Some(from) = self.state_of {
            copy_folder(&from, &state);
        }
        let Self { name, env, wrapper, program, .. } = self;
        let (folder, port) = (Some(folder), Port::take());
        Daemon { name, folder, state, log, machine_file, env, wrapper, program, port, child: None }
    }

    /// Starts it and waits until it answers.
    ///
    /// # Panics
    /// When it dies or does not answer.
    #[track_caller]
    pub fn start(self) -> Daemon {
        let mut daemon = self.prepare();
        daemon.start_again();
        daemon
    }
}

impl Daemon {
    /// Starts one as [`Setup::new`] says.
    ///
    /// # Panics
    /// When it does not answer.
    #[track_caller]
    pub fn start(name: &str) -> Self {
        Setup::new(name).start()
    }
}
