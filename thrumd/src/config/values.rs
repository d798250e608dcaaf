//! From text to types that can't be wrong.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use thrum_api::limits::PAIRING_TIMEOUT_SECONDS;
use thrum_api::local::TailnetKind;
use tracing_subscriber::filter::Targets;

use super::error::{ConfigError, Origin};
use super::layers::{Layers, Value};
use super::settings::{Key, setting};
use super::{Cadence, Config, SyncWish};

/// A Unix socket's path has room for this many bytes and a zero (`sun_path`).
const SOCKET_PATH_MAX_BYTES: usize = if cfg!(target_os = "linux") { 107 } else { 103 };
/// Longer than anyone means, and far from every overflow.
const DURATION_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

impl Config {
    /// Parses every value.
    ///
    /// # Errors
    /// Names the first setting whose value can't be one, the value, and where it came from.
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
        let sync = match optional(layers, Key::Sync, truth)? {
            None => SyncWish::WhenPaired,
            Some(true) => SyncWish::On,
            Some(false) => SyncWish::Forbidden,
        };
        let tailnet = required(layers, Key::Tailnet, kind)?;
        Ok(Self {
            sync,
            hostname: required(layers, Key::Hostname, |text| {
                thrum_api::names::daemon(text).map(str::to_owned).map_err(|e| e.to_string())
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
            tailscale_socket: optional(layers, Key::TailscaleSocket, path)?,
            auth_key: optional(layers, Key::AuthKey, |text| {
                text.parse().map_err(|e: thrum_api::secret::ParseSecretError| e.to_string())
            })?,
            control_url: optional(layers, Key::ControlUrl, url)?,
            tailscale_state_dir: required(layers, Key::TailscaleStateDir, path)?,
            ephemeral: required(layers, Key::Ephemeral, truth)?,
        })
    }
}

/// Why two times are no cadence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CadenceError {
    /// The interval is zero.
    #[error("sync_interval must be longer than 0s")]
    Zero,
    /// `recent` is longer than `interval`.
    #[error("sync_recent must not be longer than sync_interval ({})", crate::clock::words(*.0))]
    Longer(Duration),
}

impl Cadence {
    /// A cadence. A peer that counts as recent for longer than an interval would be left out by
    /// look after look.
    ///
    /// # Errors
    /// When the interval is zero or shorter than `recent`.
    pub fn new(interval: Duration, recent: Duration) -> Result<Self, CadenceError> {
        if interval.is_zero() {
            return Err(CadenceError::Zero);
        }
        if recent > interval {
            return Err(CadenceError::Longer(interval));
        }
        Ok(Self { interval, recent })
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

pub(super) fn truth(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

fn kind(text: &str) -> Result<TailnetKind, String> {
    match text {
        "tailscaled" => Ok(TailnetKind::Tailscaled),
        "private" => Ok(TailnetKind::Private),
        "loopback" => Ok(TailnetKind::Loopback),
        _ => Err("must be tailscaled, private or loopback".to_owned()),
    }
}

/// Peers remember our port, and would not find one that each start picks anew.
fn port(text: &str, tailnet: TailnetKind) -> Result<u16, String> {
    match text.parse() {
        Ok(0) if tailnet != TailnetKind::Loopback => Err("a port is a number from 1 to 65535; 0, \
             which picks another one at each start, is for the loopback tailnet alone"
            .to_owned()),
        Ok(port) => Ok(port),
        Err(_) => Err("a port is a number from 1 to 65535".to_owned()),
    }
}

fn path(text: &str) -> Result<PathBuf, String> {
    std::path::absolute(text).map_err(|_| "must be a path".to_owned())
}

fn socket(text: &str) -> Result<PathBuf, String> {
    let path = path(text)?;
    let bytes = path.as_os_str().len();
    if bytes > SOCKET_PATH_MAX_BYTES {
        return Err(format!(
            "the path of a Unix socket has at most {SOCKET_PATH_MAX_BYTES} bytes, and this one has \
             {bytes}; set THRUM_SOCKET to a shorter one"
        ));
    }
    Ok(path)
}

fn url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match rest {
        Some(host) if !host.is_empty() && host.bytes().all(|c| c.is_ascii_graphic()) => {
            Ok(text.to_owned())
        }
        _ => Err("must be a URL that begins with https:// or http://".to_owned()),
    }
}

fn filter(text: &str) -> Result<String, String> {
    let wanted = "must be error, warn, info, debug, trace or off, or parts with levels such as \
                  info,thrumd::sync=debug";
    // A lone word that is no level would be taken for a part of the program and silence the rest.
    let levels = ["error", "warn", "info", "debug", "trace", "off"];
    let clear = |part: &str| part.contains('=') || levels.contains(&part.to_lowercase().as_str());
    if Targets::from_str(text).is_err() || !text.split(',').all(|part| clear(part.trim())) {
        return Err(wanted.to_owned());
    }
    Ok(text.to_owned())
}

/// Reads `5m`, `90s`, `2m30s`, `1h`, `500ms`.
fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text)
        .filter(|span| *span <= DURATION_MAX)
        .ok_or_else(|| "must be a time such as 90s, 5m or 2m30s".to_owned())
}

/// Four digits are not to stand open for longer than the design has it.
fn pairing_timeout(text: &str) -> Result<Duration, String> {
    let limits = Duration::from_secs(1)..=Duration::from_secs(PAIRING_TIMEOUT_SECONDS);
    duration(text).ok().filter(|span| limits.contains(span)).ok_or_else(|| {
        let longest = crate::clock::words(*limits.end());
        format!("must be a time from 1s to {longest}, such as 90s")
    })
}

fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?;
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit_millis = match rest.get(..letters)? {
            "ms" => 1,
            "s" => 1000,
            "m" => 60 * 1000,
            "h" => 3600 * 1000,
            "d" => 24 * 3600 * 1000,
            _ => return None,
        };
        total = total.checked_add(Duration::from_millis(number.checked_mul(unit_millis)?))?;
        rest = rest.get(letters..)?;
    }
    Some(total)
}
