use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Another user of this machine, with a home and programs of their own. Root may everything.
#[derive(Debug)]
pub struct OtherUser {
    home: tempfile::TempDir,
}

impl OtherUser {
    /// A user without any rights, or why there can be none.
    ///
    /// # Errors
    /// The reason, for [`super::skip`].
    pub fn new() -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("only root can become someone else".to_owned());
        }
        let home = tempfile::Builder::new().prefix("thrum-user-").tempdir_in("/tmp").unwrap();
        let user = Self { home };
        allow(user.home(), 0o777);
        for name in ["thrum", "thrumd"] {
            super::copy_program(&super::program(name), &user.home().join(name));
        }
        let tried = user.command("true").stdin(Stdio::null()).status();
        match tried {
            Ok(status) if status.success() => Ok(user),
            failed => Err(format!("setpriv: {failed:?}")),
        }
    }

    /// Where their own files are.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The state directory of a daemon of their own.
    pub fn state(&self) -> PathBuf {
        self.home().join(".local/state/thrum")
    }

    /// `thrum` as this user.
    pub fn thrum(&self, words: &[&str]) -> Command {
        self.at_home(self.command(self.home().join("thrum")), words)
    }

    /// `thrum` as a user whom no list of users names, with the same home.
    pub fn nameless_thrum(&self, words: &[&str]) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=54321", "--regid=54321", "--clear-groups"]);
        command.arg(self.home().join("thrum"));
        self.at_home(command, words)
    }

    fn at_home(&self, mut command: Command, words: &[&str]) -> Command {
        command
            .args(words)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home())
            .current_dir(self.home())
            .stdin(Stdio::null());
        command
    }

    /// A program as this user.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program);
        command
    }
}

/// Sets the permissions of a file, so that another user may use it.
///
/// # Panics
/// When it is not there.
pub fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}
