//! The `private` kind: a tailscaled child of our own, in userspace mode, for machines without one.
//!
//! The child needs no right and no /dev/net/tun. Connections to peers go out through its LocalAPI;
//! peers' connections arrive from 127.0.0.1, and whois tells who they are while they live. Once it
//! runs it is followed like the machine's own.
//!
//! **It hands connections from peers that the tailnet's policy lets in on to 127.0.0.1, whatever
//! the port.** That is how userspace mode works. Only the policy can close the other ports, which is
//! said at start, in `status` and in `doctor` (see [`Private::problem`]).

pub mod binary;
mod child;
mod files;
mod supervise;
mod user;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::tailscaled::{State, Tailscaled, TailscaledConfig, Whose};
use super::{Presence, TailnetError};
use supervise::Ties;

pub use thrum_api::AuthKey;
pub use user::User;

/// What the child is to be.
#[derive(Debug, Clone)]
pub struct PrivateConfig {
    /// Where its state lives (`THRUM_TS_STATE_DIR`, else `tailscale` in our state directory). Made
    /// with mode 0700.
    pub state_dir: PathBuf,
    /// What the machine is called in the tailnet.
    pub hostname: String,
    /// Lets it in when it is not in already (`THRUM_TS_AUTH_KEY`).
    pub auth_key: Option<AuthKey>,
    /// The control server (`THRUM_TS_CONTROL_URL`). None: Tailscale's.
    pub control_url: Option<String>,
    /// Leaves the tailnet when it stops and keeps no state (`THRUM_TS_EPHEMERAL`).
    pub ephemeral: bool,
    /// The program. None: looked for.
    pub binary: Option<PathBuf>,
    /// The child's whole environment; see [`environment`].
    pub environment: Vec<(OsString, OsString)>,
    /// The port that peers are meant to reach.
    pub port: u16,
    /// Where it is noted which process the child is: out of the child's reach, in our own state
    /// directory.
    pub note: PathBuf,
}

/// What of our environment is the child's business: where programs and certificates are, proxies,
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

/// What went wrong with the child. Told and tried again; the daemon goes on.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// There is no tailscaled to run.
    #[error(
        "tailscaled is not installed on this machine; install the tailscale package \
         (https://tailscale.com/download) or put tailscaled into PATH"
    )]
    NoProgram,
    /// We are root and find nobody to run it as.
    #[error(
        "tailscaled is not run as root, and there is no user \"thrum\" or \"nobody\" to run it as; \
         make one, or run thrumd as an ordinary user"
    )]
    NoUser,
    /// The path of its socket would be cut.
    #[error(
        "{} is too long for the path of a socket ({} bytes at most); set THRUM_TS_STATE_DIR to a \
         shorter one", path.display(), files::SOCKET_PATH_LIMIT
    )]
    LongPath {
        /// The socket.
        path: PathBuf,
    },
    /// Another daemon has the directory.
    #[error(
        "another thrumd runs a tailscaled in {}; end it, or set THRUM_TS_STATE_DIR to another \
         directory", dir.display()
    )]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// Its directory or a file in it.
    #[error("{doing} {}", path.display())]
    File {
        /// What we did.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It could not be started.
    #[error("starting {}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It ended by itself.
    #[error("tailscaled ended ({how}){said}")]
    Ended {
        /// Exit code or signal.
        how: String,
        /// Its last line, with a colon before it, if it ended by itself.
        said: String,
    },
}

/// Makes sure that the next child with this state directory is a node of its own, whatever was
/// copied there. Only while no daemon uses it. Answers where the old node's identity is now, if
/// there was one.
///
/// # Errors
/// When it can't be moved.
pub fn set_node_aside(state_dir: &Path) -> Result<Option<PathBuf>, ChildError> {
    files::set_aside(state_dir)
}

/// The kind. Clones share one child, which begins with [`Private::begin`] and ends with the last of them.
#[derive(Clone)]
pub struct Private {
    tailscaled: Tailscaled,
    presence: watch::Sender<Presence>,
    port: u16,
    keeper: Arc<Keeper>,
}

