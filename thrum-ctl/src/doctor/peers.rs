use std::path::PathBuf;
use std::time::Duration;

use thrum_api::duration::{ago_or_never, rounded};
use thrum_api::local::{
    OpenPairing, PairingUpdate, PeerCheck, PeerCheckParams, PeerCheckResult, PeerState, PeerStatus,
};
use tokio::task::JoinError;

use super::context::CheckContext;
use super::daemon::{Daemon, within};
use super::finding::{Finding, Findings, Section, first_broken};
use super::service;
use crate::client::Client;
use crate::clock;
use crate::error::Error;
use crate::format::{counted, more_machines, peer_state};

/// The id of the last check of every peer: whether events are synced.
const SYNC: &str = "peer_sync";

/// Time limit of the checks of one peer. At most four of them wait for the other machine, and thrumd
/// limits each to 10 s.
const CHECK_LIMIT: Duration = Duration::from_secs(45);

/// Checks the pairing session and whether machines are paired.
pub fn check(context: &CheckContext) -> Vec<Finding> {
    let mut found = Findings::of(Section::Peers);
    let Ok(daemon) = &context.daemon else {
        found.add(found.because("pairing", service::unasked(context), "not checked"));
        found.add(found.because("peers", service::unasked(context), "not checked"));
        return found.all;
    };
    found.add(pairing(daemon, &found));
    let Some(status) = context.status() else {
        found.add(found.because("peers", "service_version", "not checked"));
        return found.all;
    };
    let number = counted(status.peers.len(), "machine");
    if status.peers.is_empty() {
        let text = "no machine is paired yet";
        found.add(found.ok("peers", text).next("thrum peer add").fact(number));
        return found.all;
    }
    found.add(found.ok("peers", format!("{number} paired with this one")).fact(number));
    found.all
}

/// Checks each paired machine.
pub async fn check_each(context: &CheckContext) -> Vec<Finding> {
    let peers = context.status().map(|status| status.peers.as_slice()).unwrap_or_default();
    check_these(context, peers).await
}

/// Checks the paired machine with this name or daemon id; None if there is none.
pub async fn check_one(context: &CheckContext, named: &str) -> Option<Vec<Finding>> {
    let peers = &context.status()?.peers;
    let is_meant = |peer: &&PeerStatus| peer.daemon_id.to_string() == named;
    let peer = peers.iter().find(is_meant).or_else(|| peers.iter().find(|it| it.name == named))?;
    Some(check_these(context, std::slice::from_ref(peer)).await)
}

async fn check_these(context: &CheckContext, peers: &[PeerStatus]) -> Vec<Finding> {
    let mut found = Findings::of(Section::Peers);
    let Ok(daemon) = &context.daemon else { return found.all };
    // All at once, so that a slow one does not delay the others.
    let check = |peer: &PeerStatus| check_peer(daemon.socket.clone(), peer.daemon_id.to_string());
    let checks: Vec<_> = peers.iter().map(|peer| tokio::spawn(check(peer))).collect();
    for (peer, check) in peers.iter().zip(checks) {
        let failed = |error: JoinError| Err(Error::io("the check ended early", error.into()));
        let result = check.await.unwrap_or_else(failed);
        for mut finding in of_peer(context, &found, peer, result) {
            finding.peer = Some(peer.name.clone());
            found.add(finding);
        }
    }
    found.all
}

