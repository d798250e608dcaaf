use std::io::IsTerminal;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::{Reload, ServiceError};

/// The first SIGTERM or SIGINT stops the daemon in order; the second ends it at once. SIGHUP reads
/// the settings again; from a terminal it means that the terminal is gone, and stops as well.
///
/// # Errors
/// When the system doesn't let us listen.
pub fn listen(stop: watch::Sender<bool>, mut reload: Reload) -> Result<(), ServiceError> {
    let listen = |kind| signal(kind).map_err(ServiceError::Signals);
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut hang_up = listen(SignalKind::hangup())?;
    let by_hand = std::io::stdin().is_terminal();
    tokio::spawn(async move {
        let mut first = true;
        loop {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
                _ = hang_up.recv() => {
                    if !by_hand {
                        reload.now();
                        continue;
                    }
                    "SIGHUP"
                }
            };
            if !first {
                tracing::warn!("{name} again: ending at once");
                // The log is safe at any moment; only what was not acknowledged is lost.
                #[expect(clippy::exit, reason = "a person asked twice")]
                std::process::exit(1);
            }
            tracing::info!("{name}: stopping");
            first = false;
            stop.send_replace(true);
        }
    });
    Ok(())
}
