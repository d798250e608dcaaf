//! Starts the daemon in a fixed order: nothing is served before the log is open.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;

use thrum_api::local::Problem;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{ServiceError, readiness, shutdown, state_dir};
use crate::admin::{
    self, AdminContext, InheritedSocket, LocalSocket, NarrowSockets, Network, NetworkParts,
    WakeSwitch,
};
use crate::agents::{Agents, AgentsParts, Search};
use crate::backup;
use crate::clock;
use crate::config::{Config, SyncMode};
use crate::file_watch::FileWatch;
use crate::held_files::HeldFiles;
use crate::log::{Lock, Log};
use crate::peer::{Identity, Pairing, Registry, identity};
use crate::policy::Policy;
use crate::report::Chain;
use crate::rpc;
use crate::sync::{Sync, SyncParts};
use crate::tailnet::{self, Tailnet};

/// A daemon whose parts are open, before it serves anything.
pub struct Daemon {
    context: Arc<AdminContext>,
    socket: LocalSocket,
}

impl Daemon {
    /// Opens everything: state directory, identity, log, peers, messages, tailnet, socket, sync.
    /// `inherited` is the socket that the service manager holds.
    ///
    /// # Errors
    /// The first part that could not be opened.
    pub async fn start(
        config: Config,
        inherited: Option<InheritedSocket>,
    ) -> Result<Self, ServiceError> {
        let (started, started_at) = (Instant::now(), clock::now());
        if !clock::is_usable() {
            return Err(ServiceError::Clock);
        }
        prepare(&config.state_dir)?;
        // Before any file is read: two first starts at once would create two identities.
        let lock = Lock::take(&config.state_dir)?;
        backup::remove_leftovers(&config.state_dir);
        let mut identity = Identity::load(&config.state_dir, &config.machine_id_file)?;
        let daemon = identity.daemon_id;
        readiness::opening_log();
        let (log, database_was_lost) =
            Log::open_locked(lock, &config.state_dir, identity.key(), identity.had_database)?;
        if database_was_lost {
            tracing::warn!("the database is gone: a new epoch begins, peers send the old events");
        }
        identity.note_database(&config.state_dir)?;
        identity.hold(&config.state_dir, log.files())?;
        let (registry, damaged) = Registry::open(&config.state_dir)?;
        registry.hold(log.files())?;
        let name: Arc<str> = config.hostname.as_str().into();
        let peers = registry.clone();
        let (wake_switch, damaged_switch) = WakeSwitch::open(&config.state_dir)
            .map_err(|error| ServiceError::WakeSwitch(Box::new(error)))?;
        let wake_off = wake_switch.off().await;
        let agents = Agents::open(AgentsParts {
            state_dir: config.state_dir.clone(),
            log: log.clone(),
            name: name.clone(),
            is_peer: Arc::new(move |daemon| peers.get(daemon).is_some()),
            wake_off,
        })?;
        let search = Search::start(config.state_dir.clone(), log.clone())?;
        let (sockets, damaged_sockets) = NarrowSockets::open(&config.state_dir, &config.socket)?;
        let pairing = Pairing::new(registry.clone(), config.pairing_timeout);
        // Not opened where sync is forbidden: a copied directory may hold another machine's node.
        let tailnet = match forbidden(&config, identity.foreign) {
            Some(why) => Err(why),
            None => match Tailnet::open(tailnet::Settings::of(&config)) {
                Ok(tailnet) => Ok(tailnet),
                Err(error) if config.sync == SyncMode::On => return Err(error.into()),
                Err(error) => {
                    let why = Chain(&error).to_string();
                    if registry.sync_wanted() {
                        tracing::warn!("no sync: {why}");
                    }
                    Err(why)
                }
            },
        };
        let socket = match inherited {
            Some(inherited) => inherited.listen()?,
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
                let policy = Policy::new(registry.clone(), tailnet.clone(), sync.peer_states());
                let api = rpc::PeerApi {
                    policy,
                    daemon,
                    name: name.clone(),
                    log: log.clone(),
                    registry: registry.clone(),
                    pairing: pairing.clone(),
                    sync,
                    tailnet,
                    problem: watch::Sender::new(None),
                    metrics: Arc::default(),
                };
                Network::new(NetworkParts { api, port: config.port, listening_port })
            }
            Err(why) => Network::Unavailable(why),
        };
        agents.know_machines(admin::machines_now(&network, registry.clone()));
        let context = AdminContext {
            found: found(
                &config.state_dir,
                identity.foreign,
                damaged,
                damaged_sockets,
                damaged_switch,
            ),
            foreign: identity.foreign,
            identity,
            backing_up: tokio::sync::Mutex::default(),
            config,
            daemon,
            name,
            started,
            started_at,
            log,
            agents,
            search,
            sockets,
            wake_switch,
            registry,
            pairing,
            network,
            metrics: Arc::default(),
            metrics_problem: watch::Sender::new(None),
            quarantine_cleared: watch::Sender::new(0),
            handlers: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        Ok(Self { context: Arc::new(context), socket })
    }

