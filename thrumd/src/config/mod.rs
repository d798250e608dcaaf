//! Settings: flags over environment over `thrumd.toml` over defaults, parsed once into types that
//! can't be wrong.

mod error;
mod layers;
pub mod print;
mod settings;
mod values;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use thrum_api::AuthKey;
use thrum_api::local::TailnetKind;

pub use error::{ConfigError, Origin};
pub use layers::{Env, Flags, Layers, Machine, Value};
pub use settings::{Fallback, Key, SETTINGS, Setting, setting};
pub use values::CadenceError;

/// Whether this daemon syncs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncWish {
    /// Unset: off until a person runs `peer add` or `peer join`.
    WhenPaired,
    /// `true`: on at start.
    On,
    /// `false`: forbidden.
    Forbidden,
}

/// How often peers are pulled although nobody notified. `recent <= interval`, checked when made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cadence {
    /// Time between two looks.
    pub interval: Duration,
    /// Peers synced within this time are left alone.
    pub recent: Duration,
}

impl Cadence {
    /// How long nothing may be heard of an idle peer that is well: one look may find it too recent by
    /// a hair, and the next one's answer takes a moment.
    pub fn longest_silence(&self) -> Duration {
        const MOMENT: Duration = Duration::from_secs(30);
        self.interval.saturating_add(self.recent).saturating_add(MOMENT)
    }
}

/// Every setting of the daemon.
#[derive(Debug, Clone)]
pub struct Config {
    /// Whether it syncs (`THRUM_TS_ENABLED`).
    pub sync: SyncWish,
    /// What this machine calls itself (`THRUM_TS_HOSTNAME`, else the system's host name).
    pub hostname: String,
    /// Port for peers (`THRUM_TS_PORT`, 9100; 0 picks a free one).
    pub port: u16,
    /// The tailnet kind (`THRUM_TAILNET`).
    pub tailnet: TailnetKind,
    /// Where identity, log and peers live (`THRUM_STATE_DIR`).
    pub state_dir: PathBuf,
    /// The Unix socket (`THRUM_SOCKET`; by default `thrumd.sock` in the state directory).
    pub socket: PathBuf,
    /// How long a pairing code is good (`THRUM_PAIRING_TIMEOUT`, 5 minutes).
    pub pairing_timeout: Duration,
    /// How often to look without being told (`THRUM_SYNC_INTERVAL`, `THRUM_SYNC_RECENT`).
    pub cadence: Cadence,
    /// Filter of the log on stderr (`THRUM_LOG`, `info`).
    pub log: String,
    /// The file that identifies this machine (`THRUM_MACHINE_ID_FILE`, `/etc/machine-id`).
    pub machine_id_file: PathBuf,
    /// Where stderr goes, if the starter said so (`THRUM_LOG_PATH`); only repeated in `health`.
    pub log_path: Option<PathBuf>,
    /// The socket of the machine's tailscaled (`THRUM_TS_SOCKET`); None is the system's usual one.
    pub tailscale_socket: Option<PathBuf>,
    /// Lets a tailscaled of our own into the tailnet (`THRUM_TS_AUTH_KEY`).
    pub auth_key: Option<AuthKey>,
    /// The control server of a tailscaled of our own (`THRUM_TS_CONTROL_URL`).
    pub control_url: Option<String>,
    /// Where a tailscaled of our own keeps its state (`THRUM_TS_STATE_DIR`).
    pub tailscale_state_dir: PathBuf,
    /// The tailnet forgets us when we end (`THRUM_TS_EPHEMERAL`).
    pub ephemeral: bool,
}
