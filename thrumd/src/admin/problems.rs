//! What a person should know, most important first. What follows from an earlier problem is left
//! out.

use thrum_api::local::{PeerState, PeerStatus, Problem, SyncFailureKind};
use thrum_api::peer::reason;
use thrum_api::{RpcError, Timestamp};

use super::{AdminContext, Network};
use crate::config::SyncMode;
use crate::log::LogStats;

/// Every problem there is now.
pub fn problems(
    context: &AdminContext,
    peers: &[PeerStatus],
    stats: &Result<LogStats, RpcError>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Err(error) = stats {
        let message = format!("the log can't be read: {}", error.message);
        problems.push(problem("log", message, None, Some("thrum daemon logs")));
    }
    if let Some((since, message)) = context.disk.current() {
        let message = format!("events can't be written: {message}");
        problems.push(problem("disk", message, Some(since), Some("df -h")));
    }
    problems.extend(context.found.iter().cloned());
    match obstacle(context, peers) {
        Some(problem) => problems.push(problem),
        None if context.foreign => {}
        None => {
            problems.extend(
                peers
                    .iter()
                    .flat_map(|status| match elsewhere(context, status) {
                        // That it can't be reached follows from it.
                        Some(Elsewhere::AddedAgain(problem)) => [Some(problem), None],
                        Some(Elsewhere::Copied(problem)) => [Some(problem), peer(status)],
                        None => [peer(status), None],
                    })
                    .flatten(),
            );
        }
    }
    let quarantined = stats.as_ref().map_or(0, |stats| stats.quarantined);
    if quarantined > 0 {
        let message = match quarantined {
            1 => "1 event was set aside because it could not be taken or understood".to_owned(),
            n => format!("{n} events were set aside because they could not be taken or understood"),
        };
        problems.push(problem("quarantine", message, None, Some("thrum daemon logs")));
    }
    problems
}

/// What keeps us from every peer.
fn obstacle(context: &AdminContext, peers: &[PeerStatus]) -> Option<Problem> {
    let wanted = context.config.sync == SyncMode::On || context.registry.sync_wanted();
    if context.config.sync == SyncMode::Forbidden {
        // Nothing to miss unless somebody was paired.
        let message =
            "sync is forbidden by sync = false (THRUM_TS_ENABLED), though there are peers";
        return (!peers.is_empty()).then(|| {
            let next = "thrumd --print-config";
            problem("sync_setting", message.to_owned(), None, Some(next))
        });
    }
    match &context.network {
        _ if context.foreign => None,
        Network::Unavailable(why) if wanted => {
            let next = "thrumd --print-config";
            Some(problem("tailnet_kind", format!("tailnet off: {why}"), None, Some(next)))
        }
        Network::Unavailable(_) => None,
        Network::Available(_) => {
            let why = context.network.enabled()?.obstacle()?;
            Some(problem("tailnet_up", why, None, Some("thrum daemon logs")))
        }
    }
}

fn peer(peer: &PeerStatus) -> Option<Problem> {
    let name = &peer.name;
    let since = Some(peer.since);
    match peer.state {
        PeerState::RemovedUs if peer.refusal.as_deref() == Some(reason::OTHER_NODE) => {
            Some(problem(
                "peer_token",
                format!(
                    "{name} takes this machine for another one: it was removed from the tailnet and \
                     added again since it was paired; run `thrum peer add` on {name} and pair again"
                ),
                since,
                Some(&format!("thrum peer join {name}")),
            ))
        }
        PeerState::RemovedUs if peer.refusal.as_deref() == Some(reason::GRANT_WITHDRAWN) => {
            Some(problem(
                "peer_token",
                format!("{name} was paired by the tailnet's policy, which no longer allows it"),
                since,
                Some(&format!("thrum peer join {name}")),
            ))
        }
        PeerState::RemovedUs => Some(problem(
            "peer_token",
            format!("{name} does not know this machine any more: it was removed there"),
            since,
            Some(&format!("thrum peer remove {name}")),
        )),
        PeerState::BackingOff | PeerState::NeverReached if peer.failures > 0 => {
            let why = peer.last_error.as_deref().unwrap_or("no answer");
            let (message, next) = match peer.trouble {
                Some(SyncFailureKind::Own) => (
                    format!("can't take over what {name} has: {why}"),
                    "thrum daemon logs".to_owned(),
                ),
                Some(SyncFailureKind::Refusing) => (
                    format!("{name} answers, but not as it should: {why}"),
                    format!("thrum status   (on {name})"),
                ),
                Some(SyncFailureKind::Unreachable) | None => {
                    (format!("{name} unreachable: {why}"), "thrum doctor".to_owned())
                }
            };
            Some(problem("peer_sync", message, since, Some(&next)))
        }
        _ => None,
    }
}

/// The token of a peer came from another machine.
enum Elsewhere {
    /// Perhaps its own, under a new identity.
    AddedAgain(Problem),
    /// Not its own, which is in the tailnet as it was.
    Copied(Problem),
}

fn elsewhere(context: &AdminContext, peer: &PeerStatus) -> Option<Elsewhere> {
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
        problem("peer_token_elsewhere", message, None, Some("thrum peer add"))
    };
    Some(match bound.and_then(|node| tailnet?.node(&node)) {
        Some(_) => Elsewhere::Copied(problem(&format!(
            "somebody has copied it; pairing {name} again makes a new one"
        ))),
        None => Elsewhere::AddedAgain(problem(&format!(
            "{name} was removed from the tailnet and added again, and must be paired again; or \
             somebody has copied the token"
        ))),
    })
}

/// A problem of this id.
pub fn problem(id: &str, message: String, since: Option<Timestamp>, next: Option<&str>) -> Problem {
    Problem { id: id.to_owned(), message, since, next: next.map(str::to_owned) }
}
