//! What `/metrics` tells: everything at about one moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use thrum_api::local::PeerStatus;
use thrum_api::{DaemonId, Sequence, Timestamp};

use super::super::problems::problems;
use super::super::{AdminContext, errors, status};
use crate::agents::AgentFigures;
use crate::clock;
use crate::log::LogStats;
use crate::metrics::{LocalMetrics, LogMetrics, PeerApiMetrics, ProcessFigures, SyncMetrics};
use crate::storage::DiskSpace;
use crate::sync::PeerFigures;
use crate::tailnet::Presence;

/// Figures of all parts.
pub(super) struct Snapshot {
    /// The id of this daemon, as text.
    pub(super) daemon: String,
    pub(super) started: Timestamp,
    pub(super) head: Sequence,
    /// None while the views are being opened.
    pub(super) views_read: Option<Sequence>,
    /// None if the log can't be read.
    pub(super) stats: Option<LogStats>,
    pub(super) system: SystemFigures,
    /// The last write to the log failed.
    pub(super) writes_fail: bool,
    pub(super) tailnet_up: bool,
    pub(super) sync_enabled: bool,
    pub(super) peers: Vec<Peer>,
    /// Problems that there are, by id.
    pub(super) problems: BTreeMap<String, u64>,
    pub(super) agents: AgentFigures,
    pub(super) log: Arc<LogMetrics>,
    pub(super) sync: Arc<SyncMetrics>,
    pub(super) peer_api: Arc<PeerApiMetrics>,
    pub(super) local: Arc<LocalMetrics>,
}

/// Figures of a peer.
pub(super) struct Peer {
    /// Its daemon id, as text.
    pub(super) id: String,
    pub(super) status: PeerStatus,
    pub(super) figures: PeerFigures,
    /// Age of the oldest event that it lacks, in milliseconds; None if that is not known.
    pub(super) lag_ms: Option<u64>,
}

/// What the system tells.
#[derive(Default)]
pub(super) struct SystemFigures {
    pub(super) process: ProcessFigures,
    pub(super) disk: Option<DiskSpace>,
    pub(super) wal_bytes: u64,
}

impl Snapshot {
    /// Gathers them now.
    pub(super) async fn take(context: &AdminContext) -> Self {
        let log = context.log.clone();
        let system = tokio::task::spawn_blocking(move || SystemFigures {
            process: ProcessFigures::read(),
            disk: log.space(),
            wal_bytes: log.wal_bytes(),
        });
        let (figures, stats, agents, system) =
            tokio::join!(figures(context), context.log.stats(), context.agents.figures(), system);
        let stats = stats.map_err(errors::log);
        let statuses: Vec<PeerStatus> = figures.iter().map(|(status, _)| status.clone()).collect();
        let mut by_id = BTreeMap::<String, u64>::new();
        let failure = context.log.known_write_failure();
        let writes_fail = failure.is_some();
        for problem in problems(context, &statuses, &stats, failure) {
            *by_id.entry(problem.id).or_default() += 1;
        }
        let head = context.log.head().position.sequence;
        let now = clock::now();
        let network = context.network.available();
        let on = context.network.enabled();
        Self {
            daemon: context.daemon.to_string(),
            started: context.started_at,
            head,
            views_read: context.agents.digested_up_to(),
            stats: stats.ok(),
            system: system.unwrap_or_default(),
            writes_fail,
            tailnet_up: on
                .is_some_and(|on| matches!(*on.tailnet().presence().borrow(), Presence::Up { .. })),
            sync_enabled: on.is_some(),
            peers: peers(context, figures, head, now).await,
            problems: by_id,
            agents,
            log: Arc::clone(context.log.metrics()),
            sync: network.map(|it| Arc::clone(it.sync().metrics())).unwrap_or_default(),
            peer_api: network.map(|it| Arc::clone(it.api_metrics())).unwrap_or_default(),
            local: Arc::clone(&context.metrics),
        }
    }
}

async fn figures(context: &AdminContext) -> Vec<(PeerStatus, PeerFigures)> {
    match context.network.enabled() {
        Some(network) => network.sync().figures().await,
        None => {
            let peers = status::peers(context).await.into_iter();
            peers.map(|peer| (peer, PeerFigures::default())).collect()
        }
    }
}

async fn peers(
    context: &AdminContext,
    figures: Vec<(PeerStatus, PeerFigures)>,
    head: Sequence,
    now: Timestamp,
) -> Vec<Peer> {
    let behind = figures.iter().filter_map(|(status, figures)| {
        Some((status.daemon_id, figures.sent.filter(|sent| *sent < head)?))
    });
    let behind: Vec<(DaemonId, Sequence)> = behind.collect();
    let oldest = match behind.is_empty() {
        true => Ok(BTreeMap::new()),
        false => context.log.oldest_lacking(behind).await,
    };
    let peer = |(status, figures): (PeerStatus, PeerFigures)| {
        let lag_ms = oldest.as_ref().ok().zip(figures.sent).and_then(|(oldest, sent)| {
            let lacks = match sent < head {
                true => *oldest.get(&status.daemon_id)?,
                false => None,
            };
            // What stands behind that may be its own events alone.
            Some(lacks.map_or(0, |at| now.millis_since(at)))
        });
        Peer { id: status.daemon_id.to_string(), status, figures, lag_ms }
    };
    figures.into_iter().map(peer).collect()
}