/// The pairing session. A rejected code is visible only on the machine that showed the code.
fn pairing(daemon: &Daemon, found: &Findings) -> Finding {
    let id = "pairing";
    let list = match &daemon.peers {
        Ok(list) => list,
        Err(error) => return found.fail(id, error.to_string()).next("thrum daemon logs -n 50"),
    };
    if let Some(OpenPairing { expires_at, attempts_left, .. }) = list.pairing {
        let left = rounded(expires_at.millis_since(clock::now()));
        let text = format!(
            "`thrum peer add` waits on this machine for {left} more; wrong codes of {} end it",
            more_machines(attempts_left)
        );
        return if attempts_left >= thrum_api::limits::PAIRING_ATTEMPTS {
            found.ok(id, text)
        } else {
            let text = format!("a wrong code was received: {text}");
            found.warn(id, text).next("on the other machine, type the code that this one shows")
        };
    }
    let text = match &list.last_pairing {
        Some(PairingUpdate::Locked { caller }) => format!(
            "the last pairing session was locked after too many wrong codes, the last from {caller}"
        ),
        Some(PairingUpdate::IdTaken { caller, name, .. }) => format!(
            "in the last pairing session, {caller} claimed to be {name}, which is another machine, and was refused"
        ),
        Some(PairingUpdate::Expired) => "the last pairing session has expired".to_owned(),
        Some(_) | None => return found.ok(id, "no pairing session is open"),
    };
    found.warn(id, text).next("thrum peer add (shows a new code)")
}

pub(super) type PeerResult = Result<PeerCheckResult, Error>;

async fn check_peer(socket: PathBuf, peer: String) -> PeerResult {
    let work = async {
        let mut client = Client::open(&socket).await?;
        client.call::<PeerCheck>(&PeerCheckParams { peer }).await
    };
    within(CHECK_LIMIT, "peer.check", work).await
}

fn of_peer(
    context: &CheckContext,
    found: &Findings,
    peer: &PeerStatus,
    result: PeerResult,
) -> Vec<Finding> {
    let off = context.status().and_then(|status| {
        let causes = ["identity", "sync_setting", "tailnet_kind", "tailnet_up"];
        status.problems.iter().find(|problem| causes.contains(&problem.id.as_str()))
    });
    if let Some(cause) = off {
        return vec![found.because(SYNC, &cause.id, "this machine can't reach any peer")];
    }
    let mut findings = connection(found, result);
    let cause = first_broken(&findings).map(|cause| cause.check.id.clone());
    findings.push(token_use(found, peer));
    findings.push(sync(found, peer, cause.as_deref()));
    findings
}

/// The checks of the connection, as thrumd reports them. No report counts as a failure.
pub(super) fn connection(found: &Findings, result: PeerResult) -> Vec<Finding> {
    match result {
        Ok(result) => {
            result.checks.into_iter().map(|check| Finding::of(Section::Peers, check)).collect()
        }
        Err(error) => {
            let text = format!("thrumd could not check it: {error}");
            vec![found.fail("peer_known", text).next("thrum daemon logs -n 50")]
        }
    }
}

/// Whether another machine used the peer's token.
fn token_use(found: &Findings, peer: &PeerStatus) -> Finding {
    let id = "peer_token_elsewhere";
    if peer.refused_elsewhere == 0 {
        return found.ok(id, "no other machine used its token");
    }
    let times = counted(peer.refused_elsewhere, "time");
    let caller = peer.refused_caller.as_deref().unwrap_or("another machine");
    let text = format!(
        "its token was refused {times} because it came from {caller}: the peer is that machine now, \
         or its token was stolen; pairing again makes a new token"
    );
    found.fail(id, text).next("thrum peer add, and on the peer: thrum peer join").fact(times)
}

/// Whether events are synced, by the state of the peer.
fn sync(found: &Findings, peer: &PeerStatus, cause: Option<&str>) -> Finding {
    let word = peer_state(peer.state);
    let last = ago_or_never(peer.last_sync, clock::now());
    let error = peer.last_error.as_deref().filter(|_| peer.failures > 0);
    let text = match error {
        Some(error) => format!("{word}, last sync {last}: {error}"),
        None => format!("{word}, last sync {last}"),
    };
    if let Some(cause) = cause {
        return found.because(SYNC, cause, text);
    }
    let finding = match (peer.problem(), peer.state) {
        (Some(problem), PeerState::RemovedUs) => found.problem(&problem),
        // All other checks succeed, so the next try will succeed, too.
        (Some(_), _) => found.warn(SYNC, text).next(format!("thrum peer sync {}", peer.to_type())),
        (None, _) => found.ok(SYNC, text),
    };
    finding.fact(word)
}
