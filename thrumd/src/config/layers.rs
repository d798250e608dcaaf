//! Layered settings: flags over environment over file over defaults, and where each value came from.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use thrum_api::similar_names;

use super::error::{ConfigError, Origin};
use super::parse::{boolean, duration};
use super::settings::{Fallback, Key, SETTINGS, setting};

/// The environment, or a map in its place.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// What was given on the command line.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// The settings that were given.
    pub values: BTreeMap<Key, String>,
}

/// Facts about this machine that defaults depend on.
#[derive(Debug, Clone)]
pub struct HostInfo {
    /// We run as root.
    pub root: bool,
    /// The home directory.
    pub home: Option<PathBuf>,
    /// The host name.
    pub hostname: String,
}

impl HostInfo {
    /// Those of this machine.
    pub fn detect() -> Self {
        let name = rustix::system::uname();
        let name = name.nodename().to_string_lossy();
        // Only the first label: the domain makes the name longer and not clearer.
        let name = name.split('.').next().unwrap_or_default();
        let name = if thrum_api::names::daemon(name).is_ok() { name } else { "localhost" };
        Self {
            root: rustix::process::geteuid().is_root(),
            home: directories::BaseDirs::new().map(|dirs| dirs.home_dir().to_owned()),
            hostname: name.to_owned(),
        }
    }
}

/// A value and where it came from. No text: unset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// The text as written.
    pub text: Option<String>,
    /// The layer it came from.
    pub origin: Origin,
}

/// The unparsed value of every setting.
#[derive(Clone)]
pub struct Layers {
    values: BTreeMap<Key, Value>,
}

impl Layers {
    /// Collects the values. The first layer that has one wins; an empty variable counts as absent.
    ///
    /// # Errors
    /// When a file or a variable can't be read, or the file has an unknown key.
    pub fn collect(flags: &Flags, env: Env<'_>, machine: &HostInfo) -> Result<Self, ConfigError> {
        let file = read_file(flags, env, machine)?;
        let mut values = BTreeMap::new();
        for setting in SETTINGS {
            let from_flag = setting.flag.zip(flags.values.get(&setting.key));
            let value = if let Some((flag, text)) = from_flag {
                Value { text: Some(text.clone()), origin: Origin::Flag(flag) }
            } else if let Some(text) = variable(env, setting.env)? {
                Value { text: Some(text), origin: Origin::Env(setting.env) }
            } else if let Some((path, entries)) = &file
                && let Some(text) = entries.get(&setting.key)
            {
                Value { text: Some(text.clone()), origin: Origin::File(path.clone()) }
            } else {
                let text = match setting.fallback {
                    Fallback::Value(text) => Some(text.to_owned()),
                    Fallback::Computed(_) => Some(computed(setting.key, &values, env, machine)?),
                    Fallback::Unset(_) => None,
                };
                Value { text, origin: Origin::Default }
            };
            values.insert(setting.key, value);
        }
        let mut layers = Self { values };
        layers.imply_private();
        layers.fit_cadence();
        Ok(layers)
    }

    /// Fits the default of `sync_recent` to a shorter `sync_interval`, and that of `sync_interval` to a longer
    /// `sync_recent`, so that each can be set alone.
    fn fit_cadence(&mut self) {
        let (interval, recent) = (self.get(Key::SyncInterval), self.get(Key::SyncRecent));
        let (fitted, by) = match (&interval.origin, &recent.origin) {
            (_, Origin::Default) => (Key::SyncRecent, Key::SyncInterval),
            (Origin::Default, _) => (Key::SyncInterval, Key::SyncRecent),
            _ => return,
        };
        let parsed = |value: &Value| value.text.as_deref().and_then(|text| duration(text).ok());
        if parsed(recent) > parsed(interval) && parsed(self.get(by)).is_some() {
            let text = self.get(by).text.clone();
            self.values.insert(fitted, Value { text, origin: Origin::Implied(setting(by).name) });
        }
    }

    /// Selects the private kind if a setting is given that only this kind uses, and no kind is given.
    fn imply_private(&mut self) {
        let set = |key: &Key| {
            let value = self.get(*key);
            let off =
                *key == Key::Ephemeral && value.text.as_deref().map(boolean) == Some(Ok(false));
            value.origin != Origin::Default && !off
        };
        let private = [Key::AuthKey, Key::ControlUrl, Key::TailscaleStateDir, Key::Ephemeral];
        let by = private.iter().find(|key| set(key)).copied();
        if let Some(by) = by.filter(|_| !set(&Key::Tailnet)) {
            let (text, origin) = (Some("private".to_owned()), Origin::Implied(setting(by).name));
            self.values.insert(Key::Tailnet, Value { text, origin });
        }
    }

    /// Copies one setting from other layers.
    pub fn copy_from(&mut self, key: Key, from: &Self) {
        self.values.insert(key, from.get(key).clone());
    }

