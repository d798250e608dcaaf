//! The hash chain of an origin, and the points of it that the origin signs.
//!
//! An origin is a daemon and an epoch of its log. Its chain has one value for each of its events: SHA-256 of the value
//! before and of the event's bytes. So a signature on one value proves all events up to there.

use sha2::{Digest as _, Sha256};
use thrum_api::proof::Chain;
use thrum_api::{DaemonId, Origin, OriginSequence};

#[cfg(test)]
mod tests;

// Each use of the hash and of the key has a label of its own, so that nothing can be taken for something else.
const ORIGIN: &[u8; 14] = b"thrum/1 origin";
const POINT: &[u8; 13] = b"thrum/1 point";

/// The length of what a signed point signs.
pub const POINT_MESSAGE_BYTES: usize = POINT.len() + DaemonId::BYTES + 16 + 8 + 32;

/// The chain of an origin before its first event.
pub fn chain_start(origin: &Origin) -> Chain {
    let hash = Sha256::new().chain_update(ORIGIN).chain_update(origin.daemon.to_bytes());
    Chain(hash.chain_update(origin.epoch.ulid().to_bytes()).finalize().into())
}

/// The chain with one more event, given by its bytes as they are stored and relayed.
pub fn chain_next(previous: Chain, event: &[u8]) -> Chain {
    Chain(Sha256::new().chain_update(previous.0).chain_update(event).finalize().into())
}

/// What an origin signs: that its chain has this value at this position.
pub fn point_message(
    origin: &Origin,
    at: OriginSequence,
    chain: Chain,
) -> [u8; POINT_MESSAGE_BYTES] {
    let (daemon, epoch) = (origin.daemon.to_bytes(), origin.epoch.ulid().to_bytes());
    let mut message = [0; POINT_MESSAGE_BYTES];
    let mut rest = message.as_mut_slice();
    for part in [POINT.as_slice(), &daemon, &epoch, &at.0.to_be_bytes(), &chain.0] {
        let (place, after) = rest.split_at_mut(part.len());
        place.copy_from_slice(part);
        rest = after;
    }
    message
}
