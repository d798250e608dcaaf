//! `health` and `status`.

use thrum_api::local::{
    HealthResult, HealthState, LogStatus, PeerState, PeerStatus, PeerSummary, StatusResult,
    SyncStatus, TailnetKind, TailnetStatus, TailscaleSync,
};
use thrum_api::{RpcError, Sequence, Timestamp};

use super::ago::ago;
use super::problems::problems;
use super::{Network, Surface, errors};
use crate::clock;
use crate::config::SyncWish;
use crate::sync::SyncCounters;
use crate::tailnet::Presence;

/// `health`
pub async fn health(surface: &Surface) -> Result<HealthResult, RpcError> {
    let peers = peers(surface).await;
    let stats = surface.log.stats().await.map_err(errors::log);
    let troubled = !problems(surface, &peers, &stats).is_empty();
    let head = surface.log.head();
    let now = clock::now();
    let in_short = peers.iter().map(|peer| PeerSummary {
        daemon_id: peer.daemon_id,
        name: peer.name.clone(),
        last_sync: ago(peer.last_sync, now),
    });
    Ok(HealthResult {
        status: if troubled { HealthState::Degraded } else { HealthState::Ok },
        version: env!("CARGO_PKG_VERSION").to_owned(),
        daemon_id: surface.daemon,
        name: surface.name.to_string(),
        pid: std::process::id(),
        uptime_ms: surface.uptime_ms(),
        epoch: head.epoch,
        head_seq: head.place.sequence,
        state_dir: surface.config.state_dir.display().to_string(),
        log_path: surface.config.log_path.as_ref().map(|path| path.display().to_string()),
        tailscale_sync: TailscaleSync {
            enabled: surface.network.on().is_some(),
            hostname: hostname(surface).unwrap_or_else(|| surface.name.to_string()),
            peer_count: peers.len(),
            peers: in_short.collect(),
        },
    })
}

/// `status`
pub async fn status(surface: &Surface) -> Result<StatusResult, RpcError> {
    let peers = peers(surface).await;
    // What can't be read becomes a problem; it doesn't hide the rest.
    let stats = surface.log.stats().await.map_err(errors::log);
    let problems = problems(surface, &peers, &stats);
    let stats = stats.unwrap_or_default();
    let head = surface.log.head();
    Ok(StatusResult {
        daemon_id: surface.daemon,
        name: surface.name.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        uptime_ms: surface.uptime_ms(),
        state_dir: surface.config.state_dir.display().to_string(),
        log: LogStatus {
            epoch: head.epoch,
            head_seq: head.place.sequence,
            events: stats.events,
            size_bytes: stats.size_bytes,
            quarantined: stats.quarantined,
        },
        tailnet: tailnet(surface).await,
        sync: sync(surface, &peers),
        problems,
        peers,
    })
}

/// How it stands with each peer, by name. Without sync: what is on disk.
pub async fn peers(surface: &Surface) -> Vec<PeerStatus> {
    if let Some(link) = surface.network.on() {
        return link.sync().status().await;
    }
    let mut peers = Vec::new();
    for peer in surface.registry.all() {
        let checkpoint = surface.log.checkpoint(peer.daemon_id).await.ok();
        peers.push(PeerStatus {
            daemon_id: peer.daemon_id,
            name: surface.name_of(&peer),
            address: peer.address,
            state: PeerState::Off,
            since: started_at(surface),
            last_sync: checkpoint.and_then(|checkpoint| checkpoint.last_sync),
            we_lack: None,
            they_lack: None,
            checkpoint: checkpoint.map_or(Sequence::ZERO, |checkpoint| checkpoint.place.sequence),
            round_trip_us: None,
            next_try_at: None,
            failures: 0,
            trouble: None,
            last_error: None,
            version: None,
            events_received: 0,
            refused_elsewhere: surface.registry.refused_elsewhere(peer.daemon_id),
            refused_caller: None,
            refusal: None,
            by_policy: peer.by_policy,
        });
    }
    peers.sort_by(|a, b| (&a.name, a.daemon_id).cmp(&(&b.name, b.daemon_id)));
    peers
}

/// Counters of sync since start.
pub fn counters(surface: &Surface) -> SyncCounters {
    surface.network.link().map(|link| link.sync().counters()).unwrap_or_default()
}

/// Where we are, for `status` and the service manager.
fn tailnet_words(surface: &Surface) -> String {
    if surface.foreign {
        return "off: this state directory came from another machine".to_owned();
    }
    if surface.config.sync == SyncWish::Forbidden {
        return "off: forbidden by sync = false (THRUM_TS_ENABLED)".to_owned();
    }
    if let Network::Impossible(why) = &surface.network {
        return format!("off: {why}");
    }
    match surface.network.on() {
        None => "off: until `thrum peer add` or `thrum peer join`".to_owned(),
        Some(link) => match &*link.tailnet().presence().borrow() {
            Presence::Waiting { why, .. } => format!("waiting: {why}"),
            Presence::Up { .. } => "up".to_owned(),
        },
    }
}

async fn tailnet(surface: &Surface) -> TailnetStatus {
    let warning = match surface.network.on() {
        Some(link) => link.tailnet().problem(),
        None => None,
    };
    TailnetStatus {
        kind: surface.config.tailnet,
        state: tailnet_words(surface),
        hostname: hostname(surface),
        warning,
        tailscaled_socket: match surface.config.tailnet {
            TailnetKind::Tailscaled => {
                surface.config.tailscale_socket.as_ref().map(|path| path.display().to_string())
            }
            TailnetKind::Private | TailnetKind::Loopback => None,
        },
        listening: surface.network.listening().iter().map(ToString::to_string).collect(),
    }
}

fn sync(surface: &Surface, peers: &[PeerStatus]) -> SyncStatus {
    let now = clock::now();
    let limit_ms = surface.config.cadence.longest_silence().as_millis();
    let works =
        |state| matches!(state, PeerState::InSync | PeerState::CatchingUp | PeerState::LogChanged);
    let lately = |then: Timestamp| u128::from(now.millis_since(then)) <= limit_ms;
    let connected =
        peers.iter().filter(|peer| works(peer.state) && peer.last_sync.is_some_and(lately)).count();
    let in_sync = peers.iter().filter(|peer| peer.state == PeerState::InSync).count();
    let counters = counters(surface);
    SyncStatus {
        enabled: surface.network.on().is_some(),
        connected,
        in_sync,
        last_sync: peers.iter().filter_map(|peer| peer.last_sync).max(),
        pulls_sent: counters.pulls_sent,
        notifies_sent: counters.notifies_sent,
        events_received: counters.events_received,
        events_duplicate: counters.events_duplicate,
    }
}

fn hostname(surface: &Surface) -> Option<String> {
    match &*surface.network.on()?.tailnet().presence().borrow() {
        Presence::Up { hostname, .. } => Some(hostname.clone()),
        Presence::Waiting { .. } => None,
    }
}

fn started_at(surface: &Surface) -> Timestamp {
    let uptime = i64::try_from(surface.uptime_ms()).unwrap_or(i64::MAX);
    Timestamp::from_millis(clock::now().as_millis().saturating_sub(uptime))
}
