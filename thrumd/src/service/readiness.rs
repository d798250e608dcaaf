//! What the service manager is told: ready, a line of status, signs of life.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;

use crate::admin::{Surface, status_line};
use crate::report::Chain;

/// Says that log, socket and configuration are ready. The tailnet isn't waited for: its absence is
/// a status. Answers with the line of status that was told.
pub fn ready(surface: &Surface) -> String {
    let line = status_line(surface);
    tell(&[NotifyState::Ready, NotifyState::Status(&line)]);
    line
}

/// Says that the end has begun.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Tells the service manager, if there is one.
pub fn tell(news: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(news) {
        tracing::warn!("can't tell the service manager: {error}");
    }
}

/// Keeps the line of status (`told` so far) up to date and gives signs of life, if the service manager wants them.
/// Ends with the runtime.
pub fn keep_told(surface: Arc<Surface>, mut told: String) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    if let Some(limit) = sd_notify::watchdog_enabled() {
        tokio::spawn(signs_of_life(surface.clone(), limit / 2));
    }
    tokio::spawn(async move {
        let Some(link) = surface.network.link() else { return };
        let (mut bound, mut peers) = (link.bound(), surface.registry.watch());
        let (mut presence, mut troubles) = (link.tailnet().presence(), link.troubles());
        let (mut standing, mut enabled) = (link.sync().standing(), link.sync().enabled());
        loop {
            let changed = tokio::select! {
                changed = bound.changed() => changed,
                changed = peers.changed() => changed,
                changed = presence.changed() => changed,
                changed = troubles.changed() => changed,
                changed = standing.changed() => changed,
                changed = enabled.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
            let line = status_line(&surface);
            if line != told {
                tell(&[NotifyState::Status(&line)]);
                told = line;
            }
        }
    });
}

/// A sign of life has crossed the runtime (this task) and the writer thread of the log: one that
/// crossed neither would prove nothing.
async fn signs_of_life(surface: Arc<Surface>, every: Duration) {
    loop {
        match surface.log.pulse().await {
            Ok(()) => tell(&[NotifyState::Watchdog]),
            Err(error) => tracing::error!("the log does not move: {}", Chain(&error)),
        }
        tokio::time::sleep(every).await;
    }
}
