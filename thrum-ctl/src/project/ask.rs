//! Questions to git and ssh about what only they understand.

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// How long an answer may take; git and ssh need some milliseconds, but may read a home directory that is on
/// the network.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The URL of the origin of the checkout in this folder as git would use it; none without git, and where git
/// refuses (a checkout that belongs to somebody else).
pub fn git_origin(folder: &Path) -> Option<String> {
    let mut git = Command::new("git");
    git.arg("-C").arg(folder);
    // It only reads the configuration; no program that this may name is to be started.
    git.args(["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"]);
    git.args(["ls-remote", "--get-url", "origin"]);
    // In a hook they name the repository of the hook.
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR"] {
        git.env_remove(variable);
    }
    git.env("GIT_TERMINAL_PROMPT", "0");
    let url = first_line(git, |_| true)?;
    // What git says if there is no such remote.
    (url != "origin").then_some(url)
}

/// The host that ssh would connect to. Asked only if the user's configuration can name another one, because
/// it takes ssh 15 ms to answer.
pub fn ssh_host(alias: &str) -> Option<String> {
    let config = directories::BaseDirs::new()?.home_dir().join(".ssh/config");
    let text = String::from_utf8_lossy(&std::fs::read(&config).ok()?).to_lowercase();
    if alias.starts_with('-') || !(text.contains("hostname") || text.contains("include")) {
        return None;
    }
    let mut ssh = Command::new("ssh");
    ssh.arg("-G").arg("-F").arg(config).arg(alias);
    let line = first_line(ssh, |line| line.starts_with("hostname "))?;
    line.split(' ').nth(1).map(str::to_lowercase)
}

/// The first such line that a program prints, if it prints one in time and succeeds.
fn first_line(mut command: Command, wanted: impl Fn(&str) -> bool) -> Option<String> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let mut stdout = child.stdout.take()?;
    let (sender, printed) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = stdout.read_to_end(&mut bytes);
        // The receiver is gone after the time-out.
        drop(sender.send(read.map(|_| bytes)));
    });
    let Ok(Ok(bytes)) = printed.recv_timeout(TIMEOUT) else {
        // It may have ended by itself meanwhile.
        drop(child.kill());
        drop(child.wait());
        return None;
    };
    if !child.wait().ok()?.success() {
        return None;
    }
    let text = String::from_utf8_lossy(&bytes);
    text.lines().find(|line| wanted(line)).map(str::to_owned)
}
