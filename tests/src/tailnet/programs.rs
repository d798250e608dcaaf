use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use crate::harness::{can_isolate, output_within};

/// More than what is asked of a tailscale client takes, with the limits that it is given itself.
const LIMIT: Duration = Duration::from_secs(60);
/// For packages to come over a slow network.
const LONG_LIMIT: Duration = Duration::from_secs(600);

/// Where headscale, tailscaled and tailscale lie.
#[derive(Debug, Clone)]
pub struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// Builds or installs what is missing, once a process.
    ///
    /// # Errors
    /// Why this machine can't have a tailnet, for [`crate::harness::skip`].
    pub fn find() -> Result<Self, String> {
        static FOUND: OnceLock<Result<Programs, String>> = OnceLock::new();
        FOUND.get_or_init(|| can_isolate().and_then(|()| Self::look())).clone()
    }

    /// Those in this folder.
    pub(super) fn of(folder: PathBuf) -> Self {
        Self { folder }
    }

    fn look() -> Result<Self, String> {
        if !Path::new("/dev/net/tun").exists() {
            std::fs::create_dir_all("/dev/net").map_err(|error| error.to_string())?;
            if let Err(error) = run("mknod", &["/dev/net/tun", "c", "10", "200"])
                // Another process may have made it in between.
                && !Path::new("/dev/net/tun").exists()
            {
                return Err(format!("no TUN device: {error}"));
            }
        }
        if run("nft", &["--version"]).is_err() || run("ip", &["-V"]).is_err() {
            let lists = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/debian-lists");
            finish_within(LONG_LIMIT, &mut Command::new(lists))?;
            let words = "-qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends nftables iproute2";
            let mut install = Command::new("apt-get");
            install.args(words.split(' '));
            finish_within(LONG_LIMIT, &mut install)
                .map_err(|error| format!("nftables and iproute2 can't be installed: {error}"))?;
        }
        let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("tailnet/build");
        let output = Command::new(&build)
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| format!("{}: {error}", build.display()))?;
        let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if !output.status.success() || folder.is_empty() {
            return Err(format!("{} did not build the tailnet programs", build.display()));
        }
        Ok(Self::of(folder.into()))
    }

    /// Their folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn headscale(&self) -> PathBuf {
        self.folder.join("headscale")
    }

    pub(super) fn tailscaled(&self) -> PathBuf {
        self.folder.join("tailscaled")
    }

    pub(super) fn tailscale(&self) -> PathBuf {
        self.folder.join("tailscale")
    }
}

/// Runs a program to its end; gives what it printed, or what it complained about.
pub(super) fn run(program: &str, words: &[&str]) -> Result<String, String> {
    finish(Command::new(program).args(words))
}

/// Runs a command to its end; gives what it printed, or what it complained about.
pub(super) fn finish(command: &mut Command) -> Result<String, String> {
    finish_within(LIMIT, command)
}

fn finish_within(limit: Duration, command: &mut Command) -> Result<String, String> {
    let output = output_within(limit, command)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(format!("{}: {}{}", command.get_program().display(), text, complaint.trim()))
}
