use super::private::{self, PrivateConfig};
use super::tailscaled::TailscaledConfig;
use crate::config::Config;
use crate::statefile::StateFile;
use thrum_api::local::TailnetKind;

/// The kind of tailnet with its settings.
#[derive(Debug, Clone)]
pub enum Settings {
    /// 127.0.0.0/8 only.
    Loopback {
        /// This machine's name.
        hostname: String,
    },
    /// The machine's own tailscaled.
    Tailscaled(TailscaledConfig),
    /// A child of our own.
    Private(PrivateConfig),
}

impl Settings {
    /// The part of the configuration that is about the tailnet. Reads the environment for the child of
    /// the private kind.
    pub fn of(config: &Config) -> Self {
        match config.tailnet {
            TailnetKind::Loopback => Self::Loopback { hostname: config.hostname.clone() },
            TailnetKind::Tailscaled => Self::Tailscaled(TailscaledConfig {
                socket: config.tailscale_socket.clone(),
                ..TailscaledConfig::default()
            }),
            TailnetKind::Private => Self::Private(PrivateConfig {
                state_dir: config.tailscale_state_dir.clone(),
                hostname: config.hostname.clone(),
                auth_key: config.auth_key.clone(),
                control_url: config.control_url.clone(),
                ephemeral: config.ephemeral,
                binary: None,
                environment: private::environment(std::env::vars_os()),
                port: config.port,
                pid_file: StateFile::new(&config.state_dir, "tailscaled.process"),
            }),
        }
    }
}
