//! The limit of files that the process may have open (`RLIMIT_NOFILE`). Every connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// macOS takes no more than this where the hard limit is unlimited (`OPEN_MAX`).
const OPEN_MAX: u64 = 10_240;

/// Raises the soft limit to the hard one. Soft limits are low (usually 1,024) for the sake of programs that use
/// `select`, which this one doesn't.
pub fn raise_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let rank = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
    for wanted in [maximum, Some(OPEN_MAX)] {
        if rank(wanted) <= rank(current) || rank(wanted) > rank(maximum) {
            continue;
        }
        match setrlimit(Resource::Nofile, Rlimit { current: wanted, maximum }) {
            Ok(()) => return,
            Err(error) => tracing::debug!("can't raise the limit of open files: {error}"),
        }
    }
}

/// How many files may be open at once.
pub fn limit() -> usize {
    let current = getrlimit(Resource::Nofile).current;
    current.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
}