    /// Stops the daemon when it is cancelled.
    pub fn stopper(&self) -> CancellationToken {
        self.context.stop.clone()
    }

    /// The context of the local API.
    #[cfg(test)]
    pub(crate) fn context(&self) -> Arc<AdminContext> {
        self.context.clone()
    }

    /// Serves until it is stopped, then closes everything in a fixed order.
    pub async fn run(self) {
        let Self { context, socket } = self;
        let (narrow, all) = (context.clone(), context.clone());
        tokio::spawn(admin::serve_metrics(context.clone()));
        let serving = tokio::spawn(async move {
            tokio::join!(admin::serve_narrow(narrow), admin::serve(all, socket));
        });
        let wanted = match context.config.sync {
            SyncMode::On => true,
            SyncMode::WhenPaired => context.registry.sync_wanted(),
            SyncMode::Forbidden => false,
        };
        if wanted && let Some(network) = context.network.available() {
            network.turn_on();
        }
        tracing::info!(
            "thrumd {} ready: {} as {}, state in {}, socket {}",
            env!("CARGO_PKG_VERSION"),
            context.name,
            context.daemon,
            context.config.state_dir.display(),
            context.config.socket.display(),
        );
        tokio::spawn(watch_files(context.log.files().clone()));
        let line = readiness::ready(&context);
        readiness::report_status(context.clone(), line);
        context.stop.cancelled().await;
        shutdown::run(&context, serving).await;
    }
}

/// Notices that a file was removed or replaced although nobody asks, so that the log tells when it was. Ends
/// with the runtime.
async fn watch_files(files: HeldFiles) {
    let mut watch = FileWatch::new(files.paths());
    loop {
        watch.changed().await;
        // The check logs what it finds.
        drop(files.check());
    }
}

/// Creates the state directory if it is missing, and checks that nobody else may write to it.
fn prepare(path: &Path) -> Result<(), ServiceError> {
    let failed = |cause| ServiceError::StateDir { path: path.to_owned(), cause };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
    let directory = std::fs::metadata(path).map_err(failed)?;
    state_dir::check_private(path, &directory).map_err(ServiceError::Unsafe)
}

/// Why this daemon must not connect to peers.
fn forbidden(config: &Config, foreign: bool) -> Option<String> {
    if foreign {
        return Some("this state directory came from another machine".to_owned());
    }
    let forbidden = config.sync == SyncMode::Forbidden;
    forbidden.then(|| "sync is forbidden by sync = false (THRUM_TS_ENABLED)".to_owned())
}

fn found(
    state_dir: &Path,
    foreign: bool,
    damaged: Option<String>,
    damaged_sockets: Option<String>,
    damaged_switch: Option<String>,
) -> Vec<Problem> {
    let mut found = Vec::new();
    if foreign {
        let message = format!(
            "this state directory came from another machine: thrumd serves this machine, but does not \
             sync; {}",
            identity::SAME_MACHINE
        );
        let next = identity::how_to_reset(state_dir);
        tracing::warn!("{message}; or run `{next}`");
        found.push(Problem::new("identity", message, None, Some(next)));
    }
    if let Some(message) = damaged {
        let next = Some("thrum peer add");
        found.push(Problem::new("peers_file", message, Some(crate::clock::now()), next));
    }
    if let Some(message) = damaged_sockets {
        let next = Some("thrum socket add");
        found.push(Problem::new("sockets_file", message, Some(crate::clock::now()), next));
    }
    if let Some(message) = damaged_switch {
        let next = Some("thrum wake on --all-projects");
        found.push(Problem::new("wake_file", message, Some(crate::clock::now()), next));
    }
    found
}
