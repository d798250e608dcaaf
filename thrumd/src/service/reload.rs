//! Reload on SIGHUP: reads the settings again.

use std::os::unix::fs::MetadataExt as _;

use rustix::process::geteuid;
use sd_notify::NotifyState;

use super::{logging, readiness};
use crate::config::{Config, ConfigError, Key, Layers, SETTINGS};
use crate::report::Chain;

/// Collects the settings again: the same flags and environment, and the file as it is now.
pub type Reread = Box<dyn Fn() -> Result<Layers, ConfigError> + Send>;

/// The settings that are in force, and how to read them again.
pub struct Reload {
    current: Layers,
    reread: Reread,
}

impl Reload {
    /// `current` is what the daemon was started with.
    pub fn new(current: Layers, reread: Reread) -> Self {
        Self { current, reread }
    }

    /// Reads the settings again, applies what can change while running and logs what can't. Invalid
    /// settings change nothing. The service manager is notified of the beginning and the end.
    pub fn now(&mut self) {
        match NotifyState::monotonic_usec_now() {
            Ok(since) => readiness::notify(&[NotifyState::Reloading, since]),
            Err(error) => tracing::warn!("no monotonic clock for the service manager: {error}"),
        }
        self.apply();
        readiness::notify(&[NotifyState::Ready]);
    }

    /// Warns about a secret that everyone on this machine can read.
    pub(super) fn warn_of_readable_secret(&self) {
        let Some(path) = self.current.world_readable_secret() else { return };
        let ours = path.metadata().is_ok_and(|file| file.uid() == geteuid().as_raw());
        let path = path.display();
        // The packages' file belongs to root, and the service is in the group thrum.
        let next = match ours {
            true => format!("chmod 600 {path}"),
            false => format!("sudo chgrp thrum {path} && sudo chmod 640 {path}"),
        };
        tracing::warn!("everyone on this machine can read the auth key in {path}; run `{next}`");
    }

    fn apply(&mut self) {
        let read = (self.reread)().and_then(|layers| Ok((Config::parse(&layers)?, layers)));
        let (config, layers) = match read {
            Ok(read) => read,
            Err(error) => {
                tracing::error!("reload: nothing changed: {}", Chain(&error));
                return;
            }
        };
        let text = |layers: &Layers, key: Key| layers.get(key).text.clone();
        let changed = SETTINGS
            .iter()
            .filter(|setting| text(&self.current, setting.key) != text(&layers, setting.key));
        let (now, later): (Vec<_>, Vec<_>) = changed.partition(|setting| setting.key == Key::Log);
        let names = |settings: &[&crate::config::Setting]| {
            settings.iter().map(|setting| setting.name).collect::<Vec<_>>().join(", ")
        };
        if now.is_empty() && later.is_empty() {
            tracing::info!("reload: the settings are as they were");
            return;
        }
        if !now.is_empty() {
            // Logged before and after the change: either filter may hide it.
            tracing::info!("reload: log = {:?}", config.log);
            logging::set_filter(&config.log);
            tracing::info!("reload: changed {}", names(&now));
            self.current.copy_from(Key::Log, &layers);
        }
        if !later.is_empty() {
            tracing::warn!("reload: restart thrumd for the change of {}", names(&later));
        }
    }
}
