//! Notifies the service manager: ready, status line, watchdog.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;

use crate::admin::{AdminContext, status_line};
use crate::report::Chain;

/// Half an hour, for work that reads the whole log: 180 GB at 100 MB/s.
const WHOLE_LOG_MAX_MICROS: u32 = 30 * 60 * 1_000_000;

/// Notifies that log, socket and configuration are ready. The tailnet isn't waited for: its absence
/// is a status. Returns the status line.
pub fn ready(context: &AdminContext) -> String {
    let line = status_line(context);
    notify(&[NotifyState::Ready, NotifyState::Status(&line)]);
    line
}

/// Asks for time: a log of gigabytes that has to be checked or migrated is read as fast as its disk is.
pub fn opening_log() {
    ask_for_time("opening the log");
}

/// Asks for time: the copy of a log whose file was removed is the only one.
pub fn keeping_log() {
    ask_for_time("keeping the log, whose file is gone");
}

fn ask_for_time(status: &str) {
    notify(&[NotifyState::Status(status), NotifyState::ExtendTimeoutUsec(WHOLE_LOG_MAX_MICROS)]);
}

/// Notifies that the daemon is stopping.
pub fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Notifies the service manager, if there is one.
pub fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!("can't notify the service manager: {error}");
    }
}

/// Keeps the status line (now `shown`) up to date and pings the watchdog, if the service manager
/// wants that. Ends with the runtime.
pub fn report_status(context: Arc<AdminContext>, mut shown: String) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    if let Some(limit) = sd_notify::watchdog_enabled() {
        tokio::spawn(ping_watchdog(context.clone(), limit / 2));
    }
    tokio::spawn(async move {
        let Some(network) = context.network.available() else { return };
        let (mut bound, mut peers) = (network.bound(), context.registry.watch());
        let (mut presence, mut problem) =
            (network.tailnet().presence(), network.listener_problem());
        let (mut peer_states, mut enabled) =
            (network.sync().peer_states(), network.sync().enabled());
        loop {
            let changed = tokio::select! {
                changed = bound.changed() => changed,
                changed = peers.changed() => changed,
                changed = presence.changed() => changed,
                changed = problem.changed() => changed,
                changed = peer_states.changed() => changed,
                changed = enabled.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
            let line = status_line(&context);
            if line != shown {
                notify(&[NotifyState::Status(&line)]);
                shown = line;
            }
        }
    });
}

/// A ping crosses the runtime (this task) and the log's writer thread, so it stops when either does.
async fn ping_watchdog(context: Arc<AdminContext>, every: Duration) {
    loop {
        match context.log.pulse().await {
            Ok(()) => notify(&[NotifyState::Watchdog]),
            Err(error) => {
                tracing::error!("the log's writer thread does not answer: {}", Chain(&error))
            }
        }
        tokio::time::sleep(every).await;
    }
}
