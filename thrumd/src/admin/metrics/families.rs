//! The families of `/metrics`. docs/monitoring.md has the table of them; a test compares the two.

use std::fmt;

use thrum_api::Timestamp;
use thrum_api::local::{AgentState, PeerState};

use super::snapshot::{Peer, Snapshot};
use crate::metrics::{Label as _, LocalSurface, Page, SyncRequest};

const STATES: [(PeerState, &str); 7] = [
    (PeerState::InSync, "in_sync"),
    (PeerState::CatchingUp, "catching_up"),
    (PeerState::BackingOff, "backing_off"),
    (PeerState::NeverReached, "never_reached"),
    (PeerState::RemovedUs, "removed_us"),
    (PeerState::LogChanged, "log_changed"),
    (PeerState::Off, "off"),
];

/// What an agent of this machine does that has a session.
const AGENT_STATES: [(AgentState, &str); 4] = [
    (AgentState::NeedsYou, "needs_you"),
    (AgentState::Working, "working"),
    (AgentState::Waiting, "waiting"),
    (AgentState::Idle, "idle"),
];

/// The ids that problems have. One that is missing here has a sample only while there is that problem.
const PROBLEMS: [&str; 19] = [
    "clone",
    "disk",
    "identity",
    "log",
    "log_write",
    "metrics_listen",
    "peer_origins",
    "peer_proofs",
    "peer_sync",
    "peer_token",
    "peer_token_elsewhere",
    "peers_file",
    "quarantine",
    "sockets_file",
    "state_files",
    "sync_setting",
    "tailnet_kind",
    "tailnet_up",
    "wake_file",
];

#[expect(clippy::cast_precision_loss, reason = "a float is what Prometheus takes")]
fn unix_seconds(at: Timestamp) -> f64 {
    at.as_millis() as f64 / 1000.0
}

