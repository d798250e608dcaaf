//! The hash of the log, which goes on with each event. That a checkpoint has it, and not only the last event,
//! matters after a rollback: a restored log may get the same event at the same position, after others than before.

use sha2::{Digest as _, Sha256};
use thrum_api::LogHash;
use thrum_api::proof::Chain;

/// The hash of a log without events.
pub(super) const FIRST: LogHash = LogHash(0);

/// The hash with one more event, given by the chain of its origin after it.
pub(super) fn next(before: LogHash, chain: Chain) -> LogHash {
    of(&[&before.0.to_le_bytes(), &chain.0])
}

/// The hash that tells of a damaged row at this position, and how often what is around it could be proved again.
pub(super) fn without(hash: LogHash, sequence: u64, version: u64) -> LogHash {
    of(&[&hash.0.to_le_bytes(), &sequence.to_le_bytes(), &version.to_le_bytes()])
}

fn of(parts: &[&[u8]]) -> LogHash {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    let mut first = [0; 8];
    first.copy_from_slice(&hash.finalize()[..8]);
    LogHash(u64::from_le_bytes(first))
}
