//! The queue of a thread of Codex: its own program puts a message into it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::time::timeout;

/// The program, and how its process is called.
const PROGRAM: &str = "codex";
/// Limit for the program.
const LIMIT: Duration = Duration::from_secs(10);
/// Most bytes of what it says when it fails.
const SAID_MAX_BYTES: u64 = 4096;

/// The queues of Codex's threads.
#[derive(Debug, Clone)]
pub struct Queue {
    program: PathBuf,
    folder: PathBuf,
}

impl Queue {
    /// By the program that a person would start, or by the one that runs as this process.
    ///
    /// # Errors
    /// When there is neither.
    pub fn find(pid: Option<u32>, folder: &Path) -> Result<Self, String> {
        let program = which::which(PROGRAM).ok().or_else(|| pid.and_then(running));
        let program = program.ok_or_else(|| format!("there is no program {PROGRAM} in PATH"))?;
        Ok(Self { program, folder: folder.to_owned() })
    }

    /// Puts a message into the queue of a thread. That it is there is no proof that the thread has seen it.
    ///
    /// # Errors
    /// When the program fails, or does not end.
    pub async fn add(&self, thread: &str, text: &str) -> Result<(), String> {
        let queued = timeout(LIMIT, self.try_add(thread, text)).await;
        let queued =
            queued.unwrap_or_else(|_| Err(format!("it has not ended in {} s", LIMIT.as_secs())));
        queued.map_err(|why| format!("{} queue: {why}", self.program.display()))
    }

    async fn try_add(&self, thread: &str, text: &str) -> Result<(), String> {
        let mut child = Command::new(&self.program)
            .arg("queue")
            // In one word, so that none of them can be an option.
            .arg(format!("--thread={thread}"))
            .arg(format!("--message={text}"))
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut said = Vec::new();
        if let Some(stderr) = child.stderr.take() {
            let mut stderr = stderr.take(SAID_MAX_BYTES);
            // What was read until then is enough.
            drop(stderr.read_to_end(&mut said).await);
            drop(tokio::io::copy(&mut stderr.into_inner(), &mut tokio::io::sink()).await);
        }
        let status = child.wait().await.map_err(|error| error.to_string())?;
        if status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&said);
        Err(format!("{status}: {}", said.trim()))
    }
}

/// The program of a process, if it is Codex.
fn running(pid: u32) -> Option<PathBuf> {
    let program = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    let name = program.file_name()?.to_str()?;
    (name.starts_with(PROGRAM) && program.exists()).then_some(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(folder: &Path, script: &str) -> Queue {
        use std::os::unix::fs::PermissionsExt as _;
        let program = folder.join("codex");
        let written = folder.join("written");
        std::fs::write(&written, format!("#!/bin/sh\n{script}\n")).unwrap();
        // By another program: what this one has open for writing may be busy for as long as another test starts a process.
        let mut cp = std::process::Command::new("cp");
        assert!(cp.args([&written, &program]).status().unwrap().success());
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        Queue { program, folder: folder.to_owned() }
    }

    #[tokio::test]
    async fn the_program_gets_thread_and_text_as_words_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let queue = queue(folder.path(), "printf '%s\\n' \"$@\" >said; echo much >&2");
        queue.add("--x", "[thrum] a\n$(b)").await.unwrap();
        let said = std::fs::read_to_string(folder.path().join("said")).unwrap();
        assert_eq!(said, "queue\n--thread=--x\n--message=[thrum] a\n$(b)\n");
    }

    #[tokio::test]
    async fn what_the_program_says_when_it_fails_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let failing =
            queue(folder.path(), "echo no such thread >&2; head -c 100000 /dev/zero >&2; exit 3");
        let error = failing.add("t", "x").await.unwrap_err();
        assert!(error.contains("no such thread") && error.len() < 5000, "{error}");
        let missing = Queue { program: folder.path().join("none"), ..failing };
        missing.add("t", "x").await.unwrap_err();
    }

    #[test]
    fn a_process_that_is_not_codex_is_no_program_of_it() {
        assert_eq!(running(std::process::id()), None);
    }
}
