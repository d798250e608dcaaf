use std::path::PathBuf;
use std::time::Duration;

use thrum_api::duration::{ago_or_never, rounded};
use thrum_api::local::{
    CheckState, OpenPairing, PairingNews, PeerCheck, PeerCheckParams, PeerCheckResult, PeerState,
    PeerStatus,
};
use tokio::task::JoinSet;

use super::context::CheckContext;
use super::daemon::{Daemon, within_limit};
use super::finding::{Finding, Findings, Section};
use super::service;
use crate::client::Client;
use crate::clock;
use crate::error::Error;
use crate::format::{counted, peer_state};

/// The last link of every peer: whether events flow.
const SYNC: &str = "peer_sync";

/// For one peer. The service gives up on each silent link by itself, in 10 s at most; it looks at no
/// more than four that wait for the other machine.
const CHECK_LIMIT: Duration = Duration::from_secs(45);

/// The paired machines, and the pairing that is under way.
pub async fn look(context: &CheckContext) -> Vec<Finding> {
    let mut found = Findings::of(Section::Peers);
    let Ok(daemon) = &context.daemon else {
        found.add(found.because("pairing", service::PROCESS, "not asked"));
        found.add(found.because("peers", service::PROCESS, "not asked"));
        return found.all;
    };
    found.add(pairing(daemon, &found));
    let Some(status) = context.status() else {
        found.add(found.because("peers", "service_version", "not asked"));
        return found.all;
    };
    let number = counted(u64::try_from(status.peers.len()).unwrap_or(0), "machine");
    if status.peers.is_empty() {
        let text = "no machine is paired with this one yet";
        found.add(found.ok("peers", text).next("thrum peer add").fact(number));
        return found.all;
    }
    found.add(found.ok("peers", format!("{number} paired with this one")).fact(number));
    let mut chains = chains(&daemon.socket, &status.peers).await;
    for (index, peer) in status.peers.iter().enumerate() {
        let chain = chains.remove(&index);
        for mut look in of_peer(context, &found, peer, chain) {
            look.peer = Some(peer.name.clone());
            found.add(look);
        }
    }
    found.all
}

/// A code that was rejected leaves a trace on the machine that showed it.
fn pairing(daemon: &Daemon, found: &Findings) -> Finding {
    let id = "pairing";
    let list = match &daemon.peers {
        Ok(list) => list,
        Err(error) => return found.fail(id, error.to_string()).next("thrum daemon logs -n 50"),
    };
    if let Some(OpenPairing { expires_at, attempts_left, .. }) = list.pairing {
        let left = rounded(expires_at.millis_since(clock::now()));
        let tries = match attempts_left {
            1 => "1 try".to_owned(),
            n => format!("{n} tries"),
        };
        let text = format!("`thrum peer add` waits here for {left} more; {tries} left");
        return if attempts_left >= thrum_api::limits::PAIRING_ATTEMPTS {
            found.ok(id, text)
        } else {
            let text = format!("a wrong code came: {text}");
            found.warn(id, text).next("there, type the code that this machine shows")
        };
    }
    let text = match &list.last_pairing {
        Some(PairingNews::Locked { caller }) => format!(
            "the last pairing was locked after too many wrong codes, the last one from {caller}"
        ),
        Some(PairingNews::Expired) => "the last pairing code ran out of time".to_owned(),
        Some(_) | None => return found.ok(id, "no pairing is under way"),
    };
    found.warn(id, text).next("thrum peer add shows a new code")
}

pub(super) type Chain = Result<PeerCheckResult, Error>;

/// Asks for all chains at once: one that answers slowly holds nobody up.
async fn chains(
    socket: &std::path::Path,
    peers: &[PeerStatus],
) -> std::collections::BTreeMap<usize, Chain> {
    let mut all = JoinSet::new();
    for (index, peer) in peers.iter().enumerate() {
        let (socket, id) = (socket.to_owned(), peer.daemon_id.to_string());
        all.spawn(async move { (index, chain(socket, id).await) });
    }
    all.join_all().await.into_iter().collect()
}

async fn chain(socket: PathBuf, peer: String) -> Chain {
    let work = async {
        let mut client = Client::open(&socket).await?;
        client.call::<PeerCheck>(&PeerCheckParams { peer }).await
    };
    within_limit(CHECK_LIMIT, "peer.check", work).await
}

fn of_peer(
    context: &CheckContext,
    found: &Findings,
    peer: &PeerStatus,
    chain: Option<Chain>,
) -> Vec<Finding> {
    let off = context.status().and_then(|status| {
        let causes = ["identity", "sync_setting", "tailnet_kind", "tailnet_up"];
        status.problems.iter().find(|problem| causes.contains(&problem.id.as_str()))
    });
    if let Some(cause) = off {
        return vec![found.because(SYNC, &cause.id, "this machine reaches no peer")];
    }
    let mut looks = chain.map_or_else(Vec::new, |chain| links(found, chain));
    let broken = looks.iter().find(|look| look.check.state == CheckState::Fail);
    let blame = broken.map(|look| look.check.id.clone());
    looks.push(elsewhere(found, peer));
    looks.push(flow(found, peer, blame.as_deref()));
    looks
}

/// The links, as the service found them. One that does not say is no good sign.
pub(super) fn links(found: &Findings, chain: Chain) -> Vec<Finding> {
    match chain {
        Ok(chain) => {
            chain.checks.into_iter().map(|check| Finding::of(Section::Peers, check)).collect()
        }
        Err(error) => {
            let text = format!("the service could not look at it: {error}");
            vec![found.fail("peer_known", text).next("thrum daemon logs -n 50")]
        }
    }
}

/// Whether somebody else used its token.
fn elsewhere(found: &Findings, peer: &PeerStatus) -> Finding {
    let id = "peer_token_elsewhere";
    if peer.refused_elsewhere == 0 {
        return found.ok(id, "its token came from nowhere else");
    }
    let times = counted(peer.refused_elsewhere, "time");
    let caller = peer.refused_caller.as_deref().unwrap_or("another machine");
    let text = format!(
        "its token was refused {times} because it came from {caller}: it is that machine now, or its \
         token was stolen; pairing again makes a new one"
    );
    found.fail(id, text).next("thrum peer add, and there: thrum peer join").fact(times)
}

/// Whether events flow, by what sync saw.
fn flow(found: &Findings, peer: &PeerStatus, blame: Option<&str>) -> Finding {
    let word = peer_state(peer.state);
    let last = ago_or_never(peer.last_sync, clock::now());
    let error = peer.last_error.as_deref().filter(|_| peer.failures > 0);
    let text = match error {
        Some(error) => format!("{word}, last news {last}: {error}"),
        None => format!("{word}, last news {last}"),
    };
    if let Some(blame) = blame {
        return found.because(SYNC, blame, text);
    }
    let finding = match (peer.problem(), peer.state) {
        (Some(problem), PeerState::RemovedUs) => found.problem(&problem),
        // All links hold now, so the next try will do.
        (Some(_), _) => found.warn(SYNC, text).next(format!("thrum peer sync {}", peer.name)),
        (None, _) => found.ok(SYNC, text),
    };
    finding.fact(word)
}
