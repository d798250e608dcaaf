use serde_json::json;

use super::peers::confirm;
use super::start::answers_at;
use crate::cli::ConfirmArgs;
use crate::client::Client;
use crate::context::Context;
use crate::daemon_process::find_thrumd;
use crate::error::Error;
use crate::manager::{Changes, Host, Manager};

/// `thrum daemon install`
pub async fn install(args: &ConfirmArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let host = Host::here();
    let manager = usable(&host)?;
    let thrumd = find_thrumd()?;
    let thrumd = thrumd.canonicalize().map_err(|source| {
        Error::io(format!("can't find the program {}", thrumd.display()), source)
    })?;
    let changes = manager.install(&host, &thrumd)?;
    let endpoints = context.endpoints();
    if !args.dry_run
        && host.manager(&endpoints).is_none()
        && let Ok(client) = Client::find(&endpoints).await
    {
        return Err(Error::failed(
            format!(
                "another thrumd is already running, with the socket {}",
                client.path().display()
            ),
            "stop it first: thrum daemon stop",
        ));
    }
    if !agreed(&changes, args, "Install it?", context).await? {
        return Ok(());
    }
    changes.apply()?;
    let health = answers_at(&endpoints).await?;
    if manager == Manager::SystemdUser {
        context.printer.note(
            "thrumd runs while you are logged in. To keep it running: loginctl enable-linger",
        );
    }
    let text = format!("thrumd installed and started: pid {}", health.pid);
    context.printer.done(&json!({ "installed": changes, "health": health }), &text)
}

/// `thrum daemon uninstall`
pub async fn uninstall(args: &ConfirmArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let host = Host::here();
    let changes = usable(&host)?.uninstall(&host)?;
    if !agreed(&changes, args, "Uninstall it? The state is kept.", context).await? {
        return Ok(());
    }
    changes.apply()?;
    let text = "thrumd stopped and uninstalled. Its state is kept.";
    context.printer.done(&json!({ "uninstalled": changes }), text)
}

fn usable(host: &Host) -> Result<Manager, Error> {
    host.usable().ok_or_else(|| {
        Error::failed(
            "can't install a service: systemd is not running on this machine",
            "start thrumd without a service manager: thrum daemon start",
        )
    })
}

/// Shows the changes, and asks for confirmation without `--yes`.
async fn agreed(
    changes: &Changes,
    args: &ConfirmArgs,
    question: &str,
    context: &mut Context<'_>,
) -> Result<bool, Error> {
    if args.dry_run && context.printer.json() {
        context.printer.object(&json!({ "would": changes }))?;
        return Ok(false);
    }
    if args.dry_run {
        context.printer.line(changes.text().trim_end())?;
        return Ok(false);
    }
    context.printer.note(changes.text().trim_end());
    if !args.yes {
        confirm(&format!("{question} [y/N] "), context.printer).await?;
    }
    Ok(true)
}
