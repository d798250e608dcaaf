//! `health` and `status`.

use std::collections::BTreeMap;

use thrum_api::duration::ago_or_never;
use thrum_api::local::{
    HealthResult, HealthState, LogStatus, PeerState, PeerStatus, PeerSummary, StatusResult,
    SyncStatus, TailnetKind, TailnetStatus, TailscaleSync, ViewsStatus,
};
use thrum_api::{DaemonId, RpcError, Timestamp};

use super::problems::problems;
use super::{AdminContext, Network, errors};
use crate::clock;
use crate::config::SyncMode;
use crate::sync::SyncCounters;
use crate::tailnet::Presence;

/// `health`
pub async fn health(context: &AdminContext) -> Result<HealthResult, RpcError> {
    let peers = peers(context).await;
    let stats = context.log.stats().await.map_err(errors::log);
    let failure = context.log.write_failure().await;
    let troubled = !problems(context, &peers, &stats, failure).is_empty();
    let head = context.log.head();
    let now = clock::now();
    let in_short = peers.iter().map(|peer| PeerSummary {
        daemon_id: peer.daemon_id,
        name: peer.name.clone(),
        last_sync: ago_or_never(peer.last_sync, now),
    });
    Ok(HealthResult {
        status: if troubled { HealthState::Degraded } else { HealthState::Ok },
        version: env!("CARGO_PKG_VERSION").to_owned(),
        daemon_id: context.daemon,
        name: context.name.to_string(),
        pid: std::process::id(),
        uptime_ms: context.uptime_ms(),
        epoch: head.epoch,
        head_seq: head.position.sequence,
        state_dir: context.config.state_dir.display().to_string(),
        log_path: context.config.log_path.as_ref().map(|path| path.display().to_string()),
        tailscale_sync: TailscaleSync {
            enabled: context.network.enabled().is_some(),
            hostname: hostname(context).unwrap_or_else(|| context.name.to_string()),
            peer_count: peers.len(),
            peers: in_short.collect(),
        },
    })
}

/// `status`
pub async fn status(context: &AdminContext) -> Result<StatusResult, RpcError> {
    let peers = peers(context).await;
    // A failure becomes a problem in the list; it doesn't hide the rest.
    let stats = context.log.stats().await.map_err(errors::log);
    let problems = problems(context, &peers, &stats, context.log.write_failure().await);
    let stats = stats.unwrap_or_default();
    let head = context.log.head();
    Ok(StatusResult {
        daemon_id: context.daemon,
        name: context.name.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        uptime_ms: context.uptime_ms(),
        state_dir: context.config.state_dir.display().to_string(),
        log: LogStatus {
            epoch: head.epoch,
            head_seq: head.position.sequence,
            events: stats.events,
            size_bytes: stats.size_bytes,
            quarantined: stats.quarantined,
        },
        views: ViewsStatus { read_seq: context.agents.digested_up_to() },
        tailnet: tailnet(context).await,
        sync: sync(context, &peers),
        problems,
        peers,
    })
}

/// The status of each peer, by name. While sync is off, what is on disk.
pub async fn peers(context: &AdminContext) -> Vec<PeerStatus> {
    if let Some(network) = context.network.enabled() {
        return network.sync().status().await;
    }
    let last_syncs = context.log.last_syncs().await.unwrap_or_default();
    let mut names = context.names();
    let mut peers = Vec::new();
    for peer in context.registry.all() {
        let last = last_syncs.get(&peer.daemon_id).copied().unwrap_or_default();
        peers.push(PeerStatus {
            daemon_id: peer.daemon_id,
            name: names.remove(&peer.daemon_id).unwrap_or_else(|| context.name_of(&peer)),
            address: peer.address,
            state: PeerState::Off,
            since: context.started_at,
            last_sync: last.at,
            we_lack: None,
            they_lack: None,
            checkpoint: last.checkpoint,
            round_trip_us: None,
            next_try_at: None,
            failures: 0,
            trouble: None,
            last_error: None,
            version: None,
            events_received: 0,
            refused_elsewhere: context.registry.refused_elsewhere(peer.daemon_id),
            refused_caller: None,
            refusal: None,
            by_policy: peer.by_policy,
            former: peer.former,
        });
    }
    peers.sort_by(|a, b| (&a.name, a.daemon_id).cmp(&(&b.name, b.daemon_id)));
    peers
}

/// Since when each peer that can't be reached now could not be. While sync is off, that is all of them.
pub async fn silent(context: &AdminContext) -> BTreeMap<DaemonId, Timestamp> {
    match context.network.enabled() {
        Some(network) => network.sync().silent().await,
        None => {
            let since = context.started_at;
            context.registry.all().into_iter().map(|peer| (peer.daemon_id, since)).collect()
        }
    }
}

/// Counters of sync since start.
pub fn counters(context: &AdminContext) -> SyncCounters {
    context.network.available().map(|network| network.sync().counters()).unwrap_or_default()
}

/// The state of the tailnet as text.
fn tailnet_state(context: &AdminContext) -> String {
    if context.foreign {
        return "off: this state directory came from another machine".to_owned();
    }
    if context.config.sync == SyncMode::Forbidden {
        return "off: forbidden by sync = false (THRUM_TS_ENABLED)".to_owned();
    }
    if let Network::Unavailable(why) = &context.network {
        return format!("off: {why}");
    }
    match context.network.enabled() {
        None => "off: until `thrum peer add` or `thrum peer join`".to_owned(),
        Some(network) => match &*network.tailnet().presence().borrow() {
            Presence::Waiting { reason, .. } => format!("waiting: {reason}"),
            Presence::Up { .. } => "up".to_owned(),
        },
    }
}

async fn tailnet(context: &AdminContext) -> TailnetStatus {
    let warning = context.network.enabled().and_then(|network| network.tailnet().problem());
    TailnetStatus {
        kind: context.config.tailnet,
        state: tailnet_state(context),
        hostname: hostname(context),
        warning,
        tailscaled_socket: match context.config.tailnet {
            TailnetKind::Tailscaled => {
                context.config.tailscale_socket.as_ref().map(|path| path.display().to_string())
            }
            TailnetKind::Private | TailnetKind::Loopback => None,
        },
        listening: context.network.listening().iter().map(ToString::to_string).collect(),
    }
}

fn sync(context: &AdminContext, peers: &[PeerStatus]) -> SyncStatus {
    let now = clock::now();
    let limit_ms = context.config.cadence.longest_silence().as_millis();
    let works =
        |state| matches!(state, PeerState::InSync | PeerState::CatchingUp | PeerState::LogChanged);
    let lately = |then: Timestamp| u128::from(now.millis_since(then)) <= limit_ms;
    let connected =
        peers.iter().filter(|peer| works(peer.state) && peer.last_sync.is_some_and(lately)).count();
    let in_sync = peers.iter().filter(|peer| peer.state == PeerState::InSync).count();
    let counters = counters(context);
    SyncStatus {
        enabled: context.network.enabled().is_some(),
        connected,
        in_sync,
        last_sync: peers.iter().filter_map(|peer| peer.last_sync).max(),
        pulls_sent: counters.pulls_sent,
        notifies_sent: counters.notifies_sent,
        events_received: counters.events_received,
        events_duplicate: counters.events_duplicate,
    }
}

pub(super) fn hostname(context: &AdminContext) -> Option<String> {
    match &*context.network.enabled()?.tailnet().presence().borrow() {
        Presence::Up { hostname, .. } => Some(hostname.clone()),
        Presence::Waiting { .. } => None,
    }
}
