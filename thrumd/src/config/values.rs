//! Parses the values of all settings into a [`Config`].

use super::error::{ConfigError, Origin};
use super::layers::{Layers, Value};
use super::parse::{
    boolean, duration, filter, kind, metrics_listen, pairing_timeout, path, port, socket, url,
};
use super::settings::{Key, setting};
use super::types::{Cadence, CadenceError, Config, SyncMode};

impl Config {
    /// Parses every value.
    ///
    /// # Errors
    /// The first setting with an invalid value, the value, and where it came from.
    pub fn parse(layers: &Layers) -> Result<Self, ConfigError> {
        let cadence = Cadence::new(
            required(layers, Key::SyncInterval, duration)?,
            required(layers, Key::SyncRecent, duration)?,
        )
        .map_err(|error| {
            let key = match error {
                CadenceError::Zero => Key::SyncInterval,
                CadenceError::Longer(_) => Key::SyncRecent,
            };
            wrong(key, layers.get(key), error.to_string())
        })?;
        let sync = match optional(layers, Key::Sync, boolean)? {
            None => SyncMode::WhenPaired,
            Some(true) => SyncMode::On,
            Some(false) => SyncMode::Forbidden,
        };
        let tailnet = required(layers, Key::Tailnet, kind)?;
        let public = required(layers, Key::MetricsListenPublic, boolean)?;
        Ok(Self {
            sync,
            hostname: required(layers, Key::Hostname, |text| {
                thrum_api::names::daemon(text).map_err(|e| e.to_string())
            })?,
            port: required(layers, Key::Port, |text| port(text, tailnet))?,
            tailnet,
            state_dir: required(layers, Key::StateDir, path)?,
            socket: required(layers, Key::Socket, socket)?,
            cadence,
            pairing_timeout: required(layers, Key::PairingTimeout, pairing_timeout)?,
            log: required(layers, Key::Log, filter)?,
            machine_id_file: required(layers, Key::MachineIdFile, path)?,
            log_path: optional(layers, Key::LogPath, path)?,
            metrics_listen: optional(layers, Key::MetricsListen, |text| {
                metrics_listen(text, public)
            })?,
            tailscale_socket: optional(layers, Key::TailscaleSocket, path)?,
            auth_key: optional(layers, Key::AuthKey, |text| {
                text.parse().map_err(|e: thrum_api::secret::ParseSecretError| e.to_string())
            })?,
            control_url: optional(layers, Key::ControlUrl, url)?,
            tailscale_state_dir: required(layers, Key::TailscaleStateDir, path)?,
            ephemeral: required(layers, Key::Ephemeral, boolean)?,
        })
    }
}

fn wrong(key: Key, value: &Value, wanted: String) -> ConfigError {
    let setting = setting(key);
    let shown = if setting.secret() { Some("(hidden)".to_owned()) } else { value.text.clone() };
    ConfigError::Value {
        name: setting.name,
        value: shown.unwrap_or_default(),
        origin: value.origin.clone(),
        wanted,
    }
}

fn optional<T>(
    layers: &Layers,
    key: Key,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, ConfigError> {
    let value = layers.get(key);
    let Some(text) = &value.text else { return Ok(None) };
    parse(text).map(Some).map_err(|wanted| wrong(key, value, wanted))
}

fn required<T>(
    layers: &Layers,
    key: Key,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, ConfigError> {
    let absent = || {
        let value = Value { text: None, origin: Origin::Default };
        wrong(key, &value, "must be set".to_owned())
    };
    optional(layers, key, parse)?.ok_or_else(absent)
}
