use std::time::{Duration, Instant};

/// The limit for what takes milliseconds on an idle machine. Generous: machines are not idle.
pub const SHORT: Duration = Duration::from_secs(20);
/// The limit for what moves many events or waits for a back-off.
pub const LONG: Duration = Duration::from_secs(60);

/// Looks until there is something, and gives it.
///
/// # Panics
/// When the limit is over, with the last reason why there was nothing yet.
#[track_caller]
pub fn eventually<T>(limit: Duration, mut look: impl FnMut() -> Result<T, String>) -> T {
    let start = Instant::now();
    loop {
        let reason = match look() {
            Ok(found) => return found,
            Err(reason) => reason,
        };
        assert!(start.elapsed() < limit, "not within {limit:?}: {reason}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Turns a question into what [`eventually`] wants: `Err(reason)` while it does not hold.
pub fn holds(yes: bool, reason: impl FnOnce() -> String) -> Result<(), String> {
    if yes { Ok(()) } else { Err(reason()) }
}
