use thrum_api::duration::rounded;
use thrum_api::local::{Health, HealthResult, HealthState};
use thrum_api::method::Empty;

use crate::context::Context;
use crate::error::Error;
use crate::terminal::sanitize;

/// `thrum daemon status`
pub async fn run(context: &mut Context<'_>) -> Result<(), Error> {
    let mut client = context.daemon().await?;
    let health = client.call::<Health>(&Empty {}).await?;
    let printer = &mut *context.printer;
    if printer.json() {
        return printer.object(&health);
    }
    let socket = client.path().display().to_string();
    printer.line(&format!(
        "thrumd {} is running as {}, pid {}, for {}",
        sanitize(&health.version),
        sanitize(&health.name),
        health.pid,
        rounded(health.uptime_ms)
    ))?;
    printer.line(&format!("  state   {}", sanitize(&health.state_dir)))?;
    printer.line(&format!("  socket  {}", sanitize(&socket)))?;
    printer.line(&format!("  log     {}", log_place(&health)))?;
    if health.status == HealthState::Degraded {
        printer.note("thrumd reports a problem: thrum status");
    }
    Ok(())
}

/// Where its log goes.
pub fn log_place(health: &HealthResult) -> String {
    health.log_path.as_deref().map_or_else(
        || "stderr (systemd: journalctl -u thrumd)".to_owned(),
        |path| sanitize(path).into_owned(),
    )
}
