use std::collections::BTreeMap;
use std::time::Duration;

use thrum_api::DaemonId;

use super::{Daemon, LONG, eventually};

const FAILURES: u32 = 4;

/// Watches how a daemon backs off from a peer, until its fourth failure in a row, or until the next one if it
/// has had so many already.
///
/// Each failure is a try, and after the n-th one it must wait for 2^(n-1) seconds at least, by what it says itself:
/// a busy machine makes waits longer, never shorter.
///
/// # Panics
/// When it stops trying, or waits for too short a time.
#[track_caller]
pub fn backs_off(daemon: &Daemon, from: DaemonId) {
    let mut tries = BTreeMap::new();
    eventually(LONG, || {
        let peer = daemon.peer(from)?;
        let next = peer.next_try_at.ok_or_else(|| format!("no next try: {peer:?}"))?;
        tries.entry(peer.failures).or_insert(next);
        super::holds(peer.failures >= FAILURES && tries.len() > 1, || format!("{peer:?}"))
    });
    for (earlier, later) in tries.iter().zip(tries.iter().skip(1)) {
        let waited = Duration::from_millis(later.1.millis_since(*earlier.1));
        // Half of it: when a status is made on a busy machine, its times are not exact.
        let least = Duration::from_millis(500) * 2_u32.pow(later.0 - 1);
        assert!(waited >= least, "{waited:?} after {} failures: {tries:?}", later.0);
    }
}
