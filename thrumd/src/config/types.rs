//! The parsed settings: types that can't hold an invalid value.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use thrum_api::AuthKey;
use thrum_api::local::TailnetKind;

/// Whether this daemon syncs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncMode {
    /// Off until a person runs `peer add` or `peer join`. The default.
    WhenPaired,
    /// `true`: on from the start.
    On,
    /// `false`: forbidden.
    Forbidden,
}

/// How often peers are pulled without a notification. `recent <= interval` always holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cadence {
    /// Time between two rounds of pulls.
    pub interval: Duration,
    /// Peers that were synced within this time are skipped.
    pub recent: Duration,
}

impl Cadence {
    /// A cadence. A peer that counts as recent for longer than an interval would be skipped in every
    /// round.
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

    /// The longest time without a word from an idle and healthy peer: one round may skip it as just
    /// recent enough, and the answer to the next one takes a moment.
    pub fn longest_silence(&self) -> Duration {
        const MOMENT: Duration = Duration::from_secs(30);
        self.interval.saturating_add(self.recent).saturating_add(MOMENT)
    }
}

/// Why two durations are not a valid cadence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CadenceError {
    /// The interval is zero.
    #[error("sync_interval must be longer than 0s")]
    Zero,
    /// `recent` is longer than `interval`.
    #[error("sync_recent must not be longer than sync_interval ({})", crate::clock::format_duration(*.0))]
    Longer(Duration),
}

/// Every setting of the daemon.
#[derive(Debug, Clone)]
pub struct Config {
    /// Whether it syncs (`THRUM_TS_ENABLED`).
    pub sync: SyncMode,
    /// The name of this machine (`THRUM_TS_HOSTNAME`, else the system's host name).
    pub hostname: String,
    /// Port for peers (`THRUM_TS_PORT`, 9100; 0 picks a free one).
    pub port: u16,
    /// The tailnet kind (`THRUM_TAILNET`).
    pub tailnet: TailnetKind,
    /// Where identity, log and peers live (`THRUM_STATE_DIR`).
    pub state_dir: PathBuf,
    /// The Unix socket (`THRUM_SOCKET`; by default `thrumd.sock` in the state directory).
    pub socket: PathBuf,
    /// How long a pairing code is valid (`THRUM_PAIRING_TIMEOUT`, 5 minutes).
    pub pairing_timeout: Duration,
    /// How often to pull without a notification (`THRUM_SYNC_INTERVAL`, `THRUM_SYNC_RECENT`).
    pub cadence: Cadence,
    /// Filter of the log on stderr (`THRUM_LOG`, `info`).
    pub log: String,
    /// The file that identifies this machine (`THRUM_MACHINE_ID_FILE`, `/etc/machine-id`).
    pub machine_id_file: PathBuf,
    /// The file that stderr is written to, if known (`THRUM_LOG_PATH`); only reported in `health`.
    pub log_path: Option<PathBuf>,
    /// Where `/metrics` can be scraped (`THRUM_METRICS_LISTEN`); of other machines only if `THRUM_METRICS_LISTEN_PUBLIC`
    /// allows that.
    pub metrics_listen: Option<SocketAddr>,
    /// The socket of the machine's tailscaled (`THRUM_TS_SOCKET`); None is the system's usual one.
    pub tailscale_socket: Option<PathBuf>,
    /// The key with which a private tailscaled joins the tailnet (`THRUM_TS_AUTH_KEY`).
    pub auth_key: Option<AuthKey>,
    /// The control server of a private tailscaled (`THRUM_TS_CONTROL_URL`).
    pub control_url: Option<String>,
    /// The state directory of a private tailscaled (`THRUM_TS_STATE_DIR`).
    pub tailscale_state_dir: PathBuf,
    /// The tailnet forgets this machine when thrumd ends (`THRUM_TS_EPHEMERAL`).
    pub ephemeral: bool,
}
