//! The problems in `status`, most important first. Consequences of an earlier problem are left out.

use thrum_api::local::{PeerStatus, Problem, unsigned};
use thrum_api::{DaemonId, RpcError, Timestamp};

use super::{AdminContext, Network};
use crate::clock;
use crate::config::SyncMode;
use crate::log::{LogStats, WriteFailure};
use crate::peer::identity;
use crate::storage::StorageFault;

/// How long status tells of another machine with our key after its last new event.
const CLONE_SHOWN_MILLIS: u64 = 24 * 3_600_000;

/// Every problem there is now. `failure`: why the log can't be written, if it can't.
pub fn problems(
    context: &AdminContext,
    peers: &[PeerStatus],
    stats: &Result<LogStats, RpcError>,
    failure: Option<WriteFailure>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some((since, changed)) = context.log.files().changed() {
        let message = format!("nothing is written: {changed}");
        problems.push(Problem::new("state_files", message, Some(since), Some(&changed.next())));
    } else {
        problems.extend(log_problems(context, stats, failure));
    }

    problems.extend(context.found.iter().cloned());
    problems.extend(context.metrics_problem.borrow().clone());
    match obstacle(context, peers) {
        Some(problem) => problems.push(problem),
        None if context.foreign => {}
        None => {
            problems.extend(
                peers
                    .iter()
                    .flat_map(|status| match token_misuse(context, status) {
                        // That the peer can't be reached is a consequence.
                        Some(TokenMisuse::AddedAgain(problem)) => [Some(problem), None],
                        Some(TokenMisuse::Copied(problem)) => [Some(problem), status.problem()],
                        None => [status.problem(), None],
                    })
                    .flatten(),
            );
        }
    }
    if let Ok(stats) = stats {
        problems.extend(withheld(context, stats));
        problems.extend(refused(context, stats));
        problems.extend(cloned(context, stats));
    }
    let quarantined = stats.as_ref().map_or(0, |stats| stats.quarantined);
    if quarantined > 0 {
        let message = match quarantined {
            1 => "1 event was quarantined because it could not be stored or interpreted".to_owned(),
            n => format!(
                "{n} events were quarantined because they could not be stored or interpreted"
            ),
        };
        problems.push(Problem::new("quarantine", message, None, Some("thrum quarantine")));
    }
    problems
}

/// The problems of reading and writing the log.
fn log_problems(
    context: &AdminContext,
    stats: &Result<LogStats, RpcError>,
    failure: Option<WriteFailure>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Err(error) = stats {
        let message = format!("the log can't be read: {}", error.message);
        let next = error.member("hint").and_then(|hint| hint.as_str());
        problems.push(Problem::new("log", message, None, next.or(Some("thrum daemon logs"))));
    }
    if let Some(failure) = failure {
        let message = format!("events can't be written: {}", failure.message);
        let (id, next) = (failure.fault.check(), failure.next.as_deref());
        problems.push(Problem::new(id, message, Some(failure.since), next));
    } else if let Some(warning) =
        context.log.space().and_then(|space| space.warning(context.log.directory()))
    {
        let next = StorageFault::Full.next(&context.log.directory().join("log.db"));
        problems.push(Problem::new("disk", warning, None, Some(&next)));
    }
    problems
}

/// Peers that bring more new origins than they may.
fn withheld(context: &AdminContext, stats: &LogStats) -> Option<Problem> {
    let (names, since) = named(context, &stats.withheld)?;
    let message = format!(
        "too many new machines at once in the logs of {names}: their events are taken later, those of \
         1,000 machines an hour"
    );
    Some(Problem::new("peer_origins", message, Some(since), Some("thrum peer status")))
}

/// Peers that bring events which no signature proves.
fn refused(context: &AdminContext, stats: &LogStats) -> Option<Problem> {
    let (names, since) = named(context, &stats.refused)?;
    let message = format!(
        "{}: they are not taken; its disk may be damaged, or somebody uses it to speak for others",
        unsigned(names)
    );
    Some(Problem::new("peer_proofs", message, Some(since), Some("thrum quarantine")))
}

/// Another machine that writes with our key, until a day after its last new event.
fn cloned(context: &AdminContext, stats: &LogStats) -> Option<Problem> {
    let at = stats.cloned_at.filter(|at| clock::now().millis_since(*at) < CLONE_SHOWN_MILLIS)?;
    let message = "another machine writes with this daemon's key: its state directory was copied, or a backup of \
                   it was restored there; one of the two needs a key of its own";
    let next = identity::how_to_reset(&context.config.state_dir);
    Some(Problem::new("clone", message.to_owned(), Some(at), Some(next)))
}

/// The names of those that are still peers, and since when the first of them is one of these.
fn named(context: &AdminContext, peers: &[(DaemonId, Timestamp)]) -> Option<(String, Timestamp)> {
    let of = |(peer, since): &(DaemonId, Timestamp)| {
        context.registry.get(*peer).map(|peer| (context.name_of(&peer), *since))
    };
    let peers: Vec<(String, Timestamp)> = peers.iter().filter_map(of).collect();
    let since = peers.iter().map(|(_, since)| *since).min()?;
    let names: Vec<String> = peers.into_iter().map(|(name, _)| name).collect();
    Some((names.join(", "), since))
}

/// The problem that prevents sync with every peer.
fn obstacle(context: &AdminContext, peers: &[PeerStatus]) -> Option<Problem> {
    let wanted = context.config.sync == SyncMode::On || context.registry.sync_wanted();
    if context.config.sync == SyncMode::Forbidden {
        // Not a problem without peers.
        let message =
            "sync is forbidden by sync = false (THRUM_TS_ENABLED), though there are peers";
        return (!peers.is_empty()).then(|| {
            let next = "thrumd --print-config";
            Problem::new("sync_setting", message.to_owned(), None, Some(next))
        });
    }
    match &context.network {
        _ if context.foreign => None,
        Network::Unavailable(why) if wanted => {
            let next = "thrumd --print-config";
            Some(Problem::new("tailnet_kind", format!("tailnet off: {why}"), None, Some(next)))
        }
        Network::Unavailable(_) => None,
        Network::Available(_) => {
            let why = context.network.enabled()?.obstacle()?;
            Some(Problem::new("tailnet_up", why, None, Some("thrum daemon logs")))
        }
    }
}

/// What the use of a peer's token by another machine means.
enum TokenMisuse {
    /// The machine may be the peer itself, under a new identity.
    AddedAgain(Problem),
    /// Another machine: the peer is still in the tailnet as before.
    Copied(Problem),
}

fn token_misuse(context: &AdminContext, peer: &PeerStatus) -> Option<TokenMisuse> {
    let times = match peer.refused_elsewhere {
        0 => return None,
        1 => "once".to_owned(),
        n => format!("{n} times"),
    };
    let (name, caller) = (&peer.name, peer.refused_caller.as_deref().unwrap_or("another machine"));
    let bound = context.registry.get(peer.daemon_id).and_then(|peer| peer.node);
    let tailnet = context.network.available().map(super::PeerNetwork::tailnet);
    let problem = |what: &str| {
        let message = format!("{caller} used the token of {name} {times} and was refused: {what}");
        Problem::new("peer_token_elsewhere", message, None, Some("thrum peer add"))
    };
    Some(match bound.and_then(|node| tailnet?.node(&node)) {
        Some(_) => TokenMisuse::Copied(problem(&format!(
            "someone has copied it; pairing {name} again makes a new one"
        ))),
        None => TokenMisuse::AddedAgain(problem(&format!(
            "{name} was removed from the tailnet and added again, and must be paired again; or \
             someone has copied the token"
        ))),
    })
}
