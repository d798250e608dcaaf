//! Checks of the peer's daemon: whether it is a thrumd, accepts our token, and is in sync.

use std::net::SocketAddr;
use std::sync::Arc;

use thrum_api::local::{CheckState, token_refusal};
use thrum_api::peer::{PeerInfo, PullParams, SyncPull};
use thrum_api::{ErrorCode, Method, label};

use super::super::client::{Answer, Bounds, Callee, ClientError};
use super::super::shared::{Shared, chain as chain_of};
use super::super::status;
use super::CheckList;
use crate::peer::Peer;

/// Checks that a thrumd answers: it refuses a request without a token.
pub(super) async fn http(
    shared: &Shared,
    address: SocketAddr,
    name: &str,
    list: &mut CheckList,
) -> bool {
    match shared.peer_info(Callee::Stranger(name), &[address]).await {
        Err(ClientError::Refused { .. }) => {
            list.ok("peer_http", "a thrumd answers");
            true
        }
        Ok(_) => {
            let message = format!("{address} answers without a token: it is not a thrumd");
            list.add("peer_http", CheckState::Fail, message, None);
            false
        }
        Err(error @ ClientError::Broken { .. }) => {
            let message = format!(
                "{address} accepts the connection and closes it: its thrumd can't identify this \
                 machine is ({})",
                error.text()
            );
            let next = "thrum doctor   (on that machine)";
            list.fail("peer_http", &error, message, Some(next));
            false
        }
        Err(error) => {
            list.fail("peer_http", &error, error.text(), None);
            false
        }
    }
}

pub(super) async fn token(
    shared: &Shared,
    peer: &Peer,
    address: SocketAddr,
    name: &str,
    list: &mut CheckList,
) -> Option<PeerInfo> {
    let error = match shared.peer_info(Callee::Peer(peer), &[address]).await {
        Ok(Answer { result, .. }) if result.id == peer.daemon_id => {
            list.ok("peer_token", format!("{name} accepts our token"));
            return Some(result);
        }
        Ok(Answer { result, .. }) => {
            let message = format!("another daemon answers there: {}", result.id);
            list.add("peer_token", CheckState::Fail, message, Some("thrum peer add"));
            return None;
        }
        Err(error) => error,
    };
    let (message, next) = match &error {
        ClientError::Refused { .. } => {
            (token_refusal(name, error.refusal()), format!("thrum peer join {name}"))
        }
        _ => (error.text(), "thrum peer status".to_owned()),
    };
    list.fail("peer_token", &error, message, Some(&next));
    None
}

/// Checks that our checkpoint matches its log, with a pull of no events.
pub(super) async fn checkpoint(
    shared: &Shared,
    peer: &Peer,
    address: SocketAddr,
    name: &str,
    list: &mut CheckList,
) {
    let id = "peer_checkpoint";
    let position = match shared.log.checkpoint(peer.daemon_id).await {
        Ok(checkpoint) => checkpoint.position,
        Err(error) => {
            list.add(id, CheckState::Fail, chain_of(&error), Some("thrum daemon logs"));
            return;
        }
    };
    let params = PullParams { limit: Some(0), ..PullParams::of(position) };
    let to = Callee::Peer(peer);
    match shared.client.call::<SyncPull>(to, &[address], &params, Bounds::PULL).await {
        Ok(_) => list.ok(id, format!("its log holds our checkpoint, {}", position.sequence)),
        Err(error) if error.rpc().is_some_and(|rpc| rpc.code == ErrorCode::OTHER_LOG) => {
            let message = format!(
                "the log of {name} was replaced (restored or wiped): it is read again \
                 from its start automatically"
            );
            list.add(id, CheckState::Warn, message, Some(&sync_command(name, peer)));
        }
        Err(error) => {
            let message = format!("{} fails: {}", SyncPull::NAME, error.text());
            list.fail(id, &error, message, Some("thrum daemon logs"));
        }
    }
}

fn sync_command(name: &str, peer: &Peer) -> String {
    format!("thrum peer sync {}", label::to_type(name, peer.daemon_id))
}

pub(super) async fn lag(shared: &Arc<Shared>, peer: &Peer, name: &str, list: &mut CheckList) {
    let all = status::status(shared).await;
    let Some(status) = all.iter().find(|status| status.daemon_id == peer.daemon_id) else { return };
    let id = "peer_lag";
    let next = sync_command(name, peer);
    let behind = |lack: Option<u64>| lack.map_or_else(|| "?".to_owned(), |lack| lack.to_string());
    match (status.we_lack, status.they_lack) {
        (Some(0), Some(0)) => list.ok(id, "both logs hold the same events"),
        (ours, theirs) => {
            let message =
                format!("we lack {} events, {name} lacks {}", behind(ours), behind(theirs));
            list.add(id, CheckState::Warn, message, Some(&next));
        }
    }
}
