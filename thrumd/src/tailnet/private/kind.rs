//! The `private` kind itself: starts, stops and publishes the child.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::config::{PrivateConfig, exposure_warning};
use super::files;
use super::supervise::{Lifecycle, Prepared, supervise};
use crate::tailnet::error::TailnetError;
use crate::tailnet::tailscaled::{Instance, Tailscaled, TailscaledConfig};
use crate::tailnet::types::{Presence, replace_if_changed};

/// The private kind. Clones share one child, which [`Private::start`] starts and which ends with the
/// last of them.
#[derive(Clone)]
pub struct Private {
    tailscaled: Tailscaled,
    presence: watch::Sender<Presence>,
    port: u16,
    supervisor: Arc<Supervisor>,
}

struct Supervisor {
    lifecycle: Lifecycle,
    tasks: TaskTracker,
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.lifecycle.stop.cancel();
        // The runtime may be gone before its tasks can end the child.
        self.lifecycle.child.kill();
    }
}

impl Private {
    /// Prepares for the child, which [`Self::start`] starts. Needs a tokio runtime. Failures of the
    /// child show in the presence.
    ///
    /// # Errors
    /// When waiting can't help: no program, no user, a path that is too long.
    pub fn open(config: PrivateConfig) -> Result<Self, TailnetError> {
        let socket = files::socket(&config.state_dir);
        let port = config.port;
        let prepared = Prepared::new(config).map_err(TailnetError::Child)?;
        let tailscaled =
            Tailscaled::open(TailscaledConfig { socket: Some(socket), instance: Instance::Child });
        let presence = watch::Sender::new(tailscaled.presence().borrow().clone());
        let failure = watch::Sender::new(None);
        let (lifecycle, tasks) = (Lifecycle::default(), TaskTracker::new());
        tasks.spawn(supervise(prepared, tailscaled.clone(), failure.clone(), lifecycle.clone()));
        let stop = lifecycle.stop.clone();
        tasks.spawn(publish_presence(tailscaled.clone(), failure, presence.clone(), stop));
        tasks.close();
        let supervisor = Arc::new(Supervisor { lifecycle, tasks });
        Ok(Self { tailscaled, presence, port, supervisor })
    }

    /// Starts the child and keeps it running: from now on the machine is in the tailnet. Has no effect
    /// the second time.
    pub fn start(&self) {
        self.supervisor.lifecycle.start.cancel();
    }

    /// Whether we are in the tailnet: on 127.0.0.1 once the child is.
    pub fn presence(&self) -> watch::Receiver<Presence> {
        self.presence.subscribe()
    }

    /// The child, which answers like the machine's own tailscaled.
    pub fn tailscaled(&self) -> &Tailscaled {
        &self.tailscaled
    }

    /// Warning about the ports that the child opens to peers, for `status` and `doctor`. None before
    /// the child is started.
    pub fn problem(&self) -> Option<String> {
        self.supervisor.lifecycle.start.is_cancelled().then(|| exposure_warning(self.port))
    }

    /// Stops the child, if there is one, and waits for its end, at most 4 s.
    pub async fn stop(&self) {
        self.supervisor.lifecycle.stop.cancel();
        self.supervisor.tasks.wait().await;
    }
}

/// Publishes the presence of the child's tailscaled, or the child's failure while there is one.
async fn publish_presence(
    tailscaled: Tailscaled,
    failure: watch::Sender<Option<String>>,
    presence: watch::Sender<Presence>,
    stop: CancellationToken,
) {
    let (mut followed, mut failed) = (tailscaled.presence(), failure.subscribe());
    loop {
        let now = match (&*followed.borrow_and_update(), &*failed.borrow_and_update()) {
            (up @ Presence::Up { .. }, _) => up.clone(),
            (_, Some(reason)) => Presence::Waiting { reason: reason.clone(), starting: false },
            (waiting, None) => waiting.clone(),
        };
        replace_if_changed(&presence, now);
        tokio::select! {
            () = stop.cancelled() => return,
            changed = followed.changed() => if changed.is_err() { return },
            changed = failed.changed() => if changed.is_err() { return },
        }
    }
}