    /// The file that a secret came from, if everyone may read it.
    pub fn world_readable_secret(&self) -> Option<&Path> {
        SETTINGS.iter().filter(|setting| setting.secret()).find_map(|setting| {
            let Origin::File(path) = &self.get(setting.key).origin else { return None };
            let others_may = path.metadata().is_ok_and(|file| file.mode() & 0o004 != 0);
            others_may.then_some(path.as_path())
        })
    }

    /// The value of a setting.
    pub fn get(&self, key: Key) -> &Value {
        &self.values[&key]
    }
}

fn variable(env: Env<'_>, name: &'static str) -> Result<Option<String>, ConfigError> {
    match env(name) {
        None => Ok(None),
        Some(text) if text.is_empty() => Ok(None),
        Some(text) => text.into_string().map(Some).map_err(|_| ConfigError::NotText { name }),
    }
}

/// A default that depends on the machine or on settings further up in the table.
fn computed(
    key: Key,
    so_far: &BTreeMap<Key, Value>,
    env: Env<'_>,
    machine: &HostInfo,
) -> Result<String, ConfigError> {
    let in_state_dir = |name: &str| {
        let dir = so_far.get(&Key::StateDir).and_then(|value| value.text.clone());
        Path::new(&dir.unwrap_or_default()).join(name).to_string_lossy().into_owned()
    };
    Ok(match key {
        Key::StateDir => state_dir(env, machine)?.to_string_lossy().into_owned(),
        Key::Socket => in_state_dir("thrumd.sock"),
        Key::TailscaleStateDir => in_state_dir("tailscale"),
        _ => machine.hostname.clone(),
    })
}

fn state_dir(env: Env<'_>, machine: &HostInfo) -> Result<PathBuf, ConfigError> {
    if machine.root {
        return Ok(PathBuf::from("/var/lib/thrum"));
    }
    if let Some(dir) = variable(env, "XDG_STATE_HOME")? {
        return Ok(PathBuf::from(dir).join("thrum"));
    }
    let home = machine.home.as_ref().ok_or(ConfigError::NoHome)?;
    Ok(match cfg!(target_os = "macos") {
        true => home.join("Library/Application Support/thrum"),
        false => home.join(".local/state/thrum"),
    })
}

type Entries = BTreeMap<Key, String>;

/// Reads the configuration file. A file that was named must exist; the one in the usual place may.
fn read_file(
    flags: &Flags,
    env: Env<'_>,
    machine: &HostInfo,
) -> Result<Option<(PathBuf, Entries)>, ConfigError> {
    let named = match &flags.config {
        Some(path) => Some(path.clone()),
        None => variable(env, "THRUM_CONFIG")?.map(PathBuf::from),
    };
    let usual = || -> Result<Option<PathBuf>, ConfigError> {
        // From systemd's ConfigurationDirectory=: the service isn't root and has no home.
        if let Some(dirs) = variable(env, "CONFIGURATION_DIRECTORY")? {
            let dir = dirs.split(':').next().unwrap_or_default();
            return Ok(Some(Path::new(dir).join("thrumd.toml")));
        }
        if machine.root {
            return Ok(Some(PathBuf::from("/etc/thrum/thrumd.toml")));
        }
        let base = match variable(env, "XDG_CONFIG_HOME")? {
            Some(dir) => Some(PathBuf::from(dir)),
            None => machine.home.as_ref().map(|home| home.join(".config")),
        };
        Ok(base.map(|base| base.join("thrum/thrumd.toml")))
    };
    let must_exist = named.is_some();
    let Some(path) = named.map_or_else(usual, |path| Ok(Some(path)))? else { return Ok(None) };
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let entries = entries(&path, &text)?;
            Ok(Some((path, entries)))
        }
        Err(error) if !must_exist && error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ConfigError::Read { path, source }),
    }
}

/// Parses the text of a `thrumd.toml`.
fn entries(path: &Path, text: &str) -> Result<Entries, ConfigError> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let start = error.span().map_or(0, |span| span.start);
        let before = text.get(..start).unwrap_or_default();
        ConfigError::Syntax {
            path: path.to_owned(),
            line: before.matches('\n').count() + 1,
            message: error.message().to_owned(),
        }
    })?;
    let mut entries = Entries::new();
    for (name, value) in table {
        let Some(setting) = SETTINGS.iter().find(|setting| setting.name == name) else {
            let near = nearest(&name);
            return Err(ConfigError::UnknownKey { path: path.to_owned(), name, near });
        };
        let text = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Boolean(truth) => truth.to_string(),
            _ => return Err(ConfigError::Type { path: path.to_owned(), name: setting.name }),
        };
        entries.insert(setting.key, text);
    }
    Ok(entries)
}

/// The setting whose name, variable or flag is most similar to what was typed.
fn nearest(typed: &str) -> Option<&'static str> {
    let typed = typed.to_lowercase().replace('-', "_");
    if let Some(same) = SETTINGS.iter().find(|s| s.env.to_lowercase() == typed) {
        return Some(same.name);
    }
    similar_names(&typed, SETTINGS.iter().map(|setting| setting.name)).first().copied()
}
