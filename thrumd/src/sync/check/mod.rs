//! Connectivity checks of a peer, step by step: which step fails, and what helps.

mod answers;
mod connectivity;

use std::sync::Arc;

use answers::{checkpoint, http, lag, token};
use connectivity::{known, path, port, probe};
use thrum_api::local::{Check, CheckState, PEER_CHECKS, PathToPeer, PeerCheckResult};

use super::client::ClientError;
use super::hub::{Failure, Input};
use super::shared::{Message, Shared};
use crate::peer::Peer;
use crate::tailnet::Presence;

/// The results so far.
struct CheckList {
    checks: Vec<Check>,
    /// The first check that failed.
    failed: Option<String>,
    /// What keeps the peer from answering, for the hub.
    failure: Option<Failure>,
}

impl CheckList {
    fn add(&mut self, id: &str, state: CheckState, message: impl Into<String>, next: Option<&str>) {
        self.checks.push(Check {
            id: id.to_owned(),
            state,
            message: message.into(),
            next: next.map(str::to_owned),
            because: None,
        });
        if state == CheckState::Fail && self.failed.is_none() {
            self.failed = Some(id.to_owned());
        }
    }

    fn ok(&mut self, id: &str, message: impl Into<String>) {
        self.add(id, CheckState::Ok, message, None);
    }

    /// A check failed because of this error.
    fn fail(
        &mut self,
        id: &str,
        error: &ClientError,
        message: impl Into<String>,
        next: Option<&str>,
    ) {
        self.add(id, CheckState::Fail, message, next);
        self.failure = Some(error.failure());
    }

    /// All checks; those after the failed one are skipped.
    fn finish(mut self, because: Option<&str>) -> Vec<Check> {
        let because = because.map(str::to_owned).or(self.failed);
        for id in PEER_CHECKS {
            if self.checks.iter().all(|check| check.id != id) {
                self.checks.push(Check {
                    id: id.to_owned(),
                    state: CheckState::Skipped,
                    message: "not checked".to_owned(),
                    next: None,
                    because: because.clone(),
                });
            }
        }
        let position = |check: &Check| PEER_CHECKS.iter().position(|id| *id == check.id);
        self.checks.sort_by_key(position);
        self.checks
    }
}

pub(super) async fn check(shared: &Arc<Shared>, peer: &Peer) -> PeerCheckResult {
    let name = shared.name_of(peer);
    let mut list = CheckList { checks: Vec::new(), failed: None, failure: None };
    let mut path = None;
    let waiting = matches!(&*shared.tailnet.presence().borrow(), Presence::Waiting { .. });
    if !waiting {
        path = run_checks(shared, peer, &name, &mut list).await;
        let answers =
            list.checks.iter().any(|it| it.id == "peer_token" && it.state == CheckState::Ok);
        // `peer.status` knows what was found. A machine that is another one than the peer tells nothing of it.
        let result = list.failure.take().map_or(Ok(()), Err);
        if answers || result.is_err() {
            let peer = peer.daemon_id;
            shared.post(Message::Input(Input::Checked { peer, result })).await;
        }
    }
    let checks = list.finish(waiting.then_some("tailnet"));
    PeerCheckResult { daemon_id: peer.daemon_id, name, checks, path }
}

/// Checks from the tailnet to the log, up to the first failure.
async fn run_checks(
    shared: &Arc<Shared>,
    peer: &Peer,
    name: &str,
    list: &mut CheckList,
) -> Option<PathToPeer> {
    let addresses = known(shared, peer, name, list).await?;
    let (pinged, dialled) = probe(shared, peer, &addresses).await;
    path(shared, peer, name, pinged.as_ref(), list);
    if let Some(address) = port(dialled, name, pinged.is_some(), list)
        && http(shared, address, name, list).await
        && let Some(info) = token(shared, peer, address, name, list).await
    {
        let ours = env!("CARGO_PKG_VERSION");
        match info.version == ours {
            true => list.ok("peer_version", format!("both run {ours}")),
            false => {
                let message = format!("{name} runs {}, this machine {ours}", info.version);
                list.add("peer_version", CheckState::Warn, message, None);
            }
        }
        checkpoint(shared, peer, address, name, list).await;
        lag(shared, peer, name, list).await;
    }
    pinged
}
