use std::process::Command;

use super::peers::confirm;
use super::restore::chosen;
use crate::cli::ConfirmArgs;
use crate::context::Context;
use crate::daemon_process::{find_thrumd, health};
use crate::error::{Error, ExitOutput};

/// `thrum daemon reset-identity`
pub async fn run(args: &ConfirmArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let endpoints = context.endpoints();
    let state_dir = chosen(&endpoints, "daemon reset-identity")?;
    if let Ok(health) = health(&endpoints.own_socket()).await {
        return Err(Error::failed(
            format!("thrumd (pid {}) is running; nothing was changed", health.pid),
            "stop it first: thrum daemon stop",
        ));
    }
    let what = format!("the daemon in {} a new id and forget its peers", state_dir.display());
    if args.dry_run && context.printer.json() {
        return context.printer.object(&serde_json::json!({ "would_reset": state_dir }));
    }
    if args.dry_run {
        return context.printer.line(&format!("Would give {what}. Nothing was changed."));
    }
    if !args.yes {
        confirm(&format!("Give {what}? The log is kept. [y/N] "), context.printer).await?;
    }
    let thrumd = find_thrumd()?;
    let output = Command::new(&thrumd)
        .arg("--reset-identity")
        .env("THRUM_SOCKET", endpoints.own_socket())
        .env("THRUM_STATE_DIR", &state_dir)
        .output()
        .map_err(|source| Error::io(format!("can't run {}", thrumd.display()), source))?;
    if !output.status.success() {
        let source = ExitOutput::of(&String::from_utf8_lossy(&output.stderr));
        return Err(Error::EndedAtOnce { status: output.status, source });
    }
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let shown = if text.is_empty() { "Done. Start it: thrum daemon start" } else { &text };
    context.printer.done(&serde_json::json!({ "reset": true, "said": text }), shown)
}
