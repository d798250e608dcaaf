//! Signals: stop in order, stop at once, reload.

use std::io::IsTerminal;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{Reload, ServiceError, logging};

/// Installs the signal handlers. The first SIGTERM or SIGINT stops the daemon in order; the second
/// ends it at once. SIGHUP reads the settings again; on a terminal it means that the terminal is gone
/// and stops the daemon.
///
/// # Errors
/// When the system refuses.
pub fn listen(stop: CancellationToken, mut reload: Reload) -> Result<(), ServiceError> {
    let listen = |kind| signal(kind).map_err(ServiceError::Signals);
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut hang_up = listen(SignalKind::hangup())?;
    let on_terminal = std::io::stdin().is_terminal();
    tokio::spawn(async move {
        let mut first = true;
        loop {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
                _ = hang_up.recv() => {
                    if !on_terminal {
                        reload.now();
                        continue;
                    }
                    "SIGHUP"
                }
            };
            if !first {
                tracing::warn!("{name} again: ending at once");
                // The log is safe at any moment: only unacknowledged events are lost.
                #[expect(clippy::exit, reason = "a second signal ends thrumd at once")]
                std::process::exit(1);
            }
            logging::end();
            tracing::info!("{name}: stopping");
            first = false;
            stop.cancel();
        }
    });
    Ok(())
}
