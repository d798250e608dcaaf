//! How long each step of a stop may take. All of them together end before the service manager kills.

use std::time::Duration;

use thrum_api::limits::STOP_MAX_SECONDS;

/// Requests of local programs.
pub const LOCAL_REQUESTS: Duration = Duration::from_millis(1000);
/// The drain: peers fetch the events that they lack.
pub const DRAIN: Duration = Duration::from_millis(2000);
/// Requests from peers and to peers, after the drain.
pub const PEER_REQUESTS: Duration = Duration::from_millis(1000);
/// The drain, these requests, and time to abort what is left.
pub const PEERS: Duration = Duration::from_millis(3500);
/// The views of messages and agents.
pub const VIEWS: Duration = Duration::from_millis(250);
/// The log, for each of three steps: a look at its files, a copy of it if they are gone, and its end, with what was queued.
pub const LOG: Duration = Duration::from_millis(500);
/// The same for a log whose file a person removed, and its copy before: what it holds is nowhere else. Rare, so
/// it doesn't count among the limits of a stop; the service manager is asked for the time.
pub const LOST_LOG: Duration = Duration::from_secs(30 * 60);
/// The stop of a private tailscaled, in parallel with views and log: it logs out, which needs the control
/// server.
pub const TAILNET: Duration = Duration::from_millis(4500);
/// The runtime: a name look-up without an answer must not delay the end.
pub const RUNTIME: Duration = Duration::from_millis(100);

const _: () = assert!(PEERS.as_millis() > DRAIN.as_millis() + PEER_REQUESTS.as_millis());
const _: () = assert!(TAILNET.as_millis() > VIEWS.as_millis() + 3 * LOG.as_millis());
const _: () = assert!(
    (LOCAL_REQUESTS.as_millis() + PEERS.as_millis() + TAILNET.as_millis() + RUNTIME.as_millis())
        < STOP_MAX_SECONDS as u128 * 1000
);

#[cfg(test)]
mod tests {
    use super::STOP_MAX_SECONDS;

    #[test]
    fn the_service_managers_kill_when_the_contract_says() {
        let seconds = STOP_MAX_SECONDS;
        for unit in [
            include_str!("../../systemd/thrumd.service"),
            include_str!("../../systemd/user/thrumd.service"),
        ] {
            assert!(unit.contains(&format!("\nTimeoutStopSec={seconds}\n")));
        }
        let plist = include_str!("../../launchd/dev.thrum.thrumd.plist");
        let timeout = format!("<key>ExitTimeOut</key>\n  <integer>{seconds}</integer>");
        assert!(plist.contains(&timeout));
    }
}
