//! Runs other programs and reads their output.

use std::ffi::OsStr;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// Time limit of a program.
const LIMIT: Duration = Duration::from_secs(5);
const OUTPUT_MAX_BYTES: usize = 1 << 20;

/// The result of a program.
#[derive(Debug)]
pub struct Output {
    /// Whether its exit code was 0.
    pub ok: bool,
    /// Its stdout.
    pub stdout: String,
    /// Its stderr.
    pub stderr: String,
}

/// Runs a program with these environment variables added. None if it does not exist or does not end in
/// time.
pub async fn output(
    program: impl AsRef<OsStr>,
    words: &[&str],
    variables: &[(&str, &OsStr)],
) -> Option<Output> {
    let mut command = Command::new(program);
    command.args(words).envs(variables.iter().copied()).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(LIMIT, command.output()).await.ok()?.ok()?;
    let text = |bytes: &[u8]| {
        let end = bytes.len().min(OUTPUT_MAX_BYTES);
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    };
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    Some(Output { ok: output.status.success(), stdout, stderr })
}
