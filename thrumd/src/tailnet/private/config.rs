use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use thrum_api::AuthKey;

use crate::statefile::StateFile;

/// Settings of the child.
#[derive(Debug, Clone)]
pub struct PrivateConfig {
    /// Its state directory (`THRUM_TS_STATE_DIR`, else `tailscale` in our state directory). Created
    /// with mode 0700.
    pub state_dir: PathBuf,
    /// The machine's name in the tailnet.
    pub hostname: String,
    /// Key for its first login (`THRUM_TS_AUTH_KEY`).
    pub auth_key: Option<AuthKey>,
    /// The control server (`THRUM_TS_CONTROL_URL`). None: Tailscale's.
    pub control_url: Option<String>,
    /// Leaves the tailnet when it stops and keeps no state (`THRUM_TS_EPHEMERAL`).
    pub ephemeral: bool,
    /// The program. None: searched.
    pub binary: Option<PathBuf>,
    /// The child's whole environment; see [`environment`].
    pub environment: Vec<(OsString, OsString)>,
    /// Our port for peers.
    pub port: u16,
    /// File that names the child's process. In our own state directory, out of the child's reach.
    pub pid_file: StateFile,
}

/// The variables of our environment that the child gets: paths of programs and certificates, proxies,
/// and settings of tailscaled itself. Never a key.
pub fn environment(
    ours: impl IntoIterator<Item = (OsString, OsString)>,
) -> Vec<(OsString, OsString)> {
    const NAMES: &[&str] = &["PATH", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR"];
    const PROXIES: &[&str] = &["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"];
    let passes = |name: &OsStr| {
        let Some(name) = name.to_str() else { return false };
        let upper = name.to_ascii_uppercase();
        let setting =
            name.starts_with("TS_") && !upper.contains("KEY") && !upper.contains("SECRET");
        setting || NAMES.contains(&name) || PROXIES.contains(&upper.as_str())
    };
    ours.into_iter().filter(|(name, _)| passes(name)).collect()
}

/// Warning that peers reach every loopback port, not ours alone.
pub(super) fn exposure_warning(port: u16) -> String {
    format!(
        "with the private tailnet kind, peers that the tailnet's policy lets in reach every port that \
         listens on 127.0.0.1 of this machine; let the policy allow port {port} alone"
    )
}