struct Keeper {
    ties: Ties,
    tasks: std::sync::Mutex<Vec<JoinHandle<()>>>,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.ties.stop.cancel();
        // Here too: the runtime may be gone before the tasks could.
        self.ties.slot.kill();
    }
}

impl Private {
    /// Makes ready for the child, which [`Self::begin`] starts. Needs a tokio runtime. What goes wrong
    /// with it shows in the presence.
    ///
    /// # Errors
    /// Only what no patience mends: no program, no user, a path that is too long.
    pub fn open(config: PrivateConfig) -> Result<Self, TailnetError> {
        let socket = files::socket(&config.state_dir);
        let plan = supervise::Plan::make(config)
            .map_err(|source| TailnetError::OwnTailscaled { source })?;
        let port = plan.config.port;
        let tailscaled =
            Tailscaled::open(TailscaledConfig { socket: Some(socket), whose: Whose::Ours });
        let presence = watch::Sender::new(tailscaled.presence().borrow().clone());
        let trouble = watch::Sender::new(None);
        let ties = Ties::default();
        let keep = supervise::keep(plan, tailscaled.clone(), trouble.clone(), ties.clone());
        let tell = tell(tailscaled.clone(), trouble, presence.clone(), ties.stop.clone());
        let tasks = std::sync::Mutex::new(vec![tokio::spawn(keep), tokio::spawn(tell)]);
        let keeper = Arc::new(Keeper { ties, tasks });
        Ok(Self { tailscaled, presence, port, keeper })
    }

    /// Starts the child and keeps it running: from now on the machine is in the tailnet. Does nothing
    /// the second time.
    pub fn begin(&self) {
        self.keeper.ties.begin.cancel();
    }

    /// Where we are: 127.0.0.1 once the child is in the tailnet.
    pub fn presence(&self) -> watch::Receiver<Presence> {
        self.presence.subscribe()
    }

    /// All else is as with the machine's own.
    pub fn tailscaled(&self) -> &Tailscaled {
        &self.tailscaled
    }

    /// Warning about the ports that the child opens to peers, for `status` and `doctor`. None before
    /// the child is started.
    pub fn problem(&self) -> Option<String> {
        self.keeper.ties.begin.is_cancelled().then(|| exposure_warning(self.port))
    }

    /// Ends the child, if there is one, and waits for its end, at most 4 s.
    pub async fn stop(&self) {
        let Keeper { ties, tasks } = &*self.keeper;
        ties.stop.cancel();
        let tasks = match tasks.lock() {
            Ok(mut tasks) => std::mem::take(&mut *tasks),
            Err(_) => return,
        };
        for task in tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of the private tailnet failed");
            }
        }
    }
}

/// Warning that peers reach every loopback port, not ours alone.
fn exposure_warning(port: u16) -> String {
    format!(
        "with the private tailnet kind, peers that the tailnet's policy lets in reach every port that \
         listens on 127.0.0.1 of this machine; let the policy allow port {port} alone"
    )
}

/// Publishes the follower's presence, and the child's trouble in its place while there is some.
async fn tell(
    tailscaled: Tailscaled,
    trouble: watch::Sender<Option<String>>,
    presence: watch::Sender<Presence>,
    stop: CancellationToken,
) {
    let (mut followed, mut troubled) = (tailscaled.presence(), trouble.subscribe());
    loop {
        let now = match (&*followed.borrow_and_update(), &*troubled.borrow_and_update()) {
            (up @ Presence::Up { .. }, _) => up.clone(),
            (_, Some(why)) => Presence::Waiting { why: why.clone(), passing: false },
            (waiting, None) => waiting.clone(),
        };
        presence.send_if_modified(|old| {
            let changed = *old != now;
            *old = now;
            changed
        });
        tokio::select! {
            () = stop.cancelled() => return,
            changed = followed.changed() => if changed.is_err() { return },
            changed = troubled.changed() => if changed.is_err() { return },
        }
    }
}

#[cfg(test)]
mod tests;
