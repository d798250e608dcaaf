//! The start, in a fixed order: nothing is served before the log is open.

use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

use thrum_api::local::Problem;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{ServiceError, readiness, stop};
use crate::admin::{self, DiskTrouble, HeldSocket, LocalSocket, Network, NetworkParts, Surface};
use crate::agents::Agents;
use crate::config::{Config, SyncWish};
use crate::log::{Lock, Log};
use crate::peer::{Identity, Pairing, Registry, identity};
use crate::policy::Policy;
use crate::report::Chain;
use crate::rpc;
use crate::sync::{Sync, SyncParts};
use crate::tailnet::{self, Tailnet};

/// A daemon that is open and not served yet.
pub struct Daemon {
    surface: Arc<Surface>,
    socket: LocalSocket,
}

impl Daemon {
    /// Opens everything: state directory, identity, log, peers, messages, tailnet, socket, sync.
    ///
    /// # Errors
    /// What could not be opened.
    pub async fn start(config: Config) -> Result<Self, ServiceError> {
        Self::start_with(config, None).await
    }

    /// As [`Daemon::start`], serving on a socket that the service manager holds.
    ///
    /// # Errors
    /// What could not be opened.
    pub async fn start_with(
        config: Config,
        held: Option<HeldSocket>,
    ) -> Result<Self, ServiceError> {
        let started = Instant::now();
        make(&config.state_dir)?;
        // Before any file is looked at: two first starts would make two identities.
        let lock = Lock::take(&config.state_dir)?;
        let mut identity = Identity::load(&config.state_dir, &config.machine_id_file)?;
        let daemon = identity.daemon_id;
        let (log, opened) =
            Log::open_locked(lock, &config.state_dir, daemon, identity.had_database)?;
        if opened.database_was_lost {
            tracing::warn!("the database is gone: a new epoch begins, old events come from peers");
        }
        identity.note_database(&config.state_dir)?;
        let (registry, damaged) = Registry::open(&config.state_dir)?;
        let agents = Agents::open(&config.state_dir, log.clone(), identity.former.clone())?;
        let name: Arc<str> = config.hostname.as_str().into();
        let pairing =
            Pairing::new(registry.clone(), daemon, config.hostname.clone(), config.pairing_timeout);
        // Not even opened where it must not be used: a copied directory may hold another's node.
        let tailnet = match forbidden(&config, identity.foreign) {
            Some(why) => Err(why),
            None => match Tailnet::open(tailnet::Settings::of(&config)) {
                Ok(tailnet) => Ok(tailnet),
                Err(error) if config.sync == SyncWish::On => return Err(error.into()),
                Err(error) => {
                    let why = Chain(&error).to_string();
                    if registry.sync_wanted() {
                        tracing::warn!("no sync: {why}");
                    }
                    Err(why)
                }
            },
        };
        let socket = match held {
            Some(held) => held.open()?,
            None => LocalSocket::bind(&config.socket)?,
        };
        let network = match tailnet {
            Ok(tailnet) => {
                let (listening_port, port) = watch::channel(0);
                let sync = Sync::start(SyncParts {
                    log: log.clone(),
                    registry: registry.clone(),
                    tailnet: tailnet.clone(),
                    cadence: config.cadence,
                    name: name.clone(),
                    listening_port: port,
                    wanted_port: config.port,
                });
                let policy = Policy::new(registry.clone(), tailnet.clone(), daemon, name.clone());
                let surface = rpc::PeerApi {
                    policy,
                    daemon,
                    name: name.clone(),
                    log: log.clone(),
                    registry: registry.clone(),
                    pairing: pairing.clone(),
                    sync,
                    tailnet,
                    problem: watch::Sender::new(None),
                };
                Network::new(NetworkParts { surface, port: config.port, listening_port })
            }
            Err(why) => Network::Impossible(why),
        };
        let surface = Surface {
            found: found(&config.state_dir, identity.foreign, damaged),
            foreign: identity.foreign,
            config,
            daemon,
            name,
            started,
            log,
            agents,
            registry,
            pairing,
            network,
            disk: DiskTrouble::default(),
            stop: watch::Sender::new(false),
        };
        Ok(Self { surface: Arc::new(surface), socket })
    }

    /// What stops the daemon once it is true.
    pub fn stopper(&self) -> watch::Sender<bool> {
        self.surface.stop.clone()
    }

    /// What the local surface works with.
    #[cfg(test)]
    pub(crate) fn surface(&self) -> Arc<Surface> {
        self.surface.clone()
    }

    /// Serves until it is stopped, then closes everything in order.
    pub async fn run(self) {
        let Self { surface, socket } = self;
        let serving = tokio::spawn(admin::serve(surface.clone(), socket));
        let wanted = match surface.config.sync {
            SyncWish::On => true,
            SyncWish::WhenPaired => surface.registry.sync_wanted(),
            SyncWish::Forbidden => false,
        };
        if wanted && let Some(link) = surface.network.link() {
            link.turn_on();
        }
        tracing::info!(
            "thrumd {} ready: {} as {}, state in {}, socket {}",
            env!("CARGO_PKG_VERSION"),
            surface.name,
            surface.daemon,
            surface.config.state_dir.display(),
            surface.config.socket.display(),
        );
        let told = readiness::ready(&surface);
        readiness::keep_told(surface.clone(), told);
        let mut stop = surface.stop.subscribe();
        // An error means that the sender is gone, which is the end as well.
        drop(stop.wait_for(|stop| *stop).await);
        stop::in_order(&surface, serving).await;
    }
}

fn make(state_dir: &Path) -> Result<(), ServiceError> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(state_dir);
    made.map_err(|cause| ServiceError::StateDir { path: state_dir.to_owned(), cause })
}

/// Why there must be no way to peers, whatever the tailnet.
fn forbidden(config: &Config, foreign: bool) -> Option<String> {
    if foreign {
        return Some("this state directory came from another machine".to_owned());
    }
    let forbidden = config.sync == SyncWish::Forbidden;
    forbidden.then(|| "sync is forbidden by sync = false (THRUM_TS_ENABLED)".to_owned())
}

fn found(state_dir: &Path, foreign: bool, damaged: Option<String>) -> Vec<Problem> {
    let mut found = Vec::new();
    if foreign {
        let message = "this state directory came from another machine: it serves here, but does \
                       not sync";
        let next = identity::how_to_reset(state_dir);
        tracing::warn!("{message}; run `{next}`");
        found.push(admin::problem("identity", message.to_owned(), None, Some(next)));
    }
    if let Some(message) = damaged {
        let next = Some("thrum peer add");
        found.push(admin::problem("peers_file", message, Some(crate::clock::now()), next));
    }
    found
}