impl Snapshot {
    /// Writes all families.
    pub(super) fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        self.write_program(page)?;
        self.write_log(page)?;
        self.write_sync(page)?;
        self.write_peers(page)?;
        self.write_requests(page)?;
        self.write_agents(page)
    }

    fn write_program(&self, page: &mut Page<'_>) -> fmt::Result {
        let version = env!("CARGO_PKG_VERSION");
        page.gauges(
            "thrumd_build_info",
            "The version of the program, and the id of this daemon.",
            ["version", "daemon_id"],
            [([version, self.daemon.as_str()], 1_u64)],
        )?;
        let none = PROBLEMS.iter().filter(|id| !self.problems.contains_key(**id));
        let none = none.map(|id| ([*id], 0));
        let some = self.problems.iter().map(|(id, count)| ([id.as_str()], *count));
        page.gauges(
            "thrumd_problems",
            "Problems that `thrum status` shows, by id.",
            ["id"],
            some.chain(none),
        )?;
        let process = &self.system.process;
        page.gauge(
            "process_start_time_seconds",
            "When thrumd started, as Unix time.",
            unix_seconds(self.started),
        )?;
        // With node_exporter's text file, the one above is of node_exporter.
        page.gauge(
            "thrumd_start_time_seconds",
            "The same under a name of its own.",
            unix_seconds(self.started),
        )?;
        page.counter_of_seconds(
            "process_cpu_seconds",
            "Processor time used.",
            process.cpu_seconds,
        )?;
        page.gauges(
            "process_resident_memory_bytes",
            "Memory in use.",
            [],
            one(process.resident_bytes),
        )?;
        page.gauges("process_open_fds", "Open file descriptors.", [], one(process.open_files))?;
        page.gauges(
            "process_max_fds",
            "The limit of open file descriptors.",
            [],
            one(process.max_files),
        )
    }

    fn write_log(&self, page: &mut Page<'_>) -> fmt::Result {
        let stats = self.stats.as_ref();
        page.gauge("thrumd_log_head", "Sequence of the last event of the log.", self.head.0)?;
        page.gauges("thrumd_log_events", "Events in the log.", [], one(stats.map(|it| it.events)))?;
        page.gauges(
            "thrumd_log_size_bytes",
            "Size of the log's files.",
            [],
            one(stats.map(|it| it.size_bytes)),
        )?;
        page.gauge("thrumd_log_wal_bytes", "Size of the WAL.", self.system.wal_bytes)?;
        page.histogram(
            "thrumd_log_append_duration_seconds",
            "From the request to write events of this machine until they are on disk.",
            &self.log.append,
        )?;
        page.histogram(
            "thrumd_log_commit_duration_seconds",
            "One transaction that adds events, with its fsync.",
            &self.log.commit,
        )?;
        // Appends and commits are timed when they end: one that hangs is seen here alone.
        page.gauge(
            "thrumd_log_writer_busy_seconds",
            "For how long the writer of the log has been at its present transaction.",
            self.log.writer.age().unwrap_or_default().as_secs_f64(),
        )?;
        page.gauge(
            "thrumd_log_write_failing",
            "1 from a write to the log that failed until one succeeds.",
            u64::from(self.writes_fail),
        )?;
        page.counters(
            "thrumd_log_write_failures",
            "Writes to the log that failed.",
            ["reason"],
            self.log.write_failures.samples().map(|(reason, count)| ([reason], count)),
        )?;
        page.gauges(
            "thrumd_log_quarantine_entries",
            "Entries in quarantine that nobody has cleared.",
            [],
            one(stats.map(|it| it.quarantined)),
        )?;
        page.counters(
            "thrumd_log_quarantined",
            "Events that were moved to quarantine.",
            ["reason"],
            self.log.quarantined.samples().map(|(reason, count)| ([reason], count)),
        )?;
        page.counter(
            "thrumd_log_rollbacks",
            "Times that a peer's events showed that this log had been rolled back.",
            self.sync.rollbacks.get(),
        )?;
        let disk = self.system.disk.as_ref();
        page.gauges(
            "thrumd_disk_free_bytes",
            "Free space on the disk of the state directory.",
            [],
            one(disk.map(|it| it.free)),
        )?;
        page.gauges(
            "thrumd_disk_size_bytes",
            "Size of that disk.",
            [],
            one(disk.map(|it| it.total)),
        )?;
        let behind = self.views_read.map(|read| self.head.0.saturating_sub(read.0));
        page.gauges(
            "thrumd_views_behind_events",
            "Events of the log that the views have not read yet.",
            [],
            one(behind),
        )?;
        page.histogram(
            "thrumd_event_age_seconds",
            "Age of an event of another machine when it was first committed here.",
            &self.log.event_age,
        )
    }

    fn write_sync(&self, page: &mut Page<'_>) -> fmt::Result {
        let sync = &self.sync;
        page.gauge("thrumd_tailnet_up", "1 if the tailnet is up.", u64::from(self.tailnet_up))?;
        page.gauge(
            "thrumd_sync_enabled",
            "1 if this machine syncs.",
            u64::from(self.sync_enabled),
        )?;
        page.counters(
            "thrumd_sync_requests",
            "Requests sent to peers.",
            ["method"],
            sync.requests.samples().map(|(method, count)| ([method], count)),
        )?;
        let methods = [
            (SyncRequest::Notify.word(), &sync.notify_errors),
            (SyncRequest::Pull.word(), &sync.pull_errors),
        ];
        let errors = methods.iter().flat_map(|(method, errors)| {
            errors.samples().map(|(kind, count)| ([*method, kind], count))
        });
        page.counters(
            "thrumd_sync_errors",
            "Notifications and pulls that failed.",
            ["method", "kind"],
            errors,
        )?;
        page.histogram(
            "thrumd_sync_notify_duration_seconds",
            "From a notification until its answer, which tells what the peer has on disk.",
            &sync.notify,
        )?;
        page.histogram(
            "thrumd_sync_pull_duration_seconds",
            "From the begin of a pull until all that the peer had is on disk here.",
            &sync.pull,
        )?;
        page.counter(
            "thrumd_sync_events_received",
            "Events that peers sent.",
            sync.events_received.get(),
        )?;
        page.counter(
            "thrumd_sync_events_duplicate",
            "Of those, events that were known already.",
            sync.events_duplicate.get(),
        )
    }

    fn write_peers(&self, page: &mut Page<'_>) -> fmt::Result {
        let peers = &self.peers;
        let count = |state| peers.iter().filter(|peer| peer.status.state == state).count() as u64;
        page.gauges(
            "thrumd_peers",
            "Paired machines by state.",
            ["state"],
            STATES.iter().map(|(state, word)| ([*word], count(*state))),
        )?;
        page.gauges(
            "thrumd_peer_info",
            "Name and version of a peer.",
            ["daemon_id", "name", "version"],
            peers.iter().map(|peer| {
                let version = peer.status.version.as_deref().unwrap_or_default();
                ([peer.id.as_str(), peer.status.name.as_str(), version], 1_u64)
            }),
        )?;
        page.gauges(
            "thrumd_peer_state",
            "1 for the state that a peer is in.",
            ["daemon_id", "state"],
            peers.iter().filter_map(|peer| {
                let (_, word) = STATES.iter().find(|(state, _)| *state == peer.status.state)?;
                Some(([peer.id.as_str(), *word], 1_u64))
            }),
        )?;
        self.of_peers(
            page,
            "thrumd_peer_reachable",
            "1 if a peer answered or called last time.",
            |peer| Some(f64::from(u8::from(peer.figures.is_reachable))),
        )?;
        self.of_peers(
            page,
            "thrumd_peer_last_success_timestamp_seconds",
            "When the log of a peer was last read to its end, or something of it stored.",
            |peer| peer.status.last_sync.map(unix_seconds),
        )?;
        self.of_peers(
            page,
            "thrumd_peer_last_contact_timestamp_seconds",
            "When a peer last answered or called.",
            |peer| peer.figures.last_contact.map(unix_seconds),
        )?;
        self.of_peers(
            page,
            "thrumd_peer_lag_seconds",
            "Age of the oldest event of our log that a peer was not sent.",
            |peer| peer.lag_ms.map(|ms| number(ms) / 1000.0),
        )?;
        self.of_peers(
            page,
            "thrumd_peer_read_sequence",
            "Sequence in the log of a peer up to which it was read.",
            |peer| Some(number(peer.status.checkpoint.0)),
        )?;
        self.of_peers(
            page,
            "thrumd_peer_sent_sequence",
            "Sequence in our log up to which a peer was sent it.",
            |peer| peer.figures.sent.map(|sent| number(sent.0)),
        )?;
        self.of_peers(
            page,
            "thrumd_peer_we_lack_events",
            "Events of a peer's log that are missing here.",
            |peer| peer.status.we_lack.map(number),
        )?;
        self.of_peers(
            page,
            "thrumd_peer_they_lack_events",
            "Events of our log that a peer was not sent.",
            |peer| peer.status.they_lack.map(number),
        )?;
        self.of_peers(
            page,
            "thrumd_peer_failures",
            "Failed attempts since the last success.",
            |peer| Some(f64::from(peer.status.failures)),
        )?;
        self.of_peers(
            page,
            "thrumd_peer_round_trip_seconds",
            "Time of the last request to a peer.",
            |peer| peer.status.round_trip_us.map(|us| number(us) / 1e6),
        )
    }

    fn of_peers(
        &self,
        page: &mut Page<'_>,
        name: &str,
        help: &str,
        value: impl Fn(&Peer) -> Option<f64>,
    ) -> fmt::Result {
        let samples = self.peers.iter().filter_map(|peer| Some(([peer.id.as_str()], value(peer)?)));
        page.gauges(name, help, ["daemon_id"], samples)
    }

    fn write_requests(&self, page: &mut Page<'_>) -> fmt::Result {
        page.requests(&[
            (LocalSurface::Main.word(), self.local.of(LocalSurface::Main)),
            (LocalSurface::Narrow.word(), self.local.of(LocalSurface::Narrow)),
            ("peer", &self.peer_api.requests),
        ])?;
        page.counters(
            "thrumd_refused",
            "Connections and requests from the tailnet that were refused.",
            ["reason"],
            self.peer_api.refusals.samples().map(|(reason, count)| ([reason], count)),
        )
    }

    fn write_agents(&self, page: &mut Page<'_>) -> fmt::Result {
        let agents = &self.agents;
        let count = |state| agents.by_state.get(&state).copied().unwrap_or_default();
        page.gauges(
            "thrumd_agents",
            "Agents of this machine with a session.",
            ["state"],
            AGENT_STATES.iter().map(|(state, word)| ([*word], count(*state))),
        )?;
        page.gauge("thrumd_sessions", "Sessions of tools on this machine.", agents.sessions)?;
        page.gauge("thrumd_waiters", "Calls that wait for messages.", agents.waiters)?;
        page.gauges(
            "thrumd_unread_messages",
            "Messages that agents of this machine have not read.",
            [],
            one(agents.unread.map(|it| it.messages)),
        )?;
        page.gauges(
            "thrumd_oldest_unread_timestamp_seconds",
            "When the oldest message was written that agents of this machine have not read.",
            [],
            one(agents.unread.and_then(|it| it.oldest_at).map(unix_seconds)),
        )
    }
}

#[expect(clippy::cast_precision_loss, reason = "a float is what Prometheus takes")]
fn number(value: u64) -> f64 {
    value as f64
}

/// The one sample of a family without labels, if there is a value.
fn one<V>(value: Option<V>) -> Option<([&'static str; 0], V)> {
    value.map(|value| ([], value))
}
