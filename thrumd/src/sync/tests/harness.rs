use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use tempfile::TempDir;
use thrum_api::local::{EventListParams, PeerState, PeerStatus};
use thrum_api::{DaemonId, Draft, PairingCode};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::Cadence;
use crate::keys::SecretKey;
use crate::log::Log;
use crate::peer::{Pairing, Registry};
use crate::policy::Policy;
use crate::rpc::{self, PeerApi};
use crate::sync::{Sync, SyncParts, sleep};
use crate::tailnet::Tailnet;
use crate::tailnet::loopback::Loopback;

/// A daemon without its local API.
pub(super) struct Daemon {
    pub(super) id: DaemonId,
    pub(super) name: &'static str,
    pub(super) log: Log,
    pub(super) registry: Registry,
    pub(super) pairing: Pairing,
    pub(super) sync: Sync,
    pub(super) address: SocketAddr,
    pub(super) loopback: Loopback,
    key: Arc<SecretKey>,
    dir: TempDir,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

pub(super) async fn daemon(name: &'static str) -> Daemon {
    daemon_with_clock(name, sleep::system_clock).await
}

/// A daemon that notices sleep by this clock.
pub(super) async fn daemon_with_clock(name: &'static str, clock: sleep::Clock) -> Daemon {
    start(name, Arc::new(SecretKey::generate().unwrap()), TempDir::new().unwrap(), 0, clock).await
}

async fn start(
    name: &'static str,
    key: Arc<SecretKey>,
    dir: TempDir,
    port: u16,
    clock: sleep::Clock,
) -> Daemon {
    let id = key.id();
    let (log, _) = Log::open(dir.path(), Arc::clone(&key), false).unwrap();
    let (registry, _) = Registry::open(dir.path()).unwrap();
    let loopback = Loopback::new(name.to_owned());
    let tailnet = Tailnet::Loopback(loopback.clone());
    let pairing = Pairing::new(registry.clone(), Duration::from_secs(300));
    let (listening, listening_port) = watch::channel(0);
    let parts = SyncParts {
        log: log.clone(),
        registry: registry.clone(),
        tailnet: tailnet.clone(),
        cadence: Cadence { interval: Duration::from_secs(300), recent: Duration::from_secs(120) },
        name: name.into(),
        listening_port,
        wanted_port: port,
    };
    let sync = Sync::start_with(parts, clock);
    let api = PeerApi {
        daemon: id,
        name: name.into(),
        log: log.clone(),
        registry: registry.clone(),
        pairing: pairing.clone(),
        policy: Policy::new(registry.clone(), tailnet.clone(), sync.peer_states()),
        sync: sync.clone(),
        tailnet,
        problem: watch::Sender::new(None),
        metrics: Arc::default(),
    };
    let stop = CancellationToken::new();
    let (bound, mut addresses) = watch::channel(Vec::new());
    let serving = tokio::spawn(rpc::serve(api, port, bound, stop.clone()));
    let address = *addresses.wait_for(|found| !found.is_empty()).await.unwrap().first().unwrap();
    listening.send_replace(address.port());
    sync.enable();
    Daemon { id, name, log, registry, pairing, sync, address, loopback, key, dir, stop, serving }
}

impl Daemon {
    pub(super) fn at(&self) -> String {
        self.address.to_string()
    }

    /// Opens a pairing session and hands out its code.
    pub(super) fn code(&self) -> PairingCode {
        self.pairing.open(self.at()).unwrap().code
    }

    pub(super) async fn write(&self, count: usize) {
        let draft = |n| Draft {
            event_id: None,
            event_type: "test.happened".to_owned(),
            project: None,
            body: RawValue::from_string(format!("{{\"n\":{n},\"of\":{:?}}}", self.name)).unwrap(),
        };
        for from in (0..count).step_by(500) {
            let drafts = (from..count.min(from + 500)).map(draft).collect();
            self.log.append(drafts).await.unwrap();
        }
    }

    /// Every event in its log, in the order of ids.
    pub(super) async fn events(&self) -> Vec<String> {
        let mut events = Vec::new();
        let mut after = thrum_api::Sequence::ZERO;
        loop {
            let params = EventListParams { after, limit: Some(1000), ..EventListParams::default() };
            let page = self.log.list(params).await.unwrap();
            let Some(last) = page.events.last() else { break };
            after = last.sequence;
            events.extend(page.events.iter().map(|event| event.event.get().to_owned()));
        }
        events.sort();
        events
    }

    /// Damages an event in the database.
    pub(super) fn damage(&self, sequence: i64) {
        let database = rusqlite::Connection::open(self.dir.path().join("log.db")).unwrap();
        let damage = "UPDATE events SET body = x'00' WHERE sequence = ?1";
        assert_eq!(database.execute(damage, [sequence]).unwrap(), 1);
    }

    pub(super) async fn status_of(&self, peer: &Daemon) -> Option<PeerStatus> {
        let all = self.sync.status().await;
        all.into_iter().find(|status| status.daemon_id == peer.id)
    }

    pub(super) async fn reaches(&self, peer: &Daemon, state: PeerState) {
        let last = std::cell::RefCell::new(None);
        let check = async || {
            let status = self.status_of(peer).await;
            let there = status.as_ref().is_some_and(|status| status.state == state);
            last.replace(status);
            there
        };
        assert!(eventually(check).await, "{} of {}: {:?}", self.name, peer.name, last);
    }

    /// Stops serving and syncing; the directory stays.
    pub(super) async fn stop(self) -> Stopped {
        self.stop.cancel();
        self.serving.await.unwrap();
        self.sync.close().await;
        self.log.close().await.unwrap();
        Stopped { name: self.name, key: self.key, dir: self.dir, port: self.address.port() }
    }
}

pub(super) struct Stopped {
    name: &'static str,
    key: Arc<SecretKey>,
    dir: TempDir,
    port: u16,
}

impl Stopped {
    pub(super) async fn start(self) -> Daemon {
        start(self.name, self.key, self.dir, self.port, sleep::system_clock).await
    }

    fn database(&self) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.dir.path()).unwrap().map(|file| file.unwrap().path());
        let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
        files.filter(|path| name(path).starts_with("log.db")).collect()
    }

    pub(super) fn lose_database(&self) {
        for file in self.database() {
            std::fs::remove_file(file).unwrap();
        }
    }

    pub(super) fn backup(&self) -> TempDir {
        let backup = TempDir::new().unwrap();
        for file in self.database() {
            std::fs::copy(&file, backup.path().join(file.file_name().unwrap())).unwrap();
        }
        backup
    }

    pub(super) fn restore(&self, backup: &TempDir) {
        self.lose_database();
        for file in std::fs::read_dir(backup.path()).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), self.dir.path().join(file.file_name())).unwrap();
        }
    }
}

pub(super) async fn pair(accepting: &Daemon, joining: &Daemon) {
    joining.sync.join(&accepting.at(), accepting.code()).await.unwrap();
}

/// Waits for a state.
pub(super) async fn eventually<F: Future<Output = bool>>(check: impl Fn() -> F) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(20) {
        if check().await {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}

/// Waits until all logs hold the same events, this many.
pub(super) async fn converge(daemons: &[&Daemon], count: usize) {
    let counts = std::cell::RefCell::new(Vec::new());
    let check = async || {
        let mut all = Vec::new();
        for daemon in daemons {
            all.push(daemon.events().await);
        }
        counts.replace(all.iter().map(Vec::len).collect());
        all[0].len() == count && all.iter().all(|events| *events == all[0])
    };
    assert!(eventually(check).await, "{count} events each wanted: {counts:?}");
}
