use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use super::programs::run;
use super::{Control, Node, Programs};
use crate::harness::{Daemon, Setup, program};

/// Programs where every user finds them, for daemons with a tailscaled of their own: that one is
/// never root.
#[derive(Debug)]
pub struct Disguise {
    folder: tempfile::TempDir,
}

/// A user that owns nothing.
const NOBODY: u32 = 65534;

impl Disguise {
    /// Makes them visible in the test's own mount namespace.
    ///
    /// # Panics
    /// When that fails.
    pub fn new(programs: &Programs) -> Self {
        let folder = tempfile::Builder::new().prefix("tn-bin-").tempdir_in("/tmp").unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let all = [("tailscaled", programs.tailscaled()), ("thrumd", program("thrumd"))];
        for (name, from) in all {
            let to = folder.path().join(name);
            fs::write(&to, "").unwrap();
            let words = [Path::new("--bind"), &from, &to].map(|path| path.display().to_string());
            run("mount", &words.each_ref().map(String::as_str)).unwrap();
        }
        Self { folder }
    }

    /// A daemon on this node, which has no tailscaled, that starts one of its own; with this key
    /// if it has to log in.
    pub fn setup(&self, node: &Node, control: &Control, key: Option<&str>) -> Setup {
        let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", self.folder.path().display());
        let setup = node
            .setup()
            .without("THRUM_TS_SOCKET")
            .env("PATH", path)
            .env("THRUM_TAILNET", "private")
            .env("THRUM_TS_CONTROL_URL", control.url())
            // The relay has no TLS here.
            .env("TS_DEBUG_USE_DERP_HTTP", "true")
            .env("TS_PANIC_IF_HIT_MAIN_CONTROL", "1");
        match key {
            Some(key) => setup.env("THRUM_TS_AUTH_KEY", key),
            None => setup,
        }
    }

    /// The words before a command that is to run on this node as nobody, with no capability.
    pub fn as_nobody(&self, node: &Node) -> Vec<String> {
        let drop = ["setpriv", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"];
        let mut words = node.entrance().to_vec();
        words.extend(drop.map(str::to_owned));
        words.extend([format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"), "--".to_owned()]);
        words
    }

    /// Gives a folder with all that is in it to nobody.
    ///
    /// # Panics
    /// When that fails.
    pub fn give(folder: &Path) {
        chown(folder, Some(NOBODY), Some(NOBODY)).unwrap();
        for entry in fs::read_dir(folder).unwrap().flatten() {
            chown(entry.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }

    /// The `thrumd` that everyone may run.
    pub fn thrumd(&self) -> PathBuf {
        self.folder.path().join("thrumd")
    }
}

/// The tailscaled that this daemon runs for itself.
///
/// # Errors
/// When it runs none.
pub fn child_of(daemon: &Daemon) -> Result<u32, String> {
    let path = daemon.state().join("tailscaled.process");
    let text = fs::read_to_string(&path).map_err(|error| error.to_string())?;
    let pid = text.split(' ').next().and_then(|word| word.parse().ok());
    pid.ok_or_else(|| format!("{text:?} in {}", path.display()))
}
