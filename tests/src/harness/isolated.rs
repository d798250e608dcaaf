use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Whether namespaces can be made here: only root may, and in most containers not even root.
///
/// # Errors
/// Why not, for [`super::skip`].
pub fn can_isolate() -> Result<(), String> {
    static ASKED: OnceLock<Result<(), String>> = OnceLock::new();
    ASKED.get_or_init(ask).clone()
}

fn ask() -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("only root can make namespaces".to_owned());
    }
    let output = Command::new("unshare")
        .args(["--net", "--pid", "--fork", "--mount-proc", "true"])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("unshare: {error}"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    let refused = || format!("no namespaces can be made here: {}", complaint.trim());
    super::holds(output.status.success(), refused)
}
